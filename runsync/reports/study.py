"""All reports on one window, each read once and told by as many keys as are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import pandas as pd

from runsync.reports.ask import Ask
from runsync.reports.build import frame_of
from runsync.reports.columns import REPORTS
from runsync.reports.comparing import comparison
from runsync.reports.frames import Interval, Reader, Scope
from runsync.reports.gather import gathered
from runsync.reports.notes import Held, held
from runsync.reports.pipelines import Pipeline
from runsync.reports.window import Window

# What each report may be told by in a study, besides the period.
_KEYS = {"recoveries": ("pipeline", "branch"), "queue_times": ("pipeline", "weekday", "hour")}
_COMPARED = timedelta(days=30)


@dataclass
class Study:
    """Reads what is asked of it, when it is asked.

    Attributes:
        pipelines: those it is about.
        every: the period in which figures are followed over time.
    """

    reader: Reader
    scope: Scope
    pipelines: tuple[Pipeline, ...]
    every: str
    _read: dict[str, tuple[Ask, tuple[pd.DataFrame, ...]]] = field(default_factory=dict)

    def table(self, report: str, *by: str, over_time: bool = False) -> pd.DataFrame:
        """A report by these keys, as its function would give it."""
        if report not in self._read:
            widest = self._ask(report, _KEYS.get(report, ("pipeline",)), self.every)
            self._read[report] = gathered(self.reader, widest)
        ask, frames = self._read[report]
        narrow = replace(ask, by=by, every=self.every if over_time else None)
        return frame_of(narrow, frames, self._stretches)

    def comparison(self, report: str, *by: str) -> pd.DataFrame:
        """A report's main figure in :attr:`compared` and in the window before."""
        ask = self._ask(report, by, None)
        return comparison(
            self.reader, replace(ask, scope=replace(self.scope, window=self.compared))
        )

    @cached_property
    def compared(self) -> Window:
        """The window; where that is open the last thirty days, or half of a shorter history."""
        window = self.scope.window
        if window.since is not None or self.span is None:
            return window
        length = min(_COMPARED, (window.end - self.span[0]) / 2)
        return replace(window, since=window.end - length)

    @cached_property
    def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last run were created."""
        return self.reader.span(self.scope)

    @cached_property
    def held(self) -> list[Held]:
        """How much of the window is known to be in the database."""
        return held(self.scope.window, self.pipelines, self._stretches)

    @cached_property
    def _stretches(self) -> Sequence[Interval]:
        return self.reader.intervals()

    def _ask(self, report: str, by: tuple[str, ...], every: str | None) -> Ask:
        return Ask(REPORTS[report], self.scope, by, every, self.pipelines)


def suited_period(span: timedelta) -> str:
    """The period that cuts a span into some ten to forty pieces."""
    return (
        "day" if span <= timedelta(days=35) else "week" if span <= timedelta(days=300) else "month"
    )

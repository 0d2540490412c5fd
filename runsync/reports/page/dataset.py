"""All reports on one window, each loaded once and grouped in as many ways as the page wants."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self

import pandas as pd

from runsync.reports.breaks import BREAK_COLUMNS
from runsync.reports.columns import finished
from runsync.reports.comparison import comparisons
from runsync.reports.coverage_notes import Coverage, PipelineCoverage, coverage_of
from runsync.reports.definitions import REPORTS
from runsync.reports.gather import gathered
from runsync.reports.kept_reader import KeptReader
from runsync.reports.load import Reader
from runsync.reports.page.part_file import PartFile
from runsync.reports.parts import below_each_other
from runsync.reports.query_spec import Query, Window
from runsync.reports.report import Frames, Report

RECENT = timedelta(days=30)
"""How long after its last run a branch is alive."""
_COMPARED = timedelta(days=28)


class Dataset:
    """Loads a report when it is first asked for; of a long history keeps a file until its end.

    Attributes:
        query: which runs; its ``every`` is the period in which figures are followed over time.
    """

    def __init__(self, reader: Reader, query: Query) -> None:
        self.reader = KeptReader(reader)
        self.span = reader.span(query)
        """When the first and the last run were created; None where there is none."""
        self.query = replace(query, every=query.every or _suited_period(self.span))
        self._loaded: dict[str, Frames] = {}
        self._parts = PartFile()
        self._made: dict[tuple[str, tuple[str, ...], bool], pd.DataFrame] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    @property
    def moment(self) -> datetime:
        """The page's own time: now, or the newest run's where the provider's clock is ahead."""
        now = self.query.window.now
        return max(now, self.span[1]) if self.span else now

    @property
    def every(self) -> str:
        """The period in which figures are followed over time."""
        return self.query.every or "day"

    @property
    def hollow(self) -> str:
        """What a chart's hollow points are."""
        return (
            f"Hollow points: a {self.every} that is not over, cut by the window, or not wholly "
            "synced."
        )

    def table(self, report: Report, *by: str, over_time: bool = False) -> pd.DataFrame:
        """A report grouped by these keys, as its function would give it; each is made once."""
        wanted = report.name, by, over_time
        if wanted not in self._made:
            self._made[wanted] = self._table(report, by, over_time)
        return self._made[wanted]

    def _table(self, report: Report, by: tuple[str, ...], over_time: bool) -> pd.DataFrame:
        if report.name not in self._loaded and report.name not in self._parts:
            self._load(report)
        query = replace(
            self.query, by=by, implied=report.implied, every=self.every if over_time else None
        )
        if report.name not in self._parts:
            table = report.figures(query, *self._loaded[report.name])
        elif report.apart and "pipeline" in query.keys:
            each = self._parts.by_pipelines(report.name)
            table = below_each_other([report.figures(query, *frames) for frames in each], query)
        else:
            table = report.figures(query, *self._parts.whole(report.name))
        return finished(table, report, query, self._known)

    def _load(self, report: Report) -> None:
        """Loads a report; of a long history in a database all reports, part by part, most of them
        from one reading."""
        cut = [self.query]
        if not self.reader.is_archive:
            cut = self.reader.parts(self.query, whole_pipelines=False)
        if len(cut) == 1:
            self._loaded[report.name] = report.gather(self.reader, self._widest(report, self.query))
            return
        of_whole = [one for one in REPORTS.values() if one.whole_pipelines]
        of_cut = [one for one in REPORTS.values() if not one.whole_pipelines]
        whole = self.reader.parts(self.query, whole_pipelines=True)
        wanted = [{one: self._widest(one, of)} for one in of_whole for of in whole]
        wanted += [{one: self._widest(one, of) for one in of_cut} for of in cut]
        for part, loaded in zip(wanted, gathered(self.reader, wanted), strict=True):
            for (one, of), frames in zip(part.items(), loaded, strict=True):
                self._parts.add(one.name, of.pipeline_ids, frames)

    def _widest(self, report: Report, part: Query) -> Query:
        """What a report is to read of a part, for all that the page groups it by."""
        return replace(part, by=report.section.keys, implied=report.implied)

    def comparisons(self, reports: Sequence[Report], *by: str) -> list[pd.DataFrame]:
        """The reports' main figures in :attr:`compared` and in the window before, read together."""
        return comparisons(
            self.reader, [(report, self._compared_by(report, by)) for report in reports]
        )

    @cached_property
    def busiest_pipelines(self) -> list[str]:
        """The pipelines by how many runs have finished, the most first."""
        table = self.table(REPORTS["pass_rates"], "pipeline")
        return list(table.nlargest(len(table), "finished")["pipeline"])

    @cached_property
    def recent_verdicts(self) -> pd.DataFrame:
        """The runs of the last thirty days that passed or failed, and for each branch those before
        them since its last pass."""
        window = self.query.window
        since = max(filter(None, (window.since, window.end - RECENT)))
        recent = replace(self.query, every=None, window=replace(window, since=since))
        return self.reader.verdicts(recent, BREAK_COLUMNS)

    @cached_property
    def alive_branches(self) -> set[tuple[str, str | None]]:
        """The pipelines and branches that had a run in the last thirty days."""
        window = self.query.window
        since = max(filter(None, (window.since, window.end - RECENT)))
        recent = replace(
            self.query, by=("pipeline", "branch"), every=None, window=replace(window, since=since)
        )
        found = self.reader.runs(recent, ()).drop_duplicates(["pipeline", "branch"])
        pairs = zip(found["pipeline"], found["branch"], strict=True)
        return {(str(name), None if pd.isna(branch) else str(branch)) for name, branch in pairs}

    @cached_property
    def compared(self) -> Window:
        """The window; where that is open the last 28 days, or half of a shorter history."""
        window = self.query.window
        if window.since is not None or self.span is None:
            return window
        length = min(_COMPARED, (window.end - self.span[0]) / 2)
        return replace(window, since=window.end - length)

    def _compared_by(self, report: Report, by: tuple[str, ...]) -> Query:
        return replace(self.query, by=by, implied=report.implied, every=None, window=self.compared)

    @cached_property
    def coverage(self) -> list[PipelineCoverage]:
        """How much of the window is known to be in the database."""
        query = self.query
        return coverage_of(query.window, query.pipelines, self._known)

    @cached_property
    def _known(self) -> Coverage:
        return Coverage(self.reader)


def _suited_period(span: tuple[datetime, datetime] | None) -> str:
    """The period that cuts a span into some ten to forty pieces."""
    length = span[1] - span[0] if span else timedelta()
    if length <= timedelta(days=35):
        return "day"
    return "week" if length <= timedelta(days=300) else "month"

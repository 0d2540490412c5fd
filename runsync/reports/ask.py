"""What one report is asked for, checked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TypeAlias

from runsync.errors import ConfigError
from runsync.records import Result
from runsync.reports.columns import REPORTS, Report
from runsync.reports.frames import Reader, Scope
from runsync.reports.groups import checked_by
from runsync.reports.pipelines import Pipeline, chosen
from runsync.reports.window import Moment, checked_every, nearest, window

Wanted: TypeAlias = str | int | Iterable[str | int]
Words: TypeAlias = str | Iterable[str]


@dataclass(frozen=True, slots=True)
class Ask:
    """What one report is asked for.

    Attributes:
        by: the keys to group by.
        pipelines: those it is about; every pipeline where none was named.
        result: the only result that counts; None where all do.
    """

    report: Report
    scope: Scope
    by: tuple[str, ...]
    every: str | None
    pipelines: tuple[Pipeline, ...]
    result: str | None = None

    @property
    def around(self) -> tuple[str, ...]:
        """The keys of what a step's share is of: all but the step and what is implied."""
        return (*(key for key in self.by if key != "step"), *self._period)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the report's rows, ``period`` last."""
        return (*dict.fromkeys([*self.by, *self.report.implied]), *self._period)

    @property
    def _period(self) -> tuple[str, ...]:
        return ("period",) if self.every else ()

    def telling(self, *keys: str) -> "Ask":
        """The same, with these keys implied too."""
        return replace(self, report=replace(self.report, implied=(*self.report.implied, *keys)))


def asking(
    reader: Reader,
    report: str,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Words | None = None,
    every: str | None = None,
    tz: str | tzinfo | None = None,
    result: str | None = None,
) -> Ask:
    """Checks what was asked for; None for ``by`` is the report's own grouping.

    Raises:
        ConfigError: a report, time, pipeline, key, period, zone or result is unknown.
    """
    kind = report_named(report)
    picked = chosen(reader.pipelines, pipelines)
    ids = None if picked is None else tuple(p.id for p in picked)
    named = (
        None if branches is None else tuple([branches] if isinstance(branches, str) else branches)
    )
    return Ask(
        kind,
        Scope(window(since, until, tz), ids, named),
        checked_by(kind.by if by is None else by, kind.keys, kind.name),
        checked_every(every),
        reader.pipelines if picked is None else picked,
        _checked_result(result),
    )


def report_named(name: str) -> Report:
    """The report of that function's or command's name.

    Raises:
        ConfigError: there is none; the text names the nearest.
    """
    for report in REPORTS.values():
        if name in (report.name, report.command):
            return report
    raise ConfigError(f"there is no report {name!r}{nearest(name, list(REPORTS))}")


def _checked_result(result: str | None) -> str | None:
    known = [str(word) for word in Result]
    if result is None or result in known:
        return result
    raise ConfigError(f"result={result!r} is no result{nearest(result, known)}")

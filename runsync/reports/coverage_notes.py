"""How much of a window the database is known to hold: ``partial``, and what is lacking."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import pandas as pd

from runsync.reports.load import Reader
from runsync.reports.query_spec import Query, Window
from runsync.storage.covered_spans import (
    CoveredSpan,
    RunWithoutSteps,
    covered_spans,
    pruned_spans,
    runs_without_steps,
)
from runsync.storage.pipelines import StoredPipeline

_NAMED = 3

START = datetime.min.replace(tzinfo=UTC)
"""Before every run."""


class Coverage:
    """What is known to be complete of each pipeline's history."""

    def __init__(self, reader: Reader) -> None:
        self._spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for span in sorted(covered_spans(reader.backend.rows), key=lambda s: s.oldest or START):
            self._add(span)
        self._without_steps: dict[int, list[RunWithoutSteps]] = defaultdict(list)
        for run in runs_without_steps(reader.backend.rows):
            self._without_steps[run.pipeline_id].append(run)
        self._pruned: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for pipeline_id, month in pruned_spans(reader.backend.rows):
            self._pruned[pipeline_id].append(month)

    def covers(self, pipeline_id: int, begin: datetime, end: datetime) -> bool:
        """Whether every run created in between is in the database, with its steps."""
        is_walked = any(low <= begin and end <= high for low, high in self._spans[pipeline_id])
        lacks = self.without_steps(pipeline_id, begin, end) or self.pruned(pipeline_id, begin, end)
        return is_walked and not lacks

    def pruned(
        self, pipeline_id: int, begin: datetime, end: datetime
    ) -> list[tuple[datetime, datetime]]:
        """The months in between whose rows are in an archive alone, oldest first."""
        return [
            (low, high) for low, high in self._pruned[pipeline_id] if low < end and high > begin
        ]

    def without_steps(
        self, pipeline_id: int, begin: datetime, end: datetime
    ) -> list[RunWithoutSteps]:
        """The runs created in between whose steps are missing, oldest first."""
        found = self._without_steps[pipeline_id]
        first, last = (bisect_left(found, when, key=_created_at) for when in (begin, end))
        return found[first:last]

    def within(
        self, pipeline_id: int, begin: datetime, end: datetime
    ) -> list[tuple[datetime, datetime]]:
        """The parts of ``[begin, end)`` that are complete, in order."""
        return [
            (max(low, begin), min(high, end))
            for low, high in self._spans[pipeline_id]
            if low < end and high > begin
        ]

    def partial(self, table: pd.DataFrame, query: Query) -> list[bool]:
        """For each row, whether its period is cut short by anything.

        A row that names a pipeline needs that one covered; one that names a source all of that
        source's; any other all of the query's, as each could have had runs in it.
        """
        window = query.window
        concerned, ids = _concerned(table, query.pipelines)
        whole: dict[tuple[object, pd.Timestamp], bool] = {}
        for name, period in set(zip(concerned, table["period"], strict=True)):
            begin = midnight(period.date(), window.zone)
            end = midnight(next_period(period.date(), query.every or ""), window.zone)
            whole[name, period] = _within(window, begin, end) and all(
                self.covers(pipeline_id, begin, end) for pipeline_id in ids[name]
            )
        return [not whole[row] for row in zip(concerned, table["period"], strict=True)]

    def _add(self, span: CoveredSpan) -> None:
        spans, low = self._spans[span.pipeline_id], span.oldest or START
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], span.newest))
        else:
            spans.append((low, span.newest))


def _created_at(run: RunWithoutSteps) -> datetime:
    return run.created_at


def _within(window: Window, begin: datetime, end: datetime) -> bool:
    return (window.since is None or window.since <= begin) and end <= window.end


def _concerned(
    table: pd.DataFrame, pipelines: Sequence[StoredPipeline]
) -> tuple[list[object], dict[object, list[int]]]:
    """What each row must have covered, by name, and the pipelines of each name."""
    ids: dict[object, list[int]] = defaultdict(list)
    if "pipeline" in table:
        for p in pipelines:
            ids[p.label].append(p.id)
        return table["pipeline"].tolist(), ids
    if "source" in table:
        for p in pipelines:
            ids[p.source].append(p.id)
        return table["source"].tolist(), ids
    return [None] * len(table), {None: [p.id for p in pipelines]}


@dataclass(frozen=True, slots=True)
class PipelineCoverage:
    """What is known to be complete of a pipeline's history within a window.

    Attributes:
        since: from when on; None: from the pipeline's first run, or the window's begin.
        until: the last sync that saw everything; None: there was none.
        gaps: spans in between that were never walked.
        without_steps: the ids of runs whose steps are missing.
        pruned: how many months are in an archive alone, and which is the last.
    """

    pipeline: StoredPipeline
    since: datetime | None
    until: datetime | None
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    without_steps: tuple[str, ...] = ()
    pruned: tuple[int, str] | None = None

    def notes(self) -> list[str]:
        """What is lacking, in sentences; nothing where nothing is."""
        name = self.pipeline.label
        found = []
        if self.until is None:
            found.append(f"{name}: no sync has covered any of this window")
        if self.since is not None:
            found.append(f"{name}: not synced before {minute(self.since)}")
        found += [f"{name}: not synced from {minute(a)} to {minute(b)}" for a, b in self.gaps]
        if self.without_steps:
            found.append(f"{name}: {self._missing_steps()}")
        if self.pruned:
            found.append(
                f"{name}: {self.pruned[0]} months up to {self.pruned[1]} are in the archive alone; "
                "add --archive"
            )
        return found

    def _missing_steps(self) -> str:
        number, named = len(self.without_steps), ", ".join(self.without_steps[:_NAMED])
        more = f" and {number - _NAMED} more" if number > _NAMED else ""
        return f"the steps of {number} run{'s' * (number > 1)} are missing: {named}{more}"


def coverage_of(
    window: Window, pipelines: Sequence[StoredPipeline], known: Coverage
) -> list[PipelineCoverage]:
    """What the database is known to hold of each pipeline in the window."""
    begin, end = window.since or START, window.end
    found = []
    for pipeline in pipelines:
        spans = known.within(pipeline.id, begin, end)
        pruned = known.pruned(pipeline.id, begin, end)
        gaps = zip([high for _, high in spans], [low for low, _ in spans[1:]], strict=False)
        one = PipelineCoverage(
            pipeline,
            since=spans[0][0] if spans and spans[0][0] > begin else None,
            until=spans[-1][1] if spans else None,
            gaps=tuple(gaps),
            without_steps=tuple(r.id for r in known.without_steps(pipeline.id, begin, end)),
            pruned=(len(pruned), f"{pruned[-1][0]:%Y-%m}") if pruned else None,
        )
        found.append(one)
    return found


def lacking_in(reader: Reader, query: Query, *, compared: bool) -> list[str]:
    """What the database lacks of the query's window, in sentences.

    Args:
        compared: whether the window before is needed as well.
    """
    window = query.window
    if compared:
        window = replace(window, since=window.before().since)
    found = coverage_of(window, query.pipelines, Coverage(reader))
    return [sentence for one in found for sentence in one.notes()]


def minute(when: datetime) -> str:
    """``2024-01-31 10:05 UTC``."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def midnight(day: date, zone: tzinfo) -> datetime:
    """When that day begins in that zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def next_period(first: date, every: str) -> date:
    """The first day of the period after the one that begins on ``first``."""
    if every == "month":
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=7 if every == "week" else 1)

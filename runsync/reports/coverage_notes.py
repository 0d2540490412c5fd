"""How much of a window the database is known to hold: ``partial``, and what is lacking."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import pandas as pd

from runsync.reports.load import CoveredSpan, Reader
from runsync.reports.query_spec import Query, Window
from runsync.storage.pipelines import StoredPipeline

START = datetime.min.replace(tzinfo=UTC)
"""Before every run."""


class Coverage:
    """What is known to be complete of each pipeline's history."""

    def __init__(self, spans: Iterable[CoveredSpan]) -> None:
        self._spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for span in sorted(spans, key=lambda s: s.oldest or START):
            self._add(span)

    def covers(self, pipeline_id: int, begin: datetime, end: datetime) -> bool:
        """Whether every run of the pipeline that was created in between is in the database."""
        return any(low <= begin and end <= high for low, high in self._spans[pipeline_id])

    def within(
        self, pipeline_id: int, begin: datetime, end: datetime
    ) -> list[tuple[datetime, datetime]]:
        """The parts of ``[begin, end)`` that are complete, in order."""
        return [
            (max(low, begin), min(high, end))
            for low, high in self._spans[pipeline_id]
            if low < end and high > begin
        ]

    def _add(self, span: CoveredSpan) -> None:
        spans, low = self._spans[span.pipeline_id], span.oldest or START
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], span.newest))
        else:
            spans.append((low, span.newest))


def partial(table: pd.DataFrame, query: Query, spans: Iterable[CoveredSpan]) -> list[bool]:
    """For each row, whether its period is cut short by anything.

    A row that names a pipeline needs that one covered; one that names a source all of that
    source's; any other all of the query's, as each could have had runs in it.
    """
    covered, window = Coverage(spans), query.window
    concerned, ids = _concerned(table, query.pipelines)
    whole: dict[tuple[object, pd.Timestamp], bool] = {}
    for name, period in set(zip(concerned, table["period"], strict=True)):
        begin = midnight(period.date(), window.zone)
        end = midnight(next_period(period.date(), query.every or ""), window.zone)
        whole[name, period] = _within(window, begin, end) and all(
            covered.covers(pipeline_id, begin, end) for pipeline_id in ids[name]
        )
    return [not whole[row] for row in zip(concerned, table["period"], strict=True)]


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
    """

    pipeline: StoredPipeline
    since: datetime | None
    until: datetime | None
    gaps: tuple[tuple[datetime, datetime], ...] = ()

    def notes(self) -> list[str]:
        """What is lacking, in sentences; nothing where nothing is."""
        name = self.pipeline.label
        if self.until is None:
            return [f"{name}: no sync has covered any of this window"]
        found = [f"{name}: not synced from {minute(a)} to {minute(b)}" for a, b in self.gaps]
        if self.since is not None:
            found.insert(0, f"{name}: not synced before {minute(self.since)}")
        return found


def coverage_of(
    window: Window, pipelines: Sequence[StoredPipeline], spans: Iterable[CoveredSpan]
) -> list[PipelineCoverage]:
    """What the database is known to hold of each pipeline in the window."""
    covered, begin = Coverage(spans), window.since or START
    return [_coverage_of(p, covered.within(p.id, begin, window.end), begin) for p in pipelines]


def lacking_in(reader: Reader, query: Query, *, compared: bool) -> list[str]:
    """What the database lacks of the query's window, in sentences.

    Args:
        compared: whether the window before is needed as well.
    """
    window = query.window
    if compared:
        window = replace(window, since=window.before().since)
    found = coverage_of(window, query.pipelines, reader.covered_spans)
    return [sentence for one in found for sentence in one.notes()]


def minute(when: datetime) -> str:
    """``2024-01-31 10:05 UTC``."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _coverage_of(
    pipeline: StoredPipeline, spans: list[tuple[datetime, datetime]], begin: datetime
) -> PipelineCoverage:
    if not spans:
        return PipelineCoverage(pipeline, None, None)
    gaps = zip([high for _, high in spans], [low for low, _ in spans[1:]], strict=False)
    first, last = spans[0][0], spans[-1][1]
    return PipelineCoverage(pipeline, first if first > begin else None, last, tuple(gaps))


def midnight(day: date, zone: tzinfo) -> datetime:
    """When that day begins in that zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def next_period(first: date, every: str) -> date:
    """The first day of the period after the one that begins on ``first``."""
    if every == "month":
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=7 if every == "week" else 1)

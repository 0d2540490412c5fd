"""Which periods do not tell all: not over yet, cut by the window, or not wholly covered."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pandas as pd

from runsync.reports.frames import Interval
from runsync.reports.pipelines import Pipeline
from runsync.reports.window import Window, midnight, next_period

START = datetime.min.replace(tzinfo=UTC)
"""Before every run."""


class Coverage:
    """What is known to be complete of each pipeline's history."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for interval in sorted(intervals, key=lambda s: s.oldest or START):
            self._add(interval)

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

    def _add(self, interval: Interval) -> None:
        spans, low = self._spans[interval.pipeline_id], interval.oldest or START
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], interval.newest))
        else:
            spans.append((low, interval.newest))


def partial(
    table: pd.DataFrame,
    every: str,
    window: Window,
    pipelines: Sequence[Pipeline],
    intervals: Iterable[Interval],
) -> list[bool]:
    """For each row, whether its period is cut short by anything.

    A row that names a pipeline needs that one covered; one that names a source all of that
    source's; any other all of ``pipelines``, as each could have had runs in it.
    """
    covered = Coverage(intervals)
    concerned, ids = _concerned(table, pipelines)
    whole: dict[tuple[object, pd.Timestamp], bool] = {}
    for name, period in set(zip(concerned, table["period"], strict=True)):
        begin = midnight(period.date(), window.zone)
        end = midnight(next_period(period.date(), every), window.zone)
        whole[name, period] = _within(window, begin, end) and all(
            covered.covers(pipeline_id, begin, end) for pipeline_id in ids[name]
        )
    return [not whole[row] for row in zip(concerned, table["period"], strict=True)]


def _within(window: Window, begin: datetime, end: datetime) -> bool:
    return (window.since is None or window.since <= begin) and end <= window.end


def _concerned(
    table: pd.DataFrame, pipelines: Sequence[Pipeline]
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

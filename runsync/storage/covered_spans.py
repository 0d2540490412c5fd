"""Which spans of each pipeline's history are known to be complete."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from runsync.storage.default_branches import ReadRows
from runsync.storage.tables import (
    coverage,
    is_unsettled,
    lacks_steps,
    listing_pipelines,
    months,
    runs,
    syncs,
)


@dataclass(frozen=True, slots=True)
class CoveredSpan:
    """A part of a pipeline's history that is known to be complete; None: to its beginning."""

    pipeline_id: int
    oldest: datetime | None
    newest: datetime


class RunWithoutSteps(NamedTuple):
    """A run whose steps are missing: the period in which it was created is not complete."""

    pipeline_id: int
    id: str
    created_at: datetime


_LAST_GOOD_SYNC = (
    sa.select(sa.func.max(syncs.c.started_at))
    .where(syncs.c.listing == coverage.c.listing, syncs.c.outcome == "ok")
    .scalar_subquery()  # one look into an index for each span, however many syncs there were
    .label("synced_at")
)
# Each span for each pipeline of its listing, and the listing's last good sync.
_SPANS = sa.select(listing_pipelines.c.pipeline_id, *coverage.c, _LAST_GOOD_SYNC).join_from(
    coverage, listing_pipelines, listing_pipelines.c.listing == coverage.c.listing
)


def covered_spans(read: ReadRows) -> list[CoveredSpan]:
    """What is known to be complete, per pipeline, in no order; spans may overlap.

    A listing's newest span goes on to its last good sync: that sync saw all there was.
    """
    rows = read(_SPANS)
    newest: dict[str, datetime] = {}
    for row in rows:
        known = newest.setdefault(row.listing, row.newest_created_at)
        newest[row.listing] = max(known, row.newest_created_at)
    return [_span(row, row.newest_created_at == newest[row.listing]) for row in rows]


def _span(row: Any, is_newest: bool) -> CoveredSpan:
    newest = row.newest_created_at
    if is_newest and row.synced_at is not None:
        newest = max(newest, row.synced_at)
    oldest = None if row.reaches_start else row.oldest_created_at
    return CoveredSpan(row.pipeline_id, oldest, newest)


def runs_without_steps(read: ReadRows) -> list[RunWithoutSteps]:
    """The runs whose steps were never read, oldest first."""
    r = runs.c
    # Such a run is never settled, and the index of unsettled runs is small.
    query = sa.select(r.pipeline_id, r.id, r.created_at).where(is_unsettled, lacks_steps)
    found = [RunWithoutSteps(*row) for row in read(query)]
    return sorted(found, key=lambda run: (run.created_at, run.id))


def pruned_spans(read: ReadRows) -> list[tuple[int, tuple[datetime, datetime]]]:
    """The months whose rows are in an archive alone, by their pipelines, oldest first: when each
    begins and ends."""
    m = months.c
    query = sa.select(m.pipeline_id, m.month).where(m.pruned_at.is_not(None)).order_by(m.month)
    return [(row.pipeline_id, _span_of(row.month)) for row in read(query)]


def _span_of(month: str) -> tuple[datetime, datetime]:
    first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    return first, (first + timedelta(days=32)).replace(day=1)

"""The database's small tables, as an archive keeps them: pipelines, and what is covered."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, Table, func, select

from runsync.archive.manifest import MonthKey
from runsync.archive.rows import Month
from runsync.storage.covered_spans import covered_spans
from runsync.storage.default_branches import reads_over
from runsync.storage.tables import (
    coverage,
    is_unsettled,
    listing_pipelines,
    months,
    pipelines,
    runs,
    set_aside,
    syncs,
)

SMALL_TABLES: dict[str, Table] = {
    table.name: table for table in (pipelines, listing_pipelines, coverage, syncs, set_aside)
}
"""Of syncs the last good one of each listing, which says how far it is covered."""


def small_tables(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Their rows as JSON can hold them, times as ISO text."""
    last_good = (
        select(func.max(syncs.c.id)).where(syncs.c.outcome == "ok").group_by(syncs.c.listing)
    )
    queries: dict[str, Select[Any]] = {name: select(table) for name, table in SMALL_TABLES.items()}
    queries["syncs"] = queries["syncs"].where(syncs.c.id.in_(last_good))
    return {
        name: [_plain(row) for row in connection.execute(query).mappings()]
        for name, query in queries.items()
    }


def month_versions(connection: Connection) -> dict[MonthKey, str]:
    """The version of each month that ever had a run."""
    rows = connection.execute(select(months.c.pipeline_id, months.c.month, months.c.version))
    return {(row.pipeline_id, row.month): row.version for row in rows}


def pruned_months(connection: Connection) -> set[MonthKey]:
    """The months of which the database no longer holds all runs: the archive does."""
    query = select(months.c.pipeline_id, months.c.month).where(months.c.pruned_at.is_not(None))
    return {(row.pipeline_id, row.month) for row in connection.execute(query)}


class Seals:
    """Which months are whole and over, by one state of the database."""

    def __init__(self, connection: Connection) -> None:
        self._spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        beginning = datetime.min.replace(tzinfo=UTC)
        for span in covered_spans(reads_over(connection)):
            self._spans[span.pipeline_id].append((span.oldest or beginning, span.newest))
        self._spans = defaultdict(list, {k: _joined(v) for k, v in self._spans.items()})
        self._open = set(_open_months(connection))

    def holds(self, key: MonthKey, margin: timedelta = timedelta(0)) -> bool:
        """Whether history was walked through the month without a gap, and every run of it has
        settled, or vanished for good, with its steps.

        Args:
            margin: how much later history must have been walked too.
        """
        month = Month.named(key[1])
        is_walked = any(
            low <= month.first and month.end + margin <= high for low, high in self._spans[key[0]]
        )
        return is_walked and key not in self._open


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined


def _open_months(connection: Connection) -> Iterable[MonthKey]:
    """The months of runs that may still change, or are set aside with steps that nobody could
    read."""
    r = runs.c
    unsettled = select(r.pipeline_id, r.created_at).where(is_unsettled)
    aside = select(r.pipeline_id, r.created_at).join(
        set_aside, (set_aside.c.pipeline_id == r.pipeline_id) & (set_aside.c.run_id == r.id)
    )
    for query in (unsettled, aside):
        for row in connection.execute(query):
            yield row.pipeline_id, f"{row.created_at:%Y-%m}"


def _plain(row: Any) -> dict[str, Any]:
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }

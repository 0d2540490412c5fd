"""How far each pipeline's history has come: what is stored, what is covered, when it last went
well."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select

from runsync.coverage import Interval
from runsync.records import Status
from runsync.storage.database import Database
from runsync.storage.default_branches import reads_over
from runsync.storage.pipelines import labels_by_id
from runsync.storage.runs import is_set_aside
from runsync.storage.store import ListingStore
from runsync.storage.sync_log import LastSync, last_syncs
from runsync.storage.tables import lacks_steps, listing_pipelines, pipelines, runs, set_aside

STATUS_COLUMNS = (
    "pipeline",
    "source",
    "external_id",
    "listing",
    "runs",
    "unfinished",
    "incomplete",
    "vanished",
    "covered_from",
    "covered_to",
    "reaches_start",
    "gaps",
    "last_good_sync",
    "age_s",
    "last_outcome",
    "last_error",
)
INCOMPLETE_COLUMNS = (
    "pipeline",
    "source",
    "id",
    "created_at",
    "status",
    "result",
    "set_aside_at",
    "reason",
    "url",
)

_INCOMPLETE = or_(lacks_steps, and_(is_set_aside(), runs.c.vanished_at.is_(None)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A listing that the config names, whether or not it was ever synced."""

    source: str
    listing: str
    label: str | None = None


def status(
    database: Database, wanted: Iterable[Wanted] = (), now: datetime | None = None
) -> list[dict[str, Any]]:
    """One row for each pipeline of each listing, with :data:`STATUS_COLUMNS`; times are UTC.

    ``unfinished`` counts the runs that are not finished and still known to the provider,
    ``incomplete`` those whose steps are not in (:func:`incomplete_runs` names them),
    ``covered_from`` and ``covered_to`` bound the newest stretch without a gap, ``gaps`` counts
    the places below it where runs may be missing, ``age_s`` is seconds since the last sync that
    brought everything.

    Args:
        wanted: what the config names; those that were never synced get a row too.
    """
    now = now or datetime.now(UTC)
    wanted = list(wanted)

    def read(connection: Connection) -> tuple[list[dict[str, Any]], dict[str, LastSync]]:
        pipelines = _pipelines(connection)
        listings = {p["listing"] for p in pipelines} | {one.listing for one in wanted}
        return pipelines, last_syncs(connection, listings)

    pipelines, syncs = database.transact(read, reads=True)
    intervals = {
        listing: ListingStore(database, source, listing).coverage()
        for source, listing in {(p["source"], p["listing"]) for p in pipelines}
    }
    rows = [
        p | _covered(intervals[p["listing"]]) | _last_sync(syncs.get(p["listing"]), now)
        for p in pipelines
    ]
    synced = {row["listing"] for row in rows}
    rows += [
        _never(one) | _last_sync(syncs.get(one.listing), now)
        for one in wanted
        if one.listing not in synced
    ]
    return [{column: row.get(column) for column in STATUS_COLUMNS} for row in rows]


def incomplete_runs(database: Database) -> list[dict[str, Any]]:
    """The runs whose steps are not in, newest first, with :data:`INCOMPLETE_COLUMNS` and the
    pipeline's ``external_id``.

    ``reason`` is why a run was set aside: its steps came and cannot be read, so that it is asked
    for again once a day, and by a full sync. ``set_aside_at``, by the provider's clock, is when
    they were read last.
    """
    of_run = (set_aside.c.pipeline_id == runs.c.pipeline_id) & (set_aside.c.run_id == runs.c.id)
    query = (
        select(
            runs.c.pipeline_id,
            pipelines.c.source,
            pipelines.c.external_id,
            runs.c.id,
            runs.c.created_at,
            runs.c.status,
            runs.c.result,
            select(func.min(set_aside.c.at)).where(of_run).scalar_subquery().label("set_aside_at"),
            select(func.min(set_aside.c.reason)).where(of_run).scalar_subquery().label("reason"),
            runs.c.url,
        )
        .join(runs, runs.c.pipeline_id == pipelines.c.id)
        .where(_INCOMPLETE)
        .order_by(runs.c.created_at.desc(), runs.c.id)
    )
    return database.transact(lambda connection: _called(connection, query), reads=True)


def _called(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    """The rows, each with the label of its pipeline in place of the number."""
    labels = labels_by_id(reads_over(connection))
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return [{"pipeline": labels[row.pop("pipeline_id")], **row} for row in rows]


def _pipelines(connection: Connection) -> list[dict[str, Any]]:
    unfinished = (runs.c.status != Status.FINISHED.value) & runs.c.vanished_at.is_(None)
    counts = (
        select(
            runs.c.pipeline_id,
            func.count().label("runs"),
            func.sum(case((unfinished, 1))).label("unfinished"),
            func.sum(case((_INCOMPLETE, 1))).label("incomplete"),
            func.count(runs.c.vanished_at).label("vanished"),
        )
        .group_by(runs.c.pipeline_id)
        .subquery()
    )
    query = (
        select(
            listing_pipelines.c.pipeline_id,
            pipelines.c.source,
            pipelines.c.external_id,
            listing_pipelines.c.listing,
            func.coalesce(counts.c.runs, 0).label("runs"),
            func.coalesce(counts.c.unfinished, 0).label("unfinished"),
            func.coalesce(counts.c.incomplete, 0).label("incomplete"),
            func.coalesce(counts.c.vanished, 0).label("vanished"),
        )
        .join(
            listing_pipelines,
            listing_pipelines.c.pipeline_id == pipelines.c.id,
        )
        .outerjoin(counts, counts.c.pipeline_id == pipelines.c.id)
        .order_by(pipelines.c.source, pipelines.c.name, listing_pipelines.c.listing)
    )
    return _called(connection, query)


def _covered(intervals: list[Interval]) -> dict[str, Any]:
    if not intervals:
        return {"gaps": 0, "reaches_start": False}
    return {
        "covered_from": intervals[0].oldest.at,
        "covered_to": intervals[0].newest.at,
        "reaches_start": intervals[0].reaches_start,
        "gaps": len(intervals) - 1,
    }


def _last_sync(last: LastSync | None, now: datetime) -> dict[str, Any]:
    if last is None:
        return {}
    good = last.good_at
    return {
        "last_outcome": last.outcome,
        "last_error": last.error,
        "last_good_sync": good,
        "age_s": round((now - good).total_seconds(), 3) if good else None,
    }


def _never(wanted: Wanted) -> dict[str, Any]:
    counts = dict.fromkeys(("runs", "unfinished", "incomplete", "vanished", "gaps"), 0)
    label = wanted.label or wanted.listing
    return {
        "pipeline": label,
        "source": wanted.source,
        "listing": wanted.listing,
        **counts,
        "reaches_start": False,
    }

"""Rows leave the database that a sealed archive holds: months that are over, whole, and the same.

Nothing is deleted but what was read from the archive's files just before, and found equal run by
run. A month's rows go in one transaction, or stay.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from runsync.archive.bookkeeping import Seals, month_versions, pruned_months, small_tables
from runsync.archive.differences import archived_checksums, database_checksums, different_runs
from runsync.archive.export import check_same_database, run_counts
from runsync.archive.location import ArchiveLocation, errors_in_sentences, located
from runsync.archive.manifest import Manifest, MonthKey, read_manifest
from runsync.archive.parquet_files import ArchivedRows, check_pyarrow
from runsync.archive.rows import Month
from runsync.errors import ArchiveError
from runsync.storage.database import Database
from runsync.storage.tables import months, runs, steps

MARGIN = timedelta(days=35)
"""How far history must be covered after a month: until then a provider may run it again."""
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class MonthToPrune:
    """A month of the database's runs that lies before the date.

    ``kept`` is why its rows stay; empty where they go, or have gone.
    """

    pipeline_id: int
    month: str
    runs: int
    steps: int = 0
    kept: str = ""


def months_to_prune(
    database: Database, place: str | Path | ArchiveLocation, before: datetime
) -> list[MonthToPrune]:
    """What of the database lies before a date, and whether the archive's state lets it go.

    Args:
        before: a month goes only if it ends no later.

    Raises:
        ArchiveError: there is no archive, it is of another database, or a file is missing.
    """
    location = located(place)
    manifest = read_manifest(location)
    with errors_in_sentences(location), database.read() as connection:
        check_same_database(location, manifest, small_tables(connection))
        return sorted(
            _found(connection, manifest, before), key=lambda one: (one.month, one.pipeline_id)
        )


def prune(
    database: Database,
    place: str | Path | ArchiveLocation,
    wanted: list[MonthToPrune],
    watch: Callable[[MonthToPrune], None] = lambda _one: None,
) -> list[MonthToPrune]:
    """Deletes the rows of months, each in one transaction, once the archive's own rows are equal.

    Args:
        wanted: of :func:`months_to_prune`; those that are kept are passed over.
        watch: told of each.

    Returns:
        What became of each of them.

    Raises:
        ArchiveError: the archive cannot be read; what was deleted until then is in it.
    """
    check_pyarrow()
    location = located(place)
    manifest = read_manifest(location)
    rows = ArchivedRows(location, manifest)
    done = []
    for one in wanted:
        if not one.kept:
            key = (one.pipeline_id, one.month)
            one = replace(one, kept=_pruned(database, manifest, rows, key))
            watch(one)
        done.append(one)
    return done


def _found(connection: Connection, manifest: Manifest, before: datetime) -> Iterator[MonthToPrune]:
    versions, seals = month_versions(connection), Seals(connection)
    old = {key for key in versions if Month.named(key[1]).end <= before}
    for key, number in run_counts(connection, {month for _, month in old}).items():
        known = manifest.months.get(key)
        kept = ""
        if known is None or known.version != versions[key]:
            kept = "not exported since it was written; `runsync export` does it"
        elif not (known.sealed and seals.holds(key)):
            kept = "not sealed: not covered, or a run in it is unsettled or lacks its steps"
        elif not seals.holds(key, MARGIN):
            kept = f"too young: its runs may be run again for {MARGIN.days} days"
        yield MonthToPrune(*key, number, known.steps if known else 0, kept)


def _pruned(database: Database, manifest: Manifest, rows: ArchivedRows, key: MonthKey) -> str:
    """Deletes a month's rows; why they stay, where they do."""
    try:
        archived = archived_checksums(rows, manifest, key)
    except ArchiveError as error:
        return str(error)
    version = manifest.months[key].version

    def write(connection: Connection) -> str:
        row = (months.c.pipeline_id == key[0]) & (months.c.month == key[1])
        found = connection.execute(select(months.c.version).where(row).with_for_update())
        if found.scalar_one_or_none() != version:
            return "written since; export again"
        ids = _locked_runs(connection, key)
        stored = dict(database_checksums(connection, [key])).get(key)
        may_lack = key in pruned_months(connection)
        if stored is None or set(ids) != set(stored.by_run):
            return "written since; export again"
        if different_runs(stored, archived, may_lack):
            return "not the same as in the archive; `runsync verify --archived` names the runs"
        _delete(connection, key[0], ids)
        told: dict[str, Any] = {"version": version, "pruned_at": datetime.now(UTC)}
        connection.execute(update(months).where(row).values(**told, pruned_runs=archived.runs))
        return ""

    return database.transact(write)


def _locked_runs(connection: Connection, key: MonthKey) -> list[str]:
    """The ids of a month's runs, which nobody else may change until the transaction ends."""
    month, r = Month.named(key[1]), runs.c
    query = select(r.id).where(
        r.pipeline_id + 0 == key[0], r.created_at >= month.first, r.created_at < month.end
    )
    return list(connection.execute(query.order_by(r.id).with_for_update()).scalars())


def _delete(connection: Connection, pipeline_id: int, ids: list[str]) -> None:
    for first in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[first : first + _IDS_AT_ONCE]
        of_runs = (steps.c.pipeline_id == pipeline_id) & steps.c.run_id.in_(some)
        connection.execute(delete(steps).where(of_runs))
        these = (runs.c.pipeline_id == pipeline_id) & runs.c.id.in_(some)
        connection.execute(delete(runs).where(these))


def count_pruned(database: Database) -> int:
    """How many runs are in an archive alone."""
    total = select(func.coalesce(func.sum(months.c.pruned_runs), 0))
    with database.read() as connection:
        return int(connection.execute(total).scalar_one())

"""What the engine needs of the database, in its own words: runs, coverage, what is unfinished.

A page's runs, their steps and the stretch of history that they extend are one transaction, so a
sync may be killed anywhere. Statements and their rules stand in ``upserts``.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    func,
    insert,
    not_,
    select,
    tuple_,
    update,
)

from runsync.coverage import Interval, union
from runsync.records import Cursor, Pipeline, Run, RunWithSteps
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.upserts import (
    VERSION_KEY,
    Key,
    Row,
    RowEncoder,
    forget_state,
    insert_for,
    touch_runs,
    write_runs,
    write_steps,
)
from runsync.text import visible

_LONGEST_ERROR = 10_000
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class StoredState:
    """What is stored of a run, as far as it decides whether to ask for the run again."""

    settled: bool
    version: str | None
    vanished: bool
    steps_synced_at: datetime | None
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class RunToWrite:
    """A run to be stored. ``with_steps`` is False where its steps could not be had."""

    details: RunWithSteps
    settled: bool
    with_steps: bool = True


@dataclass(slots=True)
class Counts:
    """What a sync has written."""

    runs_new: int = 0
    runs_updated: int = 0
    steps_written: int = 0

    def add(self, other: "Counts") -> None:
        self.runs_new += other.runs_new
        self.runs_updated += other.runs_updated
        self.steps_written += other.steps_written


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes."""

    runs: Sequence[RunToWrite] = ()
    intervals: Sequence[Interval] = ()
    vanished: Sequence[tuple[Pipeline, str, datetime]] = ()


@dataclass(slots=True)
class ListingStore:
    """The rows of one listing of one source.

    Args:
        label: the user's own name for the pipeline, where the config gives one.
    """

    database: Database
    source: str
    listing: str
    label: str | None = None
    _ids: dict[str, tuple[int, Pipeline]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # Reading.

    def coverage(self) -> list[Interval]:
        """The complete stretches of this listing's history, newest first."""
        with self.database.read() as connection:
            return _coverage(connection, self.listing)

    def known(self, runs: Iterable[Run]) -> dict[tuple[str, str], StoredState]:
        """What is stored of these runs, by their pipeline's external id and their own."""
        wanted = list(runs)
        with self.database.read() as connection:
            ids = self._stored_ids(connection, {run.pipeline.external_id for run in wanted})
            names = {number: external_id for external_id, number in ids.items()}
            found = _known(connection, ids.values(), [run.id for run in wanted])
        return {(names[number], run_id): known for (number, run_id), known in found.items()}

    def stored(self, runs: Iterable[Run]) -> dict[tuple[str, str], dict[str, Any]]:
        """The whole rows of these runs, by their pipeline's external id and their own."""
        wanted = list(runs)
        query = (
            select(tables.pipelines.c.external_id, tables.runs)
            .join(tables.pipelines, tables.pipelines.c.id == tables.runs.c.pipeline_id)
            .where(
                tables.pipelines.c.source == self.source,
                tables.pipelines.c.external_id.in_({run.pipeline.external_id for run in wanted}),
                tables.runs.c.id.in_([run.id for run in wanted]),
            )
        )
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return {(row["external_id"], row["id"]): dict(row) for row in rows}

    def stored_steps(self, runs: Iterable[Run]) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
        """The whole rows of these runs' steps by their ids, by the run's key as in ``stored``."""
        wanted = list(runs)
        query = (
            select(tables.pipelines.c.external_id, tables.steps)
            .join(tables.pipelines, tables.pipelines.c.id == tables.steps.c.pipeline_id)
            .where(
                tables.pipelines.c.source == self.source,
                tables.pipelines.c.external_id.in_({run.pipeline.external_id for run in wanted}),
                tables.steps.c.run_id.in_([run.id for run in wanted]),
            )
        )
        found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        with self.database.read() as connection:
            for row in connection.execute(query).mappings():
                steps = found.setdefault((row["external_id"], row["run_id"]), {})
                steps[row["id"]] = dict(row)
        return found

    def present(self, since: datetime | None = None) -> Iterator[tuple[Pipeline, str]]:
        """The runs of this listing that the provider was last known to have, a few at a time."""
        last: tuple[int, str] = (-1, "")
        while True:
            query = (
                _of_listing(
                    self.listing,
                    tables.pipelines.c.external_id,
                    tables.pipelines.c.name,
                    tables.runs.c.pipeline_id,
                    tables.runs.c.id,
                )
                .where(
                    *_is_present(since),
                    tuple_(tables.runs.c.pipeline_id, tables.runs.c.id) > tuple_(*last),
                )
                .order_by(tables.runs.c.pipeline_id, tables.runs.c.id)
                .limit(_AT_ONCE)
            )
            with self.database.read() as connection:
                rows = connection.execute(query).all()
            for external_id, name, _, run_id in rows:
                yield Pipeline(external_id, name), run_id
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1][2], rows[-1][3]

    def count_present(self, since: datetime | None = None) -> int:
        """How many runs ``present`` gives."""
        query = _of_listing(self.listing, func.count()).where(*_is_present(since))
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def unsettled(self, *, incomplete_only: bool = False) -> list[tuple[Pipeline, str]]:
        """The runs that may still change, those first that were read longest ago.

        Args:
            incomplete_only: leave out those whose steps were read whole.
        """
        incomplete = [tables.runs.c.steps_synced_at.is_(None)] if incomplete_only else []
        query = (
            _of_listing(
                self.listing,
                tables.pipelines.c.external_id,
                tables.pipelines.c.name,
                tables.runs.c.id,
            )
            .where(not_(tables.runs.c.settled), tables.runs.c.vanished_at.is_(None), *incomplete)
            .order_by(tables.runs.c.last_seen_at, tables.runs.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(Pipeline(external_id, name), run_id) for external_id, name, run_id in rows]

    def rank(self, cursor: Cursor) -> int:
        """How many stored runs stand above a place in the listing."""
        query = _of_listing(self.listing, func.count()).where(
            tables.runs.c.created_at > cursor.at, tables.runs.c.vanished_at.is_(None)
        )
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def memory(self) -> dict[str, Any]:
        """What the source wanted to remember of this listing."""
        query = select(tables.listings.c.memory).where(tables.listings.c.listing == self.listing)
        with self.database.read() as connection:
            return dict(connection.execute(query).scalar() or {})

    # Writing.

    def ensure_pipelines(self, pipelines: Iterable[Pipeline]) -> None:
        """Makes sure that these pipelines have rows, and that they are known to be listed here."""
        wanted = list(pipelines)
        if all(self._is_current(pipeline) for pipeline in wanted):
            return
        with self.database.write() as connection:
            self._ensure_pipelines(connection, wanted)

    def save(self, batch: Batch) -> Counts:
        """Writes a batch whole, or not at all."""
        with self.database.write() as connection:
            self._ensure_pipelines(connection, _pipelines(batch.runs))
            counts = self._save_runs(connection, batch.runs)
            for pipeline, run_id, at in batch.vanished:
                counts.runs_updated += self._vanish(connection, pipeline, run_id, at)
            if batch.intervals:
                self._extend(connection, batch.intervals)
        return counts

    def mark_vanished(self, pipeline: Pipeline, run_id: str, at: datetime) -> None:
        """Marks a run that the provider no longer knows, ``at`` by its clock."""
        self.save(Batch(vanished=[(pipeline, run_id, at)]))

    def overwrite(self, run: RunToWrite) -> None:
        """Stores a run as it was read, whatever is stored of it, settled or not.

        Steps that the answer lacks are taken away, unless it has none at all: a provider that
        forgets steps takes nothing away.
        """
        with self.database.write() as connection:
            self._ensure_pipelines(connection, [run.details.run.pipeline])
            key = self._key(run.details.run)
            forget_state(connection, key, with_steps=bool(run.details.steps))
            self._save_runs(connection, [run])

    def save_memory(self, memory: dict[str, Any]) -> None:
        """Keeps what the source wants to know next time."""
        if memory == self.memory():
            return
        with self.database.write() as connection:
            connection.execute(
                delete(tables.listings).where(tables.listings.c.listing == self.listing)
            )
            connection.execute(insert(tables.listings), {"listing": self.listing, "memory": memory})

    def begin(self) -> int:
        """Notes that a sync begins; its number. The caller holds the listing's lock, so whatever
        sync still counts as running was killed."""
        now = datetime.now(UTC)
        killed = (
            update(tables.syncs)
            .where(tables.syncs.c.listing == self.listing, tables.syncs.c.outcome == "running")
            .values(outcome="interrupted", finished_at=now, error="it was stopped from outside")
        )
        row = {"listing": self.listing, "started_at": now, "outcome": "running"}
        none_yet = dict.fromkeys(("requests", "runs_new", "runs_updated", "steps_written"), 0)
        with self.database.write() as connection:
            connection.execute(killed)
            result = connection.execute(insert(tables.syncs).values(row | none_yet))
            (number,) = result.inserted_primary_key or (0,)
        return int(number)

    def end(
        self, number: int, outcome: str, counts: Counts, requests: int, error: str | None
    ) -> None:
        """Notes how a sync ended."""
        values = {
            "finished_at": datetime.now(UTC),
            "outcome": outcome,
            "requests": requests,
            "runs_new": counts.runs_new,
            "runs_updated": counts.runs_updated,
            "steps_written": counts.steps_written,
            "error": visible(error, _LONGEST_ERROR) if error else None,
        }
        with self.database.write() as connection:
            connection.execute(
                update(tables.syncs).where(tables.syncs.c.id == number).values(values)
            )

    # Pipelines.

    def _stored_ids(self, connection: Connection, external_ids: set[str]) -> dict[str, int]:
        query = select(tables.pipelines.c.external_id, tables.pipelines.c.id).where(
            tables.pipelines.c.source == self.source,
            tables.pipelines.c.external_id.in_(external_ids),
        )
        return dict(connection.execute(query).all())

    def _is_current(self, pipeline: Pipeline) -> bool:
        known = self._ids.get(pipeline.external_id)
        return known is not None and (pipeline.name is None or known[1] == pipeline)

    def _ensure_pipelines(self, connection: Connection, pipelines: Iterable[Pipeline]) -> None:
        for pipeline in pipelines:
            if not self._is_current(pipeline):
                number = self._pipeline_row(connection, pipeline)
                self._list_here(connection, number)
                with self._lock:
                    self._ids[pipeline.external_id] = (number, pipeline)

    def _pipeline_row(self, connection: Connection, pipeline: Pipeline) -> int:
        same = (
            tables.pipelines.c.source == self.source,
            tables.pipelines.c.external_id == pipeline.external_id,
        )
        told = {
            "name": self.label or pipeline.name,
            "url": pipeline.url,
            "created_at": pipeline.created_at,
            "extra": dict(pipeline.extra) or None,
        }
        given = {key: value for key, value in told.items() if value is not None}
        first = {"source": self.source, "external_id": pipeline.external_id}
        fallback = {"name": pipeline.external_id}
        _insert_new(
            connection, tables.pipelines, first | fallback | given, ["source", "external_id"]
        )
        row = connection.execute(select(tables.pipelines).where(*same)).mappings().one()
        if any(row[key] != value for key, value in given.items()):
            connection.execute(update(tables.pipelines).where(*same).values(given))
        return int(row["id"])

    def _list_here(self, connection: Connection, number: int) -> None:
        row = {"listing": self.listing, "pipeline_id": number}
        _insert_new(connection, tables.listing_pipelines, row, ["listing", "pipeline_id"])

    # Runs and steps.

    def _save_runs(self, connection: Connection, fetched: Sequence[RunToWrite]) -> Counts:
        chosen = {self._key(f.details.run): f for f in fetched}
        if not chosen:
            return Counts()
        stored = _known(
            connection,
            {number for number, _ in chosen},
            [run_id for _, run_id in chosen],
            lock=True,
        )
        rows, keys = RowEncoder(connection.dialect), sorted(chosen)
        written = write_runs(
            connection,
            [
                rows.run(key, f.details, settled=f.settled, with_steps=f.with_steps)
                for key in keys
                for f in [chosen[key]]
            ],
        )
        new = sum(key not in stored for key in keys)
        steps_written = _save_steps(connection, rows, chosen, stored)
        touch_runs(
            connection,
            [
                (key, chosen[key].details, chosen[key].with_steps)
                for key in keys
                if _is_open(stored, key)
            ],
        )
        return Counts(new, max(written - new, 0), steps_written)

    def _key(self, run: Run) -> Key:
        return self._ids[run.pipeline.external_id][0], run.id

    def _vanish(self, connection: Connection, pipeline: Pipeline, run_id: str, at: datetime) -> int:
        """Marks a run that the provider no longer knows. Nothing of it is taken away."""
        ids = self._stored_ids(connection, {pipeline.external_id})
        return connection.execute(
            update(tables.runs)
            .where(
                tables.runs.c.pipeline_id.in_(ids.values()),
                tables.runs.c.id == run_id,
                tables.runs.c.vanished_at.is_(None),
            )
            .values(vanished_at=at)
        ).rowcount

    def _extend(self, connection: Connection, intervals: Sequence[Interval]) -> None:
        """Adds to what is covered. Read and written in one transaction, since another machine
        may have added to it too."""
        if connection.dialect.name == "postgresql":
            key = func.hashtextextended(self.listing, 1)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        before = _coverage(connection, self.listing)
        after = union([*before, *intervals])
        if after == before:
            return
        connection.execute(delete(tables.coverage).where(tables.coverage.c.listing == self.listing))
        connection.execute(insert(tables.coverage), [_stretch_row(self.listing, s) for s in after])


def _of_listing(listing: str, *columns: Any) -> Select[Any]:
    """A query over the runs of a listing's pipelines."""
    return (
        select(*columns)
        .select_from(tables.runs)
        .join(tables.pipelines, tables.pipelines.c.id == tables.runs.c.pipeline_id)
        .join(
            tables.listing_pipelines,
            tables.listing_pipelines.c.pipeline_id == tables.runs.c.pipeline_id,
        )
        .where(tables.listing_pipelines.c.listing == listing)
    )


def _is_present(since: datetime | None) -> list[ColumnElement[bool]]:
    wanted = [tables.runs.c.created_at >= since] if since else []
    return [tables.runs.c.vanished_at.is_(None), *wanted]


def _pipelines(fetched: Iterable[RunToWrite]) -> Iterable[Pipeline]:
    """Each run's pipeline, once; a page is mostly of one."""
    return {f.details.run.pipeline.external_id: f.details.run.pipeline for f in fetched}.values()


def _known(
    connection: Connection, pipeline_ids: Iterable[int], run_ids: list[str], *, lock: bool = False
) -> dict[Key, StoredState]:
    query = select(
        tables.runs.c.pipeline_id,
        tables.runs.c.id,
        tables.runs.c.settled,
        tables.runs.c.extra,
        tables.runs.c.vanished_at,
        tables.runs.c.steps_synced_at,
        tables.runs.c.last_seen_at,
    ).where(tables.runs.c.pipeline_id.in_(list(pipeline_ids)), tables.runs.c.id.in_(run_ids))
    if lock:
        query = query.with_for_update().order_by(tables.runs.c.pipeline_id, tables.runs.c.id)
    return {
        (pipeline_id, run_id): StoredState(
            settled, (extra or {}).get(VERSION_KEY), vanished is not None, synced, seen
        )
        for pipeline_id, run_id, settled, extra, vanished, synced, seen in connection.execute(query)
    }


def _coverage(connection: Connection, listing: str) -> list[Interval]:
    query = select(tables.coverage).where(tables.coverage.c.listing == listing)
    intervals = [
        Interval(
            Cursor(row["newest_created_at"], row["newest_run_id"]),
            Cursor(row["oldest_created_at"], row["oldest_run_id"]),
            row["reaches_start"],
        )
        for row in connection.execute(query).mappings()
    ]
    return sorted(intervals, key=lambda s: s.newest, reverse=True)


def _stretch_row(listing: str, interval: Interval) -> dict[str, Any]:
    return {
        "listing": listing,
        "newest_created_at": interval.newest.at,
        "newest_run_id": interval.newest.id,
        "oldest_created_at": interval.oldest.at,
        "oldest_run_id": interval.oldest.id,
        "reaches_start": interval.reaches_start,
    }


def _insert_new(connection: Connection, row: Any, values: dict[str, Any], key: list[str]) -> None:
    insert_into = insert_for(connection.dialect.name, row)
    statement = insert_into.values(values).on_conflict_do_nothing(index_elements=key)
    connection.execute(statement)


def _save_steps(
    connection: Connection,
    rows: RowEncoder,
    chosen: dict[Key, RunToWrite],
    stored: dict[Key, StoredState],
) -> int:
    newer: list[Row] = []
    older: list[Row] = []
    for key in sorted(chosen):
        found = sorted(chosen[key].details.steps, key=lambda s: s.id)
        bring = newer if _brings_newer_steps(chosen[key], stored.get(key)) else older
        bring += [rows.step(key, step) for step in found]
    return write_steps(connection, newer) + write_steps(connection, older, newer=False)


def _brings_newer_steps(fetched: RunToWrite, stored: StoredState | None) -> bool:
    """Whether an answer's steps may replace those that an earlier one left."""
    if stored is None or stored.steps_synced_at is None:
        return True
    version = fetched.details.run.version
    if version and stored.version and version != stored.version:
        return version > stored.version
    if fetched.settled != stored.settled:
        return fetched.settled
    return fetched.details.as_of >= stored.steps_synced_at


def _is_open(stored: dict[Key, StoredState], key: Key) -> bool:
    return key in stored and not stored[key].settled

"""What a sync reads and writes of one listing: its runs, its coverage, how each sync ended.

A page's runs, their steps and the interval of history that they extend are one transaction, so a
sync may be killed anywhere. The statements and their rules stand in ``upserts``.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from runsync.coverage import Interval, union
from runsync.records import GRACE, Cursor, Pipeline, Run, RunWithSteps
from runsync.storage import tables
from runsync.storage.sync_log import Counts, SyncLog
from runsync.storage.upserts import (
    VERSION_KEY,
    Key,
    Row,
    RowEncoder,
    execute_many,
    insert_for,
    run_upsert,
    step_upsert,
    touch_statement,
)

RunKey = tuple[str, str]
"""A run's pipeline, by its external id, and the run's own id."""


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

    @property
    def key(self) -> RunKey:
        run = self.details.run
        return run.pipeline.external_id, run.id


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes."""

    runs: Sequence[RunToWrite] = ()
    intervals: Sequence[Interval] = ()
    vanished: Sequence[tuple[Pipeline, str, datetime]] = ()


@dataclass(slots=True)
class ListingStore(SyncLog):
    """The rows of one listing of one source.

    Args:
        label: the user's own name for the pipeline, where the config gives one.
    """

    label: str | None = None
    _pipelines: dict[str, tuple[int, Pipeline]] = field(default_factory=dict)
    """The pipelines whose rows were committed, by external id, with their numbers."""

    def lock(self, *, wait: bool = False) -> AbstractContextManager[None]:
        """Holds the listing's lock; see :meth:`Database.lock`."""
        return self.database.lock(self.listing, wait=wait)

    # Reading.

    def coverage(self) -> list[Interval]:
        """The complete intervals of this listing's history, newest first."""
        with self.database.read() as connection:
            return self._coverage(connection)

    def known(self, runs: Iterable[Run]) -> dict[RunKey, StoredState]:
        """What is stored of these runs, by their pipeline's external id and their own."""
        with self.database.read() as connection:
            return self._states(connection, runs)

    def unsettled(self, *, incomplete_only: bool = False) -> list[tuple[Pipeline, str]]:
        """The runs that may still change, those first that were read longest ago.

        One that the provider did not know is among them until it has said so twice.

        Args:
            incomplete_only: leave out those whose steps were read whole.
        """
        p, r = tables.pipelines.c, tables.runs.c
        lacks_steps = or_(r.steps_synced_at.is_(None), r.steps_synced_at < r.last_seen_at)
        query = (
            runs_of_listing(self.listing, p.external_id, p.name, r.id)
            .where(not_(r.settled))
            .where(*([lacks_steps] if incomplete_only else []))
            .order_by(r.last_seen_at, r.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(Pipeline(external_id, name), run_id) for external_id, name, run_id in rows]

    def rank(self, cursor: Cursor) -> int:
        """How many stored runs stand above a place in the listing."""
        r = tables.runs.c
        above = runs_of_listing(self.listing, func.count()).where(
            r.created_at > cursor.at, r.vanished_at.is_(None)
        )
        with self.database.read() as connection:
            return int(connection.execute(above).scalar_one())

    def memory(self) -> dict[str, Any]:
        """What the source wanted to keep of this listing."""
        found = tables.listings.c
        with self.database.read() as connection:
            query = select(found.memory).where(found.listing == self.listing)
            return dict(connection.execute(query).scalar() or {})

    # Writing.

    def ensure_pipelines(self, pipelines: Iterable[Pipeline]) -> None:
        """Makes sure that these pipelines have rows, and that they are known to be listed here."""
        changed = [one for one in pipelines if not self._is_current(one)]
        if changed:
            for attempt in self.database.attempts(self.listing):
                with attempt as connection:
                    written = self._ensure_pipelines(connection, changed)
            self._pipelines |= written

    def save(self, batch: Batch) -> Counts:
        """Writes a batch whole, or not at all."""
        for attempt in self.database.attempts(self.listing):
            with attempt as connection:
                pipelines = {one.key[0]: one.details.run.pipeline for one in batch.runs}
                written = self._ensure_pipelines(connection, pipelines.values())
                counts = self._save_runs(connection, batch.runs, written)
                for pipeline, run_id, at in batch.vanished:
                    counts.runs_updated += self._vanish(connection, pipeline, run_id, at)
                if batch.intervals:
                    self._extend(connection, batch.intervals)
        self._pipelines |= written
        return counts

    def save_memory(self, memory: dict[str, Any]) -> None:
        """Keeps what the source wants to know next time."""
        if memory == self.memory():
            return
        row = {"listing": self.listing, "memory": memory}
        for attempt in self.database.attempts(self.listing):
            with attempt as connection:
                of_listing = tables.listings.c.listing == self.listing
                connection.execute(delete(tables.listings).where(of_listing))
                connection.execute(insert(tables.listings), row)

    # Pipelines.

    def _is_current(self, pipeline: Pipeline) -> bool:
        known = self._pipelines.get(pipeline.external_id)
        return known is not None and (pipeline.name is None or known[1] == pipeline)

    def _ensure_pipelines(
        self, connection: Connection, pipelines: Iterable[Pipeline]
    ) -> dict[str, tuple[int, Pipeline]]:
        """Writes what is new of these pipelines, to be kept in mind once it is committed."""
        return {
            one.external_id: self._pipelines[one.external_id]
            if self._is_current(one)
            else (self._write_pipeline(connection, one), one)
            for one in pipelines
        }

    def _write_pipeline(self, connection: Connection, pipeline: Pipeline) -> int:
        """Inserts a pipeline or brings its row up to date; the row's number."""
        p = tables.pipelines.c
        told = {
            "name": self.label or pipeline.name,
            "url": pipeline.url,
            "created_at": pipeline.created_at,
            "extra": dict(pipeline.extra) or None,
        }
        given = {key: value for key, value in told.items() if value is not None}
        key = {"source": self.source, "external_id": pipeline.external_id}
        row = {"name": pipeline.external_id} | key | given
        insert_new = insert_for(connection.dialect.name, tables.pipelines).on_conflict_do_nothing()
        connection.execute(insert_new.values(row))
        same = and_(p.source == self.source, p.external_id == pipeline.external_id)
        stored = connection.execute(select(tables.pipelines).where(same)).mappings().one()
        if any(stored[name] != value for name, value in given.items()):
            connection.execute(update(tables.pipelines).where(same).values(given))
        insert_new = insert_for(connection.dialect.name, tables.listing_pipelines)
        listed = {"listing": self.listing, "pipeline_id": stored["id"]}
        connection.execute(insert_new.values(listed).on_conflict_do_nothing())
        return int(stored["id"])

    # Runs and steps.

    def _states(
        self, connection: Connection, runs: Iterable[Run], *, lock: bool = False
    ) -> dict[RunKey, StoredState]:
        wanted = list(runs)
        p, r = tables.pipelines.c, tables.runs.c
        state = (r.settled, r.extra, r.vanished_at, r.steps_synced_at, r.last_seen_at)
        query = (
            select(p.external_id, r.id, *state)
            .join(tables.pipelines, p.id == r.pipeline_id)
            .where(
                p.source == self.source,
                p.external_id.in_({run.pipeline.external_id for run in wanted}),
                r.id.in_([run.id for run in wanted]),
            )
        )
        if lock:
            query = query.with_for_update(of=tables.runs).order_by(r.pipeline_id, r.id)
        return {
            (external_id, run_id): StoredState(
                settled, (extra or {}).get(VERSION_KEY), vanished is not None, *times
            )
            for external_id, run_id, settled, extra, vanished, *times in connection.execute(query)
        }

    def _save_runs(
        self,
        connection: Connection,
        runs: Sequence[RunToWrite],
        pipelines: Mapping[str, tuple[int, Pipeline]],
    ) -> Counts:
        """Writes runs and steps in the order of their keys, so that no two writers deadlock."""
        numbered = {(pipelines[one.key[0]][0], one.key[1]): one for one in runs}
        to_write: dict[Key, RunToWrite] = dict(sorted(numbered.items()))
        if not to_write:
            return Counts()
        stored = self._states(connection, (one.details.run for one in runs), lock=True)
        encoder, dialect = RowEncoder(connection.dialect), connection.dialect.name
        rows = [
            encoder.run(key, one.details, settled=one.settled, with_steps=one.with_steps)
            for key, one in to_write.items()
        ]
        newer: list[Row] = []
        older: list[Row] = []
        for key, one in to_write.items():
            part = newer if _brings_newer_steps(one, stored.get(one.key)) else older
            steps = sorted(one.details.steps, key=lambda step: step.id)
            part += [encoder.step(key, step) for step in steps]
        written = execute_many(connection, run_upsert(dialect), rows)
        new = sum(one.key not in stored for one in to_write.values())
        steps_written = execute_many(connection, step_upsert(dialect, newer=True), newer)
        steps_written += execute_many(connection, step_upsert(dialect, newer=False), older)
        seen_again = [
            {
                "b_pipeline_id": key[0],
                "b_id": key[1],
                "b_seen": one.details.as_of,
                "b_synced": one.details.as_of if one.with_steps else None,
            }
            for key, one in to_write.items()
            if one.key in stored and not stored[one.key].settled
        ]
        if seen_again:
            connection.execute(touch_statement(), seen_again)
        return Counts(new, max(written - new, 0), steps_written)

    def _vanish(self, connection: Connection, pipeline: Pipeline, run_id: str, at: datetime) -> int:
        """Marks a run that the provider no longer knows. Nothing of it is deleted.

        A passing 404 is no proof: the run is settled, and not asked for any more, when it is not
        known a second time after the grace period.
        """
        p, r = tables.pipelines.c, tables.runs.c
        of_pipeline = select(p.id).where(
            p.source == self.source, p.external_id == pipeline.external_id
        )
        is_run = and_(r.pipeline_id.in_(of_pipeline), r.id == run_id)
        again = update(tables.runs).where(is_run, r.vanished_at <= at - GRACE)
        connection.execute(again.values(settled=True))
        first = update(tables.runs).where(is_run, r.vanished_at.is_(None))
        return connection.execute(first.values(vanished_at=at)).rowcount

    # Coverage.

    def _coverage(self, connection: Connection) -> list[Interval]:
        query = select(tables.coverage).where(tables.coverage.c.listing == self.listing)
        intervals = [
            Interval(
                Cursor(row["newest_created_at"], row["newest_run_id"]),
                Cursor(row["oldest_created_at"], row["oldest_run_id"]),
                row["reaches_start"],
            )
            for row in connection.execute(query).mappings()
        ]
        return sorted(intervals, key=lambda interval: interval.newest, reverse=True)

    def _extend(self, connection: Connection, intervals: Sequence[Interval]) -> None:
        """Adds to what is covered. Read and written in one transaction, since another machine
        may have added to it too."""
        if connection.dialect.name == "postgresql":
            key = func.hashtextextended(self.listing, 1)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        before = self._coverage(connection)
        after = union([*before, *intervals])
        if after == before:
            return
        of_listing = tables.coverage.c.listing == self.listing
        connection.execute(delete(tables.coverage).where(of_listing))
        rows = [
            {
                "listing": self.listing,
                "newest_created_at": interval.newest.at,
                "newest_run_id": interval.newest.id,
                "oldest_created_at": interval.oldest.at,
                "oldest_run_id": interval.oldest.id,
                "reaches_start": interval.reaches_start,
            }
            for interval in after
        ]
        connection.execute(insert(tables.coverage), rows)


def runs_of_listing(listing: str, *columns: Any) -> Select[Any]:
    """A query over the runs of a listing's pipelines."""
    p, r, listed = tables.pipelines.c, tables.runs.c, tables.listing_pipelines.c
    return (
        select(*columns)
        .select_from(tables.runs)
        .join(tables.pipelines, p.id == r.pipeline_id)
        .join(tables.listing_pipelines, listed.pipeline_id == r.pipeline_id)
        .where(listed.listing == listing)
    )


def _brings_newer_steps(answer: RunToWrite, stored: StoredState | None) -> bool:
    """Whether an answer's steps may replace those that an earlier one left."""
    if stored is None or stored.steps_synced_at is None:
        return True
    version = answer.details.run.version
    if version and stored.version and version != stored.version:
        return version > stored.version
    if answer.settled != stored.settled:
        return answer.settled
    return answer.details.as_of >= stored.steps_synced_at


__all__ = [
    "Batch",
    "Counts",
    "ListingStore",
    "RunKey",
    "RunToWrite",
    "StoredState",
    "runs_of_listing",
]

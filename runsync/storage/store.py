"""What a sync reads and writes of one listing: its runs, its coverage, how each sync ended.

A page's runs, their steps and the interval of history that they extend are one transaction, so a
sync may be killed anywhere. The statements and their rules stand in ``upserts``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
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
from runsync.records import GRACE, Cursor, Pipeline
from runsync.storage import tables
from runsync.storage.runs import (
    RunKey,
    RunToWrite,
    StoredState,
    is_set_aside,
    save_runs,
    stored_states,
    take_back,
)
from runsync.storage.sync_log import Counts, SyncLog
from runsync.storage.upserts import insert_for
from runsync.text import visible

_LONGEST_REASON = 10_000
_GONE = "run {}: the provider does not know it any more"
_GONE_FOR_GOOD = timedelta(days=30)
"""How long after a run was not found first it is not asked for any more."""
PipelineRows = dict[str, tuple[int, Pipeline]]
"""Pipelines and the numbers of their rows, by external id."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A run whose steps cannot be read, or that counts as gone, why, and when it last was so."""

    pipeline: Pipeline
    run_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes. ``pipelines`` are listed here, also where no run is new."""

    runs: Sequence[RunToWrite] = ()
    intervals: Sequence[Interval] = ()
    vanished: Sequence[tuple[Pipeline, str, datetime]] = ()
    vanished_though_listed: Sequence[tuple[Pipeline, str, datetime]] = ()
    set_aside: Sequence[SetAside] = ()
    pipelines: Sequence[Pipeline] = ()


@dataclass(slots=True)
class ListingStore(SyncLog):
    """The rows of one listing of one source.

    Args:
        label: the user's own name for the pipeline, where the config gives one.
    """

    label: str | None = None
    _pipelines: PipelineRows = field(default_factory=dict)
    """Those whose rows were committed."""

    # Reading.

    def coverage(self) -> list[Interval]:
        """The complete intervals of this listing's history, newest first."""
        return self.database.transact(self._coverage, reads=True)

    def known(self, runs: Iterable[RunKey]) -> dict[RunKey, StoredState]:
        """What is stored of these runs, by their pipeline's external id and their own."""
        read = partial(stored_states, source=self.source, keys=[*runs])
        return self.database.transact(read, reads=True)

    def unsettled(
        self, *, incomplete_only: bool = False, but_set_aside_after: datetime | None = None
    ) -> list[tuple[Pipeline, str]]:
        """The runs that may still change, those first that were read longest ago.

        One that the provider did not know is among them until it has said so twice.

        Args:
            incomplete_only: leave out those whose steps were read whole.
            but_set_aside_after: leave out those that were found unreadable or gone, and set aside,
                later.
        """
        p, r = tables.pipelines.c, tables.runs.c
        lacks_steps = or_(r.steps_synced_at.is_(None), r.steps_synced_at < r.last_seen_at)
        gone_once, after = r.vanished_at.is_not(None), but_set_aside_after
        query = (
            runs_of_listing(self.listing, p.external_id, p.name, r.id, r.last_seen_at)
            .where(tables.is_unsettled)
            .where(*([or_(lacks_steps, is_set_aside(), gone_once)] if incomplete_only else []))
            .where(*([not_(is_set_aside(after))] if after else []))
        )
        rows = self.database.rows(query)
        rows = sorted(rows, key=lambda row: (row.last_seen_at, row.id))
        return [(Pipeline(row.external_id, row.name), row.id) for row in rows]

    def rank(self, cursor: Cursor) -> int:
        """How many stored runs stand above a place in the listing."""
        r = tables.runs.c
        above = runs_of_listing(self.listing, func.count()).where(
            r.created_at > cursor.at, r.vanished_at.is_(None)
        )
        return int(self.database.rows(above)[0][0])

    def newest(self) -> tuple[Pipeline, str] | None:
        """The newest run of this listing that the provider was last known to have."""
        p, r = tables.pipelines.c, tables.runs.c
        query = (
            runs_of_listing(self.listing, p.external_id, p.name, r.id)
            .where(r.vanished_at.is_(None))
            .order_by(r.created_at.desc())
            .limit(1)
        )
        rows = self.database.rows(query)
        return (Pipeline(rows[0][0], rows[0][1]), rows[0][2]) if rows else None

    def not_found_once(self) -> set[str]:
        """The runs that the provider did not know when last asked, and that are asked for again:
        not those that are set aside."""
        r = tables.runs.c
        query = runs_of_listing(self.listing, r.id).where(
            tables.is_unsettled, r.vanished_at.is_not(None), not_(is_set_aside())
        )
        return {row[0] for row in self.database.rows(query)}

    def set_aside_runs(self) -> list[SetAside]:
        """The runs of this listing that are set aside, those first that have been so longest."""
        p, s = tables.pipelines.c, tables.set_aside.c
        query = (
            select(p.external_id, p.name, s.run_id, s.reason, s.at)
            .join(tables.pipelines, p.id == s.pipeline_id)
            .where(s.listing == self.listing)
            .order_by(s.at, s.run_id)
        )
        rows = self.database.rows(query)
        return [SetAside(Pipeline(row[0], row[1]), *row[2:]) for row in rows]

    def pruned(self) -> set[tuple[str, str]]:
        """The months whose runs are in an archive alone, as :attr:`.Run.month_key`: none of them
        is to be read again because it is not here."""
        p, m = tables.pipelines.c, tables.months.c
        query = (
            select(p.external_id, m.month)
            .join(tables.pipelines, p.id == m.pipeline_id)
            .where(p.source == self.source, m.pruned_at.is_not(None))
        )
        return {(row.external_id, row.month) for row in self.database.rows(query)}

    def memory(self) -> dict[str, Any]:
        """What the source wanted to keep of this listing."""
        found = tables.listings.c
        query = select(found.memory).where(found.listing == self.listing)
        rows = self.database.rows(query)
        return dict(rows[0][0]) if rows else {}

    # Writing.

    def save(self, batch: Batch) -> Counts:
        """Writes a batch whole, or not at all.

        Raises:
            HistoryRestartedError: a stored run of the same id was created at another time.
        """
        counts, written = self.database.transact(partial(self._write, batch), self.listing)
        self._pipelines |= written
        return counts

    def _write(self, batch: Batch, connection: Connection) -> tuple[Counts, PipelineRows]:
        pipelines = {one.external_id: one for one in batch.pipelines}
        pipelines |= {one.key[0]: one.details.run.pipeline for one in batch.runs}
        pipelines |= {one.pipeline.external_id: one.pipeline for one in batch.set_aside}
        written = self._ensure_pipelines(connection, pipelines.values())
        counts = save_runs(connection, self.source, batch.runs, written)
        for pipeline, run_id, at in batch.vanished:
            counts.runs_updated += self._vanish(connection, pipeline, run_id, at)
        for pipeline, run_id, at in batch.vanished_though_listed:
            counts.runs_updated += self._vanish(connection, pipeline, run_id, at, is_listed=True)
        for one in batch.set_aside:
            self._set_aside(connection, one, written[one.pipeline.external_id][0])
        if batch.intervals:
            self._extend(connection, batch.intervals)
        return counts, written

    def settle(self, run: tuple[Pipeline, str], read_at: datetime, as_of: datetime) -> bool:
        """Settles a run that is at ``as_of`` as it was when it was read.

        Args:
            read_at: when that was; by the provider's clock, as ``as_of``.

        Returns:
            Whether what is stored of its steps is what was read then.
        """
        p, r = tables.pipelines.c, tables.runs.c
        pipeline, run_id = run
        of_pipeline = select(p.id).where(
            p.source == self.source, p.external_id == pipeline.external_id
        )
        is_run = and_(r.pipeline_id.in_(of_pipeline), r.id == run_id, r.steps_synced_at == read_at)
        settled = (
            update(tables.runs)
            .where(is_run)
            .values(settled=True, steps_synced_at=as_of, last_seen_at=as_of)
        )

        def write(connection: Connection) -> bool:
            return bool(connection.execute(settled).rowcount)

        return self.database.transact(write, self.listing)

    def save_memory(self, memory: dict[str, Any]) -> None:
        """Keeps what the source wants to know next time."""
        if memory == self.memory():
            return

        def write(connection: Connection) -> None:
            statement = insert_for(connection.dialect.name, tables.listings).on_conflict_do_update(
                index_elements=["listing"], set_={"memory": memory}
            )
            connection.execute(statement, {"listing": self.listing, "memory": memory})

        self.database.transact(write, self.listing)

    # Pipelines.

    def _ensure_pipelines(
        self, connection: Connection, pipelines: Iterable[Pipeline]
    ) -> PipelineRows:
        """Writes what is new of these pipelines, to be kept in mind once it is committed."""
        rows = {}
        for one in pipelines:
            row = self._pipelines.get(one.external_id)
            tells_more = one.name is not None or one.default_branch is not None
            if row is None or (tells_more and row[1] != one):
                row = (self._write_pipeline(connection, one), one)
            rows[one.external_id] = row
        return rows

    def _write_pipeline(self, connection: Connection, pipeline: Pipeline) -> int:
        """Inserts a pipeline or brings its row up to date; the row's number."""
        p, listed = tables.pipelines.c, tables.listing_pipelines.c
        dialect = connection.dialect.name
        key = {"source": self.source, "external_id": pipeline.external_id}
        told = {
            "name": None if pipeline.named_by_run else pipeline.name,
            "default_branch": pipeline.default_branch,
            "url": pipeline.url,
            "created_at": pipeline.created_at,
            "extra": dict(pipeline.extra) or None,
        }
        given = {name: value for name, value in told.items() if value is not None}
        row = {"name": pipeline.name or pipeline.external_id} | key | given
        insert_new = insert_for(dialect, tables.pipelines).on_conflict_do_nothing()
        connection.execute(insert_new.values(row))
        same = and_(p.source == self.source, p.external_id == pipeline.external_id)
        stored = connection.execute(select(tables.pipelines).where(same)).mappings().one()
        insert_label = insert_for(dialect, tables.listing_pipelines).values(
            listing=self.listing, pipeline_id=stored["id"], label=self.label
        )
        label = insert_label.excluded.label
        connection.execute(
            insert_label.on_conflict_do_update(
                index_elements=["listing", "pipeline_id"],
                set_={"label": label},
                where=listed.label.is_distinct_from(label),
            )
        )
        labels = select(func.min(listed.label)).where(listed.pipeline_id == stored["id"])
        if label_of_any_listing := connection.execute(labels).scalar():
            given["name"] = label_of_any_listing
        if any(stored[name] != value for name, value in given.items()):
            connection.execute(update(tables.pipelines).where(same).values(given))
        return int(stored["id"])

    # Runs and steps.

    def _set_aside(self, connection: Connection, one: SetAside, number: int) -> None:
        key = {"listing": self.listing, "pipeline_id": number, "run_id": one.run_id}
        reason = visible(one.reason, _LONGEST_REASON)
        statement = insert_for(connection.dialect.name, tables.set_aside).values(
            key | {"reason": reason, "at": one.at}
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(key), set_={"reason": reason, "at": one.at}
            )
        )

    def _vanish(
        self,
        connection: Connection,
        pipeline: Pipeline,
        run_id: str,
        at: datetime,
        *,
        is_listed: bool = False,
    ) -> int:
        """Marks a run that the provider no longer knows. Nothing of it is deleted.

        A passing 404 is no proof: the run counts as gone when it is not known a second time after
        the grace period. What it stands in may have been hidden both times, so it is set aside, to
        be asked for once a day, and settles after a month. One that its listing shows all the same
        is asked for again, though it had settled.
        """
        p, r = tables.pipelines.c, tables.runs.c
        of_pipeline = select(p.id).where(
            p.source == self.source, p.external_id == pipeline.external_id
        )
        is_run = and_(r.pipeline_id.in_(of_pipeline), r.id == run_id)
        again = select(r.pipeline_id, r.vanished_at).where(
            is_run, tables.is_unsettled, r.vanished_at <= at - GRACE
        )
        for number, first_at in connection.execute(again).all():
            gone = SetAside(pipeline, run_id, _GONE.format(run_id), at)
            if at - first_at < _GONE_FOR_GOOD:
                self._set_aside(connection, gone, number)
            else:
                connection.execute(update(tables.runs).where(is_run).values(settled=True))
                take_back(connection, (number, run_id))
        first = update(tables.runs).where(is_run, r.vanished_at.is_(None))
        doubted = {"settled": False} if is_listed else {}
        return connection.execute(first.values(vanished_at=at, **doubted)).rowcount

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


__all__ = [
    "Batch",
    "Counts",
    "ListingStore",
    "RunKey",
    "RunToWrite",
    "SetAside",
    "StoredState",
    "runs_of_listing",
]

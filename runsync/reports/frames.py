"""The only reader: narrow selects from the views, as frames for :mod:`runsync.reports.metrics`.

A frame holds the columns that one report needs and no others. Text becomes categories while it
is read, times become ``datetime64[us, UTC]`` and milliseconds floats, so a million steps take a
few tens of megabytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import sqlalchemy as sa

from runsync.errors import DatabaseError
from runsync.reports.packing import packer_of
from runsync.reports.pipelines import Pipeline, labelled
from runsync.reports.window import Window
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.tables import (
    UTCDateTime,
    coverage,
    listing_pipelines,
    pipelines,
    syncs,
    v_runs,
    v_steps,
)

AnyDatabase: TypeAlias = str | sa.URL | sa.Engine | Database

# Few rows at once stay in the processor's cache: half the time of 50,000. PostgreSQL is asked for
# more of them, as each asking is a round trip.
_AT_ONCE = 500
_FETCHED = 20_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which runs: those created in the window, of these pipelines, on these branches.

    None means all of them.
    """

    window: Window
    pipelines: tuple[int, ...] | None = None
    branches: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of a pipeline's history that is known to be complete; None: to its beginning."""

    pipeline_id: int
    oldest: datetime | None
    newest: datetime


@contextmanager
def reading(db: AnyDatabase) -> Iterator["Reader"]:
    """A reader of a database whose schema is this version's.

    Raises:
        DatabaseError: it cannot be opened, or its schema does not fit.
    """
    ours = isinstance(db, str | sa.URL)
    if isinstance(db, str | sa.URL):
        _must_exist(db)
    database = db if isinstance(db, Database) else Database(db)
    try:
        schema.check(database)
        with database.read() as connection:
            yield Reader(connection, database.name)
    finally:
        if ours:
            database.close()


class Reader:
    """Reads one database over one connection, so that all it reads is of one moment."""

    def __init__(self, connection: sa.Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self._pipelines: tuple[Pipeline, ...] | None = None

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """Every pipeline, by source and label."""
        if self._pipelines is None:
            p = pipelines.c
            rows = self._connection.execute(sa.select(p.id, p.source, p.external_id, p.name))
            self._pipelines = labelled([(r.id, r.source, r.external_id, r.name) for r in rows])
        return self._pipelines

    def span(self, scope: Scope) -> tuple[datetime, datetime] | None:
        """When the first and the last run of the scope were created; None where there is none."""
        created_at = v_runs.c.created_at
        ends = sa.select(sa.func.min(created_at), sa.func.max(created_at))
        first, last = self._connection.execute(
            ends.where(*self._conditions(v_runs, created_at, scope))
        ).one()
        return None if first is None else (first, last)

    def runs(
        self,
        scope: Scope,
        columns: Iterable[str],
        *,
        true: Sequence[str] = (),
        known: Sequence[str] = (),
        result: str | None = None,
    ) -> pd.DataFrame:
        """Runs of the scope.

        Args:
            columns: of ``v_runs``.
            true: flags of the view that must be 1.
            known: columns that must not be null.
            result: which result alone is wanted.
        """
        return self._read(v_runs, v_runs.c.created_at, scope, columns, true, known, result)

    def steps(
        self,
        scope: Scope,
        columns: Iterable[str],
        *,
        true: Sequence[str] = (),
        known: Sequence[str] = (),
        result: str | None = None,
    ) -> pd.DataFrame:
        """Steps of the runs of the scope; as :meth:`runs`, with columns of ``v_steps``."""
        return self._read(v_steps, v_steps.c.run_created_at, scope, columns, true, known, result)

    def intervals(self) -> list[Interval]:
        """What is known to be complete, per pipeline, in no order; stretches may overlap.

        A listing's newest stretch goes on to its last good sync: that sync saw all there was.
        """
        rows = self._connection.execute(_coverage()).all()
        newest: dict[str, datetime] = {}
        for row in rows:
            known = newest.setdefault(row.listing, row.newest_created_at)
            newest[row.listing] = max(known, row.newest_created_at)
        return [_stretch(row, row.newest_created_at == newest[row.listing]) for row in rows]

    def _read(
        self,
        view: sa.Table,
        created_at: sa.Column[datetime],
        scope: Scope,
        columns: Iterable[str],
        true: Sequence[str],
        known: Sequence[str],
        result: str | None,
    ) -> pd.DataFrame:
        wanted = [view.c[name] for name in dict.fromkeys(columns)]
        select = sa.select(*(self._plain(column) for column in wanted))
        select = select.where(*self._conditions(view, created_at, scope))
        select = select.where(*(view.c[flag] == 1 for flag in true))
        select = select.where(*(view.c[name].is_not(None) for name in known))
        if result is not None:
            select = select.where(view.c.result == result)
        return self._frame(select, wanted)

    def _conditions(
        self, view: sa.Table, created_at: sa.Column[datetime], scope: Scope
    ) -> Iterator[sa.ColumnElement[bool]]:
        window = scope.window
        if window.since is not None:
            yield created_at >= window.since
        if window.until is not None:
            yield created_at < window.until
        if scope.pipelines is not None:
            # SQLite would rather follow the key, through all of a pipeline's history, than the
            # index of the window; `+ 0` takes the key away from it.
            bounded = self._is_sqlite and window.since is not None
            pipeline_id = view.c.pipeline_id + 0 if bounded else view.c.pipeline_id
            yield pipeline_id.in_(scope.pipelines)
        if scope.branches is not None:
            yield view.c.branch.in_(scope.branches)

    @property
    def _is_sqlite(self) -> bool:
        return self._connection.dialect.name == "sqlite"

    def _plain(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """A column in the form that is quickest to read: a time as text or as microseconds."""
        if not isinstance(column.type, UTCDateTime):
            return column
        if self._is_sqlite:
            return sa.type_coerce(column, sa.Text)
        return sa.cast(sa.func.extract("epoch", column) * 1_000_000, sa.BigInteger)

    def _frame(self, select: sa.Select[Any], columns: Sequence[sa.Column[Any]]) -> pd.DataFrame:
        packers = [packer_of(column) for column in columns]
        fetched = _AT_ONCE if self._is_sqlite else _FETCHED
        result = self._connection.execute(select.execution_options(yield_per=fetched))
        for rows in result.partitions():
            for at in range(0, len(rows), _AT_ONCE):
                chunk = zip(*rows[at : at + _AT_ONCE], strict=True)
                for packer, values in zip(packers, chunk, strict=True):
                    packer.add(values)
        return pd.DataFrame(
            {c.name: p.packed() for c, p in zip(columns, packers, strict=True)}, copy=False
        )


def _coverage() -> sa.Select[Any]:
    """Each stretch for each pipeline of its listing, and the listing's last good sync."""
    interval, within = coverage.c, listing_pipelines.c
    synced = (
        sa.select(syncs.c.listing, sa.func.max(syncs.c.started_at).label("at"))
        .where(syncs.c.outcome == "ok")
        .group_by(syncs.c.listing)
        .subquery()
    )
    columns = (within.pipeline_id, *interval, synced.c.at.label("synced_at"))
    return (
        sa.select(*columns)
        .join_from(coverage, listing_pipelines, within.listing == interval.listing)
        .outerjoin(synced, synced.c.listing == interval.listing)
    )


def _stretch(row: Any, is_newest: bool) -> Interval:
    newest = row.newest_created_at
    if is_newest and row.synced_at is not None:
        newest = max(newest, row.synced_at)
    return Interval(row.pipeline_id, None if row.reaches_start else row.oldest_created_at, newest)


def _must_exist(url: str | sa.URL) -> None:
    """Opening a SQLite file makes it; a report of a mistyped name should not."""
    try:
        url = sa.make_url(url)
    except sa.exc.ArgumentError:
        return  # Database says it better.
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return
    if not Path(name).exists():
        raise DatabaseError(f"there is no database {name}; `runsync sync` makes it")

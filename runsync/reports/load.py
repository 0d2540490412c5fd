"""The only reader of runs and steps: narrow selects from the views, as frames.

A frame holds the columns that one report needs and no others, and those of the report's keys. Text
becomes categories while it is read, times become ``datetime64[us, UTC]`` and milliseconds floats,
so a million steps take a few tens of megabytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from runsync.errors import ConfigError, DatabaseError
from runsync.reports.columns import categorical, sources_of, with_keys
from runsync.reports.query_spec import Query, QuerySpec
from runsync.reports.report import AnyDatabase, Report
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.pipelines import StoredPipeline, labelled
from runsync.storage.tables import UTCDateTime, pipelines, v_runs, v_steps
from runsync.text import did_you_mean

# Few rows at once stay in the processor's cache: half the time of 50,000. PostgreSQL is asked for
# more of them, as each asking is a round trip.
_AT_ONCE = 500
_FETCHED = 20_000
# Each parsing of times has a cost of its own, of some milliseconds.
_TIMES_AT_ONCE = 20_000
_NO_TIME = np.iinfo(np.int64).min

# A step has a creation time of its own, so the run's goes by another name, in both views.
_RUN_CREATED_AT = {
    v_runs: v_runs.c.created_at.label("run_created_at"),
    v_steps: v_steps.c.run_created_at,
}
_RETRIED = sa.cast(v_steps.c.extra["retried"].as_string(), sa.Text)
_OTHER_NAMES: Mapping[str, Mapping[sa.Table, sa.ColumnElement[Any]]] = {
    "run_created_at": _RUN_CREATED_AT,
    # Where a provider retries a step within its run, its source says so of all tries but the last.
    "was_retried": {v_steps: sa.case((_RETRIED.in_(["true", "1"]), 1), else_=0).label("retried")},
}

Columns: TypeAlias = Mapping[str, sa.ColumnElement[Any]]
"""What is read, by the name that it has in the frame."""


@contextmanager
def open_reader(db: AnyDatabase) -> Iterator["Reader"]:
    """A reader of a database whose schema is this version's.

    Raises:
        DatabaseError: it cannot be opened, or its schema does not fit.
    """
    is_ours = isinstance(db, str | sa.URL)
    if isinstance(db, str | sa.URL):
        _must_exist(db)
    database = db if isinstance(db, Database) else Database(db)
    try:
        schema.check(database)
        with database.read() as connection:
            yield Reader(connection, database.name)
    finally:
        if is_ours:
            database.close()


class Reader:
    """Reads one database over one connection, so that all it reads is of one moment."""

    def __init__(self, connection: sa.Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self._is_sqlite = connection.dialect.name == "sqlite"

    @cached_property
    def pipelines(self) -> tuple[StoredPipeline, ...]:
        """Every pipeline, by label."""
        p = pipelines.c
        rows = self.connection.execute(sa.select(p.id, p.source, p.external_id, p.name))
        return labelled([(r.id, r.source, r.external_id, r.name) for r in rows])

    def query(self, spec: QuerySpec, report: Report | None = None) -> Query:
        """The spec, checked against what the database holds.

        Raises:
            ConfigError: see :meth:`.QuerySpec.query`; or no run is on one of the branches.
        """
        query = spec.query(self.pipelines, report)
        if query.branches:
            self._check_branches(query, query.branches)
        return query

    def runs(
        self,
        query: Query,
        columns: Sequence[str],
        *,
        where: Sequence[str] = (),
        known: Sequence[str] = (),
    ) -> pd.DataFrame:
        """The query's runs, with a column for each of its keys.

        Args:
            columns: of ``v_runs``; the creation time is called ``run_created_at``.
                Of steps also ``was_retried``: 1 for a try that was not the run's last.
            where: flags of the view that must be 1.
            known: columns that must not be null.
        """
        return self._read(v_runs, query, columns, where, known)

    def steps(
        self,
        query: Query,
        columns: Sequence[str],
        *,
        where: Sequence[str] = (),
        known: Sequence[str] = (),
    ) -> pd.DataFrame:
        """The steps of the query's runs; as :meth:`runs`, with columns of ``v_steps``."""
        return self._read(v_steps, query, columns, where, known)

    def verdicts(self, query: Query, columns: Sequence[str]) -> pd.DataFrame:
        """The query's runs that passed or failed, and as many before its window as are needed to
        tell in which state each branch entered it: what has come since its last pass, and that.

        Args:
            columns: as those of :meth:`runs`.
        """
        wanted = self._wanted(v_runs, query, columns)
        selects = [self._select(v_runs, query, wanted).where(v_runs.c.in_rate == 1)]
        if query.window.since is not None:
            before = replace(query.window, since=None, until=query.window.since)
            earlier = self._select(v_runs, replace(query, window=before), wanted)
            selects.append(_since_last_pass(earlier, query.window.since))
        return with_keys(self._frame(sa.union_all(*selects), wanted), query)

    def span(self, query: Query) -> tuple[datetime, datetime] | None:
        """When the first and the last of the query's runs were created; None: there is none."""
        created_at = v_runs.c.created_at
        ends = sa.select(sa.func.min(created_at), sa.func.max(created_at))
        first, last = self.connection.execute(ends.where(*self._conditions(v_runs, query))).one()
        return None if first is None else (first, last)

    def _check_branches(self, query: Query, wanted: tuple[str, ...]) -> None:
        """A branch is looked for in the window, by its index, and only then in all history."""
        found = sa.select(sa.func.coalesce(v_runs.c.branch, "")).distinct()
        within = self.connection.scalars(found.where(*self._conditions(v_runs, query)))
        missing = set(wanted) - set(within)
        known = set(self.connection.scalars(found)) if missing else set()
        for name in sorted(missing - known):
            mend = did_you_mean(name, sorted(known - {""}))
            raise ConfigError(f"there is no run on the branch {name!r}{mend}")

    def _read(
        self,
        view: sa.Table,
        query: Query,
        columns: Sequence[str],
        where: Sequence[str],
        known: Sequence[str],
    ) -> pd.DataFrame:
        wanted = self._wanted(view, query, columns)
        select = self._select(view, query, wanted).where(
            *(view.c[flag] == 1 for flag in where),
            *(view.c[name].is_not(None) for name in known),
        )
        return with_keys(self._frame(select, wanted), query)

    def _wanted(self, view: sa.Table, query: Query, columns: Sequence[str]) -> Columns:
        """The columns, and those that the query's keys are made of."""
        names = dict.fromkeys([*sources_of(query.keys), *columns])
        return {n: _OTHER_NAMES[n][view] if n in _OTHER_NAMES else view.c[n] for n in names}

    def _select(self, view: sa.Table, query: Query, wanted: Columns) -> sa.Select[Any]:
        select = sa.select(*(self._quick(column) for column in wanted.values()))
        return select.where(*self._conditions(view, query))

    def _conditions(self, view: sa.Table, query: Query) -> Iterator[sa.ColumnElement[bool]]:
        created_at, window = _RUN_CREATED_AT[view], query.window
        if window.since is not None:
            yield created_at >= window.since
        if window.until is not None:
            yield created_at < window.until
        if query.pipeline_ids is not None:
            # SQLite would rather follow the key, through all of a pipeline's history, than the
            # index of the window; `+ 0` takes the key away from it.
            is_bounded = self._is_sqlite and window.since is not None
            pipeline_id = view.c.pipeline_id + 0 if is_bounded else view.c.pipeline_id
            yield pipeline_id.in_(query.pipeline_ids)
        if query.branches is not None:
            yield sa.func.coalesce(view.c.branch, "").in_(query.branches)
        if query.result is not None:
            yield view.c.result == query.result

    def _quick(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column in the form that is quickest to read: a time as text or as microseconds."""
        if not isinstance(column.type, UTCDateTime):
            return column
        if self._is_sqlite:
            return sa.type_coerce(column, sa.Text)
        return sa.cast(sa.func.extract("epoch", column) * 1_000_000, sa.BigInteger)

    def _frame(
        self, select: sa.CompoundSelect[Any] | sa.Select[Any], columns: Columns
    ) -> pd.DataFrame:
        builders = [_builder_of(column.type) for column in columns.values()]
        fetched = _AT_ONCE if self._is_sqlite else _FETCHED
        result = self.connection.execute(select.execution_options(yield_per=fetched))
        for rows in result.partitions():
            for at in range(0, len(rows), _AT_ONCE):
                chunk = zip(*rows[at : at + _AT_ONCE], strict=True)
                for builder, values in zip(builders, chunk, strict=True):
                    builder.add(values)
        built = (builder.built() for builder in builders)
        return pd.DataFrame(dict(zip(columns, built, strict=True)), copy=False)


def _since_last_pass(runs: sa.Select[Any], since: datetime) -> sa.Select[Any]:
    """Of these runs the verdicts of each branch that ended no earlier than the last pass that had
    ended before ``since``; all of them where there was none."""
    run = v_runs.c
    branch, ended = (
        sa.func.coalesce(run.branch, ""),
        sa.func.coalesce(run.finished_at, run.created_at),
    )
    # SQLite would rather follow the key than the table, at twice the cost; `+ 0` takes it away.
    pipeline_id = (run.pipeline_id + 0).label("pipeline_id")
    had_ended = runs.with_only_columns(
        pipeline_id, branch.label("branch"), sa.func.max(ended).label("passed_at")
    ).where(run.is_passed == 1, ended < since)
    last = had_ended.group_by(pipeline_id, branch).subquery("last_pass")
    same_branch = (last.c.pipeline_id == run.pipeline_id) & (last.c.branch == branch)
    came_after = last.c.passed_at.is_(None) | (ended >= last.c.passed_at)
    return runs.outerjoin_from(v_runs, last, same_branch).where(run.in_rate == 1, came_after)


class ColumnBuilder(Protocol):
    """Takes the values of one column in chunks and gives them back as one small array."""

    def add(self, values: Sequence[Any]) -> None: ...

    def built(self) -> Any: ...


def _builder_of(type_: sa.types.TypeEngine[Any]) -> ColumnBuilder:
    if isinstance(type_, UTCDateTime):
        return Times()
    if isinstance(type_, sa.Text):
        return Words()
    # Milliseconds may be missing; flags and numbers never are.
    return Numbers(np.float64 if isinstance(type_, sa.BigInteger) else np.int64)


class Numbers:
    """Integers; as floats, where None becomes NaN."""

    def __init__(self, dtype: type[np.float64 | np.int64]) -> None:
        self._chunks: list[npt.NDArray[Any]] = [np.empty(0, dtype)]

    def add(self, values: Sequence[int | None]) -> None:
        self._chunks.append(np.array(values, dtype=self._chunks[0].dtype))

    def built(self) -> npt.NDArray[Any]:
        return np.concatenate(self._chunks)


class Words:
    """Text, as sorted categories: each word is kept once, however many rows hold it."""

    def __init__(self) -> None:
        self._codes = _Codes({None: -1})
        self._chunks = [np.empty(0, np.int32)]

    def add(self, values: Sequence[str | None]) -> None:
        codes = map(self._codes.__getitem__, values)
        self._chunks.append(np.fromiter(codes, np.int32, len(values)))

    def built(self) -> "pd.Categorical[str]":
        words = [word for word in self._codes if word is not None]
        order = sorted(range(len(words)), key=words.__getitem__)
        place = np.empty(len(words) + 1, np.int32)
        place[order] = np.arange(len(words))
        place[-1] = -1  # what None's code, -1, points at
        return categorical(place[np.concatenate(self._chunks)], [words[i] for i in order])


class _Codes(dict[str | None, int]):
    """Numbers words in the order in which they are first met; None is -1."""

    def __missing__(self, word: str | None) -> int:
        self[word] = code = len(self) - 1
        return code


class Times:
    """Times: ISO text of one form (SQLite), or microseconds since 1970 (PostgreSQL)."""

    def __init__(self) -> None:
        self._chunks = [np.empty(0, np.int64)]
        self._waiting: list[str | int | None] = []

    def add(self, values: Sequence[str | int | None]) -> None:
        self._waiting.extend(values)
        if len(self._waiting) >= _TIMES_AT_ONCE:
            self._parse()

    def built(self) -> pd.DatetimeIndex:
        self._parse()
        micros = np.concatenate(self._chunks)
        return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")

    def _parse(self) -> None:
        waiting, self._waiting = self._waiting, []
        if isinstance(next((v for v in waiting if v is not None), 0), int):
            known = [_NO_TIME if v is None else v for v in waiting]
            self._chunks.append(np.array(known, dtype=np.int64))
            return
        texts = np.array(waiting, dtype=object)
        times = pd.to_datetime(texts, format="ISO8601", utc=True, cache=False).as_unit("us")
        self._chunks.append(times.asi8)


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

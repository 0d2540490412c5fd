"""The only reader of runs and steps: builds narrow SELECTs over the views, for a backend.

A frame holds the columns that one report needs and no others, and those of the report's keys. Text
becomes categories while it is read, times become ``datetime64[us, UTC]`` and milliseconds floats,
so a million steps take a few tens of megabytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pandas as pd
import sqlalchemy as sa

from runsync.errors import ConfigError
from runsync.reports.backend import Backend, Columns, open_backend
from runsync.reports.before_window import verdicts_before
from runsync.reports.branches import check_known, is_on
from runsync.reports.columns import sources_of, with_keys
from runsync.reports.computed import (
    BUSY_MS,
    COMPUTED,
    IS_ABORTED,
    RUN_CREATED_AT,
    SAME_IN_WORDS,
    is_superseded,
)
from runsync.reports.group_values import GroupValues
from runsync.reports.local_time import time_keys
from runsync.reports.query_spec import DEFAULT_BRANCH, OF_TIME, Query, QuerySpec
from runsync.reports.report import ALONE, AnyDatabase, Crew, Report
from runsync.reports.statistics import tally
from runsync.reports.step_texts import StepTexts, is_quicker, read_step_texts
from runsync.storage.default_branches import default_branches, told_default_branches
from runsync.storage.pipelines import StoredPipeline, all_labelled
from runsync.storage.tables import UTCDateTime, v_runs, v_steps

PART_RUNS = 25_000
"""How many runs a part of the history holds at most, with their steps."""
RUNS_ALONE = 40
"""How many times more runs it may hold where no steps are read, or those of few runs."""
PART_RUNS_OF_ARCHIVE = 100_000
"""The same where columns come without a Python object for each value, and parts cost more."""
PART_RUNS_IN_GROUPS = 1_000_000
"""The same where DuckDB itself groups the rows, with all processors and in bounded memory."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def open_reader(db: AnyDatabase, crew: Crew = ALONE) -> Iterator["Reader"]:
    """A reader of a database whose schema is this version's.

    Args:
        crew: who loads the parts of a long history.

    Raises:
        DatabaseError: it cannot be opened, or its schema does not fit.
        ConfigError: others are to load parts of a database that is in this process's memory.
    """
    with open_backend(db) as backend:
        if crew is not ALONE and backend.url is None:
            raise ConfigError(
                f"{backend.name} is in this process's memory, where no worker can read it; "
                "leave workers and executor away, or write it to a file"
            )
        yield Reader(backend, crew)


class Reader:
    """Reads one history; all it reads is of one moment."""

    def __init__(self, backend: Backend, crew: Crew = ALONE) -> None:
        self.backend, self.crew = backend, crew
        self.is_archive = backend.dialect_name == "duckdb"
        self.part_runs = PART_RUNS_IN_GROUPS if self.is_archive else PART_RUNS
        self.is_sqlite = backend.dialect_name == "sqlite"

    @cached_property
    def told_default_branches(self) -> dict[int, str | None]:
        """Each pipeline's default branch, None where its provider does not tell."""
        return told_default_branches(self.backend.rows)

    @cached_property
    def default_branches(self) -> dict[int, str | None]:
        """Each pipeline's default branch, None where it is not known."""
        return default_branches(self.backend.rows)

    @cached_property
    def pipelines(self) -> tuple[StoredPipeline, ...]:
        """Every pipeline, by label."""
        return all_labelled(self.backend.rows)

    def can_group(self, query: Query) -> bool:
        """Whether the database can tell rows of one group from others, by all of the query's keys:
        none can by the pieces of a window, and SQLite knows nothing of time zones."""
        return query.every != "piece" and not (self.is_sqlite and OF_TIME.intersection(query.keys))

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
        ids: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The query's runs, with a column for each of its keys.

        Args:
            columns: of ``v_runs``; the creation time is called ``run_created_at``. Also
                ``is_superseded``: 1 for a run that has a later attempt; and ``busy_ms``: the
                provider's own duration without waits, where it tells one.
                Of steps also ``was_retried``: 1 for a try that was not the run's last.
            where: flags of the view that must be 1.
            known: columns that must not be null.
            ids: of runs: those alone, whenever they were created; runs of several pipelines may
                share one.
        """
        return self._read(v_runs, query, columns, where, known, ids)

    def steps(
        self,
        query: Query,
        columns: Sequence[str],
        *,
        where: Sequence[str] = (),
        known: Sequence[str] = (),
        ids: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The steps of the query's runs; as :meth:`runs`, with columns of ``v_steps``."""
        return self._read(v_steps, query, columns, where, known, ids)

    def counted(
        self, query: Query, flags: Sequence[str], *, where: Sequence[str] = ()
    ) -> pd.DataFrame:
        """The query's runs, counted by its keys: rows that add up to the sums of the flags.

        The database adds up, where it can, so that no row comes for each run.
        """
        if not self.can_group(query):
            rows = self._read(v_runs, query, flags, where, (), None)
            return tally(rows, query.keys, flags)
        columns = {flag: self._column(v_runs, flag) for flag in flags}
        sums = {n: sa.type_coerce(sa.func.sum(one), sa.Integer) for n, one in columns.items()}
        return self.grouped(v_runs, query, sums, [v_runs.c[flag] == 1 for flag in where])

    def run_durations(self, query: Query, column: str, *, where: Sequence[str] = ()) -> GroupValues:
        """A column of ``v_runs`` in milliseconds, by the query's keys; where it is not null."""
        return self._durations(v_runs, query, column, where)

    def step_durations(
        self, query: Query, column: str, *, where: Sequence[str] = ()
    ) -> GroupValues:
        """The same of ``v_steps``."""
        return self._durations(v_steps, query, column, where)

    def verdicts(self, query: Query, columns: Sequence[str]) -> pd.DataFrame:
        """The query's runs that passed or failed, and as many before its window as are needed to
        tell in which state each branch entered it: what has come since its last pass, and that.

        Args:
            columns: as those of :meth:`runs`.
        """
        wanted = self.wanted(v_runs, query, columns)
        selects = [self.select(v_runs, query, wanted).where(v_runs.c.in_rate == 1)]
        since = query.window.since
        if since is not None:
            before = replace(query, window=replace(query.window, since=None, until=since))
            selects += verdicts_before(self, before, wanted)
        return with_keys(self.backend.fetch(sa.union_all(*selects), wanted), query)

    def span(self, query: Query) -> tuple[datetime, datetime] | None:
        """When the first and the last of the query's runs were created; None: there is none."""
        return self._span(*self.conditions(v_runs, query))

    def _span(self, *conditions: sa.ColumnElement[bool]) -> tuple[datetime, datetime] | None:
        # Apart, as an index is followed to one end of it only.
        ends = (sa.func.min(v_runs.c.created_at), sa.func.max(v_runs.c.created_at))
        select = sa.select(*(sa.select(end).where(*conditions).scalar_subquery() for end in ends))
        first, last = self.backend.rows(select)[0]
        return None if first is None else (first, last)

    def parts(
        self, query: Query, *, whole_pipelines: bool, reads_steps: bool = True
    ) -> list[Query]:
        """The query cut into parts that fit in little memory; itself where it is small.

        Args:
            whole_pipelines: whether no part may hold only some of a pipeline's runs.
            reads_steps: whether those of all runs are read.
        """
        has_helpers = self.crew.executor is not None or self.crew.workers not in (1, "auto")
        size = self.part_runs
        if not (self.is_archive or reads_steps):
            size *= RUNS_ALONE
        if self.is_archive and (has_helpers or not self.can_group(query)):
            size = min(size, PART_RUNS_OF_ARCHIVE)
        if self.number_of_runs(query) <= size:
            return [query]
        from runsync.reports.plan import parts_of

        return parts_of(self, query, size, whole_pipelines=whole_pipelines)

    def number_of_runs(self, query: Query) -> int:
        """How many runs there are in the query's window, on any branch and with any result."""
        on_any = self.conditions(v_runs, replace(query, branches=None, result=None))
        number = sa.select(sa.func.count()).select_from(v_runs).where(*on_any)
        return int(self.backend.rows(number)[0][0])

    def _check_branches(self, query: Query, wanted: tuple[str, ...]) -> None:
        """A branch is looked for in the window, by its index, and only then in all history."""
        found = sa.select(sa.func.coalesce(v_runs.c.branch, "")).distinct()
        within = self.backend.rows(found.where(*self.conditions(v_runs, query)))
        missing = set(wanted) - {branch for (branch,) in within}
        if DEFAULT_BRANCH in missing and any(self.default_branches[p.id] for p in query.pipelines):
            missing.discard(DEFAULT_BRANCH)
        if missing:
            check_known(missing, {branch for (branch,) in self.backend.rows(found)})

    def _read(
        self,
        view: sa.Table,
        query: Query,
        columns: Sequence[str],
        where: Sequence[str],
        known: Sequence[str],
        ids: Sequence[str] | None,
    ) -> pd.DataFrame:
        wanted = self.wanted(view, query, columns)
        if ids is None:
            return with_keys(self._fetched(view, query, wanted, where, known), query)
        query = replace(query, window=replace(query.window, since=None, until=None))
        select = self.select(view, query, wanted, where, known).where(*self._among(view, ids))
        return with_keys(self.backend.fetch(select, wanted), query)

    def _fetched(
        self,
        view: sa.Table,
        query: Query,
        wanted: Columns,
        where: Sequence[str] = (),
        known: Sequence[str] = (),
    ) -> pd.DataFrame:
        if view is v_steps and not self.is_archive and is_quicker([*wanted], where):
            return self.step_texts(query, wanted, where, known).rows([*wanted])
        return self.backend.fetch(self.select(view, query, wanted, where, known), wanted)

    def step_texts(
        self, query: Query, wanted: Columns, where: Sequence[str], known: Sequence[str]
    ) -> StepTexts:
        """As :func:`.read_step_texts`, at least these columns."""
        return read_step_texts(self, query, wanted, where, known)

    def _durations(
        self, view: sa.Table, query: Query, column: str, where: Sequence[str]
    ) -> GroupValues:
        if not self.can_group(query):
            rows = self._read(view, query, [column], where, [column], None)
            return GroupValues.of(rows, query.keys, column)
        from runsync.reports.value_lists import lists_by_group

        wanted = self._column(view, column)
        only = [*(view.c[flag] == 1 for flag in where), wanted.is_not(None)]
        return lists_by_group(self, view, query, [wanted], only)[0]

    def grouped(
        self, view: sa.Table, query: Query, made: Columns, only: Sequence[sa.ColumnElement[bool]]
    ) -> pd.DataFrame:
        """A row for each group of what the query's keys are made of, with what is made of it."""
        keys = self.wanted(view, query, ())
        if "pipeline_id" in keys:
            keys["pipeline_id"] = self.pipeline_id(view, query)
        shown, alike = self.in_groups(keys, query)
        select = self.select(view, query, {**shown, **made}).where(*only)
        select = select.group_by(*alike).having(sa.func.count() > 0)
        return with_keys(self.backend.fetch(select, {**shown, **made}), query)

    def in_groups(
        self, columns: Columns, query: Query
    ) -> tuple[dict[str, sa.ColumnElement[Any]], list[sa.ColumnElement[Any]]]:
        """The columns as a group of rows shows them, and what the rows of a group share: the values
        in these columns; of the times of creation, the first of which is shown, only the query's
        keys; and nothing that is the same for the whole query."""
        shown, alike = dict(columns), dict(columns)
        if "pipeline_id" in shown and len(query.pipeline_ids or ()) == 1:
            shown["pipeline_id"] = sa.func.min(alike.pop("pipeline_id"))
        created_at = alike.pop("run_created_at", None)
        keys = list(alike.values())
        if created_at is not None:
            shown["run_created_at"] = sa.func.min(created_at)
            keys += time_keys(created_at, query, *self._ends)
        # Without a group SQLite before 3.39 takes no HAVING.
        return shown, keys or ([sa.null()] if self.is_sqlite else [])

    @cached_property
    def _ends(self) -> tuple[datetime, datetime]:
        """When the first and the last of all runs were created."""
        return self._span() or (_NEVER, _NEVER)

    def _among(self, view: sa.Table, ids: Sequence[str]) -> list[sa.ColumnElement[bool]]:
        run_id = view.c.id if view is v_runs else view.c.run_id
        # The key begins with the pipeline: all of them are named, so that it can be followed.
        return [run_id.in_(ids), view.c.pipeline_id.in_([p.id for p in self.pipelines])]

    def wanted(
        self, view: sa.Table, query: Query, columns: Sequence[str]
    ) -> dict[str, sa.ColumnElement[Any]]:
        """The columns, and those that the query's keys are made of."""
        names = dict.fromkeys([*sources_of(query.keys), *columns])
        return {name: self._column(view, name, query) for name in names}

    def _column(
        self, view: sa.Table, name: str, query: Query | None = None
    ) -> sa.ColumnElement[Any]:
        if name == "is_superseded" and query is not None:
            since = (query.part and query.part.since) or query.window.since
            return is_superseded(since, query.pipeline_ids)
        if name == "busy_ms":
            return BUSY_MS["sqlite" if self.is_sqlite else "postgresql"]
        return COMPUTED[name][view] if name in COMPUTED else view.c[name]

    def select(
        self,
        view: sa.Table,
        query: Query,
        wanted: Columns,
        where: Sequence[str] = (),
        known: Sequence[str] = (),
    ) -> sa.Select[Any]:
        """The columns, of the query's rows with these flags in which these columns are known."""
        only = [
            *(view.c[flag] == 1 for flag in where),
            *(SAME_IN_WORDS[flag] for flag in where if flag in SAME_IN_WORDS),
            *(self._column(view, name).is_not(None) for name in known),
        ]
        # Of some pipelines SQLite would rather look at all steps than begin with aborted runs, and
        # of a part of one at all of that part.
        if self.is_sqlite and "run_is_aborted" in where and query.pipeline_ids is not None:
            ids = sa.select(v_runs.c.id).where(*self.conditions(v_runs, query), IS_ABORTED)
            only.append(v_steps.c.run_id.in_(ids))
            query = replace(query, part=None)
        only += self.conditions(view, query)
        return sa.select(*map(self._quick, wanted.values())).where(*only)

    def conditions(self, view: sa.Table, query: Query) -> Iterator[sa.ColumnElement[bool]]:
        """Which rows of a view the query is about."""
        created_at, window = RUN_CREATED_AT[view], query.window
        if query.part is not None:
            yield from _bounds(created_at, query.part.since, query.part.until)
            run_id = view.c.id if view is v_runs else view.c.run_id
            yield from _bounds(run_id, query.part.first_id, query.part.end_id)
        yield from _bounds(created_at, window.since, window.until)
        if query.pipeline_ids is not None:
            yield self.pipeline_id(view, query).in_(query.pipeline_ids)
        if query.branches is not None:
            yield is_on(view, query.branches, lambda: self.default_branches)
        if query.result is not None:
            yield view.c.result == query.result

    def pipeline_id(self, view: sa.Table, query: Query) -> sa.ColumnElement[int]:
        """A view's pipeline, to choose or to group the query's rows by.

        SQLite would rather follow the key, through all of a pipeline's history, than the index of
        the window, or look up one run after the other than group all of them as they lie there:
        ``+ 0`` takes the key away from it.
        """
        if query.part is not None and (query.part.first_id or query.part.end_id):
            goes_by_key = True
        elif query.window.since is None:
            goes_by_key = view is v_steps or query.pipeline_ids is not None
        else:
            goes_by_key = False
        return view.c.pipeline_id + 0 if self.is_sqlite and not goes_by_key else view.c.pipeline_id

    def _quick(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column in the form that is quickest to read: a time as text or as microseconds."""
        if isinstance(column.type, UTCDateTime):
            if self.is_sqlite:
                return sa.type_coerce(column, sa.Text)
            if self.backend.dialect_name == "postgresql":
                return sa.cast(sa.func.extract("epoch", column) * 1_000_000, sa.BigInteger)
        return column


def _bounds(
    column: sa.ColumnElement[Any], least: object, end: object
) -> Iterator[sa.ColumnElement[bool]]:
    if least is not None:
        yield column >= least
    if end is not None:
        yield column < end

"""What the steps of runs say together, which is the same for most runs.

A report that counts runs by what their steps came to need not see a row for each step: the database
makes one value of the steps of each run, and only the steps of one run of each value are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from runsync.reports.backend import Columns
from runsync.reports.columns import sources_of, with_keys
from runsync.reports.query_spec import Query, keys_of_runs, keys_of_steps
from runsync.reports.verdicts import RUN
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_FEW = 4
"""How many runs there must be to one that is looked up by its key, that reading all costs more."""


def profiles_of(
    reader: "Reader",
    query: Query,
    columns: Sequence[str],
    said: Sequence[str] = (),
    *,
    where: Sequence[str] = (),
    known: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The query's runs, and what their steps say.

    Args:
        columns: of ``v_steps`` those that all steps of a run share.
        said: columns of ``v_steps`` that tell one step from another, besides the query's keys.
        where: as in :meth:`.Reader.steps`; runs without such a step are left out.

    Returns:
        a row for runs that are alike in all this, with those of the query's keys that runs
        have themselves, ``runs``: how many they are, and ``profile``: a number from 0; and a
        row for each step of one run of each profile, with the other keys.
    """
    of_runs = replace(query, by=keys_of_runs(query.by), implied=())
    of_steps = replace(query, by=keys_of_steps(query.keys), implied=(), every=None)
    told = reader.wanted(v_steps, of_steps, said)
    profile = _profile(list(told.values()), reader.backend.dialect_name)
    shared = [name for name in (*sources_of(of_runs.keys), *columns) if name != "pipeline_id"]
    put_together = _of_steps if reader.is_archive else _of_runs
    wanted, select = put_together(reader, query, shared, profile, where, known)
    if reader.is_archive:
        select = _alike(reader, select, wanted, of_runs)
    runs = reader.backend.fetch(select, wanted).dropna(subset="profile", ignore_index=True)
    runs = with_keys(runs, of_runs)
    runs["profile"] = pd.factorize(runs["profile"])[0]
    one_of_each = runs.loc[~runs["profile"].duplicated(), [*RUN, "profile"]]
    are_few = len(one_of_each) * _FEW < runs["runs"].sum()
    ids = one_of_each["run_id"].unique().tolist() if are_few else None
    steps = reader.steps(of_steps, [*RUN, *said], where=where, known=known, ids=ids)
    steps, one_of_each = (frame.astype({"run_id": object}) for frame in (steps, one_of_each))
    steps = steps.merge(one_of_each, on=list(RUN))
    return runs, steps.drop(columns=list(RUN))


def _of_steps(
    reader: "Reader",
    query: Query,
    columns: Sequence[str],
    profile: sa.ColumnElement[Any],
    where: Sequence[str],
    known: Sequence[str],
) -> tuple[Columns, sa.Select[Any]]:
    """A row for each run, put together of its steps, each of which has what an archive knows of its
    run."""
    run_id = v_steps.c.run_id
    shared = reader.wanted(v_steps, replace(query, by=(), implied=(), every=None), columns)
    shown = _named(v_steps.c.pipeline_id, run_id, profile)
    shown.update({name: sa.func.max(one) for name, one in shared.items()})
    select = reader.select(v_steps, query, shown, where, known)
    return shown, select.group_by(v_steps.c.pipeline_id, run_id)


def _of_runs(
    reader: "Reader",
    query: Query,
    columns: Sequence[str],
    profile: sa.ColumnElement[Any],
    where: Sequence[str],
    known: Sequence[str],
) -> tuple[Columns, sa.Select[Any]]:
    """The same from the runs of a database, whose steps are looked up by its key; of a run without
    such a step the profile is null."""
    is_its_own = [v_steps.c.pipeline_id == v_runs.c.pipeline_id, v_steps.c.run_id == v_runs.c.id]
    steps = sa.select(profile).where(*is_its_own, *(v_steps.c[flag] == 1 for flag in where))
    its_profile = steps.correlate(v_runs).scalar_subquery()
    shown = reader.wanted(v_runs, replace(query, by=(), implied=(), every=None), columns)
    shown |= _named(v_runs.c.pipeline_id, v_runs.c.id, its_profile)
    return shown, reader.select(v_runs, query, shown, known=known)


def _named(
    pipeline_id: sa.ColumnElement[Any],
    run_id: sa.ColumnElement[Any],
    profile: sa.ColumnElement[Any],
) -> dict[str, sa.ColumnElement[Any]]:
    one = sa.literal_column("1", sa.Integer)
    return dict(zip((*RUN, "profile", "runs"), (pipeline_id, run_id, profile, one), strict=True))


def _profile(columns: Sequence[sa.ColumnElement[Any]], dialect: str) -> sa.ColumnElement[Any]:
    """What the steps of a run say together in these columns: equal for runs that say the same, in
    one answer of the database; of runs that say the same in another order it may differ.

    In DuckDB it is a sum of 64-bit hashes, as putting texts together is slow there.
    """
    if dialect == "duckdb":
        # Hashed twice: with one flag's change alone two hashes are too much alike to be added.
        summed = sa.func.sum(sa.func.hash(sa.func.hash(*columns)))
        return sa.type_coerce(sa.cast(summed % (1 << 63), sa.BigInteger), sa.Integer)
    said = reduce(add, map(_said, columns), sa.literal_column("''", sa.Text))
    return sa.type_coerce(sa.func.aggregate_strings(said, ""), sa.Text)


def _said(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The column as a text that cannot be taken for another one, or for two: flags are one
    character, and other texts begin with their length."""
    if isinstance(column.type, sa.Integer):
        return sa.cast(column, sa.Text)
    told = sa.cast(sa.func.length(column), sa.Text) + ":" + column
    is_known = isinstance(column, sa.Column) and not column.nullable
    return told if is_known else sa.func.coalesce(told, "-")


def _alike(
    reader: "Reader", runs: sa.Select[Any], named: Mapping[str, Any], query: Query
) -> sa.Select[Any]:
    """Runs that are alike in these columns, but for their ids, as one row: the least id, and how
    many they are, in the place of ``runs``."""
    each = runs.subquery()
    of = dict(zip(named, each.c, strict=True))
    made = {"run_id": sa.func.min(of["run_id"]), "runs": sa.func.count()}
    shared = {name: one for name, one in of.items() if name not in made}
    shown, alike = reader.in_groups(shared, query)
    return sa.select(*((shown | made)[name] for name in of)).group_by(*alike)

"""When runs were created, how they or their steps ended and how long they took: what change points
are looked for in, in three columns of narrow integers by group.

They are the time of creation, in microseconds since 1970; the verdict, 2 for passed, 1 for failed
and 0 for neither; and 1 more than the milliseconds of what ran, or 0.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from runsync.reports.computed import RUN_CREATED_AT
from runsync.reports.group_values import GroupValues
from runsync.reports.query_spec import Query
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_COLUMNS = ("run_created_at", "is_passed", "in_rate", "duration_ms")
_RAN: Mapping[sa.Table, tuple[str, ...]] = {v_runs: (), v_steps: ("ran",)}


def series_of_runs(reader: "Reader", query: Query) -> list[GroupValues]:
    """The three columns of the query's finished runs that passed, failed or have a duration."""
    return _series(reader, v_runs, query)


def series_of_steps(reader: "Reader", query: Query) -> list[GroupValues]:
    """The same of the finished steps of the query's runs."""
    return _series(reader, v_steps, query)


def _series(reader: "Reader", view: sa.Table, query: Query) -> list[GroupValues]:
    if reader.is_archive:
        return _listed(reader, view, query)
    read = reader.runs if view is v_runs else reader.steps
    rows = read(query, [*_COLUMNS, *_RAN[view]], where=["is_finished"])
    took = rows["duration_ms"] + 1
    for flag in _RAN[view]:
        took = took.where(rows[flag] == 1)
    told = rows[[*query.keys]].assign(
        at=rows["run_created_at"].astype("int64"),
        verdict=rows["in_rate"] * (1 + rows["is_passed"]),
        took=took.fillna(0),
    )
    told = told[(told["verdict"] > 0) | (told["took"] > 0)]
    return GroupValues.of_columns(told, query.keys, ["at", "verdict", "took"])


def _listed(reader: "Reader", view: sa.Table, query: Query) -> list[GroupValues]:
    from runsync.reports.value_lists import lists_by_group

    at: Any = sa.func.epoch_us(RUN_CREATED_AT[view], type_=sa.Integer)  # which no 32 bits hold
    verdict = sa.cast(view.c.in_rate * (1 + view.c.is_passed), sa.SmallInteger)
    ran = sa.and_(view.c.duration_ms.is_not(None), *(view.c[flag] == 1 for flag in _RAN[view]))
    took = sa.case((ran, view.c.duration_ms + 1), else_=0)
    columns = [at, verdict, sa.type_coerce(took, sa.BigInteger)]
    is_told = [view.c.is_finished == 1, sa.or_(verdict > 0, ran)]
    return lists_by_group(reader, view, query, columns, is_told)

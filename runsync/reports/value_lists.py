"""Values by group: the database makes a list of those of each group, so that no row comes for each
run or step."""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from runsync.reports.backend import NumberLists
from runsync.reports.group_values import GroupValues
from runsync.reports.query_spec import Query

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_LIST = sa.ARRAY(sa.BigInteger)


def lists_by_group(
    reader: "Reader",
    view: sa.Table,
    query: Query,
    columns: Sequence[sa.ColumnElement[Any]],
    only: Sequence[sa.ColumnElement[bool]],
) -> list[GroupValues]:
    """The values of each column by the query's keys, none of them null; what stands in one row has
    one place in each.

    Args:
        only: which rows.
        columns: of integers; an archive's of 64 bits are asked for in 32, where all values fit.
    """
    if not reader.is_archive:
        made = {"values": _text_of(columns)}
        groups = reader.grouped(view, query, made, only)
        return GroupValues.of_lists(groups, query.keys, "values", len(columns))
    small = [sa.func.as_32_bits(one) if _is_long(one) else one for one in columns]
    does_not_fit = sa.or_(sa.false(), *(one.is_(None) for one in small))
    left_out = sa.type_coerce(sa.func.sum(sa.case((does_not_fit, 1), else_=0)), sa.Integer)
    for these in (small, columns):
        made = {"values": _list_of(these), "left_out": left_out}
        groups = reader.grouped(view, query, made, only)
        if not groups["left_out"].any():
            break
    return GroupValues.of_lists(groups, query.keys, "values", len(columns))


def _is_long(column: sa.ColumnElement[Any]) -> bool:
    return isinstance(column.type, sa.BigInteger)


def _list_of(columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[Any]:
    if len(columns) == 1:
        return sa.func.array_agg(columns[0], type_=_LIST)
    named = (sa.literal_column(f'"{n}"').op(":=")(one) for n, one in enumerate(columns))
    return sa.func.array_agg(sa.func.struct_pack(*named), type_=_LIST)


def _text_of(columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[Any]:
    texts: list[sa.ColumnElement[str]] = [sa.cast(column, sa.Text) for column in columns]
    each = reduce(lambda one, other: one + "," + other, texts)
    return sa.type_coerce(sa.func.aggregate_strings(each, ","), NumberLists(len(columns)))

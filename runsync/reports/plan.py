"""How a long history is cut into parts, each with about as many runs.

A window is cut by the time of creation, whose index it is read by anyway. All history is cut by
the key, pipeline by pipeline: so the steps of a part lie side by side, and what asks nothing of
runs need not look at them. Small pipelines share a part.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from runsync.reports.query_spec import PartBounds, Query
from runsync.storage.tables import UTCDateTime, v_runs

if TYPE_CHECKING:
    from runsync.reports.load import Reader


def parts_of(reader: "Reader", query: Query, size: int, *, whole_pipelines: bool) -> list[Query]:
    """The query cut into parts of at most ``size`` runs, which it is again together.

    Args:
        whole_pipelines: whether no part may hold only some of a pipeline's runs, however many
            they are.
    """
    # The files of an archive hold a month each.
    if (query.window.since is not None or reader.is_archive) and not whole_pipelines:
        return list(_by_time(reader, query, size))
    return list(_by_key(reader, query, size, whole_pipelines=whole_pipelines))


def _by_time(reader: "Reader", query: Query, size: int) -> Iterator[Query]:
    if reader.is_archive:
        cuts = list(_month_cuts(reader, query, size))
    else:
        cuts = list(_cuts(reader, query, v_runs.c.created_at, size))
    for since, until in zip([None, *cuts], [*cuts, None], strict=True):
        yield replace(query, part=PartBounds(since=since, until=until))


def _by_key(reader: "Reader", query: Query, size: int, *, whole_pipelines: bool) -> Iterator[Query]:
    small: list[int] = []
    number = 0
    for pipeline_id, runs in _sizes(reader, query):
        of_one = replace(query, pipeline_ids=(pipeline_id,), part=PartBounds())
        if runs > size and not whole_pipelines:
            alike = -(-runs // -(-runs // size))  # parts of about one length
            cuts = list(_cuts(reader, of_one, v_runs.c.id, alike))
            for first, end in zip([None, *cuts], [*cuts, None], strict=True):
                yield replace(of_one, part=PartBounds(first_id=first, end_id=end))
            continue
        if small and number + runs > size:
            yield replace(of_one, pipeline_ids=tuple(small))
            small, number = [], 0
        small.append(pipeline_id)
        number += runs
    if small:
        yield replace(query, pipeline_ids=tuple(small), part=PartBounds())


def _sizes(reader: "Reader", query: Query) -> list[tuple[int, int]]:
    """How many runs each pipeline has, by its number; also where it has none in the window, as it
    may have broken before that."""
    of_any = replace(query, branches=None, result=None)
    pipeline_id = reader.pipeline_id(v_runs, query)
    number: Any = sa.select(pipeline_id.label("pipeline_id"), sa.func.count().label("runs"))
    number = number.group_by(pipeline_id)
    found = reader.backend.rows(number.where(*reader.conditions(v_runs, of_any)))
    runs = {one.pipeline_id: one.runs for one in found}
    ids = (one.id for one in query.pipelines)
    asked = ids if query.pipeline_ids is None else query.pipeline_ids
    return sorted((number, runs.get(number, 0)) for number in asked)


def _month_cuts(reader: "Reader", query: Query, size: int) -> Iterator[datetime]:
    """Beginnings of months between which there are at most ``size`` runs, as an archive's files
    hold whole months; a month with more is cut as well."""
    month = sa.func.date_trunc("month", v_runs.c.created_at, type_=UTCDateTime())
    of_any = replace(query, branches=None, result=None)
    each: Any = sa.select(month, sa.func.count())
    each = each.where(*reader.conditions(v_runs, of_any)).group_by(month)
    months = sorted(reader.backend.rows(each))
    number = 0
    for (begin, runs), (end, _) in zip(months, [*months[1:], (None, 0)], strict=True):
        if number and number + runs > size:
            yield begin
            number = 0
        number += runs
        if runs > size:
            part = replace(query, part=PartBounds(since=begin, until=end))
            yield from _cuts(reader, part, v_runs.c.created_at, size)


def _cuts(
    reader: "Reader", query: Query, column: sa.ColumnElement[Any], size: int
) -> Iterator[Any]:
    """Values of the column between which there are at most ``size`` runs, rising."""
    of_any = replace(query, branches=None, result=None)
    every_one = sa.select(column).where(*reader.conditions(v_runs, of_any))
    every_one = every_one.order_by(column).limit(1)
    found = reader.backend.rows(every_one.offset(size))
    while found:
        yield found[0][0]
        found = reader.backend.rows(every_one.where(column > found[0][0]).offset(size - 1))

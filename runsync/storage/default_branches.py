"""The default branch of each stored pipeline, also where its provider tells none."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, func, select

from runsync.records import USUAL_DEFAULT_BRANCHES
from runsync.storage.tables import pipelines, runs

_RECENT = timedelta(days=30)

ReadRows: TypeAlias = Callable[[Select[Any]], Sequence[Any]]
"""Executes a SELECT and gives its rows back."""


def reads_over(connection: Connection) -> ReadRows:
    """Executes SELECTs over this connection, in its transaction."""
    return lambda query: connection.execute(query).all()


def default_branches(read: ReadRows) -> dict[int, str | None]:
    """Each pipeline's default branch, by the pipeline's number.

    Where the provider tells none it is that of main, master, trunk and default on which the
    pipeline ran last; None where it ran on none of them. Runs of the last days are looked at
    first, by the index of creation, and all history of those pipelines that had none.
    """
    found = told_default_branches(read)
    ((newest,),) = read(select(func.max(runs.c.created_at)))
    if newest is not None and (untold := _untold(found)):
        # `+ 0` keeps SQLite from following the key, through all of a pipeline's history.
        is_recent = runs.c.created_at >= newest - _RECENT
        found |= _ran_last(read, runs.c.pipeline_id + 0, untold, is_recent)
        if untold := _untold(found):
            found |= _ran_last(read, runs.c.pipeline_id, untold)
    return found


def told_default_branches(read: ReadRows) -> dict[int, str | None]:
    """Each pipeline's default branch as its provider tells it, by the pipeline's number."""
    query = select(pipelines.c.id, pipelines.c.default_branch)
    return {row.id: row.default_branch for row in read(query)}


def _untold(found: dict[int, str | None]) -> list[int]:
    return [number for number, name in found.items() if name is None]


def _ran_last(
    read: ReadRows,
    number: ColumnElement[int],
    wanted: list[int],
    *which: ColumnElement[bool],
) -> dict[int, str]:
    """The usual default branch on which each pipeline ran last, by the pipeline's number."""
    r = runs.c
    query = (
        select(number.label("number"), r.branch)
        .where(number.in_(wanted), *which, r.branch.in_(USUAL_DEFAULT_BRANCHES))
        .group_by(number, r.branch)
        .order_by(func.max(r.created_at), r.branch)
    )
    # Of several branches of a pipeline the last stays.
    return {row.number: row.branch for row in read(query)}

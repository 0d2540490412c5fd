"""The verdicts that tell in which state each branch entered a window: its last pass that had ended
before, and what came after that; all of them where it had never passed. A pass that nothing
followed tells something only of a branch that has runs in the window."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from runsync.reports.backend import Columns
from runsync.reports.query_spec import Query
from runsync.storage.tables import UTCDateTime, runs, v_runs

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_PASSED: Any = sa.literal_column("'passed'")
_FAILED: Any = sa.literal_column("'failed'")
_NEVER = sa.literal(datetime(1, 1, 1, tzinfo=UTC), UTCDateTime())


def verdicts_before(reader: "Reader", query: Query, wanted: Columns) -> list[sa.Select[Any]]:
    """SELECTs that hold each of these verdicts once.

    Args:
        query: whose window ends where the other begins.
        wanted: the columns of ``v_runs``.
    """
    since = query.window.until
    assert since is not None  # noqa: S101 - the caller's window has a beginning
    last = _last_verdicts(since, query.pipeline_ids)
    dialect = reader.backend.dialect_name
    if dialect == "sqlite":  # told which pipelines, it would follow the key, through their history
        query = replace(query, pipeline_ids=None)
    earlier = reader.select(v_runs, query, wanted)
    join = _one_by_one if dialect == "postgresql" else _joined
    return [one.where(_matters(last, since)) for one in join(earlier, last)]


def _joined(earlier: sa.Select[Any], last: sa.CTE) -> Iterator[sa.Select[Any]]:
    """In SQLite by the index of verdicts: however long the history is, only the rows that are told
    are looked at."""
    for of_branch in _of_branch(last):
        yield earlier.join_from(last, v_runs, sa.and_(*of_branch))


def _one_by_one(earlier: sa.Select[Any], last: sa.CTE) -> Iterator[sa.Select[Any]]:
    """The same in PostgreSQL, which would rather read all runs than follow the index for each
    branch: it cannot know how few come after a last pass. It looks into no subquery with OFFSET."""
    for of_branch in _of_branch(last):
        told = earlier.where(*of_branch).correlate(last).offset(sa.literal_column("0")).lateral()
        yield sa.select(*told.c).select_from(last.join(told, sa.true()))


def _of_branch(last: sa.CTE) -> Iterator[tuple[sa.ColumnElement[bool], ...]]:
    """What is true of the verdicts of a branch from its last pass on; of one without a name apart,
    as `IS NOT DISTINCT FROM` finds nothing by an index of PostgreSQL."""
    run = v_runs.c
    came_after = _ended(run) >= sa.func.coalesce(last.c.passed_at, _NEVER)
    for same in (run.branch == last.c.branch, run.branch.is_(None) & last.c.branch.is_(None)):
        yield run.pipeline_id == last.c.pipeline_id, same, *_has_verdict(run), came_after


def _matters(last: sa.CTE, since: datetime) -> sa.ColumnElement[bool]:
    """Whether a branch never passed, has a verdict behind its last pass, or a run in the window."""
    run = sa.alias(runs).c
    within = sa.select(run.pipeline_id, run.branch).where(run.created_at >= since)
    return sa.or_(
        last.c.passed_at.is_(None),
        last.c.failed_at >= last.c.passed_at,
        last.c.ended_at >= since,
        last.c.branch.is_(None),  # which is not found in a list
        sa.tuple_(last.c.pipeline_id, last.c.branch).in_(within),
    )


def _last_verdicts(since: datetime, pipeline_ids: Sequence[int] | None) -> sa.CTE:
    """When each branch passed and failed last before ``since``, null where it had not; and when its
    last verdict came. In SQLite the index alone tells."""
    run = sa.alias(runs).c
    ended = _ended(run)

    def last(result: Any) -> sa.ColumnElement[Any]:
        of_result = sa.case(((run.result == result) & (ended < since), ended))
        return sa.func.max(of_result, type_=UTCDateTime())

    found = sa.select(
        run.pipeline_id,
        run.branch,
        last(_PASSED).label("passed_at"),
        last(_FAILED).label("failed_at"),
        sa.func.max(ended, type_=UTCDateTime()).label("ended_at"),
    ).where(*_has_verdict(run))
    if pipeline_ids is not None:
        found = found.where(run.pipeline_id.in_(pipeline_ids))
    return found.group_by(run.pipeline_id, run.branch).cte("last_verdict")


def _has_verdict(run: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """In the words of the index, without which SQLite does not take it."""
    is_finished = run.status == sa.literal_column("'finished'")
    return is_finished, run.result.in_([_PASSED, _FAILED])


def _ended(run: Any) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(run.finished_at, run.created_at)

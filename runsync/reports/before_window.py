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
    if reader.is_archive:
        return [_by_scan(reader.select(v_runs, query, wanted), since)]
    last = _last_verdicts(since, query.pipeline_ids)
    # Told which pipelines, SQLite would follow the key, through all of their history.
    earlier = reader.select(v_runs, replace(query, pipeline_ids=None), wanted)
    join = _joined if reader.backend.dialect_name == "sqlite" else _one_by_one
    return [one.where(_matters(last, since)) for one in join(earlier, last)]


def _joined(earlier: sa.Select[Any], last: sa.CTE) -> Iterator[sa.Select[Any]]:
    """By the index of verdicts: however long the history is, only the rows that are told are
    looked at."""
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


def _by_scan(earlier: sa.Select[Any], since: datetime) -> sa.Select[Any]:
    run = v_runs.c
    # No branch and an empty name are two branches.
    branch = sa.func.coalesce(run.branch, "")
    has_none = sa.case((run.branch.is_(None), 1), else_=0)
    passed = earlier.with_only_columns(
        run.pipeline_id,
        branch.label("branch"),
        has_none.label("has_none"),
        sa.func.max(_ended(run)).label("passed_at"),
    ).where(run.is_passed == 1, _ended(run) < since)
    last = passed.group_by(run.pipeline_id, branch, has_none).subquery("last_pass")
    same_branch = (
        (last.c.pipeline_id == run.pipeline_id)
        & (last.c.branch == branch)
        & (last.c.has_none == has_none)
    )
    came_after = last.c.passed_at.is_(None) | (_ended(run) >= last.c.passed_at)
    return earlier.outerjoin_from(v_runs, last, same_branch).where(run.in_rate == 1, came_after)


def _last_verdicts(since: datetime, pipeline_ids: Sequence[int] | None) -> sa.CTE:
    """When each branch passed and failed last before ``since``, null where it had not; and when its
    last verdict came. The index alone tells."""
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

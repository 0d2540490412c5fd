"""The statements that write runs and steps, and the rules of what may overwrite what.

The rules stand in the statements, so they hold for two machines at once:

- an answer older than what is stored changes no state, nor does one that is not settled change a
  settled run, unless the provider itself says that the run has changed since (its version);
- an answer whose steps did not come changes no state of a run whose steps are stored: it only says
  that the run must be read again;
- of a run's steps the settled answer has the last word, the newest where there are several; before
  it a step that was once told as finished stays so;
- of a step that the settled answer lacks, and of one that answers told as finished in two ways, no
  time is stored, so of answers that come out of order the first to be written stays;
- what a listing does not tell (a null) never blanks what a detail told, whichever came first: an
  older answer still fills in what is missing;
- a row that would stay as it is is left alone, so the count of rows is the count of changes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal_column,
    not_,
    or_,
    true,
    update,
)

from runsync.records import RunWithSteps, Status, Step
from runsync.storage import copying
from runsync.storage.tables import UTCDateTime, runs, steps

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

VERSION_KEY = "updated_at"
"""Under which key of ``runs.extra`` a run's version is kept."""

# Facts tell which run it is: each is filled in once. State is how far it has come: it is replaced
# as a whole.
RUN_FACTS = (
    "branch commit_hash message author author_id number event source_run_id url web_url"
).split()
RUN_STATE = (
    "attempt created_at status result outcome raw_status raw_result progress started_at "
    "finished_at queued_ms duration_ms"
).split()
STEP_FACTS = "job phase runner created_at log_url artifacts_url".split()
STEP_STATE = (
    "position name status result outcome raw_status raw_result started_at finished_at duration_ms"
).split()

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"
Expression = ColumnElement[Any]
Row = Mapping[str, Any]
Key = tuple[int, str]
"""A run's key: its pipeline's number, and its id."""

# Constants stand in the statements themselves, so that all parameters are columns.
_FINISHED: Expression = literal_column(f"'{Status.FINISHED.value}'")
_NO_RANK: Expression = literal_column("0")
_RANKS: dict[Any, Any] = {
    literal_column(f"'{word.value}'"): literal_column(str(n)) for n, word in enumerate(Status)
}


@cache
def run_upsert(dialect: str) -> Insert:
    """Inserts a run, or updates a stored one by a newer answer."""
    statement = insert_for(dialect, runs)
    old, new = runs.c, statement.excluded
    newer = _is_newer(dialect, new)
    lacks_steps = and_(new.steps_synced_at.is_(None), old.steps_synced_at.is_not(None))
    replaces = and_(newer, not_(lacks_steps))
    values: dict[str, Expression] = {
        name: case((replaces, new[name]), else_=old[name]) for name in (*RUN_STATE, "vanished_at")
    }
    for name in RUN_FACTS:
        told, kept = (new[name], old[name]), (old[name], new[name])
        values[name] = case((replaces, func.coalesce(*told)), else_=func.coalesce(*kept))
    values["settled"] = case((newer, and_(new.settled, not_(lacks_steps))), else_=old.settled)
    extra = _merged(dialect, old.extra, new.extra)
    values["extra"] = case((replaces, extra), else_=_merged(dialect, new.extra, old.extra))
    changed = or_(*(old[name].is_distinct_from(value) for name, value in values.items()))
    values["last_seen_at"] = _later(old.last_seen_at, new.last_seen_at)
    values["steps_synced_at"] = _later(old.steps_synced_at, new.steps_synced_at)
    return statement.on_conflict_do_update(
        index_elements=["pipeline_id", "id"], set_=values, where=changed
    )


class StepRule(Enum):
    """What an answer may do to a run's stored steps. Each adds those that are missing, and facts
    that are missing of the others; none deletes any."""

    FINAL = auto()
    """The settled answer: it has the last word."""
    NEWER = auto()
    """It replaces what an earlier answer told, but a finished step stays finished."""
    OLDER = auto()
    """It only finishes steps that have not finished."""
    SUPERSEDED = auto()
    """A settled answer is stored: what that told stays."""


@cache
def step_upsert(dialect: str, rule: StepRule) -> Insert:
    """Inserts a step, or updates a stored one as far as the rule allows."""
    statement = insert_for(dialect, steps)
    old, new = steps.c, statement.excluded
    replaces = {
        StepRule.FINAL: true(),
        StepRule.NEWER: or_(old.status != _FINISHED, new.status == _FINISHED),
        StepRule.OLDER: and_(old.status != _FINISHED, new.status == _FINISHED),
        StepRule.SUPERSEDED: false(),
    }[rule]
    values: dict[str, Expression] = {
        name: case((replaces, new[name]), else_=old[name]) for name in STEP_STATE
    }
    for name in STEP_FACTS:
        told, kept = (new[name], old[name]), (old[name], new[name])
        values[name] = case((replaces, func.coalesce(*told)), else_=func.coalesce(*kept))
    extra = _merged(dialect, old.extra, new.extra)
    values["extra"] = case((replaces, extra), else_=_merged(dialect, new.extra, old.extra))
    changed = or_(*(old[name].is_distinct_from(value) for name, value in values.items()))
    key = ["pipeline_id", "run_id", "id"]
    return statement.on_conflict_do_update(index_elements=key, set_=values, where=changed)


def execute_many(connection: Connection, statement: Insert, rows: Sequence[Row]) -> int:
    """Executes one statement for many rows of a :class:`RowEncoder`; how many that changed.

    SQLAlchemy's own way makes each row's parameters anew, which takes as long again as SQLite
    takes to store it. PostgreSQL is sent many rows by COPY.
    """
    if not rows:
        return 0
    if connection.dialect.name == "postgresql" and len(rows) > copying.MOST_ROW_BY_ROW:
        return copying.copy_rows(connection, cast("postgresql.Insert", statement), rows)
    sql, in_order = _compiled(statement, connection.dialect)
    return connection.exec_driver_sql(sql, list(map(in_order, rows))).rowcount


@cache
def _compiled(statement: Insert, dialect: Dialect) -> tuple[str, Callable[[Row], Any]]:
    """The statement's text, and what puts a row in order where the driver knows no names."""
    compiled = statement.compile(dialect=dialect)
    names: list[str] = getattr(compiled, "positiontup", None) or []
    return compiled.string, itemgetter(*names) if names else dict


@cache
def touch_statement() -> Update:
    """Notes when an unsettled run was last seen, so that an older answer is known as one."""
    seen = bindparam("b_seen", type_=runs.c.last_seen_at.type)
    synced = bindparam("b_synced", type_=runs.c.last_seen_at.type)
    return (
        update(runs)
        .where(runs.c.pipeline_id == bindparam("b_pipeline_id"), runs.c.id == bindparam("b_id"))
        .values(
            last_seen_at=_later(runs.c.last_seen_at, seen),
            steps_synced_at=_later(runs.c.steps_synced_at, synced),
        )
    )


def forget_state(connection: Connection, key: Key, *, with_steps: bool) -> None:
    """Makes a stored run older than any answer, so that the next one overwrites it.

    Args:
        with_steps: delete its steps too.
    """
    if with_steps:
        of_run = and_(steps.c.pipeline_id == key[0], steps.c.run_id == key[1])
        connection.execute(delete(steps).where(of_run))
    connection.execute(
        update(runs)
        .where(runs.c.pipeline_id == key[0], runs.c.id == key[1])
        .values(
            status=Status.NOTSTARTED.value,
            settled=False,
            extra=_without_version(connection.dialect.name, runs.c.extra),
            steps_synced_at=None,
            last_seen_at=_LONG_AGO,
        )
    )


def _without_version(dialect: str, extra: Expression) -> Expression:
    """What a detail told is kept; the version would make the next answer an older one."""
    if dialect == "postgresql":
        return extra.op("-")(literal_column(f"'{VERSION_KEY}'"))
    return func.json_remove(extra, f"$.{VERSION_KEY}")


def insert_for(dialect: str, table: Table) -> Insert:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _is_newer(dialect: str, new: Any) -> Expression:
    """Whether an answer about a run may replace the state that an earlier one left."""
    old = runs.c
    told, known = (
        extra.op("->>")(literal_column(f"'{VERSION_KEY}'"))
        if dialect == "postgresql"
        else func.json_extract(extra, literal_column(f"'$.{VERSION_KEY}'"))
        for extra in (new.extra, old.extra)
    )
    reached, before = (
        case(_RANKS, value=status, else_=_NO_RANK) for status in (new.status, old.status)
    )
    newer_version = func.coalesce(told > known, false())
    older_version = func.coalesce(told < known, false())
    as_far = and_(reached == before, new.last_seen_at >= old.last_seen_at)
    goes_on = or_(new.settled, reached > before, as_far, new.last_seen_at > old.last_seen_at)
    confirms = and_(new.settled, new.last_seen_at >= old.last_seen_at)
    # What was marked as gone, and is told of all the same, may have changed unseen.
    is_final = and_(old.settled, old.vanished_at.is_(None))
    later = or_(and_(not_(is_final), goes_on), and_(is_final, confirms))
    return or_(newer_version, and_(not_(older_version), later))


def _later(old: Expression, new: Expression) -> Expression:
    return case((or_(old.is_(None), new > old), func.coalesce(new, old)), else_=old)


def _merged(dialect: str, under: Expression, over: Expression) -> Expression:
    """Two JSON objects as one; of a key that both have, what ``over`` says."""
    both = under.op("||")(over) if dialect == "postgresql" else func.json_merged(under, over)
    return case((over.is_(None), under), (under.is_(None), over), else_=both)


class RowEncoder:
    """Builds rows as a database's driver takes them: times and JSON are converted here."""

    def __init__(self, dialect: Dialect) -> None:
        self._time = UTCDateTime().bind_processor(dialect)
        self._json = dialect._json_serializer or json.dumps

    def run(self, key: Key, details: RunWithSteps, *, settled: bool, with_steps: bool) -> Row:
        """The row of a run, for :func:`run_upsert`."""
        run, time = details.run, self._time
        as_of = time(details.as_of)
        extra = dict(run.extra)
        if run.version is not None:
            extra[VERSION_KEY] = run.version
        return {
            "pipeline_id": key[0],
            "id": run.id,
            "attempt": run.attempt,
            "branch": run.branch,
            "commit_hash": run.commit_hash,
            "message": run.message,
            "author": run.author,
            "author_id": run.author_id,
            "number": run.number,
            "event": run.event,
            "status": run.status.value,
            "result": run.result.value,
            "outcome": run.outcome and run.outcome.value,
            "raw_status": run.raw_status,
            "raw_result": run.raw_result,
            "progress": run.progress,
            "created_at": time(run.created_at),
            "started_at": time(run.started_at),
            "finished_at": time(run.finished_at),
            "queued_ms": run.queued_ms,
            "duration_ms": run.duration_ms,
            "source_run_id": run.source_run_id,
            "url": run.url,
            "web_url": run.web_url,
            "extra": self._json(extra) if extra else None,
            "steps_synced_at": as_of if with_steps else None,
            "settled": settled,
            "first_seen_at": as_of,
            "last_seen_at": as_of,
            "vanished_at": None,
        }

    def step(self, key: Key, step: Step) -> Row:
        """The row of a step of that run, for :func:`step_upsert`."""
        time = self._time
        return {
            "pipeline_id": key[0],
            "run_id": key[1],
            "id": step.id,
            "position": step.position,
            "job": step.job,
            "name": step.name,
            "phase": step.phase,
            "runner": step.runner,
            "status": step.status.value,
            "result": step.result.value,
            "outcome": step.outcome and step.outcome.value,
            "raw_status": step.raw_status,
            "raw_result": step.raw_result,
            "created_at": time(step.created_at),
            "started_at": time(step.started_at),
            "finished_at": time(step.finished_at),
            "duration_ms": step.duration_ms,
            "log_url": step.log_url,
            "artifacts_url": step.artifacts_url,
            "extra": self._json(dict(step.extra)) if step.extra else None,
        }

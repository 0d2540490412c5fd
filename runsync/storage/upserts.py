"""The statements that write runs and steps, and the rules of what may overwrite what.

The rules stand in the statements, so they hold for two machines at once:

- an answer older than what is stored changes no state, nor does one that is not settled change a
  settled run, unless the provider itself says that the run has changed since (its version);
- what a listing does not tell (a null) never blanks what a detail told, whichever came first: an
  older answer still fills in what is missing;
- a row that would stay as it is is left alone, so the count of rows is the count of changes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

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
    update,
)

from runsync.records import RunWithSteps, Status, Step
from runsync.storage.tables import UTCDateTime, runs, steps

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

RUNS, STEPS = runs, steps
VERSION_KEY = "updated_at"
"""Under which key of ``runs.extra`` a run's version is kept."""

# Facts tell which run it is and are filled in once; the state is replaced as one.
RUN_FACTS = "branch commit_hash message author author_id source_run_id url".split()
RUN_STATE = (
    "attempt created_at status result raw_status raw_result progress started_at finished_at "
    "queued_ms duration_ms settled"
).split()
STEP_FACTS = "job phase created_at log_url artifacts_url".split()
STEP_STATE = (
    "position name status result raw_status raw_result started_at finished_at duration_ms"
).split()

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"
FINISHED: ColumnElement[str] = literal_column(f"'{Status.FINISHED.value}'")
Expression = ColumnElement[Any]
Row = Mapping[str, Any]
Key = tuple[int, str]
"""A run's key: its pipeline's number, and its id."""


@cache
def _upsert_runs(dialect: str) -> Insert:
    statement = insert_for(dialect, RUNS)
    old, new = RUNS.c, statement.excluded
    newer = _may_replace(dialect, new)
    values: dict[str, Expression] = {
        name: case((newer, new[name]), else_=old[name]) for name in (*RUN_STATE, "vanished_at")
    }
    for name in RUN_FACTS:
        told, kept = (new[name], old[name]), (old[name], new[name])
        values[name] = case((newer, func.coalesce(*told)), else_=func.coalesce(*kept))
    extra = _merged(dialect, old.extra, new.extra)
    values["extra"] = case((newer, extra), else_=_merged(dialect, new.extra, old.extra))
    changed = or_(*(old[name].is_distinct_from(value) for name, value in values.items()))
    values["last_seen_at"] = _later(old.last_seen_at, new.last_seen_at)
    values["steps_synced_at"] = _later(old.steps_synced_at, new.steps_synced_at)
    return statement.on_conflict_do_update(
        index_elements=["pipeline_id", "id"], set_=values, where=changed
    )


@cache
def _upsert_steps(dialect: str, newer: bool) -> Insert:
    statement = insert_for(dialect, STEPS)
    new = statement.excluded
    values: dict[str, Expression] = {name: new[name] for name in STEP_STATE}
    values |= {name: func.coalesce(new[name], STEPS.c[name]) for name in STEP_FACTS}
    values["extra"] = _merged(dialect, STEPS.c.extra, new.extra)
    changed = or_(*(STEPS.c[name].is_distinct_from(value) for name, value in values.items()))
    finishes = and_(STEPS.c.status != FINISHED, new.status == FINISHED)
    goes_on = or_(STEPS.c.status != FINISHED, new.status == FINISHED)
    return statement.on_conflict_do_update(
        index_elements=["pipeline_id", "run_id", "id"],
        set_=values,
        where=and_(goes_on, changed) if newer else finishes,
    )


def write_runs(connection: Connection, rows: Sequence[Row]) -> int:
    """Inserts runs, or brings stored ones up to newer answers; how many rows that changed."""
    return _write(connection, _upsert_runs(connection.dialect.name), rows)


def write_steps(connection: Connection, rows: Sequence[Row], *, newer: bool = True) -> int:
    """Inserts steps, or brings stored ones up to newer answers; how many rows that changed.

    Args:
        newer: off where the answer is older than what is stored: then it adds steps, and
            finishes those that have not finished, but changes no other.
    """
    return _write(connection, _upsert_steps(connection.dialect.name, newer), rows)


def _write(connection: Connection, statement: Insert, rows: Sequence[Row]) -> int:
    """Executes one statement for many rows of values that the driver takes as they are.

    SQLAlchemy's own way makes each row's parameters anew, which takes as long again as SQLite
    takes to store it.
    """
    if not rows:
        return 0
    sql, ordering = _compiled(statement, connection.dialect)
    ordered = list(map(ordering, rows)) if ordering else list(rows)
    return connection.exec_driver_sql(sql, ordered).rowcount


@cache
def _compiled(statement: Insert, dialect: Dialect) -> tuple[str, Callable[[Row], Any] | None]:
    """The statement's text, and what puts a row in order where the driver knows no names."""
    compiled = statement.compile(dialect=dialect)
    names: list[str] = getattr(compiled, "positiontup", None) or []
    return compiled.string, itemgetter(*names) if names else None


def touch_runs(connection: Connection, touched: Iterable[tuple[Key, RunWithSteps, bool]]) -> None:
    """Notes when unsettled runs were last seen, so that an older answer is known as one.

    Args:
        touched: each run's key, what was read of it, and whether its steps were read with it.
    """
    rows = [_touch_row(*one) for one in touched]
    if rows:
        connection.execute(_touch(), rows)


def forget_state(connection: Connection, key: Key, *, with_steps: bool) -> None:
    """Makes a stored run older than any answer, so that the next one overwrites it.

    Args:
        with_steps: take its steps away too.
    """
    if with_steps:
        is_of_run = and_(STEPS.c.pipeline_id == key[0], STEPS.c.run_id == key[1])
        connection.execute(delete(STEPS).where(is_of_run))
    connection.execute(
        update(RUNS)
        .where(RUNS.c.pipeline_id == key[0], RUNS.c.id == key[1])
        .values(
            status=Status.NOTSTARTED.value,
            settled=False,
            extra=None,
            steps_synced_at=None,
            last_seen_at=_LONG_AGO,
        )
    )


@cache
def _touch() -> Update:
    return (
        update(RUNS)
        .where(
            RUNS.c.pipeline_id == bindparam("b_pipeline_id"),
            RUNS.c.id == bindparam("b_id"),
            not_(RUNS.c.settled),
        )
        .values(
            last_seen_at=_later(
                RUNS.c.last_seen_at, bindparam("b_seen", type_=RUNS.c.last_seen_at.type)
            ),
            steps_synced_at=_later(
                RUNS.c.steps_synced_at, bindparam("b_synced", type_=RUNS.c.last_seen_at.type)
            ),
        )
    )


def insert_for(dialect: str, table: Table) -> Insert:
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _may_replace(dialect: str, new: Any) -> Expression:
    """Whether an answer about a run may replace what an earlier one left."""
    old = RUNS.c
    told, known = _version(dialect, new.extra), _version(dialect, old.extra)
    newer_version = func.coalesce(told > known, false())
    older_version = func.coalesce(told < known, false())
    further = _rank(new.status) > _rank(old.status)
    as_far = and_(_rank(new.status) == _rank(old.status), new.last_seen_at >= old.last_seen_at)
    goes_on = or_(new.settled, further, as_far, new.last_seen_at > old.last_seen_at)
    confirms = and_(new.settled, new.last_seen_at >= old.last_seen_at)
    later = or_(and_(not_(old.settled), goes_on), and_(old.settled, confirms))
    return or_(newer_version, and_(not_(older_version), later))


def _rank(status: Expression) -> Expression:
    places: list[tuple[Any, Expression]] = [
        (status == _word(word), literal_column(str(n))) for n, word in enumerate(Status)
    ]
    return case(*places, else_=literal_column("0"))


def _version(dialect: str, extra: Expression) -> Expression:
    if dialect == "postgresql":
        return extra.op("->>")(_word(VERSION_KEY))
    return func.json_extract(extra, _word(f"$.{VERSION_KEY}"))


def _word(text: str) -> Expression:
    """A constant of ours in the statement itself, so that all its parameters are columns."""
    return literal_column(f"'{text}'")


def _later(old: Expression, new: Expression) -> Expression:
    return case((or_(old.is_(None), new > old), func.coalesce(new, old)), else_=old)


def _merged(dialect: str, under: Expression, over: Expression) -> Expression:
    """Two JSON objects as one; of a key that both have, what ``over`` says."""
    both = under.op("||")(over) if dialect == "postgresql" else func.json_merged(under, over)
    return case((over.is_(None), under), (under.is_(None), over), else_=both)


def _touch_row(key: Key, details: RunWithSteps, with_steps: bool) -> Row:
    synced = details.as_of if with_steps else None
    return {"b_pipeline_id": key[0], "b_id": key[1], "b_seen": details.as_of, "b_synced": synced}


class RowEncoder:
    """Builds rows as a database's driver takes them: times and JSON are converted here."""

    def __init__(self, dialect: Dialect) -> None:
        self._time = UTCDateTime().bind_processor(dialect)
        self._json = dialect._json_serializer or json.dumps

    def run(self, key: Key, details: RunWithSteps, *, settled: bool, with_steps: bool) -> Row:
        """The row of a run, for :func:`write_runs`."""
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
            "status": run.status.value,
            "result": run.result.value,
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
            "extra": self._json(extra) if extra else None,
            "steps_synced_at": as_of if with_steps else None,
            "settled": settled,
            "first_seen_at": as_of,
            "last_seen_at": as_of,
            "vanished_at": None,
        }

    def step(self, key: Key, step: Step) -> Row:
        """The row of a step of that run, for :func:`write_steps`."""
        time = self._time
        return {
            "pipeline_id": key[0],
            "run_id": key[1],
            "id": step.id,
            "position": step.position,
            "job": step.job,
            "name": step.name,
            "phase": step.phase,
            "status": step.status.value,
            "result": step.result.value,
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

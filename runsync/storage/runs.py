"""How runs and their steps are written, and what is known of those that are stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, select, update

from runsync.errors import START_APART, HistoryRestartedError
from runsync.records import GRACE, Pipeline, Problem, RunWithSteps, Status
from runsync.storage import tables
from runsync.storage.sync_log import Counts
from runsync.storage.upserts import (
    VERSION_KEY,
    Key,
    Row,
    RowEncoder,
    StepRule,
    execute_many,
    run_upsert,
    step_upsert,
    touch_statement,
)

ROUNDING = timedelta(seconds=1)
"""Creation times that differ by less are of one run; a provider may round them."""
_FORGETTING = timedelta(days=1)
"""For how long steps that are stored have to be missing, at every try, to count as forgotten."""
RunKey = tuple[str, str]
"""A run's pipeline, by its external id, and the run's own id."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """What is stored of a run, as far as it decides whether to ask for the run again.

    One that has ``vanished`` may have changed unseen: it is neither ``settled`` nor ``set_aside``.
    """

    settled: bool
    version: str | None
    vanished: bool
    steps_synced_at: datetime | None
    last_seen_at: datetime
    created_at: datetime
    first_seen_at: datetime
    finished: bool
    has_steps: bool
    set_aside: bool = False


@dataclass(frozen=True, slots=True)
class RunToWrite:
    """A run to be stored. ``with_steps`` is False where its steps could not be had."""

    details: RunWithSteps
    settled: bool
    with_steps: bool = True

    @property
    def key(self) -> RunKey:
        return self.details.run.key

    @property
    def is_whole(self) -> bool:
        """Whether everything that the provider has of the run was read."""
        return self.with_steps and not self.details.problems


def lacks_proof(found: RunWithSteps, stored: StoredState | None) -> bool:
    """Whether a run that is over and came without a step may have some all the same.

    Some runs have none, and some providers forget them; a passing fault looks the same. Where none
    is stored it takes another such answer, ten minutes after the run was first seen; one that did
    not come is none. Where some are, they may have changed since.
    """
    if found.run.started_at is None or not found.steps_read:
        return False
    if stored is None or stored.steps_synced_at is None:
        return True
    if not stored.has_steps:
        was_empty = stored.finished and stored.steps_synced_at >= stored.last_seen_at
        return not (was_empty and found.as_of >= stored.first_seen_at + GRACE)
    were_missing = stored.last_seen_at > stored.steps_synced_at
    return not (were_missing and found.as_of >= stored.steps_synced_at + _FORGETTING)


def without_known_steps(found: RunWithSteps) -> RunWithSteps:
    """A run of which steps are stored, and none came."""
    problem = Problem(
        f"run {found.run.id}: no steps came, though some are stored; they are asked for again"
    )
    return replace(found, problems=(*found.problems, problem), steps_read=False)


def is_set_aside(after: datetime | None = None) -> ColumnElement[bool]:
    """Whether a run of the enclosing query is set aside, and was so found after that time."""
    r, s = tables.runs.c, tables.set_aside.c
    found = exists().where(s.pipeline_id == r.pipeline_id, s.run_id == r.id)
    return found if after is None else found.where(s.at > after)


def stored_states(
    connection: Connection, source: str, keys: Iterable[RunKey], *, lock: bool = False
) -> dict[RunKey, StoredState]:
    """What is stored of these runs of a source.

    Args:
        lock: nobody else may change them until the transaction ends.
    """
    wanted = list(keys)
    p, r, s = tables.pipelines.c, tables.runs.c, tables.steps.c
    has_steps = exists().where(s.pipeline_id == r.pipeline_id, s.run_id == r.id)
    is_there = r.vanished_at.is_(None)
    state = (
        r.steps_synced_at,
        r.last_seen_at,
        r.created_at,
        r.first_seen_at,
        r.status == Status.FINISHED.value,
        has_steps,
        and_(is_set_aside(), is_there),
    )
    query = (
        select(p.external_id, r.id, and_(r.settled, is_there), r.extra, r.vanished_at, *state)
        .join(tables.pipelines, p.id == r.pipeline_id)
        .where(
            p.source == source,
            p.external_id.in_({pipeline for pipeline, _ in wanted}),
            r.id.in_([run_id for _, run_id in wanted]),
        )
    )
    if lock:
        query = query.with_for_update(of=tables.runs).order_by(r.pipeline_id, r.id)
    return {
        (external_id, run_id): StoredState(
            settled, (extra or {}).get(VERSION_KEY), vanished is not None, *state
        )
        for external_id, run_id, settled, extra, vanished, *state in connection.execute(query)
    }


def save_runs(
    connection: Connection,
    source: str,
    runs: Sequence[RunToWrite],
    pipelines: Mapping[str, tuple[int, Pipeline]],
) -> Counts:
    """Writes runs and their steps, in the order of their keys, so that no two writers deadlock.

    Args:
        pipelines: the rows of the runs' pipelines, by external id.

    Raises:
        HistoryRestartedError: a stored run of the same id was created at another time.
    """
    numbered = {(pipelines[one.key[0]][0], one.key[1]): one for one in runs}
    to_write: dict[Key, RunToWrite] = dict(sorted(numbered.items()))
    if not to_write:
        return Counts()
    # Of two that write runs of a pipeline one waits, so nobody adds what is not stored here.
    p = tables.pipelines.c
    turns = select(p.id).where(p.id.in_({number for number, _ in to_write})).order_by(p.id)
    connection.execute(turns.with_for_update(key_share=True))
    stored = stored_states(connection, source, (one.key for one in runs), lock=True)
    to_write = {
        key: one
        for key, one in to_write.items()
        if one.key not in stored or _is_same_run(one, stored[one.key])
    }
    encoder, dialect = RowEncoder(connection.dialect), connection.dialect.name
    rows = [
        encoder.run(key, one.details, settled=one.settled, with_steps=one.with_steps)
        for key, one in to_write.items()
    ]
    written = execute_many(connection, run_upsert(dialect), rows)
    steps: dict[StepRule, list[Row]] = {rule: [] for rule in StepRule}
    for key, one in to_write.items():
        in_order = sorted(one.details.steps, key=lambda step: step.id)
        rule = _step_rule(one, stored.get(one.key))
        steps[rule] += [encoder.step(key, s) for s in in_order]
    steps_written = sum(
        execute_many(connection, step_upsert(dialect, rule), rows) for rule, rows in steps.items()
    )
    seen_again = [
        {
            "b_pipeline_id": key[0],
            "b_id": key[1],
            "b_seen": one.details.as_of,
            "b_synced": one.details.as_of if one.with_steps else None,
        }
        for key, one in to_write.items()
        if one.key in stored and not stored[one.key].settled
    ]
    if seen_again:
        connection.execute(touch_statement(), seen_again)
    seen_before = [key for key, one in to_write.items() if one.key in stored]
    if steps_written and seen_before:
        _mark_months(connection, seen_before)
    for key, one in to_write.items():
        before = stored.get(one.key)
        if before and (before.vanished or (before.set_aside and one.is_whole)):
            take_back(connection, key)
    new = len(to_write) - len(seen_before)
    return Counts(new, written - new, steps_written)


def take_back(connection: Connection, key: Key) -> None:
    """Sets a run aside no more."""
    s = tables.set_aside.c
    of_run = and_(s.pipeline_id == key[0], s.run_id == key[1])
    connection.execute(delete(tables.set_aside).where(of_run))


def _mark_months(connection: Connection, keys: Sequence[Key]) -> None:
    """Says that the months of these runs have changed: of steps alone nothing else tells it."""
    r = tables.runs.c
    of_run = and_(r.pipeline_id == bindparam("b_pipeline_id"), r.id == bindparam("b_id"))
    rows = [{"b_pipeline_id": key[0], "b_id": key[1]} for key in keys]
    connection.execute(update(tables.runs).where(of_run).values(settled=r.settled), rows)


def _is_same_run(answer: RunToWrite, stored: StoredState) -> bool:
    """Whether an answer is of the stored run: a run is created once, within a second.

    Where the steps did not come, the creation time may be a guess: what is stored so is taken to
    be the same run, and what is answered so and differs is passed over.

    Raises:
        HistoryRestartedError: it is of another run.
    """
    run = answer.details.run
    if stored.steps_synced_at is None or abs(run.created_at - stored.created_at) < ROUNDING:
        return True
    if not answer.with_steps:
        return False
    raise HistoryRestartedError(
        f"run {run.id} of {run.pipeline.external_id} was created at {run.created_at:%F %T} UTC, "
        f"but the stored run of that id at {stored.created_at:%F %T} UTC: the source's numbers "
        f"have begun again; {START_APART}"
    )


def _step_rule(answer: RunToWrite, stored: StoredState | None) -> StepRule:
    """What an answer may do to the steps that are stored of its run."""
    if stored is None or _brings_newer_steps(answer, stored):
        return StepRule.FINAL if answer.settled else StepRule.NEWER
    return StepRule.SUPERSEDED if stored.settled else StepRule.OLDER


def _brings_newer_steps(answer: RunToWrite, stored: StoredState) -> bool:
    """Whether an answer's steps may replace those that an earlier one left."""
    if stored.steps_synced_at is None:
        return True
    version = answer.details.run.version
    if version and stored.version and version != stored.version:
        return version > stored.version
    if answer.settled != stored.settled:
        return answer.settled
    return answer.details.as_of >= stored.steps_synced_at

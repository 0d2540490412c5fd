"""Reads the timeline of a build: its tasks as steps, with the job that each is of.

What says nothing of its own has no row: a stage, a phase or a job is told by its tasks. One that
ended without any (it was skipped, or cancelled in the queue) has a row with its kind as ``phase``,
and so has a checkpoint, and a job whose end none of its tasks explains: its agent was lost, or its
time was over. What was run again stands in a timeline of its own, and is kept as ``retried``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from runsync.records import Extra, Outcome, Problem, Result, Run, RunWithSteps, Status, Step
from runsync.sources.azure.payloads import Project, read_state
from runsync.sources.azure.words import REASONS
from runsync.sources.fields import BadRowError, Fields, describe, or_problem, row_name
from runsync.sources.steps import not_shown, outcome_by_steps, unended

_STEP_KEYS = frozenset(
    "id parentId type name startTime finishTime state result workerName order attempt issues log "
    "previousAttempts changeId lastModified currentOperation percentComplete details url _links "
    "identifier refName errorCount warningCount variables inputs".split()
)
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a timeline. ``step`` is the row that it would be by itself."""

    step: Step
    kind: str
    parent: str | None
    order: int
    attempt: int
    previous: tuple[tuple[int, str], ...]
    """Of what was run before: the number of the attempt, and its timeline's id."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The records of one timeline by their ids, and what could not be read of it."""

    records: Mapping[str, Record]
    problems: tuple[Problem, ...] = ()

    def earlier(self) -> list[tuple[int, str]]:
        """The timelines of what was run before, the oldest first: attempt and id."""
        return sorted({one for record in self.records.values() for one in record.previous})


def read_timeline(data: object, run_id: str) -> Timeline:
    """The records of an answer; a build that never began has no timeline (null).

    Raises:
        BadRowError: it is no timeline.
    """
    if data is None:
        return Timeline({})
    rows = Fields(data, f"run {run_id}: its timeline").raw.get("records")
    if rows is not None and not isinstance(rows, list):
        raise BadRowError(f"run {run_id}: a list of records is due, {describe(rows)} came")
    read = [or_problem(partial(_read_record, raw, run_id)) for raw in rows or ()]
    records = {one.step.id: one for one in read if isinstance(one, Record)}
    return Timeline(records, tuple(one for one in read if isinstance(one, Problem)))


def read_details(
    run: Run,
    timeline: Timeline,
    earlier: Sequence[tuple[int, Timeline]],
    project: Project,
    as_of: datetime,
) -> RunWithSteps:
    """A run with its steps. ``earlier``: the numbers and timelines of attempts before."""
    parents = (one.parent for one in timeline.records.values() if one.parent)
    problems = sum((one.problems for _, one in earlier), timeline.problems)
    problems = problems or not_shown(run, parents, timeline.records, "record")
    page = project.web(f"/results?buildId={run.id}&view=logs")
    # Where a record is missing it may be a task of what seems to have none.
    shown = partial(_rows, page=page, tasks_only=bool(problems))
    rows = list(shown(timeline.records, timeline.records, retried=None))
    for attempt, before in earlier:
        own = _without_repeats(before.records, timeline.records, attempt)
        rows += shown(own, {**timeline.records, **own}, retried=True)
    ordered = [step for _, step in sorted(rows, key=lambda row: (row[0], row[1].id))]
    steps = tuple(replace(step, position=place) for place, step in enumerate(ordered, 1))
    problems += unended(run, steps, "task") if steps else ()
    return RunWithSteps(replace(run, outcome=_outcome(run, steps)), steps, as_of, problems)


def _read_record(raw: object, run_id: str) -> Record:
    fields = Fields(raw, f"run {run_id}: {row_name('record', raw)}")
    issues = [
        {key: text for key in ("type", "category", "message") if (text := one.text(key))}
        for one in fields.objects("issues")
    ]
    state = read_state(fields, fields.needed_text("state"))
    if state["result"] in (Result.FAILED, Result.ABORTED):
        said = " ".join(one.get("message", "") for one in issues)
        reason = next((outcome for text, outcome in REASONS.items() if text in said), None)
        state["outcome"] = reason or state["outcome"]
    log = fields.child("log")
    own: Extra = {"issues": issues, "log": log.integer("id") if log else None}
    told = {**fields.rest(_STEP_KEYS), **own}
    step = Step(
        id=fields.needed_uuid("id"),
        position=0,
        name=fields.text("name") or "(unnamed)",
        runner=fields.text("workerName"),
        extra={key: value for key, value in told.items() if value not in (None, [], {})},
        **state,
    )
    tries = fields.objects("previousAttempts")
    return Record(
        step,
        fields.needed_text("type"),
        fields.text("parentId"),
        fields.integer("order") or 0,
        fields.integer("attempt") or 1,
        tuple((one.integer("attempt") or 1, one.needed_uuid("timelineId")) for one in tries),
    )


def _without_repeats(
    before: Mapping[str, Record], now: Mapping[str, Record], attempt: int
) -> dict[str, Record]:
    """What an earlier timeline tells of other tries than the latest; one that goes by the id of the
    latest gets one of its own."""
    own: dict[str, Record] = {}
    for record_id, record in before.items():
        latest = now.get(record_id)
        if latest is None:
            own[record_id] = record
        elif (latest.attempt, latest.step.started_at) != (record.attempt, record.step.started_at):
            step = replace(record.step, id=f"{record_id}.{attempt}")
            own[record_id] = replace(record, step=step)
    return own


def _rows(
    records: Mapping[str, Record],
    known: Mapping[str, Record],
    *,
    page: str,
    tasks_only: bool,
    retried: bool | None,
) -> Iterator[tuple[list[tuple[int, int, str]], Step]]:
    """The steps of a timeline, each with its place in the order.

    Args:
        known: where parents are found.
        page: where people see the logs.
    """
    children: dict[str | None, list[Record]] = {}
    for record in records.values():
        children.setdefault(record.parent, []).append(record)
    for record_id, record in records.items():
        is_task = record.kind == "Task" or record.kind.startswith("Checkpoint.")
        if is_task or (not tasks_only and _has_row(record, children.get(record_id, ()))):
            path = [record]
            while len(path) < _DEEPEST and (above := known.get(path[0].parent or "")):
                path.insert(0, above)
            place = [(one.order, one.attempt, one.step.name) for one in path]
            yield place, _placed(record, path, page, retried=retried)


def _has_row(record: Record, children: Sequence[Record]) -> bool:
    if not children:
        # Before its end something may come below it: a row for now would stay behind for ever.
        return record.step.status is Status.FINISHED
    failed = record.step.result is Result.FAILED
    unexplained = failed and all(one.step.result is not Result.FAILED for one in children)
    own_fault = record.step.outcome in (Outcome.TIMEOUT, Outcome.ERROR)
    return record.kind == "Job" and (unexplained or own_fault)


def _placed(record: Record, path: Sequence[Record], page: str, *, retried: bool | None) -> Step:
    """The step of a record, with what those above it (and itself) tell."""
    job = next((one for one in path if one.kind == "Job"), None)
    stage = next((one.step.name for one in path if one.kind == "Stage"), "__default")
    attempt = (job or record).attempt
    own: Extra = {
        "stage": None if stage == "__default" else stage,
        "attempt": attempt if attempt > 1 else None,
        "retried": retried,
    }
    shown = {"j": job, "t": record if record.kind == "Task" else None}
    view = "".join(f"&{k}={one.step.id.partition('.')[0]}" for k, one in shown.items() if one)
    return replace(
        record.step,
        job=job.step.name if job else None,
        phase=None if record.kind == "Task" else record.kind.lower(),
        log_url=f"{page}{view}" if "log" in record.step.extra else None,
        extra={**record.step.extra, **{k: v for k, v in own.items() if v is not None}},
    )


def _outcome(run: Run, steps: Sequence[Step]) -> Outcome | None:
    """A build has no reason of its own; it was aborted by a time-out where a step says so."""
    stopped = {step.outcome for step in steps if "retried" not in step.extra}
    if run.result is Result.ABORTED and Outcome.TIMEOUT in stopped:
        return Outcome.TIMEOUT
    return outcome_by_steps(run.outcome, steps)

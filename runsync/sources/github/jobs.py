"""GitHub's jobs as steps.

A step's ``job`` is the job that it is of. The facts of a job (runner, labels, the queue it was in)
stand in ``extra`` of its first step. A job that ended without any step (skipped, cancelled in the
queue, or its steps forgotten) has one row of its own, with ``phase`` "job".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runsync.records import Problem, Result, Run, Status, Step, parse_time
from runsync.sources.fields import BadRowError, Fields, describe, storable, unique_by_id
from runsync.sources.github.payloads import (
    Repository,
    read_state,
    split_run_id,
    without_blanks,
)

JOB_PHASE = "job"
_JOB_KEYS = frozenset(
    "node_id run_id run_url head_sha url html_url steps check_run_url workflow_name head_branch "
    "name status run_attempt".split()
)
_STEP_KEYS = frozenset("name status conclusion number started_at completed_at".split())


@dataclass(frozen=True, slots=True)
class Job:
    """A job as rows, and its times; ``started_at`` is None where no runner took it."""

    started_at: datetime | None
    finished_at: datetime | None
    steps: Sequence[Step]


def read_jobs(
    rows: Iterable[object], run: Run, repository: Repository
) -> tuple[Run, tuple[Step, ...], tuple[Problem, ...]]:
    """The run with its times, its steps in GitHub's order of jobs, and what could not be read."""
    jobs: list[Job] = []
    problems: list[Problem] = []
    for raw in rows:
        known = raw.get("id") if isinstance(raw, dict) else None
        try:
            fields = Fields(raw, f"job {describe(known)}")
            if fields.integer("run_id") not in (None, split_run_id(run.id)[0]):
                raise BadRowError(f"{fields.what}: it is of run {fields.integer('run_id')}")
            if not _is_earlier(fields, run):
                jobs.append(_read_job(fields, run, repository))
        except BadRowError as error:
            problems.append(Problem(f"run {run.id}: {error}"))
    steps = unique_by_id(step for job in jobs for step in job.steps)
    placed = (replace(step, position=place) for place, step in enumerate(steps, 1))
    return _timed(run, jobs), tuple(placed), tuple(problems)


def _timed(run: Run, jobs: Sequence[Job]) -> Run:
    """The run from its first job's start to its last job's end.

    Its ``updated_at`` is no end, since GitHub touches that later on, too; it must do where there
    is no job at all.
    """
    started = min((job.started_at for job in jobs if job.started_at), default=None)
    if run.status is not Status.FINISHED:
        return replace(run, started_at=started)
    touched = parse_time(run.version) if run.version else None
    finished = max((job.finished_at for job in jobs if job.finished_at), default=touched)
    return replace(run, started_at=started, finished_at=finished)


def _is_earlier(job: Fields, run: Run) -> bool:
    """Whether an earlier attempt ran this job, and a re-run of others only shows it again."""
    if run.attempt == 1:
        return False
    finished = job.time("completed_at")
    of_attempt = job.integer("run_attempt") or run.attempt
    return of_attempt < run.attempt or (finished is not None and finished < run.created_at)


def _read_job(job: Fields, run: Run, repository: Repository) -> Job:
    own = _job_row(
        job, repository.url("runs", split_run_id(run.id)[0], "job", job.needed_number("id", 0))
    )
    steps: Sequence[Step] = [_read_step(step, own) for step in job.objects("steps")]
    if steps:
        first = replace(steps[0], extra={**steps[0].extra, **own.extra})
        steps = [first, *steps[1:]]
    elif own.status is Status.FINISHED:
        steps = [own]
    # Else its steps are still to come: a row for now would stay behind for ever.
    return Job(own.started_at, own.finished_at, steps)


def _job_row(job: Fields, url: str) -> Step:
    """A job as a row of its own."""
    name = job.needed_text("name")
    state = read_state(job)
    over = state["status"] is Status.FINISHED
    # One that waits or is skipped has a `started_at`, too: there it is no start.
    taken = job.raw.get("steps") or job.integer("runner_id")
    waits = state["status"] is Status.NOTSTARTED or state["result"] is Result.SKIPPED
    return Step(
        id=str(job.needed_number("id", 0)),
        position=0,
        name=name,
        job=name,
        phase=JOB_PHASE,
        runner=_runner(job) if taken else None,
        created_at=job.time("created_at"),
        started_at=job.time("started_at") if taken and not waits else None,
        finished_at=job.time("completed_at") if over else None,
        log_url=url,
        extra={"job": without_blanks(job.rest(_JOB_KEYS))},
        **state,
    )


def _runner(job: Fields) -> str | None:
    """The labels that chose the runner, since each of GitHub's own has another name."""
    labels = job.raw.get("labels")
    named = (
        [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []
    )
    return storable(",".join(named)) or job.text("runner_name")


def _read_step(step: Fields, job: Step) -> Step:
    number = step.needed_number("number", 0)
    state = read_state(step)
    over = state["status"] is Status.FINISHED
    return Step(
        id=f"{job.id}.{number}",
        position=0,
        name=step.text("name") or "(unnamed)",
        job=job.name,
        runner=job.runner,
        created_at=job.created_at,
        started_at=step.time("started_at"),
        finished_at=step.time("completed_at") if over else None,
        log_url=f"{job.log_url}#step:{number}:1",
        extra=without_blanks(step.rest(_STEP_KEYS)),
        **state,
    )

"""Reads what GitLab answers: pipelines as runs, jobs and bridges as steps."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from runsync.records import Pipeline, Problem, Result, Run, RunWithSteps, Status, Step
from runsync.sources.fields import BadRowError, Fields, map_result, map_status, raw_word, row_name

STATUSES = {
    **dict.fromkeys("created waiting_for_resource waiting_for_callback".split(), Status.NOTSTARTED),
    **dict.fromkeys("preparing pending scheduled manual".split(), Status.NOTSTARTED),
    **dict.fromkeys("running canceling".split(), Status.RUNNING),
    **dict.fromkeys("success failed canceled skipped".split(), Status.FINISHED),
}
RESULTS = {
    "success": Result.PASSED,
    "failed": Result.FAILED,
    "canceled": Result.ABORTED,
    "skipped": Result.SKIPPED,
}
_COLUMNS = "id status created_at started_at finished_at web_url ref user".split()
# Values of variables and of inputs are never stored.
_RUN_KEYS = frozenset(
    [*_COLUMNS, "sha", "updated_at", "detailed_status", "variables", "inputs"],
)
# Besides what has a column: what each job of a run repeats, and what is told only to show it.
_REPEATED = "stage name duration tag commit pipeline project runner runner_manager".split()
_STEP_KEYS = frozenset([*_COLUMNS, *_REPEATED, "artifacts", "artifacts_file"])


def read_run(raw: object, pipeline: Pipeline) -> Run:
    """A run from the listing, which lacks its times and its user, or from its detail."""
    fields = Fields(raw, row_name("run", raw))
    user = fields.child("user")
    return Run(
        pipeline=pipeline,
        id=_id(fields),
        version=_version(fields),
        created_at=fields.needed_time("created_at"),
        branch=fields.text("ref"),
        commit_hash=fields.text("sha"),
        author=(user.text("username") or user.text("name")) if user else None,
        author_id=_id(user) if user else None,
        url=fields.text("web_url"),
        extra=_told(fields, _RUN_KEYS),
        **_state(fields),
    )


def _version(run: Fields) -> str:
    """The time of the last change. Where GitLab tells none, that of the creation stands in, and how
    far the run has come since is all that tells of a change."""
    changed = run.time("updated_at")
    if changed is not None:
        return iso(changed)
    place = list(Status).index(_state(run)["status"])
    return f"{iso(run.needed_time('created_at'))} {place}"


def read_step(fields: Fields, *, bridge: bool) -> Step:
    """A step from a job, or from a bridge: a job that triggers another pipeline.

    Its position is still open, and whether it was retried: that takes all of a run's.
    """
    url, state, runner = fields.text("web_url"), _state(fields), fields.child("runner")
    has_log = url and state["started_at"] and not bridge
    own = {"bridge": bridge or None, "runner": runner.text("description") if runner else None}
    return Step(
        id=_id(fields),
        position=0,
        job=fields.text("stage"),
        name=fields.needed_text("name"),
        created_at=fields.time("created_at"),
        log_url=f"{url}/raw" if has_log else None,
        artifacts_url=f"{url}/artifacts/download" if fields.child("artifacts_file") else None,
        extra=_told(fields, _STEP_KEYS) | {k: v for k, v in own.items() if v is not None},
        **state,
    )


def _state(fields: Fields) -> dict[str, Any]:
    """How far a run or step has come, in our words: keywords of ``Run`` and of ``Step``."""
    started, finished = fields.time("started_at"), fields.time("finished_at")
    word = fields.needed_text("status")
    status, result = map_status(word, STATUSES, started, finished), map_result(word, RESULTS)
    over = status is Status.FINISHED
    return {
        "status": status,
        "result": result,
        "raw_status": raw_word(word, status),
        "raw_result": raw_word(word, result) if over else None,
        "started_at": started,
        # A pipeline that is run again keeps its former end until it has a new one.
        "finished_at": finished if over else None,
    }


def read_details(
    run: Run, jobs: list[object], bridges: list[object], as_of: datetime
) -> RunWithSteps:
    steps: dict[int, Step] = {}
    problems: list[Problem] = []
    for place, raw in enumerate([*jobs, *bridges]):
        try:
            fields = Fields(raw, f"run {run.id}: {row_name('job', raw)}")
            step = read_step(fields, bridge=place >= len(jobs))
            steps[int(step.id)] = step
            # Only jobs tell the commit's message, and all of them the same.
            commit = fields.child("commit")
            run = replace(run, message=commit.text("message")) if commit else run
        except BadRowError as error:
            problems.append(Problem(str(error)))
    return RunWithSteps(run, _in_order(steps), as_of, tuple(problems))


def _in_order(steps: dict[int, Step]) -> tuple[Step, ...]:
    """Oldest first. Of those of one name the latest counts; the others were retried."""
    ordered = [steps[number] for number in sorted(steps)]
    latest = {step.name: step.id for step in ordered}
    for place, step in enumerate(ordered):
        retried = {} if latest[step.name] == step.id else {"retried": True}
        ordered[place] = replace(step, position=place + 1, extra={**step.extra, **retried})
    return tuple(ordered)


def _told(fields: Fields, taken: frozenset[str]) -> dict[str, Any]:
    """What has no column, but for what only says that there is nothing to say."""
    rest = fields.rest(taken)
    return {key: value for key, value in rest.items() if value is not False and value != []}


def _id(fields: Fields) -> str:
    number = fields.integer("id")
    if number is None:
        raise BadRowError(f"{fields.what}: `id` is missing")
    return str(number)


def iso(when: datetime) -> str:
    """A UTC time as GitLab writes it; all of one length, so that the later text is the greater."""
    return f"{when.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"

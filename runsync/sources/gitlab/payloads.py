"""Reads what GitLab answers: pipelines as runs, jobs and bridges as steps."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from runsync.records import Outcome, Pipeline, Problem, Result, Run, RunWithSteps, Status, Step
from runsync.sources.fields import BadRowError, Fields, read_progress, row_name
from runsync.sources.gitlab.words import ENDINGS, EVENTS, REASONS, STATUSES
from runsync.sources.steps import without_jobs

_PAGE = re.compile(r"/((?:(?!\.{1,2}/)[\w.-]+/)+)-/pipelines/\d+", re.ASCII)

_COLUMNS = "id status created_at started_at finished_at web_url ref user".split()
# Values of variables and of inputs are never stored.
_RUN_KEYS = frozenset(
    [*_COLUMNS, "sha", "updated_at", "detailed_status", "variables", "inputs"],
)
# Besides what has a column: what each job of a run repeats, and what is told only to show it.
_REPEATED = "stage name duration tag commit pipeline project runner runner_manager".split()
_STEP_KEYS = frozenset([*_COLUMNS, *_REPEATED, "artifacts", "artifacts_file"])


def read_run(raw: object, pipeline: Pipeline, base_url: str) -> Run:
    """A run from the listing, which lacks its times and its user, or from its detail."""
    fields = Fields(raw, row_name("run", raw))
    user, event = fields.child("user"), fields.text("source")
    number = fields.integer("iid")
    state = _state(fields)
    if state["outcome"] is Outcome.FAILURE and fields.text("yaml_errors"):
        state["outcome"] = Outcome.ERROR
    return Run(
        pipeline=pipeline,
        id=_id(fields),
        version=_version(fields),
        created_at=fields.needed_time("created_at"),
        branch=fields.text("ref"),
        commit_hash=fields.text("sha"),
        author=(user.text("username") or user.text("name")) if user else None,
        author_id=_id(user) if user else None,
        number=None if number is None else str(number),
        event=event and EVENTS.get(event, event),
        url=fields.text("web_url"),
        web_url=_page(fields, pipeline, base_url),
        extra=_told(fields, _RUN_KEYS),
        **state,
    )


def _page(run: Fields, pipeline: Pipeline, base_url: str) -> str | None:
    """The page of a run. Of a project that goes by its number, only the run tells the path."""
    project = pipeline.external_id.partition("?")[0]
    if project.isdecimal():
        path = urlsplit(run.text("web_url") or "").path
        found = _PAGE.fullmatch(path.removeprefix(urlsplit(base_url).path.rstrip("/")))
        if found is None:
            return None
        project = found[1].rstrip("/")
    return f"{base_url.rstrip('/')}/{project}/-/pipelines/{_id(run)}"


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
    machine = runner.text("description") if runner else None
    if state["outcome"] is Outcome.FAILURE:
        state["outcome"] = REASONS.get(fields.text("failure_reason") or "", Outcome.FAILURE)
    has_log = url and state["started_at"] and not bridge
    own = {"bridge": bridge or None, "runner": machine}
    return Step(
        id=_id(fields),
        position=0,
        job=fields.text("stage"),
        name=fields.needed_text("name"),
        runner=machine,
        created_at=fields.time("created_at"),
        log_url=f"{url}/raw" if has_log else None,
        artifacts_url=f"{url}/artifacts/download" if fields.child("artifacts_file") else None,
        extra=_told(fields, _STEP_KEYS) | {k: v for k, v in own.items() if v is not None},
        **state,
    )


def _state(fields: Fields) -> dict[str, Any]:
    """How far a run or step has come, in our words: keywords of ``Run`` and of ``Step``.

    A pipeline that is run again keeps its former end until it has a new one.
    """
    word = fields.needed_text("status")
    return read_progress(fields, word, word, STATUSES, ENDINGS, ("started_at", "finished_at"))


def read_details(
    run: Run, jobs: list[object], bridges: list[object], as_of: datetime
) -> RunWithSteps:
    steps: dict[int, Step] = {}
    problems: list[Problem] = []
    for place, raw in enumerate([*jobs, *bridges]):
        try:
            fields = Fields(raw, f"run {run.id}: {row_name('job', raw)}")
            of = fields.child("pipeline")
            if of and _id(of) != run.id:
                raise BadRowError(f"{fields.what}: it is of run {_id(of)}")
            step = read_step(fields, bridge=place >= len(jobs))
            steps[int(step.id)] = step
            # Only jobs tell the commit's message, and all of them the same.
            commit = fields.child("commit")
            run = replace(run, message=commit.text("message")) if commit else run
        except BadRowError as error:
            problems.append(Problem(str(error)))
    problems += without_jobs(run, len(jobs) + len(bridges))
    ordered = _in_order(steps)
    run = replace(run, outcome=_outcome(run, ordered))
    return RunWithSteps(run, ordered, as_of, tuple(problems))


def _outcome(run: Run, steps: tuple[Step, ...]) -> Outcome | None:
    """A pipeline has no reason of its own: it failed by the CI's fault where all jobs that decided
    it did."""
    deciding = {
        step.outcome
        for step in steps
        if step.result is Result.FAILED and not {"retried", "allow_failure"} & step.extra.keys()
    }
    if run.outcome is not Outcome.FAILURE or not deciding or Outcome.FAILURE in deciding:
        return run.outcome
    return Outcome.ERROR if Outcome.ERROR in deciding else Outcome.TIMEOUT


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

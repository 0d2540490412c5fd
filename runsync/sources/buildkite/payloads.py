"""Reads what Buildkite answers: builds as runs, and their jobs as steps.

A step is a job that does something: a ``script`` job, or a ``trigger`` job, which starts a build
of another pipeline and may wait for it. What only holds a build up is none: a ``waiter``, or a
``manual`` job, which waits for a person.
"""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from runsync.errors import SourceError
from runsync.records import Ending, Outcome, Pipeline, Problem, Run, RunWithSteps, Status, Step
from runsync.sources.buildkite import words
from runsync.sources.buildkite.words import BLOCKED
from runsync.sources.fields import (
    BadRowError,
    Fields,
    map_ending,
    map_status,
    raw_word,
    read_steps,
    row_name,
)
from runsync.sources.steps import outcome_by_steps

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_TIMES = (
    "created_at scheduled_at runnable_at started_at failing_at finished_at unblocked_at expired_at"
).split()
# What has a column, what is told only to show it, and what may hold values that are not to be kept.
_TAKEN = (
    "id number url state created_at started_at finished_at graphql_id web_url build_url log_url "
    "raw_log_url artifacts_url env name test_engine cluster_queue_url"
)
_RUN_KEYS = frozenset(
    f"{_TAKEN} blocked message commit branch source creator author meta_data jobs pipeline".split()
)
_STEP_KEYS = frozenset(
    f"{_TAKEN} label group_key agent step command artifact_paths cluster_url retried_by".split()
)
_PRIVATE = frozenset("email avatar_url ip_address url web_url graphql_id".split())


def web_host(base_url: str) -> str:
    """Where people look at what the API at ``base_url`` tells."""
    return re.sub(r"^(https?://)api\.", r"\1", base_url.rstrip("/"))


def read_build(
    raw: object, own: Pipeline | None, organization: str, base_url: str, as_of: datetime
) -> RunWithSteps:
    """A build with its jobs, from a list or from its detail: both tell the same.

    Args:
        own: whose build it has to be; None where it says so itself.

    Raises:
        BadRowError: a field is not what is due.
        SourceError: it is a build of another pipeline.
    """
    fields = Fields(raw, row_name("build", raw))
    number = fields.needed_number("number")
    fields.what = f"build {number}"
    pipeline = _read_pipeline(fields, own, organization, base_url)
    steps, problems = _read_jobs(fields)
    commit = fields.text("commit") or ""
    run = Run(
        pipeline=pipeline,
        id=str(number),
        number=str(number),
        created_at=fields.needed_time("created_at"),
        message=fields.text("message"),
        branch=fields.text("branch"),
        # A build that no agent has taken yet may be of a mere HEAD.
        commit_hash=commit if _COMMIT.fullmatch(commit) else None,
        url=fields.text("url"),
        web_url=f"{web_host(base_url)}/{pipeline.external_id}/builds/{number}",
        event=_event(fields),
        source_run_id=_origin(fields),
        env=_env(fields),
        extra=_own_extra(fields, _RUN_KEYS),
        **_people(fields),
        **_state(fields),
    )
    _, outcome = map_ending(run.raw_result or run.result.value, words.BUILD_ENDINGS, run.status)
    run = replace(run, outcome=outcome_by_steps(outcome, steps), version=_version(fields, run))
    has_jobs = isinstance(fields.raw.get("jobs"), list)
    return RunWithSteps(run, steps, as_of, problems, steps_read=has_jobs)


def _read_pipeline(
    build: Fields, own: Pipeline | None, organization: str, base_url: str
) -> Pipeline:
    fields = build.child("pipeline")
    if fields is None:
        if own is None:
            raise BadRowError(f"{build.what}: `pipeline` is missing")
        return own
    slug = fields.needed_text("slug")
    if not SLUG.fullmatch(slug):
        raise BadRowError(f"{fields.what}: `slug` is none")
    external_id = f"{organization}/{slug}"
    if own is not None and own.external_id != external_id:
        raise SourceError(
            f"builds of {external_id} came where those of {own.external_id} are due; if it was "
            "renamed, write its new slug as `id`"
        )
    # Some answers write this time as no other: 2013-09-03 13:24:38 UTC
    created = (fields.text("created_at") or "").replace(" UTC", "+00:00")
    return Pipeline(
        external_id,
        name=fields.text("name"),
        url=f"{web_host(base_url)}/{external_id}",
        created_at=Fields({"created_at": created}, fields.what).time("created_at"),
        default_branch=fields.text("default_branch"),
    )


def _env(build: Fields) -> tuple[tuple[str, str], ...]:
    values = build.child("env")
    return tuple((key, str(value)) for key, value in values.rest(()).items()) if values else ()


def _people(build: Fields) -> dict[str, Any]:
    """Who created a build, or wrote what a push brought; never an e-mail address."""
    creator, author = build.child("creator"), build.child("author")
    name = next(filter(None, (_name(one) for one in (creator, author) if one)), None)
    return {"author": name, "author_id": creator.text("id") if creator else None}


def _name(person: Fields) -> str | None:
    name = (person.text("username") or person.text("name") or "").partition("<")[0].strip()
    return None if "@" in name else name


def _event(build: Fields) -> str | None:
    source, request = build.text("source"), build.child("pull_request")
    if source == "webhook" and request and request.raw.get("id"):
        return "pull_request"
    return source and words.EVENTS.get(source, source)


def _origin(build: Fields) -> str | None:
    """The build that this one is run again from."""
    origin = build.child("rebuilt_from")
    number = origin.integer("number") if origin else None
    return None if number is None else str(number)


def _state(build: Fields) -> dict[str, Any]:
    """How far a build has come. One that waits for a person shows the state that it had before,
    and may show an end: it is not over."""
    started, finished = build.time("started_at"), build.time("finished_at")
    word, blocked = build.needed_text("state"), build.raw.get("blocked") is True
    shown = BLOCKED if blocked and word in words.SHOWN_STATES else word
    status = map_status(
        shown, words.BUILD_STATUSES, started, None if shown == BLOCKED else finished
    )
    result, _ = map_ending(shown, words.BUILD_ENDINGS, status)
    over = status is Status.FINISHED
    return {
        "status": status,
        "result": result,
        "raw_status": raw_word(shown, status),
        "raw_result": raw_word(word, result) if over or shown != word else None,
        "started_at": started,
        # A build that is under way again may keep its former end.
        "finished_at": finished if over else None,
    }


def _version(build: Fields, run: Run) -> str:
    """The latest time that a build or its jobs tell; whatever happens to a build has one. Buildkite
    writes milliseconds, so there is room behind them for how far the build has come."""
    jobs = build.raw.get("jobs")
    readable = [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []
    told = [build, *(Fields(job, f"{build.what}: a job") for job in readable)]
    latest = max(time for one in told for key in _TIMES if (time := one.time(key)))
    place = 2 * list(Status).index(run.status) + (run.raw_status == BLOCKED)
    marked = latest.replace(microsecond=latest.microsecond // 1000 * 1000 + place)
    return marked.isoformat(timespec="microseconds")


def _read_jobs(build: Fields) -> tuple[tuple[Step, ...], tuple[Problem, ...]]:
    jobs = build.raw.get("jobs")
    if not isinstance(jobs, list):
        return (), (Problem(f"{build.what}: its jobs are missing"),)
    return read_steps(jobs, _read_job, build.what)


def _read_job(raw: object, position: int) -> Step | None:
    fields = Fields(raw, row_name("job", raw))
    if fields.text("type") in ("waiter", "manual"):
        return None
    started, finished = fields.time("started_at"), fields.time("finished_at")
    word = fields.needed_text("state")
    status = map_status(word, words.JOB_STATUSES, started, finished)
    result, outcome = _ending(fields, word, status)
    agent = fields.child("agent")
    return Step(
        id=fields.needed_id("id"),
        position=position,
        job=fields.text("group_key"),
        name=_title(fields),
        runner=(agent.text("name") if agent else None) or _queue(fields),
        status=status,
        result=result,
        outcome=outcome,
        raw_status=raw_word(word, status),
        raw_result=raw_word(word, result) if status is Status.FINISHED else None,
        created_at=fields.time("created_at"),
        started_at=started,
        finished_at=finished,
        log_url=fields.text("log_url") if started else None,
        artifacts_url=fields.text("artifacts_url") or None,
        extra=_own_extra(fields, _STEP_KEYS),
    )


def _title(job: Fields) -> str:
    named = filter(None, map(job.text, ("name", "label", "step_key")))
    first_line = (job.text("command") or "").strip().partition("\n")[0]
    return next(named, None) or first_line or "(unnamed)"


def _queue(job: Fields) -> str | None:
    """The queue in which a job waits for an agent, or waited in vain."""
    rules = job.rest(()).get("agent_query_rules")
    texts = [rule for rule in rules if isinstance(rule, str)] if isinstance(rules, list) else []
    return next((rule[6:] for rule in texts if rule.startswith("queue=")), None)


def _ending(job: Fields, word: str, status: Status) -> Ending:
    if word == "finished":
        word = "passed" if job.integer("exit_status") == 0 else "failed"
    ending = map_ending(word, words.JOB_ENDINGS, status)
    is_lost = (
        job.text("signal_reason") in words.ERRORS or job.integer("exit_status") == words.LOST_AGENT
    )
    is_failure = ending.outcome is Outcome.FAILURE
    return ending._replace(outcome=Outcome.ERROR) if is_failure and is_lost else ending


def _own_extra(fields: Fields, taken: frozenset[str]) -> dict[str, Any]:
    """What has no column; that a job is a script says nothing."""
    rest = _without_private(fields.nonblank_rest(taken)).items()
    return {key: value for key, value in rest if value not in ("script", [], {})}


def _without_private(value: Any) -> Any:
    """JSON without what tells more of a person than the name, and without addresses of others."""
    if isinstance(value, dict):
        return {k: _without_private(v) for k, v in value.items() if k not in _PRIVATE}
    return [_without_private(inner) for inner in value] if isinstance(value, list) else value

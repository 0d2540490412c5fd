"""Reads what Jenkins answers: builds as runs, stages as steps. Nothing here asks for anything."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote

from runsync.http.client import checked_path
from runsync.records import Outcome, Pipeline, Problem, Result, Run, RunWithSteps, Status, Step
from runsync.sources.fields import (
    EPOCH,
    BadRowError,
    Fields,
    describe,
    nonblank,
    read_steps,
    row_name,
    state_of,
    storable,
)
from runsync.sources.jenkins import words
from runsync.sources.steps import unended

# Of parameters only the names are asked for, so that no value ever comes here.
BUILD_TREE = (
    "number,timestamp,duration,building,inProgress,result,displayName,builtOn,"
    "actions[causes[userId,userName,upstreamProject,upstreamBuild],parameters[name],"
    "lastBuiltRevision[SHA1,branch[name]],revision[hash,pullHash],queuingDurationMillis,"
    "blockedDurationMillis,buildableDurationMillis,waitingDurationMillis],"
    "changeSets[items[commitId,msg,author[fullName]]],"
    "changeSet[items[commitId,msg,author[fullName]]]"
)
# What Jenkins allows in a name; the rest is escaped in the names of branches. Nothing invisible.
_CHARACTER = r"[^\x00-\x20\x7f-\xa0?*/\\%!@#$^&|<>\[\]:;\ud800-\udfff]|%[0-9A-F]{2}"
_PART = re.compile(rf"(?!\.{{1,2}}$)(?! )(?:{_CHARACTER}| )+(?<! )")
_LONGEST_NAME = 500
_WAITS = ("blockedDurationMillis", "buildableDurationMillis", "waitingDurationMillis")
_PULL_REQUEST = re.compile(r"(?:PR|MR)-\d+(?:-(?:head|merge))?")
_REMOTE = re.compile(r"(?:refs/)?(?:remotes/)?(?:origin/)?(?:refs/heads/)?")
MILLISECOND = timedelta(milliseconds=1)
_LONGEST = 2**46  # of a time that something took, in milliseconds


def is_job_name(name: str) -> bool:
    """Whether it has the form of a full name of a job or folder."""
    return len(name) <= _LONGEST_NAME and all(map(_PART.fullmatch, name.split("/")))


def read_name(raw: object, above: str) -> tuple[str, Fields]:
    """What a folder tells of what is in it, and its full name.

    Raises:
        BadRowError: it has no name.
    """
    fields = Fields(raw, f"a job in {above or 'Jenkins'}")
    part = fields.needed_text("name")
    name = f"{above}/{part}" if above else part
    if "/" in part or not is_job_name(name):
        raise BadRowError(f"{fields.what}: {describe(part)} is no name of a job")
    return name, fields


def job_path(name: str) -> tuple[str, ...]:
    """The parts of the path of a job or folder, by its full name; none for the top."""
    return tuple(part for name in name.split("/") if name for part in ("job", name))


def build_number(raw: object) -> int | None:
    """The number of a build; None where it tells none."""
    number = raw.get("number") if isinstance(raw, dict) else None
    return number if type(number) is int and number > 0 else None


def build_time(raw: object) -> int | None:
    """When a build began, in epoch milliseconds; None where it tells no such time."""
    at = raw.get("timestamp") if isinstance(raw, dict) else None
    return at if type(at) is int and 0 < at <= _LONGEST else None


def read_build(
    raw: object, job: str, base_url: str, as_of: datetime, *, is_branch: bool
) -> RunWithSteps:
    """A build from a job's list, or by itself; unless it is of a Pipeline job it is its one step.

    Args:
        job: its full name.
        is_branch: it is one of a multibranch project, and so named by its branch.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, f"build {build_number(raw) or '(no number)'} of {job}")
    number = fields.needed_number("number")
    # Those that tell nothing are empty.
    created, actions = _moment(fields, "timestamp"), [*fields.objects("actions")]
    if created is None:
        raise BadRowError(f"{fields.what}: `timestamp` is missing")
    # A build has a result before it is over; after that it is still in progress while what follows
    # is done, which only a newer Jenkins tells.
    over = fields.raw.get("building") is False and not fields.raw.get("inProgress")
    status = Status.FINISHED if over else Status.RUNNING
    state = state_of(status, None, fields.text("result"), words.ENDINGS)
    causes, stops = _causes(actions), _causes(actions, interrupted=True)
    if state["result"] is Result.ABORTED and words.TIMEOUT_CAUSES & {*map(_word, stops)}:
        state["outcome"] = Outcome.TIMEOUT
    head = job.rpartition("/")[2] if is_branch else None
    commit, branch = _revision(actions)
    commit, message, author = _change(fields, commit)
    user = next((one for one in causes if one.first_text("userId", "userName")), None)
    page = base_url + checked_path(*job_path(job)) + "/"
    run = Run(
        pipeline=Pipeline(job, job, page),
        id=str(number),
        number=str(number),
        created_at=created,
        started_at=created,
        finished_at=created + _span(fields, "duration") if over else None,
        queued_before_ms=_waited(actions),
        event=_event(causes, head),
        branch=storable(unquote(head)) if head else branch,
        commit_hash=commit,
        message=message,
        author=user.first_text("userId", "userName") if user else author,
        author_id=user.text("userId") if user else None,
        url=f"{page}{number}/",
        web_url=f"{page}{number}/",
        extra=_told(fields, number, actions, causes),
        **state,
    )
    if (fields.text("_class") or "WorkflowRun").endswith("WorkflowRun"):
        return RunWithSteps(run, (), as_of, steps_read=False)
    return whole_build(run, as_of, fields.text("builtOn") or None)


def _causes(actions: list[Fields], *, interrupted: bool = False) -> list[Fields]:
    """What started a build, or what interrupted it: two kinds of actions have causes."""
    those = [a for a in actions if (_word(a) == "InterruptedBuildAction") is interrupted]
    return [cause for action in those for cause in action.objects("causes")]


def _word(fields: Fields) -> str:
    """The class of an object, without its package and what it stands in."""
    return re.split(r"[.$]", fields.text("_class") or "")[-1]


def _event(causes: list[Fields], head: str | None) -> str | None:
    word = _word(causes[0]) if causes else ""
    event = words.EVENTS.get(word, word) or None
    is_pull = event == "push" and head and _PULL_REQUEST.fullmatch(head)
    return "pull_request" if is_pull else event


def _waited(actions: list[Fields]) -> int | None:
    """Milliseconds in the queue, before there was a build: only the metrics plugin tells."""
    for action in actions:
        if _word(action) == "TimeInQueueAction":
            whole = action.integer("queuingDurationMillis")
            return sum(action.integer(k) or 0 for k in _WAITS) if whole is None else whole
    return None


def _revision(actions: list[Fields]) -> tuple[str | None, str | None]:
    """Commit and branch. A library of the pipeline is checked out like the project itself, so of
    several none is taken, but for what the branch itself was built at."""
    for action in actions:
        if commit := action.first_text("revision/pullHash", "revision/hash"):
            return commit, None
    found: dict[str, str | None] = {}
    for action in actions:
        built = action.child("lastBuiltRevision")
        if built and (commit := built.text("SHA1")):
            names = [branch.text("name") or "" for branch in built.objects("branch")]
            shown = _REMOTE.sub("", names[0], count=1) if names else ""
            found[commit] = None if shown in ("", "detached") else shown
    return next(iter(found.items())) if len(found) == 1 else (None, None)


def _change(build: Fields, commit: str | None) -> tuple[str | None, str | None, str | None]:
    """Commit, message and author: those of the commit that was built, where it is among the
    changes since the build before; else of the newest change, unless there are several lists."""
    lists = [*build.objects("changeSets"), *filter(None, [build.child("changeSet")])]
    changes = [items for changes in lists if (items := list(changes.objects("items")))]
    if commit:
        found = [item for items in changes for item in items if item.text("commitId") == commit]
    else:
        found = changes[0][-1:] if len(changes) == 1 else []
    if not found:
        return commit, None, None
    return found[0].text("commitId"), found[0].text("msg"), found[0].first_text("author/fullName")


def _told(
    build: Fields, number: int, actions: list[Fields], causes: list[Fields]
) -> dict[str, Any]:
    """What has no column: its own title, the names of its parameters, the build that started it."""
    title = build.text("displayName")
    names = [one.text("name") for action in actions for one in action.objects("parameters")]
    above = next((cause for cause in causes if cause.text("upstreamProject")), None)
    number_above = (above and above.integer("upstreamBuild")) or "?"
    return nonblank(
        {
            "displayName": title if title != f"#{number}" else None,
            "parameters": [name for name in names if name],
            "upstream": above and f"{above.text('upstreamProject')}#{number_above}",
        }
    )


# Steps.


def whole_build(run: Run, as_of: datetime, machine: str | None = None) -> RunWithSteps:
    """A build that has no stages: it is its one step."""
    same = "status result outcome raw_result started_at finished_at".split()
    state: dict[str, Any] = {name: getattr(run, name) for name in same}
    step = Step(id="build", position=1, name="build", runner=machine, **state)
    return RunWithSteps(run, (step,), as_of)


def read_stages(view: str, run: Run, data: object, as_of: datetime) -> RunWithSteps:
    """A build with its stages, as a view tells them: the stage view one after the other, inner ones
    too; the graph view as a tree, of which a stage that only holds others is their job.

    Raises:
        BadRowError: it is no such answer, or not of this build.
    """
    fields = Fields(data, f"the stages of build {run.id} of {run.pipeline.external_id}")
    told = fields if view == "wfapi" else Fields(fields.raw.get("data"), fields.what)
    stages = told.raw.get("stages")
    if not isinstance(stages, list) or (view == "wfapi" and fields.text("id") != run.id):
        raise BadRowError(f"{fields.what}: another answer came; check base_url")
    steps, problems = read_steps(_leaves(stages), partial(_read_stage, run), f"run {run.id}")
    is_early = told.raw.get("complete") is False or told.raw.get("status") in words.STAGE_STATUSES
    if is_early and run.status is Status.FINISHED:
        problems += (Problem(f"run {run.id}: its stages were told before its end"),)
    elif steps and not problems:
        problems = unended(run, steps, "stage")
    return RunWithSteps(run, steps, as_of, problems)


def _leaves(stages: list[Any]) -> Iterator[tuple[object, str | None]]:
    """The stages that hold no others, each with the one that holds it."""
    waiting: list[tuple[Any, str | None]] = [(raw, None) for raw in reversed(stages)]
    while waiting:
        raw, job = waiting.pop()
        told = raw if isinstance(raw, dict) else {}
        if isinstance(inner := told.get("children"), list) and inner:
            name = told.get("name")
            waiting += [(one, name if isinstance(name, str) else job) for one in reversed(inner)]
        elif not told.get("placeholder"):
            yield raw, job


def _read_stage(run: Run, row: Any, place: int) -> Step:
    raw, job = row
    fields = Fields(raw, row_name("stage", raw))
    word = fields.text("status") or fields.text("state")
    status = words.STAGE_STATUSES.get(word or "", Status.FINISHED if word else run.status)
    over = status is Status.FINISHED
    state = state_of(status, None if over else word, word, words.ENDINGS)
    started = _moment(fields, "startTimeMillis") if state["result"] is not Result.SKIPPED else None
    length = "totalDurationMillis" if "totalDurationMillis" in fields.raw else "durationMillis"
    # An error's text may tell anything; its class does not.
    paused, error = fields.integer("pauseDurationMillis"), fields.first_text("error/type")
    return Step(
        id=fields.needed_id("id"),
        position=place,
        name=fields.text("name") or "(unnamed)",
        job=job and storable(job),
        runner=fields.text("agent") or None,
        started_at=started,
        finished_at=started + _span(fields, length) if started and over else None,
        extra=nonblank({"pauseDurationMillis": paused or None, "error": error}),
        **state,
    )


def _moment(fields: Fields, key: str) -> datetime | None:
    """A time in epoch milliseconds; None for none, and for 0."""
    at = fields.epoch_time(key, MILLISECOND)
    return at if at and at > EPOCH else None


def _span(fields: Fields, key: str) -> timedelta:
    return MILLISECOND * max(fields.integer(key, _LONGEST) or 0, 0)

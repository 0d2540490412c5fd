"""CircleCI's JSON as records.

What CircleCI calls a pipeline is what came of one event: here it is an *origin*, since a pipeline
of ours is a workflow's name within a project. A run is a workflow of an origin, a step a job of
it. A re-run is another workflow of the same name in the same origin.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from runsync.http.client import checked_path
from runsync.records import Cursor, Outcome, Pipeline, Result, Run, Status, Step
from runsync.sources.circleci.words import ENDINGS, EVENTS, STATUSES
from runsync.sources.fields import (
    BadRowError,
    Fields,
    map_ending,
    map_status,
    raw_word,
    row_name,
    storable,
)

RETENTION = timedelta(days=90)
"""So long at least CircleCI keeps a workflow, and so long a workflow may be run again."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PART = r"(?!\.{1,2}(?:/|$))[\w.-]{1,100}"
_PROJECT = re.compile(
    rf"(?P<vcs>gh|github|bb|bitbucket|circleci)/(?P<org>{_PART})/(?P<repo>{_PART})"
    r"(?:/(?P<workflow>(?!\.{1,2}$)[^\x00-\x20/?#\x7f](?:[^\x00-\x1f?#\x7f]{0,198}[^\s/?#])?))?",
    re.ASCII,
)
_SHORT = {"github": "gh", "bitbucket": "bb"}
_LONG = {short: long for long, short in _SHORT.items()}
_FORK = re.compile(r"pull/\d+")
# Columns and ids, and what may hold values of parameters.
_KNOWN = "id name status created_at started_at stopped_at project_slug parameters".split()
_RUN_KEYS = frozenset([*_KNOWN, "started_by", "pipeline_number", "pipeline_parameters"])
_STEP_KEYS = frozenset([*_KNOWN, "environment", "context_values"])
_DETAILS = "parallelism queued_at messages".split()


@dataclass(frozen=True, slots=True)
class Project:
    """A project by the three parts of its slug, ``gh/acme/shop``; ``workflow`` is a name in it."""

    vcs: str
    org: str
    repo: str
    workflow: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Project | None":
        """A slug, perhaps with a workflow's name behind it; None if it is none."""
        found = _PROJECT.fullmatch(text)
        if found is None:
            return None
        vcs, org, repo, workflow = found.groups()
        return cls(_SHORT.get(vcs, vcs), org, repo, workflow)

    @property
    def slug(self) -> str:
        return f"{self.vcs}/{self.org}/{self.repo}"

    def path(self, *parts: str | int) -> str:
        """Where API v2 keeps something of the project."""
        rest = (self.vcs, self.org, self.repo, *map(str, parts))
        return checked_path("api", "v2", "project", *rest)

    def old_path(self, *parts: str | int) -> str:
        """Where API v1.1 does."""
        rest = (_LONG.get(self.vcs, self.vcs), self.org, self.repo, *map(str, parts))
        return checked_path("api", "v1.1", "project", *rest)

    def page(self, base_url: str, *parts: str) -> str:
        """Where people see it: the web app stands beside the API, on a host of its own."""
        url = urlsplit(base_url)
        host = url.netloc if url.netloc.startswith("app.") else f"app.{url.netloc}"
        path = checked_path("pipelines", _LONG.get(self.vcs, self.vcs), self.org, self.repo, *parts)
        return f"{url.scheme}://{host}{path}"

    def pipeline(self, name: str, base_url: str, default_branch: str | None = None) -> Pipeline:
        """The workflows of one name."""
        return Pipeline(
            f"{self.slug}/{name}",
            name=name,
            url=self.page(base_url),
            default_branch=default_branch,
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """What CircleCI calls a pipeline: its id and number, when it came, and what it tells of each
    run in it (keywords of ``Run``)."""

    id: str
    number: int
    at: datetime
    slug: str | None
    told: dict[str, Any] = field(repr=False)
    extra: dict[str, Any] = field(repr=False)

    @property
    def cursor(self) -> Cursor:
        """Its place in the listing, where all of its runs stand."""
        return Cursor(self.at, f"{self.number:012}")


def number_of(cursor: Cursor) -> int:
    """The number of the origin that stands at a place."""
    return int(cursor.id) if cursor.id.isdecimal() else 0


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def read_origin(raw: object) -> Origin:
    """One of a project's pipelines, as CircleCI calls them.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, row_name("pipeline", raw))
    number = fields.integer("number")
    if number is None or number < 1:
        raise BadRowError(f"{fields.what}: `number` is missing")
    vcs, trigger = fields.child("vcs"), fields.child("trigger")
    given = fields.child("trigger_parameters")
    git = given.child("git") if given else None
    actor = trigger.child("actor") if trigger else None
    author = (actor.text("login") if actor else None) or _app_user(given)
    revision = _first(vcs, "revision", git, "checkout_sha")
    branch = _first(vcs, "branch", git, "branch")
    told = {
        "number": str(number),
        "author": author or None,
        "commit_hash": revision,
        "branch": branch,
        "message": _message(vcs, git),
        "event": _event(trigger, given, branch),
    }
    word = trigger.text("type") if trigger else None
    extra = {
        "tag": _first(vcs, "tag", git, "tag"),
        "review_url": _first(vcs, "review_url", None, ""),
        "trigger": word if word != told["event"] else None,
    }
    return Origin(
        id=uuid(fields, "id"),
        number=number,
        at=fields.needed_time("created_at"),
        slug=fields.text("project_slug"),
        told=told,
        extra={key: value for key, value in extra.items() if value},
    )


def _first(one: Fields | None, key: str, other: Fields | None, other_key: str) -> str | None:
    """The text of the one object, or else of the other."""
    text = one.text(key) if one else None
    return text or (other.text(other_key) if other else None) or None


def _app_user(given: Fields | None) -> str | None:
    """Who caused an event that came through an app: the parameters alone tell."""
    for app in ("github_app", "gitlab") if given else ():
        user = given.child(app) if given else None
        if user and (name := user.text("user_username") or user.text("user_name")):
            return name
    return None


def _message(vcs: Fields | None, git: Fields | None) -> str | None:
    commit = vcs.child("commit") if vcs else None
    if commit:
        parts = [commit.text("subject"), commit.text("body")]
        return "\n\n".join(part for part in parts if part) or None
    return (git.text("commit_message") or git.text("commit_title")) if git else None


def _event(trigger: Fields | None, given: Fields | None, branch: str | None) -> str | None:
    """What caused it. What came through an app says so among its parameters alone."""
    circleci = given.child("circleci") if given else None
    word = circleci.text("event_type") if circleci else None
    word = word or (trigger.text("type") if trigger else None)
    if word == "webhook" and branch and _FORK.fullmatch(branch):
        return "pull_request"
    return EVENTS.get(word, word) if word else None


@dataclass(frozen=True, slots=True)
class Sibling:
    """A workflow of an origin: its row, and which attempt of its name it is by ``attempt``."""

    fields: Fields
    attempt: int
    first_starter: str | None


def siblings(raws: Iterable[object]) -> tuple[dict[str, Sibling], list[tuple[object, str]]]:
    """The workflows of one origin by id; and the rows that cannot be read, with why.

    A setup workflow may share its name with the one that it leads to, and is told apart by its tag.
    """
    groups: dict[tuple[str | None, str | None], list[tuple[datetime, str, Fields]]] = {}
    bad: list[tuple[object, str]] = []
    for raw in raws:
        try:
            row = Fields(raw, row_name("run", raw))
            place = row.needed_time("created_at"), uuid(row, "id"), row
            groups.setdefault((row.needed_text("name"), row.text("tag")), []).append(place)
        except BadRowError as error:
            bad.append((raw, str(error)))
    known: dict[str, Sibling] = {}
    for group in groups.values():
        ordered = sorted(group, key=lambda one: one[:2])
        first = ordered[0][2].text("started_by")
        for attempt, (_, run_id, row) in enumerate(ordered, 1):
            known[run_id] = Sibling(row, attempt, first)
    return known, bad


def read_run(one: Sibling, origin: Origin, project: Project, own: Pipeline, base_url: str) -> Run:
    """A run as CircleCI tells of the workflow; what its jobs tell is added by :func:`with_steps`.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields, starter = one.fields, one.fields.text("started_by") or None
    run_id = uuid(fields, "id")
    told = dict(origin.told)
    if starter != (one.first_starter or None):
        # Somebody else has run it again, and CircleCI tells only the id.
        told["author"] = None
    extra = fields.rest(_RUN_KEYS) | origin.extra
    return Run(
        pipeline=own,
        id=run_id,
        attempt=one.attempt,
        created_at=fields.needed_time("created_at"),
        author_id=starter,
        web_url=project.page(base_url, str(origin.number), "workflows", run_id),
        extra={key: value for key, value in extra.items() if value not in ("", [], {})},
        **_state(fields),
        **told,
    )


def with_steps(run: Run, steps: Sequence[Step]) -> Run:
    """The run with what its jobs tell: when it began, and whose fault its failure is.

    Jobs that a re-run took over from the run before it began before the re-run was made.
    """
    begins = [s.started_at for s in steps if s.started_at and s.started_at >= run.created_at]
    began = min(begins, default=None)
    return replace(run, started_at=began, outcome=_outcome(run, steps))


def _outcome(run: Run, steps: Sequence[Step]) -> Outcome | None:
    """A workflow failed by the CI's fault where all jobs that failed did."""
    bad = {step.outcome for step in steps if step.result is Result.FAILED}
    if run.outcome is not Outcome.FAILURE or not bad or Outcome.FAILURE in bad:
        return run.outcome
    return Outcome.ERROR if Outcome.ERROR in bad else Outcome.TIMEOUT


def read_step(raw: object) -> Step:
    """A step from a job. Its position is still open.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, row_name("job", raw))
    extra = fields.rest(_STEP_KEYS)
    return Step(
        id=uuid(fields, "id"),
        position=0,
        name=fields.needed_text("name"),
        started_at=fields.time("started_at"),
        extra={key: value for key, value in extra.items() if value not in ("", [], {})},
        **_state(fields),
    )


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """In the order in which they began; those that did not stand last, by their names."""

    def place(step: Step) -> tuple[Any, ...]:
        began = step.started_at.timestamp() if step.started_at else math.inf
        return began, step.extra.get("job_number", 0), step.name, step.id

    ordered = sorted(steps, key=place)
    return tuple(replace(step, position=n) for n, step in enumerate(ordered, 1))


def read_details(raw: object, step: Step) -> Step:
    """A step with what only the job's detail tells.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, f"the detail of job {step.id}")
    executor = fields.child("executor")
    names = [executor.text("type"), executor.text("resource_class")] if executor else []
    wanted = {key: fields.raw.get(key) for key in _DETAILS if fields.raw.get(key)}
    return replace(
        step,
        runner="/".join(name for name in names if name) or None,
        extra={**step.extra, **Fields(wanted, fields.what).rest(())},
    )


def _state(fields: Fields) -> dict[str, Any]:
    """How far a run or step has come, in our words: keywords of ``Run`` and of ``Step``."""
    stopped, word = fields.time("stopped_at"), fields.needed_text("status")
    status = map_status(word, STATUSES, fields.time("started_at"), stopped)
    result, outcome = map_ending(word, ENDINGS, status)
    over = status is Status.FINISHED
    return {
        "status": status,
        "result": result,
        "outcome": outcome,
        "raw_status": raw_word(word, status),
        "raw_result": raw_word(word, result) if over else None,
        "finished_at": stopped if over else None,
    }


def uuid(fields: Fields, key: str) -> str:
    """An id that must be there, in lower case."""
    text = fields.needed_text(key)
    if not is_uuid(text):
        raise BadRowError(f"{fields.what}: `{key}` must be a UUID, not {storable(text)[:60]!r}")
    return text.lower()

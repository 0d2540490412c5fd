"""CircleCI's JSON as records.

What CircleCI calls a pipeline is what came of one event: here it is an *origin*, since a pipeline
of ours is a workflow's name within a project. A run is a workflow of an origin, a step a job of
it. A re-run is another workflow of the same name in the same origin.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from runsync.http.client import checked_path
from runsync.records import Cursor, Pipeline, Run, Step
from runsync.sources.circleci.words import ENDINGS, EVENTS, STATUSES
from runsync.sources.fields import BadRowError, Fields, nonblank, read_progress, row_name
from runsync.sources.steps import outcome_by_steps

RETENTION = timedelta(days=90)
"""So long at least CircleCI keeps a workflow, and so long a workflow may be run again."""
_PART = r"((?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]{1,100})"
_PROJECT = re.compile(rf"(gh|github|bb|bitbucket|circleci)/{_PART}/{_PART}(?:/(.+))?", re.DOTALL)
_SHORT = {"github": "gh", "bitbucket": "bb"}
_LONG = {short: long for long, short in _SHORT.items()}
_FORK = re.compile(r"pull/\d+")
# Columns and ids, and what may hold values of parameters.
_KNOWN = "id name status created_at started_at stopped_at project_slug pipeline_id".split()
_HIDDEN = "parameters pipeline_parameters environment context_values".split()
_KEYS = frozenset([*_KNOWN, *_HIDDEN, "started_by", "pipeline_number"])
_DETAILS = "parallelism queued_at".split()
# Of what came through an app its parameters alone tell.
_GIT = "trigger_parameters/git"
_USERS = [
    f"trigger_parameters/{app}/{key}"
    for app in ("github_app", "gitlab")
    for key in ("user_username", "user_name")
]


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
        return found and cls(_SHORT.get(found[1], found[1]), *found.groups()[1:])

    def has(self, workflow: str) -> bool:
        """Whether it stands for the workflows of that name."""
        return self.workflow in (None, workflow)

    @property
    def slug(self) -> str:
        return f"{self.vcs}/{self.org}/{self.repo}"

    def path(self, *parts: str | int, api: str = "v2") -> str:
        """Where an API keeps something of the project; v1.1 abbreviates nothing."""
        vcs = self.vcs if api == "v2" else _LONG.get(self.vcs, self.vcs)
        return checked_path("api", api, "project", vcs, self.org, self.repo, *map(str, parts))

    def page(self, base_url: str, *parts: str | int) -> str:
        """Where people see it: the web app stands beside the API, on a host of its own."""
        url, vcs = urlsplit(base_url), _LONG.get(self.vcs, self.vcs)
        path = checked_path("pipelines", vcs, self.org, self.repo, *map(str, parts))
        return f"{url.scheme}://app.{url.netloc}{path}"

    def pipeline(self, name: str, base_url: str, branch: str | None = None) -> Pipeline:
        """The workflows of one name; ``branch`` is the project's default branch."""
        url = self.page(base_url)
        return Pipeline(f"{self.slug}/{name}", name=name, url=url, default_branch=branch)


@dataclass(frozen=True, slots=True)
class Origin:
    """What CircleCI calls a pipeline: its id and number, when it came, and what it tells of each
    run in it (keywords of ``Run``)."""

    id: str
    number: int
    at: datetime
    told: dict[str, Any] = field(repr=False)
    extra: dict[str, Any] = field(repr=False)

    @property
    def cursor(self) -> Cursor:
        """Its place in the listing, where all of its runs stand."""
        return Cursor(self.at, f"{self.number:012}")


def read_origin(raw: object) -> Origin:
    """One of a project's pipelines, as CircleCI calls them.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, row_name("pipeline", raw))
    number = fields.needed_number("number")
    branch = fields.first_text("vcs/branch", f"{_GIT}/branch")
    word, event = fields.first_text("trigger/type"), _event(fields, branch)
    extra = {
        "tag": fields.first_text("vcs/tag", f"{_GIT}/tag"),
        "review_url": fields.first_text("vcs/review_url"),
        "trigger": word if word != event else None,
    }
    return Origin(
        id=fields.needed_uuid("id"),
        number=number,
        at=fields.needed_time("created_at"),
        told={
            "number": str(number),
            "author": fields.first_text("trigger/actor/login", *_USERS),
            "commit_hash": fields.first_text("vcs/revision", f"{_GIT}/checkout_sha"),
            "branch": branch,
            "message": _message(fields),
            "event": event,
        },
        extra=nonblank(extra),
    )


def _message(origin: Fields) -> str | None:
    parts = [origin.first_text(f"vcs/commit/{key}") for key in ("subject", "body")]
    told = "\n\n".join(part for part in parts if part)
    return told or origin.first_text(f"{_GIT}/commit_message", f"{_GIT}/commit_title")


def _event(origin: Fields, branch: str | None) -> str | None:
    word = origin.first_text("trigger_parameters/circleci/event_type", "trigger/type")
    if word == "webhook" and branch and _FORK.fullmatch(branch):
        return "pull_request"
    return EVENTS.get(word, word) if word else None


class Sibling(NamedTuple):
    """A workflow of an origin: its row and name, which attempt of that name it is, and who started
    the first."""

    fields: Fields
    name: str
    attempt: int
    first_starter: str | None


Siblings = tuple[dict[str, Sibling], list[tuple[object, str]]]


def siblings(raws: Iterable[object], origin_id: str) -> Siblings:
    """The workflows of one origin by id; and the rows that cannot be read, with why.

    A setup workflow may share its name with the one that it leads to, and is told apart by its tag.
    """
    groups: dict[tuple[str, str], list[tuple[datetime, str, Fields]]] = {}
    bad: list[tuple[object, str]] = []
    shown: dict[str, object] = {}
    for raw in raws:
        try:
            row = Fields(raw, row_name("run", raw))
            place = row.needed_time("created_at"), row.needed_uuid("id"), row
            if row.needed_uuid("pipeline_id") != origin_id:
                raise BadRowError(f"{row.what}: it is of another pipeline")
            if shown.setdefault(place[1], raw) is not raw:
                raise BadRowError(f"{row.what}: it is shown twice, and not the same")
            groups.setdefault((row.needed_text("name"), row.text("tag") or ""), []).append(place)
        except BadRowError as error:
            bad.append((raw, str(error)))
    known: dict[str, Sibling] = {}
    for (name, _), group in groups.items():
        group.sort(key=lambda one: one[:2])
        first = group[0][2].raw.get("started_by")
        for attempt, (_, run_id, row) in enumerate(group, 1):
            known[run_id] = Sibling(row, name, attempt, first)
    return known, bad


def read_run(
    origin: Origin, project: Project, one: Sibling, base_url: str, branch: str | None = None
) -> Run:
    """A run as CircleCI tells of the workflow; what its jobs tell is added by :func:`with_steps`.

    Args:
        branch: the project's default branch.

    Raises:
        BadRowError: a field is not what is due.
    """
    run_id, starter = one.fields.needed_uuid("id"), one.fields.text("started_by")
    # Where somebody else has run it again, CircleCI tells only the id.
    other = {"author": None} if starter != one.first_starter else {}
    return Run(
        pipeline=project.pipeline(one.name, base_url, branch),
        id=run_id,
        attempt=one.attempt,
        created_at=one.fields.needed_time("created_at"),
        author_id=starter or None,
        web_url=project.page(base_url, origin.number, "workflows", run_id),
        extra={"pipeline_id": origin.id, **one.fields.nonblank_rest(_KEYS), **origin.extra},
        **_state(one.fields),
        **{**origin.told, **other},
    )


def with_steps(run: Run, steps: Sequence[Step]) -> Run:
    """The run with what its jobs tell: when it began, and whose fault its failure is.

    Jobs that a re-run took over from the run before it began before the re-run was made.
    """
    begins = [s.started_at for s in steps if s.started_at and s.started_at >= run.created_at]
    outcome = outcome_by_steps(run.outcome, steps)
    return replace(run, started_at=min(begins, default=None), outcome=outcome)


def read_step(raw: object) -> Step:
    """A step from a job. Its position is still open.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, row_name("job", raw))
    return Step(
        id=fields.needed_uuid("id"),
        position=0,
        name=fields.needed_text("name"),
        extra=fields.nonblank_rest(_KEYS),
        **_state(fields),
    )


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """In the order in which they began; those that did not stand last, by their names."""

    def place(step: Step) -> tuple[float, int, str, str]:
        began = step.started_at.timestamp() if step.started_at else math.inf
        return began, job_number(step) or 0, step.name, step.id

    ordered = sorted(steps, key=place)
    return tuple(replace(step, position=n) for n, step in enumerate(ordered, 1))


def job_number(step: Step) -> int | None:
    """The number that a job has within its project once it runs."""
    number = step.extra.get("job_number")
    return number if isinstance(number, int) else None


def awaited(run: Run, steps: Iterable[Step]) -> Iterator[str]:
    """The jobs on which those of a run wait. What a re-run calls the ones that it took over from
    the run before it, nobody says."""
    if run.attempt == 1:
        for step in steps:
            yield from map(str, step.extra.get("dependencies", ()))


def read_details(raw: object, step: Step) -> Step:
    """A step with what only the job's detail tells.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, f"the detail of job {step.id}")
    names = [fields.first_text(f"executor/{key}") for key in ("type", "resource_class")]
    more = {key: value for key, value in fields.rest(()).items() if key in _DETAILS}
    runner = "/".join(filter(None, names)) or None
    return replace(step, runner=runner, extra={**step.extra, **more})


def _state(fields: Fields) -> dict[str, Any]:
    """How far a run or step has come, in our words: keywords of ``Run`` and of ``Step``."""
    word = fields.needed_text("status")
    return read_progress(fields, word, word, STATUSES, ENDINGS, ("started_at", "stopped_at"))

"""Reads what Azure DevOps answers of builds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from runsync.records import Outcome, Pipeline, Run
from runsync.sources.azure.words import ENDINGS, EVENTS, STATUSES
from runsync.sources.fields import BadRowError, Fields, nonblank, read_progress, row_name

_COLUMNS = (
    "id buildNumber status result queueTime startTime finishTime sourceVersion reason "
    "requestedFor triggeredByBuild"
).split()
# Values of variables and of parameters are never stored, nor demands and properties, which may hold
# one; nor is what moves no build in the listing when it changes.
_SECRET = "parameters templateParameters variables properties demands".split()
_LATER = (
    "tags keepForever retainedByRelease lastChangedDate lastChangedBy deleted deletedBy "
    "deletedDate deletedReason queuePosition"
).split()
_SHOWN = "_links url uri logs plans orchestrationPlan project definition requestedBy".split()
_RUN_KEYS = frozenset([*_COLUMNS, *_SECRET, *_LATER, *_SHOWN, "sourceBranch", "validationResults"])
_HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the organisation that ``base_url`` names."""

    base_url: str
    name: str

    def web(self, page: str) -> str:
        """The URL of a page for people."""
        return f"{self.base_url.rstrip('/')}/{quote(self.name)}/_build{page}"

    def pipeline(self, number: int, definition: Fields | None = None) -> Pipeline:
        """A definition; ``definition`` is what a build tells of it."""
        name = definition.text("name") if definition else None
        path = definition.text("path") if definition else None
        return Pipeline(
            f"{self.name}/{number}",
            name,
            url=self.web(f"?definitionId={number}") if definition else None,
            extra={"path": path} if path else {},
        )


def read_run(raw: object, project: Project) -> Run:
    """A run from a build, as the listing or its detail shows it: both tell the same."""
    fields = Fields(raw, row_name("run", raw))
    number, definition = fields.needed_number("id"), fields.child("definition")
    if definition is None:
        raise BadRowError(f"{fields.what}: `definition` is missing")
    upstream = fields.child("triggeredByBuild")
    reason = fields.text("reason")
    state = read_state(fields, fields.needed_text("status"))
    invalid = [one for one in fields.objects("validationResults") if one.text("result") == "error"]
    if invalid and state["outcome"] is Outcome.FAILURE:
        state["outcome"] = Outcome.ERROR
    return Run(
        pipeline=project.pipeline(definition.needed_number("id"), definition),
        id=str(number),
        created_at=fields.needed_time("queueTime"),
        branch=_branch(fields),
        commit_hash=fields.text("sourceVersion"),
        message=fields.first_text("triggerInfo/ci.message", "triggerInfo/pr.title"),
        author=fields.first_text("requestedFor/displayName"),
        author_id=fields.first_text("requestedFor/id"),
        number=fields.text("buildNumber"),
        event=reason and EVENTS.get(reason, reason),
        source_run_id=str(upstream.needed_number("id")) if upstream else None,
        web_url=project.web(f"/results?buildId={number}"),
        extra=_told(fields, definition, invalid),
        version=_version(fields),
        **state,
    )


def read_state(fields: Fields, word: str) -> dict[str, Any]:
    """How far a build or a record has come, in our words: keywords of ``Run`` and of ``Step``."""
    end = fields.text("result")
    return read_progress(fields, word, end, STATUSES, ENDINGS, ("startTime", "finishTime"))


def iso(when: datetime) -> str:
    """A UTC time as Azure DevOps reads it; all of one length, so that the later text is greater."""
    return f"{when.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _version(build: Fields) -> str:
    """Grows with every change, since all times are of one clock. After the end only another end
    counts: tags and retention change without a trace in the listing."""
    names: tuple[str, ...] = ("queueTime", "startTime", "lastChangedDate")
    if build.text("status") == "completed" and build.time("finishTime"):
        names = ("finishTime",)
    return iso(max(when for name in names if (when := build.time(name))))


def _branch(build: Fields) -> str | None:
    """The branch; of a pull request the one that is to be merged, where that is told."""
    ref = build.text("sourceBranch")
    if ref and ref.startswith("refs/pull/"):
        ref = build.first_text("triggerInfo/pr.sourceBranch") or ref
    return ref.removeprefix(_HEADS) if ref else None


def _told(build: Fields, definition: Fields, invalid: list[Fields]) -> dict[str, Any]:
    """What has no column, but for what only says that there is nothing to say."""
    ref = build.text("sourceBranch") or ""
    own = {
        "revision": definition.integer("revision"),
        "sourceBranch": None if ref.startswith(_HEADS) else ref,
        "errors": [one.text("message") for one in invalid],
    }
    return build.nonblank_rest(_RUN_KEYS) | nonblank(own)

"""GitHub's JSON as records: the words, ids and addresses, workflows, and runs by attempt.

A run of ours is one *attempt* of a workflow run. Jobs and steps stand in ``jobs.py``.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from runsync.errors import RefusedError
from runsync.http.client import checked_path
from runsync.records import Cursor, Pipeline, Result, Run, Status
from runsync.sources.base import Listed
from runsync.sources.fields import (
    BadRowError,
    Fields,
    check_one,
    describe,
    map_status,
    raw_word,
    state_of,
)
from runsync.sources.github.words import ENDINGS, EVENTS, STATUSES

_MOST_ATTEMPTS = 1000
# Marks the name of a workflow that is gone: it is only what a run says.
_BY_RUN = "named by a run"
# The one conclusion that GitHub does not take for a filter.
_NO_FILTER = "startup_failure"
_RUN_ID = re.compile(r"(\d{1,19})(?:\.(\d{1,4}))?")
_WORKFLOW_FILE = re.compile(r"(?:.*/)?\.github/workflows/([^/@]+)(?:@.*)?")
# Columns hold these, or they follow from the ids, or they are about the repository, not the run.
# Names and mail addresses of committers are in git; open pull requests come and go.
_RUN_KEYS = frozenset(
    "id node_id check_suite_node_id head_branch head_sha run_attempt status conclusion workflow_id "
    "url html_url pull_requests created_at updated_at actor triggering_actor run_started_at "
    "jobs_url logs_url check_suite_url artifacts_url cancel_url rerun_url previous_attempt_url "
    "workflow_url head_commit repository head_repository head_repository_id".split()
)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, by ``owner/name`` in lower case (GitHub does not mind case), on ``site``."""

    repo: str
    site: str

    def path(self, *parts: str | int) -> str:
        """Where the API keeps something of the repository's Actions."""
        return checked_path("repos", *self.repo.split("/"), "actions", *map(str, parts))

    def url(self, *parts: str | int) -> str:
        """Where people see it."""
        return self.site + checked_path(*self.repo.split("/"), "actions", *map(str, parts))


def site_of(base_url: str) -> str:
    """Where people see what the API at ``base_url`` speaks of."""
    parts = urlsplit(base_url)
    host = parts.netloc
    if host == "api.github.com" or (host.startswith("api.") and host.endswith(".ghe.com")):
        host = host.removeprefix("api.")
    return f"{parts.scheme}://{host}{parts.path.removesuffix('/api/v3')}"


def run_id(number: int, attempt: int) -> str:
    """Our id of an attempt: the run's own for the first, ``<id>.<attempt>`` from the second on."""
    return str(number) if attempt == 1 else f"{number}.{attempt}"


def split_run_id(text: str) -> tuple[int, int]:
    """The run's number and the attempt.

    Raises:
        RefusedError: the text is no id of ours.
    """
    found = _RUN_ID.fullmatch(text)
    if found is None:
        raise RefusedError(
            f"{text!r} is no id of a GitHub run; those are numbers such as 30433642, "
            "or 30433642.2 for the second attempt"
        )
    return int(found[1]), int(found[2] or 1)


def pipeline(
    repository: Repository,
    workflow: int,
    name: str | None,
    path: str | None,
    default_branch: str | None = None,
) -> Pipeline:
    """A workflow. It is known by its number, which outlives a new ``name:`` in its file."""
    file = _WORKFLOW_FILE.fullmatch(path or "")
    return Pipeline(
        external_id=f"{repository.repo}/{workflow}",
        name=name or path,
        url=repository.url("workflows", file[1]) if file else None,
        extra={"path": path.partition("@")[0]} if path else {},
        default_branch=default_branch,
    )


def read_pipeline(run: Fields, repository: Repository) -> Pipeline:
    """The workflow that a run names, as it was called then."""
    number = run.needed_number("workflow_id", 0)
    told = pipeline(repository, number, run.text("name"), run.text("path"))
    return replace(told, named_by_run=True)


class WorkflowNames:
    """What the workflows of a listing are called, kept in the listing's memory. All of them have
    the ``default_branch`` of their repository.

    A run tells what its workflow's file said then, or only the path of a file that GitHub could
    not read. So a workflow itself is asked for its name, when a newer run says something new.

    Args:
        ask: the name and path of the workflow with this number; None where there is none any more.
    """

    def __init__(
        self, memory: dict[str, Any], ask: Callable[[int], tuple[str, str | None] | None]
    ) -> None:
        self._known: dict[str, list[str | None]] = memory.setdefault("workflow_names", {})
        self._ask = ask
        self.default_branch: str | None = None

    def pipeline(self, run: Fields, repository: Repository, created: datetime) -> Pipeline:
        """The workflow of a run, as it is called now."""
        number, at = run.needed_number("workflow_id", 0), created.isoformat()
        said = [run.text("name"), run.text("path")]
        known = self._known.get(str(number))
        if known is None or (at > (known[0] or "") and said != known[1:3]):
            told = self._ask(number)
            known = [at, *said, *(told or said), *([] if told else [_BY_RUN])]
        elif at > (known[0] or ""):
            known = [at, *known[1:]]
        self._known[str(number)] = known
        found = pipeline(repository, number, known[3], known[4], self.default_branch)
        return replace(found, named_by_run=known[-1] == _BY_RUN)


def read_listed(
    raw: object, repository: Repository, names: WorkflowNames | None = None
) -> tuple[Listed, ...]:
    """A row of a listing: its newest attempt, then a stub for each one before it.

    All stand in one place of the listing: where the first attempt put the run.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = run_fields(raw)
    created, number = fields.needed_time("created_at"), fields.needed_number("id", 0)
    own = names.pipeline(fields, repository, created) if names else None
    newest = read_run(fields, repository, own or read_pipeline(fields, repository))
    # Padded, so that ids of one second sort as numbers.
    cursor = Cursor(created, f"{number:019}")
    stubs = (
        _stub(newest, repository, number, earlier, created)
        for earlier in range(newest.attempt - 1, 0, -1)
    )
    return Listed(cursor, newest), *(Listed(cursor, stub, stub=True) for stub in stubs)


def owners(rows: Iterable[object]) -> list[object]:
    """The numbers of the repositories that rows are of, where they tell them."""
    told = [row.get("repository") for row in rows if isinstance(row, dict)]
    return [repository.get("id") for repository in told if isinstance(repository, dict)]


def check_one_owner(rows: Sequence[object], what: str, *, of_workflow: bool) -> None:
    """All rows of a listing are of one repository, and perhaps of one workflow.

    Raises:
        SourceError: they are not.
    """
    workflows = [row.get("workflow_id") for row in rows if isinstance(row, dict)]
    for word, found in (
        ("repository", owners(rows)),
        ("workflow", workflows if of_workflow else ()),
    ):
        numbers = {str(number) for number in found if isinstance(number, int)}
        check_one(numbers, f"{what}: they are of more than one {word}")


def run_fields(raw: object) -> Fields:
    """A run's JSON, named for errors."""
    known = raw.get("id") if isinstance(raw, dict) else None
    return Fields(raw, f"run {describe(known)}" if isinstance(known, int) else "run (no id)")


def read_run(fields: Fields, repository: Repository, own: Pipeline) -> Run:
    """An attempt as GitHub tells of it. Its start and end are known from its jobs alone.

    Raises:
        BadRowError: a field is not what is due.
    """
    number, attempt = fields.needed_number("id", 0), fields.needed_number("run_attempt", 0)
    if not 1 <= attempt <= _MOST_ATTEMPTS:
        raise BadRowError(f"{fields.what}: `run_attempt` {attempt} is no attempt's number")
    created, touched = fields.needed_time("created_at"), fields.time("updated_at")
    began = fields.time("run_started_at") if attempt > 1 else None
    event, run_number = fields.text("event"), fields.integer("run_number")
    page = repository.url("runs", number, "attempts", attempt)
    author, author_id, actor = _author(fields)
    commit = fields.child("head_commit")
    return Run(
        pipeline=own,
        id=run_id(number, attempt),
        attempt=attempt,
        # `created_at` stays with the first attempt.
        created_at=began or created,
        number=None if run_number is None else str(run_number),
        event=event and EVENTS.get(event, event),
        branch=fields.text("head_branch"),
        commit_hash=fields.text("head_sha"),
        message=(commit and commit.text("message")) or fields.text("display_title"),
        author=author,
        author_id=author_id,
        url=page,
        web_url=page,
        version=touched.isoformat() if touched else None,
        extra=without_blanks(fields.rest(_RUN_KEYS)) | actor | _origin(fields, repository, commit),
        **read_state(fields),
    )


def _stub(newest: Run, repository: Repository, number: int, attempt: int, created: datetime) -> Run:
    """An earlier attempt, of which a listing says only that it was. Stubs have no version."""
    page = repository.url("runs", number, "attempts", attempt)
    return replace(
        newest,
        id=run_id(number, attempt),
        attempt=attempt,
        created_at=created,
        status=Status.FINISHED,
        result=Result.UNKNOWN,
        outcome=None,
        raw_status=None,
        raw_result=None,
        author=None,
        author_id=None,
        url=page,
        web_url=page,
        version=None,
        extra={},
    )


def is_stub(run: Run) -> bool:
    """Whether a listed run is one of which only the id is sure."""
    return run.version is None


def read_state(fields: Fields) -> dict[str, Any]:
    """How far a run, job or step is: keywords of ``Run`` and of ``Step``."""
    status_word, result_word = fields.text("status"), fields.text("conclusion")
    ended = fields.time("completed_at") or (fields.time("updated_at") if result_word else None)
    status = map_status(status_word or "", STATUSES, fields.time("started_at"), ended)
    state = state_of(status, status_word, result_word, ENDINGS)
    return state | {"raw_result": raw_word(result_word, state["result"])}


def _author(fields: Fields) -> tuple[str | None, str | None, dict[str, str]]:
    """Who started this attempt: login and id; and who started the first, if another."""
    first, own = fields.child("actor"), fields.child("triggering_actor")
    user = own or first
    if user is None:
        return None, None, {}
    login, number = user.text("login"), user.integer("id")
    other = first.text("login") if first else None
    return (
        login,
        None if number is None else str(number),
        {"actor": other} if other != login and other else {},
    )


def _origin(fields: Fields, repository: Repository, commit: Fields | None) -> dict[str, str]:
    """The fork that the commit is of, if it is of one; and when it was made."""
    head = fields.child("head_repository")
    fork = head.text("full_name") if head else None
    made = commit.text("timestamp") if commit else None
    found = {
        "head_repository": fork if fork and fork.lower() != repository.repo else None,
        "commit_timestamp": made,
    }
    return {key: value for key, value in found.items() if value}


def without_blanks(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What of it says anything."""
    return {key: value for key, value in extra.items() if value not in ("", [], {})}


def filter_words(status: str | None, result: str | None) -> list[str | None]:
    """GitHub's words for the runs that are wanted: it takes one, of a state or a conclusion.

    Raises:
        RefusedError: it has none for them.
    """
    found: list[str | None] = []
    if result is None:
        found = [w for w, ours in STATUSES.items() if ours == status] if status else [None]
    elif status in (None, Status.FINISHED) and result != Result.UNKNOWN:
        found = [w for w, ours in ENDINGS.items() if ours.result == result and w != _NO_FILTER]
    if not found:
        raise RefusedError(
            f"GitHub cannot list runs of status {status!r} and result {result!r}; it can by status "
            "notstarted, running or finished, or by result passed, failed, aborted or skipped"
        )
    return found

"""GitHub Actions: a pipeline is a workflow, a run one attempt of a workflow run.

The listing gives a run's newest attempt whole but for its jobs, which take one request; each
earlier attempt takes two. How listings are walked stands in ``walk.py``, what becomes of the
JSON in ``payloads.py`` and ``jobs.py``.
"""

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count, islice
from typing import Any, ClassVar

from runsync.config import PipelineConfig
from runsync.errors import (
    ConfigError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import Params, Response, checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps, Status, Step
from runsync.sources.base import (
    Access,
    Discovered,
    Listed,
    Listing,
    Page,
    ResumePoint,
    RunFilter,
    Source,
    TriggerRequest,
    Unchanged,
)
from runsync.sources.default_branch import DefaultBranch, ask_repository, check_owner
from runsync.sources.fields import BadRowError, Fields, describe
from runsync.sources.github import payloads, walk
from runsync.sources.github.discover import discovered
from runsync.sources.github.etags import RunETags
from runsync.sources.github.jobs import read_jobs
from runsync.sources.github.payloads import Repository, WorkflowNames
from runsync.sources.steps import without_jobs, without_steps

_SHOWN_RUNS = 20
_REPO = r"([A-Za-z0-9][A-Za-z0-9_-]*/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]+)"
_REPOSITORY = re.compile(_REPO)
_WORKFLOW = re.compile(_REPO + r"/(?:\.github/workflows/)?([^/\s]+\.ya?ml|\d{1,19})")
_NEWEST_FIRST = "creationDateDesc"
# Open pull requests come and go, and would change the ETag of a page whose runs did not.
_WITHOUT_PULLS: dict[str, str | int | None] = {"exclude_pull_requests": "true"}


class GitHub(Source):
    """github.com, a GitHub Enterprise Server, or what speaks their REST API."""

    # A run may be run again for 30 days, and stays in its place in the listing.
    recheck = timedelta(days=32)
    most_listed: ClassVar[int] = 1000
    """How many runs a list has at most where anything is filtered."""
    page_size: ClassVar[int] = 100
    """How many runs or jobs a page holds at most."""

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            **given,
        }

    @staticmethod
    def is_limit(status: int, headers: Mapping[str, str], body: str) -> bool:
        # A secondary limit is a 403 or 429 with part of the hourly quota left, known by its text.
        said = body.lower()
        return status == 429 or (
            status == 403 and ("rate limit" in said or "abuse detection" in said)
        )

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "id":
            return self._workflow_listing(value, wanted.name)
        repo = _repository_in(value)
        if kind != "repository" or repo is None:
            raise ConfigError(
                f"{kind} {value!r} of source {self.name!r} is none of GitHub's; write "
                '`repository = "owner/repo"`, or `id = "owner/repo/ci.yml"` for one workflow'
            )
        return Listing(f"{self.name}/repository/{repo}", repo)

    def _workflow_listing(self, value: str, label: str | None) -> Listing:
        ref = _workflow_in(value)
        if ref is None:
            what = "workflow of GitHub's; write `id = \"owner/repo/ci.yml\"`, with the file's name"
            raise self.bad_name(value, f"{what} or the workflow's number")
        known = (Pipeline(ref),) if ref.rpartition("/")[2].isdigit() else ()
        return Listing(f"{self.name}/workflow/{ref}", ref, label, known)

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        names = WorkflowNames(memory, self._ask_names(listing.ref))
        yield from walk.walk(
            partial(self._part, listing.ref, names, memory),
            resume_point.cursor if resume_point else None,
            # What was remembered says nothing of a stretch that was never walked.
            memory if resume_point is None else {},
            self.recheck,
            name=f"the listing {listing.key}",
            cap=self.most_listed,
        )

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        return walk.recheck_since(memory, now, self.recheck)

    def complete(self, run: Run) -> RunWithSteps:
        if payloads.is_stub(run):
            return self.reread(run.pipeline, run.id)
        return self._with_jobs(run)

    def complete_if_changed(self, run: Run, validator: str) -> RunWithSteps | Unchanged:
        if payloads.is_stub(run):
            return self.reread_if_changed(run.pipeline, run.id, validator)
        return self._with_jobs_if_changed(run, RunETags.parse(validator))

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self._attempt(pipeline, run_id)
        run = self._asked_for(answer, pipeline, run_id)
        return self._with_jobs(run, etag=answer.headers.get("ETag"))

    def reread_if_changed(
        self, pipeline: Pipeline, run_id: str, validator: str
    ) -> RunWithSteps | Unchanged:
        """Asks so that an unchanged run costs none of the rate limit: by ETags."""
        known = RunETags.parse(validator)
        answer = self._attempt(pipeline, run_id, known.run)
        if answer.status != 304:
            run = self._asked_for(answer, pipeline, run_id)
            return self._with_jobs_if_changed(run, known, answer.headers.get("ETag"))
        jobs = self._ask_jobs(pipeline, run_id, known.jobs)
        if jobs.status == 304:
            return Unchanged(jobs.as_of, validator)
        answer = self._attempt(pipeline, run_id)
        run = self._asked_for(answer, pipeline, run_id)
        # The jobs of a run that is over have to be read after its end.
        first = None if run.status is Status.FINISHED else jobs
        return self._with_jobs(run, first, answer.headers.get("ETag"))

    # The live API for people.

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """An attempt, or for the id of a run its newest one."""
        number, _ = payloads.split_run_id(run_id)
        if "." in run_id:
            return self.reread(pipeline, payloads.run_id(*payloads.split_run_id(run_id)))
        repository = self._repository_of(pipeline, run_id)
        answer = self.client.get(repository.path("runs", number), _WITHOUT_PULLS)
        return self._with_jobs(self._one(answer, repository, pipeline))

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        """Newest attempts. What did not even start is in no list by result: GitHub has none."""
        named = wanted.pipeline or wanted.application or ""
        ref = _workflow_in(named) or _repository_in(named)
        if ref is None or wanted.source_run or wanted.sort not in (None, _NEWEST_FIRST):
            raise RefusedError(
                "GitHub lists the runs of one workflow, such as owner/repo/ci.yml, or repository, "
                "newest first; name one, and leave out source run and sort"
            )
        asked = {"branch": wanted.branch, "head_sha": wanted.commit, "actor": wanted.author}
        first = wanted.skip or 0
        last = first + (wanted.limit or _SHOWN_RUNS)
        lists = [
            self._filtered(ref, {**asked, "status": w}, last)
            for w in payloads.filter_words(wanted.status, wanted.result)
        ]
        merged = heapq.merge(*lists, key=lambda listed: listed.cursor.at, reverse=True)
        return [listed.run for listed in islice(merged, first, last)]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        """The log of the step's whole job: GitHub has no smaller one."""
        repository = self._repository_of(pipeline, run_id)
        job = step.id.partition(".")[0]
        path = repository.path("jobs", job, "logs")
        text: str = self.client.get_text(path, follow_elsewhere=True).data
        return text

    def trigger(self, wanted: TriggerRequest) -> Run | None:
        """Starts a workflow that has ``on: workflow_dispatch``; ``env`` becomes its inputs."""
        ref = _workflow_in(wanted.pipeline)
        if ref is None or wanted.branch is None:
            raise RefusedError(
                "GitHub starts a workflow, such as owner/repo/ci.yml, on a branch or tag; name both"
            )
        if wanted.commit or wanted.message or wanted.source_run:
            raise RefusedError(
                "GitHub starts a workflow on the newest commit of a branch or tag; "
                "leave out commit, message and source run"
            )
        repository = self._repository(ref)
        path = repository.path("workflows", ref.rpartition("/")[2], "dispatches")
        body = {"ref": wanted.branch, "inputs": dict(wanted.env)}
        try:
            answer = self.client.send("POST", path, body={**body, "return_run_details": True})
        except RefusedError:
            # Nothing was started. An Enterprise Server of before 2026 refuses what it does not
            # know; if something else was wrong it says so again.
            answer = self.client.send("POST", path, body=body)
        return self._dispatched(answer, repository)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> None:
        """Cancels a run, whichever attempt is under way. GitHub answers no new state."""
        number, _ = payloads.split_run_id(run_id)
        self.client.send(
            "POST", self._repository_of(pipeline, run_id).path("runs", number, "cancel")
        )

    def discover(self) -> Iterator[Discovered | Problem]:
        return discovered(self.client)

    def access(self) -> Access:
        """GitHub tells the scopes of classic tokens alone; what a fine-grained one may do shows
        when it is used. A classic one needs ``repo`` for private repositories and no scope for
        public ones, so none is called missing."""
        answer, core = self._allowance()
        scopes = answer.headers.get("X-OAuth-Scopes")
        return Access(
            account=self._account(),
            scopes=None if scopes is None else tuple(re.findall(r"[^,\s]+", scopes)),
            missing_scopes=(),
            limit_left=core.get("remaining"),
            limit=core.get("limit"),
            clock=answer.as_of,
        )

    def _allowance(self) -> tuple[Response, dict[str, int]]:
        """An answer that the token was good for, and the limit that it is under."""
        try:
            answer = self.client.get("/rate_limit")
        except NotFoundError:
            # An Enterprise Server that limits nothing.
            return self.client.get("/user"), {}
        with self.reading():
            resources = Fields(answer.data, "the rate limit").child("resources")
            core = resources and resources.child("core")
            numbers = {key: core.integer(key) for key in ("remaining", "limit")} if core else {}
        return answer, {key: number for key, number in numbers.items() if number is not None}

    def _account(self) -> str | None:
        """Whose token it is; None for an app's, and where there is none."""
        with suppress(TokenRefusedError, NotFoundError):
            user = self.client.get("/user").data
            return user.get("login") if isinstance(user, dict) else None
        return None

    # Asking.

    def _repository(self, ref: str) -> Repository:
        """The repository of a listing, a pipeline or a workflow, each ``owner/repo[/workflow]``."""
        return Repository(
            "/".join(ref.lower().split("/")[:2]), payloads.site_of(self._config.base_url)
        )

    def _repository_of(self, pipeline: Pipeline | None, run_id: str) -> Repository:
        if pipeline is None or not pipeline.external_id:
            raise RefusedError(
                f"GitHub knows run {run_id} only within its repository; sync it first, so that it "
                "is known which one that is"
            )
        return self._repository(pipeline.external_id)

    def _runs(self, ref: str, params: Params, etag: str | None = None) -> Response:
        repository, workflow = self._repository(ref), ref.split("/")[2:]
        path = (
            repository.path("workflows", *workflow, "runs") if workflow else repository.path("runs")
        )
        return self.client.get(path, params, _if(etag))

    def _part(
        self,
        ref: str,
        names: WorkflowNames,
        memory: dict[str, Any],
        span: walk.Span,
        number: int,
        etag: str | None,
    ) -> walk.ListPage:
        """A page of the walk."""
        params = {
            "per_page": self.page_size,
            **_WITHOUT_PULLS,
            "created": span.created,
            "page": number if number > 1 else None,
        }
        answer = self._runs(ref, params, etag)
        if answer.status == 304:
            return walk.ListPage(answer.as_of, unchanged=True)
        rows, total = _rows(answer, "workflow_runs", f"the runs of {ref}")
        payloads.check_one_owner(
            rows, f"the runs of {ref}", of_workflow="/" in ref.partition("/")[2]
        )
        ask = partial(self._default_branch, ref, memory)
        names.default_branch = DefaultBranch(memory, ask).at(answer.as_of) if rows else None
        check_owner(payloads.owners(rows), memory, ask, f"the runs of {ref}")
        entries = [_entry(raw, self._repository(ref), names) for raw in rows]
        etag = answer.headers.get("ETag")
        return walk.ListPage(answer.as_of, entries, self.page_size, total, etag)

    def _filtered(self, ref: str, asked: dict[str, str | None], most: int) -> Iterator[Listed]:
        """The runs that GitHub finds, newest first."""
        read = 0
        for number in count(1):
            size = min(most, self.page_size)
            params = {"per_page": size, **_WITHOUT_PULLS, **asked, "page": number}
            rows, total = _rows(self._runs(ref, params), "workflow_runs", f"the runs of {ref}")
            for raw in rows:
                with self.reading():
                    listed = payloads.read_listed(raw, self._repository(ref))[0]
                yield listed
            read += len(rows)
            if not rows or read == total:
                return

    def _one(self, answer: Response, repository: Repository, own: Pipeline | None) -> Run:
        with self.reading():
            fields = payloads.run_fields(answer.data)
            own = own or payloads.read_pipeline(fields, repository)
            return payloads.read_run(fields, repository, own)

    def _asked_for(self, answer: Response, pipeline: Pipeline, run_id: str) -> Run:
        """The run of an answer, if it is the one that was asked for."""
        run = self._one(answer, self._repository(pipeline.external_id), pipeline)
        self.check_run_id(run, run_id)
        return run

    def _attempt(self, pipeline: Pipeline, run_id: str, etag: str | None = None) -> Response:
        return self.client.get(self._attempt_path(pipeline, run_id), _WITHOUT_PULLS, _if(etag))

    def _attempt_path(self, pipeline: Pipeline, run_id: str) -> str:
        number, attempt = payloads.split_run_id(run_id)
        # Not `/runs/…/jobs`: it would show a re-run that began since.
        return self._repository(pipeline.external_id).path("runs", number, "attempts", attempt)

    def _ask_jobs(self, pipeline: Pipeline, run_id: str, etag: str | None = None) -> Response:
        """The first page of a run's jobs."""
        path = self._attempt_path(pipeline, run_id)
        return self.client.get(f"{path}/jobs", {"per_page": self.page_size}, _if(etag))

    def _with_jobs_if_changed(
        self, run: Run, known: RunETags, etag: str | None = None
    ) -> RunWithSteps | Unchanged:
        """A run that may be as it was; ``etag`` came with it where it was asked for by its id."""
        if not known.is_of(run):
            return self._with_jobs(run, etag=etag)
        jobs = self._ask_jobs(run.pipeline, run.id, known.jobs)
        if jobs.status == 304:
            return Unchanged(jobs.as_of, str(replace(known, run=etag or known.run)))
        return self._with_jobs(run, jobs, etag)

    def _with_jobs(
        self, run: Run, first: Response | None = None, etag: str | None = None
    ) -> RunWithSteps:
        """A run with the steps of its jobs; a hundred jobs a request.

        Args:
            first: the first page of its jobs, where that is known.
            etag: the run's own, where it was asked for by its id.
        """
        try:
            first = first or self._ask_jobs(run.pipeline, run.id)
            path = self._attempt_path(run.pipeline, run.id)
            jobs, total = self._all(f"{path}/jobs", "jobs", f"run {run.id}", first)
        except NotFoundError:
            # That proves nothing, unless the run is not found either.
            return without_steps(run, self._attempt(run.pipeline, run.id).as_of, "its jobs are")
        timed, steps, problems = read_jobs(jobs, run, self._repository(run.pipeline.external_id))
        if len(jobs) < total:
            what = f"run {run.id}: {len(jobs)} of its {total} jobs are listed"
            problems = (*problems, Problem(what))
        problems = without_jobs(run, total) or problems
        # The ETag of a page says nothing of the others.
        jobs_etag = first.headers.get("ETag") if total <= self.page_size else None
        validator = str(RunETags.of(run, etag, jobs_etag)) if jobs_etag else None
        is_whole = len(jobs) >= total
        return RunWithSteps(timed, steps, first.as_of, problems, is_whole, validator)

    def _all(
        self, path: str, key: str, what: str, first: Response | None = None
    ) -> tuple[list[object], int]:
        """The rows of all pages of a list, without repeats; and how many there are."""
        found: dict[object, object] = {}
        answer = first or self.client.get(path, {"per_page": self.page_size})
        for page in count(2):
            rows, total = _rows(answer, key, what)
            before = len(found)
            found |= _by_id(rows)
            if len(found) == before or len(found) >= total:
                break
            answer = self.client.get(path, {"per_page": self.page_size, "page": page})
        return [*found.values()], total

    def _default_branch(self, ref: str, memory: dict[str, Any]) -> str | None:
        """The default branch of a listing's repository. Notes the repository's number."""
        path = checked_path("repos", *ref.split("/")[:2])
        return ask_repository(lambda: self.client.get(path).data, memory)

    def _ask_names(self, ref: str) -> Callable[[int], tuple[str, str | None] | None]:
        """What asks for the names and paths of a listing's workflows, by their numbers."""
        known: dict[int, tuple[str, str | None] | None] = {}

        def ask(number: int) -> tuple[str, str | None] | None:
            if number not in known:
                known.update(self._workflows(ref))
            return known.setdefault(number, None)

        return ask

    def _workflows(self, ref: str) -> dict[int, tuple[str, str | None]]:
        """The names and paths of a listing's workflows; none where they cannot be had."""
        repository, one = self._repository(ref), ref.split("/")[2:]
        with suppress(NotFoundError, ForbiddenError), self.reading():
            if one:
                rows: list[object] = [self.client.get(repository.path("workflows", *one)).data]
            else:
                rows, _ = self._all(repository.path("workflows"), "workflows", ref)
            fields = [Fields(row, f"a workflow of {ref}") for row in rows]
            return {
                row.needed_number("id", 0): (row.needed_text("name"), row.text("path"))
                for row in fields
            }
        return {}

    def _dispatched(self, answer: Response, repository: Repository) -> Run | None:
        """The run that was started, where GitHub tells its id."""
        number = answer.data.get("workflow_run_id") if isinstance(answer.data, dict) else None
        if not isinstance(number, int):
            return None
        with suppress(NotFoundError):
            return self._one(self.client.get(repository.path("runs", number)), repository, None)
        return None


def _if(etag: str | None) -> dict[str, str] | None:
    """The header by which an answer that would be as it was is a 304."""
    return {"If-None-Match": etag} if etag else None


def _repository_in(value: str) -> str | None:
    """``owner/repo`` in lower case, since GitHub does not mind case; None if it is none."""
    return value.lower() if _REPOSITORY.fullmatch(value) else None


def _workflow_in(value: str) -> str | None:
    """``owner/repo/`` and the workflow's file or number; None if it is none."""
    found = _WORKFLOW.fullmatch(value)
    return f"{found[1].lower()}/{found[2]}" if found else None


def _entry(raw: object, repository: Repository, names: WorkflowNames) -> walk.ListedRow:
    """A row of a listing: its attempts, or what is wrong with it."""
    try:
        listed = payloads.read_listed(raw, repository, names)
    except BadRowError as error:
        return walk.ListedRow(None, "", None, (Problem(str(error)),))
    newest = listed[0]
    state = f"{newest.run.attempt} {newest.run.version}"
    return walk.ListedRow(newest.cursor.id, state, newest.cursor.at, listed)


def _by_id(rows: list[object]) -> dict[object, object]:
    """The rows of a page by their ids; those without one by what they say, and which of them that
    is: two unreadable rows that look the same are two."""
    told: Counter[str] = Counter()
    found: dict[object, object] = {}
    for row in rows:
        number = row.get("id") if isinstance(row, dict) else None
        text = repr(number if isinstance(number, int) else row)
        told[text] += 0 if isinstance(number, int) else 1
        found[text, told[text]] = row
    return found


def _rows(answer: Response, key: str, what: str) -> tuple[list[object], int]:
    """The rows of an answer, and how many there are in all."""
    try:
        fields = Fields(answer.data, what)
        rows, total = fields.raw.get(key), fields.integer("total_count")
    except BadRowError as error:
        raise SourceError(f"{error}; check that base_url is GitHub's") from error
    if not isinstance(rows, list) or total is None:
        raise SourceError(
            f"{what}: `{key}`, a list, and `total_count` are due; {describe(rows)} and "
            f"{describe(total)} came; check that base_url is GitHub's"
        )
    return rows, total

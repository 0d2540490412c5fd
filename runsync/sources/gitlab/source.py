"""GitLab CI, through REST API v4: GitLab.com, and self-managed ones from 15.5 on.

A project is our pipeline, a pipeline of it our run, a job our step and a stage our job. ``id`` is
the project's path or number. Behind it may stand ``?source=WORD``, for the pipelines of one
source alone (child pipelines are listed only so, as ``parent_pipeline``), and ``bridges=true``,
for trigger jobs as steps too, at one more request a run.

The listing is ordered by the last change: whatever happens to a pipeline, years later too, moves
it to the top. It tells no times, so each run takes two requests more: its detail, and its jobs
with the retried ones among them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import (
    Cursor,
    Pipeline,
    Problem,
    Result,
    Run,
    RunWithSteps,
    Status,
    Step,
    parse_time,
)
from runsync.sources import base
from runsync.sources.base import Listed, Listing, Page, ResumePoint
from runsync.sources.default_branch import DefaultBranch, ask_repository, check_owner
from runsync.sources.discovery import rows_of_pages
from runsync.sources.fields import BadRowError, Fields, check_one, distinct, object_in, rows_in
from runsync.sources.gitlab.payloads import iso, read_details, read_run
from runsync.sources.gitlab.words import ENDINGS, STATUSES
from runsync.sources.live import header_number, rate_limit
from runsync.sources.steps import without_steps

PAGE_SIZE = 100
TICK = timedelta(milliseconds=1)
_MOST_READINGS = 30
_CHANGED = "changed"
"""Under which key of a listing's memory stands the last change that the last whole walk saw."""
_WORDS = {ending.result.value: word for word, ending in ENDINGS.items()}
_FILTERS = "pipeline limit skip sort status result branch commit author"
_SORTS = {"creationDateDesc": "desc", "creationDateAsc": "asc"}
_ID = re.compile(
    r"(?P<path>\d+|[\w.-]+(?:/[\w.-]+)+)"
    r"(?:\?(?P<query>source=[a-z_]+|bridges=true|source=[a-z_]+&bridges=true))?",
    re.ASCII,
)
Asked = Mapping[str, str | int | None]
ChangedRow = tuple[datetime, Listed | Problem]
"""A row of a listing and its time of change; what cannot be read has that of the row above."""


class GitLab(base.Source):
    """One GitLab."""

    run_id_pattern = re.compile(r"\d+", re.ASCII)
    run_id_description = "id of a GitLab pipeline; those are numbers"
    pipeline_word = "project"
    lists_changes = True
    requests_per_run = 2
    # A change gets its time before it is committed, and a replica shows it later still: what
    # turns up below runs that were read already must not pass for known.
    recheck = timedelta(hours=1)
    needs_begin = True
    walk_memory = (_CHANGED,)
    # What the last whole walk could not see yet stands just below what it saw.
    walked_key = _CHANGED
    # For a moment after a change there is more to come that moves nothing to the top: a job's
    # coverage, found in its log, or a second change within the same millisecond.
    grace = timedelta(minutes=1)

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        return {"PRIVATE-TOKEN": token} if token else {}

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind != "id":
            raise self.bad_key(kind, "`id`, a project's path or number")
        pipeline = Pipeline(value)
        self._project(pipeline)
        return Listing(f"{self.name}/project/{value}", value, wanted.name, (pipeline,))

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        """Goes down by time: each page is what last changed before the page above it.

        A run that changes meanwhile leaves its place for the top, above where this walk began,
        and the next sync finds it there. All others stay where they are, since no page is asked
        for by its number.

        GitLab keeps times to the microsecond, shows them to the millisecond, and gives runs of
        one time in any order. So the walk goes by whole milliseconds: the lowest of a full page,
        which may be there in part, is left to the next page, which begins with it.
        """
        top, last = resume_point.cursor.at + TICK if resume_point else None, False
        ask = partial(self._default_branch, listing.pipelines[0], memory)
        branch = DefaultBranch(memory, ask)
        while not last:
            path, params = self._listed(
                listing.pipelines[0], updated_before=iso(top) if top else None
            )
            answer = self.client.get(path, params)
            if answer.data and not listing.pipelines[0].default_branch:
                named = replace(listing.pipelines[0], default_branch=branch.at(answer.as_of))
                listing = replace(listing, pipelines=(named,))
            rows = self._by_time(listing, answer, top)
            projects = [raw.get("project_id") for raw in answer.data if isinstance(raw, dict)]
            check_owner(projects, memory, ask, f"the listing {listing.key}")
            last = _is_last(answer)
            memory.setdefault(base.BEGUN, answer.as_of.isoformat())
            if top is None and rows:
                memory[_CHANGED] = iso(rows[0][0])
            if not last and _tells_no_time(answer):
                rows, last = self._untimed(listing, path, params, top or answer.as_of)
                low = rows[-1][0]
                top, rows = low + TICK, [row for row in rows if last or row[0] > low]
            elif not last and top and (not rows or rows[-1][0] >= top - TICK):
                top -= TICK
                rows = self._instant(listing, top)
            elif not last:
                low = rows[-1][0]
                top, rows = low + TICK, [row for row in rows if row[0] > low]
            if last and not rows and top:
                self._prove_end(listing, top)
            if rows or last:
                yield Page(tuple(item for _, item in rows), answer.as_of, at_start=last)

    def complete(self, run: Run) -> RunWithSteps:
        # One that is not yet known to the replica that was asked is read again if it is listed.
        found = self.reread(run.pipeline, run.id)
        listed, told = (_changed(one) for one in (run, found.run))
        if listed and told and told < listed <= found.as_of - self.grace:
            what = f"run {run.id}: what is told of it is older than its last change, {iso(listed)}"
            problems = (*found.problems, Problem(what))
            return replace(found, problems=problems, steps_read=False)
        return found

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        path = self._path(pipeline, "pipelines", run_id)
        answer = self.client.get(path)
        run = self._one(answer.data, pipeline)
        self.check_run_id(run, run_id)
        # Jobs come newest first and none ever goes: at worst one comes twice.
        with_retried = {"include_retried": "true"}
        try:
            jobs = self._all(f"{path}/jobs", with_retried)
            # Some pipelines are made of trigger jobs alone, and would look empty without them.
            bare = not jobs and run.result is not Result.SKIPPED and "yaml_errors" not in run.extra
            wants_bridges = bare or "bridges" in self._project(pipeline)
            bridges = self._all(f"{path}/bridges", with_retried) if wants_bridges else []
        except NotFoundError:
            # That proves nothing, unless the run is not found either.
            # Without a version, so that it is read again where it is listed.
            as_of = self.client.get(path).as_of
            return without_steps(replace(run, version=None), as_of, "its jobs are")
        version = run.version or ""
        if answer.as_of - parse_time(version.partition(" ")[0]) < self.grace:
            # Perhaps not as it will stay: it claims a version short of the listed one, though
            # beyond all before, so the next sync reads it again.
            run = replace(run, version=version.partition("Z")[0])
        return read_details(run, jobs, bridges, answer.as_of)

    # The live API for people.

    def find_runs(self, wanted: base.RunFilter) -> list[Run]:
        self.refuse_unsupported("list runs", wanted, _FILTERS)
        size, page = self.page_number(wanted, PAGE_SIZE)
        # GitLab has one word for both; a result says that a run is finished.
        known = (
            {Status.FINISHED.value: None} if wanted.result else {word: word for word in STATUSES}
        )
        status = self.provider_word(wanted, "status", known)
        pipeline = self.require_pipeline(Pipeline(wanted.pipeline) if wanted.pipeline else None)
        path, params = self._listed(
            pipeline,
            order_by="id",
            sort=self.provider_word(wanted, "sort", _SORTS) or "desc",
            per_page=size,
            page=page,
            status=self.provider_word(wanted, "result", _WORDS) or status,
            ref=wanted.branch,
            sha=wanted.commit,
            username=wanted.author,
        )
        return [self._one(raw, pipeline) for raw in _rows(self.client.get(path, params), path)]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        path = self._path(self.require_pipeline(pipeline), "jobs", step.id, "trace")
        text: str = self.client.get_text(path).data
        if not text:
            raise NotFoundError(f"{self.name}: job {step.id} has no log, or it was erased")
        return text

    def trigger(self, wanted: base.TriggerRequest) -> Run:
        self.refuse_unsupported("trigger runs", wanted, "pipeline branch env")
        variables = [{"key": key, "value": value} for key, value in wanted.env]
        pipeline = Pipeline(wanted.pipeline)
        branch = wanted.branch or self._told(pipeline)["default_branch"]
        body = {"ref": branch, "variables": variables}
        answer = self.client.send("POST", self._path(pipeline, "pipeline"), body=body)
        return self._one(answer.data, pipeline)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> Run:
        pipeline = self.require_pipeline(pipeline)
        answer = self.client.send(
            "POST", self._path(pipeline, "pipelines", self.valid_run_id(run_id), "cancel")
        )
        return self._one(answer.data, pipeline)

    def discover(self) -> Iterator[base.Discovered | Problem]:
        """The projects that the token's user is a member of, by number."""
        below: list[int] = []  # by key: GitLab refuses to page deep by number

        def ask(_number: int) -> Response:
            asked = {
                "membership": "true",
                "simple": "true",
                "order_by": "id",
                "sort": "desc",
                "pagination": "keyset",
                "per_page": str(PAGE_SIZE),
                **({"id_before": str(below[-1])} if below else {}),
            }
            return self.client.get(checked_path("api", "v4", "projects"), asked)

        def read(row: Fields) -> base.Discovered:
            below.append(row.needed_number("id"))
            path = row.needed_text("path_with_namespace")
            return base.Discovered("id", path, row.text("name_with_namespace") or path)

        return rows_of_pages(ask, read, PAGE_SIZE, what="the projects")

    def access(self) -> base.Access:
        answer = self.client.get(checked_path("api", "v4", "personal_access_tokens", "self"))
        scopes = tuple(map(str, object_in(answer.data, "the token")["scopes"]))
        able = not {"api", "read_api"}.isdisjoint(scopes)
        if able:
            answer = self.client.get(checked_path("api", "v4", "user"))
        return base.Access(
            account=object_in(answer.data, "the token's user").get("username"),
            scopes=scopes,
            missing_scopes=() if able else ("read_api",),
            clock=answer.as_of,
            **rate_limit(answer, "RateLimit-"),
        )

    # Asking.

    def _told(self, pipeline: Pipeline) -> dict[str, Any]:
        """What GitLab tells of a project."""
        path = self._path(pipeline)
        return object_in(self.client.get(path).data, path)

    def _default_branch(self, pipeline: Pipeline, memory: dict[str, Any]) -> str | None:
        """The default branch of a project. Notes the project's number."""
        return ask_repository(partial(self._told, pipeline), memory)

    def _project(self, pipeline: Pipeline) -> dict[str, str]:
        """What an ``id`` says: ``path``, and perhaps ``source`` and ``bridges``."""
        found = _ID.fullmatch(pipeline.external_id)
        if found is None:
            what = "GitLab project; write its path or number, such as group/project, and no URL"
            raise self.bad_name(pipeline.external_id, what)
        return {"path": found["path"], **dict(parse_qsl(found["query"] or ""))}

    def _path(self, pipeline: Pipeline, *parts: str) -> str:
        return checked_path("api", "v4", "projects", self._project(pipeline)["path"], *parts)

    def _listed(self, pipeline: Pipeline, **asked: str | int | None) -> tuple[str, Asked]:
        """Where a project's runs are listed, and how: the latest changes, unless told otherwise."""
        source = self._project(pipeline).get("source")
        usual: Asked = {"order_by": "updated_at", "per_page": PAGE_SIZE, "source": source}
        return self._path(pipeline, "pipelines"), {**usual, "sort": "desc", **asked}

    def _instant(self, listing: Listing, at: datetime) -> list[ChangedRow]:
        """All that last changed in the millisecond ``at``, where that is more than a page.

        Only ids order it and only numbers page it, so a run that leaves pulls others up past the
        edge of a page. But then it lacks in the next reading: two alike have missed nothing.

        Raises:
            SourceError: no two were alike.
        """
        path, params = self._listed(
            listing.pipelines[0],
            order_by="id",
            # Nowhere is it promised whether what changed at a bound lies within.
            updated_after=iso(at - TICK),
            updated_before=iso(at + TICK),
        )
        before: list[ChangedRow] | None = None
        for _ in range(_MOST_READINGS):
            rows = self._read(listing, self._all(path, params), at)
            if rows == before:
                return [row for row in rows if row[0] == at]
            before = rows
        raise self.moves_too_fast(listing)

    def _untimed(
        self, listing: Listing, path: str, params: Asked, top: datetime
    ) -> tuple[list[ChangedRow], bool]:
        """The rows of a page in which none tells a time of change, and of those that follow by
        their number down to one that does; and whether that is all.

        A run that leaves pulls others up past the edge of a page. But then it lacks in the next
        reading: two alike have missed nothing.

        Raises:
            SourceError: no two were alike.
        """
        before: list[object] = []
        for _ in range(_MOST_READINGS):
            raws: list[object] = []
            for page in count(1):
                answer = self.client.get(path, {**params, "page": page})
                raws += _rows(answer, path)
                if _is_last(answer) or not _tells_no_time(answer):
                    break
            if raws == before:
                return self._read(listing, raws, top), _is_last(answer)
            before = raws
        raise self.moves_too_fast(listing)

    def _prove_end(self, listing: Listing, top: datetime) -> None:
        """An empty page below runs that were read is no end, unless the oldest run of all stands
        above it.

        Raises:
            SourceError: it does not.
        """
        path, params = self._listed(listing.pipelines[0], sort="asc", per_page=1)
        answer = self.client.get(path, params)
        rows = self._read(listing, _rows(answer, path), answer.as_of)
        if not rows or rows[0][0] < top:
            raise self.moves_too_fast(listing)

    def _all(self, path: str, params: Asked) -> list[object]:
        """The rows of all pages of a list that is paged by number."""
        found: list[object] = []
        before: list[object] = []
        for page in count(1):
            answer = self.client.get(path, {"per_page": PAGE_SIZE, **params, "page": page})
            rows = _rows(answer, path)
            if rows and rows == before:
                raise SourceError(
                    f"{self.name}: {path} shows the same rows on page after page; check base_url"
                )
            found += rows
            before = rows
            if _is_last(answer):
                break
        return found

    # Reading.

    def _by_time(
        self, listing: Listing, answer: Response, top: datetime | None
    ) -> list[ChangedRow]:
        """The rows of a page that changed before ``top``.

        Raises:
            SourceError: it is no page of such rows, newest first, or none of a full one is one.
        """
        raws = _rows(answer, f"the listing {listing.key}")
        rows = self._read(listing, raws, top - TICK if top else answer.as_of)
        times = [at for at, item in rows if isinstance(item, Listed)]
        falls = [*([top] if top else []), *times]
        if falls != sorted(falls, reverse=True) or (len(rows) >= PAGE_SIZE and not times):
            raise SourceError(
                f"{self.name}: the listing {listing.key} does not come by the time of change; "
                "see whether base_url is a GitLab of 15.5 or newer"
            )
        return [row for row in rows if top is None or row[0] < top]

    def _read(self, listing: Listing, raws: list[object], at: datetime) -> list[ChangedRow]:
        """Runs where they stand; ``at`` stands in until one tells its own time."""
        self._check_project(listing, raws)
        rows: list[ChangedRow] = []
        for raw in raws:
            try:
                run = read_run(raw, listing.pipelines[0], self.client.base_url)
                # One that tells no time of change stands at or below the row above it.
                if " " not in (run.version or ""):
                    at = parse_time(run.version or "")
                rows.append((at, Listed(Cursor(at, run.id.zfill(20)), run)))
            except BadRowError as error:
                rows.append((at, Problem(str(error))))
        return rows

    def _check_project(self, listing: Listing, raws: list[object]) -> None:
        """All that one project lists is its own. What is foreign may be any row, so none is taken.

        Raises:
            SourceError: there are rows of another project.
        """
        path = self._project(listing.pipelines[0])["path"]
        found = distinct(raws, "project_id") | ({path} if path.isdecimal() else set())
        check_one(found, f"{self.listing_name(listing)} shows runs of more than one project")

    def _one(self, raw: object, pipeline: Pipeline) -> Run:
        with self.reading():
            return read_run(raw, pipeline, self.client.base_url)


def _changed(run: Run) -> datetime | None:
    """When a run changed last; None where that is not told."""
    version = run.version or ""
    # The version of one that may not stay so lacks its Z.
    return None if not version or " " in version else parse_time(version.rstrip("Z") + "Z")


def _rows(answer: Response, what: str) -> list[object]:
    """The rows of a page.

    Raises:
        SourceError: it is no list, shows a row twice and so perhaps leaves one out, or lacks rows
            that GitLab counts; it counts no more than 10,000.
    """
    rows = rows_in(answer.data, what)
    ids = [str(raw["id"]) for raw in rows if isinstance(raw, dict) and raw.get("id")]
    if len(set(ids)) < len(ids):
        raise SourceError(f"{what}: a row came twice, perhaps instead of another; sync again")
    total, size, page = (
        header_number(answer.headers, f"X-{name}") for name in ("Total", "Per-Page", "Page")
    )
    if total is not None and size and page:
        due = min(size, total - (page - 1) * size)
        if len(rows) < due:
            raise SourceError(f"{what}: {len(rows)} rows came where {due} are due; sync again")
    return rows


def _tells_no_time(answer: Response) -> bool:
    """Whether no row of a page tells when it was changed last."""
    return not any(isinstance(raw, dict) and raw.get("updated_at") for raw in answer.data)


def _is_last(answer: Response) -> bool:
    """Whether nothing follows a page. Where that is not told, a short one proves nothing: fewer
    rows than were asked for may be a page."""
    following = answer.headers.get("X-Next-Page")
    return not answer.data if following is None else not following

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
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from runsync.config import PipelineConfig
from runsync.errors import ConfigError, NotFoundError, RefusedError, SourceError
from runsync.records import Details, Mark, Pipeline, Problem, Result, Run, Status, Step, parse_time
from runsync.sources import base
from runsync.sources.base import Below, Listed, Listing, Page
from runsync.sources.fields import BadRowError, Fields, map_result, map_status, raw_word, shown
from runsync.transport import Answer, checked_path

PAGE_SIZE = 100
TICK = timedelta(milliseconds=1)
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
_WORDS = {str(result): word for word, result in RESULTS.items()} | {w: w for w in STATUSES}
_SORTS = {"creationDateDesc": "desc", "creationDateAsc": "asc"}
_ID = re.compile(
    r"(?P<path>\d+|[\w.-]+(?:/[\w.-]+)+)"
    r"(?:\?(?P<query>source=[a-z_]+|bridges=true|source=[a-z_]+&bridges=true))?",
    re.ASCII,
)
_COLUMNS = "id status created_at started_at finished_at web_url ref user".split()
_RUN_KEYS = frozenset([*_COLUMNS, "sha", "updated_at", "detailed_status"])
# Besides what has a column: what each job of a run repeats, and what is told only to show it.
_REPEATED = "stage name duration tag commit pipeline project runner runner_manager".split()
_STEP_KEYS = frozenset([*_COLUMNS, *_REPEATED, "artifacts", "artifacts_file"])

Asked = Mapping[str, str | int | None]
Row = tuple[datetime, Listed | Problem]
"""A row of a listing and its time of change; what cannot be read has that of the row above."""


class GitLab(base.Source):
    """One GitLab."""

    type = "gitlab"
    title = "GitLab"
    lists_changes = True
    # A change gets its time before it is committed, and a replica shows it later still: what
    # turns up below runs that were read already must not pass for known.
    recheck = timedelta(hours=1)
    # For a moment after a change there is more to come that moves nothing to the top: a job's
    # coverage, found in its log, or a second change within the same millisecond.
    grace = timedelta(minutes=1)

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        return {"PRIVATE-TOKEN": token} if token else {}

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind != "id":
            raise ConfigError(f"source {self.name!r} is a GitLab one: write `id`, not `{kind}`")
        pipeline = Pipeline(value)
        self._project(pipeline)
        return Listing(f"{self.name}/project/{value}", value, wanted.name, (pipeline,))

    def pages(
        self, listing: Listing, below: Below | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        """Goes down by time: each page is what last changed before the page above it.

        A run that changes meanwhile leaves its place for the top, above where this walk began,
        and the next sync finds it there. All others stay where they are, since no page is asked
        for by its number.

        GitLab keeps times to the microsecond, shows them to the millisecond, and gives runs of
        one time in any order. So the walk goes by whole milliseconds: the lowest of a full page,
        which may be there in part, is left to the next page, which begins with it.
        """
        top, last = below.mark.at + TICK if below else None, False
        while not last:
            path, params = self._listed(
                listing.pipelines[0], updated_before=_iso(top) if top else None
            )
            answer = self.client.get(path, params)
            last, rows = _is_last(answer), self._by_time(listing, answer, top)
            if not last and top and (not rows or rows[-1][0] >= top - TICK):
                top -= TICK
                rows = self._instant(listing, top)
            elif not last:
                low = rows[-1][0]
                top, rows = low + TICK, [row for row in rows if row[0] > low]
            if rows or last:
                yield Page(tuple(item for _, item in rows), answer.as_of, at_start=last)

    def complete(self, run: Run) -> Details:
        try:
            return self.reread(run.pipeline, run.id)
        except NotFoundError:
            # Listed a moment ago, and deleted since: what is stored of it stays.
            return Details(run, (), datetime.now(UTC))

    def reread(self, pipeline: Pipeline, run_id: str) -> Details:
        path = self._path(pipeline, "pipelines", run_id)
        answer = self.client.get(path)
        run = self._one(answer.data, pipeline)
        # They come newest first and none ever goes: at worst one comes twice.
        with_retried = {"include_retried": "true"}
        jobs = self._all(f"{path}/jobs", with_retried)
        # Some pipelines are made of trigger jobs alone, and would look empty without them.
        bare = not jobs and run.result is not Result.SKIPPED and "yaml_errors" not in run.extra
        wants_bridges = bare or "bridges" in self._project(pipeline)
        bridges = self._all(f"{path}/bridges", with_retried) if wants_bridges else []
        version = run.version or ""
        if answer.as_of - parse_time(version) < self.grace:
            # Perhaps not as it will stay: it claims a version short of the listed one, though
            # beyond all before, so the next sync reads it again.
            run = replace(run, version=version.removesuffix("Z"))
        return _details(run, jobs, bridges, answer.as_of)

    # The live API for people.

    def find_runs(self, wanted: base.RunFilter) -> list[Run]:
        word, sort = wanted.result or wanted.status, wanted.sort or "creationDateDesc"
        limit, skip = min(wanted.limit or 20, PAGE_SIZE), wanted.skip or 0
        self._refuse(
            "list runs",
            application=wanted.application,
            source_run=wanted.source_run,
            status=None if word is None or word in _WORDS else word,
            sort=None if sort in _SORTS else sort,
            skip=str(skip) if skip % limit else None,
        )
        pipeline = self._known(Pipeline(wanted.pipeline) if wanted.pipeline else None)
        path, params = self._listed(
            pipeline,
            order_by="id",
            sort=_SORTS[sort],
            per_page=limit,
            page=skip // limit + 1,
            status=_WORDS[word] if word else None,
            ref=wanted.branch,
            sha=wanted.commit,
            username=wanted.author,
        )
        return [self._one(raw, pipeline) for raw in _rows(self.client.get(path, params), path)]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        path = self._path(self._known(pipeline), "jobs", step.id, "trace")
        text: str = self.client.get_text(path).data
        if not text:
            raise NotFoundError(f"{self.name}: job {step.id} has no log, or it was erased")
        return text

    def trigger(self, wanted: base.TriggerRequest) -> Run:
        told = {"commit": wanted.commit, "message": wanted.message, "run": wanted.source_run}
        self._refuse("trigger runs", **told)
        variables = [{"key": key, "value": value} for key, value in wanted.env]
        pipeline = Pipeline(wanted.pipeline)
        branch = wanted.branch or self.client.get(self._path(pipeline)).data["default_branch"]
        body = {"ref": branch, "variables": variables}
        answer = self.client.send("POST", self._path(pipeline, "pipeline"), body=body)
        return self._one(answer.data, pipeline)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> Run:
        pipeline = self._known(pipeline)
        answer = self.client.send("POST", self._path(pipeline, "pipelines", run_id, "cancel"))
        return self._one(answer.data, pipeline)

    def access(self) -> base.Access:
        answer = self.client.get(checked_path("api", "v4", "personal_access_tokens", "self"))
        scopes = tuple(map(str, answer.data["scopes"]))
        able = not {"api", "read_api"}.isdisjoint(scopes)
        if able:
            answer = self.client.get(checked_path("api", "v4", "user"))
        return base.Access(
            account=answer.data.get("username"),
            scopes=scopes,
            missing_scopes=() if able else ("read_api",),
            limit_left=base.header_number(answer.headers, "RateLimit-Remaining"),
            limit=base.header_number(answer.headers, "RateLimit-Limit"),
            clock=answer.as_of,
        )

    def _refuse(self, what: str, **given: str | None) -> None:
        for name, value in given.items():
            if value is not None:
                raise self.lacks(f"{what} by {name} ({value!r})")

    def _known(self, pipeline: Pipeline | None) -> Pipeline:
        if pipeline is None:
            raise RefusedError(f"source {self.name!r} finds runs only by project: name it as well")
        return pipeline

    # Asking.

    def _project(self, pipeline: Pipeline) -> dict[str, str]:
        """What an ``id`` says: ``path``, and perhaps ``source`` and ``bridges``."""
        found = _ID.fullmatch(pipeline.external_id)
        if found is None:
            raise ConfigError(
                f"id {pipeline.external_id!r} of source {self.name!r} is no GitLab project; "
                "write its path or number, such as group/project, and no URL"
            )
        return {"path": found["path"], **dict(parse_qsl(found["query"] or ""))}

    def _path(self, pipeline: Pipeline, *parts: str) -> str:
        return checked_path("api", "v4", "projects", self._project(pipeline)["path"], *parts)

    def _listed(self, pipeline: Pipeline, **asked: str | int | None) -> tuple[str, Asked]:
        """Where a project's runs are listed, and how: the latest changes, unless told otherwise."""
        source = self._project(pipeline).get("source")
        usual: Asked = {"order_by": "updated_at", "per_page": PAGE_SIZE, "source": source}
        return self._path(pipeline, "pipelines"), {**usual, "sort": "desc", **asked}

    def _instant(self, listing: Listing, at: datetime) -> list[Row]:
        """All that last changed in the millisecond ``at``, where that is more than a page.

        Only ids order it and only numbers page it, so a run that leaves pulls others up past the
        edge of a page. But then it lacks in the next reading: two alike have missed nothing.
        """
        path, params = self._listed(
            listing.pipelines[0],
            order_by="id",
            # Nowhere is it promised whether what changed at a bound lies within.
            updated_after=_iso(at - TICK),
            updated_before=_iso(at + TICK),
        )
        before, rows = None, self._read(listing, self._all(path, params), at)
        while rows != before:
            before, rows = rows, self._read(listing, self._all(path, params), at)
        return [row for row in rows if row[0] == at]

    def _all(self, path: str, params: Asked) -> list[object]:
        """The rows of all pages of a list that is paged by number."""
        found: list[object] = []
        for page in count(1):
            answer = self.client.get(path, {"per_page": PAGE_SIZE, **params, "page": page})
            found += _rows(answer, path)
            if _is_last(answer):
                break
        return found

    # Reading.

    def _by_time(self, listing: Listing, answer: Answer, top: datetime | None) -> list[Row]:
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

    def _read(self, listing: Listing, raws: list[object], at: datetime) -> list[Row]:
        """Runs where they stand; ``at`` stands in until one tells its own time."""
        rows: list[Row] = []
        for raw in raws:
            try:
                run = read_run(raw, listing.pipelines[0])
                at = parse_time(run.version or "")
                rows.append((at, Listed(Mark(at, run.id.zfill(20)), run)))
            except BadRowError as error:
                rows.append((at, Problem(str(error))))
        return rows

    def _one(self, raw: object, pipeline: Pipeline) -> Run:
        try:
            return read_run(raw, pipeline)
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}") from error


def read_run(raw: object, pipeline: Pipeline) -> Run:
    """A run from the listing, which lacks its times and its user, or from its detail."""
    fields = Fields(raw, f"run {_shown_id(raw)}")
    user = fields.child("user")
    return Run(
        pipeline=pipeline,
        id=_id(fields),
        version=_iso(fields.needed_time("updated_at")),
        created_at=fields.needed_time("created_at"),
        branch=fields.text("ref"),
        commit_hash=fields.text("sha"),
        author=(user.text("username") or user.text("name")) if user else None,
        author_id=_id(user) if user else None,
        url=fields.text("web_url"),
        extra=_told(fields, _RUN_KEYS),
        **_state(fields),
    )


def read_step(fields: Fields, *, bridge: bool) -> Step:
    """A step from a job, or from a bridge: a job that triggers another pipeline.

    Its position is still open, and whether it was retried: that takes all of a run's.
    """
    url, state = fields.text("web_url"), _state(fields)
    has_log = url and state["started_at"] and not bridge
    return Step(
        id=_id(fields),
        position=0,
        job=fields.text("stage"),
        name=fields.needed_text("name"),
        created_at=fields.time("created_at"),
        log_url=f"{url}/raw" if has_log else None,
        artifacts_url=f"{url}/artifacts/download" if fields.child("artifacts_file") else None,
        extra=_told(fields, _STEP_KEYS) | ({"bridge": True} if bridge else {}),
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


def _details(run: Run, jobs: list[object], bridges: list[object], as_of: datetime) -> Details:
    steps: dict[int, Step] = {}
    problems: list[Problem] = []
    for place, raw in enumerate([*jobs, *bridges]):
        try:
            fields = Fields(raw, f"run {run.id}: job {_shown_id(raw)}")
            step = read_step(fields, bridge=place >= len(jobs))
            steps[int(step.id)] = step
            # Only jobs tell the commit's message, and all of them the same.
            commit = fields.child("commit")
            run = replace(run, message=commit.text("message")) if commit else run
        except BadRowError as error:
            problems.append(Problem(str(error)))
    return Details(run, _in_order(steps), as_of, tuple(problems))


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
    number = fields.whole("id")
    if number is None:
        raise BadRowError(f"{fields.what}: `id` is missing")
    return str(number)


def _shown_id(raw: object) -> str:
    found = raw.get("id") if isinstance(raw, dict) else None
    return str(found) if isinstance(found, int) else "(no id)"


def _rows(answer: Answer, what: str) -> list[object]:
    if not isinstance(answer.data, list):
        raise SourceError(f"{what}: a list is due and {shown(answer.data)} came; check base_url")
    return answer.data


def _is_last(answer: Answer) -> bool:
    following = answer.headers.get("X-Next-Page")
    return len(answer.data) < PAGE_SIZE if following is None else not following


def _iso(when: datetime) -> str:
    """A UTC time as GitLab writes it; all of one length, so that the later text is the greater."""
    return f"{when.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"

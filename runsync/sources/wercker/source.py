"""Wercker's v3 runs API: the reference source, complete as its contract has it.

A run's row is read from the listing, which has all but ``envVars``, ``commits`` and
``sourceRun``; its steps take one request. The rest is the live API.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import ConfigError, NotFoundError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import Cursor, Pipeline, Problem, Result, Run, RunWithSteps, Status, Step
from runsync.sources import pagination
from runsync.sources.base import (
    Access,
    Listed,
    Listing,
    Page,
    ResumePoint,
    RunFilter,
    Source,
    TriggerRequest,
    header_number,
)
from runsync.sources.fields import (
    BadRowError,
    Fields,
    by_id,
    map_result,
    map_status,
    raw_word,
    shown,
    storable,
)

RUNS = "/api/v3/runs"
PAGE_SIZE = 20
STATUSES = {
    "notstarted": Status.NOTSTARTED,
    "pendingapproval": Status.NOTSTARTED,
    "started": Status.STARTED,
    "running": Status.RUNNING,
    "finished": Status.FINISHED,
}
RESULTS = {
    "passed": Result.PASSED,
    "failed": Result.FAILED,
    "aborted": Result.ABORTED,
    "skipped": Result.SKIPPED,
    "unknown": Result.UNKNOWN,
}
_ID = re.compile(r"[0-9a-f]{24}")
_INTEGER = 2**31 - 1
_LONGEST_ID = 200
# A POST answers with the times of Go's default form: 2017-07-04 15:27:10.149242293 +0000 UTC
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))? \+0000 UTC")
_RUN_KEYS = frozenset(
    "id url branch commitHash createdAt startedAt finishedAt message progress result status "
    "pipeline envVars".split()
)
_STEP_KEYS = frozenset(
    "id url artifactsUrl createdAt startedAt finishedAt logUrl order phase result status step "
    "displayName".split()
)
_PIPELINE_KEYS = frozenset({"id", "url", "createdAt", "name"})


class Wercker(Source):
    """One Wercker service, or one that speaks its v3 API."""

    run_ids_are_unique = True
    page_runs = 19  # of 20, since each page overlaps the one before by a run

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "repository":
            raise ConfigError(
                f"source {self.name!r} is a Wercker one and has no `repository`; "
                "write `id` or `application_id`"
            )
        if not _ID.fullmatch(value):
            raise ConfigError(
                f"{kind} {value!r} of source {self.name!r} is no Wercker id; "
                "those are 24 hex digits (0-9, a-f)"
            )
        if kind == "application_id":
            return Listing(f"{self.name}/application/{value}", f"applicationId={value}")
        pipeline = Pipeline(value)
        key = f"{self.name}/pipeline/{value}"
        return Listing(key, f"pipelineId={value}", wanted.name, (pipeline,))

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        yield from pagination.walk(
            partial(self._slice, listing), resume_point, name=f"the listing {listing.key}"
        )

    def complete(self, run: Run) -> RunWithSteps:
        try:
            answer = self.client.get(checked_path("api", "v3", "runs", run.id, "steps"))
        except NotFoundError:
            # Listed a moment ago, and its steps are gone: what is stored of them stays.
            return RunWithSteps(run, (), datetime.now(UTC))
        return _details(run, answer)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self.client.get(checked_path("api", "v3", "runs", run_id))
        return self.complete(self._one(answer.data, pipeline))

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        answer = self.client.get(
            RUNS,
            {
                "applicationId": wanted.application,
                "pipelineId": wanted.pipeline,
                "limit": wanted.limit or PAGE_SIZE,
                "skip": wanted.skip,
                "sort": wanted.sort,
                "status": wanted.status,
                "result": wanted.result,
                "branch": wanted.branch,
                "commit": wanted.commit,
                "sourceRun": wanted.source_run,
                "author": wanted.author,
            },
        )
        return [self._one(raw, None) for raw in _rows(answer, self.name)]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        text: str = self.client.get_text(checked_path("api", "v3", "runsteps", step.id, "log")).data
        return text

    def trigger(self, wanted: TriggerRequest) -> Run:
        body = {
            "pipelineId": wanted.pipeline,
            "sourceRunId": wanted.source_run,
            "branch": wanted.branch,
            "commitHash": wanted.commit,
            "message": wanted.message,
            "envVars": [{"key": key, "value": value} for key, value in wanted.env] or None,
        }
        given = {key: value for key, value in body.items() if value is not None}
        return self._one(self.client.send("POST", f"{RUNS}/", body=given).data, None)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> Run:
        path = checked_path("api", "v3", "runs", run_id, "abort")
        return self._one(self.client.send("PUT", path).data, pipeline)

    def access(self) -> Access:
        # Nothing in the contract tells about a token; that an unknown run is "not found", and
        # not "unauthorized", shows that it was accepted.
        try:
            answer = self.client.get(checked_path("api", "v3", "runs", "0" * 24))
        except NotFoundError:
            answer = Response(404, {}, None, datetime.now(UTC))
        headers = answer.headers
        return Access(
            account=None,
            scopes=None,
            missing_scopes=(),
            limit_left=header_number(headers, "X-RateLimit-Remaining"),
            limit=header_number(headers, "X-RateLimit-Limit"),
            clock=answer.as_of,
        )

    def _slice(self, listing: Listing, skip: int) -> pagination.Slice:
        key, _, value = listing.ref.partition("=")
        # `skip` has a minimum of 1; without `limit` a page may hold 10.
        asked: dict[str, str | int | None] = {key: value, "limit": PAGE_SIZE, "skip": skip or None}
        answer = self.client.get(RUNS, asked)
        own = listing.pipelines[0] if listing.pipelines else None
        entries = [self._entry(raw, own) for raw in _rows(answer, self.name)]
        return pagination.Slice(entries, answer.as_of)

    def _entry(self, raw: object, own: Pipeline | None) -> pagination.Entry:
        """A row of a listing: its run, or what is wrong with it."""
        key = _key(raw)
        try:
            run = self._read(raw, own)
        except BadRowError as error:
            return pagination.Entry(key, Problem(str(error)))
        if own and run.pipeline.external_id != own.external_id:
            other = run.pipeline.external_id
            what = f"run {run.id} is of pipeline {other}, not of {own.external_id}"
            return pagination.Entry(key, Problem(what, lost=False))
        return pagination.Entry(key, Listed(Cursor(run.created_at, run.id), run))

    def _one(self, raw: object, own: Pipeline | None) -> Run:
        try:
            return self._read(raw, own)
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}") from error

    def _read(self, raw: object, own: Pipeline | None) -> Run:
        fields = Fields(raw, f"run {_shown_id(raw)}")
        return read_run(fields, read_pipeline(fields, own))


def read_pipeline(run: Fields, own: Pipeline | None) -> Pipeline:
    """The pipeline that a run names; ``own`` where it names none."""
    fields = run.child("pipeline")
    if fields is None:
        if own is None:
            raise BadRowError(f"{run.what}: `pipeline` is missing")
        return own
    return Pipeline(
        external_id=fields.needed_id("id"),
        name=fields.text("name"),
        url=fields.text("url"),
        created_at=_time(fields, "createdAt"),
        extra=fields.rest(_PIPELINE_KEYS),
    )


def read_run(fields: Fields, pipeline: Pipeline) -> Run:
    """A run from the listing, the detail, or what a POST or PUT answers."""
    started, finished = _time(fields, "startedAt"), _time(fields, "finishedAt")
    created = _time(fields, "createdAt")
    if created is None:
        raise BadRowError(f"{fields.what}: `createdAt` is missing")
    status_word, result_word = fields.needed_text("status"), fields.text("result")
    status = map_status(status_word, STATUSES, started, finished)
    result = map_result(result_word, RESULTS)
    author, author_id, user = _author(fields)
    env = tuple((e.needed_text("key"), e.text("value") or "") for e in fields.objects("envVars"))
    source = fields.raw.get("sourceRun")
    return Run(
        pipeline=pipeline,
        id=fields.needed_id("id"),
        created_at=created,
        started_at=started,
        finished_at=finished,
        status=status,
        result=result,
        raw_status=raw_word(status_word, status),
        raw_result=raw_word(result_word, result),
        branch=fields.text("branch"),
        commit_hash=fields.text("commitHash"),
        message=fields.text("message"),
        author=author,
        author_id=author_id,
        progress=fields.whole("progress", _INTEGER),
        source_run_id=source if isinstance(source, str) else _id_of(fields.child("sourceRun")),
        url=fields.text("url"),
        env=env,
        extra=fields.rest(_RUN_KEYS | {"user"}) | user | _env_names(env),
    )


def read_step(raw: object, place: int) -> Step:
    """One step; ``place`` stands in where the provider gives no order."""
    fields = Fields(raw, f"step {_shown_id(raw)}")
    started, finished = fields.time("startedAt"), fields.time("finishedAt")
    status_word, result_word = fields.needed_text("status"), fields.text("result")
    status = map_status(status_word, STATUSES, started, finished)
    result = map_result(result_word, RESULTS)
    order = fields.whole("order", _INTEGER)
    return Step(
        id=fields.needed_id("id"),
        position=place if order is None else order,
        # The first two steps have `step`; those of the user's own file `displayName`.
        name=fields.text("displayName") or fields.text("step") or "(unnamed)",
        phase=fields.text("phase"),
        status=status,
        result=result,
        raw_status=raw_word(status_word, status),
        raw_result=raw_word(result_word, result),
        created_at=fields.time("createdAt"),
        started_at=started,
        finished_at=finished,
        log_url=fields.text("logUrl"),
        artifacts_url=fields.text("artifactsUrl"),
        extra=fields.rest(_STEP_KEYS),
    )


def _details(run: Run, answer: Response) -> RunWithSteps:
    steps: list[Step] = []
    problems: list[Problem] = []
    for place, raw in enumerate(_rows(answer, f"run {run.id}"), 1):
        try:
            steps.append(read_step(raw, place))
        except BadRowError as error:
            problems.append(Problem(f"run {run.id}: {error}"))
    return RunWithSteps(run, by_id(steps), answer.as_of, tuple(problems))


def _rows(answer: Response, what: str) -> list[object]:
    if not isinstance(answer.data, list):
        raise SourceError(
            f"{what}: a list is due and {shown(answer.data)} came; check that base_url is Wercker's"
        )
    return answer.data


def _time(fields: Fields, key: str) -> datetime | None:
    found = _GO_TIME.fullmatch(fields.text(key) or "")
    if found is None:
        return fields.time(key)
    day, clock, fraction = found.groups()
    return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}+00:00").astimezone(
        UTC
    )


def _author(fields: Fields) -> tuple[str | None, str | None, dict[str, Any]]:
    """Who started a run: the user name where there is one, else the name; the id; the rest."""
    user = fields.child("user")
    if user is None:
        return None, None, {}
    meta = user.child("meta")
    author = (meta.text("username") if meta else None) or user.text("name")
    rest = user.rest({"userId"})
    return author, user.text("userId"), {"user": rest} if rest else {}


def _env_names(env: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The names of a run's variables. Their values are never stored."""
    return {"envVars": [name for name, _ in env]} if env else {}


def _id_of(source_run: Fields | None) -> str | None:
    return source_run.needed_id("id") if source_run else None


def _shown_id(raw: object) -> str:
    found = raw.get("id") if isinstance(raw, dict) else None
    return storable(found)[:_LONGEST_ID] if isinstance(found, str) else "(no id)"


def _key(raw: object) -> str:
    """What a row is known by while a list is walked, readable or not."""
    found = raw.get("id") if isinstance(raw, dict) else None
    return found if isinstance(found, str) and found else sha256(repr(raw).encode()).hexdigest()

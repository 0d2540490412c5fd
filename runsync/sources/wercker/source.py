"""Wercker's v3 runs API: the reference source, complete as its contract has it.

A run is read from the listing, which lacks ``envVars``, ``commits``, ``pullRequest`` and
``sourceRun``; its steps take one request. With ``details`` in the config each run takes one
request more, and is stored with those four; without, with none of them.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from runsync.config import PipelineConfig
from runsync.errors import (
    STOPS,
    ForbiddenError,
    NotFoundError,
    SourceError,
)
from runsync.http.client import Response, checked_path
from runsync.records import Cursor, Pipeline, Problem, Run, RunWithSteps, Step
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
)
from runsync.sources.fields import (
    BadRowError,
    Fields,
    map_ending,
    map_status,
    raw_word,
    read_steps,
    row_name,
    rows_in,
)
from runsync.sources.live import rate_limit
from runsync.sources.steps import without_steps
from runsync.sources.wercker.words import ENDINGS, STATUSES

RUNS = "/api/v3/runs"
PAGE_SIZE = 20
_ID = re.compile(r"[0-9a-f]{24}")
_INTEGER = 2**31 - 1
# A POST answers with the times of Go's default form: 2017-07-04 15:27:10.149242293 +0000 UTC
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))? \+0000 UTC")
_RUN_KEYS = frozenset(
    "id url branch commitHash createdAt startedAt finishedAt message progress result status "
    "pipeline user envVars".split()
)
# A listed run has none of these, so unless each run's detail is read no run is stored with them.
_DETAILS = frozenset("sourceRun commits pullRequest".split())
_STEP_KEYS = frozenset(
    "id url artifactsUrl createdAt startedAt finishedAt logUrl order phase result status step "
    "displayName".split()
)
_PIPELINE_KEYS = frozenset({"id", "url", "createdAt", "name"})


class Wercker(Source):
    """One Wercker service, or one that speaks its v3 API."""

    run_ids_are_unique = True
    run_id_pattern = _ID
    run_id_description = "id of a Wercker run; those are 24 hex digits"
    page_runs = 19  # of 20, since each page overlaps the one before by a run

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "repository":
            raise self.bad_key(kind, "`id` or `application_id`")
        if not _ID.fullmatch(value):
            raise self.bad_name(value, "Wercker id; those are 24 hex digits (0-9, a-f)")
        if kind == "application_id":
            return Listing(f"{self.name}/application/{value}", f"applicationId={value}")
        key = f"{self.name}/pipeline/{value}"
        return Listing(key, f"pipelineId={value}", wanted.name, (Pipeline(value),))

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        fetch = partial(self._slice, listing)
        yield from pagination.walk(fetch, resume_point, name=f"the listing {listing.key}")

    def _slice(self, listing: Listing, skip: int) -> pagination.Slice:
        """The runs of a listing from position ``skip`` on."""
        key, _, value = listing.ref.partition("=")
        # `skip` has a minimum of 1; without `limit` a page may hold 10.
        answer = self.client.get(RUNS, {key: value, "limit": PAGE_SIZE, "skip": skip or None})
        own = listing.pipelines[0] if listing.pipelines else None
        entries = [self._entry(raw, own) for raw in rows_in(answer.data, self.name)]
        return pagination.Slice(entries, answer.as_of)

    def _entry(self, raw: object, own: Pipeline | None) -> pagination.Entry:
        """A row of a listing: its run, or what is wrong with it."""
        try:
            run = read_run(raw, own, self.client.base_url, details=False)
        except BadRowError as error:
            return pagination.Entry(None, Problem(str(error)))
        if own and run.pipeline.external_id != own.external_id:
            other = run.pipeline.external_id
            what = f"run {run.id} is of pipeline {other}, not of {own.external_id}"
            lost = not self._is_of(run.pipeline, run.id)
            return pagination.Entry(None if lost else run.id, Problem(what, lost))
        return pagination.Entry(run.id, Listed(Cursor(run.created_at, run.id), run))

    def _is_of(self, pipeline: Pipeline, run_id: str) -> bool:
        """Whether a run says by itself that it is of this pipeline, as its row in a listing did."""
        try:
            answer = self.client.get(checked_path("api", "v3", "runs", run_id))
            run = self._one(answer.data, None)
        except STOPS:
            raise
        except (SourceError, ForbiddenError):
            return False
        return run.key == (pipeline.external_id, run_id)

    def complete(self, run: Run) -> RunWithSteps:
        if self.has_details:
            return self.reread(run.pipeline, run.id)
        return self._with_steps(run)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self._detail(pipeline, run_id, details=self.has_details)

    def _detail(self, pipeline: Pipeline, run_id: str, *, details: bool) -> RunWithSteps:
        answer = self.client.get(checked_path("api", "v3", "runs", run_id))
        run = self._one(answer.data, pipeline, details=details)
        self.check_run_id(run, run_id)
        found = self._with_steps(run)
        return replace(found, as_of=min(found.as_of, answer.as_of))

    def _with_steps(self, run: Run) -> RunWithSteps:
        try:
            answer = self.client.get(checked_path("api", "v3", "runs", run.id, "steps"))
        except NotFoundError:
            # That proves nothing, unless the run is not found either.
            answer = self.client.get(checked_path("api", "v3", "runs", run.id))
            return without_steps(run, answer.as_of, "its steps are")
        what = f"run {run.id}"
        steps, problems = read_steps(rows_in(answer.data, what), read_step, what)
        return RunWithSteps(run, steps, answer.as_of, problems)

    # The live API for people.

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self._detail(pipeline, self.valid_run_id(run_id), details=True)

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
        return [self._one(raw, None) for raw in rows_in(answer.data, self.name)]

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
        path = checked_path("api", "v3", "runs", self.valid_run_id(run_id), "abort")
        return self._one(self.client.send("PUT", path).data, pipeline)

    def access(self) -> Access:
        # Nothing in the contract tells about a token; that an unknown run is "not found", and
        # not "unauthorized", shows that it was accepted.
        try:
            answer = self.client.get(checked_path("api", "v3", "runs", "0" * 24))
        except NotFoundError as error:
            answer = Response(404, {}, None, error.as_of or datetime.now(UTC))
        return Access(answer.as_of, **rate_limit(answer))

    def _one(self, raw: object, own: Pipeline | None, *, details: bool = True) -> Run:
        with self.reading():
            return read_run(raw, own, self.client.base_url, details=details)


def read_run(raw: object, own: Pipeline | None, base_url: str, *, details: bool) -> Run:
    """A run from the listing, the detail, or what a POST or PUT answers.

    Args:
        own: its pipeline, where the run names none.
        details: whether to take what a listed run lacks.

    Raises:
        BadRowError: a field is not what is due.
    """
    fields = Fields(raw, row_name("run", raw))
    created, started = _time(fields, "createdAt"), _time(fields, "startedAt")
    finished = _time(fields, "finishedAt")
    if created is None:
        raise BadRowError(f"{fields.what}: `createdAt` is missing")
    status_word, result_word = fields.needed_text("status"), fields.text("result")
    status = map_status(status_word, STATUSES, started, finished)
    result, outcome = map_ending(result_word, ENDINGS, status)
    author, author_id, extra = _read_user(fields)
    env: tuple[tuple[str, str], ...] = ()
    source_run = fields.raw.get("sourceRun") if details else None
    if details:
        pairs = fields.objects("envVars")
        env = tuple((pair.needed_text("key"), pair.text("value") or "") for pair in pairs)
        extra |= {"envVars": [name for name, _ in env]} if env else {}
    if isinstance(source_run, dict):
        source_run = Fields(source_run, f"{fields.what}: `sourceRun`").needed_id("id")
    run_id = fields.needed_id("id")
    return Run(
        pipeline=_read_pipeline(fields, own),
        id=run_id,
        event=_event(fields, source_run) if details else None,
        created_at=created,
        started_at=started,
        finished_at=finished,
        status=status,
        result=result,
        outcome=outcome,
        raw_status=raw_word(status_word, status),
        raw_result=raw_word(result_word, result),
        branch=fields.text("branch"),
        commit_hash=fields.text("commitHash"),
        message=fields.text("message"),
        author=author,
        author_id=author_id,
        progress=fields.integer("progress", _INTEGER),
        source_run_id=source_run if isinstance(source_run, str) else None,
        url=fields.text("url"),
        web_url=f"{base_url}/#build/{quote(run_id, safe='')}",
        env=env,
        extra=fields.rest(_RUN_KEYS if details else _RUN_KEYS | _DETAILS) | extra,
    )


def _event(run: Fields, source_run: object) -> str | None:
    """What started a run, where that is told: pushes and triggers look alike."""
    if source_run:
        return "upstream"
    return "pull_request" if run.raw.get("pullRequest") else None


def _read_pipeline(run: Fields, own: Pipeline | None) -> Pipeline:
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


def _read_user(run: Fields) -> tuple[str | None, str | None, dict[str, Any]]:
    """Who started a run: the user name where there is one, else the name; the id; the rest."""
    user = run.child("user")
    if user is None:
        return None, None, {}
    meta = user.child("meta")
    author = (meta.text("username") if meta else None) or user.text("name")
    rest = user.rest({"userId"})
    return author, user.text("userId"), {"user": rest} if rest else {}


def read_step(raw: object, place: int) -> Step:
    """One step; ``place`` stands in where the provider gives no order."""
    fields = Fields(raw, row_name("step", raw))
    started, finished = fields.time("startedAt"), fields.time("finishedAt")
    status_word, result_word = fields.needed_text("status"), fields.text("result")
    status = map_status(status_word, STATUSES, started, finished)
    result, outcome = map_ending(result_word, ENDINGS, status)
    order = fields.integer("order", _INTEGER)
    return Step(
        id=fields.needed_id("id"),
        position=place if order is None else order,
        # The first two steps have `step`; those of the user's own file `displayName`.
        name=fields.text("displayName") or fields.text("step") or "(unnamed)",
        phase=fields.text("phase"),
        status=status,
        result=result,
        outcome=outcome,
        raw_status=raw_word(status_word, status),
        raw_result=raw_word(result_word, result),
        created_at=fields.time("createdAt"),
        started_at=started,
        finished_at=finished,
        log_url=fields.text("logUrl"),
        artifacts_url=fields.text("artifactsUrl"),
        extra=fields.rest(_STEP_KEYS),
    )


def _time(fields: Fields, key: str) -> datetime | None:
    found = _GO_TIME.fullmatch(fields.text(key) or "")
    if found is None:
        return fields.time(key)
    day, clock, fraction = found.groups()
    iso = f"{day}T{clock}.{(fraction or '0')[:6]:0<6}+00:00"
    return Fields({key: iso}, fields.what).time(key)

"""Buildkite, through REST API v2.

A pipeline is our pipeline, a build our run, and its jobs are our steps. A listed build shows its
jobs, so a run costs no request of its own. ``id`` is ``my-org/my-pipeline``; ``application_id`` is
an organisation, whose builds of all pipelines are one listing.

Builds are listed by their creation, and change in place: a job is run again, a person lets a build
go on. So each sync asks for those that are under way and for those that have finished since the
last whole sync but one: a change that one answer lacks is in the answer to the next sync.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, SourceError, TooLargeError
from runsync.http.client import Response
from runsync.records import Cursor, Pipeline, Run, RunWithSteps, Status, parse_time
from runsync.sources.base import BEGUN, Listed, Listing, Page, ResumePoint
from runsync.sources.buildkite.live import PAGE_SIZE, WITH_RETRIED, LiveApi
from runsync.sources.buildkite.payloads import read_build
from runsync.sources.buildkite.walk import BuildWalk, Filters, bound, bound_above
from runsync.sources.buildkite.words import ACTIVE, BLOCKED
from runsync.sources.by_time import TimedPage, rows_in_place
from runsync.sources.fields import rows_in
from runsync.sources.live import has_next

_ASKED = "asked"
"""Under which key of a listing's memory the times of the last two whole syncs stand."""


class Buildkite(LiveApi):
    """buildkite.com, or what speaks its REST API."""

    page_runs = PAGE_SIZE
    requests_per_run = 0
    needs_begin = True
    # A build may show up later than it was created, and its end later than it came.
    recheck = timedelta(minutes=10)
    page_size = PAGE_SIZE  # fewer where the jobs of so many builds are too much for an answer

    @staticmethod
    def is_limit(status: int, headers: Mapping[str, str], body: str) -> bool:
        return status == 429

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "id":
            pipeline = Pipeline(value)
            path = self.path(pipeline, "builds")
            return Listing(f"{self.name}/pipeline/{value}", path, wanted.name, (pipeline,))
        if kind == "application_id":
            return Listing(f"{self.name}/organization/{value}", self.organization_path(value))
        own = '`id = "my-org/my-pipeline"`'
        raise self.bad_key(kind, f'{own}, or `application_id = "my-org"` for all its pipelines')

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        walk = self._walk(listing, {})
        if resume_point:
            yield from walk.pages(bound_above(resume_point.cursor.at))
        else:
            yield from walk.pages(None, partial(self._changed, listing, memory))

    def _walk(self, listing: Listing, asked: Filters) -> BuildWalk:
        part = partial(self._part, listing)
        return BuildWalk(part, asked, self.listing_name(listing), self._numbered)

    def _numbered(self, pipeline: Pipeline, number: int) -> Listed | None:
        try:
            return _listed(self.reread(pipeline, str(number)))
        except NotFoundError:
            return None

    def _changed(self, listing: Listing, memory: dict[str, Any], top: TimedPage) -> Iterator[Page]:
        """The builds that may have changed since the last whole sync, wherever they stand."""
        since = [parse_time(text) for text in memory.get(_ASKED) or [memory.get(BEGUN)] if text]
        memory[_ASKED] = [at.isoformat() for at in (*since, top.as_of)][-2:]
        memory[BEGUN] = memory[_ASKED][0]  # what is remembered where a later sync leaves a gap
        if not since:
            return
        finished: Filters = {"finished_from": bound(since[0] - self.recheck)}
        for asked in ({"state[]": ACTIVE}, finished):
            for part in self._walk(listing, asked).once():
                if part.rows and not (top.rows or top.more):
                    raise SourceError(
                        f"{self.listing_name(listing)} is suddenly empty, though builds of it have "
                        "changed; what is stored is kept: sync again"
                    )
                yield Page(tuple(row.item for row in part.rows), part.as_of, aside=True)

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        asked = memory.get(_ASKED)
        return (min(now, parse_time(asked[-1])) if asked else now) - self.recheck

    def settles(self, details: RunWithSteps) -> bool:
        """A build that waits for a person may wait for ever, and is found when it goes on."""
        if details.run.raw_status != BLOCKED:
            return super().settles(details)
        is_read = details.steps_read and not details.problems
        rests = all(s.status in (Status.NOTSTARTED, Status.FINISHED) for s in details.steps)
        changed = parse_time(details.run.version or "")
        return is_read and rests and details.as_of >= changed + self.grace

    def complete(self, run: Run) -> RunWithSteps:
        return self.reread(run.pipeline, run.id)

    # Asking.

    def _part(self, listing: Listing, params: Filters) -> TimedPage:
        """The builds of a listing that fit ``params``."""
        answer, size = self._ask(listing.ref, params)
        own = listing.pipelines[0] if listing.pipelines else None
        organization = listing.ref.split("/")[3]
        raws = rows_in(answer.data, self.listing_name(listing))

        def read(raw: object, _: datetime) -> Listed:
            url = self.client.base_url
            return _listed(read_build(raw, own, organization, url, answer.as_of))

        rows = rows_in_place(raws, read, answer.as_of)
        return TimedPage(rows, answer.as_of, has_next(answer) or len(raws) >= size)

    def _ask(self, path: str, params: Filters) -> tuple[Response, int]:
        """A page, and how many builds it was asked for."""
        given = [(k, v if isinstance(v, tuple) else (v,)) for k, v in params.items() if v]
        pairs = [WITH_RETRIED, *((key, str(value)) for key, values in given for value in values)]
        while True:
            size = self.page_size
            try:
                return self.client.get(path, [("per_page", str(size)), *pairs]), size
            except TooLargeError:
                if size == 1:
                    raise
                self.page_size = max(size // 4, 1)


def _listed(read: RunWithSteps) -> Listed:
    place = f"{read.run.pipeline.external_id}/{read.run.id.zfill(20)}"
    return Listed(Cursor(read.run.created_at, place), read.run, details=read)

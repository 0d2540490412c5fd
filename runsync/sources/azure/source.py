"""Azure Pipelines, through REST API 7.1 of Azure DevOps, or of an Azure DevOps Server that has it.

``base_url`` names the organisation. A definition is our pipeline, a build our run, a task our step.
``id`` is the project and the definition's number, as in ``project/12``; ``application_id`` is a
project with all its definitions.

A build that is run again goes on in place and ends anew, so the listing goes by the time of the
end, and before each walk those are asked for that are not over: two requests where nothing is new.
A listed build tells all but its steps; they are its timeline, one request, and one more for each
earlier attempt.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, SourceError
from runsync.records import Cursor, Pipeline, Problem, Run, RunWithSteps, Status, parse_time
from runsync.sources.azure.api import CONTINUATION, VERSION, Asked, counted_rows
from runsync.sources.azure.live import LiveApi
from runsync.sources.azure.payloads import Project, iso, read_run
from runsync.sources.azure.timeline import Timeline, read_details, read_timeline
from runsync.sources.azure.words import UNFINISHED
from runsync.sources.base import Listed, Listing, Page, ResumePoint, basic_auth
from runsync.sources.by_time import TimedPage, by_time, rows_in_place
from runsync.sources.default_branch import DefaultBranch
from runsync.sources.fields import Fields, check_one, distinct
from runsync.sources.steps import without_steps

PAGE_SIZE = 100
TICK = timedelta(microseconds=1)
_MOST = 5000  # so many builds an answer holds at most
_MOST_UNFINISHED = _MOST_EMPTY_PAGES = 1000
_LONGEST_RECHECK = timedelta(days=30)
_SEEN, _FIRST, _BRANCHES = "seen", "first", "default_branches"
Item = Listed | Problem
Ask = Callable[[datetime | None, datetime | None, int], TimedPage]
"""Asks for the builds from one time (or the beginning) to another (or now), so many at most."""


class Azure(LiveApi):
    """One organisation of Azure DevOps, or one collection of an Azure DevOps Server."""

    # For a moment after its end a build's timeline has more to come.
    grace = timedelta(minutes=2)
    # What ended just before the last whole sync may have been shown only after it.
    recheck = timedelta(minutes=10)

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        own = {"X-TFS-FedAuthRedirect": "Suppress"}  # a refusal, and no page to sign in
        return own if token is None else own | basic_auth(f":{token}")

    @staticmethod
    def is_limit(status: int, headers: Mapping[str, str], body: str) -> bool:
        return "TF400733" in body

    @staticmethod
    def is_refusal(status: int, headers: Mapping[str, str]) -> bool:
        """Who is not signed in gets a page to do so, or is sent to one."""
        return status == 203 or (status == 302 and "_signin" in headers.get("Location", ""))

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "id":
            project, number = self.definition(value)
            one = project.pipeline(number)
            key = f"{self.name}/definition/{one.external_id}"
            return Listing(key, one.external_id, wanted.name, (one,))
        if kind != "application_id":
            raise self.bad_key(kind, "`id` for a definition, or `application_id` for a project")
        ref = self.project(value).name
        return Listing(f"{self.name}/application/{ref}", ref, wanted.name)

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        last = parse_time(memory[_SEEN]) if _SEEN in memory else now
        return max(min(last, now) - self.recheck, now - _LONGEST_RECHECK)

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        """Goes down by the time of the end; the first page begins with what is not over.

        That is asked for before: what ends meanwhile is in one of the two answers, or in both.
        """
        lowest = resume_point.cursor.at if resume_point else None
        head = [] if resume_point else self._unfinished(listing)
        ask = partial(self._ask, listing, "completed", "finishTimeDescending")
        top = lowest + TICK if lowest else None
        for part in self._by_time(listing, ask, top, PAGE_SIZE):
            if lowest is None:
                memory[_SEEN] = iso(part.as_of)
            lowest = min([row.at for row in part.rows], default=lowest)
            at_start = not part.more and self._is_end(listing, part, lowest, memory)
            at_start = at_start and not (head and lowest is None)
            items = tuple(self._with_branch(memory, part.as_of, one) for one in _joined(head, part))
            if items or at_start:
                yield Page(items, part.as_of, at_start=at_start)
            head = []

    def complete(self, run: Run) -> RunWithSteps:
        path = self.path(run.pipeline, "builds", run.id)
        try:
            with self.reading():
                answer = self.client.get(f"{path}/timeline", VERSION)
                latest = read_timeline(answer.data, run.id)
                earlier = [(n, self._earlier(run, n, one)) for n, one in latest.earlier()]
        except NotFoundError:
            # That proves nothing, unless the build is not found either.
            return without_steps(run, self.client.get(path, VERSION).as_of, "its timeline is")
        project, _ = self.definition(run.pipeline.external_id)
        return read_details(run, latest, earlier, project, answer.as_of)

    def _earlier(self, run: Run, attempt: int, timeline: str) -> Timeline:
        """What an earlier attempt did."""
        path = self.path(run.pipeline, "builds", run.id, "timeline", timeline)
        found = read_timeline(self.client.get(path, VERSION).data, run.id)
        gone = Problem(f"run {run.id}: the steps of attempt {attempt} are gone")
        return found if found.records else Timeline({}, (gone,))

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self.client.get(self.path(pipeline, "builds", run_id), VERSION)
        run = self.one(answer, pipeline)
        self.check_run_id(run, run_id)
        return self.complete(run)

    # Asking.

    def _unfinished(self, listing: Listing) -> list[Item]:
        ask = partial(self._ask, listing, UNFINISHED, "queueTimeDescending")
        parts = self._by_time(listing, ask, None, _MOST_UNFINISHED)
        return [_queued(row.item, part.as_of) for part in parts for row in part.rows]

    def _by_time(
        self, listing: Listing, ask: Ask, top: datetime | None, size: int
    ) -> Iterator[TimedPage]:
        name = self.listing_name(listing)

        def at_once(at: datetime) -> TimedPage:
            """All builds of one time: the service tells no more of them than an answer holds."""
            part = ask(at - TICK, at + TICK, _MOST)
            if part.more:
                raise SourceError(f"{name} shows too many builds of one time ({at}) to tell apart")
            return part

        def below(top: datetime | None, is_crowded: bool) -> TimedPage:
            return ask(None, top, _MOST if is_crowded else size)

        hint = "check base_url, and that it is Azure DevOps or a server whose REST API is 7.1"
        return by_time(below, at_once, top, TICK, f"{name} does not come by time; {hint}")

    def _ask(
        self,
        listing: Listing,
        status: str,
        order: str,
        low: datetime | None,
        high: datetime | None,
        size: int,
    ) -> TimedPage:
        """Builds of a listing; pages of which this token may see nothing are passed over."""
        project, number = self._of(listing)
        asked: Asked = {
            **VERSION,
            "definitions": number,
            "statusFilter": status,
            "deletedFilter": "excludeDeleted",
            "queryOrder": order,
            "minTime": iso(low) if low else None,
            "maxTime": iso(high) if high else None,
            "$top": size,
        }
        token, title = None, self.listing_name(listing)
        for _ in range(_MOST_EMPTY_PAGES):
            answer = self.client.get(self.builds(project), {**asked, "continuationToken": token})
            raws, token = counted_rows(answer, title), answer.headers.get(CONTINUATION)
            if raws or not token:
                self._check_owner(listing, raws)
                first = high - TICK if high else answer.as_of
                rows = rows_in_place(raws, partial(_listed, project, order), first)
                return TimedPage(rows, answer.as_of, bool(token) or len(raws) >= size)
        raise SourceError(f"{title} shows empty pages without an end; check base_url")

    def _is_end(
        self, listing: Listing, part: TimedPage, lowest: datetime | None, memory: dict[str, Any]
    ) -> bool:
        """Whether a page after which none is told is the end of a listing. Alone it proves nothing:
        below it, or in its place, may stand more. What it ends with is remembered once it did.

        Raises:
            NotFoundError: there is no such definition.
            SourceError: there are builds below those that were read, or none at all any more.
        """
        if lowest is None:
            with self.reading():
                for pipeline in listing.pipelines:
                    self._definition(pipeline)
            return True
        if memory.get(_FIRST) != iso(lowest):
            first = self._ask(listing, "completed", "finishTimeAscending", None, None, 1).rows
            # Of what cannot be read nobody knows where it stands.
            is_unknown = first and not first[0].key and all(row.key for row in part.rows[-1:])
            if not first or is_unknown or first[0].at < lowest:
                raise self.moves_too_fast(listing)
            memory[_FIRST] = iso(lowest)
        return True

    def _definition(self, pipeline: Pipeline) -> Fields:
        """What is told of a definition."""
        number = pipeline.external_id.rpartition("/")[2]
        answer = self.client.get(self.path(pipeline, "definitions", number), VERSION)
        return Fields(answer.data, f"{self.name}: the definition {pipeline.external_id}")

    def _with_branch(self, memory: dict[str, Any], now: datetime, item: Item) -> Item:
        """An item, its pipeline with its default branch."""
        if isinstance(item, Problem):
            return item
        known = memory.setdefault(_BRANCHES, {}).setdefault(item.run.key[0], {})
        branch = DefaultBranch(known, partial(self._default_branch, item.run.pipeline)).at(now)
        pipeline = replace(item.run.pipeline, default_branch=branch)
        run = replace(item.run, pipeline=pipeline)
        return replace(item, run=run, details=item.details and replace(item.details, run=run))

    def _default_branch(self, pipeline: Pipeline) -> str | None:
        name = self._definition(pipeline).first_text("repository/defaultBranch")
        return name.removeprefix("refs/heads/") if name else None

    def _check_owner(self, listing: Listing, raws: list[object]) -> None:
        """What is foreign may be any row, so none is taken.

        Raises:
            SourceError: there are builds of another definition, or of several projects.
        """
        _, number = self._of(listing)
        what = f"{self.listing_name(listing)} shows builds of other pipelines"
        check_one(distinct(raws, "definition", "id") | {str(number)} if number else (), what)
        check_one(distinct(raws, "project", "id"), what)

    def _of(self, listing: Listing) -> tuple[Project, int | None]:
        """The project of a listing, and its definition's number where it is of one alone."""
        if listing.pipelines:
            return self.definition(listing.ref)
        return self.project(listing.ref), None


def _listed(project: Project, order: str, raw: object, at: datetime) -> Listed | None:
    """A build where it stands, which is at ``at`` where it tells no time; None if it is deleted."""
    if isinstance(raw, dict) and raw.get("deleted") is True:
        return None
    run = read_run(raw, project)
    at = (run.created_at if order.startswith("queue") else run.finished_at) or at
    return Listed(Cursor(at, run.id.zfill(20)), run)


def _queued(item: Item, as_of: datetime) -> Item:
    """A build that waits for its first agent has no timeline to ask for."""
    if isinstance(item, Problem) or item.run.started_at or item.run.status is not Status.NOTSTARTED:
        return item
    return replace(item, details=RunWithSteps(item.run, (), as_of))


def _joined(head: list[Item], part: TimedPage) -> list[Item]:
    """What is not over, and below it what is. Alone it proves nothing of what has ended between the
    times at which it was queued, so all of it then stands at one."""
    ended = {row.item.run.id for row in part.rows if isinstance(row.item, Listed)}
    listed = [one for one in head if isinstance(one, Listed) and one.run.id not in ended]
    if listed and not part.rows:
        oldest = Cursor(min(one.cursor.at for one in listed), "")
        listed = [replace(one, cursor=oldest) for one in listed]
    unread = [one for one in head if isinstance(one, Problem)]
    return [*unread, *listed, *(row.item for row in part.rows)]

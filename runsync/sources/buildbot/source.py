"""Buildbot's REST API v2: builders, build requests, builds and steps.

A run is one attempt at a build request. Requests are walked, not builds: only they tell when a
run was asked for, and of runs that ended before any build began. So a queued run, the build that
it becomes and one cancelled in the queue are the same run in the same place. A build that lost
its worker is followed by another build of the same request: the second attempt, ``<request>.2``.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, RefusedError, SourceError
from runsync.http.client import checked_path
from runsync.records import Cursor, Pipeline, Problem, Run, RunWithSteps, Step
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
    basic_auth,
)
from runsync.sources.buildbot.api import ROOT, WITH_PROPERTIES, Api, Pairs, request_ids
from runsync.sources.buildbot.payloads import (
    fill_form,
    needed,
    needed_time,
    read_attempts,
    read_scheduler,
    read_source,
    read_step,
    whole,
)
from runsync.sources.buildbot.words import ENDINGS, NAMES
from runsync.sources.fields import BadRowError, Fields, describe, unique_by_id

PAGE_SIZE = 100
_LISTED_LIVE = 20
# So many pages are read again in every sync to learn of requests that were open.
_RECHECKED_PAGES = 20
_RUN_ID = re.compile(r"[0-9]{1,19}(?:\.[1-9][0-9]{0,3})?")
_ORDERS = {"creationDateDesc": "-buildrequestid", "creationDateAsc": "buildrequestid"}
_STATUSES = {
    "notstarted": [("claimed", "false")],
    "running": [("claimed", "true"), ("complete", "false")],
    "finished": [("complete", "true")],
}


class Buildbot(Source):
    """One Buildbot master, or several that share a database."""

    run_ids_are_unique = True
    # A build is marked complete after its last step, and nothing of it changes from then on.
    grace = timedelta(0)

    @cached_property
    def _api(self) -> Api:
        return Api(self.client, self.name)

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        """Buildbot has no tokens, but a proxy before it may: ``user:password``, or a bearer's."""
        if token and ":" in token:
            return basic_auth(token)
        return Source.headers(token)

    # What the engine asks.

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind != "id":
            raise self.bad_key(kind, "`id`, a builder's name")
        # A pipeline goes by its builder's name; where a number stands, the runs will tell it.
        known = () if value.isdecimal() else (Pipeline(value),)
        return Listing(f"{self.name}/builder/{value}", value, wanted.name, known)

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        builder, where = self._api.builder(listing.ref), _from(resume_point)
        lowest: int | None = None
        for page in count():
            rows, as_of = self._api.requests(builder, PAGE_SIZE, where)
            if not rows:
                if where:
                    self._prove_end(listing, builder, lowest, resume_point)
                memory["first"] = lowest
                yield Page((), as_of, at_start=True)
                return
            if lowest is not None and max(request_ids(rows)) >= lowest:
                raise SourceError(
                    f"{self.name}: the listing {listing.key} shows the same requests on page after "
                    "page; check that base_url is Buildbot's"
                )
            if not where:
                were_open = memory.pop("open", None) is not None
                if _is_quiet(rows, memory) and not were_open:
                    yield Page((), as_of, unchanged=True)
            if page < _RECHECKED_PAGES and (times := _open_since(rows)):
                memory["open"] = min(times)
            lowest = min(request_ids(rows))
            where = [("buildrequestid__lt", str(lowest))]
            # A short page is no sign of the start: Buildbot counts a request of several
            # codebases as several against the limit. So the first request is remembered.
            at_start = lowest == memory.get("first")
            builds = self._api.builds(builder, rows)
            told = self._api.told(builder, rows, builds)
            yield Page(tuple(self._items(told, builds)), as_of, at_start)
            if at_start:
                return

    def _prove_end(
        self,
        listing: Listing,
        builder: Pipeline,
        lowest: int | None,
        resume_point: ResumePoint | None,
    ) -> None:
        """An empty page below requests that were read is no end, unless the oldest request of all
        stands above it.

        Raises:
            SourceError: it does not.
        """
        rows, _ = self._api.requests(builder, 1, [], oldest_first=True)
        oldest = rows[0] if rows and isinstance(rows[0], dict) else {}
        number, at = whole(oldest, "buildrequestid"), whole(oldest, "submitted_at")
        if lowest is not None:
            is_end = number is not None and number >= lowest
        else:
            below = resume_point.cursor.at.timestamp() if resume_point else 0
            is_end = at is not None and at >= below
        if not is_end:
            raise SourceError(
                f"{self.name}: the listing {listing.key} is suddenly empty, though it showed runs "
                "before; what was read is kept: sync again"
            )

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        """Down to the oldest request that was still open: a page tells of a hundred at once."""
        return min(now, datetime.fromtimestamp(memory.get("open", now.timestamp()), UTC))

    def complete(self, run: Run) -> RunWithSteps:
        if "buildid" not in run.extra:
            return self._complete_unbuilt(run)
        path = f"/builds/{run.extra['buildid']}"
        rows: list[Any] = []
        with suppress(NotFoundError):
            rows, as_of = self._api.ask(f"{path}/steps", "steps")
        if not rows:
            # That proves nothing, unless the build is still there.
            _, as_of = self._api.ask(path, "builds")
        steps: list[Step] = []
        problems: list[Problem] = []
        for raw in rows:
            try:
                steps.append(read_step(raw, run.extra.get("workername")))
            except BadRowError as error:
                problems.append(Problem(f"run {run.id}: {error}"))
        return RunWithSteps(run, unique_by_id(steps), as_of, tuple(problems))

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self.complete(self._one(run_id, pipeline.external_id))

    # The live API.

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """An attempt, or for the number of a request its newest one."""
        return self.reread(pipeline, self._newest(run_id).id)

    def _newest(self, run_id: str) -> Run:
        """The run of that id; for a request's number, its newest attempt; ``12.1`` is the first."""
        if not _RUN_ID.fullmatch(run_id):
            raise RefusedError(f"{run_id!r} is no id of a Buildbot run; those are 12 or 12.2, say")
        number, _, attempt = run_id.partition(".")
        if attempt:
            return self._one(number if attempt == "1" else run_id)
        return self._attempts(number)[0][0]

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        for name in ("application", "branch", "commit", "source_run", "author"):
            if getattr(wanted, name) is not None:
                raise self.lacks(f"list runs by {name.replace('_', ' ')}")
        if wanted.pipeline is None:
            raise self.lacks("list the runs of all builders; name one")
        number = self._api.builder(wanted.pipeline).extra["builderid"]
        path = f"/builders/{number}/buildrequests"
        rows, _ = self._api.ask(path, "buildrequests", [*_filters(wanted), *WITH_PROPERTIES])
        # The earlier attempts at a request ended otherwise than the request.
        return [
            run
            for run in self._runs(rows)
            if wanted.status in (None, run.status) and wanted.result in (None, run.result)
        ]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        rows, _ = self._api.ask(checked_path("steps", step.id, "logs"), "logs")
        logs = self._api.each(rows, "a log", lambda log: (log.text("type"), needed(log, "logid")))
        kept = [number for kind, number in logs if kind != "d"]
        if not kept:
            why = "the master has deleted it" if logs else "it wrote none"
            raise NotFoundError(f"{self.name}: step {step.name!r} has no log: {why}")
        return "".join(self.client.get_text(f"{ROOT}/logs/{n}/raw").data for n in kept)

    def trigger(self, wanted: TriggerRequest) -> Run:
        if wanted.source_run:
            raise self.lacks("start a run from another run")
        builder = self._api.builder(wanted.pipeline)
        number = builder.extra["builderid"]
        scheduler, form = self._force_scheduler(builder)
        params = {"builderid": number} | fill_form(scheduler, form, wanted)
        result = self._api.control(checked_path("forceschedulers", scheduler), "force", params)
        try:
            request = str(result[1][str(number)])
        except (KeyError, IndexError, TypeError):
            raise SourceError(
                f"{self.name}: a run was asked for and {describe(result)} came; "
                "look before you ask again"
            ) from None
        return self._one(request)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> None:
        run = self._newest(run_id)
        self.refuse_if_over(run)
        reason = {"reason": "aborted with runsync"}
        if "buildid" in run.extra:
            self._api.control(f"/builds/{run.extra['buildid']}", "stop", reason)
        else:
            self._api.control(f"/buildrequests/{run.extra['buildrequestid']}", "cancel", reason)

    def discover(self) -> Iterator[Discovered | Problem]:
        for one in self._api.builders():
            if isinstance(one, Problem):
                yield one
            else:
                yield Discovered("id", one.external_id, one.external_id)

    def access(self) -> Access:
        _, as_of = self._api.ask("/masters", "masters", [("field", "masterid")])
        return Access(as_of)

    def _force_scheduler(self, builder: Pipeline) -> tuple[str, dict[str, Fields]]:
        """The name of a force scheduler that starts this builder, and its form's fields."""
        rows, _ = self._api.ask("/forceschedulers", "forceschedulers")
        for name, names, form in self._api.each(rows, "a force scheduler", read_scheduler):
            if builder.name in names:
                return name, form
        raise RefusedError(f"{self.name}: builder {builder.name!r} has no force scheduler")

    # Build requests, their builds, and the runs that these are.

    def _items(
        self, requests: list[Any], builds: Mapping[int | None, list[object]]
    ) -> Iterator[Listed | Problem]:
        """The runs of these requests, in their order; of a request's, the last attempt first."""
        for raw in requests:
            number = whole(raw, "buildrequestid")
            try:
                request = Fields(raw, f"build request {number}")
                builder = self._api.builder(needed(request, "builderid"))
                at = needed_time(request, "submitted_at")
                runs = read_attempts(request, builds.get(number, []), builder, self._api.web)
            except BadRowError as error:
                yield Problem(str(error))
                continue
            # The order is that of the numbers. Times grow with them, but for masters whose
            # clocks differ; by less than it takes to fill the page that each sync reads anew.
            for run in reversed(runs):
                yield Listed(Cursor(at, f"{number:012}.{run.attempt:04}"), run)

    def _runs(self, rows: list[Any]) -> list[Run]:
        """The runs of requests of which each is needed."""
        builds: dict[int | None, list[object]] = {}
        for number in request_ids(rows):
            builds[number] = self._api.builds_of(number)
        runs = []
        for item in self._items(rows, builds):
            if isinstance(item, Problem):
                raise SourceError(f"{self.name}: {item.what}")
            runs.append(item.run)
        return runs

    def _one(self, run_id: str, builder: str = "") -> Run:
        """One run, of this builder; who asks by hand may not know whose it is."""
        request = run_id.partition(".")[0]
        if not (request.isascii() and request.isdecimal()):
            raise NotFoundError(f"{self.name}: {run_id!r} is no run; runs are 12 or 12.2, say")
        runs, as_of = self._attempts(request)
        run = next((run for run in runs if run.id == run_id), None)
        if run is None:
            raise NotFoundError(f"{self.name}: build request {request} has no run {run_id}", as_of)
        known = self._api.builder(builder) if builder else run.pipeline
        if run.pipeline.external_id != known.external_id:
            raise NotFoundError(
                f"{self.name}: run {run_id} is of builder {run.pipeline.name!r}, not of "
                f"{known.name!r}: has the master a new database?",
                as_of,
            )
        return run

    def _attempts(self, request: str) -> tuple[list[Run], datetime]:
        """The runs of a request, newest first; and when, by the master's clock.

        Raises:
            NotFoundError: there is no such request.
        """
        rows, as_of = self._api.ask(f"/buildrequests/{request}", "buildrequests", WITH_PROPERTIES)
        runs = self._runs(rows)
        if not runs:
            raise NotFoundError(f"{self.name}: there is no build request {request}", as_of)
        return runs, as_of

    def _complete_unbuilt(self, run: Run) -> RunWithSteps:
        """A run without a build has no steps; what it was to build stands in its buildset."""
        number = run.extra["buildsetid"]
        if (known := self._api.buildsets.pop(number, None)) is not None:
            rows, as_of = known
        else:
            rows, as_of = self._api.ask(f"/buildsets/{number}", "buildsets")
        what = f"the buildset of run {run.id}"
        for branch, commit_hash in self._api.each(rows, what, read_source):
            run = replace(run, branch=branch, commit_hash=commit_hash)
        return RunWithSteps(run, (), as_of)


def _from(resume_point: ResumePoint | None) -> Pairs:
    """What chooses the requests from a mark down, the mark's own included."""
    if resume_point is None:
        return []
    if number := resume_point.cursor.id.partition(".")[0]:
        return [("buildrequestid__le", str(int(number)))]
    return [("submitted_at__le", str(int(resume_point.cursor.at.timestamp())))]


def _open_since(rows: list[Any]) -> list[int]:
    """When the requests of a page that are not complete were submitted, in seconds."""
    return [
        at
        for raw in rows
        if isinstance(raw, dict)
        and not raw.get("complete")
        and (at := whole(raw, "submitted_at")) is not None
    ]


def _is_quiet(rows: list[dict[str, Any]], memory: dict[str, Any]) -> bool:
    """Whether a listing's top is as it was after the last sync, with all its requests done.

    A request that is done never changes, and a new one stands at the top.
    """
    ids = request_ids(rows)
    done = all(isinstance(raw, dict) and raw.get("complete") for raw in rows)
    top = [ids[0], ids[-1], len(ids)] if done else None
    quiet = top is not None and memory.get("top") == top
    memory["top"] = top
    return quiet


def _filters(wanted: RunFilter) -> Pairs:
    """The parameters that choose among build requests."""
    order = _ORDERS.get(wanted.sort or "creationDateDesc")
    status = _STATUSES.get(wanted.status) if wanted.status else []
    results = [str(n) for n, word in NAMES.items() if ENDINGS[word].result == wanted.result]
    if order is None or status is None or (wanted.result and not results):
        asked = ", ".join(filter(None, (wanted.sort, wanted.status, wanted.result)))
        raise RefusedError(f"Buildbot cannot list runs so ({asked})")
    return [
        ("order", order),
        ("limit", str(wanted.limit or _LISTED_LIVE)),
        ("offset", str(wanted.skip or 0)),
        *status,
        *(("results", number) for number in results),
    ]

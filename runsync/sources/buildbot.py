"""Buildbot's REST API v2: builders, build requests, builds and steps.

A run is one attempt at a build request. Requests are walked, not builds: only they tell when a
run was asked for, and of runs that ended before any build began. So a queued run, the build that
it becomes and one cancelled in the queue are the same run in the same place. A build that lost
its worker is followed by another build of the same request: the second attempt, ``<request>.2``.
"""

import threading
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypeVar

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import ConfigError, NotFoundError, RefusedError, SourceError
from runsync.records import Details, Mark, Pipeline, Problem, Run, Status, Step
from runsync.sources.base import (
    Access,
    Below,
    Listed,
    Listing,
    Page,
    RunFilter,
    Source,
    TriggerRequest,
)
from runsync.sources.buildbot_payloads import (
    PROPERTIES,
    RESULTS,
    fill_form,
    needed,
    needed_time,
    read_attempts,
    read_builder,
    read_source,
    read_step,
    whole,
)
from runsync.sources.fields import BadRowError, Fields, by_id, shown
from runsync.transport import Limits, checked_path

API = "/api/v2"
PAGE_SIZE = 100
_ORDERS = {"creationDateDesc": "-buildrequestid", "creationDateAsc": "buildrequestid"}
_STATUSES = {
    "notstarted": [("claimed", "false")],
    "running": [("claimed", "true"), ("complete", "false")],
    "finished": [("complete", "true")],
}
_Pairs = list[tuple[str, str]]
_WITH_PROPERTIES: _Pairs = [("property", name) for name in PROPERTIES]
_T = TypeVar("_T")


class Buildbot(Source):
    """One Buildbot master, or several that share a database."""

    type = "buildbot"
    title = "Buildbot"
    # A build is marked complete after its last step, and nothing of it changes from then on.
    grace = timedelta(0)

    def __init__(
        self, config: SourceConfig, *, concurrency: int = 8, limits: Limits | None = None
    ) -> None:
        super().__init__(config, concurrency=concurrency, limits=limits)
        self._web = f"{config.base_url.rstrip('/')}/#"
        self._lock = threading.Lock()
        self._builders: dict[str | int, Pipeline] = {}

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        """Buildbot has no tokens, but a proxy before it may: ``user:password``, or a bearer's."""
        if token and ":" in token:
            return {"Authorization": f"Basic {b64encode(token.encode()).decode()}"}
        return Source.headers(token)

    # What the engine asks.

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind != "id":
            raise ConfigError(
                f"source {self.name!r} is a Buildbot one and has no `{kind}`; "
                "write `id`, a builder's name"
            )
        # A pipeline goes by its builder's name; where a number stands, the runs will tell it.
        known = () if value.isdecimal() else (Pipeline(value),)
        return Listing(f"{self.name}/builder/{value}", value, wanted.name, known)

    def pages(
        self, listing: Listing, below: Below | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        builder, where = self._builder(listing.ref), _from(below)
        lowest = None
        while True:
            rows, as_of = self._requests(builder, where)
            if not rows:
                memory["first"] = lowest
                yield Page((), as_of, at_start=True)
                return
            if not where and _is_quiet(rows, memory):
                yield Page((), as_of, unchanged=True)
            lowest = min(_ids(rows))
            where = [("buildrequestid__lt", str(lowest))]
            # A short page is no sign of the start: Buildbot counts a request of several
            # codebases as several against the limit. So the first request is remembered.
            at_start = lowest == memory.get("first")
            yield Page(tuple(self._items(rows)), as_of, at_start)
            if at_start:
                return

    def complete(self, run: Run) -> Details:
        if "buildid" not in run.extra:
            return self._complete_unbuilt(run)
        rows, as_of = self._ask(f"/builds/{run.extra['buildid']}/steps", "steps")
        steps: list[Step] = []
        problems: list[Problem] = []
        for raw in rows:
            try:
                steps.append(read_step(raw))
            except BadRowError as error:
                problems.append(Problem(f"run {run.id}: {error}"))
        return Details(run, by_id(steps), as_of, tuple(problems))

    def reread(self, pipeline: Pipeline, run_id: str) -> Details:
        return self.complete(self._one(run_id))

    # The live API.

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        for name in ("application", "branch", "commit", "source_run", "author"):
            if getattr(wanted, name) is not None:
                raise self.lacks(f"list runs by {name.replace('_', ' ')}")
        path = "/buildrequests"
        if wanted.pipeline:
            path = f"/builders/{_number(self._builder(wanted.pipeline))}{path}"
        rows, _ = self._ask(path, "buildrequests", _filters(wanted))
        # The earlier attempts at a request ended otherwise than the request.
        return [
            run
            for run in self._runs(rows)
            if wanted.status in (None, run.status) and wanted.result in (None, run.result)
        ]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        rows, _ = self._ask(f"/steps/{step.id}/logs", "logs")
        logs = self._each(rows, "a log", lambda log: (log.text("type"), needed(log, "logid")))
        kept = [number for kind, number in logs if kind != "d"]
        if not kept:
            why = "the master has deleted it" if logs else "it wrote none"
            raise NotFoundError(f"{self.name}: step {step.name!r} has no log: {why}")
        return "".join(self.client.get_text(f"{API}/logs/{n}/raw").data for n in kept)

    def trigger(self, wanted: TriggerRequest) -> Run:
        if wanted.source_run:
            raise self.lacks("start a run from another run")
        builder = self._builder(wanted.pipeline)
        scheduler, form = self._force_scheduler(builder)
        params = {"builderid": _number(builder)} | fill_form(scheduler, form, wanted)
        result = self._control(checked_path("forceschedulers", scheduler), "force", params)
        try:
            request = str(result[1][str(_number(builder))])
        except (KeyError, IndexError, TypeError):
            raise SourceError(
                f"{self.name}: a run was asked for and {shown(result)} came; "
                "look before you ask again"
            ) from None
        return self._one(request)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> None:
        run = self._one(run_id)
        if run.status is Status.FINISHED:
            raise RefusedError(f"{self.name}: run {run_id} is over; nothing is left to abort")
        reason = {"reason": "aborted with runsync"}
        if "buildid" in run.extra:
            self._control(f"/builds/{run.extra['buildid']}", "stop", reason)
        else:
            self._control(f"/buildrequests/{run.extra['buildrequestid']}", "cancel", reason)

    def access(self) -> Access:
        _, as_of = self._ask("/masters", "masters", [("field", "masterid")])
        return Access(None, None, (), None, None, as_of)

    # Asking.

    def _ask(self, path: str, key: str, params: _Pairs | None = None) -> tuple[list[Any], datetime]:
        """The list under ``key`` of an answer, and the master's clock."""
        answer = self.client.get(f"{API}{path}", params)
        rows = answer.data.get(key) if isinstance(answer.data, dict) else None
        if not isinstance(rows, list):
            raise SourceError(
                f"{self.name}: {path} has no list of {key}; check that base_url is Buildbot's"
            )
        return rows, answer.as_of

    def _each(self, rows: Iterable[object], what: str, read: Callable[[Fields], _T]) -> list[_T]:
        """Reads rows of which each is needed."""
        try:
            return [read(Fields(raw, what)) for raw in rows]
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}") from error

    def _control(self, path: str, method: str, params: dict[str, Any]) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        data = self.client.send("POST", f"{API}{path}", body=body).data
        return data.get("result") if isinstance(data, dict) else None

    # Builders.

    def _builder(self, ref: str | int) -> Pipeline:
        """The builder of that name, or else of that number.

        All are asked for at once, so one request serves all pipelines; and again where one is
        missing, since it may be new.
        """
        for again in (False, True):
            with self._lock:
                if again or not self._builders:
                    self._builders = self._all_builders()
                known = self._builders
            if ref in known:
                return known[ref]
        close = get_close_matches(str(ref), [key for key in known if isinstance(key, str)], n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`id` is a builder's exact name"
        raise NotFoundError(f"{self.name}: there is no builder {ref!r}; {hint}")

    def _all_builders(self) -> dict[str | int, Pipeline]:
        """All builders, by number, by number as text, and by name, which goes before that."""
        asked = [("field", name) for name in ("builderid", "name", "tags")]
        rows, _ = self._ask("/builders", "builders", asked)
        found = self._each(rows, "a builder", lambda fields: read_builder(fields, self._web))
        by_number: dict[str | int, Pipeline] = {_number(builder): builder for builder in found}
        by_text = {str(number): builder for number, builder in by_number.items()}
        return by_number | by_text | {builder.external_id: builder for builder in found}

    def _force_scheduler(self, builder: Pipeline) -> tuple[str, list[Fields]]:
        """The name of a force scheduler that starts this builder, and the fields of its form."""
        rows, _ = self._ask("/forceschedulers", "forceschedulers")
        read = self._each(
            rows,
            "a force scheduler",
            lambda found: (found, found.needed_text("name"), list(found.objects("all_fields"))),
        )
        for found, name, form in read:
            if found.raw.get("enabled") and builder.name in found.raw.get("builder_names", ()):
                return name, form
        raise RefusedError(f"{self.name}: builder {builder.name!r} has no force scheduler")

    # Build requests, their builds, and the runs that these are.

    def _requests(self, builder: Pipeline, where: _Pairs) -> tuple[list[Any], datetime]:
        """The newest build requests of those chosen, newest first, as they were answered."""
        path = f"/builders/{_number(builder)}/buildrequests"
        page = [("order", "-buildrequestid"), ("limit", str(PAGE_SIZE))]
        rows, as_of = self._ask(path, "buildrequests", [*where, *page, *_WITH_PROPERTIES])
        if rows and not _ids(rows):
            raise SourceError(f"{self.name}: {path} holds no request that has an id")
        return rows, as_of

    def _builds(self, requests: Iterable[int]) -> dict[int | None, list[object]]:
        """The builds of these requests, by the request, oldest first."""
        asked = [("buildrequestid__in", str(number)) for number in requests]
        rows, _ = self._ask("/builds", "builds", [*asked, ("order", "number"), *_WITH_PROPERTIES])
        builds: dict[int | None, list[object]] = defaultdict(list)
        for raw in rows:
            builds[whole(raw, "buildrequestid")].append(raw)
        return builds

    def _items(self, rows: list[object]) -> Iterator[Listed | Problem]:
        """The runs of these requests, in their order; of a request's, the last attempt first."""
        builds = self._builds(_ids(rows))
        for raw in rows:
            number = whole(raw, "buildrequestid")
            try:
                request = Fields(raw, f"build request {number}")
                builder = self._builder(needed(request, "builderid"))
                at = needed_time(request, "submitted_at")
                runs = read_attempts(request, builds[number], builder, self._web)
            except BadRowError as error:
                yield Problem(str(error))
                continue
            # The order is that of the numbers. Times grow with them, but for masters whose
            # clocks differ; by less than it takes to fill the page that each sync reads anew.
            for run in reversed(runs):
                yield Listed(Mark(at, f"{number:012}.{run.attempt:04}"), run)

    def _runs(self, rows: list[object]) -> list[Run]:
        """The runs of requests of which each is needed."""
        runs = []
        for item in self._items(rows):
            if isinstance(item, Problem):
                raise SourceError(f"{self.name}: {item.what}")
            runs.append(item.run)
        return runs

    def _one(self, run_id: str) -> Run:
        request = run_id.partition(".")[0]
        if not request.isdecimal():
            raise NotFoundError(f"{self.name}: {run_id!r} is no run; runs are 12 or 12.2, say")
        rows, _ = self._ask(f"/buildrequests/{request}", "buildrequests", _WITH_PROPERTIES)
        for run in self._runs(rows):
            if run.id == run_id:
                return run
        raise NotFoundError(f"{self.name}: build request {request} has no run {run_id}")

    def _complete_unbuilt(self, run: Run) -> Details:
        """A run without a build has no steps; what it was to build stands in its buildset."""
        try:
            rows, as_of = self._ask(f"/buildsets/{run.extra['buildsetid']}", "buildsets")
        except NotFoundError:
            return Details(run, (), datetime.now(UTC))
        for branch, commit_hash in self._each(rows, f"the buildset of run {run.id}", read_source):
            run = replace(run, branch=branch, commit_hash=commit_hash)
        return Details(run, (), as_of)


def _number(builder: Pipeline) -> int:
    number: int = builder.extra["builderid"]
    return number


def _from(below: Below | None) -> _Pairs:
    """What chooses the requests from a mark down, the mark's own included."""
    if below is None:
        return []
    if number := below.mark.id.partition(".")[0]:
        return [("buildrequestid__le", str(int(number)))]
    return [("submitted_at__le", str(int(below.mark.at.timestamp())))]


def _ids(rows: Iterable[object]) -> list[int]:
    return [number for raw in rows if (number := whole(raw, "buildrequestid")) is not None]


def _is_quiet(rows: list[dict[str, Any]], memory: dict[str, Any]) -> bool:
    """Whether a listing's top is as it was after the last sync, with all its requests done.

    A request that is done never changes, and a new one stands at the top.
    """
    ids = _ids(rows)
    done = all(isinstance(raw, dict) and raw.get("complete") for raw in rows)
    top = [ids[0], ids[-1], len(ids)] if done else None
    quiet = top is not None and memory.get("top") == top
    memory["top"] = top
    return quiet


def _filters(wanted: RunFilter) -> _Pairs:
    """The parameters that choose among build requests."""
    order = _ORDERS.get(wanted.sort or "creationDateDesc")
    status = _STATUSES.get(wanted.status) if wanted.status else []
    results = [str(number) for number, (_, ours) in RESULTS.items() if ours == wanted.result]
    if order is None or status is None or (wanted.result and not results):
        asked = ", ".join(filter(None, (wanted.sort, wanted.status, wanted.result)))
        raise RefusedError(f"Buildbot cannot list runs so ({asked})")
    return [
        ("order", order),
        ("limit", str(wanted.limit or PAGE_SIZE)),
        ("offset", str(wanted.skip or 0)),
        *status,
        *(("results", number) for number in results),
        *_WITH_PROPERTIES,
    ]

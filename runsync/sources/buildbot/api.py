"""The questions that Buildbot's REST API v2 is asked, so that few requests do.

Answers stay as they came, but for builders: those are read, and remembered.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

from runsync.errors import NotFoundError, SourceError
from runsync.http.client import Client
from runsync.records import Pipeline, Problem
from runsync.sources.buildbot.payloads import PROPERTIES, read_builder, waits, whole
from runsync.sources.fields import BadRowError, Fields, or_problem

ROOT = "/api/v2"
_MOST_BUILDSETS = 500
Pairs = list[tuple[str, str]]
WITH_PROPERTIES: Pairs = [("property", name) for name in PROPERTIES]
_T = TypeVar("_T")


class Api:
    """One master's API. ``name`` is what the user calls the source, for errors.

    Each method raises SourceError where the master cannot be read.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client, self.name = client, name
        self.web = f"{client.base_url}/#"
        """The address of Buildbot's web pages."""
        self._lock = threading.Lock()
        self._builders: dict[str | int, Pipeline] = {}
        self._unread: list[Problem] = []
        self.buildsets: dict[int, tuple[list[Any], datetime]] = {}
        """What waiting requests are to build, by its number, until it is taken from here."""

    def ask(self, path: str, key: str, params: Pairs | None = None) -> tuple[list[Any], datetime]:
        """The list under ``key`` of an answer, and the master's clock. Where no limit is asked for,
        the master's count of its rows says whether it is whole."""
        answer = self.client.get(f"{ROOT}{path}", params)
        data = answer.data if isinstance(answer.data, dict) else {}
        rows, total = data.get(key), whole(data.get("meta"), "total")
        if not isinstance(rows, list):
            raise SourceError(
                f"{self.name}: {path} has no list of {key}; check that base_url is Buildbot's"
            )
        if total and len(rows) < total and "limit" not in dict(params or ()):
            what = f"{self.name}: {path}: {len(rows)} rows came where {total} are due"
            raise SourceError(f"{what}; sync again")
        return rows, answer.as_of

    def each(self, rows: Iterable[object], what: str, read: Callable[[Fields], _T]) -> list[_T]:
        """Reads rows of which each is needed."""
        try:
            return [read(Fields(raw, what)) for raw in rows]
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}") from error

    def control(self, path: str, method: str, params: dict[str, Any]) -> Any:
        """Gives an order, once; what the master says to it."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        data = self.client.send("POST", f"{ROOT}{path}", body=body).data
        return data.get("result") if isinstance(data, dict) else None

    def builder(self, ref: str | int) -> Pipeline:
        """The builder of that name, or else of that number.

        All are asked for at once, so one request serves all pipelines; and again where one is
        missing, since it may be new.

        Raises:
            NotFoundError: there is none.
            SourceError: nor is it among the builders that can be read.
        """
        for again in (False, True):
            with self._lock:
                if again or not self._builders:
                    self._builders, self._unread = self._ask_builders()
                known, unread = self._builders, self._unread
            if ref in known:
                return known[ref]
        if unread:
            what = f"builder {ref!r} is none of those that can be read"
            raise SourceError(f"{self.name}: {what}; the last of the others: {unread[-1].what}")
        close = get_close_matches(str(ref), [key for key in known if isinstance(key, str)], n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`id` is a builder's exact name"
        raise NotFoundError(f"{self.name}: there is no builder {ref!r}; {hint}")

    def builders(self) -> list[Pipeline | Problem]:
        """All builders, by name, below what is wrong with those that cannot be read."""
        known, unread = self._ask_builders()
        found = {one.external_id: one for one in known.values()}
        return [*unread, *(found[name] for name in sorted(found))]

    def _ask_builders(self) -> tuple[dict[str | int, Pipeline], list[Problem]]:
        """All builders, by number, by number as text, and by name, which goes before that; and what
        is wrong with those that cannot be read."""
        asked = [("field", name) for name in ("builderid", "name", "tags")]
        rows, _ = self.ask("/builders", "builders", asked)
        read = [or_problem(partial(read_builder, raw, self.web)) for raw in rows]
        found = [one for one in read if isinstance(one, Pipeline)]
        by_number: dict[str | int, Pipeline] = {b.extra["builderid"]: b for b in found}
        by_text = {str(number): builder for number, builder in by_number.items()}
        by_name = {builder.external_id: builder for builder in found}
        return by_number | by_text | by_name, [one for one in read if isinstance(one, Problem)]

    def requests(
        self, builder: Pipeline, limit: int, where: Pairs, *, oldest_first: bool = False
    ) -> tuple[list[Any], datetime]:
        """The newest build requests of those chosen, newest first, and the master's clock."""
        path = f"/builders/{builder.extra['builderid']}/buildrequests"
        order = "buildrequestid" if oldest_first else "-buildrequestid"
        page = [("order", order), ("limit", str(limit))]
        rows, as_of = self.ask(path, "buildrequests", [*where, *page])
        if rows and not request_ids(rows):
            raise SourceError(f"{self.name}: {path} holds no request that has an id")
        return rows, as_of

    def builds(self, builder: Pipeline, requests: list[Any]) -> dict[int | None, list[object]]:
        """The builds of a page of requests, by the request's number, oldest first."""
        path = f"/builders/{builder.extra['builderid']}/builds"
        asked = [*_span(request_ids(requests)), ("order", "number"), *WITH_PROPERTIES]
        builds: dict[int | None, list[object]] = defaultdict(list)
        for raw in self.ask(path, "builds", asked)[0]:
            builds[whole(raw, "buildrequestid")].append(raw)
        return builds

    def builds_of(self, request: int) -> list[object]:
        """The builds of one request, oldest first."""
        asked = [("order", "number"), *WITH_PROPERTIES]
        return self.ask(f"/buildrequests/{request}/builds", "builds", asked)[0]

    def told(
        self, builder: Pipeline, requests: list[Any], builds: dict[int | None, list[object]]
    ) -> list[Any]:
        """A page of requests; those that wait for a build, or never got it, with their properties.

        These cost the master a query each, and a build's own tell more.
        """
        waiting = [number for number in request_ids(requests) if waits(builds[number])]
        if not waiting:
            return requests
        self._ask_buildsets(raw for raw in requests if whole(raw, "buildrequestid") in waiting)
        path = f"/builders/{builder.extra['builderid']}/buildrequests"
        rows, _ = self.ask(path, "buildrequests", [*_span(waiting), *WITH_PROPERTIES])
        found = {whole(raw, "buildrequestid"): raw for raw in rows if isinstance(raw, dict)}
        return [
            # Only the properties: the rest is younger than what is known of the builds.
            raw | {"properties": found[number].get("properties")}
            if (number := whole(raw, "buildrequestid")) is not None and number in found
            else raw
            for raw in requests
        ]

    def _ask_buildsets(self, requests: Iterable[object]) -> None:
        """Asks at once for what queued requests are to build, unless many others lie between."""
        queued = [raw for raw in requests if isinstance(raw, dict) and not raw.get("complete")]
        numbers = [n for raw in queued if (n := whole(raw, "buildsetid")) is not None]
        if len(numbers) < 2 or max(numbers) - min(numbers) > _MOST_BUILDSETS:
            return
        span = [("buildsetid__ge", str(min(numbers))), ("buildsetid__le", str(max(numbers)))]
        rows, as_of = self.ask("/buildsets", "buildsets", span)
        for raw in rows:
            number = whole(raw, "bsid")
            if number in numbers:
                self.buildsets[number] = ([raw], as_of)


def request_ids(rows: Iterable[object]) -> list[int]:
    """The numbers of build requests, but for rows that have none."""
    return [number for raw in rows if (number := whole(raw, "buildrequestid")) is not None]


def _span(requests: list[int]) -> Pairs:
    """What chooses all requests from the first to the last of these: an old master knows no
    filter for a set of numbers, and takes no notice of one."""
    return [
        ("buildrequestid__ge", str(min(requests))),
        ("buildrequestid__le", str(max(requests))),
    ]

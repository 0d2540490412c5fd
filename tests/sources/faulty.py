"""A server in front of a simulated service: it passes requests on, and spoils some answers.

The faults are those of Wercker's simulator. Where they change rows, they find them in an envelope
as well (GitHub's ``workflow_runs``), and what is wrong or foreign is so in the service's own words.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from sqlalchemy import select

from runsync.http.client import Limits
from runsync.simulator.http.fault_types import FAULT_TYPES, FaultContext, fault_type_named
from runsync.simulator.http.server import Simulator
from runsync.simulator.http.wire import Request, Response
from runsync.simulator.world.world import World
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow

QUICK = Limits(
    connect=1,
    read=0.3,
    whole=0.5,
    tries=2,
    first_pause=0.01,
    longest_pause=0.02,
    longest_wait=0.5,
)
MOST_SECONDS = 30
PATIENT = replace(QUICK, read=10, whole=20, tries=3)
STATUSES = "400 401 403 404 410 418 422 429 500 503".split()
KINDS = [*FAULT_TYPES, *STATUSES]
SECONDS = {"429": 0.0, "503": 0.0, "429-date": 0.0, "slow": 1.0, "slow-headers": 1.0, "drip": 1.0}
ENDPOINTS = ("listing", "steps", "run")
PLACES = ("first", "middle", "last")
ROW_KINDS = set("null-entries duplicates shuffled short-page empty-page".split())
OWN_HEADERS = {"date", "content-type", "content-length", "connection", "server"}
_ENVELOPES = ("workflow_runs", "jobs", "items", "value", "records", "allBuilds", "stages")
Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A fault at one request of an endpoint; one in the middle lasts."""

    kind: str
    endpoint: str
    place: str

    @property
    def lasting(self) -> bool:
        return self.place == "middle"

    def __str__(self) -> str:
        return f"{self.kind}-{self.endpoint}-{self.place}"

    def after(self, requests: Mapping[str, int]) -> int:
        """How many requests of the endpoint are spared."""
        number = requests[self.endpoint]
        return {"first": 0, "middle": number // 2, "last": number - 1}[self.place]


def cases() -> Iterator[Case]:
    for kind in KINDS:
        for endpoint in ENDPOINTS:
            for place in PLACES:
                yield Case(kind, endpoint, place)


@dataclass
class Rule:
    """What goes wrong: of the endpoint's requests the one after ``after``, or all from then on."""

    kind: str
    endpoint: str
    after: int
    lasting: bool
    seen: int = 0
    hits: int = 0

    def applies(self, endpoint: str | None) -> bool:
        if endpoint != self.endpoint:
            return False
        self.seen += 1
        due = self.seen > self.after and (self.lasting or self.hits == 0)
        self.hits += due
        return due


def sync_through(
    front: FaultyServer,
    case: Case,
    requests: Mapping[str, int],
    sync_once: Callable[[], str],
    most_seconds: float = MOST_SECONDS,
) -> str:
    """How a sync ends that meets the fault: in time, and in one of three ways.

    Args:
        requests: how many a sync without faults sends to each endpoint.
    """
    front.rule = rule = Rule(case.kind, case.endpoint, case.after(requests), case.lasting)
    began = time.monotonic()
    outcome = sync_once()
    assert time.monotonic() - began < most_seconds
    assert rule.hits > 0 or outcome != "ok"  # on a busy machine another request is too slow
    assert outcome in ("ok", "partial", "failed")
    front.rule = None
    return outcome


def assert_held_where_covered(
    database: Database, places: Iterable[tuple[str | None, datetime]], held: Container[str]
) -> None:
    """Args:
    places: each run's id, and where in its listing it stands.
    """
    with database.read() as connection:
        intervals = connection.execute(select(CoverageRow.__table__)).mappings().all()
    runs = list(places)
    for interval in intervals:
        for run_id, at in runs:
            older = at < interval["oldest_created_at"]
            newer = at > interval["newest_created_at"]
            if not newer and (not older or interval["reaches_start"]):
                assert run_id in held


class FaultyServer(Simulator):
    """Passes all requests on to ``upstream``; ``rule`` says which answers are spoiled.

    Args:
        endpoints: a pattern of paths for each of ENDPOINTS.
        foreign: a row of the endpoint as it would be if it belonged to somebody else.
    """

    rule: Rule | None = None

    def __init__(
        self,
        upstream: str,
        now: Callable[[], datetime],
        endpoints: Mapping[str, str],
        foreign: Callable[[str, Json], Json],
    ) -> None:
        super().__init__(cast(World, _Clock(now)))
        self._upstream = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=10)
        self._endpoints, self._foreign = endpoints, foreign

    def stop(self) -> None:
        super().stop()
        self._upstream.close()

    def _answer(self, request: Request) -> Response:
        found = (name for name, path in self._endpoints.items() if re.search(path, request.path))
        endpoint = next(found, None)
        rule = self.rule
        if rule is None or endpoint is None or not rule.applies(endpoint):
            return self._pass_on(request)
        return self._spoiled(rule, request)

    def _pass_on(self, request: Request) -> Response:
        target = quote(request.path) + (f"?{urlencode(request.query)}" if request.query else "")
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "accept-encoding")}
        self._upstream.request(request.method, target, request.body or None, headers)
        answer = self._upstream.getresponse()
        body = answer.read()
        kept = tuple((k, v) for k, v in answer.getheaders() if k.lower() not in OWN_HEADERS)
        return Response(answer.status, body, headers=kept)

    def _spoiled(self, rule: Rule, request: Request) -> Response:
        seconds = SECONDS.get(rule.kind)

        def honest() -> Response:
            return self._pass_on(request)

        if rule.kind in ROW_KINDS:
            return self._with_rows(rule, request, honest())
        if rule.kind == "foreign":
            return _changed(honest(), lambda rows: self._with_foreign(rule.endpoint, rows))
        if rule.kind == "number-for-string":
            return _changed(honest(), _wrongly_typed)
        kind = fault_type_named(rule.kind)
        assert kind is not None
        return kind(FaultContext(request, self.world, honest, seconds, hit=rule.hits))

    def _with_rows(self, rule: Rule, request: Request, answer: Response) -> Response:
        def change(rows: list[Any]) -> list[Any]:
            bare = replace(answer, body=json.dumps(rows).encode())
            context = FaultContext(request, self.world, lambda: bare, hit=rule.hits)
            changed: list[Any] = json.loads(FAULT_TYPES[rule.kind](context).body)
            return changed

        return _changed(answer, change)

    def _with_foreign(self, endpoint: str, rows: list[Any]) -> list[Any]:
        return [*rows[:1], *(self._foreign(endpoint, row) for row in rows[:1]), *rows[1:]]


class _Clock:
    """All that a fault asks of a world."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)


def _changed(answer: Response, change: Callable[[list[Any]], list[Any]]) -> Response:
    """The answer with its rows changed, or the one that it is; errors pass as they are."""
    if answer.status != 200:
        return answer
    data = json.loads(answer.body)
    if not data:
        return answer
    key = next((k for k in _ENVELOPES if isinstance(data, dict) and k in data), None)
    if key:
        data = {**data, key: change(data[key])}
    elif isinstance(data, list):
        data = change(data)
    else:
        data = (change([data]) or [{}])[-1]
    return replace(answer, body=json.dumps(data).encode())


def _wrongly_typed(rows: list[Any]) -> list[Any]:
    """A text as the id, a number as the creation time."""
    wrong = {"id": "x42", "created_at": 1467633084851, "number": "x42"}
    return [{**row, **wrong} for row in rows[:1]] + rows[1:]

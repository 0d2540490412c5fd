"""A service over a real socket that answers what a test scripts, and clients of it."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runsync.http.client import Client, Limits
from runsync.simulator import Clock, Request, Simulator, World
from runsync.simulator.http.wire import Response, nothing

TOKEN = "s3cret-token"
QUICK = Limits(
    connect=1,
    read=2,
    whole=4,
    tries=4,
    first_pause=0.01,
    longest_pause=0.05,
    first_limit_pause=0.05,
    longest_wait=3,
)

Answer = Response | Callable[[Request], Response]


class Service(Simulator):
    """The simulator's server with scripted answers; when there are no more, ``usual``."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(World(clock))
        self.usual: Answer = answer({"fine": True})
        self.script: deque[Answer] = deque()
        self.seen: list[Request] = []
        self.times: list[float] = []

    def _answer(self, request: Request) -> Response:
        self.seen.append(request)
        self.times.append(time.monotonic())
        scripted = self.script.popleft() if self.script else self.usual
        return scripted if isinstance(scripted, Response) else scripted(request)


def answer(data: Any = None, status: int = 200, **headers: str) -> Response:
    """An answer with a JSON body; header names are written with ``_`` for ``-``."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, json.dumps(data).encode(), headers=named)


def moved(location: str, status: int = 302) -> Response:
    return Response(status, headers=(("Location", location),))


def late(seconds: float) -> Response:
    """A good answer that comes after so many seconds."""
    return Response(body=b"{}", pieces=lambda head, body: iter([(seconds, head + body)]))


RESET = Response(pieces=nothing, ending="reset")
SILENCE = Response(pieces=nothing, ending="hang")


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as started:
        yield started


@pytest.fixture
def other() -> Iterator[Service]:
    """A service on another port: another origin."""
    with Service() as started:
        yield started


MakeClient = Callable[..., Client]


@pytest.fixture
def make_client(service: Service) -> Iterator[MakeClient]:
    """Makes clients of the service, or of the ``base_url`` that is given."""
    made: list[Client] = []

    def make(base_url: str | None = None, **options: Any) -> Client:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Own": "mine"}
        settings: dict[str, Any] = {"headers": headers, "name": "ci", "limits": QUICK} | options
        made.append(Client(base_url or service.url, **settings))
        return made[-1]

    yield make
    for client in made:
        client.cancel()
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


def ask_all(client: Client, number: int) -> "list[Asker]":
    """So many threads that ask, all under way."""
    askers = [Asker(client, f"/{n}") for n in range(number)]
    for one in askers:
        one.start()
    return askers


class Asker(threading.Thread):
    """Asks in a thread; ``result`` is what came, or the error."""

    def __init__(self, client: Client, path: str) -> None:
        super().__init__(daemon=True)
        self.client, self.path = client, path
        self.result: object = None
        self.seconds = 0.0

    def run(self) -> None:
        began = time.monotonic()
        try:
            self.result = self.client.get(self.path)
        except Exception as error:  # noqa: BLE001
            self.result = error
        self.seconds = time.monotonic() - began

"""A world with one pipeline and a clock that stands still, and a client that hides nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from runsync.simulator import Clock, Simulator, World

NOW = datetime(2024, 5, 15, 14, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One keep-alive connection to a simulator."""

    def __init__(self, url: str, timeout: float = 5) -> None:
        where = urlsplit(url)
        assert where.hostname is not None
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        self.connection.request(method, path, body, headers or {})
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def get(self, path: str, **query: object) -> Answer:
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def runs(self, **query: object) -> Answer:
        return self.get("/api/v3/runs", **query)

    def post(self, body: object, path: str = "/api/v3/runs/") -> Answer:
        headers = {"Content-Type": "application/json"}
        return self.ask("POST", path, json.dumps(body).encode(), headers)


@pytest.fixture
def world() -> World:
    world = World(Clock(NOW))
    world.add_pipeline()
    return world


@pytest.fixture
def pipeline(world: World) -> str:
    return world.pipelines[0].id


@pytest.fixture
def sim(world: World) -> Iterator[Simulator]:
    with Simulator(world) as sim:
        yield sim


@pytest.fixture(scope="session")
def at() -> Iterator[Callable[[str], Client]]:
    """Makes clients of a URL; closes them in the end."""
    clients: list[Client] = []

    def connect(url: str) -> Client:
        clients.append(Client(url))
        return clients[-1]

    yield connect
    for client in clients:
        client.connection.close()


@pytest.fixture(scope="session")
def make_client(at: Callable[[str], Client]) -> Callable[[Simulator], Client]:
    """Makes clients of a simulator."""
    return lambda sim: at(sim.url)


@pytest.fixture
def client(sim: Simulator, at: Callable[[str], Client]) -> Client:
    return at(sim.url)

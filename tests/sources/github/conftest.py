"""A simulated GitHub on a loopback port, and the source that reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runsync.sources.github.source import GitHub
from tests.sources.github.rig import TOKEN_ENV, github_at, renewed
from tests.sources.github.server import TOKEN, Server, Service
from tests.sources.github.world import World


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    started = Server(Service(World()))
    yield started
    started.stop()


@pytest.fixture
def service(server: Server) -> Service:
    """A fresh one at the same address; its world is empty but for one workflow."""
    return renewed(server, World())


@pytest.fixture
def world(service: Service) -> World:
    return service.world


@pytest.fixture
def github(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    made = github_at(service.base)
    yield made
    made.close()

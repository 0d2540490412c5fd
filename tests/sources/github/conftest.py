"""A simulated GitHub on a loopback port, and the source that reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from github_rig import TOKEN_ENV, github_at, renewed
from github_server import TOKEN, Server, Service
from github_world import World

from runsync.sources.github import GitHub


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

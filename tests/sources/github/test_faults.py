"""Every fault of the simulator in front of GitHub's, at the first, a middle and the last request.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
one quiet sync the database holds what the service holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from runsync.config import SourceConfig
from runsync.http.client import Limits
from runsync.sources.github.source import GitHub
from runsync.storage.database import Database
from tests.sources.faulty import (
    ENDPOINTS,
    PATIENT,
    QUICK,
    Case,
    FaultyServer,
    Json,
    assert_held_where_covered,
    cases,
    sync_through,
)
from tests.sources.github.rig import TOKEN_ENV, renewed
from tests.sources.github.server import TOKEN, Server
from tests.sources.github.truth import run_sync, stored, truth
from tests.sources.github.world import NOW, SECOND, World

PATHS = {
    "listing": r"/runs$",
    "steps": r"/jobs$",
    "run": r"/runs/\d+/attempts/\d+$",
}
RUNS, RERUNS = 7, 2
REQUESTS = {"listing": 3, "steps": RUNS + RERUNS, "run": RERUNS}
SOME = "empty-page foreign number-for-string".split()


@pytest.fixture
def faulty(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FaultyServer, World]]:
    """A history of three pages, of which some runs were run again, behind a server with faults."""
    world = World(page=3, cap=30)
    for n in range(RUNS):
        run = world.add_run(NOW - timedelta(days=5) + n * 90 * SECOND, "failure")
        if n % 4 == 1:
            world.rerun(run, NOW - timedelta(days=3) + n * SECOND)
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    monkeypatch.setattr(GitHub, "most_listed", world.cap)
    monkeypatch.setattr(GitHub, "page_size", world.page)
    service = renewed(server, world)
    with FaultyServer(service.base, lambda: world.now, PATHS, foreign) as front:
        service.base = front.url
        yield front, world


def foreign(endpoint: str, row: Json) -> Json:
    """A run of another workflow and repository, or a job of another run."""
    if endpoint == "steps":
        return {**row, "id": 77, "run_id": 78}
    repository = {**row["repository"], "id": 5, "full_name": "octo-org/other"}
    return {**row, "id": 77, "workflow_id": 79, "repository": repository}


@pytest.mark.parametrize(
    "case",
    [Case(kind, endpoint, "first") for kind in SOME for endpoint in ENDPOINTS],
    ids=str,
)
def test_some_faults(faulty: tuple[FaultyServer, World], sqlite: Database, case: Case) -> None:
    play(*faulty, sqlite, case)


@pytest.mark.proof
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_all_faults(faulty: tuple[FaultyServer, World], sqlite: Database, case: Case) -> None:
    play(*faulty, sqlite, case)


def play(front: FaultyServer, world: World, database: Database, case: Case) -> None:
    """Syncs with the fault, then without one."""
    outcome = sync_through(front, case, REQUESTS, lambda: sync_once(front, database, QUICK))
    assert_nothing_wrong_is_claimed(database, world)
    if outcome == "ok":
        assert stored(database) == truth(world)
    world.now += timedelta(hours=1)
    assert sync_once(front, database, PATIENT) == "ok"
    assert_nothing_wrong_is_claimed(database, world)
    assert not any(at for (at,) in stored(database, "vanished_at").values())
    assert stored(database) == truth(world)


def sync_once(front: FaultyServer, database: Database, limits: Limits) -> str:
    config = SourceConfig("gh", "github", front.url, token_env=TOKEN_ENV)
    source = GitHub(config, concurrency=4, limits=limits)
    try:
        return run_sync(database, source).outcome
    finally:
        source.close()


def assert_nothing_wrong_is_claimed(database: Database, world: World) -> None:
    known, held = truth(world), stored(database)
    assert held.keys() <= known.keys()
    settled = stored(database, "settled")
    for run_id, row in held.items():
        if settled[run_id] == (True,):
            assert row == known[run_id]
    places = ((str(run.id), run.created) for run in world.runs.values())
    assert_held_where_covered(database, places, held)

"""Every fault of the simulator before Buildkite's, at the first, a middle and the last request.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
one quiet sync the database holds what the service holds. In half of the cases the fault hits a
first sync, in the others one that looks for what has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.buildkite.source import Buildkite
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.sync.engine import Options, Task, sync
from tests.sources.buildkite.simulator import BuildkiteSimulator
from tests.sources.buildkite.truth import stored, truth
from tests.sources.buildkite.world import World
from tests.sources.faulty import (
    KINDS,
    PATIENT,
    PLACES,
    QUICK,
    Case,
    FaultyServer,
    Json,
    assert_held_where_covered,
    sync_through,
)

PATHS = {"listing": r"/builds$", "run": r"/builds/\d+$"}
REQUESTS = {"listing": 5, "run": 1}
SOME = "empty-page foreign number-for-string short-page null-entries html 429".split()


@pytest.fixture
def front(
    simulator: BuildkiteSimulator, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyServer]:
    """A history of four pages behind a server with faults."""
    monkeypatch.setattr(Buildkite, "page_size", 3)
    monkeypatch.setenv("BUILDKITE_TEST_TOKEN", simulator.token)
    world.history(8)
    world.pass_time(hours=2)
    with FaultyServer(simulator.url, lambda: world.now, PATHS, foreign) as front:
        yield front


def foreign(endpoint: str, row: Json) -> Json:
    """A build of another pipeline."""
    return {**row, "number": 77, "pipeline": {**row["pipeline"], "slug": "other"}}


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("kind", SOME)
def test_some_faults(
    front: FaultyServer, world: World, sqlite: Database, kind: str, later: bool
) -> None:
    play(front, world, sqlite, Case(kind, "listing", "first"), later=later)


def test_a_sync_that_leaves_a_gap_forgets_no_change_below_it(
    front: FaultyServer, world: World, sqlite: Database
) -> None:
    play(front, world, sqlite, Case("empty-page", "listing", "middle"), later=True)


@pytest.mark.proof
@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_all_faults(
    front: FaultyServer, world: World, sqlite: Database, kind: str, place: str, later: bool
) -> None:
    play(front, world, sqlite, Case(kind, "listing", place), later=later)


def play(front: FaultyServer, world: World, database: Database, case: Case, *, later: bool) -> None:
    """Syncs with the fault, then without one."""
    requests = dict(REQUESTS)
    if later:
        assert sync_once(front, database, PATIENT) == "ok"
        world.pass_time(days=20)
        old = world.builds[1]
        world.retry(old, next(j for j in old.jobs if j.state == "failed" and not j.retried_in))
        while old.state == "running":
            world.pass_time(minutes=2)
            world.end(old)
        world.history(2)
        world.pass_time(hours=2)
        requests["listing"] = 4
    sync_through(front, case, requests, lambda: sync_once(front, database, QUICK))
    assert_nothing_wrong_is_claimed(database, world, stale=later)
    world.pass_time(hours=1)
    assert sync_once(front, database, PATIENT) == "ok"
    assert_nothing_wrong_is_claimed(database, world)
    assert not any(row["vanished_at"] for row in runs(database))
    assert held(database) == told(world)


def sync_once(front: FaultyServer, database: Database, limits: Limits) -> str:
    config = SourceConfig("hub", "buildkite", front.url, token_env="BUILDKITE_TEST_TOKEN")
    source = Buildkite(config, concurrency=4, limits=limits)
    try:
        listing = source.listing(PipelineConfig("hub", id="acme-inc/web"))
        (outcome,) = sync(database, [Task(source, listing)], Options(concurrency=4))
        return outcome.outcome
    finally:
        source.close()


def runs(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(RunRow.__table__)).mappings())


def held(database: Database) -> dict[str, Any]:
    return {run_id: row | {"web_url": None} for run_id, row in stored(database).items()}


def told(world: World) -> dict[str, Any]:
    return truth(world)


def assert_nothing_wrong_is_claimed(
    database: Database, world: World, *, stale: bool = False
) -> None:
    """Args:
    stale: build 2 may be as it was before it was run again.
    """
    known, have = told(world), held(database)
    assert have.keys() <= known.keys()
    for row in runs(database):
        if row["settled"] and not (stale and row["id"] == "2"):
            assert have[row["id"]] == known[row["id"]]
    places = ((str(build.number), build.created_at) for build in world.builds)
    assert_held_where_covered(database, places, have)

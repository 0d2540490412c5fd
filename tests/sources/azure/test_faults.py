"""Every fault of the simulator in front of Azure DevOps', at the first, a middle and the last
request.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
one quiet sync the database holds what the service holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.azure import source as azure
from runsync.sources.azure.source import Azure
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.sync.engine import Options, Task, sync
from tests.sources.azure.rig import ID
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.truth import stored, truth
from tests.sources.azure.world import World
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

PATHS = {"listing": r"/builds$", "steps": r"/timeline$", "run": r"/definitions/\d+$"}
RUNS = 8
REQUESTS = {"listing": 5, "steps": RUNS, "run": 1}
SOME = "empty-page foreign number-for-string".split()


@pytest.fixture
def front(
    simulator: AzureSimulator, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyServer]:
    """A history of three pages behind a server with faults."""
    monkeypatch.setattr(azure, "PAGE_SIZE", 3)
    monkeypatch.setenv("AZURE_TEST_TOKEN", simulator.token)
    world.history(RUNS)
    world.pass_time(hours=2)
    with FaultyServer(simulator.root, lambda: world.now, PATHS, foreign) as front:
        yield front


def foreign(endpoint: str, row: Json) -> Json:
    """A build of another definition. No record says of which build it is."""
    if endpoint == "listing":
        return {**row, "id": 77, "definition": {**row["definition"], "id": 79}}
    return row


@pytest.mark.parametrize(
    "case",
    [Case(kind, endpoint, "first") for kind in SOME for endpoint in ENDPOINTS],
    ids=str,
)
def test_some_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


# A timeline comes whole and counts nothing: of one that is cut nobody can tell.
ALL = [case for case in cases() if (case.kind, case.endpoint) != ("short-page", "steps")]


@pytest.mark.proof
@pytest.mark.parametrize("case", ALL, ids=str)
def test_all_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


def play(front: FaultyServer, world: World, database: Database, case: Case) -> None:
    """Syncs with the fault, then without one."""
    outcome = sync_through(front, case, REQUESTS, lambda: sync_once(front, database, QUICK))
    assert_nothing_wrong_is_claimed(database, world)
    if outcome == "ok" and settled_all(database):
        assert stored(database) == truth(world)
    world.pass_time(hours=1)
    assert sync_once(front, database, PATIENT) == "ok"
    assert_nothing_wrong_is_claimed(database, world)
    assert not any(row["vanished_at"] for row in runs(database))
    assert stored(database) == truth(world)


def sync_once(front: FaultyServer, database: Database, limits: Limits) -> str:
    config = SourceConfig("hub", "azure", f"{front.url}/fabrikam", token_env="AZURE_TEST_TOKEN")
    source = Azure(config, concurrency=4, limits=limits)
    try:
        task = Task(source, source.listing(PipelineConfig("hub", id=ID)))
        (outcome,) = sync(database, [task], Options(concurrency=4))
        return outcome.outcome
    finally:
        source.close()


def runs(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(RunRow.__table__)).mappings())


def settled_all(database: Database) -> bool:
    """Whether no run is to be read again: a timeline that is empty once is doubted."""
    return all(row["settled"] for row in runs(database))


def assert_nothing_wrong_is_claimed(database: Database, world: World) -> None:
    known, held = truth(world), stored(database)
    assert held.keys() <= known.keys()
    for row in runs(database):
        if row["settled"]:
            assert held[row["id"]] == known[row["id"]]
    places = []
    for number, build in world.builds.items():
        assert build.finished is not None
        places.append((str(number), build.finished))
    assert_held_where_covered(database, places, held)

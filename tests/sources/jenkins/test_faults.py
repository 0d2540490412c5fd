"""Every fault of the simulator in front of Jenkins', at the first, a middle and the last request.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
one quiet sync the database holds what the service holds. A list of stages that is merely shorter or
in another order looks like any other: Jenkins counts none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.jenkins import walk
from runsync.sources.jenkins.source import Jenkins
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.sync.engine import Options, Task, sync
from tests.sources.faulty import PATIENT, QUICK, Case, FaultyServer, Json, cases, sync_through
from tests.sources.jenkins.rig import JOB
from tests.sources.jenkins.simulator import JenkinsSimulator
from tests.sources.jenkins.truth import stored, truth, without_pages
from tests.sources.jenkins.world import Item, World

PATHS = {"listing": r"/job/app/api/json$", "steps": r"/\d+/wfapi/describe$", "run": r"^never$"}
RUNS = 8
REQUESTS = {"listing": 4, "steps": RUNS}
UNKNOWABLE = {"foreign", "short-page", "shuffled", "number-for-string"}
SOME = "empty-page foreign number-for-string null-entries duplicates short-page".split()


@pytest.fixture
def front(
    simulator: JenkinsSimulator, world: World, job: Item, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyServer]:
    """A history of some pages behind a server with faults."""
    monkeypatch.setattr(walk, "PAGE_SIZE", 3)
    monkeypatch.setenv("JENKINS_TEST_TOKEN", simulator.secret)
    world.history(job, RUNS)
    world.pass_time(hours=2)
    with FaultyServer(simulator.url, lambda: world.now, PATHS, foreign) as front:
        yield front


def foreign(endpoint: str, row: Json) -> Json:
    """A build that is none of this job's: its number stands out of order."""
    return {**row, "number": 77}


def can_be_known(case: Case) -> bool:
    return case.endpoint == "listing" or (case.endpoint == "steps" and case.kind not in UNKNOWABLE)


@pytest.mark.parametrize("case", [Case(kind, "listing", "first") for kind in SOME], ids=str)
def test_some_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


@pytest.mark.proof
@pytest.mark.parametrize("case", [case for case in cases() if can_be_known(case)], ids=str)
def test_all_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


def play(front: FaultyServer, world: World, database: Database, case: Case) -> None:
    """Syncs with the fault, then without one."""
    outcome = sync_through(front, case, REQUESTS, lambda: sync_once(front, database, QUICK))
    assert_nothing_wrong_is_claimed(database, world)
    # A build may have no stages at all: the next sync asks again before it is believed.
    if outcome == "ok" and (case.kind, case.endpoint) != ("empty-page", "steps"):
        assert without_pages(stored(database)) == truth(world)
    world.pass_time(hours=1)
    assert sync_once(front, database, PATIENT) == "ok"
    assert_nothing_wrong_is_claimed(database, world)
    assert not any(row["vanished_at"] for row in runs(database))
    assert without_pages(stored(database)) == truth(world)


def sync_once(front: FaultyServer, database: Database, limits: Limits) -> str:
    url = f"{front.url}/jenkins"
    config = SourceConfig("ci", "jenkins", url, token_env="JENKINS_TEST_TOKEN")
    source = Jenkins(config, concurrency=4, limits=limits)
    try:
        listing = source.listing(PipelineConfig("ci", id=JOB))
        (outcome,) = sync(database, [Task(source, listing)], Options(concurrency=4))
        return outcome.outcome
    finally:
        source.close()


def runs(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(RunRow.__table__)).mappings())


def assert_nothing_wrong_is_claimed(database: Database, world: World) -> None:
    known, held = truth(world), without_pages(stored(database))
    assert held.keys() <= known.keys()
    for row in runs(database):
        if row["settled"]:
            assert held[JOB, row["id"]] == known[JOB, row["id"]]

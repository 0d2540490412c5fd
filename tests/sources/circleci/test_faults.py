"""Every fault of the simulator in front of CircleCI's, at the first, a middle and the last request.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
quiet syncs the database holds what the service holds.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.circleci.source import CircleCI
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.sync.engine import Options, Task, sync
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.truth import stored, truth
from tests.sources.circleci.world import World
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

MOST_SECONDS = 60
# What a run is made of stands in the list of its origin's workflows.
PATHS = {"listing": r"/shop/pipeline$", "steps": r"/workflow/[^/]+/job$", "run": r"/workflow$"}
RUNS = 8
REQUESTS = {"listing": 3, "steps": RUNS, "run": RUNS}
# CircleCI tells nowhere how many jobs a workflow has, so a list of them that was cut looks whole.
ALL = [case for case in cases() if (case.kind, case.endpoint) != ("short-page", "steps")]
SOME = "duplicates empty-page foreign number-for-string null-entries".split()


@pytest.fixture
def front(
    simulator: CircleSimulator, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyServer]:
    """A history of three pages behind a server with faults."""
    simulator.page_size = 3
    monkeypatch.setenv("CIRCLE_TEST_TOKEN", simulator.token)
    world.history(RUNS)
    world.pass_time(hours=2)
    with FaultyServer(simulator.url, lambda: world.now, PATHS, foreign) as front:
        yield front


def foreign(endpoint: str, row: Json) -> Json:
    """A pipeline or a job of another project, or a workflow of another pipeline."""
    other = "00000000-0000-4000-8000-000000000077"
    own = {"pipeline_id": other} if endpoint == "run" else {"project_slug": "gh/evil/shop"}
    return {**row, "id": other, **own}


@pytest.mark.parametrize(
    "case",
    [Case(kind, endpoint, "first") for kind in SOME for endpoint in ENDPOINTS],
    ids=str,
)
def test_some_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


@pytest.mark.proof
@pytest.mark.parametrize("case", ALL, ids=str)
def test_all_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


def play(front: FaultyServer, world: World, database: Database, case: Case) -> None:
    """Syncs with the fault, then without one."""
    outcome = sync_through(
        front, case, REQUESTS, lambda: sync_once(front, database, QUICK), MOST_SECONDS
    )
    assert_nothing_wrong_is_claimed(database, world)
    # A list of workflows, or of jobs, that is empty may be so: they may yet come.
    may_be_late = case.kind in ("empty-page", "short-page") and case.endpoint != "listing"
    if outcome == "ok" and not may_be_late:
        assert stored(database) == truth(world)
    for _ in range(2):
        world.pass_time(hours=25)
        assert sync_once(front, database, PATIENT) == "ok"
    assert_nothing_wrong_is_claimed(database, world, whole=True)
    with database.read() as connection:
        assert not any(connection.execute(select(RunRow.vanished_at)).scalars())
    assert stored(database) == truth(world)


def sync_once(front: FaultyServer, database: Database, limits: Limits) -> str:
    config = SourceConfig("circle", "circleci", front.url, token_env="CIRCLE_TEST_TOKEN")
    source = CircleCI(config, concurrency=4, limits=limits)
    try:
        listing = source.listing(PipelineConfig("circle", repository=World.slug))
        (outcome,) = sync(database, [Task(source, listing)], Options(concurrency=4))
        return outcome.outcome
    finally:
        source.close()


def assert_nothing_wrong_is_claimed(
    database: Database, world: World, *, whole: bool = False
) -> None:
    known, held = truth(world), stored(database)
    assert held.keys() <= known.keys()
    with database.read() as connection:
        runs = connection.execute(select(RunRow.id, RunRow.settled)).all()
    for run_id, is_settled in runs:
        if is_settled:
            assert held[run_id] == known[run_id]
    if whole:
        places = ((workflow.id, pipeline.created_at) for pipeline, workflow in world.workflows())
        assert_held_where_covered(database, places, held)

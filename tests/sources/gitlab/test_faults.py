"""Every fault of the simulator in front of GitLab's, at the first, a middle and the last request.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
one quiet sync the database holds what the service holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.gitlab import source as gitlab
from runsync.sources.gitlab.source import GitLab
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.sync.engine import Options, Task, sync
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
from tests.sources.gitlab.simulator import GitLabSimulator, World
from tests.sources.gitlab.truth import stored, truth

PATHS = {"listing": r"/pipelines$", "steps": r"/jobs$", "run": r"/pipelines/\d+$"}
RUNS = 8
REQUESTS = {"listing": 3, "steps": RUNS, "run": RUNS}
SOME = "empty-page foreign number-for-string".split()


@pytest.fixture
def front(
    simulator: GitLabSimulator, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyServer]:
    """A history of three pages behind a server with faults."""
    monkeypatch.setattr(gitlab, "PAGE_SIZE", 3)
    monkeypatch.setenv("GITLAB_TEST_TOKEN", simulator.token)
    world.history(RUNS)
    world.pass_time(hours=2)
    with FaultyServer(simulator.url, lambda: world.now, PATHS, foreign) as front:
        yield front


def foreign(endpoint: str, row: Json) -> Json:
    """A pipeline of another project, or a job of another pipeline."""
    if endpoint == "steps":
        return {**row, "id": 77, "pipeline": {**row["pipeline"], "id": 78}}
    return {**row, "id": 77, "project_id": 79}


@pytest.mark.parametrize(
    "case",
    [Case(kind, endpoint, "first") for kind in SOME for endpoint in ENDPOINTS],
    ids=str,
)
def test_some_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


@pytest.mark.proof
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_all_faults(front: FaultyServer, world: World, sqlite: Database, case: Case) -> None:
    play(front, world, sqlite, case)


def play(front: FaultyServer, world: World, database: Database, case: Case) -> None:
    """Syncs with the fault, then without one."""
    outcome = sync_through(front, case, REQUESTS, lambda: sync_once(front, database, QUICK))
    assert_nothing_wrong_is_claimed(database, world)
    if outcome == "ok":
        assert stored(database) == truth(world)
    world.pass_time(hours=1)
    assert sync_once(front, database, PATIENT) == "ok"
    assert_nothing_wrong_is_claimed(database, world)
    assert not any(row["vanished_at"] for row in runs(database))
    assert stored(database) == truth(world)


def sync_once(front: FaultyServer, database: Database, limits: Limits) -> str:
    config = SourceConfig("hub", "gitlab", front.url, token_env="GITLAB_TEST_TOKEN")
    source = GitLab(config, concurrency=4, limits=limits)
    try:
        listing = source.listing(PipelineConfig("hub", id=str(World.number)))
        (outcome,) = sync(database, [Task(source, listing)], Options(concurrency=4))
        return outcome.outcome
    finally:
        source.close()


def runs(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(RunRow.__table__)).mappings())


def assert_nothing_wrong_is_claimed(database: Database, world: World) -> None:
    known, held = truth(world), stored(database)
    assert held.keys() <= known.keys()
    for row in runs(database):
        if row["settled"]:
            assert held[row["id"]] == known[row["id"]]
    places = ((str(n), one.updated_at.astimezone(UTC)) for n, one in world.pipelines.items())
    assert_held_where_covered(database, places, held)

"""Runs that are read again: as long as nothing of them has changed that costs no rate limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from runsync import __version__
from runsync.sources.github.source import GitHub
from runsync.storage.database import Database
from tests.sources.github.rig import repository
from tests.sources.github.server import Refusal, Service
from tests.sources.github.story import DAY
from tests.sources.github.truth import run_sync, stored, truth
from tests.sources.github.world import NOW, SECOND, Run, World

MINUTE = timedelta(minutes=1)


def spent(service: Service, database: Database, source: GitHub, **options: Any) -> int:
    """How much of the rate limit one sync costs, which must be exact."""
    before = service.used
    assert run_sync(database, source, **options).outcome == "ok"
    assert stored(database) == truth(service.world)
    return service.used - before


def settled(database: Database, run: Run) -> bool:
    (found,) = stored(database, "settled")[str(run.id)]
    assert isinstance(found, bool)
    return found


def remembered(database: Database) -> str:
    """All that is kept of the listings."""
    with database.read() as connection:
        return "".join(connection.execute(text("SELECT memory FROM listings")).scalars())


def waiting(world: World, status: str = "waiting") -> Run:
    return world.add_run(NOW - DAY, status=status)


def test_from_start_to_settled_a_run_costs_its_changes(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    world = service.world
    run = world.add_run(NOW - MINUTE, status="in_progress")
    # The listing, the names of the workflow and of the default branch, and the jobs.
    assert spent(service, sqlite, github) == 4
    world.now += 5 * MINUTE
    # The run, which was found in the listing and had no ETag of its own yet.
    assert spent(service, sqlite, github) == 1
    world.now += 5 * MINUTE
    assert spent(service, sqlite, github) == 0
    world.now += 5 * MINUTE
    world.finish(run, world.now)
    # The listing and the jobs.
    assert spent(service, sqlite, github) == 2
    for _ in range(2):
        assert not settled(sqlite, run)
        world.now += 5 * MINUTE
        assert spent(service, sqlite, github) <= 1
    assert settled(sqlite, run)
    # Four for the run; it took ten when it was asked for without ETags.
    assert service.used == 4 + 4
    service.asked.clear()
    assert spent(service, sqlite, github) == 0
    assert [asked.status for asked in service.asked] == [304]


@pytest.mark.parametrize("status", ["waiting", "pending", "queued", "requested", "in_progress"])
def test_runs_that_wait_cost_nothing(
    github: GitHub, service: Service, sqlite: Database, status: str
) -> None:
    runs = [waiting(service.world, status) for _ in range(20)]
    run_sync(sqlite, github)
    run_sync(sqlite, github)
    service.asked.clear()
    service.world.now += DAY
    assert spent(service, sqlite, github) == 0
    assert {asked.status for asked in service.asked} == {304}
    assert len(service.asked) == 1 + 2 * len(runs)


def test_runs_that_wait_on_a_page_that_changes_cost_nothing(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    for _ in range(20):
        waiting(service.world)
    run_sync(sqlite, github)
    for _ in range(3):
        service.world.now += 30 * MINUTE
        service.world.add_run(service.world.now - 20 * MINUTE)
        # The listing, the window below it, and the jobs of the new run.
        assert spent(service, sqlite, github) <= 3


def test_another_process_knows_as_much(github: GitHub, service: Service, sqlite: Database) -> None:
    waiting(service.world)
    run_sync(sqlite, github)
    run_sync(sqlite, github)
    renewed = GitHub(github._config)
    assert spent(service, sqlite, renewed) == 0
    renewed.close()


def test_what_another_version_kept_is_not_asked_by(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    """It may have read less of a run."""
    waiting(service.world)
    run_sync(sqlite, github)
    kept = text("SELECT json_extract(memory, '$.validators') FROM listings")
    with sqlite.write() as connection:
        assert f'"version":"{__version__}"' in connection.execute(kept).scalar_one()
        another = "json_set(memory, '$.validators.version', '0.0.1')"
        connection.execute(text(f"UPDATE listings SET memory = {another}"))
    service.asked.clear()
    run_sync(sqlite, github)
    assert [asked.etag is None for asked in service.asked] == [False, True, True]
    with sqlite.read() as connection:
        assert f'"version":"{__version__}"' in connection.execute(kept).scalar_one()


class Prompt(GitHub):
    """A service whose runs do not change any more once they are over."""

    grace = SECOND


def test_an_unchanged_run_settles_after_the_grace_period_of_its_source(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = service.world.add_run(NOW - 2 * MINUTE)
    service.world.finish(run, NOW)
    prompt = Prompt(github._config)
    run_sync(sqlite, prompt)
    assert not settled(sqlite, run)
    service.world.now += SECOND
    run_sync(sqlite, prompt)
    assert settled(sqlite, run)
    prompt.close()


def test_jobs_that_change_are_found(github: GitHub, service: Service, sqlite: Database) -> None:
    """The run itself stays as it is."""
    run = waiting(service.world, "in_progress")
    for _ in range(2):
        run_sync(sqlite, github)
    (job,) = run.newest.jobs
    job.status, job.conclusion, job.completed = "completed", "success", NOW
    job.steps = service.world.job("build", 1, NOW, NOW, NOW).steps
    assert spent(service, sqlite, github) == 2
    assert len(stored(sqlite)[str(run.id)]["steps"]) == len(job.steps)


def test_a_run_that_changes_is_found(github: GitHub, service: Service, sqlite: Database) -> None:
    """Its jobs stay as they are, and its time of change too."""
    run = waiting(service.world)
    for _ in range(2):
        run_sync(sqlite, github)
    run.newest.status = "in_progress"
    assert spent(service, sqlite, github) <= 3
    assert stored(sqlite, "status") == {str(run.id): ("running",)}


def test_a_run_with_more_jobs_than_a_page_is_read_whole(
    github: GitHub, service: Service, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GitHub, "page_size", 1)
    service.world.page = 1
    run = service.world.add_run(NOW - MINUTE)
    for _ in range(2):
        assert spent(service, sqlite, github) > 0
    service.world.now += 20 * MINUTE
    run.newest.jobs[1].name = "other"
    for step in run.newest.jobs[1].steps:
        step["name"] = "another"
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


def test_what_has_settled_is_not_remembered(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = service.world.add_run(NOW - 2 * MINUTE)
    run_sync(sqlite, github)
    assert f'"{run.id}"' in remembered(sqlite)
    service.world.now += DAY
    run_sync(sqlite, github)
    assert settled(sqlite, run)
    assert f'"{run.id}"' not in remembered(sqlite)


def test_a_run_that_goes_is_not_remembered(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = waiting(service.world)
    run_sync(sqlite, github)
    service.world.delete(run)
    run_sync(sqlite, github)
    assert stored(sqlite, "vanished_at") == {str(run.id): (NOW,)}
    assert f'"{run.id}"' not in remembered(sqlite)


def test_what_cannot_be_read_is_asked_for_whole(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = waiting(service.world, "in_progress")

    def spoil(path: str, body: Any) -> Any:
        if path.endswith("/jobs"):
            body["jobs"][0]["name"] = 7
        return body

    service.mangle = spoil
    assert run_sync(sqlite, github).outcome == "partial"
    assert f'"{run.id}"' not in remembered(sqlite)
    assert run_sync(sqlite, github).outcome == "partial"


def test_full_asks_for_everything(github: GitHub, service: Service, sqlite: Database) -> None:
    waiting(service.world)
    for _ in range(2):
        run_sync(sqlite, github)
    service.asked.clear()
    assert spent(service, sqlite, github, full=True) > 0
    assert {asked.etag for asked in service.asked} == {None}
    assert spent(service, sqlite, github) <= 2


def test_an_answer_settles_only_what_came_with_its_etag(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    """Where the rows were written by another sync since, they are read again."""
    run = service.world.add_run(NOW - 2 * MINUTE)
    run_sync(sqlite, github)
    run_sync(sqlite, github, repository(github))
    with sqlite.write() as connection:
        connection.execute(text("UPDATE runs SET steps_synced_at = '2024-06-01 12:00:01.000000'"))
    service.world.now += DAY
    run_sync(sqlite, github)
    assert not settled(sqlite, run)
    run_sync(sqlite, github)
    assert settled(sqlite, run)


def test_what_was_read_before_a_failure_is_remembered(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    runs = [waiting(service.world) for _ in range(5)]
    run_sync(sqlite, github)
    fails = [True]

    def fail(path: str, body: Any) -> Any:
        if fails and path.endswith(f"{runs[0].id}/attempts/1"):
            raise Refusal(403, "Resource not accessible by personal access token")
        return body

    service.mangle = fail
    assert run_sync(sqlite, github).outcome == "partial"
    fails.clear()
    # The run that could not be read.
    assert spent(service, sqlite, github) <= 2


def test_an_action_that_is_required_is_no_run_that_waits(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    """GitHub takes it for completed; when it is approved it shows another time of change."""
    run = service.world.add_run(NOW - DAY, "action_required", jobs=[])
    for _ in range(2):
        run_sync(sqlite, github)
    service.asked.clear()
    run_sync(sqlite, github)
    assert [asked.status for asked in service.asked] == [304]
    run.newest.status, run.newest.conclusion = "in_progress", None
    run.newest.updated = NOW + SECOND
    run_sync(sqlite, github)
    assert stored(sqlite, "status") == {str(run.id): ("running",)}

"""A simulated CircleCI is synced into a database: re-runs, requests, and what is forgotten."""

import pytest

from runsync.config import PipelineConfig
from runsync.sources.circleci.source import CircleCI
from runsync.storage.database import Database
from runsync.sync.engine import Task
from runsync.sync.verify import verify
from tests.sources.circleci.rig import opened, run
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.truth import stored, truth
from tests.sources.circleci.world import World


def test_every_row_is_exact(
    world: World, source: CircleCI, simulator: CircleSimulator, database: Database
) -> None:
    world.history(8, "build-and-test", "nightly")
    world.cancel(world.push("build-and-test").workflows[0])
    world.push("deploy", branch=None, tag="v1", trigger="api")
    world.push(state="errored", errors=[{"type": "config", "message": "no"}])
    world.push(state="pending")
    outcome = run(database, source)
    assert (outcome.outcome, outcome.counts.runs_new) == ("ok", 18)
    assert stored(database) == truth(world)
    # The list, an origin's workflows, a workflow's jobs, and once the default branch.
    assert outcome.requests == len(simulator.asked) == 1 + 12 + 18 + 1
    assert verify(database, [task(source)])[0].well


def task(source: CircleCI) -> Task:
    return Task(source, source.listing(PipelineConfig("circle", repository=World.slug)))


def test_details_are_read_for_every_job_that_ran(
    world: World, simulator: CircleSimulator, sqlite: Database
) -> None:
    world.history(5)
    world.cancel(world.push("build-and-test").workflows[0])
    with opened(simulator, details=True) as source:
        assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world, details=True)
    ran = sum(job.started_at is not None for _, w in world.workflows() for job in w.jobs)
    assert simulator.kinds().count("job") == ran


def test_a_quiet_sync_asks_for_the_list_and_what_is_fresh(
    world: World, source: CircleCI, simulator: CircleSimulator, sqlite: Database
) -> None:
    world.history(50)
    world.pass_time(hours=3)
    run(sqlite, source)
    assert run(sqlite, source).requests == 1
    world.pass_time(minutes=50)
    assert run(sqlite, source).requests == 1
    world.pass_time(minutes=20)
    # Once an hour those of a day: 50 origins of ten hours, on three pages.
    assert run(sqlite, source).requests == 3 + 50
    assert run(sqlite, source).requests == 1
    fresh = world.push("build-and-test")
    world.end(fresh.workflows[0])
    world.pass_time(minutes=11)
    run(sqlite, source)
    assert run(sqlite, source).requests == 2
    assert stored(sqlite) == truth(world)


def test_of_one_workflow_as_few(
    world: World, source: CircleCI, simulator: CircleSimulator, sqlite: Database
) -> None:
    world.history(1, "nightly")
    world.history(30)
    world.pass_time(hours=3)
    run(sqlite, source, "nightly")
    assert len(stored(sqlite)) == 1
    assert run(sqlite, source, "nightly").requests == 1


@pytest.mark.parametrize("days", [0.05, 0.5, 20, 89])
def test_a_re_run_in_an_old_origin_is_found_within_a_day(
    world: World, source: CircleCI, sqlite: Database, days: float
) -> None:
    old = world.history(1)[0]
    world.history(30)
    world.pass_time(days=days)
    run(sqlite, source)
    again = world.rerun(world.pipelines[0], old, by="user-9")
    assert again
    world.end(again)
    world.pass_time(hours=24)
    assert run(sqlite, source).counts.runs_new == 1
    assert stored(sqlite) == truth(world)
    row = stored(sqlite)[str(again.id)]
    assert (row["attempt"], row["author"], row["author_id"]) == (2, None, "user-9")


def test_a_re_run_during_an_outage_of_weeks_is_found(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    old = world.history(1)[0]
    world.pass_time(days=80)
    run(sqlite, source)
    world.pass_time(days=5)
    again = world.rerun(world.pipelines[0], old)
    assert again
    world.end(again)
    world.pass_time(days=60)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_a_re_run_of_a_re_run_is_found_as_long_as_it_may_be(
    world: World, source: CircleCI, simulator: CircleSimulator, sqlite: Database
) -> None:
    last = world.history(1)[0]
    world.history(5)
    for _ in range(4):
        world.pass_time(days=70)
        run(sqlite, source)
        again = world.rerun(world.pipelines[0], last)
        assert again
        world.end(again)
        last = again
        world.pass_time(days=2)
        assert run(sqlite, source).outcome == "ok"
        assert stored(sqlite) == truth(world)
    world.pass_time(days=100)
    run(sqlite, source)
    world.pass_time(days=2)
    simulator.asked.clear()
    run(sqlite, source)
    # It may not be run again now, and is let go.
    assert simulator.kinds() == ["list"]


def test_a_clock_that_was_wrong_once_puts_no_look_off(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    old = world.history(1)[0]
    world.history(30)
    world.pass_time(days=3650)
    run(sqlite, source)
    world.pass_time(days=-3640)
    again = world.rerun(world.pipelines[0], old)
    assert again
    world.end(again)
    run(sqlite, source)
    assert str(again.id) in stored(sqlite)


def test_workflows_that_come_late_are_found(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    pipeline = world.push(state="setup-pending")
    assert run(sqlite, source).counts.runs_new == 0
    world.pass_time(minutes=3)
    world.end(world.begin(pipeline, "build-and-test"))
    assert run(sqlite, source).counts.runs_new == 1
    assert stored(sqlite) == truth(world)


def test_a_workflow_on_hold_for_weeks_is_followed(
    world: World, source: CircleCI, simulator: CircleSimulator, sqlite: Database
) -> None:
    held = world.push("deploy").workflows[0]
    held.jobs[1].type = "approval"
    world.end_job(held)
    world.pass_time(days=3)
    run(sqlite, source)
    assert stored(sqlite)[str(held.id)]["status"] == "notstarted"
    world.pass_time(minutes=5)
    simulator.asked.clear()
    run(sqlite, source)
    # By its id: the workflow, what it is part of, and its jobs.
    assert simulator.kinds() == ["list", "workflow", "pipeline", "workflows", "jobs"]
    world.pass_time(days=100)
    world.end_job(held)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_a_job_that_a_re_run_took_over_does_not_date_it(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    pipeline = world.push("build-and-test")
    first = pipeline.workflows[0]
    world.end(first, "failed")
    world.pass_time(hours=1)
    again = world.begin(pipeline, "build-and-test", jobs="unit")
    again.jobs.insert(0, first.jobs[0])
    world.end(again)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)
    row = stored(sqlite)[str(again.id)]
    assert (row["queued_ms"], row["duration_ms"]) == (0, 30000)


def test_what_circleci_has_forgotten_is_passed_over(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(days=400)
    world.forgotten.add(str(made[0].id))
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)
    assert len(stored(sqlite)) == 5


def test_a_young_workflow_without_an_id_is_a_hole(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    made = world.history(3)
    world.forgotten.add(str(made[1].id))
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert outcome.problems == ("pipeline 2: run (no id): `created_at` is missing",)
    world.forgotten.clear()
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_history_that_is_not_wanted_is_not_asked_for(
    world: World, source: CircleCI, simulator: CircleSimulator, sqlite: Database
) -> None:
    world.history(60)
    world.pass_time(days=30)
    since = world.now.replace(microsecond=0)
    new = world.history(4)
    run(sqlite, source, since=since)
    assert set(stored(sqlite)) == {str(w.id) for w in new}
    assert simulator.kinds().count("jobs") == 4
    assert simulator.kinds().count("list") == 1


def test_history_that_is_wanted_later_is_brought(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    world.history(30)
    since = world.now.replace(microsecond=0)
    world.history(30)
    world.pass_time(days=2)
    run(sqlite, source, since=since)
    assert len(stored(sqlite)) == 30
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)

"""A run that counts as gone may be there all the same: its job was hidden, and is shown again."""

from datetime import timedelta

import pytest

from runsync.storage.store import ListingStore
from tests.sync.rig import MakeRig, Rig, empty_world


@pytest.fixture
def gone(make_rig: MakeRig) -> tuple[Rig, str]:
    """A run that was not found twice, and older than what a sync reads of its listing."""
    world = empty_world()
    (pipeline,) = world.pipelines
    run = world.add_run(pipeline.id, status="running")
    rig = make_rig(world)
    rig.sync()
    for _ in range(30):
        world.clock.advance(timedelta(hours=1))
        world.add_run(pipeline.id, status="finished")
    rig.sync()
    rig.simulator.faults.add("404", run=run)
    assert [one.outcome for one in rig.sync()] == ["partial"]
    world.clock.advance(timedelta(minutes=11))
    assert [one.outcome for one in rig.sync()] == ["ok"]
    return rig, run


def asks_for(rig: Rig, run: str) -> bool:
    """Whether a sync, which finds nothing wrong, asks for the run."""
    rig.simulator.reset_log()
    assert [one.outcome for one in rig.sync()] == ["ok"]
    return any(run in path for path, _ in rig.requests())


def store_of(rig: Rig) -> ListingStore:
    return ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key)


def test_a_run_that_counts_as_gone_is_asked_for_once_a_day_for_a_month(
    gone: tuple[Rig, str],
) -> None:
    rig, run = gone
    vanished_at = rig.column("vanished_at")[run]
    for hours, is_due in ((0, False), (12, False), (13, True), (1, False), (24, True)):
        rig.world.clock.advance(timedelta(hours=hours))
        assert asks_for(rig, run) == is_due
    assert not rig.column("settled")[run]
    rig.world.clock.advance(timedelta(days=30))
    assert [asks_for(rig, run) for _ in range(2)] == [True, False]
    assert rig.column("settled")[run]
    assert rig.column("vanished_at")[run] == vanished_at
    assert store_of(rig).set_aside_runs() == []
    rig.world.clock.advance(timedelta(days=2))
    assert not asks_for(rig, run)


def test_a_run_that_counts_as_gone_and_is_there_is_read_within_a_day(gone: tuple[Rig, str]) -> None:
    rig, run = gone
    rig.simulator.faults.clear()
    rig.world.clock.advance(timedelta(days=1))
    assert asks_for(rig, run)
    rig.assert_exact()
    assert rig.column("vanished_at")[run] is None
    assert rig.column("status")[run] == "running"
    rig.world.finish(run, "failed")
    assert asks_for(rig, run)
    rig.assert_exact()


def test_a_run_that_counts_as_gone_and_comes_back_unreadable_is_open(gone: tuple[Rig, str]) -> None:
    rig, run = gone
    rig.world.finish(run, "failed")
    rig.simulator.faults.clear()
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    rig.world.clock.advance(timedelta(days=1))
    (outcome,) = rig.sync()
    assert run in str(outcome.problems)
    assert store_of(rig).set_aside_runs() == []
    rig.simulator.faults.clear()
    assert asks_for(rig, run)
    rig.assert_exact()


def test_a_run_that_is_not_found_again_is_named_once_though_another_one_is_looked_for_first(
    make_rig: MakeRig,
) -> None:
    """Of an empty listing the newest run is asked for: each time another one."""
    world = empty_world()
    (pipeline,) = world.pipelines
    old = world.add_run(pipeline.id, status="finished")
    world.clock.advance(timedelta(hours=1))
    new = world.add_run(pipeline.id, status="running")
    rig = make_rig(world)
    rig.sync()
    for run in (old, new):
        world.delete_run(run)
    (outcome,) = rig.sync()
    assert [problem.split(":")[0] for problem in outcome.problems] == [f"run {new}"]
    world.clock.advance(timedelta(minutes=11))
    (outcome,) = rig.sync()
    assert (outcome.outcome, outcome.problems) == ("ok", ())
    assert all(rig.column("vanished_at").values())

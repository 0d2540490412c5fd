"""Runs that cannot be read: a sync goes on past some, gives up after five in a row, and keeps
what it has."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runsync.records import Run, RunWithSteps
from runsync.sources.wercker.source import Wercker
from runsync.storage.store import ListingStore
from runsync.sync.engine import Options, sync
from runsync.sync.listing import ListingSync
from tests.sync.rig import MakeRig, Rig, empty_world


def rig_of(make_rig: MakeRig, *statuses: str) -> Rig:
    """A rig over one pipeline with a run of each status, a minute apart, the oldest first."""
    rig = make_rig(empty_world())
    rig.limits = replace(rig.limits, tries=1)
    add_runs(rig, *statuses)
    return rig


def add_runs(rig: Rig, *statuses: str) -> None:
    clock = rig.world.clock
    for status in statuses:
        clock.advance(60)
        rig.world.add_run(rig.world.pipelines[0].id, status=status, created_at=clock.now())
    clock.advance(timedelta(days=2))


def outcome_of(rig: Rig) -> tuple[str, str]:
    (outcome,) = rig.sync()
    return outcome.outcome, str(outcome.cause)


def steps_asked_for(rig: Rig) -> int:
    return sum(path.endswith("/steps") for path, _ in rig.requests())


@pytest.mark.parametrize(
    ("unreadable", "outcome"),
    [
        ([*range(4), *range(5, 9)], "partial"),
        ([*range(3, 8)], "failed"),
        ([*range(17, 22)], "failed"),  # over the end of a page
    ],
)
def test_five_listed_runs_in_a_row_end_a_walk(
    make_rig: MakeRig, unreadable: list[int], outcome: str
) -> None:
    rig = rig_of(make_rig, *["finished"] * 25)
    newest_first = rig.world.run_ids(rig.world.pipelines[0].id)
    for place in unreadable:
        rig.simulator.faults.add("500", "steps", run=newest_first[place])
    found, cause = outcome_of(rig)
    assert found == outcome
    assert ("5 runs in a row could not be read" in cause) == (outcome == "failed")
    rig.simulator.faults.clear()
    assert outcome_of(rig)[0] == "ok"
    rig.assert_exact()


@pytest.mark.parametrize(
    ("unreadable", "outcome"),
    [([1, 2, 3, 4, 6, 7, 8, 9], "partial"), ([5, 6, 7, 8, 9], "failed")],
)
def test_five_runs_in_a_row_that_cannot_be_read_again_end_a_sync(
    make_rig: MakeRig, unreadable: list[int], outcome: str
) -> None:
    rig = rig_of(make_rig, *["running"] * 10, *["finished"] * 30)
    rig.sync()
    settled = rig.column("settled")
    in_order = sorted(run for run, is_settled in settled.items() if not is_settled)
    assert len(in_order) == 10
    for place in unreadable:
        rig.simulator.faults.add("500", "run", run=in_order[place])
    found, cause = outcome_of(rig)
    assert found == outcome
    assert ("5 runs in a row could not be read again" in cause) == (outcome == "failed")


def test_a_run_that_may_not_be_read_again_is_named_and_the_others_are_read(
    make_rig: MakeRig,
) -> None:
    rig = rig_of(make_rig, *["running"] * 3, *["finished"] * 30)
    rig.sync()
    running = [run for run, is_settled in rig.column("settled").items() if not is_settled]
    for run in running:
        rig.world.finish(run)
    rig.world.clock.advance(timedelta(days=2))
    rig.simulator.faults.add("403", "run", run=running[1])
    (outcome,) = rig.sync()
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
    assert running[1] in outcome.problems[0]
    settled = rig.column("settled")
    assert [run for run in running if settled[run]] == [running[0], running[2]]


@pytest.mark.parametrize(("fault", "seconds"), [("401", None), ("429", 3600.0)])
def test_what_is_read_again_is_kept_where_nothing_more_can_be_asked_for(
    make_rig: MakeRig, fault: str, seconds: float | None
) -> None:
    rig = rig_of(make_rig, *["running"] * 10, *["finished"] * 30)
    rig.sync()
    for run, is_settled in rig.column("settled").items():
        if not is_settled:
            rig.world.finish(run)
    rig.world.clock.advance(timedelta(days=2))
    rig.simulator.faults.add(fault, "run", after=5, seconds=seconds)
    assert outcome_of(rig)[0] == "failed"
    assert 0 < list(rig.column("settled").values()).count(False) < 10


def test_a_listing_is_read_a_few_pages_ahead_of_its_runs(make_rig: MakeRig) -> None:
    """What waits to be written is bounded, however long the history is."""
    rig = rig_of(make_rig, *["finished"] * 160)
    ahead: list[int] = []

    def watch(_: Any) -> None:
        ahead.append(sum(path.endswith("/runs") for path, _ in rig.requests()) - len(ahead))

    sync(rig.database, rig.tasks(), Options(concurrency=4), watch)
    assert len(ahead) >= 8
    assert max(ahead) <= 6


class CountingPool(Executor):
    """One thread, and an event for when all calls but the first are cancelled."""

    def __init__(self) -> None:
        self._thread, self._futures = ThreadPoolExecutor(1), list[Future[Any]]()
        self.first_runs, self.rest_is_cancelled = threading.Event(), threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self._thread.submit(fn, *args, **kwargs)
        self._futures.append(future)
        future.add_done_callback(self._look)
        assert self.first_runs.wait(60)
        return future

    def _look(self, _: Future[Any]) -> None:
        if all(future.cancelled() for future in self._futures[1:]):
            self.rest_is_cancelled.set()


class Slow(Wercker):
    """Its first run comes when all others are given up."""

    pool: CountingPool

    def complete(self, run: Run) -> RunWithSteps:
        if not self.pool.first_runs.is_set():
            self.pool.first_runs.set()
            self.pool.rest_is_cancelled.wait(60)
        return super().complete(run)


@pytest.mark.parametrize("below_is_known", [False, True])
def test_a_walk_that_fails_asks_for_no_more_runs_and_keeps_what_is_under_way(
    make_rig: MakeRig, below_is_known: bool
) -> None:
    """Also where the page below needs no request, nothing is claimed across the gap above it."""
    rig = rig_of(make_rig, *["finished"] * 45)
    if below_is_known:
        rig.sync(application=True)
        add_runs(rig, *["finished"] * 20)
    before = len(rig.column("id"))
    rig.simulator.reset_log()
    rig.simulator.faults.add("500", "runs", after=2)
    source = rig.source(Slow)
    assert isinstance(source, Slow)
    source.pool = CountingPool()
    (task,) = rig.tasks(source)
    store = ListingStore(rig.database, "wercker", task.listing.key)
    outcome = ListingSync(store, task, source.pool, Options(), None).run()
    assert outcome.outcome == "failed"
    assert steps_asked_for(rig) == 1
    assert len(rig.column("id")) == before + 1
    assert store.coverage() == []
    rig.simulator.faults.clear()
    assert outcome_of(rig)[0] == "ok"
    rig.assert_exact()

"""What is told and stored of how a sync ended."""

import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runsync.records import Run, RunWithSteps
from runsync.sources.wercker.source import Wercker
from runsync.storage.models import PipelineRow, SyncRow
from runsync.sync.engine import Options, Progress, Task, sync
from tests.sync.rig import MakeRig, Rig, empty_world


def stored(rig: Rig) -> list[tuple[str, str | None]]:
    """The outcome and the error of each sync, the first one first."""
    query = select(SyncRow.outcome, SyncRow.error).order_by(SyncRow.id)
    with rig.database.read() as connection:
        return [(row.outcome, row.error) for row in connection.execute(query)]


def test_a_good_sync_has_no_error(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[5], pipelines=1)
    rig.sync()
    assert stored(rig) == [("ok", None)]


def test_a_sync_of_no_listing_is_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[1], pipelines=1)
    assert sync(rig.database, []) == []
    assert (stored(rig), rig.requests()) == ([], [])


def test_what_was_set_aside_is_told_and_stored(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[5], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    run = rig.world.run_ids(rig.world.pipelines[0].id)[2]
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    (outcome,) = rig.sync()
    assert run in (outcome.error or "")
    assert stored(rig) == [("partial", outcome.error)]


class GivenUp(Wercker):
    """It is cancelled, as after Ctrl-C, when it is to read the second run."""

    asked = 0

    def complete(self, run: Run) -> RunWithSteps:
        self.asked += 1
        if self.asked == 2:
            self.client.cancel()
        return super().complete(run)


def test_a_sync_that_is_given_up_is_interrupted_and_not_failed(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[30], pipelines=1)
    rig.concurrency = 1
    (outcome,) = rig.sync(rig.source(GivenUp))
    assert outcome.outcome == "interrupted"
    assert stored(rig) == [("interrupted", "wercker: given up")]


class Stubborn(Wercker):
    """It interrupts the sync when it is to read the fifth run, and hears of nothing itself."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.asked, self.ended, self.may_end = 0, threading.Event(), threading.Event()

    def complete(self, run: Run) -> RunWithSteps:
        self.asked += 1
        if self.asked == 5:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self.may_end.wait(20)
            self.ended.set()
        return super().complete(run)


def test_an_interrupted_sync_waits_for_no_thread_and_asks_for_no_more(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[30], pipelines=1)
    rig.concurrency = 1
    source = rig.source(Stubborn)
    assert isinstance(source, Stubborn)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            rig.sync(source)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not source.ended.is_set()
    asked = rig.simulator.request_count
    source.may_end.set()
    for thread in threading.enumerate():
        if thread.name.startswith("runsync-"):
            thread.join(10)
    assert source.ended.is_set()
    assert (source.asked, rig.simulator.request_count) == (5, asked)
    assert [one.outcome for one in rig.sync()] == ["ok"]
    assert [outcome for outcome, _ in stored(rig)] == ["interrupted", "ok"]
    rig.assert_exact()


def test_a_pipeline_without_a_run_is_known(make_rig: MakeRig) -> None:
    rig = make_rig(empty_world())
    rig.sync()
    with rig.database.read() as connection:
        names = connection.execute(select(PipelineRow.name)).scalars().all()
    assert names == ["build"]


@pytest.mark.parametrize("wait", [False, True])
def test_another_sync_is_waited_for_where_that_is_wanted(make_rig: MakeRig, wait: bool) -> None:
    rig = make_rig(runs=[5], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    held, over = threading.Event(), threading.Event()

    def other_sync() -> None:
        with rig.database.lock(rig.tasks()[0].listing.key):
            held.set()
            over.wait(10)
            time.sleep(0.3)

    other = threading.Thread(target=other_sync)
    other.start()
    assert held.wait(10)
    if wait:
        over.set()
    (outcome,) = rig.sync(wait=wait)
    over.set()
    other.join(10)
    assert outcome.outcome == ("ok" if wait else "locked")


@pytest.mark.parametrize("wanted", ["all", "since the pipeline was made", "since then"])
def test_it_is_told_how_far_a_sync_has_come(make_rig: MakeRig, wanted: str) -> None:
    rig = make_rig(runs=[60], pipelines=1, days=200)
    created = sorted(run["created_at"] for run in rig.truth(rig.world.pipelines[0].id))
    floor, page = created[10], created[-20]
    (task,) = rig.tasks()
    if "made" in wanted:
        (one,) = task.listing.pipelines
        younger = replace(one, external_id="younger", created_at=floor + timedelta(days=1))
        pipelines = [replace(one, created_at=floor), younger]
        task = Task(task.source, replace(task.listing, pipelines=(*pipelines,)))
    options = Options(since=floor if wanted == "since then" else None)
    told: list[Progress] = []
    sync(rig.database, [task], options, told.append)
    assert {one.listing for one in told} == {task.listing.key}
    assert (told[0].runs, told[0].reached) == (20, page)
    assert told[-1].runs == (50 if options.since else 60)
    depths = [one.depth for one in told]
    if wanted == "all":  # nobody knows how long it is
        assert set(depths) == {None}
    else:
        assert depths[0] == pytest.approx((created[-1] - page) / (created[-1] - floor))
        assert depths[-1] == 1

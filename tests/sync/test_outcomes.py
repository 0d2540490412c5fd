"""What is told and stored of how a sync ended."""

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from runsync.records import Run, RunWithSteps
from runsync.sources.wercker.source import Wercker
from runsync.storage.models import PipelineRow, SyncRow
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

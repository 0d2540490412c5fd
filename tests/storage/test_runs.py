"""When an answer counts as proof, which of two answers is the newer, and whose run it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runsync.coverage import Interval
from runsync.records import (
    GRACE,
    Cursor,
    Pipeline,
    Problem,
    Result,
    Run,
    RunWithSteps,
    Status,
    Step,
)
from runsync.storage.database import Database
from runsync.storage.runs import RunToWrite, StoredState, lacks_proof, without_known_steps
from runsync.storage.store import Batch, ListingStore, SetAside
from tests.storage.run_histories import EPOCH

INSTANT, DAY = timedelta(microseconds=1), timedelta(days=1)


def a_run(pipeline: Pipeline, **fields: Any) -> Run:
    times = dict.fromkeys(("created_at", "started_at", "finished_at"), EPOCH)
    told: dict[str, Any] = {"id": "1", "status": Status.FINISHED, "result": Result.PASSED, **times}
    return Run(pipeline=pipeline, **told | fields)


def state(**fields: Any) -> StoredState:
    """A run that was read whole when it was first seen, is over, and has no step."""
    times = ("steps_synced_at", "last_seen_at", "created_at", "first_seen_at")
    told = dict.fromkeys(times, EPOCH) | {"finished": True, "has_steps": False}
    return StoredState(**{"settled": False, "version": None, "vanished": False} | told | fields)


@pytest.mark.parametrize(
    ("stored", "is_enough_after"),
    [
        (None, None),
        (state(steps_synced_at=None), None),
        (state(), GRACE),
        (state(first_seen_at=EPOCH + DAY), GRACE + DAY),
        (state(finished=False), None),
        (state(last_seen_at=EPOCH + INSTANT), None),  # its steps did not come the last time
        (state(has_steps=True), None),
        (state(has_steps=True, last_seen_at=EPOCH + INSTANT), DAY),
        (state(has_steps=True, last_seen_at=EPOCH + INSTANT, finished=False), DAY),
    ],
)
def test_how_long_after_it_was_read_a_run_without_a_step_is_believed_to_have_none(
    stored: StoredState | None, is_enough_after: timedelta | None
) -> None:
    empty = RunWithSteps(a_run(Pipeline("build")), (), EPOCH + timedelta(days=400))
    assert lacks_proof(empty, stored) is (is_enough_after is None)
    if is_enough_after:
        for at, lacks in ((is_enough_after, False), (is_enough_after - INSTANT, True)):
            assert lacks_proof(replace(empty, as_of=EPOCH + at), stored) is lacks
    assert not lacks_proof(replace(empty, steps_read=False), stored)
    assert not lacks_proof(replace(empty, run=replace(empty.run, started_at=None)), stored)


def test_that_known_steps_did_not_come_is_told_beside_what_else_is_wrong() -> None:
    problem = Problem("run 1: its result is no word")
    found = RunWithSteps(a_run(Pipeline("build")), (), EPOCH, (problem,))
    told = without_known_steps(found)
    assert told == replace(found, problems=told.problems, steps_read=False)
    assert told.problems[0] == problem
    assert [one.what[:25] for one in told.problems[1:]] == ["run 1: no steps came, tho"]


def read(pipeline: Pipeline, hours: int = 0, *steps: Step, **fields: Any) -> RunToWrite:
    going_on = {"status": Status.RUNNING, "result": Result.UNKNOWN, "finished_at": None}
    run = a_run(pipeline, **going_on | fields)
    return RunToWrite(RunWithSteps(run, steps, EPOCH + timedelta(hours=hours)), settled=False)


def told_of(store: ListingStore, pipeline: Pipeline) -> tuple[Any, ...]:
    """All that a listing tells of its run, and of itself."""
    key = (pipeline.external_id, "1")
    return (
        store.known([key])[key],
        store.unsettled(),
        store.unsettled(incomplete_only=True),
        store.unsettled(but_set_aside_after=EPOCH - DAY),
        store.set_aside_runs(),
        store.not_found_once(),
        store.newest(),
        store.rank(Cursor(EPOCH - DAY, "")),
        store.coverage(),
        store.memory(),
    )


HERE = Pipeline("here", "build")
GONE = (HERE, "1", EPOCH)
STEP = Step(id="1", name="test", position=1, status=Status.RUNNING, result=Result.UNKNOWN)
HAPPENINGS: list[Callable[[ListingStore], object]] = [
    lambda s: s.settle((HERE, "1"), EPOCH, EPOCH + INSTANT),
    lambda s: s.save(Batch(vanished_though_listed=[GONE])),
    lambda s: s.save(Batch(set_aside=[SetAside(HERE, "1", "step 4 has no name", EPOCH)])),
    lambda s: s.save(Batch([replace(read(HERE, 1), with_steps=False)])),
    lambda s: s.save(Batch([read(HERE, 2, STEP)])),
    lambda s: s.save(Batch(vanished=[GONE])),
    lambda s: s.save(Batch(vanished=[(HERE, "1", EPOCH + GRACE)])),
    lambda s: s.save(Batch([replace(read(HERE, 3), settled=True)])),
    lambda s: s.save(Batch(intervals=[Interval(Cursor(EPOCH, "1"), Cursor(EPOCH, "1"))])),
    lambda s: s.save_memory({"seen": 1}),
]


def test_what_happens_to_a_run_happens_to_no_other(database: Database) -> None:
    """Neither to one of its id, in another pipeline or another source, nor to one beside it."""
    places = [("ci", HERE), ("ci", Pipeline("there", "build")), ("other", HERE)]
    stores = [
        (ListingStore(database, source, f"{source}/{one.external_id}"), one)
        for source, one in places
    ]
    for store, one in stores:
        aside = [SetAside(one, run_id, "step 3 has no name", EPOCH) for run_id in "12"]
        long_ago = Cursor(EPOCH - DAY, "0")
        runs = [read(one), read(one, id="2")]
        store.save(Batch(runs, [Interval(long_ago, long_ago)], set_aside=aside))
        store.save_memory({"seen": 0})
    here, *others = stores
    for happening in HAPPENINGS:
        before = [told_of(*one) for one in stores], here[0].known([(HERE.external_id, "2")])
        happening(here[0])
        assert told_of(*here) != before[0][0]
        assert [told_of(*one) for one in others] == before[0][1:]
        assert here[0].known([(HERE.external_id, "2")]) == before[1]


def test_an_answer_without_steps_does_not_make_a_settled_run_incomplete(sqlite: Database) -> None:
    store = ListingStore(sqlite, "ci", "ci/here")
    over = {"status": Status.FINISHED, "result": Result.PASSED, "finished_at": EPOCH}
    store.save(Batch([replace(read(HERE, 1, **over), settled=True)]))
    before = store.known([(HERE.external_id, "1")])
    store.save(Batch([replace(read(HERE, 2, **over), with_steps=False)]))
    assert store.known([(HERE.external_id, "1")]) == before

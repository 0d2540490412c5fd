"""When an answer counts as proof, which of two answers is the newer, and whose run it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

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
from runsync.storage.models import StepRow
from runsync.storage.runs import RunToWrite, StoredState, lacks_proof, without_known_steps
from runsync.storage.store import Batch, Counts, ListingStore, SetAside
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


def known(store: ListingStore, run_id: str = "1") -> StoredState:
    (found,) = store.known([(HERE.external_id, run_id)]).values()
    return found


def test_what_is_known_of_a_run_is_what_was_read_of_it(database: Database) -> None:
    store, hour = ListingStore(database, "ci", "ci/here"), timedelta(hours=1)
    # Of its id in another pipeline, and beside it, runs that have steps and are set aside.
    there = Pipeline("there", "build")
    others = [read(there, 0, STEP), read(HERE, 0, STEP, id="2")]
    asides = [SetAside(there, "1", "?", EPOCH), SetAside(HERE, "2", "?", EPOCH)]
    counts = store.save(Batch([read(HERE), *others], set_aside=asides))
    assert counts == Counts(runs_new=3, steps_written=2)
    told = state(finished=False)
    assert known(store) == told
    store.save(Batch([replace(read(HERE, 1), with_steps=False)]))
    told = replace(told, last_seen_at=EPOCH + hour)
    assert known(store) == told
    store.save(Batch([read(HERE, 2, STEP, version="7")]))
    read_at: dict[str, Any] = {
        "last_seen_at": EPOCH + 2 * hour,
        "steps_synced_at": EPOCH + 2 * hour,
    }
    told = replace(told, version="7", has_steps=True, **read_at)
    assert known(store) == told
    store.save(Batch(set_aside=[SetAside(HERE, "1", "?", EPOCH)]))
    assert known(store) == replace(told, set_aside=True)
    gone = (HERE, "1", EPOCH + 3 * hour)
    store.save(Batch(vanished=[gone]))
    told = replace(told, vanished=True)
    assert known(store) == told
    over = {"status": Status.FINISHED, "result": Result.PASSED, "finished_at": EPOCH}
    store.save(Batch([replace(read(HERE, 4, **over, version="8"), settled=True)]))
    read_at = {"last_seen_at": EPOCH + 4 * hour, "steps_synced_at": EPOCH + 4 * hour}
    told = replace(told, version="8", vanished=False, settled=True, finished=True, **read_at)
    assert known(store) == told
    store.save(Batch(vanished=[gone]))
    assert known(store) == replace(told, vanished=True, settled=False)
    assert known(store, "2").set_aside


def test_a_guess_of_another_time_says_nothing_of_a_run(sqlite: Database) -> None:
    store = ListingStore(sqlite, "ci", "ci/here")
    store.save(Batch([read(HERE)]))
    before = known(store)
    guess = read(HERE, 1, created_at=EPOCH - DAY)
    store.save(Batch([replace(guess, with_steps=False)]))
    assert known(store) == before


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        # The provider's own word of which is newer, whatever the hours.
        ((9, "a", True), (2, "b", True), "after"),
        ((2, "b", True), (9, "a", True), "before"),
        ((9, "a", True), (2, "b", False), "after"),
        # Else the settled answer, and then the later one.
        ((9, "a", False), (2, None, True), "after"),
        ((2, None, True), (9, "a", False), "before"),
        ((2, None, False), (9, "a", False), "after"),
        ((9, "a", False), (2, "a", False), "before"),
    ],
)
def test_whose_steps_are_the_newer(
    sqlite: Database,
    before: tuple[int, str | None, bool],
    after: tuple[int, str | None, bool],
    stays: str,
) -> None:
    store = ListingStore(sqlite, "ci", "ci/here")
    for name, (hours, version, settled) in (("before", before), ("after", after)):
        answer = read(HERE, hours, replace(STEP, name=name), version=version)
        store.save(Batch([replace(answer, settled=settled)]))
    with sqlite.read() as connection:
        assert connection.execute(select(StepRow.name)).scalars().all() == [stays]


def test_an_older_answer_finishes_a_step_of_a_run_that_has_not_settled(sqlite: Database) -> None:
    store = ListingStore(sqlite, "ci", "ci/here")
    for hours, status in ((2, Status.RUNNING), (1, Status.FINISHED)):
        store.save(Batch([read(HERE, hours, replace(STEP, status=status))]))
    with sqlite.read() as connection:
        assert connection.execute(select(StepRow.status)).scalars().all() == ["finished"]


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

"""Which of two answers about a run or a step is stored, one rule at a time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from runsync.errors import HistoryRestartedError
from runsync.records import Result, RunWithSteps, Status
from runsync.storage.database import Database
from runsync.storage.store import Counts, RunToWrite, StoredState
from tests.storage.run_histories import EPOCH, as_fetched
from tests.storage.test_store import OneRun, a_step, answer

RUNNING: dict[str, Any] = {
    "status": Status.RUNNING,
    "finished_at": None,
    "result": Result.UNKNOWN,
}


@pytest.fixture
def one_run(database: Database) -> OneRun:
    return OneRun(database)


def state(one_run: OneRun) -> StoredState:
    return one_run.store.known([one_run.run().key])[one_run.run().key]


def hour(hours: float) -> datetime:
    return EPOCH + timedelta(hours=hours)


def stepless(told: RunToWrite) -> RunToWrite:
    return as_fetched(told.details, with_steps=False)


# Runs.


def test_of_two_answers_of_one_second_the_later_one_stays(one_run: OneRun) -> None:
    for hours, fields in ((0.01, RUNNING), (2, {})):
        for progress in (10, 20):
            one_run.save(answer(one_run.run(progress=progress, **fields), hours=hours))
            assert one_run.row["progress"] == progress


def test_a_settled_answer_settles_though_the_run_was_seen_later(one_run: OneRun) -> None:
    one_run.save(stepless(answer(one_run.run(), hours=3)))
    assert not one_run.row["settled"]
    one_run.save(answer(one_run.run(progress=100), a_step("a"), hours=2))
    assert (one_run.row["settled"], one_run.row["progress"]) == (True, 100)


def test_a_status_further_on_is_later_whatever_the_clock_says(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(**RUNNING), hours=0.12))
    one_run.save(answer(one_run.run(), hours=0.1))
    assert (one_run.row["status"], one_run.row["settled"]) == ("finished", False)
    one_run.save(answer(one_run.run(**RUNNING), hours=0.11))
    assert one_run.row["status"] == "finished"
    one_run.save(answer(one_run.run(**RUNNING), hours=0.13))
    assert one_run.row["status"] == "running"


def test_an_answer_without_steps_settles_no_run_that_has_some(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(**RUNNING), a_step("a"), hours=0.01))
    told = RunWithSteps(one_run.run(), (), hour(2))
    one_run.save(RunToWrite(told, settled=True, with_steps=False))
    assert (one_run.row["settled"], one_run.row["status"]) == (False, "running")


@pytest.mark.parametrize("fields", [RUNNING, {}], ids=["unsettled", "settled"])
def test_an_older_answer_makes_nothing_seem_to_be_read_earlier(
    one_run: OneRun, fields: dict[str, Any]
) -> None:
    one_run.save(answer(one_run.run(**fields), hours=3))
    one_run.save(answer(one_run.run(**fields, source_run_id="origin"), hours=2))
    assert one_run.row["source_run_id"] == "origin"
    assert (state(one_run).last_seen_at, state(one_run).steps_synced_at) == (hour(3), hour(3))


def test_when_a_run_was_seen_and_when_its_steps_came_are_two_times(one_run: OneRun) -> None:
    running = one_run.run(**RUNNING)
    one_run.save(stepless(answer(running, hours=0.01)))
    assert state(one_run).steps_synced_at is None
    one_run.save(answer(running, hours=0.02))
    assert state(one_run).steps_synced_at == hour(0.02)
    one_run.save(stepless(answer(running, hours=0.03)))
    assert (state(one_run).last_seen_at, state(one_run).steps_synced_at) == (hour(0.03), hour(0.02))


@pytest.mark.parametrize(("seconds", "is_another"), [(0.999, False), (1, True)])
def test_a_second_makes_another_run(one_run: OneRun, seconds: float, is_another: bool) -> None:
    one_run.save(answer(one_run.run()))
    again = answer(one_run.run(created_at=EPOCH + timedelta(seconds=seconds)), hours=2)
    if is_another:
        with pytest.raises(HistoryRestartedError):
            one_run.save(again)
    else:
        one_run.save(again)
    # Where the steps did not come the time may be a guess, and the answer is passed over.
    far = answer(one_run.run(created_at=EPOCH + timedelta(days=1)), hours=3)
    assert one_run.save(stepless(far)) == Counts()


# Steps.


def test_equal_steps_of_a_running_run_are_left_alone(one_run: OneRun) -> None:
    steps = a_step("a"), a_step("b", status=Status.RUNNING)
    one_run.save(answer(one_run.run(**RUNNING), *steps, hours=0.01))
    assert one_run.save(answer(one_run.run(**RUNNING), *steps, hours=0.02)) == Counts()


def test_what_an_answer_does_not_tell_of_a_step_is_kept(one_run: OneRun) -> None:
    told = a_step("a", runner="linux", job="build", log_url="https://x", extra={"a": 1, "b": 1})
    bare = replace(told, runner=None, job=None, log_url=None, extra={"b": 2})
    one_run.save(answer(one_run.run(**RUNNING), told, hours=0.01))
    one_run.save(answer(one_run.run(), bare, hours=2))
    row = one_run.steps["a"]
    assert [row[name] for name in ("runner", "job", "log_url")] == ["linux", "build", "https://x"]
    assert row["extra"] == {"a": 1, "b": 2}


def test_an_older_answer_finishes_a_step_and_changes_nothing_else_of_it(one_run: OneRun) -> None:
    running = one_run.run(**RUNNING)
    unfinished = a_step("a", status=Status.RUNNING, result=Result.UNKNOWN, position=1)
    one_run.save(answer(running, unfinished, hours=0.03))
    one_run.save(answer(running, replace(unfinished, position=2), hours=0.02))
    assert one_run.steps["a"]["position"] == 1
    one_run.save(answer(running, a_step("a", position=3), hours=0.01))
    assert (one_run.steps["a"]["status"], one_run.steps["a"]["position"]) == ("finished", 3)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_settled_answers_the_newer_has_the_last_word(
    one_run: OneRun, order: tuple[int, int]
) -> None:
    unreached = a_step("a", status=Status.NOTSTARTED, result=Result.UNKNOWN)
    answers = (
        answer(one_run.run(version="a"), a_step("a"), a_step("b"), hours=48),
        answer(one_run.run(version="b"), unreached, hours=49),
    )
    assert all(one.settled for one in answers)
    for place in order:
        one_run.save(answers[place])
    assert one_run.steps["a"]["status"] == "notstarted"
    assert set(one_run.steps) == {"a", "b"}


def test_steps_that_come_late_are_as_good_as_the_first(one_run: OneRun) -> None:
    """Though the run was seen since, without them."""
    running = one_run.run(**RUNNING)
    one_run.save(stepless(answer(running, hours=0.03)))
    one_run.save(answer(running, a_step("a", status=Status.RUNNING), hours=0.01))
    one_run.save(answer(running, a_step("a", status=Status.RUNNING, position=2), hours=0.02))
    assert one_run.steps["a"]["position"] == 2

"""Answers about runs, saved in any order and any number of times, give the same rows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, event, select, text

from runsync.coverage import Interval, union
from runsync.errors import DatabaseError, HistoryRestartedError
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
from runsync.storage import database as database_module
from runsync.storage.audit import AuditStore
from runsync.storage.database import Database
from runsync.storage.models import ListingPipelineRow, PipelineRow, RunRow, StepRow, SyncRow
from runsync.storage.store import Batch, Counts, ListingStore, RunToWrite, SetAside
from tests.effort import effort
from tests.storage.run_histories import EPOCH, Life, as_fetched, lives, new_pipeline

# When we saw something is no fact about it.
OBSERVED = {"first_seen_at", "last_seen_at", "steps_synced_at"}
RowEncoder = dict[Any, dict[str, Any]]


def store_of(database: Database, pipeline: Pipeline) -> ListingStore:
    return ListingStore(database, "ci", f"ci/{pipeline.external_id}")


def run_rows(database: Database, pipeline: Pipeline) -> RowEncoder:
    """The rows of a pipeline's runs by their ids, without what was but observed."""
    query = select(RunRow.__table__).join(PipelineRow)
    with database.read() as connection:
        rows = connection.execute(
            query.where(PipelineRow.external_id == pipeline.external_id)
        ).mappings()
        return {row["id"]: {k: v for k, v in row.items() if k not in OBSERVED} for row in rows}


def step_rows(database: Database, pipeline: Pipeline) -> RowEncoder:
    """The rows of a pipeline's steps by their run's id and their own."""
    query = select(StepRow.__table__).join(PipelineRow, PipelineRow.id == StepRow.pipeline_id)
    with database.read() as connection:
        rows = connection.execute(
            query.where(PipelineRow.external_id == pipeline.external_id)
        ).mappings()
        return {(row["run_id"], row["id"]): dict(row) for row in rows}


def assert_stored(database: Database, pipeline: Pipeline, told: list[Life]) -> None:
    runs, steps = run_rows(database, pipeline), step_rows(database, pipeline)
    assert runs.keys() == {life.run.id for life in told}
    assert len(steps) == sum(len(life.expected_steps()) for life in told)
    for life in told:
        row, expected = runs[life.run.id], life.expected_run()
        assert {name: row[name] for name in expected} == expected
        for step_id, wanted in life.expected_steps().items():
            found = steps[life.run.id, step_id]
            assert {name: found[name] for name in wanted} == wanted


def changed(before: RowEncoder, after: RowEncoder) -> int:
    return sum(key in before and before[key] != row for key, row in after.items())


def save_counted(database: Database, store: ListingStore, pipeline: Pipeline, batch: Batch) -> None:
    """Saves, and holds what was counted against what has changed."""
    runs, steps = run_rows(database, pipeline), step_rows(database, pipeline)
    counts = store.save(batch)
    runs_after, steps_after = run_rows(database, pipeline), step_rows(database, pipeline)
    come_or_gone = len(steps_after.keys() ^ steps.keys())
    assert counts == Counts(
        runs_new=len(runs_after) - len(runs),
        runs_updated=changed(runs, runs_after),
        steps_written=come_or_gone + changed(steps, steps_after),
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@effort(25)
@given(data=st.data())
def test_any_order_gives_the_same_rows(
    request: pytest.FixtureRequest, kind: str, data: st.DataObject
) -> None:
    database = opened(request, kind)
    pipeline = new_pipeline()
    told = [data.draw(lives(pipeline, n)) for n in range(data.draw(st.integers(1, 2)))]
    answers = [answer for life in told for answer in life.answers]
    repeats = data.draw(st.lists(st.sampled_from(answers), max_size=3))
    store = store_of(database, pipeline)
    late = [answer for life in told for answer in life.late]
    for answer in [*data.draw(st.permutations(answers + repeats)), *late]:
        save_counted(database, store, pipeline, Batch([answer]))
    assert_stored(database, pipeline, told)
    for answer in repeats:
        assert store.save(Batch([answer])) == Counts()


def opened(request: pytest.FixtureRequest, kind: str) -> Database:
    """One database for all the examples of a test."""
    found = getattr(request.node, "opened", None)
    if found is None:
        found = request.node.opened = Database(request.getfixturevalue(f"{kind}_url"))
        request.addfinalizer(found.close)
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@effort(6)
@given(data=st.data())
def test_two_stores_at_once_give_the_same_rows(
    request: pytest.FixtureRequest, kind: str, data: st.DataObject
) -> None:
    pipeline = new_pipeline()
    told = [data.draw(lives(pipeline, n)) for n in range(3)]
    answers = [answer for life in told for answer in life.answers]
    other = data.draw(st.permutations(answers))
    half = data.draw(st.integers(0, len(answers)))
    ours = data.draw(st.permutations(answers))[:half]
    failures: list[BaseException] = []
    new: list[int] = []

    def save(share: list[RunToWrite]) -> None:
        database = Database(request.getfixturevalue(f"{kind}_url"))
        store = store_of(database, pipeline)
        try:
            new.extend(store.save(Batch([answer])).runs_new for answer in share)
        except BaseException as error:  # noqa: BLE001 - shown in the main thread
            failures.append(error)
        finally:
            database.close()

    request.getfixturevalue(f"{kind}_url")
    threads = [threading.Thread(target=save, args=(share,)) for share in (other, ours)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sum(new) == len(told)
    database = opened(request, kind)
    store_of(database, pipeline).save(Batch([answer for life in told for answer in life.late]))
    assert_stored(database, pipeline, told)


# One rule at a time, in words.


def a_run(pipeline: Pipeline, **fields: Any) -> Run:
    told: dict[str, Any] = {
        "id": "run",
        "created_at": EPOCH,
        "started_at": EPOCH,
        "finished_at": EPOCH + timedelta(minutes=5),
        "status": Status.FINISHED,
        "result": Result.PASSED,
    }
    return Run(pipeline=pipeline, **told | fields)


def a_step(name: str, **fields: Any) -> Step:
    told: dict[str, Any] = {"status": Status.FINISHED, "result": Result.PASSED, "position": 1}
    return Step(id=name, name=name, **told | fields)


def answer(run: Run, *steps: Step, hours: float = 1) -> RunToWrite:
    return as_fetched(RunWithSteps(run, steps, EPOCH + timedelta(hours=hours)))


class OneRun:
    """A store of one pipeline, with its one run's row and steps."""

    def __init__(self, database: Database) -> None:
        self.database, self.pipeline = database, new_pipeline()
        self.store = store_of(database, self.pipeline)

    def save(self, *answers: RunToWrite) -> Counts:
        return self.store.save(Batch(answers))

    def run(self, **fields: Any) -> Run:
        return a_run(self.pipeline, **fields)

    @property
    def row(self) -> dict[str, Any]:
        return run_rows(self.database, self.pipeline)["run"]

    @property
    def steps(self) -> RowEncoder:
        found = step_rows(self.database, self.pipeline)
        return {key: row for (_, key), row in found.items()}


@pytest.fixture
def one_run(database: Database) -> OneRun:
    return OneRun(database)


def test_what_is_equal_is_left_alone(one_run: OneRun) -> None:
    told = one_run.run(extra={"user": {"avatar": None, "tags": [None, {"a": None}]}})
    first = answer(told, a_step("a", extra={"x": {"y": None}}), a_step("b"))
    assert one_run.save(first) == Counts(runs_new=1, steps_written=2)
    before = one_run.row, one_run.steps
    for later in (1, 2, 3):
        again = answer(told, *first.details.steps, hours=1 + later)
        assert one_run.save(again) == Counts()
    assert (one_run.row, one_run.steps) == before


def test_the_order_of_keys_is_no_change_and_text_stays_as_it_is(sqlite: Database) -> None:
    one_run = OneRun(sqlite)
    one_run.save(answer(one_run.run(extra={"b": {"y": "ü", "x": 1}, "a": 2})))
    again = answer(one_run.run(extra={"a": 2, "b": {"x": 1, "y": "ü"}}), hours=2)
    assert one_run.save(again) == Counts()
    with sqlite.read() as connection:
        kept = connection.execute(text("SELECT extra FROM runs")).scalar()
    assert kept == '{"a":2,"b":{"x":1,"y":"ü"}}'


def test_a_list_item_never_blanks_what_a_detail_gave(one_run: OneRun) -> None:
    facts = "branch commit_hash message author author_id source_run_id url".split()
    running = {"status": Status.RUNNING, "finished_at": None, "result": Result.UNKNOWN}
    given_once = {name: f"the {name}" for name in facts}
    detail = one_run.run(**running, **given_once, extra={"commits": [1], "user": {"a": 1}})
    one_run.save(answer(detail))
    one_run.save(answer(one_run.run(**running, extra={"user": {"a": 1}}), hours=2))
    one_run.save(answer(one_run.run(extra={"user": {"a": 1}}), hours=3))
    assert {name: one_run.row[name] for name in facts} == given_once
    assert one_run.row["extra"] == {"commits": [1], "user": {"a": 1}}
    assert one_run.row["status"] == "finished"


def test_what_a_newer_answer_leaves_out_is_taken_from_an_older_one(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(), a_step("b"), hours=2))
    older = one_run.run(
        status=Status.RUNNING, finished_at=None, source_run_id="origin", extra={"commits": [1]}
    )
    counts = one_run.save(answer(older, a_step("a", status=Status.RUNNING), hours=1))
    assert counts == Counts(runs_updated=1, steps_written=1)
    assert one_run.row["source_run_id"] == "origin"
    assert one_run.row["extra"] == {"commits": [1]}
    assert one_run.row["status"] == "finished"
    assert one_run.row["settled"]
    assert set(one_run.steps) == {"a", "b"}


def test_both_databases_merge_extra_alike(one_run: OneRun) -> None:
    running = {"status": Status.RUNNING, "finished_at": None}
    one_run.save(answer(one_run.run(**running, extra={"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 3})))
    one_run.save(
        answer(one_run.run(**running, extra={"a": {"x": None}, "b": [3], "d": 4}), hours=2)
    )
    assert one_run.row["extra"] == {"a": {"x": None}, "b": [3], "c": 3, "d": 4}


@pytest.mark.parametrize("shorter", [(), ("b",)], ids=["empty", "shorter"])
def test_fewer_steps_take_none_away(one_run: OneRun, shorter: tuple[str, ...]) -> None:
    one_run.save(answer(one_run.run(), a_step("a"), a_step("b")))
    one_run.save(answer(one_run.run(), *map(a_step, shorter), hours=2))
    assert set(one_run.steps) == {"a", "b"}


def test_an_older_answer_never_overwrites_a_settled_run(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(message="final"), a_step("a"), hours=2))
    settled = one_run.row, one_run.steps
    running = {"status": Status.RUNNING, "result": Result.UNKNOWN, "finished_at": None}
    for hours in (1, 1.5, 3):
        late = answer(
            one_run.run(**running), a_step("a", status=Status.RUNNING, position=9), hours=hours
        )
        assert one_run.save(late) == Counts()
    one_run.save(answer(one_run.run(message="older", result=Result.FAILED), a_step("a"), hours=1))
    assert (one_run.row, one_run.steps) == settled


def test_the_last_steps_of_an_aborted_run_are_taken(one_run: OneRun) -> None:
    aborted = one_run.run(result=Result.ABORTED, progress=42)
    soon = answer(aborted, a_step("a", status=Status.RUNNING, result=Result.UNKNOWN), hours=0.1)
    assert not soon.settled
    one_run.save(soon)
    done = answer(replace(aborted, progress=57), a_step("a", result=Result.ABORTED), hours=2)
    assert done.settled
    assert one_run.save(done) == Counts(runs_updated=1, steps_written=1)
    assert one_run.row["progress"] == 57
    assert one_run.steps["a"]["result"] == "aborted"


def test_the_settled_answer_has_the_last_word_on_a_step(one_run: OneRun) -> None:
    running = one_run.run(status=Status.RUNNING, result=Result.UNKNOWN, finished_at=None)
    early = answer(running, a_step("a", finished_at=EPOCH), a_step("b"), hours=0.01)
    unreached = a_step("a", status=Status.NOTSTARTED, result=Result.UNKNOWN)
    settled = answer(one_run.run(), unreached, a_step("b"), hours=48)
    assert settled.settled
    one_run.save(early)
    assert one_run.steps["a"]["status"] == "finished"
    assert one_run.save(settled) == Counts(runs_updated=1, steps_written=1)
    told = {"status": "notstarted", "result": "unknown", "finished_at": None}
    assert {name: one_run.steps["a"][name] for name in told} == told
    assert one_run.save(early) == Counts()
    assert {name: one_run.steps["a"][name] for name in told} == told


def test_an_unsettled_answer_takes_back_no_step(one_run: OneRun) -> None:
    aborted = one_run.run(result=Result.ABORTED)
    one_run.save(answer(aborted, a_step("a"), hours=0.1))
    lagging = answer(aborted, a_step("a", status=Status.RUNNING), hours=0.12)
    assert not lagging.settled
    assert one_run.save(lagging) == Counts()


@pytest.mark.parametrize("hours", [0.02, 2, 24 * 90])
@pytest.mark.parametrize("shorter", [(), ("a",)], ids=["empty", "shorter"])
def test_fewer_steps_take_none_away_of_an_unfinished_run(
    one_run: OneRun, shorter: tuple[str, ...], hours: float
) -> None:
    running = one_run.run(status=Status.RUNNING, result=Result.UNKNOWN, finished_at=None)
    one_run.save(answer(running, a_step("a"), a_step("b"), hours=0.01))
    one_run.save(
        answer(running if hours < 1 else one_run.run(), *map(a_step, shorter), hours=hours)
    )
    assert set(one_run.steps) == {"a", "b"}


def test_facts_are_filled_in_by_answers_of_any_age(one_run: OneRun) -> None:
    """A machine that is no more, say, which the service has forgotten since."""
    running = one_run.run(status=Status.RUNNING, result=Result.UNKNOWN, finished_at=None)
    early = answer(running, a_step("a", runner="linux-1", extra={"x": 1}), hours=0.01)
    settled = answer(one_run.run(), a_step("a", extra={"x": 2}), hours=2)
    later = answer(one_run.run(), a_step("a"), hours=3)
    for one in (settled, early, later):
        one_run.save(one)
    assert one_run.steps["a"]["runner"] == "linux-1"
    assert one_run.steps["a"]["extra"] == {"x": 2}


def test_a_newer_version_opens_a_settled_run_again(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(version="2024-03-01T00:05:00Z"), a_step("a"), hours=2))
    again = one_run.run(
        version="2024-03-01T05:00:00Z", status=Status.RUNNING, finished_at=None, attempt=2
    )
    one_run.save(answer(again, a_step("a"), a_step("b", status=Status.RUNNING), hours=6))
    assert not one_run.row["settled"]
    assert one_run.row["status"] == "running"
    assert set(one_run.steps) == {"a", "b"}
    # The answer of before, late: it is of an older version, settled or not.
    assert (
        one_run.save(answer(one_run.run(version="2024-03-01T00:05:00Z"), a_step("a"), hours=3))
        == Counts()
    )
    assert one_run.row["attempt"] == 2


def test_an_older_settled_answer_does_not_change_the_steps_of_a_newer(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(version="b"), a_step("a", result=Result.FAILED), hours=9))
    one_run.save(answer(one_run.run(version="a"), a_step("a", result=Result.PASSED), hours=2))
    assert one_run.steps["a"]["result"] == "failed"


@pytest.mark.parametrize("is_settled", [False, True])
def test_an_older_answer_does_not_change_the_steps_of_a_newer(
    one_run: OneRun, is_settled: bool
) -> None:
    """Of the same version, and as settled; one of the same second that comes later is newer."""
    status = Status.FINISHED if is_settled else Status.RUNNING
    run = one_run.run(**{} if is_settled else {"status": status, "finished_at": None})
    for hours, runner, stored in ((3, "b", "b"), (2, "a", "b"), (3, "c", "c"), (4, "d", "d")):
        told = answer(run, a_step("a", status=status, runner=runner), hours=hours)
        assert told.settled is is_settled
        one_run.save(told)
        assert one_run.steps["a"]["runner"] == stored


WAITING = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def until_it_waits(writer: threading.Thread, database: Database) -> None:
    """Waits for a thread to wait for a lock of the database, or to end."""
    waiting = 0
    while writer.is_alive() and not waiting:
        with database.read() as connection:
            waiting = connection.execute(WAITING).scalar_one()


def test_an_older_answer_waits_for_a_newer_that_is_being_written(postgres_url: str) -> None:
    """Else it goes by what was stored before, and takes the newer steps back."""
    ours, theirs = OneRun(Database(postgres_url)), OneRun(Database(postgres_url))
    theirs.pipeline, theirs.store = ours.pipeline, store_of(theirs.database, ours.pipeline)
    running = ours.run(status=Status.RUNNING, finished_at=None)

    def told(hours: int, runner: str) -> RunToWrite:
        return answer(running, a_step("a", status=Status.RUNNING, runner=runner), hours=hours)

    ours.save(told(1, "first"))
    late = threading.Thread(target=lambda: theirs.save(told(2, "older")))

    def meanwhile(_: Connection) -> None:
        late.start()
        until_it_waits(late, theirs.database)

    event.listen(ours.database.engine, "commit", meanwhile, once=True)
    ours.save(told(3, "newer"))
    late.join()
    assert ours.steps["a"]["runner"] == "newer"
    ours.database.close()
    theirs.database.close()


def test_a_run_that_turns_up_again_is_no_longer_gone(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run()))
    gone = [(one_run.pipeline, "run", EPOCH + timedelta(hours=2))]
    assert one_run.store.save(Batch(vanished=gone)) == Counts(runs_updated=1)
    assert one_run.store.save(Batch(vanished=gone)) == Counts()
    assert one_run.row["vanished_at"] == EPOCH + timedelta(hours=2)
    assert one_run.save(answer(one_run.run(), hours=3)) == Counts(runs_updated=1)
    assert one_run.row["vanished_at"] is None


def test_a_settled_run_that_is_not_found_is_in_doubt_where_its_listing_shows_it(
    one_run: OneRun,
) -> None:
    gone = [(one_run.pipeline, run_id, EPOCH + timedelta(hours=2)) for run_id in ("run", "other")]
    for batch, settled in (
        (Batch(vanished=gone), True),
        (Batch(vanished_though_listed=gone), False),
    ):
        one_run.save(answer(one_run.run(), hours=3), answer(one_run.run(id="other"), hours=3))
        assert one_run.store.save(batch) == Counts(runs_updated=2)
        assert one_run.row["settled"] is settled
        assert one_run.store.save(batch) == Counts()


def test_a_batch_is_written_whole_or_not_at_all(one_run: OneRun) -> None:
    good = answer(one_run.run(id="good"), a_step("a"))
    bad = answer(one_run.run(id="zzz"), a_step("a", started_at=datetime(2024, 1, 1)))  # noqa: DTZ001
    with pytest.raises((DatabaseError, ValueError), match="without a zone"):
        one_run.store.save(Batch([good, bad], [Interval(cursor(2), cursor(1))]))
    assert run_rows(one_run.database, one_run.pipeline) == {}
    assert one_run.steps == {}
    assert one_run.store.coverage() == []
    # Nor does the store take the pipeline's row for written, which was undone with the rest.
    assert one_run.save(good) == Counts(runs_new=1, steps_written=1)


def test_a_run_whose_steps_did_not_come_keeps_its_state_and_is_read_again(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(version="1", result=Result.FAILED), a_step("a"), hours=1))
    before = one_run.row
    reopened = one_run.run(
        version="2", status=Status.RUNNING, finished_at=None, attempt=2, url="https://run"
    )
    stepless = as_fetched(RunWithSteps(reopened, (), EPOCH + timedelta(hours=2)), with_steps=False)
    one_run.save(stepless)
    assert one_run.row == before | {"settled": False, "url": "https://run"}
    assert [run_id for _, run_id in one_run.store.unsettled(incomplete_only=True)] == ["run"]
    older = as_fetched(RunWithSteps(reopened, (), EPOCH), with_steps=False)
    one_run.save(answer(reopened, a_step("a"), hours=3))
    after = one_run.row
    one_run.save(older)
    assert one_run.row == after


@pytest.mark.parametrize("seconds", [-86_400, -1, 1, 400 * 86_400])
def test_the_same_id_with_another_creation_time_is_another_run(
    one_run: OneRun, seconds: int
) -> None:
    one_run.save(answer(one_run.run(), a_step("a"), hours=2))
    stored = one_run.row, one_run.steps
    other = one_run.run(
        created_at=EPOCH + timedelta(seconds=seconds), message="of the new database"
    )
    fresh = answer(one_run.run(id="another", created_at=EPOCH), a_step("a"))
    with pytest.raises(HistoryRestartedError, match="nothing was overwritten") as refused:
        one_run.save(fresh, answer(other, a_step("a", result=Result.FAILED), hours=999_999))
    assert refused.value.exit_code == 4
    assert set(run_rows(one_run.database, one_run.pipeline)) == {"run"}
    assert (one_run.row, one_run.steps) == stored


def test_a_creation_time_that_may_be_a_guess_proves_nothing(one_run: OneRun) -> None:
    guess = one_run.run(created_at=EPOCH - timedelta(days=9))
    stub = as_fetched(RunWithSteps(guess, (), EPOCH), with_steps=False)
    one_run.save(stub)
    one_run.save(answer(one_run.run(), a_step("a")))
    assert one_run.row["created_at"] == EPOCH
    stored = one_run.row
    one_run.save(as_fetched(RunWithSteps(guess, (), EPOCH + timedelta(days=1)), with_steps=False))
    assert one_run.row == stored


def test_rounding_by_the_provider_makes_no_other_run(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(created_at=EPOCH + timedelta(milliseconds=400)), hours=1))
    one_run.save(answer(one_run.run(created_at=EPOCH), hours=2))
    assert one_run.row["created_at"] == EPOCH


# Runs that are set aside.


def test_a_run_that_is_set_aside_is_named_until_it_is_read_whole(one_run: OneRun) -> None:
    bad = as_fetched(answer(one_run.run(id="bad")).details, with_steps=False)
    aside = SetAside(one_run.pipeline, "bad", "run bad: step 3 has no name", EPOCH)
    one_run.store.save(Batch([bad, answer(one_run.run())], set_aside=[aside]))
    later = replace(aside, reason="run bad: step 4 has no name", at=EPOCH + timedelta(days=1))
    one_run.store.save(Batch(set_aside=[later]))
    (found,) = one_run.store.set_aside_runs()
    pipeline = Pipeline(one_run.pipeline.external_id, "build")
    assert found == SetAside(pipeline, "bad", later.reason, later.at)
    assert one_run.store.unsettled() == [(pipeline, "bad")]
    assert one_run.store.unsettled(but_set_aside_after=later.at) == [(pipeline, "bad")]
    assert one_run.store.unsettled(incomplete_only=True) == [(pipeline, "bad")]
    just_before = later.at - timedelta(microseconds=1)
    assert one_run.store.unsettled(but_set_aside_after=just_before) == []
    running = one_run.run(id="running", status=Status.RUNNING, finished_at=None)
    one_run.save(answer(running))
    assert one_run.store.unsettled(but_set_aside_after=just_before) == [(pipeline, "running")]
    assert one_run.store.known([one_run.run(id="bad").key])[
        one_run.pipeline.external_id, "bad"
    ].set_aside
    still_bad = replace(bad.details, problems=(Problem("run bad: step 4 has no name"),))
    for unreadable in (bad, RunToWrite(still_bad, settled=False)):
        one_run.save(unreadable)
        assert one_run.store.set_aside_runs() == [found]
    one_run.save(answer(one_run.run(id="bad"), a_step("a"), hours=2))
    assert one_run.store.set_aside_runs() == []


def test_a_run_that_is_not_found_for_a_month_is_given_up(one_run: OneRun) -> None:
    one_run.save(answer(one_run.run(status=Status.RUNNING, finished_at=None)))
    one_run.save(answer(one_run.run(id="settled")))
    month = timedelta(days=30)
    for after, aside, settled in (
        (timedelta(0), [], False),
        (GRACE - timedelta(microseconds=1), [], False),
        (GRACE, ["run"], False),
        (month - timedelta(microseconds=1), ["run"], False),
        (month, [], True),
    ):
        gone = [(one_run.pipeline, run_id, EPOCH + after) for run_id in ("run", "settled")]
        one_run.store.save(Batch(vanished=gone))
        found = one_run.store.set_aside_runs()
        assert [one.run_id for one in found] == aside
        assert all(f"run {one.run_id}: the provider" in one.reason for one in found)
        assert (one_run.row["vanished_at"], one_run.row["settled"]) == (EPOCH, settled)


def test_those_that_have_been_set_aside_longest_come_first(one_run: OneRun) -> None:
    asides = [
        SetAside(one_run.pipeline, run_id, "a\x00b\ud800" * 9_999, EPOCH + timedelta(hours=hours))
        for run_id, hours in (("c", 1), ("b", 2), ("a", 2), ("d", 0))
    ]
    one_run.store.save(Batch(set_aside=asides))
    found = one_run.store.set_aside_runs()
    assert [one.run_id for one in found] == ["d", "c", "a", "b"]
    assert found[0].reason.startswith(r"a\x00b\ud800a")
    assert len(found[0].reason) <= 10_000


# Pipelines and listings.


def test_a_pipeline_is_introduced_once_and_renamed(database: Database) -> None:
    first = Pipeline("p", "build", "https://x", EPOCH, {"a": 1})
    for pipeline in (first, first, Pipeline("p"), Pipeline("p", "renamed")):
        store_of(database, first).save(Batch(pipelines=[pipeline]))
    with database.read() as connection:
        (row,) = connection.execute(select(PipelineRow.__table__)).mappings()
        (listed,) = connection.execute(select(ListingPipelineRow.__table__)).mappings()
    assert (row["name"], row["url"], row["created_at"]) == ("renamed", "https://x", EPOCH)
    assert row["extra"] == {"a": 1}
    assert listed["listing"] == "ci/p"
    store_of(database, first).save(Batch(pipelines=[Pipeline("unnamed")]))
    with database.read() as connection:
        names = connection.execute(select(PipelineRow.name)).scalars().all()
    assert sorted(names) == ["renamed", "unnamed"]


def name_of_the_pipeline(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(select(PipelineRow.name)).scalar_one())


def test_the_users_own_name_wins_however_many_listings_hold_the_pipeline(
    database: Database,
) -> None:
    theirs = Pipeline("p", "theirs")
    labelled = ListingStore(database, "ci", "ci/p", label="mine")
    application = ListingStore(database, "ci", "ci/application")
    for store in (labelled, application, labelled):
        store.save(Batch(pipelines=[theirs]))
        store.save(Batch([answer(a_run(theirs))]))
        assert name_of_the_pipeline(database) == "mine"
    for store in (ListingStore(database, "ci", "ci/application"),) * 2:
        store.save(Batch(pipelines=[replace(theirs, name="renamed")]))
        assert name_of_the_pipeline(database) == "mine"


def test_a_label_is_of_its_own_pipeline_and_of_two_the_first_by_letter_counts(
    sqlite: Database,
) -> None:
    theirs, other = Pipeline("p", "theirs"), Pipeline("other", "another")
    for number, label in enumerate(("b", "a", "c")):
        store = ListingStore(sqlite, "ci", f"ci/{number}", label=label)
        store.save(Batch(pipelines=[theirs]))
    ListingStore(sqlite, "ci", "ci/other").save(Batch(pipelines=[other]))
    with sqlite.read() as connection:
        names = dict(connection.execute(select(PipelineRow.external_id, PipelineRow.name)).all())
    assert names == {"p": "a", "other": "another"}


def test_a_label_that_is_taken_out_of_the_config_gives_the_name_back(database: Database) -> None:
    labels = ((None, "theirs"), ("mine", "mine"), ("other", "other"), (None, "theirs"))
    for label, name in labels:
        store = ListingStore(database, "ci", "ci/p", label=label)
        store.save(Batch(pipelines=[Pipeline("p", "theirs")]))
        assert name_of_the_pipeline(database) == name


def test_a_name_that_a_run_tells_replaces_no_other(database: Database) -> None:
    by_run = Pipeline("p", ".github/workflows/ci.yml", named_by_run=True)
    for told, name in (
        (by_run, ".github/workflows/ci.yml"),
        (Pipeline("p", "CI"), "CI"),
        (by_run, "CI"),
        (Pipeline("p", "renamed"), "renamed"),
    ):
        ListingStore(database, "ci", "ci/p").save(Batch([answer(a_run(told))]))
        assert name_of_the_pipeline(database) == name


def test_two_sources_may_use_the_same_ids(database: Database) -> None:
    pipeline = Pipeline("p", "build")
    for source in ("one", "two"):
        store = ListingStore(database, source, f"{source}/p")
        store.save(Batch([answer(a_run(pipeline, message=source))]))
        assert set(store.known([a_run(pipeline).key])) == {("p", "run")}
    with database.read() as connection:
        messages = connection.execute(select(RunRow.message)).scalars()
        assert sorted(map(str, messages)) == ["one", "two"]


# Coverage.


def cursor(second: int) -> Cursor:
    return Cursor(EPOCH + timedelta(seconds=second), f"run {second}")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@effort(10)
@given(
    shares=st.lists(
        st.lists(
            st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
                lambda pair: Interval(cursor(max(pair)), cursor(min(pair)), min(pair) == 0)
            ),
            max_size=5,
        ),
        min_size=2,
        max_size=2,
    )
)
def test_two_machines_extend_coverage_at_once(
    request: pytest.FixtureRequest, kind: str, shares: list[list[Interval]]
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    pipeline = new_pipeline()

    def extend(share: list[Interval]) -> None:
        database = Database(url)
        for interval in share:
            store_of(database, pipeline).save(Batch(intervals=[interval]))
        database.close()

    threads = [threading.Thread(target=extend, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database = opened(request, kind)
    assert store_of(database, pipeline).coverage() == union(shares[0] + shares[1])


def test_each_listing_has_its_own_coverage_newest_first(database: Database) -> None:
    one, other = (store_of(database, new_pipeline()) for _ in range(2))
    old, new = Interval(cursor(2), cursor(1), True), Interval(cursor(9), cursor(8), False)
    one.save(Batch(intervals=[old]))
    other.save(Batch(intervals=[new]))
    one.save(Batch(intervals=[new]))
    with statements(database) as sent:
        one.save(Batch(intervals=[old]))
    assert not any(statement.startswith(("DELETE", "INSERT")) for statement in sent)
    assert one.coverage() == [new, old]
    assert other.coverage() == [new]


# What the engine asks.


def test_unsettled_runs_come_in_the_order_in_which_they_were_read(one_run: OneRun) -> None:
    running = {"status": Status.RUNNING, "finished_at": None}
    for number in (3, 1, 2):
        at = EPOCH + timedelta(minutes=number)
        one_run.save(answer(one_run.run(id=f"run {number}", created_at=at, **running)))
    one_run.save(answer(one_run.run(id="settled")))
    one_run.save(as_fetched(answer(one_run.run(id="stepless")).details, with_steps=False))
    gone = [(one_run.pipeline, "run 2", EPOCH)]
    one_run.store.save(Batch(vanished=gone))
    unsettled = [run_id for _, run_id in one_run.store.unsettled()]
    assert unsettled == ["run 1", "run 2", "run 3", "stepless"]
    incomplete = one_run.store.unsettled(incomplete_only=True)
    assert [run_id for _, run_id in incomplete] == ["run 2", "stepless"]
    # Once may be a passing fault; after a second time, the grace period later, a day may pass.
    one_run.store.save(Batch(vanished=[(one_run.pipeline, "run 2", EPOCH + GRACE / 2)]))
    assert "run 2" in [run_id for _, run_id in one_run.store.unsettled()]
    one_run.store.save(Batch(vanished=[(one_run.pipeline, "run 2", EPOCH + GRACE)]))
    found = one_run.store.unsettled(but_set_aside_after=EPOCH)
    unsettled = [run_id for _, run_id in found]
    assert unsettled == ["run 1", "run 3", "stepless"]
    incomplete = one_run.store.unsettled(incomplete_only=True, but_set_aside_after=EPOCH)
    assert [run_id for _, run_id in incomplete] == ["stepless"]
    aside = SetAside(one_run.pipeline, "run 1", "a step cannot be read", EPOCH)
    one_run.store.save(Batch(set_aside=[aside]))
    incomplete = one_run.store.unsettled(incomplete_only=True)
    assert [run_id for _, run_id in incomplete] == ["run 1", "run 2", "stepless"]
    audit = AuditStore(one_run.database, one_run.store.source, one_run.store.listing)
    assert len(list(audit.present())) == audit.count_present() == 4
    assert len(list(audit.present(EPOCH + timedelta(minutes=1)))) == 2
    assert one_run.store.rank(Cursor(EPOCH + timedelta(minutes=1), "x")) == 1


def test_those_read_longest_ago_come_first(one_run: OneRun) -> None:
    for number, hours in ((1, 0.03), (2, 0.01), (3, 0.02)):
        run = one_run.run(id=f"run {number}", status=Status.RUNNING, finished_at=None)
        one_run.save(answer(run, hours=hours))
    assert [run for _, run in one_run.store.unsettled()] == ["run 2", "run 3", "run 1"]


def test_the_newest_run_and_those_that_were_not_found_once(one_run: OneRun) -> None:
    assert one_run.store.newest() is None
    for number in (1, 2, 3):
        at = EPOCH + timedelta(minutes=number)
        one_run.save(answer(one_run.run(id=f"run {number}", created_at=at)))
    assert one_run.store.newest() == (Pipeline(one_run.pipeline.external_id, "build"), "run 3")
    for at in (EPOCH, EPOCH + GRACE):
        one_run.store.save(Batch(vanished=[(one_run.pipeline, "run 3", at)]))
    newest = one_run.store.newest()
    assert newest
    assert newest[1] == "run 2"
    assert one_run.store.rank(Cursor(EPOCH, "x")) == 2
    running = one_run.run(id="run 4", status=Status.RUNNING, finished_at=None)
    one_run.save(answer(running))
    assert one_run.store.not_found_once() == set()
    one_run.store.save(Batch(vanished=[(one_run.pipeline, "run 4", EPOCH)]))
    assert one_run.store.not_found_once() == {"run 4"}
    aside = SetAside(one_run.pipeline, "run 4", "a step cannot be read", EPOCH)
    one_run.store.save(Batch(set_aside=[aside]))
    assert one_run.store.not_found_once() == set()


def test_a_run_is_settled_only_as_it_was_read(one_run: OneRun) -> None:
    read_at, now = EPOCH + timedelta(hours=0.1), EPOCH + timedelta(hours=2)
    run = one_run.run()
    one_run.save(answer(run, a_step("a"), hours=0.1))
    for other in (read_at - timedelta(seconds=1), read_at + timedelta(seconds=1)):
        assert not one_run.store.settle((one_run.pipeline, "run"), other, now)
    assert not one_run.row["settled"]
    assert one_run.store.settle((one_run.pipeline, "run"), read_at, now)
    state = one_run.store.known([run.key])[run.key]
    assert (state.settled, state.steps_synced_at, state.last_seen_at) == (True, now, now)


def test_a_run_that_is_being_written_is_not_settled_as_it_was_before(postgres_url: str) -> None:
    """Else its steps are newer than the run, and nobody asks for the run again."""
    ours, rival = OneRun(Database(postgres_url)), Database(postgres_url)
    theirs, settled = store_of(rival, ours.pipeline), list[bool]()
    first, second, third = (EPOCH + timedelta(hours=n) for n in (1, 2, 3))
    run = ours.run(status=Status.RUNNING, finished_at=None)
    ours.save(RunToWrite(RunWithSteps(run, (), first), settled=False))
    late = threading.Thread(
        target=lambda: settled.append(theirs.settle((ours.pipeline, "run"), first, third))
    )

    def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT INTO runs"):
            late.start()
            until_it_waits(late, rival)

    event.listen(ours.database.engine, "before_cursor_execute", meanwhile)
    ours.save(RunToWrite(RunWithSteps(run, (a_step("a"),), second), settled=False))
    late.join()
    assert (settled, ours.row["settled"], len(ours.steps)) == ([False], False, 1)
    ours.database.close()
    rival.close()


def test_a_listing_remembers_for_its_source(one_run: OneRun) -> None:
    assert one_run.store.memory() == {}
    one_run.store.save_memory({"etag": 'W/"1"', "nested": {"a": [1, None]}})
    one_run.store.save_memory({"etag": 'W/"2"'})
    assert one_run.store.memory() == {"etag": 'W/"2"'}
    with statements(one_run.database) as sent:
        one_run.store.save_memory({"etag": 'W/"2"'})
    assert [one.split()[0] for one in sent] == ["SELECT"]


def test_coverage_that_comes_in_between_is_not_lost(postgres_url: str) -> None:
    """Another machine adds some between our look at what is covered and our own write."""
    database, rival = Database(postgres_url), Database(postgres_url)
    ours, theirs = (ListingStore(one, "ci", "ci/p") for one in (database, rival))
    old, new = Interval(cursor(2), cursor(1)), Interval(cursor(9), cursor(8))
    late = threading.Thread(target=lambda: theirs.save(Batch(intervals=[new])))

    def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("DELETE FROM coverage"):
            late.start()
            until_it_waits(late, rival)

    event.listen(database.engine, "before_cursor_execute", meanwhile)
    ours.save(Batch(intervals=[old]))
    late.join()
    assert ours.coverage() == [new, old]
    database.close()
    rival.close()


def test_a_listing_is_read_while_another_program_writes(
    one_run: OneRun, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_run.save(answer(one_run.run(status=Status.RUNNING, finished_at=None)))
    key = (one_run.pipeline.external_id, "run")
    monkeypatch.setattr(database_module, "_BUSY_SECONDS", 0)
    reader = Database(database_url)
    store = store_of(reader, one_run.pipeline)
    with one_run.database.write() as connection:
        connection.execute(text("DELETE FROM runs"))
        assert store.known([key]).keys() == {key}
        assert [run_id for _, run_id in store.unsettled()] == ["run"]
        assert store.coverage() == []
    reader.close()


def test_memory_that_came_in_between_is_replaced(postgres_url: str) -> None:
    """Another sync keeps some between our look at what is kept and our own write."""
    database, rival = Database(postgres_url), Database(postgres_url)
    ours, theirs = (ListingStore(one, "ci", "ci/p") for one in (database, rival))

    def come_in_between(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT") and not theirs.memory():
            theirs.save_memory({"page": 1})

    event.listen(database.engine, "before_cursor_execute", come_in_between)
    ours.save_memory({"page": 2})
    assert theirs.memory() == {"page": 2}
    database.close()
    rival.close()


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile, but for the beginning and end of transactions."""
    sent: list[str] = []

    def note(*args: Any) -> None:
        sent.append(args[2])

    event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine, "before_cursor_execute", note)
    sent[:] = [one for one in sent if not one.startswith("BEGIN")]


def test_a_pipeline_is_written_when_it_is_new_or_tells_more(one_run: OneRun) -> None:
    told = one_run.pipeline
    for pipeline, written in (
        (told, True),
        (told, False),
        (replace(told, name=None), False),
        (replace(told, name=None, default_branch="trunk"), True),
        (replace(told, name="renamed"), True),
        (replace(told, name="renamed"), False),
    ):
        with statements(one_run.database) as sent:
            one_run.store.save(Batch(pipelines=[pipeline]))
        assert bool(sent) is written
    with one_run.database.read() as connection:
        query = select(PipelineRow.name, PipelineRow.default_branch)
        assert connection.execute(query).one() == ("renamed", "trunk")


def test_a_sync_that_was_killed_is_noted_by_the_next(one_run: OneRun) -> None:
    first = one_run.store.begin()
    second = one_run.store.begin()
    one_run.store.end(second, "partial", Counts(1, 2, 3), 4, "run a\x00b\ud800: bad")
    with one_run.database.read() as connection:
        rows = {row["id"]: row for row in connection.execute(select(SyncRow.__table__)).mappings()}
    assert rows[first]["outcome"] == "interrupted"
    assert rows[first]["finished_at"] is not None
    assert rows[second]["error"] == r"run a\x00b\ud800: bad"
    assert (rows[second]["runs_new"], rows[second]["runs_updated"]) == (1, 2)


def test_unsettled_runs_are_found_by_their_index(sqlite: Database) -> None:
    """Else every sync would read all runs."""
    store = ListingStore(sqlite, "wercker", "wercker/pipeline/p")
    statements: list[str] = []
    event.listen(sqlite.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    store.unsettled()
    (query,) = [one for one in statements if one.startswith("SELECT")]
    with sqlite.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("l",)).all()
    assert any("ix_runs_unsettled" in str(row) for row in plan), plan


def test_a_run_that_two_syncs_add_at_once_is_new_to_one(postgres_url: str) -> None:
    """Another sync adds it between our look at what is stored and our own insert of it."""
    database, rival = Database(postgres_url), Database(postgres_url)
    pipeline = new_pipeline()
    step = Step(id="s", position=1, name="new", status=Status.FINISHED, result=Result.FAILED)
    run = a_run(pipeline, status=Status.FINISHED, finished_at=EPOCH)
    settled = RunToWrite(RunWithSteps(run, (step,), EPOCH + timedelta(days=2)), settled=True)
    old_step = replace(step, name="old", result=Result.PASSED)
    older = RunToWrite(RunWithSteps(run, (old_step,), EPOCH + timedelta(minutes=1)), settled=False)
    counts: list[Counts] = []
    late = threading.Thread(target=lambda: counts.append(theirs.save(Batch([settled]))))

    def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT INTO runs"):
            late.start()
            until_it_waits(late, rival)

    ours, theirs = store_of(database, pipeline), store_of(rival, pipeline)
    for store in (ours, theirs):  # so that neither waits for the other's pipeline
        store.save(Batch(pipelines=[pipeline]))
    event.listen(database.engine, "before_cursor_execute", meanwhile)
    counts.append(ours.save(Batch([older])))
    late.join()
    assert sorted((one.runs_new, one.runs_updated) for one in counts) == [(0, 1), (1, 0)]
    (found,) = step_rows(database, pipeline).values()
    assert (found["name"], found["result"]) == ("new", "failed")
    database.close()
    rival.close()

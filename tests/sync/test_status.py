"""What is told of a database, from rows that were stored for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from runsync.coverage import Interval
from runsync.records import Cursor, Pipeline, Result, Run, RunWithSteps, Status
from runsync.storage import database
from runsync.storage.database import Database
from runsync.storage.store import Batch, Counts, ListingStore, RunToWrite, SetAside
from runsync.sync.status import INCOMPLETE_COLUMNS, Wanted, incomplete_runs, status
from tests.storage.run_histories import EPOCH

HOUR = timedelta(hours=1)
ONE, OTHER = Pipeline("1", "one"), Pipeline("2", "another")


def a_run(pipeline: Pipeline, run_id: str, hours: int = 0, *, is_over: bool = True) -> RunToWrite:
    run = Run(
        pipeline=pipeline,
        id=run_id,
        created_at=EPOCH + hours * HOUR,
        url=f"https://ci/{run_id}",
        status=Status.FINISHED if is_over else Status.RUNNING,
        result=Result.PASSED if is_over else Result.UNKNOWN,
    )
    return RunToWrite(RunWithSteps(run, (), EPOCH), settled=is_over)


def stored(database: Database, *batches: Batch, pipeline: Pipeline = ONE) -> ListingStore:
    store = ListingStore(database, "ci", f"ci/{pipeline.external_id}")
    for batch in batches:
        store.save(batch)
    return store


def told(database: Database, *columns: str, **wanted: Any) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in status(database, **wanted)]


def test_a_run_that_is_gone_is_neither_unfinished_nor_incomplete(sqlite: Database) -> None:
    runs = [a_run(ONE, str(number), is_over=number > 2) for number in range(1, 6)]
    runs += [replace(a_run(ONE, "6"), with_steps=False), replace(a_run(ONE, "7"), with_steps=False)]
    aside = [SetAside(ONE, run_id, "a step has no name", EPOCH) for run_id in "34"]
    gone = [(ONE, run_id, EPOCH) for run_id in "137"]
    stored(sqlite, Batch(runs, set_aside=aside), Batch(vanished=gone))
    stored(sqlite, Batch([a_run(OTHER, "1")]), pipeline=OTHER)
    columns = ("pipeline", "runs", "unfinished", "incomplete", "vanished")
    assert told(sqlite, *columns) == [("another", 1, 0, 0, 0), ("one", 7, 1, 2, 3)]
    assert {row["id"] for row in incomplete_runs(sqlite)} == {"4", "6"}


def test_incomplete_runs_come_newest_first_with_why_they_are(sqlite: Database) -> None:
    hours = {"c": 1, "a": 1, "b": 2}
    runs = [replace(a_run(ONE, run, hours[run]), with_steps=False) for run in hours]
    aside = SetAside(ONE, "a", "step 3 has no name", EPOCH + HOUR)
    stored(sqlite, Batch(runs, set_aside=[aside]))
    # The same id in another pipeline, which is not set aside.
    stored(sqlite, Batch([replace(a_run(OTHER, "a"), with_steps=False)]), pipeline=OTHER)
    # Another listing of the first pipeline, which found it unreadable before.
    earlier = replace(aside, at=EPOCH, reason="step 4 has no name")
    ListingStore(sqlite, "ci", "ci/all").save(Batch(set_aside=[earlier]))
    found = incomplete_runs(sqlite)
    columns = ("pipeline", "id", "set_aside_at", "reason")
    assert [tuple(row[name] for name in columns) for row in found] == [
        ("one", "b", None, None),
        ("one", "a", EPOCH, "step 3 has no name"),
        ("one", "c", None, None),
        ("another", "a", None, None),
    ]
    assert all(row.keys() == {*INCOMPLETE_COLUMNS, "external_id"} for row in found)
    told_of_run = ("source", "created_at", "status", "result", "url")
    told_of_b = ("ci", EPOCH + 2 * HOUR, "finished", "passed", "https://ci/b")
    assert tuple(found[0][name] for name in told_of_run) == told_of_b


def test_it_is_told_while_a_sync_writes(
    sqlite: Database, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(sqlite, Batch([replace(a_run(ONE, "1"), with_steps=False)]))
    before = status(sqlite), incomplete_runs(sqlite)
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    reader = Database(sqlite_url)
    with sqlite.write() as connection:
        connection.execute(text("DELETE FROM runs"))
        assert (status(reader), incomplete_runs(reader)) == before
    reader.close()


def test_what_stretch_is_covered_and_how_many_gaps_lie_below_it(sqlite: Database) -> None:
    places = [Cursor(EPOCH + hours * HOUR, "1") for hours in range(6)]
    spans = [Interval(places[n + 1], places[n], n == 0) for n in (0, 2, 4)]
    columns = ("covered_from", "covered_to", "reaches_start", "gaps")
    store = stored(sqlite, Batch(pipelines=[ONE]))
    assert told(sqlite, *columns) == [(None, None, False, 0)]
    store.save(Batch(intervals=spans))
    assert told(sqlite, *columns) == [(places[4].at, places[5].at, False, 2)]
    store.save(Batch(intervals=[Interval(places[5], places[1])]))
    assert told(sqlite, *columns) == [(places[0].at, places[5].at, True, 0)]


def test_rows_come_by_source_and_name_and_then_what_was_never_synced(sqlite: Database) -> None:
    for pipeline in (ONE, OTHER):
        stored(sqlite, Batch(pipelines=[pipeline]), pipeline=pipeline)
    for listing in ("a/5", "a/3", "a/4"):
        ListingStore(sqlite, "a", listing).save(Batch(pipelines=[Pipeline("3", "zebra")]))
    wanted = [
        Wanted("ci", "ci/1", "mine"),
        Wanted("ci", "ci/9", "never"),
        Wanted("ci", "ci/8"),
    ]
    assert told(sqlite, "source", "pipeline", "listing", wanted=wanted) == [
        ("a", "zebra", "a/3"),
        ("a", "zebra", "a/4"),
        ("a", "zebra", "a/5"),
        ("ci", "another", "ci/2"),
        ("ci", "one", "ci/1"),
        ("ci", "never", "ci/9"),
        ("ci", "ci/8", "ci/8"),
    ]
    nothing = ("runs", "unfinished", "incomplete", "vanished", "gaps", "reaches_start")
    assert set(told(sqlite, *nothing, wanted=wanted)) == {(0, 0, 0, 0, 0, False)}


def test_how_the_last_sync_of_each_ended_also_of_one_that_brought_nothing(
    sqlite: Database,
) -> None:
    never = ListingStore(sqlite, "ci", "ci/9")
    never.end(never.begin(), "failed", Counts(), 1, "no answer")
    (row,) = status(sqlite, [Wanted("ci", "ci/9")])
    assert (row["last_outcome"], row["last_error"]) == ("failed", "no answer")
    assert (row["last_good_sync"], row["age_s"]) == (None, None)
    never.end(never.begin(), "ok", Counts(), 1, "")
    (row,) = status(sqlite, [Wanted("ci", "ci/9")])
    later = row["last_good_sync"] + timedelta(seconds=90.2504)
    assert told(sqlite, "age_s", wanted=[Wanted("ci", "ci/9")], now=later) == [(90.25,)]

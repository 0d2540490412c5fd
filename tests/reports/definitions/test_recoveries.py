"""Recoveries against histories made by hand."""

import pandas as pd

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, records, run, seconds


def test_recoveries_go_from_the_first_failure_to_the_next_pass(database: Database) -> None:
    words = [
        "failed",
        "passed",
        "failed",
        "failed",
        "aborted",
        "passed",
        "failed",
        "passed",
        "failed",
    ]
    runs = [run(f"r{n}", at(n), word) for n, word in enumerate(words)]
    fill(database, runs)
    assert records(reports.recoveries(database)) == [
        {
            "pipeline": "build",
            "branch": "main",
            "failures": 3,
            "open_since": pd.Timestamp(at(8, seconds=11)),
            "mean_time_to_recovery": pd.Timedelta(days=2),
            "p50": pd.Timedelta(days=2),
            "p90": pd.Timedelta(days=2, hours=19, minutes=12),
        }
    ]


def test_branches_break_by_themselves_and_unbroken_ones_have_no_row(database: Database) -> None:
    runs = [
        run("a", at(0), branch="one"),
        run("b", at(1), "failed", branch="two"),
        run("c", at(2), "failed", branch=None),
        run("d", at(3), "passed", branch=None),
        run("e", at(4), "failed", branch=None),
    ]
    fill(database, runs)
    (row,) = records(reports.recoveries(database))
    assert (row["branch"], row["failures"], row["p50"]) == (None, 1, None)


def test_runs_are_taken_in_the_order_in_which_they_ended(database: Database) -> None:
    # Created as passed, failed, passed; but the last to end is the failure.
    runs = [
        run("a", at(0)),
        run("slow", at(1), "failed", took=86400 * 3),
        run("b", at(2)),
        run("c", at(5)),
    ]
    fill(database, runs)
    (row,) = records(reports.recoveries(database))
    assert row["p50"] == pd.Timedelta(days=1) + seconds(10)


def test_a_branch_without_a_run_in_the_window_is_not_looked_at(database: Database) -> None:
    broken = [("passed", 0), ("failed", 1), ("failed", 11)]
    runs = [
        *(run(f"{p}{n}", at(n), word, pipeline=p) for p in (1, 2) for word, n in broken),
        *(run(f"old{n}", at(n), word, branch="old") for word, n in broken[:2]),
    ]
    fill(database, runs, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    frame = reports.recoveries(database, since=at(10))
    assert [(r["pipeline"], r["branch"]) for r in records(frame)] == [
        ("build", "main"),
        ("deploy", "main"),
    ]


def test_what_was_before_the_window_tells_what_broke_in_it(database: Database) -> None:
    runs = [
        run("a", at(0), branch="broken for long"),
        run("b", at(1), "failed", branch="broken for long"),
        run("c", at(11), "failed", branch="broken for long"),
        run("d", at(0), branch="broke in it"),
        run("e", at(12), "failed", branch="broke in it"),
        run("f", at(13), branch="broke in it"),
        run("g", at(12), "failed", branch="never passed"),
    ]
    fill(database, runs)
    found = {r["branch"]: r for r in records(reports.recoveries(database, since=at(10)))}
    assert set(found) == {"broken for long", "broke in it"}
    assert found["broken for long"]["failures"] == 0
    assert found["broken for long"]["open_since"] == pd.Timestamp(at(1, seconds=11))
    assert found["broken for long"]["mean_time_to_recovery"] is None
    assert found["broke in it"]["failures"] == 1
    assert found["broke in it"]["p50"] == pd.Timedelta(days=1)
    assert found["broke in it"]["open_since"] is None
    later = records(reports.recoveries(database, since=at(10), until=at(12.5)))
    assert {r["branch"] for r in later if r["open_since"]} == set(found)

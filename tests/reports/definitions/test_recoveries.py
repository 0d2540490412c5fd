"""Recoveries against histories made by hand."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.reports.breaks import BREAK_COLUMNS, breaks_of
from runsync.reports.definitions import REPORTS
from runsync.reports.load import open_reader
from runsync.reports.query_spec import QuerySpec
from runsync.storage.database import Database
from tests.reports.database_rows import at, empty, fill, pipeline, records, run, seconds


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


def test_branches_break_by_themselves_and_sound_ones_have_no_row(database: Database) -> None:
    runs = [
        run("a", at(0), branch="one"),
        run("b", at(1), "failed", branch="two"),
        run("c", at(2), "failed", branch=None),
        run("d", at(3), "passed", branch=None),
        run("e", at(4), "failed", branch=None),
    ]
    fill(database, runs)
    row, never_passed = sorted(records(reports.recoveries(database)), key=lambda r: -r["failures"])
    assert (row["branch"], row["failures"], row["p50"]) == (None, 1, None)
    assert (never_passed["branch"], never_passed["failures"]) == ("two", 0)


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


def test_what_broke_before_the_window_and_was_not_mended_is_listed(database: Database) -> None:
    broken = [("passed", 0), ("failed", 1), ("failed", 11)]
    runs = [
        *(run(f"{p}{n}", at(n), word, pipeline=p) for p in (1, 2) for word, n in broken),
        *(run(f"old{n}", at(n), word, branch="old") for word, n in broken[:2]),
        *(run(f"new{n}", at(n), "failed", branch="never passed") for n in (2, 3)),
        *(run(f"ok{n}", at(n), word, branch="mended") for word, n in [*broken[:2], ("passed", 5)]),
    ]
    fill(database, runs, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    windows: tuple[dict[str, Any], ...] = ({}, {"since": at(10)})
    for asked in windows:
        rows = records(reports.recoveries(database, **asked))
        still = {(r["pipeline"], r["branch"]): r["open_since"] for r in rows if r["open_since"]}
        assert still == {
            ("build", "main"): pd.Timestamp(at(1, seconds=11)),
            ("build", "never passed"): pd.Timestamp(at(2, seconds=11)),
            ("build", "old"): pd.Timestamp(at(1, seconds=11)),
            ("deploy", "main"): pd.Timestamp(at(1, seconds=11)),
        }
    assert {r["failures"] for r in rows} == {0}
    assert len(rows) == len(still)
    (row,) = records(reports.recoveries(database, since=at(10), branches=["never passed"]))
    assert (row["branch"], row["failures"]) == ("never passed", 0)


def test_a_branch_that_passed_at_last_was_broken_no_more(database: Database) -> None:
    words = ("failed", "failed", "passed")
    fill(database, [run(f"r{n}", at(n), word) for n, word in enumerate(words)])
    assert records(reports.recoveries(database)) == []


def test_runs_created_before_the_window_that_ended_in_it_count(database: Database) -> None:
    slow = [
        run("slow failure", at(9), "failed", took=86400 * 2),
        run("slow pass", at(8), "passed", branch="mended", took=86400 * 4),
        run("too early", at(8), "failed", branch="earlier", took=86400),
    ]
    runs = [
        *(run(f"p{branch}", at(0), branch=branch) for branch in ("main", "mended", "earlier")),
        run("a", at(13), branch="main"),
        run("b", at(10), "failed", branch="mended"),
        run("c", at(11), branch="earlier"),
    ]
    fill(database, [*slow, *runs])
    rows = {r["branch"]: r for r in records(reports.recoveries(database, since=at(10)))}
    assert set(rows) == {"main", "mended"}
    assert (rows["main"]["failures"], rows["main"]["p50"]) == (
        1,
        pd.Timedelta(days=2) + seconds(10),
    )
    assert (rows["mended"]["failures"], rows["mended"]["p50"]) == (
        1,
        pd.Timedelta(days=2) - seconds(10),
    )


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
    assert set(found) == {"broken for long", "broke in it", "never passed"}
    assert found["broken for long"]["failures"] == 0
    assert found["broken for long"]["open_since"] == pd.Timestamp(at(1, seconds=11))
    assert found["broken for long"]["mean_time_to_recovery"] is None
    assert found["broke in it"]["failures"] == 1
    assert found["broke in it"]["p50"] == pd.Timedelta(days=1)
    assert found["broke in it"]["open_since"] is None
    assert found["never passed"]["failures"] == 0
    assert found["never passed"]["open_since"] == pd.Timestamp(at(12, seconds=11))
    later = records(reports.recoveries(database, since=at(10), until=at(12.5)))
    assert {r["branch"] for r in later if r["open_since"]} == set(found)


def test_no_run_before_the_last_pass_of_its_branch_is_read(database: Database) -> None:
    words = ["failed", "passed", "failed", "passed", "failed", "failed"]
    runs = [run(f"r{n}", at(n), word) for n, word in enumerate(words)]
    fill(database, [*runs, run("other", at(2), branch=None)])
    with open_reader(database) as reader:
        query = QuerySpec(since=at(10)).query(reader.pipelines, REPORTS["recoveries"])
        read = reader.verdicts(query, ["run_created_at", "branch"])
    assert sorted(read["run_created_at"]) == [pd.Timestamp(at(n)) for n in (2, 3, 4, 5)]
    assert read["branch"].isna().sum() == 1


def test_a_run_that_only_ends_in_the_window_may_break_a_branch_without_another_run_in_it(
    database: Database,
) -> None:
    fill(database, [run("a", at(0)), run("b", at(9), "failed", took=86400 * 2)])
    (row,) = records(reports.recoveries(database, since=at(10)))
    assert (row["failures"], row["open_since"]) == (1, pd.Timestamp(at(11, seconds=1)))


MOMENTS = st.integers(0, 12).map(at)
VERDICTS = st.tuples(
    st.integers(1, 2),
    st.sampled_from(["main", "", None]),
    st.sampled_from(["passed", "failed", "failed", "aborted"]),
    MOMENTS,
    st.none() | st.integers(0, 5),  # days to its end
)


@given(told=st.lists(VERDICTS, max_size=14), since=MOMENTS)
def test_what_is_read_of_before_a_window_is_enough(
    database: Database, told: list[Any], since: datetime
) -> None:
    """The breaks of the window, and those that are open, are those that all runs tell."""
    empty(database)
    runs = [
        run(f"r{n}", created, result, pipeline=number, branch=branch)
        | {"finished_at": None if days is None else created + timedelta(days)}
        for n, (number, branch, result, created, days) in enumerate(told)
    ]
    fill(database, runs, pipelines=[pipeline(1), pipeline(2, "test")])
    with open_reader(database) as reader:
        query = QuerySpec(since=since).query(reader.pipelines, REPORTS["recoveries"])
        everything = replace(query, window=replace(query.window, since=None))
        read = (reader.verdicts(one, [*BREAK_COLUMNS, "id"]) for one in (query, everything))
        few, every = (breaks_of(frame, since) for frame in read)
    of_window, of_all = (
        sorted(
            frame.loc[frame["is_new"] | frame["ms"].isna(), ["id", "is_new", "ms", "later"]]
            .astype({"id": object})
            .itertuples(index=False, name=None),
            key=str,
        )
        for frame in (few, every)
    )
    assert str(of_window) == str(of_all)

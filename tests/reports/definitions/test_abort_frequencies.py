"""Aborts against figures made by hand."""

import pytest

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, seconds, step


def test_abort_frequencies(database: Database) -> None:
    runs = [
        *(run(f"p{n}", at(n)) for n in range(6)),
        run("a", at(6), "aborted", took=10),
        run("b", at(7), "aborted", took=20),
        run("c", at(8), "aborted", took=60),
        run("never", at(9), "aborted", queued=None),
    ]
    a, b, c = runs[6:9]
    steps = [
        # By position, not in the order of names, ids or rows.
        step(a, 2, "test", 1, "aborted", id="x"),
        step(a, 1, "zip", 1, id="y"),
        step(b, 1, "zip", 1, id="y"),
        step(b, 2, "test", 1, "aborted", id="x"),
        step(c, 1, "zip", 1, "aborted"),
        step(c, 2, "test", None, "unknown", status="notstarted"),
        step(runs[0], 3, "deploy", 1),
    ]
    fill(database, runs, steps)
    assert records(reports.abort_frequencies(database)) == [
        {
            "pipeline": "build",
            "finished": 10,
            "aborted": 4,
            "abort_rate": 0.4,
            "abort_rate_low": pytest.approx(0.168180, abs=1e-6),
            "abort_rate_high": pytest.approx(0.687326, abs=1e-6),
            "never_started": 1,
            "median_time_to_abort": seconds(20),
            "last_step": "test",
            "last_step_aborts": 2,
        }
    ]


def test_of_equally_common_last_steps_the_first_by_name_is_given(database: Database) -> None:
    runs = [run("a", at(0), "aborted"), run("b", at(1), "aborted")]
    fill(database, runs, [step(runs[0], 1, "zip"), step(runs[1], 1, "add")])
    assert list(reports.abort_frequencies(database)["last_step"]) == ["add"]


def test_without_aborts_there_is_no_time_to_them(database: Database) -> None:
    fill(database, [run("a", at(0))])
    (row,) = records(reports.abort_frequencies(database))
    assert (row["aborted"], row["abort_rate"], row["never_started"]) == (0, 0.0, 0)
    assert (row["median_time_to_abort"], row["last_step"]) == (None, None)

"""Flaky steps against histories made by hand."""

import pandas as pd

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, records, run, step


def test_flaky_steps_did_both_on_one_commit(database: Database) -> None:
    runs = [
        run("a", at(0), commit_hash="one"),
        run("b", at(1), commit_hash="one"),
        run("c", at(2), commit_hash="two"),
        run("d", at(3), commit_hash="two"),
        run("e", at(4), commit_hash=None),
    ]
    verdicts = [
        ("failed", "passed"),
        ("passed", "passed"),
        ("failed", "passed"),
        ("failed", "passed"),
    ]
    steps = [
        step(r, n, name, 1, verdict)
        for r, both in zip(runs, [*verdicts, ("failed", "aborted")], strict=True)
        for n, (name, verdict) in enumerate(zip(("test", "lint"), both, strict=True))
    ]
    fill(database, runs, steps)
    frame = reports.flaky_steps(database)
    assert list(frame)[:3] == ["pipeline", "step", "job"]
    assert records(frame.drop(columns=["pipeline", "job"])) == [
        {"step": "lint", "commits": 2, "flaky_commits": 0, "flake_rate": 0.0},
        {"step": "test", "commits": 2, "flaky_commits": 1, "flake_rate": 0.5},
    ]


def test_a_commit_of_two_pipelines_is_two_commits(database: Database) -> None:
    runs = [run("a", at(0), commit_hash="one"), run("b", at(1), pipeline=2, commit_hash="one")]
    steps = [step(runs[0], 1, "test"), step(runs[1], 1, "test", 1, "failed")]
    fill(database, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    (row,) = records(reports.flaky_steps(database, by=()))
    assert (row["commits"], row["flaky_commits"]) == (2, 0)


def test_a_flaky_commit_counts_once_in_the_period_of_its_first_run(database: Database) -> None:
    runs = [run("a", at(0), commit_hash="one"), run("b", at(8), commit_hash="one")]
    steps = [step(runs[0], 1, "test"), step(runs[1], 1, "test", 1, "failed")]
    fill(database, runs, steps)
    (row,) = records(reports.flaky_steps(database, every="week"))
    assert (row["period"], row["commits"], row["flaky_commits"]) == (
        pd.Timestamp("2024-03-04"),
        1,
        1,
    )

"""Flaky steps against histories made by hand."""

import pandas as pd

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import Row, add_runs, at, fill, pipeline, records, run, step

RETRIED = {"extra": {"retried": True}}


def counted(database: Database) -> dict[str, tuple[int, int, int, float | None]]:
    """Each step's figures, in their order."""
    names = ("commits", "retried_commits", "flaky_commits", "flake_rate")
    rows = records(reports.flaky_steps(database))
    return {row["step"]: tuple(row[n] for n in names) for row in rows}


def test_flaky_steps_did_both_on_one_commit(database: Database) -> None:
    runs = [
        run("a", at(0), commit_hash="one"),
        run("b", at(1), commit_hash="one"),
        run("c", at(2), commit_hash="two"),
        run("d", at(3), commit_hash="two"),
        run("e", at(4), commit_hash="three"),
        run("f", at(5), commit_hash=None),
    ]
    verdicts = [
        ("failed", "passed"),
        ("passed", "passed"),
        ("failed", "passed"),
        ("failed", "passed"),
        ("failed", "passed"),
        ("failed", "aborted"),
    ]
    steps = [
        step(r, n, name, 1, verdict)
        for r, both in zip(runs, verdicts, strict=True)
        for n, (name, verdict) in enumerate(zip(("test", "lint"), both, strict=True))
    ]
    fill(database, runs, steps)
    frame = reports.flaky_steps(database)
    assert list(frame) == [
        *("pipeline", "step", "job", "commits", "retried_commits", "flaky_commits", "flake_rate")
    ]
    assert counted(database) == {"lint": (3, 2, 0, 0.0), "test": (3, 2, 1, 0.5)}


def test_a_name_that_occurs_twice_in_a_run_has_one_verdict(database: Database) -> None:
    runs = [run(name, at(n), commit_hash="one") for n, name in enumerate("abc")]

    def twice(of: Row, first: str, second: str) -> list[Row]:
        return [step(of, 1, "test", 1, first), step(of, 2, "test", 1, second)]

    fill(database, runs[:1], twice(runs[0], "failed", "passed"))
    assert counted(database) == {"test": (1, 0, 0, None)}
    add_runs(database, [runs[1]], twice(runs[1], "passed", "failed"))
    assert counted(database) == {"test": (1, 1, 0, 0.0)}
    add_runs(database, [runs[2]], twice(runs[2], "passed", "passed"))
    assert counted(database) == {"test": (1, 1, 1, 1.0)}


def test_what_the_provider_retried_within_a_run_is_a_try_of_its_own(database: Database) -> None:
    one = run("a", at(0), commit_hash="one")
    steps = [
        step(one, 1, "test", 1, "failed", **RETRIED),
        step(one, 2, "test"),
        step(one, 3, "lint", 1, "failed", **RETRIED),
        step(one, 4, "lint", 1, "failed", extra={"retried": False}),
        step(one, 5, "build", extra={"retried": "once"}),
    ]
    fill(database, [one], steps)
    assert counted(database) == {
        "build": (1, 0, 0, None),
        "lint": (1, 1, 0, 0.0),
        "test": (1, 1, 1, 1.0),
    }


def test_a_rise_in_retries_alone_changes_no_rate(database: Database) -> None:
    runs = [run(f"r{n}", at(n), commit_hash=f"c{n // 2}") for n in range(8)]
    runs += [run(f"s{n}", at(20 + n), commit_hash=f"d{n}") for n in range(50)]
    steps = [step(r, 1, "test", 1, "failed" if r["id"] == "r0" else "passed") for r in runs]
    fill(database, runs, steps)
    assert counted(database) == {"test": (54, 4, 1, 0.25)}


def test_a_commit_of_two_pipelines_is_two_commits(database: Database) -> None:
    runs = [run("a", at(0), commit_hash="one"), run("b", at(1), pipeline=2, commit_hash="one")]
    steps = [step(runs[0], 1, "test"), step(runs[1], 1, "test", 1, "failed")]
    fill(database, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    (row,) = records(reports.flaky_steps(database, by=()))
    assert (row["commits"], row["retried_commits"], row["flaky_commits"]) == (2, 0, 0)


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

"""Failures by step against histories made by hand."""

import pandas as pd
import pytest

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, step


def test_which_step_fails_how_often_and_which_was_the_first_to(database: Database) -> None:
    words = {
        "a": ("passed", "passed", "passed"),
        "b": ("passed", "failed", "failed"),
        "c": ("failed", "skipped", "failed"),
        "d": ("passed", "failed", "passed"),
        "e": ("aborted", "skipped", "skipped"),
    }
    runs = {name: run(name, at(n)) for n, name in enumerate(words)}
    steps = [
        step(runs[name], k + 1, step_name, 5, word)
        for name, results in words.items()
        for k, (step_name, word) in enumerate(zip(("build", "test", "tidy"), results, strict=True))
    ]
    steps += [step(runs["b"], 9, "test", 5, "passed")]
    fill(database, list(runs.values()), steps)
    frame = reports.step_failures(database)
    assert list(frame) == [
        *("pipeline", "step", "job", "runs", "failed", "failure_rate", "failure_rate_low"),
        *("failure_rate_high", "first_failures", "last_failed_at", "last_run", "web_url", "errors"),
    ]
    counted = [
        (r["step"], r["runs"], r["failed"], r["first_failures"], r["last_run"])
        for r in records(frame)
    ]
    assert counted == [
        ("test", 3, 2, 2, "d"),
        ("tidy", 4, 2, 0, "c"),
        ("build", 4, 1, 1, "c"),
    ]
    test = records(frame)[0]
    assert test["failure_rate"] == pytest.approx(2 / 3)
    assert test["last_failed_at"] == pd.Timestamp(at(3, seconds=5))
    assert test["web_url"] == "https://ci.example.org/d"


def test_a_step_that_never_failed_has_no_last_failure(database: Database) -> None:
    one = run("a", at(0))
    fill(database, [one], [step(one, 1, "test")])
    (row,) = records(reports.step_failures(database))
    assert (row["runs"], row["failed"], row["failure_rate"], row["first_failures"]) == (1, 0, 0, 0)
    assert [row[name] for name in ("job", "last_failed_at", "last_run", "web_url")] == [None] * 4


def test_failures_by_the_cis_own_fault_are_told_apart(database: Database) -> None:
    runs = [run(f"r{n}", at(n), "failed") for n in range(3)]
    outcomes = [("error", "error"), ("error", "failure"), ("timeout", "failure")]
    steps = [
        step(r, k, "test", None, "failed", outcome=word)
        for r, words in zip(runs, outcomes, strict=True)
        for k, word in enumerate(words)
    ]
    fill(database, runs, steps)
    (row,) = records(reports.step_failures(database))
    assert (row["failed"], row["errors"]) == (3, 1)
    assert row["last_failed_at"] == pd.Timestamp(at(2))

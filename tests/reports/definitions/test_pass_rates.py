"""Pass rates against figures made by hand."""

import pytest

from runsync import reports
from runsync.reports.query_spec import By
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, step

WORDS = ["passed", "passed", "passed", "failed", "aborted", "skipped", "unknown"]


def test_pass_rates_count_all_and_rate_only_verdicts(database: Database) -> None:
    finished = [run(f"r{n}", at(n), word) for n, word in enumerate(WORDS)]
    waiting = run("w", at(8), "unknown", status="running", finished_at=None, duration_ms=None)
    fill(database, [*finished, waiting])
    assert records(reports.pass_rates(database)) == [
        {
            "pipeline": "build",
            "finished": 7,
            "passed": 3,
            "failed": 1,
            "aborted": 1,
            "skipped": 1,
            "unknown": 1,
            "pass_rate": 0.75,
            "pass_rate_low": pytest.approx(0.300642, abs=1e-6),
            "pass_rate_high": pytest.approx(0.954413, abs=1e-6),
            "errors": 0,
        }
    ]


def test_a_rate_of_nothing_is_missing_not_zero(database: Database) -> None:
    fill(database, [run("a", at(0), "aborted")])
    (row,) = records(reports.pass_rates(database))
    assert (row["finished"], row["aborted"], row["passed"]) == (1, 1, 0)
    assert [row[name] for name in ("pass_rate", "pass_rate_low", "pass_rate_high")] == [None] * 3


def test_failures_by_the_cis_own_fault_are_counted_apart(database: Database) -> None:
    words = [("failed", "error"), ("failed", "timeout"), ("aborted", "error"), ("passed", None)]
    fill(database, [run(f"r{n}", at(n), w, outcome=o) for n, (w, o) in enumerate(words)])
    (row,) = records(reports.pass_rates(database))
    assert (row["failed"], row["aborted"], row["errors"]) == (2, 1, 1)


def test_by_step_and_job_a_run_counts_once_for_each(database: Database) -> None:
    runs = [run(f"r{n}", at(n)) for n in range(3)]
    results = [("passed", "failed"), ("passed", "skipped"), ("passed", "aborted")]
    steps = [
        step(r, k, name, 1, word, job="unit", outcome="error" if word == "failed" else None)
        for r, words in zip(runs, results, strict=True)
        for k, (name, word) in enumerate(zip(("test", "test"), words, strict=True))
    ]
    steps += [step(r, 9, "lint", status="finished" if r is runs[0] else "running") for r in runs]
    fill(database, runs, steps)
    names = ("finished", "passed", "failed", "aborted", "skipped", "unknown", "errors")
    keys: tuple[tuple[By, str | None], ...] = (("step", "lint"), ("job", "unit"), ("runner", None))
    for by, first in keys:
        rows = {r[by]: r for r in records(reports.pass_rates(database, by=["pipeline", by]))}
        assert [rows[first][n] for n in names] == {
            "lint": [1, 1, 0, 0, 0, 0, 0],
            "unit": [3, 1, 1, 1, 0, 0, 1],
            None: [3, 1, 1, 1, 0, 0, 1],
        }[first]
    assert len(records(reports.pass_rates(database, by=("step", "job")))) == 2

"""Pass rates against figures made by hand."""

import pytest

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run

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
        }
    ]


def test_a_rate_of_nothing_is_missing_not_zero(database: Database) -> None:
    fill(database, [run("a", at(0), "aborted")])
    (row,) = records(reports.pass_rates(database))
    assert (row["finished"], row["aborted"], row["passed"]) == (1, 1, 0)
    assert [row[name] for name in ("pass_rate", "pass_rate_low", "pass_rate_high")] == [None] * 3

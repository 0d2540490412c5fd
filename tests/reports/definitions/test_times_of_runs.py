"""Queue times and run durations against figures made by hand."""

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, seconds


def test_queue_times_and_run_durations(database: Database) -> None:
    runs = [
        run("a", at(0), queued=1, took=100),
        run("b", at(1), "failed", queued=2, took=300),
        run("c", at(2), queued=9, took=None, status="running", result="unknown"),
        run("d", at(3), "aborted", queued=None),
    ]
    fill(database, runs)
    (queued,) = records(reports.queue_times(database))
    assert queued == {
        "pipeline": "build",
        "count": 3,
        "mean": seconds(4),
        "p50": seconds(2),
        "p90": seconds(7.6),
        "p95": seconds(8.3),
        "max": seconds(9),
    }
    (took,) = records(reports.run_durations(database))
    assert (took["count"], took["mean"], took["max"]) == (2, seconds(200), seconds(300))
    (passed,) = records(reports.run_durations(database, result="passed"))
    assert (passed["count"], passed["p95"]) == (1, seconds(100))

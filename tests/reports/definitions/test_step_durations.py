"""Step durations against figures made by hand."""

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, seconds, step


def test_step_durations_hold_finished_steps_that_ran(database: Database) -> None:
    runs = [run(f"r{n}", at(n)) for n in range(4)]
    tests = [step(r, 2, "test", took) for r, took in zip(runs, (1, 2, 3, 10), strict=True)]
    others = [
        step(runs[0], 1, "get code", 4.0, "failed"),
        step(runs[1], 1, "get code", 0.5, "skipped"),
        step(runs[2], 1, "get code", None),
        step(runs[3], 1, "get code", 9.0, status="running"),
    ]
    fill(database, runs, [*tests, *others])
    frame = reports.step_durations(database)
    assert list(frame) == [
        *("pipeline", "step", "job", "count", "mean", "p50", "p90", "p95", "max", "total", "share"),
    ]
    test, get_code = records(frame)
    assert test == {
        "pipeline": "build",
        "step": "test",
        "job": None,
        "count": 4,
        "mean": seconds(4),
        "p50": seconds(2.5),
        "p90": seconds(7.9),
        "p95": seconds(8.95),
        "max": seconds(10),
        "total": seconds(16),
        "share": 0.8,
    }
    assert (get_code["count"], get_code["total"], get_code["share"]) == (1, seconds(4), 0.2)


def test_step_durations_of_one_result(database: Database) -> None:
    runs = [run("a", at(0)), run("b", at(1))]
    fill(database, runs, [step(runs[0], 1, "test", 1), step(runs[1], 1, "test", 9, "failed")])
    assert list(reports.step_durations(database)["count"]) == [2]
    (row,) = records(reports.step_durations(database, result="failed"))
    assert (row["count"], row["p50"]) == (1, seconds(9))


def test_jobs_tell_steps_apart(database: Database) -> None:
    one = run("a", at(0))
    steps = [
        step(one, 1, "test", 1, job="linux", id="1"),
        step(one, 2, "test", 3, job="windows", id="2"),
        step(one, 3, "notify", 4, id="3"),
    ]
    fill(database, [one], steps)
    frame = reports.step_durations(database)
    assert [(r["step"], r["job"], r["share"]) for r in records(frame)] == [
        ("notify", None, 0.5),
        ("test", "windows", 0.375),
        ("test", "linux", 0.125),
    ]
    assert list(reports.step_durations(database, by=["job"]))[:3] == ["job", "step", "count"]
    shares = reports.step_durations(database, by=["job"])["share"]
    assert list(shares) == [1, 1, 1]
    assert list(reports.flaky_steps(database))[:3] == ["pipeline", "step", "job"]

"""The views' figures are the functions' figures, on both databases."""

import random
from typing import Any

import pytest

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, records, run, step

RESULTS = ["passed", "passed", "passed", "failed", "aborted", "skipped", "unknown"]


@pytest.fixture
def history(database: Database) -> Database:
    rng = random.Random(5)
    runs = [
        run(f"r{n}", at(hours=rng.uniform(0, 24 * 9)), rng.choice(RESULTS),
            pipeline=rng.randint(1, 3), queued=rng.choice([None, 3, 4]), took=rng.uniform(0, 99))
        for n in range(150)
    ]  # fmt: skip
    runs.append(run("waiting", at(2), "unknown", status="started", took=None))
    steps = [
        step(r, k, rng.choice(["build", "test"]), rng.choice([None, rng.uniform(0, 60)]),
             rng.choice(RESULTS), job=rng.choice([None, "linux"]))
        for r in runs for k in range(3)
    ]  # fmt: skip
    # Two pipelines of one name: neither the views nor the functions may mix them.
    named = [pipeline(1, "build"), pipeline(2, "build"), pipeline(3, "deploy")]
    fill(database, runs, steps, pipelines=named)
    return database


LABELS = {1: "build (00000001)", 2: "build (00000002)", 3: "deploy"}


def query(database: Database, sql: str) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row) for row in connection.exec_driver_sql(sql).mappings()]


def test_daily_pass_rates(history: Database) -> None:
    told = {
        (LABELS[row["pipeline_id"]], str(row["day"])): row
        for row in query(history, "SELECT * FROM v_daily_pass_rates")
    }
    frame = reports.pass_rates(history, every="day")
    assert len(frame) == len(told) > 20
    for row in records(frame):
        view = told[row["pipeline"], f"{row['period']:%Y-%m-%d}"]
        for name in ("finished", "passed", "failed", "aborted", "skipped", "unknown"):
            assert view[name] == row[name]
        assert view["pass_rate"] == pytest.approx(row["pass_rate"])


def test_daily_aborts(history: Database) -> None:
    told = {
        (LABELS[row["pipeline_id"]], str(row["day"])): row
        for row in query(history, "SELECT * FROM v_daily_aborts")
    }
    frame = reports.abort_frequencies(history, every="day")
    assert len(frame) == len(told)
    for row in records(frame):
        view = told[row["pipeline"], f"{row['period']:%Y-%m-%d}"]
        assert (view["finished"], view["aborted"]) == (row["finished"], row["aborted"])
        assert view["never_started"] == row["never_started"]
        assert view["abort_rate"] == pytest.approx(row["abort_rate"])


def test_step_durations(history: Database) -> None:
    told = {
        (LABELS[row["pipeline_id"]], row["step"], row["job"]): row
        for row in query(history, "SELECT * FROM v_step_durations")
    }
    frame = reports.step_durations(history)
    assert len(frame) == len(told) == 12
    for row in records(frame):
        view = told[row["pipeline"], row["step"], row["job"]]
        assert view["count"] == row["count"]
        for name in ("mean", "p50", "p90", "p95", "max", "total"):
            assert view[f"{name}_s"] == pytest.approx(row[name].total_seconds(), abs=2e-6), name


def test_flags_are_what_the_reports_count(history: Database) -> None:
    (told,) = query(
        history,
        "SELECT SUM(is_finished) AS finished, SUM(is_passed) AS passed, SUM(in_rate) AS rated, "
        "SUM(is_aborted) AS aborted, SUM(never_started) AS never_started FROM v_runs",
    )
    (rates,) = records(reports.pass_rates(history, by=()))
    (aborts,) = records(reports.abort_frequencies(history, by=()))
    assert told == {
        "finished": rates["finished"],
        "passed": rates["passed"],
        "rated": rates["passed"] + rates["failed"],
        "aborted": aborts["aborted"],
        "never_started": aborts["never_started"],
    }

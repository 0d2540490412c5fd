"""Where the minutes go, against histories made by hand."""

from typing import Any

import pandas as pd
import pytest

from runsync import reports
from runsync.errors import ConfigError
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, step

PRICES = {"ubuntu-*": 0.01, "ubuntu-big": 9.0, "mac*": 0.1}


def spent(database: Database, **asked: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in records(reports.time_spent(database, **asked))]


def test_minutes_of_steps_by_what_became_of_their_run(database: Database) -> None:
    runs = [
        run("1", at(0), "failed"),
        run("1.2", at(1), "aborted", attempt=2),
        run("1.3", at(2), attempt=3),
        run("2", at(3), took=600),
        run("3", at(4), "unknown", status="running", finished_at=None),
        run("11", at(5), took=None),
    ]
    steps = [
        step(r, k, "test", seconds, runner=runner)
        for r, k, seconds, runner in [
            (runs[0], 1, 120, "ubuntu-24.04"),
            (runs[0], 2, 60, None),
            (runs[1], 1, 60, "self-hosted, macos-14"),
            (runs[2], 1, 360, "self-hosted"),
            (runs[4], 1, 600, "ubuntu-24.04"),
        ]
    ]
    fill(database, runs, steps)
    (row,) = spent(database)
    assert row == {
        "pipeline": "build",
        "runs": 5,
        "minutes": pytest.approx(20),
        "minutes_failed": pytest.approx(3),
        "minutes_aborted": pytest.approx(1),
        "minutes_superseded": pytest.approx(4),
        "waste": pytest.approx(0.2),
        "cost": None,
    }
    (row,) = spent(database, prices=PRICES)
    assert row["cost"] == pytest.approx(2 * 0.01 + 1 * 0.1)
    rows = {r["runner"]: r for r in spent(database, by="runner", prices=PRICES)}
    assert {name: (r["runs"], r["minutes"], r["cost"]) for name, r in rows.items()} == {
        "ubuntu-24.04": (1, 2, pytest.approx(0.02)),
        "self-hosted, macos-14": (1, 1, pytest.approx(0.1)),
        "self-hosted": (1, 6, None),
        None: (3, 11, None),
    }


@pytest.mark.parametrize(
    "shape",
    {
        "an id by attempt, one number (GitHub)": [("7", 1, "5"), ("7.2", 2, "5"), ("7.3", 3, "5")],
        "an id by attempt, numbers of their own (Buildbot)": [("7", 1, "5"), ("7.2", 2, "6")],
        "ids of their own, one number (CircleCI)": [("a", 1, "5"), ("b", 2, "5"), ("c", 3, "5")],
    }.items(),
    ids=lambda shape: shape[0],
)
def test_a_run_with_a_later_attempt_is_superseded(database: Database, shape: Any) -> None:
    """Whichever way a source calls its attempts; the last of them is not superseded."""
    attempts = [
        run(run_id, at(n), attempt=attempt, number=number, took=60)
        for n, (run_id, attempt, number) in enumerate(shape[1])
    ]
    others = [
        run("x", at(5), number="4", took=60),
        run("y", at(6), number=None, took=60),
        run("z", at(7), number=None, attempt=2, took=60),
    ]
    fill(database, [*attempts, *others], [])
    rows = {row["pipeline"]: row["minutes_superseded"] for row in spent(database)}
    assert rows["build"] == pytest.approx(len(attempts) - 1)
    assert sum(rows.values()) == pytest.approx(len(attempts) - 1)


def test_the_first_pattern_that_fits_counts(database: Database) -> None:
    one = run("a", at(0))
    fill(database, [one], [step(one, 1, "test", 60, runner="ubuntu-big")])
    assert spent(database, prices=PRICES)[0]["cost"] == pytest.approx(0.01)
    assert spent(database, prices=dict(reversed(PRICES.items())))[0]["cost"] == pytest.approx(9)
    assert spent(database, prices={"*": 0})[0]["cost"] == 0


@pytest.mark.parametrize("prices", [5, {"a": "b"}, {"a": -1}, {"a": float("nan")}, {"a": True}])
def test_what_is_no_price_is_said_in_a_sentence(sqlite: Database, prices: Any) -> None:
    with pytest.raises(ConfigError, match="must be prices of a minute"):
        reports.time_spent(sqlite, prices=prices)


def test_the_busy_time_is_the_providers_own_where_it_tells_one(database: Database) -> None:
    extras = [{"duration": 60}, {"duration": 1.5}, {"duration": "long"}, {"duration": None}, None]
    fill(database, [run(f"r{n}", at(n), took=600, extra=e) for n, e in enumerate(extras)])
    (row,) = records(reports.run_durations(database, busy=True))
    assert (row["count"], row["max"]) == (2, pd.Timedelta(seconds=60))
    assert row["mean"] == pd.Timedelta(seconds=30.75)
    assert list(reports.run_durations(database)["count"]) == [5]
    with pytest.raises(TypeError, match="unexpected keyword argument 'busy'"):
        reports.queue_times(database, busy=True)

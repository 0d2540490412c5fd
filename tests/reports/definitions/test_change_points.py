"""Change points by hand."""

from datetime import timedelta

import pandas as pd
import pytest

from runsync import reports
from runsync.errors import ConfigError
from runsync.reports.rows import plain, readable
from runsync.storage.database import Database
from tests.reports.database_rows import Row, at, fill, pipeline, records, run, step


@pytest.fixture
def changed(database: Database) -> Database:
    """Sixty days of five runs: `test` fails in half of the runs from day 40 on, and `build` takes
    twice as long from day 20 on. Nothing changes in the second pipeline."""

    def one_run(p: int, n: int) -> Row:
        fails = n % (2 if n >= 200 and p == 1 else 20) == 1
        took = 100 + n % 7 + (100 if n >= 100 and p == 1 else 0)
        return run(f"r{p}-{n}", at(n / 5), "failed" if fails else "passed", took=took, pipeline=p)

    runs = [one_run(p, n) for p in (1, 2) for n in range(300)]
    steps = []
    for one in runs:
        took = one["duration_ms"] / 1000 - 10
        steps += [step(one, 1, "build", took), step(one, 2, "test", 10, str(one["result"]))]
    fill(database, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    return database


def test_says_what_changed_when_and_from_what_to_what(changed: Database) -> None:
    frame = reports.change_points(changed, until=at(60))
    assert [(r["pipeline"], r["step"], r["job"], r["figure"]) for r in records(frame)] == [
        ("build", None, None, "pass_rate"),
        ("build", "test", None, "pass_rate"),
        ("build", None, None, "p50"),
        ("build", "build", None, "p50"),
    ]
    for row in records(frame):
        day = 40 if row["figure"] == "pass_rate" else 20
        assert abs(row["at"] - at(day)) <= timedelta(days=1)
        assert row["change"] == pytest.approx(row["after"] - row["before"])
        assert (row["p_value"] <= 0.05, row["runs"]) == (True, 300)
    rate, _, whole, build = records(frame)
    assert (rate["before"], rate["after"]) == pytest.approx((0.95, 0.5), abs=0.02)
    assert (whole["before"], whole["after"]) == pytest.approx((103, 203), abs=2)
    assert (build["before"], build["after"]) == pytest.approx((93, 193), abs=2)


def test_in_words_each_figure_has_its_unit(changed: Database) -> None:
    _, rows = readable(reports.change_points(changed, until=at(60)))
    assert rows[0]["before"].endswith("%")
    assert rows[0]["change"].startswith("-")
    assert rows[0]["change"].endswith(" pp")
    assert rows[2]["change"].startswith("+1m 4")


def test_for_programs_figures_are_shares_and_seconds(changed: Database) -> None:
    _, rows = plain(reports.change_points(changed, until=at(60)))
    assert 0.9 < rows[0]["before"] < 1
    assert 100 < rows[2]["before"] < 106
    assert rows[0]["at"].tzinfo is not None


def test_by_period_a_change_belongs_to_that_of_its_first_run(changed: Database) -> None:
    frame = reports.change_points(changed, until=at(60), every="month", by=())
    assert set(frame["period"]) <= {pd.Timestamp("2024-03-01"), pd.Timestamp("2024-04-01")}
    assert len(frame) > 0


def test_too_little_on_one_side_is_no_change(changed: Database) -> None:
    assert len(reports.change_points(changed, until=at(24), since=at(18))) == 0


def test_there_is_nothing_to_compare(changed: Database) -> None:
    with pytest.raises(ConfigError, match="change_points has no figure"):
        reports.compare(changed, "changes", since=at(30))

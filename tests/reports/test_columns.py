"""Keys and periods of a report."""

from typing import Any

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run, step


def test_groups_are_sorted_and_missing_ones_come_last(database: Database) -> None:
    runs = [
        run("a", at(0), branch="b", author="x"),
        run("b", at(1), branch=None, author="x"),
        run("c", at(2), branch="a", author=None),
        run("d", at(2), branch="a", author="x"),
    ]
    fill(database, runs)
    frame = reports.pass_rates(database, by=["branch", "author"])
    assert [(r["branch"], r["author"], r["finished"]) for r in records(frame)] == [
        ("a", "x", 1),
        ("a", None, 1),
        ("b", "x", 1),
        (None, "x", 1),
    ]


def test_by_weekday_and_hour_of_a_zone(database: Database) -> None:
    fill(database, [run("a", at(0, hours=23)), run("b", at(6, hours=3)), run("c", at(0, hours=9))])
    frame = reports.queue_times(database, by=("weekday", "hour"), tz="Asia/Tokyo")
    assert [(r["weekday"], r["hour"]) for r in records(frame)] == [
        ("Monday", 18),
        ("Tuesday", 8),
        ("Sunday", 12),
    ]


def test_periods_begin_at_midnight_of_the_zone_and_weeks_on_monday(database: Database) -> None:
    fill(database, [run("a", at(-1, hours=22.9)), run("b", at(-1, hours=23.1)), run("c", at(28))])

    def periods(**asked: Any) -> list[str]:
        frame = reports.pass_rates(database, by=(), **asked)
        return [f"{p:%m-%d}" for p in frame["period"]]

    assert periods(every="day") == ["03-03", "04-01"]
    assert periods(every="day", tz="Europe/Berlin") == ["03-03", "03-04", "04-01"]
    assert periods(every="week", tz="Europe/Berlin") == ["02-26", "03-04", "04-01"]
    assert periods(every="month") == ["03-01", "04-01"]


def test_a_step_belongs_to_the_period_weekday_and_hour_of_its_run(database: Database) -> None:
    """Its own creation may be missing (Buildbot) or lie on another day."""
    runs = [run("a", at(0), commit_hash="c"), run("b", at(7, hours=5), "aborted", commit_hash="c")]
    steps = [
        step(runs[0], 1, "test", created_at=at(40)),
        step(runs[1], 1, "test", 1, "failed", created_at=None),
    ]
    fill(database, runs, steps)
    for report in (reports.step_durations, reports.flaky_steps):
        days = report(database, by=(), every="day")["period"]
        assert [f"{day:%m-%d}" for day in days] == (
            ["03-04", "03-11"] if report is reports.step_durations else ["03-04"]
        )
        assert list(report(database, by=["weekday"])["weekday"].unique()) == ["Monday"]
        assert set(report(database, by=["hour"])["hour"]) <= {0, 5}
    aborts = records(reports.abort_frequencies(database, by=(), every="month"))
    assert [(f"{row['period']:%m}", row["last_step"]) for row in aborts] == [("03", "test")]

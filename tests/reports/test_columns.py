"""Keys and periods of a report."""

from typing import Any

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, records, run


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

"""Which periods are partial, and what is said to be lacking."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.reports.coverage_notes import midnight, next_period
from runsync.reports.query_spec import zone_of
from runsync.storage.database import Database
from tests.reports.database_rows import add_runs, at, cover, fill, pipeline, records, run


@pytest.fixture
def weeks(database: Database, now: datetime) -> Callable[..., dict[str, bool]]:
    """Fills four weeks of runs of two pipelines; gives which weeks are partial."""
    runs = [run(f"{p}{n}", at(n + 0.5), pipeline=p) for n in range(28) for p in (1, 2)]
    fill(database, runs, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])

    def partial(**asked: Any) -> dict[str, bool]:
        frame = reports.pass_rates(database, every="week", **asked)
        return {f"{r['period']:%m-%d}": r["partial"] for r in records(frame)}

    return partial


def test_what_was_never_covered_is_partial(weeks: Callable[..., dict[str, bool]]) -> None:
    assert weeks(by=()) == dict.fromkeys(("03-04", "03-11", "03-18", "03-25"), True)


def test_covered_weeks_are_whole(database: Database, weeks: Callable[..., dict[str, bool]]) -> None:
    cover(database, (at(7), at(22)))
    found = {"03-04": True, "03-11": False, "03-18": False, "03-25": True}
    assert weeks(pipelines=["build"]) == found
    assert weeks(pipelines=["build"], by=()) == found
    assert weeks(pipelines=["build"], by=["source"]) == found
    # A figure of both pipelines needs both of them covered.
    assert all(weeks(by=()).values())
    assert all(weeks(by=["source"]).values())


def test_a_gap_makes_its_week_partial(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(-9), at(8)), (at(9), at(40)), synced=at(50))
    assert weeks(pipelines=["build"]) == {
        "03-04": False,
        "03-11": True,
        "03-18": False,
        "03-25": False,
    }


def test_a_listing_that_reaches_the_start_covers_all_before(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(5), at(40)), reaches_start=True)
    assert not any(weeks(pipelines=["build"]).values())


def test_a_good_sync_covers_what_is_quiet(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(0), at(27.5)), synced=at(28))
    assert not weeks(pipelines=["build"])["03-25"]


@pytest.mark.parametrize("outcome", ["partial", "failed", "interrupted", "running"])
def test_a_sync_that_did_not_end_well_covers_nothing(
    database: Database, weeks: Callable[..., dict[str, bool]], outcome: str
) -> None:
    cover(database, (at(0), at(27.5)), synced=at(28), outcome=outcome)
    assert weeks(pipelines=["build"])["03-25"]


def test_spans_of_several_listings_add_up(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(0), at(17)), listing="one")
    cover(database, (at(16), at(40)), listing="all", pipelines=[1, 2])
    assert not any(weeks(pipelines=["build"]).values())
    assert weeks(by=()) == {"03-04": True, "03-11": True, "03-18": True, "03-25": False}


def test_a_week_that_the_window_cuts_or_that_is_not_over_is_partial(
    database: Database, weeks: Callable[..., dict[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cover(database, (at(-30), at(90)), pipelines=[1, 2])
    assert weeks(since=at(8), until=at(27)) == {"03-11": True, "03-18": False, "03-25": True}
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: at(27.9))
    assert weeks()["03-25"]
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: at(28))
    assert not weeks()["03-25"]


def test_a_week_with_runs_whose_steps_are_missing_is_partial(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(-30), at(90)), pipelines=[1, 2])
    assert not any(weeks(by=()).values())
    open_run: dict[str, Any] = {"steps_synced_at": None, "settled": False}
    more = [
        run("x", at(8), pipeline=1, **open_run),
        run("gone", at(22), pipeline=1, vanished_at=at(23), **open_run),
    ]
    add_runs(database, more)
    assert weeks(by=()) == {"03-04": False, "03-11": True, "03-18": False, "03-25": False}
    assert weeks(pipelines=["build"], by=["pipeline"])["03-11"]
    assert not any(weeks(pipelines=["deploy"]).values())


def test_runs_whose_steps_are_missing_are_found_by_the_small_index(
    sqlite: Database, statement_plans: list[str]
) -> None:
    fill(sqlite, [run(f"r{n}", at(n)) for n in range(50)])
    reports.lacking(sqlite)
    (plan,) = (plan for plan in statement_plans if "runs" in plan)
    assert "ix_runs_unsettled" in plan


def test_runs_whose_steps_are_missing_are_named(sqlite: Database, now: datetime) -> None:
    open_run: dict[str, Any] = {"steps_synced_at": None, "settled": False}
    fill(sqlite, [run(f"r{n}", at(n), **open_run) for n in range(5)])
    cover(sqlite, (at(-1), at(50)), reaches_start=True)
    assert reports.lacking(sqlite, since=at(1), until=at(2)) == [
        "build: the steps of 1 run are missing: r1"
    ]
    assert reports.lacking(sqlite) == [
        "build: the steps of 5 runs are missing: r0, r1, r2 and 2 more"
    ]
    assert reports.lacking(sqlite, since=at(10)) == []
    page = reports.html(sqlite)
    assert "build: the steps of 5 runs are missing: r0, r1, r2 and 2 more" in page


def test_what_is_lacking_is_said_in_sentences(sqlite: Database, now: datetime) -> None:
    fill(sqlite, [run("a", at(0))])
    assert reports.lacking(sqlite) == ["build: no sync has covered any of this window"]
    cover(sqlite, (at(0), at(10)), (at(12), at(50)))
    assert reports.lacking(sqlite) == [
        "build: not synced before 2024-03-04 00:00 UTC",
        "build: not synced from 2024-03-14 00:00 UTC to 2024-03-16 00:00 UTC",
    ]
    assert reports.lacking(sqlite, since=at(1), until=at(9)) == []
    assert reports.lacking(sqlite, since=at(13)) == []
    assert reports.lacking(sqlite, since=at(13), until=at(14), compared=True) == []
    assert len(reports.lacking(sqlite, since=at(13), compared=True)) == 2
    assert reports.lacking(sqlite, since=at(60)) == [
        "build: no sync has covered any of this window"
    ]


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.sampled_from(["day", "week", "month"]))
def test_periods_follow_each_other_without_a_gap(day: date, every: str) -> None:
    first = {"day": day, "week": day - timedelta(day.weekday()), "month": day.replace(day=1)}[every]
    following = next_period(first, every)
    assert first <= day < following
    if every == "month":
        assert (following.day, (following - timedelta(1)).month) == (1, first.month)
    else:
        assert following - first == timedelta(7 if every == "week" else 1)


def test_days_are_as_long_as_their_zone_makes_them() -> None:
    begin, end = (
        midnight(date(2024, 3, 31), zone_of("Europe/Berlin")),
        midnight(date(2024, 4, 1), zone_of("Europe/Berlin")),
    )
    assert end - begin == timedelta(hours=23)

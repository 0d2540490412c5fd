"""Times, zones and periods as people write them."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest

from runsync.errors import ConfigError
from runsync.reports.definitions import REPORTS
from runsync.reports.query_spec import QuerySpec, checked_every, window, zone_of

BERLIN = zone_of("Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        (" 2024-01-31 ", datetime(2024, 1, 31, tzinfo=UTC)),
        (date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T10:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00Z", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00+02:00", datetime(2024, 1, 31, 8, tzinfo=UTC)),
        (datetime(2024, 1, 31, 10), datetime(2024, 1, 31, 10, tzinfo=UTC)),  # noqa: DTZ001
        (
            datetime(2024, 1, 31, 10, tzinfo=timezone(timedelta(hours=1))),
            datetime(2024, 1, 31, 9, tzinfo=UTC),
        ),
    ],
)
def test_reads_times_in_utc(written: object, meant: datetime) -> None:
    assert window(written).since == meant  # type: ignore[arg-type]


def test_a_date_is_midnight_of_the_reports_zone() -> None:
    asked = window("2024-03-31", "2024-04-01T12:00", "Europe/Berlin")
    assert asked.since == datetime(2024, 3, 30, 23, tzinfo=UTC)
    assert asked.until == datetime(2024, 4, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("15min", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        (" 8 w ", timedelta(weeks=8)),
    ],
)
def test_an_age_goes_back_from_now(now: datetime, age: str, length: timedelta) -> None:
    assert window(age).since == now - length


@pytest.mark.parametrize(
    "wrong",
    ["", "yesterday", "30", "30x", "-3d", "2024-13-01", "9999999d", "0001-01-01T00:00+14:00"],
)
def test_what_is_no_time_is_said_with_examples(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"since=.* is no time; write a date \(2024-01-31\)"):
        window(wrong)


@pytest.mark.parametrize(
    ("since", "until"),
    [("2024-02-01", "2024-01-01"), ("2024-02-01", "2024-02-01"), ("2999-01-01", None)],
)
def test_a_window_ends_after_it_begins(since: str, until: str | None) -> None:
    with pytest.raises(ConfigError, match="choose a since before its until"):
        window(since, until)


def test_an_unknown_zone_is_named_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match="no time zone 'europe/berln'; did you mean 'Europe/Berlin'"
    ):
        zone_of("europe/berln")
    with pytest.raises(ConfigError, match="no time zone"):
        zone_of("../../etc/passwd")


def test_an_unknown_period_is_named_with_the_nearest() -> None:
    assert checked_every("week") == "week"
    with pytest.raises(ConfigError, match="every='weekly' is no period; did you mean 'week'"):
        checked_every("weekly")


def test_the_window_before_is_as_long_and_ends_where_this_begins(now: datetime) -> None:
    asked = window("30d")
    before = asked.before()
    assert (before.since, before.until) == (now - timedelta(days=60), now - timedelta(days=30))
    with pytest.raises(ConfigError, match="needs since"):
        window().before()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": 5}, "since=5 is no time; write a date"),
        ({"until": [1]}, r"until=\[1\] is no time"),
        ({"since": pd.NaT}, "since=NaT is no time"),
        ({"tz": 5}, "there is no time zone 5"),
        ({"every": 5}, "every=5 is no period"),
        ({"by": 5}, "by=5 is neither a name nor a list of names"),
        ({"by": [5]}, "pass_rates cannot be grouped by 5"),
        ({"branches": 5}, "branches=5 is neither a name nor a list of names"),
        ({"pipelines": 5.5}, "pipelines=5.5 is neither a name nor a list of names"),
        ({"pipelines": [None]}, "there is no pipeline None"),
        ({"result": 5}, "result=5 is no result"),
    ],
)
def test_what_is_of_the_wrong_type_is_said_in_a_sentence(asked: dict[str, Any], said: str) -> None:
    report = REPORTS["run_durations" if "result" in asked else "pass_rates"]
    with pytest.raises(ConfigError, match=said):
        QuerySpec(**asked).query((), report)


def test_any_datetime_and_date_will_do(now: datetime) -> None:
    assert window(pd.Timestamp("2024-01-31")).since == datetime(2024, 1, 31, tzinfo=UTC)

"""Frames as rows: numbers with units for programs, words for people."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.reports.definitions import REPORTS
from runsync.reports.rows import duration, percent, plain, probability, readable
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, run


@pytest.fixture
def broken(sqlite: Database) -> Database:
    fill(
        sqlite,
        [run("a", at(0)), run("b", at(1), "failed"), run("c", at(1.5)), run("d", at(2), "failed")],
    )
    return sqlite


def test_programs_get_seconds_shares_times_and_nulls(broken: Database) -> None:
    columns, rows = plain(reports.recoveries(broken, every="week"))
    assert columns == [
        *("pipeline", "branch", "period", "partial", "failures", "open_since"),
        *("mean_time_to_recovery_s", "p50_s", "p90_s"),
    ]
    assert rows == [
        {
            "pipeline": "build",
            "branch": "main",
            "period": "2024-03-04",
            "partial": True,
            "failures": 2,
            "open_since": datetime(2024, 3, 6, 0, 0, 11, tzinfo=UTC),
            "mean_time_to_recovery_s": 43200.0,
            "p50_s": 43200.0,
            "p90_s": 43200.0,
        }
    ]
    assert {type(value) for value in rows[0].values()} == {str, bool, int, float, datetime}


def test_what_is_missing_is_none_and_json_can_hold_all(broken: Database) -> None:
    _, rows = plain(reports.abort_frequencies(broken, by=["weekday", "hour"]))
    assert rows[0]["last_step"] is None
    assert rows[0]["median_time_to_abort_s"] is None
    assert json.loads(json.dumps(rows)) == rows


def test_people_get_words(broken: Database) -> None:
    columns, rows = readable(reports.recoveries(broken))
    assert columns[-3:] == ["mean_time_to_recovery", "p50", "p90"]
    assert rows[0]["open_since"] == "2024-03-06 00:00"
    assert rows[0]["p50"] == "12h 00m"
    _, rows = readable(reports.pass_rates(broken))
    assert (rows[0]["finished"], rows[0]["pass_rate"]) == (4, "50.0%")
    _, rows = readable(reports.compare(broken, since=at(1.2), until=at(3)))
    assert (rows[0]["before"], rows[0]["change"], rows[0]["beyond_chance"]) == (
        "50.0%",
        "+0.0 pp",
        "no",
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0ms"), (0.0004, "0ms"), (0.35, "350ms"), (0.9996, "1.0s"), (8.24, "8.2s"),
        (9.96, "10s"), (59.4, "59s"), (59.6, "1m 00s"), (83, "1m 23s"), (3599.6, "1h 00m"),
        (7500, "2h 05m"), (86399.6, "1d 00h"), (180000, "2d 02h"), (-83, "-1m 23s"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, said: str) -> None:
    assert duration(pd.Timedelta(seconds=seconds)) == said


def test_changes_bear_their_sign() -> None:
    assert duration(pd.Timedelta(seconds=83), signed=True) == "+1m 23s"
    assert percent(0.0123, signed=True) == "+1.2 pp"
    assert percent(-0.0123, signed=True) == "-1.2 pp"
    assert percent(-0.000234, signed=True) == "-0.023 pp"
    assert percent(0.934) == "93.4%"


@given(st.timedeltas(timedelta(0), timedelta(days=400)))
def test_durations_in_words_are_right_to_two_figures(length: timedelta) -> None:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = duration(pd.Timedelta(length)).split()
    told, finest = 0.0, 1.0
    for part in parts:
        figure, unit = part.rstrip("dhms"), part.lstrip("0123456789.")
        told += float(figure) * units[unit]
        finest = 0.1 * units[unit] if "." in figure else units[unit]
    assert abs(told - length.total_seconds()) <= finest * 1.01 + 0.5 * (len(parts) > 1)


def test_rows_of_an_empty_frame_are_none_and_the_columns_stay(sqlite: Database) -> None:
    columns, rows = plain(reports.queue_times(sqlite))
    assert (columns, rows) == (
        ["pipeline", "count", "mean_s", "p50_s", "p90_s", "p95_s", "max_s"],
        [],
    )
    assert readable(reports.queue_times(sqlite))[1] == []


def test_a_plain_value_is_python_own(broken: Database) -> None:
    def check(value: Any) -> None:
        assert type(value) in (str, int, float, bool, datetime, type(None)), type(value)

    for report in REPORTS:
        for row in plain(getattr(reports, report)(broken, by=["weekday", "hour"]))[1]:
            for value in row.values():
                check(value)


@pytest.mark.parametrize(
    ("value", "text"), [(0.861, "0.86"), (0.0449, "0.04"), (0.0031, "0.003"), (4e-7, "<0.001")]
)
def test_p_values_show_the_digits_that_matter(value: float, text: str) -> None:
    assert probability(value) == text

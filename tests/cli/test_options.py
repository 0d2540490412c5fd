"""What people type, read as times and spans."""

from datetime import UTC, datetime, timedelta

import pytest

from runsync.cli.options import chosen, seconds, span, when
from runsync.cli.output import Format
from runsync.errors import ConfigError

NOW = datetime(2024, 5, 15, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("15min", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        (" 30 d ", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_spans(text: str, expected: timedelta) -> None:
    assert span(text) == expected
    assert when(text, now=NOW) == NOW - expected


@pytest.mark.parametrize(
    "text", ["", "15", "m", "-5m", "1.5h", "15 mm", "0m", "15y", "١٥m", "9999999d"]
)
def test_no_spans(text: str) -> None:
    with pytest.raises(ConfigError, match="write one such as"):
        span(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T10:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00Z", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00+02:00", datetime(2024, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert when(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "9999999w", "2024-02-30"])
def test_no_times(text: str) -> None:
    with pytest.raises(ConfigError, match="write a date"):
        when(text)


@pytest.mark.parametrize(("text", "expected"), [("30", 30), ("0.5", 0.5), ("5m", 300)])
def test_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x"])
def test_no_seconds(text: str) -> None:
    with pytest.raises(ConfigError):
        seconds(text)


def test_json_is_short_for_a_format() -> None:
    assert chosen(None, False) is None
    assert chosen(None, True) is Format.JSON
    assert chosen(Format.JSON, True) is Format.JSON
    assert chosen(Format.CSV, False) is Format.CSV
    with pytest.raises(ConfigError, match="contradict"):
        chosen(Format.CSV, True)

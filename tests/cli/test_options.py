"""What people type, read; and Typer's quick stand-in for pydantic."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from runsync.cli.light import lighten
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


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "1.5h", "15 mm", "0m", "15y", "١٥m"])
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


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


Outcome = tuple[str, Any]


def outcome(args: list[str], *, light: bool) -> Outcome:
    """What a command of many kinds of parameters is called with, or how it refuses."""
    called: list[Any] = []
    app = typer.Typer(add_completion=False)

    @app.command()
    def command(
        rest: Annotated[list[str] | None, typer.Argument()] = None,
        text: str | None = None,
        number: int = 7,
        least: Annotated[int, typer.Option(min=0)] = 3,
        path: Path | None = None,
        word: Word = Word.ONE,
        many: Annotated[list[Word] | None, typer.Option()] = None,
        flag: bool = False,
        share: float = 0.5,
    ) -> None:
        called.append((rest, text, number, least, path, word, many, flag, share))

    made = get_command(app)
    try:
        (lighten(made) if light else made).main(args, standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
        return type(error).__name__, str(error)
    return "called", called


parts = st.sampled_from(
    "--text --number --least --path --word --many --flag --no-flag --share one two three x 5 -5 0 "
    "007 1_000 1.5 a/b - é".split()
)


@given(st.lists(parts, max_size=6))
def test_light_parameters_are_read_as_typer_reads_them(args: list[str]) -> None:
    assert outcome(args, light=True) == outcome(args, light=False)

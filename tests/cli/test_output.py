"""Data as tables, JSON, CSV and Markdown."""

import csv
import io
import json
import math
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.cli import output, table
from runsync.cli.output import Format, emit
from runsync.cli.values import iso
from runsync.errors import ConfigError
from runsync.text import visible
from tests.test_text import acts, anything

WHEN = datetime(2016, 7, 4, 11, 51, 24, 851_000, tzinfo=UTC)
json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | anything
rows_of_anything = st.lists(st.fixed_dictionaries({"a": json_values, "b": json_values}))


class Written:
    """What ``emit`` writes to stdout."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(
        self, rows: Sequence[Any], format: Format, columns: Sequence[str], **options: Any
    ) -> str:
        out = io.StringIO()
        with self._monkeypatch.context() as patch:
            patch.setattr("sys.stdout", out)
            emit(rows, columns=columns, format=format, **options)
        return out.getvalue()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.delenv("COLUMNS", raising=False)
    return Written(monkeypatch)


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


# JSON.


@given(rows=rows_of_anything)
def test_json_comes_back_as_it_was(written: Written, rows: list[dict[str, Any]]) -> None:
    def same(value: Any) -> Any:
        infinite = isinstance(value, float) and math.isinf(value)
        return None if infinite else value

    expected = [{k: same(v) for k, v in row.items()} for row in rows]
    assert json.loads(written(rows, Format.JSON, "ab")) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (WHEN, "2016-07-04T11:51:24.851Z"),
        (WHEN.replace(microsecond=0), "2016-07-04T11:51:24.000Z"),
        (WHEN.replace(microsecond=1), "2016-07-04T11:51:24.000001Z"),
        (WHEN.astimezone(timezone(timedelta(hours=5))), "2016-07-04T11:51:24.851Z"),
        (timedelta(seconds=83.5), 83.5),
        (date(2024, 1, 31), "2024-01-31"),
        (Decimal("1.50"), 1.5),
        (Decimal("3"), 3),
        (Decimal("NaN"), None),
        (math.nan, None),
        (math.inf, None),
        (b"\x00\xff", "00ff"),
        ({"a": [WHEN, math.nan]}, {"a": ["2016-07-04T11:51:24.851Z", None]}),
        (Format.CSV, "csv"),
        (10**30, 10**30),
        (True, True),
    ],
)
def test_json_values(written: Written, value: object, expected: object) -> None:
    assert json.loads(written([{"x": value}], Format.JSON, "x")) == [{"x": expected}]


def test_json_of_what_pandas_and_numpy_call_nothing(written: Written) -> None:
    import numpy as np
    import pandas as pd

    row = {"a": pd.NaT, "b": pd.NA, "c": np.float64("nan"), "d": np.int64(3), "e": np.bool_(True)}
    row |= {"f": pd.Timestamp("2024-01-31", tz="UTC"), "g": pd.Timedelta(seconds=2)}
    found = json.loads(written([row], Format.JSON, "abcdefg"))[0]
    assert list(found.values()) == [None, None, None, 3, True, "2024-01-31T00:00:00.000Z", 2.0]


def test_one_thing_is_an_object_and_many_an_array(written: Written) -> None:
    assert json.loads(written([{"x": 1}], Format.JSON, "x", single=True)) == {"x": 1}
    assert json.loads(written([{"x": 1}], Format.JSON, "x")) == [{"x": 1}]
    assert written([], Format.JSON, "x") == "[]\n"


def test_keys_are_the_columns_in_their_order_and_no_others(written: Written) -> None:
    text = written([{"b": 1, "a": 2, "c": 3}], Format.JSON, ["a", "b", "d"])
    assert list(json.loads(text)[0].items()) == [("a", 2), ("b", 1), ("d", None)]


# CSV.


@given(rows=rows_of_anything)
def test_csv_comes_back_but_for_what_acts(written: Written, rows: list[dict[str, Any]]) -> None:
    lines = read_csv(written(rows, Format.CSV, "ab"))
    assert lines[0] == ["a", "b"]
    assert len(lines) == len(rows) + 1
    for line, row in zip(lines[1:], rows, strict=True):
        for cell, value in zip(line, (row["a"], row["b"]), strict=True):
            if isinstance(value, str):
                assert cell in (visible(value, lines=True), f"'{visible(value, lines=True)}")
            elif isinstance(value, float) and math.isfinite(value):
                assert float(cell) == value
            elif isinstance(value, int) and not isinstance(value, bool):
                assert int(cell) == value


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_a_formula_gets_a_quote(written: Written, text: str) -> None:
    assert read_csv(written([{"x": text}], Format.CSV, "x"))[1] == ["'" + text]


def test_numbers_get_none(written: Written) -> None:
    row = {"a": -1, "b": -1.5, "c": timedelta(seconds=-2), "d": "-x"}
    assert read_csv(written([row], Format.CSV, "abcd"))[1] == ["-1", "-1.5", "-2.0", "'-x"]


def test_csv_lines_end_in_cr_lf_and_quotes_are_doubled(written: Written) -> None:
    text = written([{"x": 'say "a", b\nc', "y": None}], Format.CSV, "xy")
    assert text == 'x,y\r\n"say ""a"", b\nc",\r\n'


# Markdown.


def test_markdown_cells_cannot_break_out(written: Written) -> None:
    rows = [{"x": "a|b\n<b>*c*</b> `d` [e](f)\\", "n": 1}]
    head, rule, line = written(rows, Format.MARKDOWN, "xn").splitlines()
    assert (head, rule) == ("| x | n |", "|---|---:|")
    assert line == r"| a\|b \<b\>\*c\*\</b\> \`d\` \[e\](f)\\ | 1 |"


@given(rows=rows_of_anything)
def test_markdown_has_a_line_a_row(written: Written, rows: list[dict[str, Any]]) -> None:
    text = written(rows, Format.MARKDOWN, "ab", title="Runs")
    assert len(text.splitlines()) == len(rows) + 4


# Nothing acts on a terminal.


@given(rows=rows_of_anything)
@pytest.mark.parametrize("format", list(Format))
def test_no_control_reaches_the_terminal(
    written: Written, format: Format, rows: list[dict[str, Any]]
) -> None:
    assert acts(written(rows, format, "ab", title="a\x1b[1mb"), "\r\n\t") == []


# Tables.


def at_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))


ids = st.text("0123456789abcdef", min_size=24, max_size=24)
prose = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=90)
table_rows = st.lists(
    st.fixed_dictionaries(
        {"id": ids, "name": prose, "n": st.integers(0, 10**9), "at": st.just(WHEN)}
    ),
    min_size=1,
    max_size=5,
)


@given(rows=table_rows, width=st.integers(40, 120))
def test_a_table_is_never_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, written: Written, rows: list[dict[str, Any]], width: int
) -> None:
    from rich.cells import cell_len

    with monkeypatch.context() as patch:
        at_width(patch, width)
        text = written(rows, Format.TABLE, ["id", "name", "n", "at"], spare=["n"])
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.splitlines()[0].split()[0] == "id"
    for row in rows:
        assert row["id"] in text


@given(rows=table_rows, width=st.integers(40, 120))
def test_folded_prose_leaves_nothing_out(
    monkeypatch: pytest.MonkeyPatch, written: Written, rows: list[dict[str, Any]], width: int
) -> None:
    with monkeypatch.context() as patch:
        at_width(patch, width)
        text = written(rows, Format.TABLE, ["name", "n"], prose=["name"])
    letters = [c for c in text if not c.isspace()]
    for row in rows:
        for letter in {c for c in row["name"] if not c.isspace()}:
            assert letters.count(letter) >= row["name"].count(letter)


@given(rows=table_rows, width=st.integers(40, 120))
def test_a_table_has_a_line_a_row_unless_it_holds_prose(
    monkeypatch: pytest.MonkeyPatch, written: Written, rows: list[dict[str, Any]], width: int
) -> None:
    with monkeypatch.context() as patch:
        at_width(patch, width)
        text = written(rows, Format.TABLE, ["name", "n", "id", "at"])
    assert len(text.splitlines()) == len(rows) + 2


def test_prose_and_names_are_narrowed_before_ids_and_times(
    monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    at_width(monkeypatch, 60)
    row = {"id": "f" * 24, "note": "some twenty letters.", "at": WHEN}
    text = written([row], Format.TABLE, ["id", "note", "at"], prose=["note"])
    assert text.splitlines()[2:] == [
        f"{'f' * 24}  some twenty   2016-07-04 11:51:24Z",
        f"{' ' * 24}  letters.",
    ]
    at_width(monkeypatch, 70)
    row["note"] = "a branch/of-some-length"
    text = written([row], Format.TABLE, ["id", "note", "at"])
    assert text.splitlines()[2:] == [f"{'f' * 24}  a branch/of-some-leng…  2016-07-04 11:51:24Z"]


def test_columns_that_say_nothing_or_the_same_go_before_the_last(
    monkeypatch: pytest.MonkeyPatch, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": c * 24, "source": "wercker", "extra": None, "result": c * 6} for c in "ab"]
    columns = ["id", "source", "extra", "result"]
    at_width(monkeypatch, 43)
    assert heads(written(rows, Format.TABLE, columns)) == ["id", "source", "result"]
    at_width(monkeypatch, 35)
    assert heads(written(rows, Format.TABLE, columns)) == ["id", "result"]
    assert capsys.readouterr().err.endswith("narrow: source, extra; --json shows all\n")


def test_a_first_column_that_says_nothing_goes_where_nobody_ranked_it(
    monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    rows = [{"source": "wercker", "id": c * 24, "result": c * 6} for c in "ab"]
    columns = ["source", "id", "result"]
    at_width(monkeypatch, 35)
    assert heads(written(rows, Format.TABLE, columns)) == ["id", "result"]
    assert heads(written(rows, Format.TABLE, columns, spare=["result"])) == ["source", "id"]
    at_width(monkeypatch, 20)
    same = [{"a": "x" * 30}] * 2
    assert heads(written(same, Format.TABLE, ["a"])) == ["a"]


def test_many_columns_that_are_not_shown_are_counted(
    monkeypatch: pytest.MonkeyPatch, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    at_width(monkeypatch, 20)
    rows = [{f"column{n}": n for n in range(20)}] * 2
    written(rows, Format.TABLE, [f"column{n}" for n in range(20)])
    said = capsys.readouterr().err
    assert len(said) < 150
    assert "column9 and 10 more; --json shows all" in said


def test_what_is_missing_is_left_blank(written: Written) -> None:
    row = {"a": math.nan, "b": None, "c": Decimal("NaN"), "d": 1}
    assert written([row], Format.TABLE, "abcd").splitlines()[2].split() == ["1"]
    assert written([row], Format.MARKDOWN, "abcd").splitlines()[2] == "|  |  |  | 1 |"


def test_numbers_stand_to_the_right_and_text_to_the_left(written: Written) -> None:
    rows = [{"a": "x", "n": 5}, {"a": "yy", "n": 1000}]
    lines = written(rows, Format.TABLE, ["a", "n"]).splitlines()
    assert lines[0].split() == ["a", "n"]
    assert lines[2:] == ["x      5", "yy  1000"]


def heads(text: str) -> list[str]:
    return text.splitlines()[0].split()


def test_a_narrow_table_drops_the_least_telling_columns_and_says_which(
    monkeypatch: pytest.MonkeyPatch, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": "f" * 24, "author": "somebody", "branch": "feature/x", "note": None}]
    columns, spare = ["id", "author", "branch", "note"], ["author", "branch note"]

    def at(width: int) -> tuple[list[str], str]:
        at_width(monkeypatch, width)
        text = written(rows, Format.TABLE, ["id"], brief=columns, spare=spare)
        return heads(text), capsys.readouterr().err

    assert at(100) == (["id", "author", "branch"], "")
    assert at(40)[0] == ["id", "branch"]
    assert at(40)[1] == "not shown, since the terminal is narrow: author; --json shows all\n"
    assert at(30)[0] == ["id"]
    assert "narrow: author, branch;" in at(30)[1]


def test_columns_that_nobody_ranked_are_dropped_from_the_end(
    monkeypatch: pytest.MonkeyPatch, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    at_width(monkeypatch, 60)
    rows = [{c: c * 22 for c in "abc"}] * 2
    text = written(rows, Format.TABLE, "abc")
    assert heads(text) == ["a", "b"]
    assert len(text.splitlines()) == 4
    assert "narrow: c;" in capsys.readouterr().err


def test_a_file_gets_every_column(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at_width(monkeypatch, 20)
    emit([{c: c * 22 for c in "abc"}], columns="abc", output=tmp_path / "a.txt")
    assert heads((tmp_path / "a.txt").read_text()) == ["a", "b", "c"]


def test_the_first_column_stays_and_is_folded_where_nothing_else_helps(
    monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    at_width(monkeypatch, 20)
    text = written([{"id": "f" * 30, "n": 1}], Format.TABLE, ["id", "n"])
    assert text.splitlines()[2:] == ["f" * 20, "f" * 10]


def test_text_columns_can_be_aligned_as_numbers_are(written: Written) -> None:
    rows = [{"a": "x", "rate": "5.0%"}, {"a": "y", "rate": "100.0%"}]
    lines = written(rows, Format.TABLE, ["rate", "a"], right=["rate"]).splitlines()
    assert lines[2:] == ["  5.0%  x", "100.0%  y"]
    assert "|---:|---|" in written(rows, Format.MARKDOWN, ["rate", "a"], right=["rate"])


def test_one_thing_is_a_block_with_all_its_columns(written: Written) -> None:
    text = written([{"x": 1, "yy": None}], Format.TABLE, ["x", "yy"], single=True, brief=["x"])
    assert text == "x   1\nyy\n"


def test_a_pipe_gets_one_line_a_row_however_long(written: Written) -> None:
    text = written([{"x": "word " * 100, "y": "word " * 100}], Format.TABLE, "xy")
    assert len(text.splitlines()) == 3


def test_a_pipe_or_a_file_gets_no_colour(
    written: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    row = {"result": "failed", "y": "http://a.b/c"}
    assert "\x1b" not in written([row], Format.TABLE, ["result", "y"])
    monkeypatch.setattr(output, "has_colours", lambda: True)
    emit([row], columns=["result"], output=tmp_path / "a.txt")
    assert "\x1b" not in (tmp_path / "a.txt").read_text()


@pytest.mark.parametrize("single", [False, True])
def test_a_failed_result_looks_unlike_a_passed_one_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(result: str, **environment: str) -> str:
        terminal = Terminal()
        with monkeypatch.context() as patch:
            for name in ("NO_COLOR", "TERM"):
                patch.setenv(name, environment.get(name, ""))
            patch.setattr("sys.stdout", terminal)
            emit([{"result": result, "n": 1}], columns=["result", "n"], single=single)
        return terminal.getvalue()

    failed, passed = shown("failed"), shown("passed")
    assert "\x1b[1;31mfailed" in failed.replace("\x1b[31m\x1b[1m", "\x1b[1;31m")
    assert "\x1b[32mpassed" in passed
    assert "\x1b" not in shown("failed", NO_COLOR="1") + shown("failed", TERM="dumb")
    assert "\x1b[3" not in shown("another word")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (1620, "27 min ago"), (3600, "1 h ago"),
     (36 * 3600, "36 h ago"), (49 * 3600, "2 days ago"), (-7200, "in 2 h")],
)  # fmt: skip
def test_ages(written: Written, seconds: float, shown: str) -> None:
    now = datetime(2024, 5, 15, tzinfo=UTC)
    age = table.Age.since(now - timedelta(seconds=seconds), now)
    assert written([{"age": age}], Format.TABLE, ["age"]).splitlines()[2] == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.00s"), (0.456, "0.46s"), (9.996, "10.0s"), (59.96, "1m 00s"), (187, "3m 07s"),
     (3599.6, "1h 00m"), (7500, "2h 05m"), (93_600, "1d 02h"), (-61, "-1m 01s")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert table.duration(timedelta(seconds=seconds)) == shown


def test_a_run_of_long_ago_is_told_by_its_date(written: Written) -> None:
    for days, shown in ((59.9, "59 days ago"), (60.1, None)):
        when = datetime.now(UTC) - timedelta(days=days)
        text = written([{"created_at": when}], Format.TABLE, ["created_at"], brief=["created_at"])
        assert text.splitlines()[2] == (shown or f"{when:%Y-%m-%d}")


def test_a_table_of_runs_says_how_old_they_are_and_json_when_they_were_made(
    written: Written,
) -> None:
    row = {"id": "5", "created_at": datetime.now(UTC) - timedelta(minutes=27, seconds=5)}
    text = written([row], Format.TABLE, ["id", "created_at"], brief=["id", "created_at"])
    assert "27 min ago" in text
    exact = json.loads(written([row], Format.JSON, ["created_at"], brief=["id"]))
    assert exact[0]["created_at"].endswith("Z")
    assert "ago" not in written([row], Format.TABLE, ["id", "created_at"])


# Files.


def test_the_name_of_the_file_says_the_format(tmp_path: Path) -> None:
    for name, begin in {"a.json": "[", "a.csv": "x\r\n", "a.md": "| x |", "a.txt": "x\n"}.items():
        emit([{"x": 1}], columns="x", output=tmp_path / name)
        assert (tmp_path / name).read_bytes().decode().startswith(begin)


def test_a_workbook_holds_the_columns_for_programs(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    row = {"x": "=1+1", "n": 1.5, "t": timedelta(seconds=90), "at": WHEN, "b": True, "e": None}
    row |= {"big": 10**17, "acts": "\x1b[2J", "long": "x" * 40_000, "j": {"a": [1]}}
    emit([row], columns=list(row), brief=["x"], output=tmp_path / "a.xlsx")
    head, line = load_workbook(tmp_path / "a.xlsx").active.values
    assert head == tuple(row)
    assert line == (
        "'=1+1", 1.5, 90, "2016-07-04T11:51:24.851Z", True, None,
        str(10**17), "\\x1b[2J", "x" * 32_767, '{"a": [1]}',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.html", "runsync report html"), ("a.pdf", ".pdf says no format"), ("a.PARQUET", "known")],
)
def test_an_ending_that_says_no_format_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        emit([{"x": 1}], columns="x", output=tmp_path / name)
    assert not (tmp_path / name).exists()
    emit([{"x": 1}], columns="x", output=tmp_path / name, format=Format.CSV)
    assert (tmp_path / name).read_text() == "x\n1\n"


def test_a_workbook_without_its_library_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigError, match=r"pip install 'runsync\[excel\]', or name a \.csv file"):
        emit([{"x": 1}], columns="x", output=tmp_path / "a.xlsx")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    emit([{"x": "old"}], columns="x", output=path)

    def disk_is_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_is_full)
    with pytest.raises(ConfigError, match=r"cannot write .*a\.csv: No space left"):
        emit([{"x": "new"}], columns="x", output=path)
    assert path.read_text() == "x\nold\n"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    before = os.umask(0o027)
    try:
        emit([], columns="x", output=path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    emit([], columns="x", output=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    emit([], columns="x", output=tmp_path / "link.csv")
    assert (tmp_path / "real.csv").read_text() == "x\n"
    assert (tmp_path / "link.csv").is_symlink()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_what_stdout_is_appended_to_stays(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """``runsync status -o /dev/stdout >> log``: the name leads to the log, which is no new file."""
    log = tmp_path / "log"
    log.write_text("of yesterday\n")
    emitting = "from runsync.cli.output import *; emit([], columns='x', output=Path(sys.argv[1]))"
    with capfd.disabled(), log.open("a") as file:
        command = [sys.executable, "-c", emitting, name]
        subprocess.run(command, stdout=file, check=True)
    assert log.read_text() == "of yesterday\nx\n─\n"


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*nowhere"):
        emit([], columns="x", output=tmp_path / "nowhere" / "a.csv")
    with pytest.raises(ConfigError, match="cannot write"):
        emit([], columns="x", output=tmp_path)


def test_iso_of_a_naive_time_is_taken_as_utc() -> None:
    assert iso(datetime(2024, 1, 2)) == "2024-01-02T00:00:00.000Z"  # noqa: DTZ001

"""`runsync report` as it is typed."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runsync.cli import run as run_command
from runsync.reports.definitions import REPORTS
from runsync.storage.database import Database
from tests.reports.database_rows import at, cover, fill, pipeline, run, step

COMMANDS = [report.command for report in REPORTS.values()]

Said = tuple[int, str, str]


@pytest.fixture
def report(
    sqlite: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Said]:
    """Runs `runsync report …` on a small history; gives exit code, stdout and stderr."""
    runs = [
        run(f"r{n}", at(n), ("passed", "passed", "failed", "aborted")[n % 4], pipeline=1 + n % 2)
        for n in range(90)
    ]
    steps = [step(r, 1, "test", 2.5, r["result"]) for r in runs]
    fill(sqlite, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    cover(sqlite, (at(-1), at(100)), pipelines=[1, 2], reaches_start=True)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: at(100))
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", sqlite.engine.url.render_as_string(False))

    def typed(*args: str) -> Said:
        code = run_command(["report", *args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


@pytest.mark.parametrize("command", [*COMMANDS, "compare"])
def test_every_report_in_every_format(report: Callable[..., Said], command: str) -> None:
    asked = (command, "--until", "2024-05-31")  # when something was broken
    code, table, errors = report(*asked)
    assert (code, errors) == (0, "")
    assert "pipeline" in table.splitlines()[0]
    rows = json.loads(report(*asked, "--json")[1])
    heads, *lines = csv.reader(io.StringIO(report(*asked, "--format", "csv")[1]))
    assert len(rows) == len(lines)
    if command == "changes":  # too short a history for any
        return
    assert list(rows[0]) == heads
    assert report(*asked, "--format", "markdown")[1].startswith("| pipeline |")


def test_json_has_seconds_shares_and_nulls(report: Callable[..., Said]) -> None:
    rows = json.loads(report("step-durations", "--json", "--pipeline", "build")[1])
    assert (rows[0]["p50_s"], rows[0]["share"], rows[0]["step"]) == (2.5, 1.0, "test")
    rows = json.loads(report("aborts", "--json", "--pipeline", "build")[1])
    assert (rows[0]["aborted"], rows[0]["last_step"], rows[0]["median_time_to_abort_s"]) == (
        0,
        None,
        None,
    )
    rows = json.loads(report("recovery", "--json", "--until", "2024-05-30")[1])
    assert [row["open_since"] for row in rows] == ["2024-05-29T00:00:11.000Z"]


def test_people_see_percent_and_spans(report: Callable[..., Said]) -> None:
    table = report("aborts", "--by", "all")[1].splitlines()
    assert table[0].split() == [
        *("finished", "aborted", "abort_rate", "abort_rate_low", "abort_rate_high"),
        *("never_started", "median_time_to_abort", "last_step", "last_step_aborts"),
    ]
    assert table[2].split() == ["90", "22", "24.4%", "16.7%", "34.2%", "0", "10s", "test", "22"]


def test_options_reach_the_report(report: Callable[..., Said]) -> None:
    asked = ("pass-rates", "--json", "--by", "branch", "--by", "weekday", "--branch", "main")
    rows = json.loads(
        report(*asked, "--since", "30d", "--until", "2024-05-30", "--tz", "Asia/Tokyo")[1]
    )
    assert list(rows[0])[:3] == ["branch", "weekday", "finished"]
    assert sum(row["finished"] for row in rows) == 17
    rows = json.loads(report("pass-rates", "--every", "month", "--pipeline", "deploy", "--json")[1])
    assert [(row["period"], row["partial"]) for row in rows] == [
        ("2024-03-01", False), ("2024-04-01", False), ("2024-05-01", False), ("2024-06-01", True),
    ]  # fmt: skip
    rows = json.loads(report("run-durations", "--result", "failed", "--by", "all", "--json")[1])
    assert rows[0]["count"] == 22
    rows = json.loads(report("compare", "--report", "aborts", "--since", "40d", "--json")[1])
    assert set(rows[0]) == {
        *("pipeline", "before", "after", "change", "low", "high"),
        *("n_before", "n_after", "p_value", "beyond_chance"),
    }


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("pass-rates", "--every", "weekly"), "did you mean 'week'"),
        (("pass-rates", "--by", "brnch"), "did you mean 'branch'"),
        (("pass-rates", "--pipeline", "biuld"), "did you mean 'build'"),
        (("pass-rates", "--branch", "mian"), "no run on the branch 'mian'; did you mean 'main'"),
        (("html", "--branch", "mian"), "no run on the branch 'mian'"),
        (("compare", "--result", "passed"), "pass_rates is about all results; leave result away"),
        (("pass-rates", "--since", "soon"), "is no time; write a date"),
        (("pass-rates", "--scheduler", " "), "--scheduler is empty; name one, such as tcp://"),
        (("pass-rates", "--tz", "Mars/Olympus"), "there is no time zone 'Mars/Olympus'"),
        (("step-durations", "--result", "passd"), "did you mean 'passed'"),
        (("compare", "--report", "pass-rate"), "there is no report 'pass-rate'"),
    ],
)
def test_what_is_not_understood_is_a_sentence(
    report: Callable[..., Said], typed: tuple[str, ...], said: str
) -> None:
    code, out, errors = report(*typed)
    assert (code, out) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1


def test_what_is_not_covered_is_noted_beside_the_data(
    report: Callable[..., Said], sqlite: Database
) -> None:
    fill(sqlite, pipelines=[pipeline(3, "lint")])
    code, out, errors = report("pass-rates", "--json")
    assert (code, errors) == (0, "note: lint: no sync has covered any of this window\n")
    assert json.loads(out)
    assert report("pass-rates", "--json", "--pipeline", "build")[2] == ""
    fill(sqlite, pipelines=[pipeline(n, f"p{n}") for n in range(4, 9)])
    assert report("pass-rates")[2].splitlines()[3:] == [
        "note: and 3 more like these; `runsync status` lists all"
    ]


def test_the_configs_prices_reach_the_report(report: Callable[..., Said], tmp_path: Path) -> None:
    config = tmp_path / "priced.toml"
    config.write_text('[cost]\n"*" = 2\n')
    asked = ("time", "--by", "all", "--json")
    (row,) = json.loads(report(*asked)[1])
    assert (row["runs"], round(row["minutes"], 9), row["cost"]) == (90, 3.75, None)
    (row,) = json.loads(report(*asked, "--config", str(config))[1])
    assert round(row["cost"], 9) == 7.5
    assert "3.75" in report("time", "--by", "all")[1]


def test_the_busy_time_is_asked_for_by_an_option(report: Callable[..., Said]) -> None:
    assert json.loads(report("run-durations", "--busy", "--json")[1]) == []


def test_writes_files_by_their_name(report: Callable[..., Said], tmp_path: Path) -> None:
    assert report("pass-rates", "--output", str(tmp_path / "rates.json"))[1] == ""
    assert json.loads((tmp_path / "rates.json").read_text())[0]["pipeline"] == "build"
    report("pass-rates", "--output", str(tmp_path / "rates.csv"))
    assert (tmp_path / "rates.csv").read_text().startswith("pipeline,finished")


def test_the_page_goes_to_a_file_or_down_a_pipe(
    report: Callable[..., Said], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    code, out, errors = report("html", "--output", str(path), "--every", "month")
    assert (code, out, errors) == (0, "", f"wrote {path}\n")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert report("html", "--since", "10d")[1].startswith("<!DOCTYPE html>")


def test_a_narrow_terminal_is_spared_what_it_has_no_room_for(
    report: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = report("pass-rates")[1].splitlines()
    assert max(map(len, lines)) <= 80
    assert "pass_rate" in lines[0]
    assert "unknown" not in lines[0]
    assert len(lines) == 4


def test_help_needs_no_pandas() -> None:
    code = (
        "import sys; from runsync.cli import run; run(['report', '--help']); "
        "sys.exit(int('pandas' in sys.modules or 'sqlalchemy' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def column(report: Callable[..., Said], name: str, *args: str) -> list[Any]:
    return [row[name] for row in json.loads(report("pass-rates", "--json", *args)[1])]


def test_rows_are_sorted_by_a_column(report: Callable[..., Said]) -> None:
    by_week = ("--every", "week")
    counts = column(report, "finished", *by_week)
    assert counts != sorted(counts, reverse=True)
    assert column(report, "finished", *by_week, "--sort", "finished") == sorted(
        counts, reverse=True
    )
    assert column(report, "finished", *by_week, "--sort=-finished") == sorted(counts)
    assert column(report, "pipeline", "--sort", "pipeline") == ["build", "deploy"]
    assert column(report, "pipeline", "--sort=-pipeline") == ["deploy", "build"]
    assert (
        column(report, "finished", *by_week, "--sort", "finished", "--top", "2")
        == sorted(counts, reverse=True)[:2]
    )


def test_rows_are_sorted_by_the_name_that_json_gives_a_column(report: Callable[..., Said]) -> None:
    for sort in ("p50_s", "-p50_s", "p50"):
        code, out, errors = report("run-durations", "--json", f"--sort={sort}")
        assert (code, errors) == (0, "")
        assert "p50_s" in json.loads(out)[0]


@pytest.mark.parametrize("name", ["page.pdf", "page.csv", "page"])
def test_a_page_is_written_to_a_page(
    report: Callable[..., Said], tmp_path: Path, name: str
) -> None:
    code, _, errors = report("html", "--output", str(tmp_path / name))
    assert code == 2
    assert "--output report.html" in errors
    assert not (tmp_path / name).exists()


def test_nulls_are_sorted_after_all_others(report: Callable[..., Said]) -> None:
    asked = ("--by", "branch", "--every", "day")
    for sort in ("pass_rate", "-pass_rate"):
        rates = column(report, "pass_rate", *asked, f"--sort={sort}")
        told = [rate for rate in rates if rate is not None]
        assert 0 < len(told) < len(rates)
        assert rates == told + [None] * (len(rates) - len(told))


def test_a_sort_that_cannot_be_is_refused(report: Callable[..., Said]) -> None:
    code, out, errors = report("pass-rates", "--sort", "pass_rat")
    assert (code, out) == (2, "")
    assert "no column 'pass_rat'; did you mean 'pass_rate'?" in errors
    assert report("pass-rates", "--top", "0")[0] == 2


def test_a_file_of_no_known_format_is_refused_before_anything_is_read(
    report: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "runsync.toml").write_text('database_url = "sqlite:///nosuch.db"')
    for asked in (["pass-rates"], ["compare"]):
        code, out, errors = report(*asked, "--output", str(tmp_path / "x.pdf"))
        assert (code, out) == (2, "")
        assert ".pdf says no format; known are .json" in errors


def test_an_unknown_key_is_refused_by_the_name_of_its_option(report: Callable[..., Said]) -> None:
    code, _, errors = report("pass-rates", "--by", "moon")
    assert code == 2
    assert "--by" in errors
    assert "'moon'; known: pipeline, source, branch" in errors

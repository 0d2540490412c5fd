"""A new report is one new file: tried with a copy of the package that has one more."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import runsync
from runsync import reports
from runsync.reports.definitions import REPORTS
from runsync.reports.section import (
    P50_TO_P95,
    Band,
    Card,
    Change,
    Ranking,
    Rows,
    Trends,
    WeekdayHours,
)
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, run

ROOT = Path(runsync.__file__).parents[1]

RETRIES = """
from runsync.reports.report import Rate, Report, counts, rate_with_interval
from runsync.reports.section import Band, Card, Change, Section, Trends
from runsync.reports.statistics import Groups, rate, wilson


def load(reader, query):
    return (reader.runs(query, ["attempt"], where=["is_finished"]),)


def figures(query, runs):
    groups = Groups(runs, query.keys)
    finished, retried = groups.total(), groups.total(runs["attempt"] > 1)
    low, high = wilson(retried, finished)
    return groups.keys.assign(
        finished=finished, retried=retried, retry_rate=rate(retried, finished),
        retry_rate_low=low, retry_rate_high=high,
    )


REPORT = Report(
    name="retried_runs",
    command="retries",
    title="Retries",
    summary="How many of the finished runs were later attempts.",
    about="A first attempt is no retry.",
    columns=(
        *counts(finished="finished runs", retried="later attempts among them"),
        *rate_with_interval("retry_rate", "retried / finished"),
    ),
    load=load,
    figures=figures,
    main=Rate("retry_rate", hits="retried", trials=("finished",)),
    section=Section(
        panels=(Trends(Band("retry_rate", "retry_rate_low", "retry_rate_high")),),
        caption="Retry rate per {every}.",
        cards=(Card("Retried", "of finished runs"),),
        change=Change("retry rate", "is retried more", "is retried less"),
    ),
    order=15,
)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of the package that has one more report."""
    shutil.copytree(
        ROOT / "runsync", tmp_path / "runsync", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    (tmp_path / "runsync/reports/definitions/retried_runs.py").write_text(RETRIES)
    return tmp_path


def test_one_file_makes_a_function_a_command_a_comparison_and_a_section(
    package: Path, sqlite: Database
) -> None:
    fill(sqlite, [run(f"r{n}", at(n), attempt=1 + n % 2) for n in range(20)])
    url = sqlite.engine.url.render_as_string(hide_password=False)
    compared = ("--report", "retries", "--since", "2024-03-14", "--until", "2024-03-24")
    commands: list[tuple[str, ...]] = [
        ("report", "--help"),
        ("report", "retries", "--format", "csv"),
        ("report", "compare", *compared, "--format", "csv"),
        ("report", "html"),
    ]
    program = (
        "import json, sys\n"
        "from runsync import cli, reports\n"
        "print(dir(reports))\n"
        f"print(reports.retried_runs({url!r})['retried'].sum())\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    print('\\f', end='')\n"
        "    assert cli.run(command) == 0\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)],
        env=os.environ | {"PYTHONPATH": str(package), "RUNSYNC_DATABASE_URL": url},
        cwd=package,
        check=True,
        capture_output=True,
        text=True,
    )
    functions, help_text, rows, comparison, page = ended.stdout.split("\f")
    assert "retried_runs" in functions
    assert functions.endswith("\n10\n")
    assert "were later attempts." in help_text
    assert rows.startswith("pipeline,finished,retried,retry_rate,retry_rate_low,retry_rate_high")
    assert ",0.5,0.5,0.0," in comparison
    assert '<section id="retried_runs"><h2>Retries</h2>' in page
    assert "<dt>Retried</dt><dd>50.0%</dd>" in page


def test_completion_shows_what_users_call_and_nothing_else() -> None:
    assert dir(reports) == sorted([*REPORTS, "compare", "html", "lacking"])


def test_help_explains_arguments_and_columns() -> None:
    for name, report in REPORTS.items():
        text = getattr(reports, name).__doc__
        assert report.summary in text
        assert "since: where the window begins" in text
        assert ("result: counts only" in text) == ("result" in report.takes)
        for column in report.columns:
            assert f"{column.name}: {column.meaning}" in text


@pytest.mark.parametrize(
    ("report", "changed", "said"),
    [
        ("pass_rates", {"panels": (Trends(Band("rate", "a", "b")),)}, "shows 'rate', which is no"),
        ("pass_rates", {"panels": (WeekdayHours("p50", "t"),)}, "shows 'p50', which is no column"),
        ("pass_rates", {"rows": Rows(greatest=("most",))}, "shows 'most', which is no column"),
        ("pass_rates", {"cards": (Card("t", "a", "sum", "x"),)}, "shows 'x', which is no column"),
        ("step_durations", {"panels": (Trends(P50_TO_P95),)}, "Trends needs one row per pipeline"),
        (
            "run_durations",
            {"panels": (Ranking("t", greatest=(), note="count", sum="s"),)},
            "a Ranking without a band needs a rate",
        ),
        ("broken_branches", {"cards": (Card("t", "a"),)}, "a Card of the main figure needs one"),
        ("flaky_steps", {"change": Change("rate", "more", "less")}, "a change needs a main figure"),
    ],
)
def test_a_section_that_the_page_cannot_show_is_refused_in_a_sentence(
    report: str, changed: dict[str, Any], said: str
) -> None:
    section = replace(REPORTS[report].section, **changed)
    with pytest.raises(ValueError, match=f"report {report}: .*{said}"):
        replace(REPORTS[report], section=section)


def test_an_argument_that_a_report_does_not_take_is_a_type_error(sqlite: Database) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'result'"):
        reports.pass_rates(sqlite, result="passed")
    with pytest.raises(TypeError, match="unexpected keyword argument 'pipeline'"):
        reports.pass_rates(sqlite, pipeline="build")  # type: ignore[call-arg]

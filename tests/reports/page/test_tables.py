"""Tables: what stands in them, in which order, and how a browser sorts them."""

import re
from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest

from runsync import reports
from runsync.reports.definitions import REPORTS
from runsync.reports.page.tables import meanings, report_table, web_link
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, run, step


@pytest.fixture
def failing(sqlite: Database, now: datetime) -> Database:
    """A step that fails ever more often, and in fewer runs than it passes."""
    runs = [
        run(f"r{n:02}", at(60 + n), "failed" if n > 20 and n % 3 else "passed") for n in range(40)
    ]
    steps = [
        step(one, n, name, 60 * n, one["result"] if n == 2 else "passed")
        for one in runs
        for n, name in ((1, "lint"), (2, "unit tests"))
    ]
    fill(sqlite, runs, steps)
    return sqlite


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">(.*?)</section>', page, re.DOTALL)
    assert found
    return found[1]


def test_on_a_narrow_screen_there_is_something_to_click(failing: Database) -> None:
    html = section(reports.html(failing), "step_failures")
    (kind,) = set(re.findall(r'<td class="([^"]*)" data-label="last run"', html))
    assert "spare" not in kind.split()


def test_the_main_figure_comes_first_and_what_holds_nothing_takes_no_column(
    failing: Database,
) -> None:
    html = section(reports.html(failing), "step_failures")
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", html)
    assert heads[:5] == ["pipeline", "step", "failure rate", "95% interval", "trend"]
    assert "errors" not in heads
    assert "by the CI system's own fault alone: none" in html.replace("&#39;", "'")
    assert heads.count("failed") == 1


def test_a_step_has_its_trend_and_a_link_to_its_last_failure(failing: Database) -> None:
    html = section(reports.html(failing), "step_failures")
    rows = re.findall(r"<tr data-pipeline.*?</tr>", html, re.DOTALL)
    assert len(rows) == 1, "lint never failed"
    assert rows[0].count('<svg class="spark"') == 1
    assert re.search(r'<a href="https://ci\.example\.org/[^"]*r38" [^>]*><bdi>r38<', rows[0])


def test_a_change_names_the_step_in_which_most_of_it_is(failing: Database) -> None:
    html = section(reports.html(failing, since=at(80)), "changes")
    words = " ".join(re.sub(r"<[^>]*>", "", html).split())
    assert re.search(r"build fails more than before 23 May: 0\.0% → \d\d\.\d%", words)
    assert "most in unit tests" in words


def test_cells_that_words_would_not_sort_say_by_what_they_are_sorted() -> None:
    frame = pd.DataFrame(
        {
            "pipeline": ["a", "b"],
            **{name: pd.to_timedelta([90, 3600], "s") for name in ("mean", "p50", "p90", "p95")},
            "max": pd.to_timedelta([None, 3600], "s"),
            "count": [2, 1000],
        }
    )
    table = report_table(REPORTS["queue_times"], frame)
    first, second = (row.cells for row in table.rows)
    assert list(table.heads)[:2] == ["pipeline", "p50"]
    assert (first["p50"].text, first["p50"].order, second["p50"].order) == ("1m 30s", 90, 3600)
    assert (first["max"].text, first["max"].order) == (None, None)
    assert second["count"].text == "1,000"
    assert first["pipeline"].order is None


def test_meanings_that_reports_share_are_told_once() -> None:
    one = REPORTS["queue_times"]
    column = replace(one.columns[0], meaning="another meaning")
    other = replace(one, name="other", columns=(column, *one.columns[1:]))
    shared, own = meanings([one, other])
    assert {"mean", "p50", "p90", "p95", "max"} == set(shared)
    assert own == {
        "queue_times": {"count": "runs that have started"},
        "other": {"count": "another meaning"},
    }


@pytest.mark.parametrize(
    "url",
    ["https://ci.example/1", "http://127.0.0.1:8010/#/builders/1/builds/2"],
)
def test_a_page_is_a_link(url: str) -> None:
    assert web_link(url) == url


@pytest.mark.parametrize("url", [None, float("nan"), "", "ftp://x/y", "https://[x", "javascript:1"])
def test_what_is_no_page_is_no_link(url: object) -> None:
    assert web_link(url) is None

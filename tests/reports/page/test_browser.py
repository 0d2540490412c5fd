"""The page in a real browser: nothing is loaded, nothing complains, and it fits every screen."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, cover, fill, pipeline, run, step
from tests.reports.page.browser import CHROMIUM, Browser, browser

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine"),
]
LONG = "a-branch-whose-name-somebody-has-made-from-the-whole-title-of-a-long-ticket-" * 2
# What is wider than its place, or reaches out of the screen.
OVERFLOWING = """
[...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map((one) => one.outerHTML.slice(0, 120))
"""
SHOWN_ROWS = """
[...document.querySelectorAll("#{} tbody tr")].filter((row) => row.offsetHeight)
  .map((row) => [...row.cells].map((cell) => cell.textContent))
"""


@pytest.fixture
def page(sqlite: Database, now: datetime, tmp_path: Path) -> Path:
    """Two pipelines, many branches, and enough steps that a table is folded."""
    words = ["passed", "failed", "passed", "aborted", "passed"]
    runs = [
        run(f"{p}-{n}", at(n / 2), words[n % 5], pipeline=p, took=30 + n * p % 50,
            branch=["main", LONG, f"topic-{n % 30}"][n % 3], commit_hash=f"c{n // 2}")
        for p in (1, 2) for n in range(200)
    ]  # fmt: skip
    steps = [
        step(one, k, f"step {k}", k, one["result"] if k == 2 else "passed")
        for one in runs
        for k in range(1, 13)
    ]
    fill(sqlite, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    cover(sqlite, (at(-1), at(100)), pipelines=[1, 2], reaches_start=True)
    file = tmp_path / "page.html"
    file.write_text(reports.html(sqlite), encoding="utf-8")
    return file


@pytest.fixture
def tab() -> Iterator[Browser]:
    with browser() as made:
        yield made


def test_in_a_browser(page: Path, tab: Browser, tmp_path: Path) -> None:
    """All in one browser, since its start is most of the time that this takes."""
    tab.screen(1280)
    tab.open(page)
    sorts_and_filters(tab)
    fits_screens(page, tab)
    is_dark(page, tab)
    is_whole_without_script(page, tab)
    tab.printed(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert tab.messages == []
    assert set(tab.requested) == {page.as_uri()}


def sorts_and_filters(tab: Browser) -> None:
    def rows(section: str) -> list[list[str]]:
        found: list[list[str]] = tab.value(SHOWN_ROWS.format(section))
        return found

    def press(section: str, column: int) -> None:
        tab.value(f"document.querySelectorAll('#{section} th button')[{column}].click()")

    assert len(rows("step_durations")) == 15
    press("step_durations", 2)
    medians = [row[2] for row in rows("step_durations")]
    assert medians == sorted(medians, key=lambda text: -float(text.rstrip("s")))
    press("step_durations", 2)
    assert rows("step_durations")[0][2] == "1.0s"
    tab.value("document.querySelector('#step_durations .more button').click()")
    assert len(rows("step_durations")) == 24

    choose = "const pick = document.querySelector('[name={}]'); pick.value = '{}';"
    choose += " pick.dispatchEvent(new Event('change'))"
    tab.value("{" + choose.format("pipeline", "deploy") + "}")
    assert {row[0] for row in rows("step_durations")} == {"deploy"}
    assert tab.value("document.querySelectorAll('#pass_rates figure:not(.filtered)').length") == 1
    tab.value("{" + choose.format("branch", "main") + "}")
    assert [row[:2] for row in rows("recoveries")] == [["deploy", "main"]]
    assert not tab.value("document.querySelector('.all-branches').hidden")
    tab.value("{" + choose.format("pipeline", "") + "}")
    assert {row[0] for row in rows("recoveries")} == {"build", "deploy"}


def fits_screens(page: Path, tab: Browser) -> None:
    for width in (390, 820, 1280):
        tab.screen(width)
        tab.open(page)
        assert tab.value("document.documentElement.scrollWidth") == width
        if width == 390:
            assert tab.value(OVERFLOWING) == []
            first = "document.querySelector('#pass_rates tbody td:nth-child(2)').dataset.label"
            assert tab.value(first) == "pass rate"


def is_dark(page: Path, tab: Browser) -> None:
    tab.screen(1280, dark=True)
    tab.open(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert tab.value(ground) == "rgb(17, 22, 29)"
    line = "getComputedStyle(document.querySelector('path.line')).stroke"
    assert tab.value(line) == "rgb(108, 184, 230)"


def is_whole_without_script(page: Path, tab: Browser) -> None:
    tab.screen(1280, script=False)
    tab.open(page)
    assert len(tab.value(SHOWN_ROWS.format("step_durations"))) == 24
    assert tab.value("document.getElementById('filter').hidden")
    tab.screen(1280)

"""The page: whole, harmless, the same every time, and needing nothing from outside."""

import base64
import hashlib
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.reports.definitions import REPORTS
from runsync.reports.page.render import environment, shown
from runsync.storage.database import Database
from runsync.text import visible
from tests.reports.database_rows import at, cover, fill, pipeline, run, step

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\x1b[2J\x1b]0;owned\x07",
    "abc\u202egnp.exe\u2066",
    "$\\frac{1}{0}$ & <b>",
    "line\nbreak\ttab\x00nul",
    "x" * 100_000,
    "]]> <!-- --> </style></svg>",
)
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Outline(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def ids(self) -> list[str]:
        return [i for _, attributes in self.tags if (i := attributes.get("id"))]


@pytest.fixture
def history(sqlite: Database, now: datetime) -> Database:
    """A hundred days of two pipelines with a bit of everything."""
    words = ["passed", "passed", "failed", "passed", "aborted", "passed", "skipped"]
    runs = [
        run(f"{p}-{n}", at(n / 2), words[(n * p) % 7], pipeline=p, queued=n % 9, took=30 + n % 50,
            commit_hash=f"c{n // 2}")
        for p in (1, 2) for n in range(200)
    ]  # fmt: skip
    steps = [
        step(r, k, f"step {k}", 1 + k, r["result"] if k == 2 else "passed")
        for r in runs
        for k in (1, 2)
    ]
    fill(sqlite, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    cover(sqlite, (at(-1), at(100)), pipelines=[1, 2], reaches_start=True)
    return sqlite


def test_holds_every_report_with_tables_and_charts(history: Database) -> None:
    page = reports.html(history)
    outline = Outline(page)
    assert {"changes", "coverage", *REPORTS} <= set(outline.ids())
    names = [name for name, _ in outline.tags]
    assert names.count("table") >= len(REPORTS)
    assert names.count("svg") >= 12
    for name, report in REPORTS.items():
        if report.section.is_state or getattr(reports, name)(history).empty:
            continue
        for column in report.columns:
            is_column = not column.name.endswith(("_low", "_high")) and column.name != "web_url"
            meant = column.meaning in "".join(outline.text)
            assert meant or not is_column, f"{report.name} does not say what {column.name} counts"


def test_tells_window_and_moment_and_no_path(history: Database) -> None:
    page = reports.html(history, since="2024-03-10", until="2024-04-10")
    text = "".join(Outline(page).text)
    assert "created 2024-03-10 to 2024-04-10" in text
    assert "As of 2024-06-12 00:00 UTC" in text
    assert "runsync.db" not in page
    assert str(history.engine.url.database) not in page


@pytest.mark.parametrize("ahead", [-3, 3])
def test_no_time_on_the_page_is_after_its_own(sqlite: Database, now: datetime, ahead: int) -> None:
    """Also where the provider's clock is ahead of this machine's."""
    last = now + timedelta(hours=ahead)
    fill(sqlite, [run("a", last - timedelta(days=1)), run("b", last, "failed")])
    cover(sqlite, (at(0), last), reaches_start=True, synced=now)
    page = reports.html(sqlite)
    moment = re.search(r"As of ([-0-9]+ [:0-9]+) UTC", page)
    assert moment
    assert moment[1] == f"{max(last, now):%Y-%m-%d %H:%M}"
    assert max(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", page)) == moment[1]


def test_the_policy_allows_the_one_style_sheet_and_the_one_script(history: Database) -> None:
    page = reports.html(history)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    hashes = {}
    for tag in ("style", "script"):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert (len(found), page.count(f"<{tag}")) == (1, 1)
        hashes[tag] = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert "url(" not in found[0]
    assert policy[1] == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; "
        f"script-src 'sha256-{hashes['script']}'; base-uri 'none'; form-action 'none'"
    )
    outline = Outline(page)
    for name, attributes in outline.tags:
        assert name not in ("img", "link", "iframe", "object", "embed", "base", "form")
        assert not [a for a in attributes if a == "style" or a.startswith("on")], (name, attributes)
        assert not {"src", "srcset", "xlink:href", "ping"} & attributes.keys()
        link = attributes.get("href") or "#"
        assert link.startswith("#") or attributes["rel"] == "noreferrer noopener", attributes
    assert not re.search(r'(?<!<a href=")https?://', page)
    assert "@import" not in page


def test_what_several_tables_hold_is_explained_once(history: Database) -> None:
    text = "".join(Outline(reports.html(history)).text)
    for report in (REPORTS["run_durations"], REPORTS["step_durations"], REPORTS["queue_times"]):
        for column in report.columns:
            if column.name in ("mean", "p50", "p90", "p95", "max"):
                assert text.count(column.meaning) == 1, column


def test_a_long_step_name_is_not_cut(sqlite: Database) -> None:
    name = "integration tests against a real database, part two of four"
    runs = [run(f"r{n}", at(n)) for n in range(9)]
    fill(sqlite, runs, [step(one, 1, name, 1) for one in runs])
    page = reports.html(sqlite)
    bars = re.search(r'<div class="bars"(.*?)</div>', page, re.DOTALL)
    assert bars
    assert name in bars[1]


def test_ids_are_unique_and_every_reference_leads_somewhere(history: Database) -> None:
    page = reports.html(history)
    ids = Outline(page).ids()
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_the_same_history_makes_the_same_page(history: Database) -> None:
    assert reports.html(history) == reports.html(history)


def test_charts_are_well_formed_and_say_what_they_show(history: Database) -> None:
    charts = re.findall(r"<svg.*?</svg>", reports.html(history), re.DOTALL)
    assert len(charts) > 20
    for chart in charts:
        root = ET.fromstring(chart)
        for element in root.iter():
            assert not {"fill", "stroke", "style"} & element.attrib.keys(), "colours are the page's"
        if root.get("role") == "presentation":  # a bar, whose row says what it shows
            continue
        assert root.get("role") == "img"
        title = root.find("title")
        assert title is not None
        assert title.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_stays_text(sqlite: Database, now: datetime, hostile: str) -> None:
    text = hostile.replace("\x00", "")
    runs = [
        run(f"r{n}", at(n), ("passed", "failed", "aborted")[n % 3], branch=text, author=text,
            commit_hash=f"c{n // 3}")
        for n in range(60)
    ]  # fmt: skip
    steps = [step(r, 1, text, 1, r["result"], job=text) for r in runs]
    fill(sqlite, runs, steps, pipelines=[pipeline(1, text, source=text), pipeline(2, text)])
    page = reports.html(sqlite, branches=[text])
    outline = Outline(page)
    names = [name for name, _ in outline.tags]
    assert (names.count("script"), names.count("img")) == (1, 0)
    assert not FORBIDDEN.search(page)
    assert len(page) < 400_000
    assert page.count("</style>") == 1
    if "frac" in text:
        assert "<bdi>$\\frac{1}{0}$ &amp; &lt;b&gt;" in page
    if "script" in text:
        assert "<script>alert(1)</script>" in "".join(outline.text)


def test_a_password_is_not_shown(postgres_url: str) -> None:
    secret = postgres_url.replace("postgres:@", "postgres:hunter2@").replace(
        "://postgres@", "://postgres:hunter2@"
    )
    assert "hunter2" in secret
    assert "hunter2" not in reports.html(secret)


def test_an_empty_database_has_a_page_too(database: Database) -> None:
    assert "No runs in this window." in reports.html(database)
    fill(database)
    assert "No runs in this window." in reports.html(database, every="week")


@pytest.mark.parametrize(("first", "since"), [(80, 90), (20, 72)])
def test_compares_four_weeks_or_half_of_a_shorter_history(
    sqlite: Database, now: datetime, first: int, since: int
) -> None:
    fill(sqlite, [run(f"r{n}", at(n)) for n in range(first, 100)])
    text = "".join(Outline(reports.html(sqlite)).text)
    begin, end = (f"{at(n).day} {at(n):%b}" for n in (since, 100))
    assert f"{begin} to {end} against the window of the same length before." in text


def test_one_unfinished_run_has_a_page_too(database: Database) -> None:
    waiting: dict[str, Any] = {"status": "notstarted", "result": "unknown", "finished_at": None}
    fill(database, [run("a", at(0), queued=None, **waiting)])
    page = reports.html(database)
    assert "Nothing to show in this window." in page


@pytest.mark.parametrize("word", ["passed", "failed", "aborted", "skipped", "unknown"])
def test_one_run_has_a_page_too(sqlite: Database, word: str) -> None:
    fill(sqlite, [one := run("a", at(0), word)], [step(one, 1, "test", 1, word)])
    assert "<h2>Pass rates</h2>" in reports.html(sqlite, since=at(-1), until=at(2))


def test_says_what_is_not_covered(history: Database) -> None:
    assert "do not know all" not in reports.html(history)
    fill(history, pipelines=[pipeline(3, "lint")])
    assert "lint: no sync has covered any of this window" in reports.html(history)


@given(st.text())
def test_any_text_in_a_template_stays_text_without_controls(text: str) -> None:
    template = environment().from_string('<p title="{{ text }}">{{ text }}</p>')
    outline = Outline(template.render(text=text))
    assert outline.tags == [("p", {"title": visible(text)})]
    assert "".join(outline.text) == visible(text)
    assert not FORBIDDEN.search("".join(outline.text))


@given(st.text(max_size=300))
def test_shown_text_is_one_short_line_without_controls(text: str) -> None:
    line = "".join(Outline(shown(text, 50)).text)
    assert len(line) <= 50
    assert not FORBIDDEN.search(line)


def test_markup_is_not_escaped_twice() -> None:
    template = environment().from_string("{{ 'a < b' }}{{ text|shown }}")
    assert template.render(text="1 < 2") == "a &lt; b<bdi>1 &lt; 2</bdi>"

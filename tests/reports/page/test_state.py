"""State now: each pipeline's default branch, since when, and by what it was broken."""

import re
from datetime import datetime, timedelta

import pytest

from runsync import reports
from runsync.reports.page.state import age_in_words
from runsync.storage.database import Database
from tests.reports.database_rows import Row, at, fill, pipeline, run, step


def told(page: str, kind: str) -> list[str]:
    """What the section's items of that kind say."""
    items = re.findall(rf'<li class="{kind}".*?<p>(.*?)</p>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", "", item).split()) for item in items]


def others(page: str) -> list[str]:
    """The pipelines and branches that the table of other broken branches holds."""
    state = re.search(r'<section id="broken_branches">(.*?)</section>', page, re.DOTALL)
    assert state
    rows = re.findall(r'<tr data-pipeline="(\w+)" data-branch="([\w-]+)"', state[1])
    return [" ".join(row) for row in rows]


def with_steps(runs: list[Row]) -> tuple[list[Row], list[Row]]:
    steps = [
        step(one, n, name, 1, "passed" if n == 1 else one["result"])
        for one in runs
        for n, name in ((1, "lint"), (2, "unit tests"))
    ]
    return runs, steps


def test_a_broken_default_branch_is_told_with_what_broke_it(
    sqlite: Database, now: datetime
) -> None:
    url = "https://ci.example/runs/7"
    runs = [run(f"r{n}", at(90 + n)) for n in range(4)] + [
        run("bad", at(94), "failed", commit_hash="0123456789abcdef", author="eve", web_url=url),
        run("worse", at(95), "failed", web_url=None),
    ]
    for one in runs:
        one.setdefault("web_url", None)
    fill(sqlite, *with_steps(runs))
    page = reports.html(sqlite)
    (said,) = told(page, "broken")
    assert said == (
        "build on main is broken since 2024-06-06 00:00 UTC (5 days): unit tests failed in run "
        "bad, commit 0123456789 by eve. 1 run since then failed too."
    )
    assert f'<a href="{url}" rel="noreferrer noopener"><bdi>bad</bdi></a>' in page
    assert told(page, "green") == []


def test_green_is_told_since_the_end_of_the_last_break(sqlite: Database, now: datetime) -> None:
    runs = [
        run("a", at(90)),
        run("b", at(91), "failed"),
        run("c", at(92)),
        run("d", at(93), "aborted"),
        run("e", at(95), pipeline=2),
        run("f", at(40), "failed", pipeline=3),
    ]
    names = enumerate(("build", "deploy", "nightly"), 1)
    fill(sqlite, runs, pipelines=[pipeline(n, name) for n, name in names])
    page = reports.html(sqlite)
    assert told(page, "broken") == []
    assert told(page, "green") == [
        "build on main is green since 2024-06-04 00:00 UTC (7 days).",
        "deploy on main has not failed in the last 30 days.",
    ]
    (quiet,) = told(page, "quiet")
    assert quiet.startswith("nightly")
    assert quiet.endswith("has no run that passed or failed in the last 30 days.")


def test_the_default_branch_is_what_the_provider_says_else_a_usual_name_else_the_busiest(
    sqlite: Database, now: datetime
) -> None:
    branches = {1: ("main", "trunk", "trunk"), 2: ("master", "x", "x"), 3: ("y", "x", "x")}
    runs = [
        run(f"{p}{n}", at(80 + n), "failed", pipeline=p, branch=name)
        for p, names in branches.items()
        for n, name in enumerate(names)
    ]
    defaults = {1: "main", 2: None, 3: None}
    rows = [pipeline(p, f"p{p}") | {"default_branch": d} for p, d in defaults.items()]
    fill(sqlite, runs, pipelines=rows)
    page = reports.html(sqlite)
    assert sorted(re.findall(r"(p\d on \w+)", " ".join(told(page, "broken")))) == [
        "p1 on main", "p2 on master", "p3 on x",
    ]  # fmt: skip
    assert sorted(others(page)) == ["p1 trunk", "p2 x", "p3 y"]


def test_dead_branches_are_nowhere_on_the_page(sqlite: Database, now: datetime) -> None:
    """No run in thirty days, however broken."""
    runs = [run(f"m{n}", at(n)) for n in range(100)]
    runs += [run(f"{b}{n}", at(at_day), ("passed", "failed")[n], branch=b)
             for b, day in (("dead-branch", 60), ("live-branch", 80))
             for n, at_day in enumerate((day, day + 1))]  # fmt: skip
    fill(sqlite, runs)
    page = reports.html(sqlite)
    assert others(page) == ["build live-branch"]
    assert "dead-branch" not in page


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x", "https://", " "])
def test_only_addresses_of_pages_become_links(sqlite: Database, now: datetime, url: str) -> None:
    fill(sqlite, [run("a", at(99), "failed", web_url=url)])
    page = reports.html(sqlite)
    assert told(page, "broken")
    assert not re.search(r'<a href="[^#]', page)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "less than a minute"), (59, "less than a minute"), (60, "1 minute"), (7199, "1 hour"),
     (86400 * 2, "2 days")],
)  # fmt: skip
def test_ages_are_told_in_one_unit(seconds: int, words: str) -> None:
    assert age_in_words(timedelta(seconds=seconds)) == words

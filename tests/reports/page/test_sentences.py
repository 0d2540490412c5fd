"""Changes in sentences: what became worse or better, since when, and in which step."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from runsync.reports.definitions import REPORTS
from runsync.reports.load import open_reader
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.sentences import Sentence, sentences_of_change_points
from runsync.reports.query_spec import QuerySpec
from runsync.reports.report import Column, Kind, NothingToCompare, Report, counts
from runsync.reports.section import ChangePoints, Section
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, run, step


@pytest.fixture
def history(sqlite: Database, now: datetime) -> Database:
    runs = [run(f"r{n:02}", at(60 + n), "failed" if n % 4 == 0 else "passed") for n in range(40)]
    steps = [step(one, 1, "unit tests", 60, one["result"]) for one in runs]
    fill(sqlite, runs, steps)
    return sqlite


def sentences(database: Database, *changes: dict[str, Any]) -> list[Sentence]:
    """What is said of these rows of a report on change points."""
    rows = [{"pipeline": "build", "step": None, "job": None, "runs": 40} | one for one in changes]
    report: Report = replace(
        REPORTS["broken_branches"],
        load=lambda _reader, _query: (),
        figures=lambda _query: pd.DataFrame(rows),
        columns=(
            Column("figure", Kind.TEXT, "figure"),
            Column("at", Kind.TIME, "at"),
            Column("before", Kind.RATE, "before"),
            Column("after", Kind.RATE, "after"),
            *counts(runs="runs"),
        ),
        main=NothingToCompare(),
        section=Section(panels=(ChangePoints(),), caption=""),
        implied=("step", "job"),
    )
    with open_reader(database) as reader:
        query = reader.query(QuerySpec())
        with Dataset(reader, query) as dataset:
            return list(sentences_of_change_points(dataset, report))


def test_a_fall_of_the_pass_rate_is_told_as_failing_more(history: Database) -> None:
    change = {"figure": "pass_rate", "at": at(80), "before": 0.88, "after": 0.69}
    (one,) = sentences(history, change)
    assert (one.pipeline, one.says, one.when) == ("build", "fails more", "since 23 May")
    assert (one.before, one.after, one.runs, one.where) == ("12.0%", "31.0%", 40, "unit tests")
    assert one.is_worse
    assert one.chart
    assert 'class="mark"' in one.chart


def test_the_chart_rises_where_the_sentence_tells_that_more_fails(history: Database) -> None:
    """A quarter of the runs fail: the line stays in the chart's lower half, however it is cut."""
    change = {"figure": "pass_rate", "at": at(80), "before": 0.88, "after": 0.69}
    (one,) = sentences(history, change)
    assert one.chart
    assert "<title>failure rate of build per week</title>" in one.chart
    heights = [float(y) for y in re.findall(r'class="dot[^>]*cy="([\d.]+)"', one.chart)]
    assert heights
    assert min(heights) > 150 / 2


def test_a_step_that_changed_with_its_pipeline_is_told_with_it(history: Database) -> None:
    whole = {"figure": "p50", "at": at(80), "before": 100.0, "after": 60.0}
    of_step = whole | {"step": "lint", "at": at(82)}
    of_other = whole | {"step": "unit tests", "at": at(60), "after": 130.0}
    first, second = sentences(history, whole, of_step, of_other)
    assert (first.says, first.where, first.step, first.is_worse) == (
        "is faster", "lint", None, False,
    )  # fmt: skip
    assert (first.before, first.after) == ("1m 40s", "1m 00s")
    assert (second.says, second.step, second.is_worse) == ("takes longer", "unit tests", True)


def test_what_is_long_past_and_what_nobody_has_words_for_is_not_told(history: Database) -> None:
    change = {"figure": "pass_rate", "at": at(5), "before": 0.9, "after": 0.5}
    assert sentences(history, change, change | {"figure": "p75", "at": at(80)}) == []

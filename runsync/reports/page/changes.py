"""The page's section on what has changed: in sentences, with a chart of each, and as a table."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from runsync.reports import rows
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.sentences import (
    Sentence,
    day_in_words,
    sentences_of_change_points,
    sentences_of_comparison,
)
from runsync.reports.page.tables import Cell, Head, Table, table_rows
from runsync.reports.report import Report
from runsync.reports.section import Change

_HEADS = {
    "pipeline": Head("pipeline", is_key=True),
    "figure": Head("figure"),
    "before": Head("before", "in the window before", True),
    "after": Head("after", "in this window", True),
    "change": Head("change", "after - before", True),
    "interval": Head("95% interval", "of the change", True, True),
    "p_value": Head("p-value", "how likely chance makes such a change in any row", True, True),
    "verdict": Head("verdict", "whether chance alone explains it"),
}


@dataclass(frozen=True, slots=True)
class ChangesView:
    """What has changed, as the template draws it: sentences, and a row for every comparison.

    Attributes:
        key: what the sentences' charts show.
        about: which windows are compared, and how.
    """

    sentences: list[Sentence]
    key: str
    about: str
    table: Table


def changes_view(dataset: Dataset, reports: list[Report]) -> ChangesView:
    """What each report that tells of changes has to tell; what is worse first."""
    told = [(r, r.section.change) for r in reports if r.section.change]
    compared = dataset.comparisons([report for report, _ in told], "pipeline")
    known = (frame.dropna(subset="change") for frame in compared)
    frames = [(r, c, frame) for (r, c), frame in zip(told, known, strict=True)]
    dated = [s for r in reports if r.section.has_change_points
             for s in sentences_of_change_points(dataset, r)]  # fmt: skip
    told_of = {(one.pipeline, one.figure) for one in dated}
    compared_only = [
        one
        for r, c, frame in frames
        for one in sentences_of_comparison(dataset, r, c, frame)
        if (one.pipeline, one.figure) not in told_of
    ]
    table = [row for r, c, frame in frames for row in _table_rows(c, frame)]
    return ChangesView(
        sorted([*dated, *compared_only], key=lambda one: not one.is_worse),
        key="Durations are medians, and the band reaches to the 95th percentile; of a rate it is "
        f"the 95% interval. The dashed line is where it changed. {dataset.hollow}",
        about=_about(dataset),
        table=Table(_HEADS, table, len(table)),
    )


def _about(dataset: Dataset) -> str:
    window = dataset.compared
    if window.since is None:
        return ""
    begin, end = (day_in_words(dataset, when) for when in (window.since, window.end))
    return (
        f"{begin} to {end} against the window of the same length before. That runs fail and slow "
        "down together is reckoned with, and so is how many figures are compared: where nothing "
        "has changed, few pages tell of any change."
    )


def _table_rows(change: Change, frame: pd.DataFrame) -> list[Any]:
    _, words = rows.readable(frame)
    columns: dict[str, list[Cell]] = {name: [] for name in _HEADS}
    for row, beyond in zip(words, frame["beyond_chance"], strict=True):
        ends = row["low"], row["high"]
        interval = None if None in ends else f"{ends[0].removesuffix(' pp')} to {ends[1]}"
        columns["figure"].append(Cell(change.name))
        columns["interval"].append(Cell(interval))
        columns["verdict"].append(_verdict(beyond))
        for name in ("pipeline", "before", "after", "change", "p_value"):
            columns[name].append(Cell(row[name]))
    return table_rows(columns, frame)


def _verdict(beyond: Any) -> Cell:
    if pd.isna(beyond):
        return Cell("too few runs to say")
    return Cell("beyond chance", kind="beyond") if beyond else Cell("within chance")

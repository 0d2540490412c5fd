"""The page's section on what has changed: main figures against the window before."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from runsync.reports import rows
from runsync.reports.coverage_notes import minute
from runsync.reports.page import charts
from runsync.reports.page.charts import Unit
from runsync.reports.page.components import Head, Panel, Table, chart_rows
from runsync.reports.page.dataset import Dataset
from runsync.reports.report import Report
from runsync.reports.section import Band

_ROWS, _BARS = 24, 10
_HEADS = {
    "figure": Head("figure"),
    "pipeline": Head("pipeline"),
    "before": Head("before", "in the window before", True),
    "after": Head("after", "in this window", True),
    "change": Head("change", "after - before", True),
    "interval": Head("95% interval", "of the change", True),
    "verdict": Head("verdict", "whether chance alone explains it"),
}


@dataclass(frozen=True, slots=True)
class ChangesView:
    """What has changed beyond chance, and what has not, as the template draws it."""

    about: str
    panels: list[Panel]
    beyond_chance: int
    total: int
    by_chance: int
    table: Table


def changes_view(dataset: Dataset, reports: list[Report]) -> ChangesView:
    """The comparison of each report that has a name for its change."""
    frames = [(r, dataset.comparison(r, "pipeline")) for r in reports if r.section.change]
    known = [(report, frame.dropna(subset=["change"])) for report, frame in frames]
    told = [row for report, frame in known for row in _rows_of(report, frame)]
    told.sort(key=lambda row: not row["is_beyond_chance"])
    return ChangesView(
        about=_about(dataset),
        panels=[_panel(r, frame) for r, frame in known if r.section.change_chart and len(frame)],
        beyond_chance=sum(row["is_beyond_chance"] for row in told),
        total=len(told),
        by_chance=max(1, round(len(told) / 20)),
        table=Table(_HEADS, told[:_ROWS]),
    )


def _about(dataset: Dataset) -> str:
    window = dataset.compared
    if window.since is None:
        return "The main figures against those of the window before."
    return (
        f"The main figures from {minute(window.since)} to {minute(window.end)} against those of "
        "the window of the same length before. A change is beyond chance where its 95% interval "
        "leaves out no change at all; runs are taken for independent of each other."
    )


def _rows_of(report: Report, frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    _, readable = rows.readable(frame)
    for row, change, beyond in zip(readable, frame["change"], frame["beyond_chance"], strict=True):
        interval = None if pd.isna(beyond) else f"{row['low'].removesuffix(' pp')} to {row['high']}"
        yield row | {
            "figure": report.section.change,
            "interval": interval,
            "verdict": _verdict(change, beyond),
            "is_beyond_chance": not pd.isna(beyond) and bool(beyond),
        }


def _verdict(change: Any, beyond: Any) -> str:
    if pd.isna(beyond):
        return "too few runs to say"
    if not beyond:
        return "within chance"
    return f"{'higher' if change > type(change)(0) else 'lower'}, beyond chance"


def _panel(report: Report, frame: pd.DataFrame) -> Panel:
    unit: Unit = "s" if frame["change"].dtype.kind == "m" else "points"
    widest = frame.loc[frame["change"].abs().nlargest(_BARS).index].sort_index()
    notes = [row["change"] for row in rows.readable(widest)[1]]
    shown = chart_rows(widest, widest["pipeline"], Band("change", "low", "high"), notes)
    is_strong = [bool(b) and not pd.isna(b) for b in widest["beyond_chance"]]
    dots = [replace(dot, strong=strong) for dot, strong in zip(shown, is_strong, strict=True)]
    what = f"change of the {report.section.change}"
    chart = charts.intervals(
        dots, f"{what.capitalize()} by pipeline", f"changes-{report.name}", unit=unit,
        around_zero=True,
    )  # fmt: skip
    return Panel(what, chart)

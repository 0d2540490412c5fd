"""The page's section on what has changed: in sentences, with a chart of each, and as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from markupsafe import Markup

from runsync.reports import rows
from runsync.reports.definitions import REPORTS
from runsync.reports.page import charts
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.panels import numbers, trend_of, unit_of
from runsync.reports.page.scales import above
from runsync.reports.page.tables import Cell, Head, Table, table_rows
from runsync.reports.report import Rate, Report
from runsync.reports.section import P50_TO_P95, Band, Change

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
class Sentence:
    """A change that chance does not explain, in words and as a chart.

    Attributes:
        says: such as "fails more".
        when: since when, or against which window.
        where: in which step most of it is.
        runs: how many the figure afterwards is made of.
    """

    pipeline: str
    says: str
    when: str
    before: str
    after: str
    is_worse: bool
    chart: Markup | None = None
    where: str | None = None
    runs: int | None = None


@dataclass(frozen=True, slots=True)
class ChangesView:
    """What has changed, as the template draws it: sentences, and a row for every comparison."""

    sentences: list[Sentence]
    about: str
    table: Table


def changes_view(dataset: Dataset, reports: list[Report]) -> ChangesView:
    """What each report that tells of changes has to tell; what is worse first."""
    told = [(r, r.section.change) for r in reports if r.section.change]
    compared = dataset.comparisons([report for report, _ in told], "pipeline")
    known = (frame.dropna(subset="change") for frame in compared)
    frames = [(r, c, frame) for (r, c), frame in zip(told, known, strict=True)]
    sentences = [s for r, c, frame in frames for s in _sentences(dataset, r, c, frame)]
    table = [row for r, c, frame in frames for row in _table_rows(c, frame)]
    return ChangesView(
        sorted(sentences, key=lambda one: not one.is_worse),
        about=_about(dataset),
        table=Table(_HEADS, table, len(table)),
    )


def _about(dataset: Dataset) -> str:
    window = dataset.compared
    if window.since is None:
        return ""
    begin, end = (_day(dataset, when) for when in (window.since, window.end))
    return (
        f"{begin} to {end} against the window of the same length before. How much runs fail or "
        "slow down together is allowed for, and so is the number of rows: where nothing has "
        "changed, at most one page in twenty tells of any change."
    )


def _sentences(
    dataset: Dataset, report: Report, change: Change, frame: pd.DataFrame
) -> Iterator[Sentence]:
    since = dataset.compared.since
    for row in frame[frame["beyond_chance"].fillna(False)].to_dict("records"):
        is_more = row["after"] > row["before"]
        before, after = (_figure(row[side], change) for side in ("before", "after"))
        yield Sentence(
            str(row["pipeline"]),
            says=change.more if is_more else change.less,
            when=f"than before {_day(dataset, since)}" if since else "than before",
            before=before,
            after=after,
            is_worse=is_more == (change.worse == "more"),
            chart=_chart(dataset, report, change, str(row["pipeline"])),
            runs=int(row["n_after"]) if "n_after" in row else None,
            where=_commonest_step(dataset, change, str(row["pipeline"])),
        )


def _commonest_step(dataset: Dataset, change: Change, pipeline: str) -> str | None:
    """The step that the change's ``steps`` counts most often since the later window began."""
    since = dataset.compared.since
    if change.steps is None or since is None:
        return None
    name, column = change.steps
    over = dataset.table(REPORTS[name], "pipeline", over_time=True)
    begin = pd.Timestamp(since.astimezone(dataset.query.window.zone).date())
    late = over[(over["pipeline"] == pipeline) & (over["period"] >= begin)]
    counts = late.groupby("step", observed=True)[column].sum()
    return str(counts.idxmax()) if counts.sum() > 0 else None


def _chart(dataset: Dataset, report: Report, change: Change, pipeline: str) -> Markup | None:
    """The main figure of the pipeline over time, with a line where the later window begins."""
    over = dataset.table(report, "pipeline", over_time=True)
    over = over[over["pipeline"] == pipeline]
    if over.empty:
        return None
    column = report.main.column
    is_rate = isinstance(report.main, Rate)
    band = Band(column, f"{column}_low", f"{column}_high") if is_rate else P50_TO_P95
    drawn, unit = trend_of(over, band, dataset.every), unit_of(over[column])
    bounds = (0.0, above(numbers(over[band.high]), 0.01 if unit == "share" else 1.0))
    since = dataset.compared.since
    marked = [since.astimezone(dataset.query.window.zone).date()] if since else []
    title = f"{change.name} of {pipeline} per {dataset.every}"
    return charts.trend_chart(drawn, title, unit=unit, bounds=bounds, marked=marked)


def _figure(value: Any, change: Change) -> str:
    if isinstance(value, pd.Timedelta):
        return rows.duration(value)
    return rows.percent(1 - value if change.as_complement else value)


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


def _day(dataset: Dataset, when: datetime) -> str:
    local = when.astimezone(dataset.query.window.zone)
    return f"{local.day} {local:%b}"

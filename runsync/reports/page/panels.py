"""A report's section: panels with charts as its declaration says, and its table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from runsync.reports import rows
from runsync.reports.columns import WEEKDAYS
from runsync.reports.page import charts
from runsync.reports.page.charts import Extent, Trend
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.scales import FloatArray, Unit, above
from runsync.reports.page.tables import MOST_ROWS, Table, report_table
from runsync.reports.report import Rate, Report
from runsync.reports.section import (
    Band,
    ChangePoints,
    Panels,
    Ranking,
    Rows,
    StateNow,
    Trends,
    WeekdayHours,
)
from runsync.reports.statistics import wilson

_STEP_PANELS = 3
_FREQUENCIES = {"day": "D", "week": "W-MON", "month": "MS"}
_TOP = 1.012


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a ranking: what it is called, how long it is, and a word behind it."""

    label: str
    chart: Markup
    note: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart or bars under a name, with one figure that sums it up.

    ``pipeline`` is the one that it is about; None: all of them.
    """

    name: str
    chart: Markup | None = None
    sum: str = ""
    bars: Sequence[Bar] = ()
    title: str = ""
    pipeline: str | None = None


@dataclass(frozen=True, slots=True)
class SectionView:
    """A report's section as the template draws it."""

    report: Report
    panels: list[Panel]
    caption: str
    table: Table


def section_view(dataset: Dataset, report: Report) -> SectionView:
    """What the report's section shows of the dataset."""
    section = report.section
    every_row = dataset.table(report, *section.rows.by)
    chosen = _chosen_rows(every_row, section.rows)
    if section.rows.only_alive:
        chosen = _alive(dataset, chosen)
    panels = [drawn for panel in section.panels for drawn in _panels(dataset, report, panel)]
    caption = section.caption.format(
        every=dataset.every,
        hollow=dataset.hollow,
        left_out=f"{len(every_row) - len(chosen):,}",
        total=f"{len(every_row):,}",
    )
    trends = _sparks(dataset, report, chosen) if section.rows.trend and len(chosen) else ()
    return SectionView(
        report, panels, caption, report_table(report, chosen, trends, section.rows.link)
    )


def numbers(column: pd.Series) -> FloatArray:
    """Durations as seconds, anything else as it is."""
    plain = column.dt.total_seconds() if column.dtype.kind == "m" else column
    found: FloatArray = plain.to_numpy(np.float64, na_value=np.nan)
    return found


def trend_of(over: pd.DataFrame, band: Band, every: str) -> Trend:
    """Every period between the first and the last, those without a run as gaps.

    Args:
        over: a row for each period, of one group.
    """
    known = over.set_index("period")
    periods = pd.date_range(known.index.min(), known.index.max(), freq=_FREQUENCIES[every])
    whole = known.reindex(periods)
    partial = whole["partial"].fillna(True).astype(bool).to_numpy()
    value, low, high = (numbers(whole[name]) for name in (band.value, band.low, band.high))
    return Trend(periods, value, low, high, partial)


def unit_of(column: pd.Series) -> Unit:
    """Durations are drawn in seconds, rates as shares."""
    return "s" if column.dtype.kind == "m" else "share"


def _panels(dataset: Dataset, report: Report, panel: Panels) -> Iterator[Panel]:
    if isinstance(panel, Trends):
        return _trends(dataset, report, panel)
    if isinstance(panel, Ranking):
        return _rankings(dataset, report, panel)
    if isinstance(panel, StateNow | ChangePoints):
        return iter(())  # they stand at the page's top
    return _weekday_hours(dataset, report, panel)


def _trends(dataset: Dataset, report: Report, panel: Trends) -> Iterator[Panel]:
    band, by = panel.band, ("pipeline",) if panel.per_pipeline else ()
    whole, over = dataset.table(report, *by), dataset.table(report, *by, over_time=True)
    groups = (
        _busiest(dataset, whole, panel.most)
        if panel.per_pipeline
        else [("all pipelines", whole)] * bool(len(whole))
    )
    for name, rows_of in groups:
        figure = rows_of[band.value].iloc[0]
        if pd.isna(figure):
            continue
        drawn = trend_of(over[over["pipeline"] == name] if by else over, band, dataset.every)
        unit = unit_of(over[band.value])
        low = _floor(over[band.low]) if panel.near_one else 0.0
        high = _TOP if panel.near_one else above(drawn.high, 0.01 if unit == "share" else 1.0)
        title = f"{band.value} of {name} per {dataset.every}"
        chart = charts.trend_chart(drawn, title, unit=unit, bounds=(low, high))
        summed = f"{panel.sum} {_worded(figure)}".strip()
        yield Panel(name, chart, summed, pipeline=name if by else None)


def _rankings(dataset: Dataset, report: Report, panel: Ranking) -> Iterator[Panel]:
    frame = dataset.table(report, "pipeline")
    if panel.name is not None:
        groups = [
            (
                panel.name,
                _chosen_rows(frame, Rows(greatest=panel.greatest, positive=panel.positive)),
            )
        ]
    else:
        groups = list(_busiest(dataset, frame, _STEP_PANELS))
    for name, group in groups:
        if bars := _bars(group.head(panel.most), report, panel):
            yield Panel(
                name,
                sum=panel.sum,
                bars=bars,
                title=panel.title.format(name=name),
                pipeline=None if panel.name else name,
            )


def _bars(top: pd.DataFrame, report: Report, panel: Ranking) -> list[Bar]:
    band = panel.band
    if band is None:
        top, band = _with_interval(top, report)
    top = top[top[band.value].notna()]
    figures = [numbers(top[name]) for name in (band.value, band.low, band.high)]
    notes = [f"{_worded(value)}{panel.note_unit}" for value in top[panel.note]]
    greatest = above(figures[2], 1.0)
    draw = charts.bar if panel.shape == "bars" else charts.interval
    drawn = [draw(Extent(*row), greatest) for row in zip(*figures, strict=True)]
    labels = _labels(top, with_pipeline=panel.name is not None)
    return [Bar(*row) for row in zip(labels, drawn, notes, strict=True)]


def _weekday_hours(dataset: Dataset, report: Report, panel: WeekdayHours) -> Iterator[Panel]:
    frame = dataset.table(report, "pipeline", "weekday", "hour")
    for name, known in _busiest(dataset, frame, panel.most):
        timed = known.assign(seconds=numbers(known[panel.column]))
        grid = timed.pivot(index="weekday", columns="hour", values="seconds")
        values = grid.reindex(index=list(WEEKDAYS), columns=range(24)).to_numpy(np.float64)
        days = [day[:3] for day in WEEKDAYS]
        words = [
            [_field(day, hour, value) for hour, value in enumerate(row)]
            for day, row in zip(days, values, strict=True)
        ]
        chart = charts.heat_map(values, days, words, f"{panel.title}, {name}")
        greatest = rows.duration(known[panel.column].max())
        yield Panel(name, chart, f"at most {greatest}", pipeline=name)


def _field(day: str, hour: int, seconds: float) -> str:
    if np.isnan(seconds):
        return ""
    return f"{day} {hour:02d}h: {rows.duration(pd.Timedelta(seconds=seconds))}"


def _sparks(dataset: Dataset, report: Report, frame: pd.DataFrame) -> list[Markup]:
    """For each of the first rows the course of the column ``trend`` over time."""
    column, top = report.section.rows.trend or "", frame.head(MOST_ROWS)
    if top.empty:
        return []
    over = dataset.table(report, *report.section.rows.by, over_time=True)
    keys = [str(n) for n in top if n not in {c.name for c in report.columns}]
    first, last = over["period"].min(), over["period"].max()
    periods = pd.date_range(first, last, freq=_FREQUENCIES[dataset.every])
    courses = {
        key: group.set_index("period")[column].reindex(periods)
        for key, group in over.groupby(pd.Series(_joined_keys(over, keys), over.index))
    }
    title = f"{column.replace('_', ' ')} per {dataset.every}"
    return [charts.spark(numbers(courses[key]), title) for key in _joined_keys(top, keys)]


def _joined_keys(frame: pd.DataFrame, keys: list[str]) -> list[tuple[object, ...]]:
    plain = frame[keys].astype(object).where(frame[keys].notna(), None)
    return list(plain.itertuples(index=False, name=None))


def _busiest(
    dataset: Dataset, frame: pd.DataFrame, most: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each of the pipelines with the most runs, busiest first."""
    for name in dataset.busiest_pipelines[:most]:
        found = frame[frame["pipeline"] == name]
        if len(found):
            yield name, found


def _chosen_rows(frame: pd.DataFrame, wanted: Rows) -> pd.DataFrame:
    if wanted.positive:
        frame = frame[frame[wanted.positive] > 0]
    columns = [*wanted.greatest, *([wanted.earliest] if wanted.earliest else [])]
    if not columns:
        return frame
    rising = [name == wanted.earliest for name in columns]
    return frame.sort_values(columns, ascending=rising, kind="stable", na_position="last")


def _alive(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    pairs = zip(frame["pipeline"], frame["branch"], strict=True)
    is_alive = [(p, None if pd.isna(b) else b) in dataset.alive_branches for p, b in pairs]
    return frame[np.array(is_alive, bool)]


def _with_interval(frame: pd.DataFrame, report: Report) -> tuple[pd.DataFrame, Band]:
    """The rows with the Wilson interval of the report's rate, where it has no columns of it."""
    assert isinstance(report.main, Rate)  # noqa: S101 - a definition of a rate says so
    trials = frame[list(report.main.trials)].sum(axis="columns")
    low, high = wilson(frame[report.main.hits], trials)
    return frame.assign(low=low, high=high), Band(report.main.column, "low", "high")


def _labels(frame: pd.DataFrame, *, with_pipeline: bool) -> list[str]:
    """What a row of a chart is called: pipeline, job and step, as far as there are any."""
    names = [
        n for n in ("pipeline", "job", "step") if n in frame and (with_pipeline or n[0] != "p")
    ]
    return [
        " / ".join(str(part) for part in row if not pd.isna(part))
        for row in zip(*(frame[n] for n in names), strict=True)
    ]


def _worded(value: object) -> str:
    if isinstance(value, pd.Timedelta):
        return rows.duration(value)
    return rows.percent(value) if isinstance(value, float) else f"{value:,}"


def _floor(lows: pd.Series) -> float:
    """A round share below all of these, so that small differences near 100% can be seen."""
    least = lows.min()
    return 0.0 if pd.isna(least) else float(np.floor(least * 10) / 10) - 0.012

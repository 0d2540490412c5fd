"""What the templates draw: panels with charts, and tables with the meaning of their columns."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from runsync.reports import rows
from runsync.reports.columns import WEEKDAYS
from runsync.reports.page import charts
from runsync.reports.page.charts import ChartRow, Trend, Unit
from runsync.reports.page.dataset import Dataset
from runsync.reports.report import Kind, Rate, Report
from runsync.reports.section import Band, Ranking, Rows, Trends, WeekdayHours
from runsync.reports.statistics import wilson

_SHOWN_ROWS = 20
_STEP_PANELS = 3
_FREQUENCIES = {"day": "D", "week": "W-MON", "month": "MS"}
_FIGURES = (Kind.COUNT, Kind.RATE, Kind.DURATION)
_INTERVAL = "95% interval"
_TOP = 1.012


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart under its name, with one figure that sums it up."""

    name: str
    chart: Markup
    sum: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head: what it says, what it counts, and whether figures stand under it."""

    text: str
    meaning: str | None = None
    is_figure: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Heads by column, in order, and rows; ``total`` rows there are, of which the first stand."""

    heads: dict[str, Head]
    rows: list[dict[str, object]]
    total: int = 0
    meanings: dict[str, str] | None = None


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
    panels = [
        drawn
        for number, panel in enumerate(section.panels)
        for drawn in _panels(dataset, report, panel, f"{report.name}-{number}")
    ]
    caption = section.caption.format(
        every=dataset.every,
        hollow=f"Hollow points: a {dataset.every} that is not over, cut by the window, or not "
        "wholly synced.",
        left_out=f"{len(every_row) - len(chosen):,}",
        total=f"{len(every_row):,}",
    )
    return SectionView(report, panels, caption, _report_table(report, chosen))


def chart_rows(
    frame: pd.DataFrame, labels: Iterable[str], band: Band, notes: Iterable[str]
) -> list[ChartRow]:
    """Rows of a chart from the columns of their figure, its lower and its upper end."""
    figures = (numbers(frame[name]) for name in (band.value, band.low, band.high))
    found = [ChartRow(*row) for row in zip(labels, *figures, notes, strict=True)]
    return [row for row in found if not np.isnan(row.value)]


def numbers(column: pd.Series) -> npt.NDArray[np.float64]:
    """Durations as seconds, anything else as it is."""
    plain = column.dt.total_seconds() if column.dtype.kind == "m" else column
    found: npt.NDArray[np.float64] = plain.to_numpy(np.float64)
    return found


def _panels(
    dataset: Dataset, report: Report, panel: Trends | Ranking | WeekdayHours, id: str
) -> Iterator[Panel]:
    if isinstance(panel, Trends):
        return _trends(dataset, report, panel, id)
    if isinstance(panel, Ranking):
        return _rankings(dataset, report, panel, id)
    return _weekday_hours(dataset, report, panel, id)


def _trends(dataset: Dataset, report: Report, panel: Trends, id: str) -> Iterator[Panel]:
    band, by = panel.band, ("pipeline",) if panel.per_pipeline else ()
    whole, over = dataset.table(report, *by), dataset.table(report, *by, over_time=True)
    unit: Unit = "share" if over[band.value].dtype.kind == "f" else "s"
    groups = (
        _busiest(dataset, whole, panel.most)
        if panel.per_pipeline
        else [("all pipelines", whole)] * bool(len(whole))
    )
    for number, (name, rows_of) in enumerate(groups):
        figure = rows_of[band.value].iloc[0]
        if pd.isna(figure):
            continue
        drawn = _trend(over[over["pipeline"] == name] if by else over, band, dataset.every)
        low = _floor(over[band.low]) if panel.near_one else 0.0
        high = _TOP if panel.near_one else charts.nice_top(drawn.high, unit)
        title = f"{band.value} of {name} per {dataset.every}"
        chart = charts.trend(drawn, title, f"{id}-{number}", unit=unit, bounds=(low, high))
        yield Panel(name, chart, f"{panel.sum} {_worded(figure)}".strip())


def _rankings(dataset: Dataset, report: Report, panel: Ranking, id: str) -> Iterator[Panel]:
    frame = dataset.table(report, "pipeline")
    if panel.name is not None:
        groups = [(panel.name, _chosen_rows(frame, Rows(greatest=panel.greatest)))]
    else:
        groups = list(_busiest(dataset, frame, _STEP_PANELS))
    for number, (name, group) in enumerate(groups):
        top, band = group.head(panel.most), panel.band
        if band is None:
            top, band = _with_interval(top, report)
        notes = (f"{_worded(value)}{panel.note_unit}" for value in top[panel.note])
        shown = chart_rows(top, _labels(top, with_pipeline=panel.name is not None), band, notes)
        if not shown:
            continue
        title, chart_id = panel.title.format(name=name), f"{id}-{number}"
        if panel.shape == "bars":
            chart = charts.bars(shown, title, chart_id)
        else:
            chart = charts.intervals(shown, title, chart_id, unit="share")
        yield Panel(name, chart, panel.sum)


def _weekday_hours(
    dataset: Dataset, report: Report, panel: WeekdayHours, id: str
) -> Iterator[Panel]:
    frame = dataset.table(report, "weekday", "hour")
    if frame.empty:
        return
    known = frame.assign(seconds=numbers(frame[panel.column]))
    grid = known.pivot(index="weekday", columns="hour", values="seconds")
    values = grid.reindex(index=list(WEEKDAYS), columns=range(24)).to_numpy(np.float64)
    chart = charts.heat(values, [day[:3] for day in WEEKDAYS], panel.title, id)
    darkest = rows.duration(frame[panel.column].max())
    yield Panel("all pipelines, by hour", chart, f"darkest: {darkest}")


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


def _report_table(report: Report, frame: pd.DataFrame) -> Table:
    """A report's first rows, and what its columns count."""
    empty = [n for n in report.implied if frame[n].isna().all()]
    names, made = rows.readable(frame.head(_SHOWN_ROWS).drop(columns=empty))
    meanings = {c.name: c.meaning for c in report.columns if not c.name.endswith(("_low", "_high"))}
    main = report.main.column
    for row in made:
        low, high = row.get(f"{main}_low"), row.get(f"{main}_high")
        if low is not None and high is not None:
            row[_INTERVAL] = f"{str(low).rstrip('%')}–{high}"
    shown = [n for n in names if not n.endswith(("_low", "_high"))]
    if f"{main}_low" in names:
        shown.insert(shown.index(main) + 1, _INTERVAL)
    figures = {c.name for c in report.columns if c.kind in _FIGURES} | {_INTERVAL}
    heads = {n: Head(n.replace("_", " "), meanings.get(n), n in figures) for n in shown}
    return Table(heads, made, len(frame), meanings)


def _trend(over: pd.DataFrame, band: Band, every: str) -> Trend:
    """Every period between the first and the last, those without a run as gaps."""
    known = over.set_index("period")
    periods = pd.date_range(known.index.min(), known.index.max(), freq=_FREQUENCIES[every])
    whole = known.reindex(periods)
    partial = whole["partial"].fillna(True).astype(bool).to_numpy()
    value, low, high = (numbers(whole[name]) for name in (band.value, band.low, band.high))
    return Trend(periods, value, low, high, partial)


def _floor(lows: pd.Series) -> float:
    """A round share below all of these, so that small differences near 100% can be seen."""
    least = lows.min()
    return 0.0 if pd.isna(least) else float(np.floor(least * 10) / 10) - 0.012

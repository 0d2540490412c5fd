"""What the sections of the page are made of: panels with charts, and tables with their key."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from runsync.reports import charts, rows
from runsync.reports.charts import Row, Trend, Unit
from runsync.reports.columns import Kind, Report
from runsync.reports.markup import Head, Markup, joined, shown, table, tag
from runsync.reports.study import Study

_ROWS = 20
_FREQUENCIES = {"day": "D", "week": "W-MON", "month": "MS"}
_FIGURES = (Kind.COUNT, Kind.RATE, Kind.DURATION)
_INTERVAL = "95% interval"


def panels(made: Sequence[Markup], caption: str) -> Markup | None:
    """Charts side by side where there is room, and what they show."""
    if not made:
        return None
    return tag("div", tag("div", *made, class_="panels"), tag("p", caption, class_="caption"))


def panel(chart: str, name: str, figure: str = "") -> Markup:
    """A chart under its name, with one figure that sums it up."""
    head = joined(tag("b", shown(name, 60)), tag("span", figure, class_="sum"))
    return tag("figure", tag("figcaption", head), Markup(chart))


def trend_panel(
    study: Study,
    over: pd.DataFrame,
    columns: tuple[str, str, str],
    name: str,
    figure: str,
    *,
    id: str,
    bounds: tuple[float, float] | None = None,
) -> Markup:
    """A panel of a figure over time.

    Args:
        over: a report with ``every``, of one group.
        columns: the figure, and the lower and upper end of its band.
        id: unique in the page.
        bounds: of the axis; None: from 0 to what the band needs.
    """
    unit: Unit = "share" if over[columns[0]].dtype.kind == "f" else "s"
    drawn = _trend(over, columns, study.every)
    bounds = bounds or (0.0, charts.nice_top(drawn.high, unit))
    title = f"{columns[0]} of {name} per {study.every}"
    return panel(charts.trend(drawn, title, id, unit=unit, bounds=bounds), name, figure)


def chart_rows(
    frame: pd.DataFrame, labels: Iterable[str], columns: tuple[str, str, str], notes: Iterable[str]
) -> list[Row]:
    """Rows of a chart from the columns of their figure, its lower and its upper end."""
    figures = (numbers(frame[column]) for column in columns)
    found = [Row(*row) for row in zip(labels, *figures, notes, strict=True)]
    return [row for row in found if not np.isnan(row.value)]


def step_labels(frame: pd.DataFrame, *, pipeline: bool = False) -> list[str]:
    """A step's name, with its job where it has one, and its pipeline where that is wanted."""
    names = ["pipeline"] if pipeline else []
    names += ["job", "step"] if "job" in frame else ["step"]
    return [
        " / ".join(str(part) for part in row if not pd.isna(part))
        for row in zip(*(frame[n] for n in names), strict=True)
    ]


def report_table(report: Report, frame: pd.DataFrame, rest: str | None = None) -> Markup:
    """A report's first rows, and what its columns count.

    Args:
        rest: which command gives the rows that are not shown.
    """
    if frame.empty:
        return tag("p", "Nothing to show in this window.", class_="nothing")
    names, made = rows.readable(frame.head(_ROWS))
    meanings = {c.name: c.meaning for c in report.columns if not c.name.endswith(("_low", "_high"))}
    for row in made:
        _merge_interval(report, row)
    shown_names = [n for n in names if not n.endswith(("_low", "_high"))]
    if any(name.endswith("_low") for name in names):
        shown_names.insert(shown_names.index(report.main) + 1, _INTERVAL)
    figures = {c.name for c in report.columns if c.kind in _FIGURES} | {_INTERVAL}
    heads = {n: Head(n.replace("_", " "), meanings.get(n), n in figures) for n in shown_names}
    return joined(table(heads, made), _more(frame, rest or report.command), _key(meanings))


def numbers(column: pd.Series) -> npt.NDArray[np.float64]:
    """Durations as seconds, anything else as it is."""
    plain = column.dt.total_seconds() if column.dtype.kind == "m" else column
    found: npt.NDArray[np.float64] = plain.to_numpy(np.float64)
    return found


def _trend(over: pd.DataFrame, columns: tuple[str, str, str], every: str) -> Trend:
    """Every period between the first and the last, those without a run as gaps."""
    known = over.set_index("period")
    periods = pd.date_range(known.index.min(), known.index.max(), freq=_FREQUENCIES[every])
    whole = known.reindex(periods)
    partial = whole["partial"].fillna(True).astype(bool).to_numpy()
    value, low, high = (numbers(whole[name]) for name in columns)
    return Trend(periods, value, low, high, partial)


def _merge_interval(report: Report, row: dict[str, object]) -> None:
    low, high = row.get(f"{report.main}_low"), row.get(f"{report.main}_high")
    if low is not None and high is not None:
        row[_INTERVAL] = f"{str(low).rstrip('%')}–{high}"


def _more(frame: pd.DataFrame, command: str) -> Markup | None:
    if len(frame) <= _ROWS:
        return None
    said = joined(
        f"The first {_ROWS} of {len(frame):,} rows; all of them: ",
        tag("code", f"runsync report {command}"),
    )
    return tag("p", said, class_="more")


def _key(meanings: dict[str, str]) -> Markup:
    said = [
        joined(tag("b", name.replace("_", " ")), " ", meaning) for name, meaning in meanings.items()
    ]
    return tag("p", *(joined(" · " if i else "", one) for i, one in enumerate(said)), class_="key")

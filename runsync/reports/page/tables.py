"""Tables as the templates draw them: heads with what they count, and cells that can be sorted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from markupsafe import Markup

from runsync.reports import rows
from runsync.reports.report import Kind, Rate, Report

MOST_ROWS = 100
_FIGURES = (Kind.COUNT, Kind.RATE, Kind.NUMBER, Kind.DURATION)
_INTERVAL = "95% interval"
_TREND = "trend"
SHORT_ID = 10
"""How much of an id or a hash is enough to tell it from others."""
_IDS = ("commit_hash", "run", "last_run")


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head.

    Attributes:
        is_figure: whether figures stand under it.
        is_spare: whether a narrow screen leaves the column out.
        is_key: whether it says what the row is about.
    """

    text: str
    meaning: str | None = None
    is_figure: bool = False
    is_spare: bool = False
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a row under a head.

    Attributes:
        text: None: there is not enough to say.
        order: what the row is sorted by, where the text does not sort as it should.
        link: the page that it leads to.
        chart: what is drawn in place of a text.
        kind: its class.
    """

    text: str | None
    order: float | None = None
    link: str | None = None
    chart: Markup | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row, and the pipeline and the branch that it is about; None: of all of them."""

    cells: dict[str, Cell]
    pipeline: str | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Heads by column, in order, and rows; ``total`` rows there are, of which the first stand.

    ``without`` names the columns that are left out, since there is nothing in them.
    """

    heads: dict[str, Head]
    rows: list[TableRow]
    total: int = 0
    without: frozenset[str] = frozenset()


def report_table(
    report: Report, frame: pd.DataFrame, trends: Iterable[Markup] = (), link: str | None = None
) -> Table:
    """A report's first rows: what they are about, the main figure, then the others.

    Args:
        trends: a small chart for each row; or none at all.
        link: the column whose words lead to the row's ``web_url``.
    """
    top = frame.head(MOST_ROWS)
    columns = {c.name: c for c in report.columns}
    cells = _cells(top)
    cells = {n: c for n, c in cells.items() if n in columns or not _is_empty(top[n])}
    if f"{report.main.column}_low" in cells:
        cells[_INTERVAL] = _intervals(cells, report.main.column)
    if made := list(trends)[:MOST_ROWS]:
        cells[_TREND] = [Cell(None, chart=chart) for chart in made]
    if link in cells and "web_url" in top:
        cells[link] = _linked(cells[link], top["web_url"])
    without = frozenset(n for n in _spare(report) if n in top and _holds_nothing(top[n]))
    names = [name for name in _in_order(cells, report) if name not in without]
    heads = {name: _head(name, report) for name in names}
    return Table(heads, table_rows({n: cells[n] for n in heads}, top), len(frame), without)


def table_rows(cells: Mapping[str, list[Cell]], frame: pd.DataFrame) -> list[TableRow]:
    """Rows of these columns, told apart by the frame's pipelines and branches."""
    about = {name: _texts(frame, name) for name in ("pipeline", "branch")}
    return [
        TableRow(dict(zip(cells, row, strict=True)), pipeline, branch)
        for row, pipeline, branch in zip(
            zip(*cells.values(), strict=True), about["pipeline"], about["branch"], strict=True
        )
    ]


def web_link(url: object) -> str | None:
    """The address, where it is one that a browser may be sent to."""
    if not isinstance(url, str):
        return None
    try:
        found = urlsplit(url)
    except ValueError:
        return None
    return url if found.scheme in ("http", "https") and found.hostname else None


def meanings(reports: Iterable[Report]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What columns count: what means the same in several reports, and what is each one's own."""
    told = {r.name: dict(_meanings_of(r)) for r in reports}
    pairs = [pair for one in told.values() for pair in one.items()]
    shared = {name: meaning for name, meaning in pairs if pairs.count((name, meaning)) > 1}
    own = {
        report: {n: m for n, m in one.items() if shared.get(n) != m} for report, one in told.items()
    }
    return shared, own


def _meanings_of(report: Report) -> Iterable[tuple[str, str]]:
    for column in report.columns:
        if not column.name.endswith(("_low", "_high")) and column.name != "web_url":
            yield column.name, column.meaning


def _cells(frame: pd.DataFrame) -> dict[str, list[Cell]]:
    names, words = rows.readable(frame)
    found: dict[str, list[Cell]] = {}
    for name in names:
        orders = _orders(frame[name])
        texts = (_text(name, row[name]) for row in words)
        kind = "time" if frame[name].dtype.kind == "M" else ""
        found[name] = [
            Cell(text, order, kind=kind) for text, order in zip(texts, orders, strict=True)
        ]
    return found


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name in _IDS:
        return str(value)[:SHORT_ID]
    return f"{value:,}" if isinstance(value, int) else str(value)


def _orders(column: pd.Series) -> list[float | None]:
    """Seconds of durations and times, numbers as they are; None where the words will do."""
    if column.dtype.kind == "m":
        column = column.dt.total_seconds()
    elif column.dtype.kind not in "if":
        return [None] * len(column)
    column = column.astype("float64")
    return [None if np.isnan(v) else round(float(v), 6) for v in column]


def _intervals(cells: Mapping[str, list[Cell]], main: str) -> list[Cell]:
    both = zip(cells[f"{main}_low"], cells[f"{main}_high"], strict=True)
    return [
        Cell(None)
        if low.text is None or high.text is None
        else Cell(f"{low.text.rstrip('%')}–{high.text}", low.order)
        for low, high in both
    ]


def _linked(cells: list[Cell], urls: pd.Series) -> list[Cell]:
    return [
        Cell(cell.text, cell.order, web_link(url)) for cell, url in zip(cells, urls, strict=True)
    ]


def _in_order(cells: Mapping[str, list[Cell]], report: Report) -> list[str]:
    """Keys, the main figure, then the others as the report has them."""
    main, own = report.main.column, [c.name for c in report.columns]
    keys = [n for n in cells if n not in (*own, _INTERVAL, _TREND)]
    first = [n for n in (main, _INTERVAL, _TREND) if n in cells]
    others = [n for n in own if n in cells and n != main and not n.endswith(("_low", "_high"))]
    others = [n for n in others if n != "web_url"]
    return [*keys, *first, *others]


def _head(name: str, report: Report) -> Head:
    columns = {c.name: c for c in report.columns}
    column = columns.get(name)
    is_figure = name == _INTERVAL or (column is not None and column.kind in _FIGURES)
    is_key = column is None and name not in (_INTERVAL, _TREND)
    meaning = column.meaning if column else None
    return Head(name.replace("_", " "), meaning, is_figure, name in _spare(report), is_key)


def _spare(report: Report) -> set[str]:
    names = {name for names in report.spare for name in names.split()}
    return (names | ({_INTERVAL} if isinstance(report.main, Rate) else set())) - {
        report.main.column,
        report.section.rows.link,
        "job",
    }


def _is_empty(column: pd.Series) -> bool:
    return bool(column.isna().all())


def _holds_nothing(column: pd.Series) -> bool:
    """Whether all values are missing or 0."""
    return _is_empty(column) or (column.dtype.kind in "if" and not column.fillna(0).any())


def _texts(frame: pd.DataFrame, name: str) -> list[str | None]:
    if name not in frame:
        return [None] * len(frame)
    return [None if pd.isna(v) else str(v) for v in frame[name]]

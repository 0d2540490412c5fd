"""Charts: small panels, each showing one thing, in colours that colour-blind readers can tell.

Values are seconds or shares of 1, as ``unit`` says. A trend is about as wide as a telephone, so
that its text is as large as the page's; rows have their labels in the page's own text, which wraps
where it is long, and a bar that is as wide as there is room.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from runsync.reports.page.scales import FloatArray, Unit, date_ticks, value_label, value_ticks
from runsync.reports.page.svg import Svg, number

_WIDTH, _HEIGHT = 340.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 8.0, 20.0
_MANY_POINTS = 45
_CELL, _GAP, _ROW_NAME, _HOUR_NAMES = 12.4, 1.2, 34.0, 18.0
_SPARK = (92.0, 20.0, 3.0)
_BAR_HEIGHT = 14
SHADES = 6
"""How many shades a heat map has."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure for each period, and the band around it. ``partial``: the period tells not all."""

    periods: pd.DatetimeIndex
    values: FloatArray
    low: FloatArray
    high: FloatArray
    partial: npt.NDArray[np.bool_]

    def complement(self) -> "Trend":
        """Of shares what is left to 1."""
        return replace(self, values=1 - self.values, low=1 - self.high, high=1 - self.low)


@dataclass(frozen=True, slots=True)
class Extent:
    """A figure, and the ends of what is drawn around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where a day and a value stand in a trend."""

    first: date
    days: float
    low: float
    high: float

    def x(self, day: date) -> float:
        pad = max(1.0, self.days * 0.03)
        share = ((day - self.first).days + pad) / (self.days + 2 * pad)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def trend_chart(
    drawn: Trend,
    title: str,
    *,
    unit: Unit,
    bounds: tuple[float, float],
    marked: Sequence[date] = (),
) -> Markup:
    """A line with its band over time; points of periods that do not tell all are hollow.

    Args:
        marked: days at which a line stands: something has changed there.
    """
    days = [when.date() for when in drawn.periods]
    plane, svg = _Plane(days[0], (days[-1] - days[0]).days, *bounds), Svg(_WIDTH, _HEIGHT)
    _grid(svg, plane, days[-1], unit)
    x = np.array([plane.x(day) for day in days])
    y, low, high = (
        np.array([plane.y(v) for v in values]) for values in (drawn.values, drawn.low, drawn.high)
    )
    for day in marked:
        svg.add("path", "mark", f"{day}", d=f"M{number(plane.x(day))} {number(_TOP)}V130")
    for at in _unbroken(~(np.isnan(low) | np.isnan(high))):
        forth, back = (
            zip(x[at], high[at], strict=True),
            zip(x[at][::-1], low[at][::-1], strict=True),
        )
        svg.add("path", "band", d=_path([*forth, *back]) + "Z")
    for at in _unbroken(~np.isnan(y)):
        svg.add("path", "line", d=_path(list(zip(x[at], y[at], strict=True))))
    _dots(svg, x, y, drawn.partial)
    return svg.drawn(title)


def spark(values: FloatArray, title: str) -> Markup:
    """A line as high as a line of text, from 0 to the greatest value, with a dot at its end."""
    width, height, pad = _SPARK
    svg, known = Svg(width, height), ~np.isnan(values)
    top = float(np.nanmax(values)) if known.any() else 0.0
    x = pad + np.arange(len(values)) / max(1, len(values) - 1) * (width - 2 * pad)
    y = height - pad - values / (top or 1.0) * (height - 2 * pad)
    for at in _unbroken(known):
        svg.add("path", "line", d=_path(list(zip(x[at], y[at], strict=True))))
    if known.any():
        last = int(np.flatnonzero(known)[-1])
        svg.add("circle", "dot", cx=float(x[last]), cy=float(y[last]), r=2.4)
    return svg.drawn(title, "spark")


def bar(drawn: Extent, top: float) -> Markup:
    """A bar as long as the value, of a width where ``top`` fills all, and a line on to ``high``."""
    value, high = (f"{100 * v / top:.1f}%" for v in (drawn.value, drawn.high))
    middle = _BAR_HEIGHT // 2
    return Markup(
        '<svg class="bar" role="presentation"><rect class="fill" width="{0}" height="{3}"/>'
        '<line class="whisker" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
        '<line class="whisker" x1="{1}" x2="{1}" y1="3" y2="11"/>'
        '<line class="line" x1="{0}" x2="{0}" y1="0" y2="{3}"/></svg>'
    ).format(value, high, middle, _BAR_HEIGHT)


def interval(drawn: Extent, top: float) -> Markup:
    """A point in its interval, on a line from 0 to ``top``."""
    value, low, high = (f"{100 * v / top:.1f}%" for v in (drawn.value, drawn.low, drawn.high))
    return Markup(
        '<svg class="bar" role="presentation"><line class="grid" x1="0" x2="100%" y1="13" y2="13"/>'
        '<line class="line" x1="{1}" x2="{2}" y1="7" y2="7"/>'
        '<circle class="dot" cx="{0}" cy="7" r="3.5"/></svg>'
    ).format(value, low, high)


def heat_map(
    values: FloatArray, rows: Sequence[str], words: Sequence[Sequence[str]], title: str
) -> Markup:
    """A field for each row and each of 24 hours: the darker, the greater; empty: nothing.

    Each shade has about as many fields as any other, so that a few great values do not make all
    others look alike.

    Args:
        words: what each field is, for a reader who points at it.
    """
    shades = shades_of(values)
    svg = Svg(_ROW_NAME + 24 * _CELL, len(rows) * _CELL + _HOUR_NAMES)
    for row, name in enumerate(rows):
        svg.add("text", "tick", name, x=0, y=row * _CELL + 9.5)
        for hour in range(24):
            kind = "empty" if shades[row, hour] < 0 else f"shade{shades[row, hour]}"
            svg.add(
                "rect", kind, words[row][hour] or None,
                x=_ROW_NAME + hour * _CELL, y=row * _CELL, width=_CELL - _GAP, height=_CELL - _GAP,
            )  # fmt: skip
    for hour in range(0, 24, 4):
        at = {"x": _ROW_NAME + hour * _CELL, "y": len(rows) * _CELL + 12}
        svg.add("text", "tick", f"{hour:02d}h", **at)
    return svg.drawn(title)


def shades_of(values: FloatArray) -> npt.NDArray[np.int64]:
    """For each value the number of its shade, from 0; -1 where there is none."""
    known = ~np.isnan(values)
    found = np.full(values.shape, -1, np.int64)
    if known.any():
        edges = np.quantile(values[known], np.arange(1, SHADES) / SHADES)
        found[known] = np.searchsorted(edges, values[known], side="left")
    return found


def _grid(svg: Svg, plane: _Plane, last: date, unit: Unit) -> None:
    for value in value_ticks(plane.low, plane.high, unit):
        y = plane.y(value)
        svg.add("path", "grid", d=f"M{number(_LEFT)} {number(y)}H{number(_WIDTH - _RIGHT)}")
        text = value_label(value, unit)
        svg.add("text", "tick", text, x=_LEFT - 5, y=y + 3.5, text_anchor="end")
    for day, text in date_ticks(plane.first, last):
        svg.add("text", "tick", text, x=plane.x(day), y=_HEIGHT - 5, text_anchor="middle")


def _dots(svg: Svg, x: FloatArray, y: FloatArray, partial: npt.NDArray[np.bool_]) -> None:
    alone = np.zeros(len(y), bool)
    for at in _unbroken(~np.isnan(y)):
        alone[at] = at.stop - at.start == 1
    wanted = partial | (alone if len(x) > _MANY_POINTS else True)
    for index in np.flatnonzero(~np.isnan(y) & wanted):
        kind, radius = ("dot hollow", 2.4) if partial[index] else ("dot", 2.1)
        svg.add("circle", kind, cx=float(x[index]), cy=float(y[index]), r=radius)


def _unbroken(known: npt.NDArray[np.bool_]) -> Iterator[slice]:
    """The stretches of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    for begin, end in list(pairwise(edges))[::2]:
        yield slice(int(begin), int(end))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)

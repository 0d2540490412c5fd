"""Charts: small panels, each showing one thing, in colours that colour-blind readers can tell.

A panel is about as wide as a telephone, so that its text is as large as the page's; the page sets
panels side by side where there is room. Values are seconds or shares of 1, as ``unit``
says. Matplotlib is imported when the first is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from runsync.reports.page.svg import svg_of
from runsync.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Floats: TypeAlias = npt.NDArray[np.float64]
Unit: TypeAlias = Literal["s", "share", "points"]

# Of the palette of M. Okabe and K. Ito, which differs in lightness as well as in hue.
BLUE, ORANGE = "#0072b2", "#d55e00"
_INK, _MUTED, _FAINT, _PALE = "#1f2937", "#6b7280", "#e5e7eb", "#b3d4e8"

# All in points, which a page takes for pixels.
_WIDTH, _TEXT = 340.0, 10.5
_TREND, _ROW, _CELL = 150.0, 21.0, 17.0
_SIGN, _NOTES = 6.1, 58.0
_LONGEST_LABEL = 24
_MANY_POINTS = 45

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600)
_LONG_STEPS = tuple(3600 * n for n in (2, 3, 6, 12, 24, 48, 96, 168, 336, 672, 1344, 2688))


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure for each period, and the band around it. ``partial``: the period tells not all."""

    periods: pd.DatetimeIndex
    values: Floats
    low: Floats
    high: Floats
    partial: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A figure of one thing, the stretch drawn around it, and a word for the right margin."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""
    strong: bool = True


def trend(
    drawn: Trend, title: str, name: str, *, unit: Unit, bounds: tuple[float, float]
) -> Markup:
    """A line with its band over time; points of periods that do not tell all are hollow."""
    axes = _axes(_TREND, left=40, right=12, top=8, bottom=20)
    x, y, partial = drawn.periods.to_numpy(), drawn.values, drawn.partial
    axes.fill_between(x, drawn.low, drawn.high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(x, y, color=BLUE, linewidth=1.7)
    dotted = ~partial if len(x) <= _MANY_POINTS else ~partial & _alone(y)
    axes.plot(x[dotted], y[dotted], "o", color=BLUE, markersize=3.6)
    axes.plot(x[partial], y[partial], "o", color=BLUE, markerfacecolor="white", markersize=4.6)
    axes.set_ylim(*bounds)
    _time_axis(axes, drawn.periods)
    _value_axis(axes.yaxis, bounds, unit)
    axes.grid(axis="y", color=_FAINT, linewidth=0.9)
    return svg_of(_figure(axes), title, name)


def bars(rows: Sequence[ChartRow], title: str, name: str, *, unit: Unit = "s") -> Markup:
    """For each row a bar as long as its value, and a line on to ``high``."""
    axes = _rows_axes(rows)
    at = np.arange(len(rows))
    values = [row.value for row in rows]
    axes.barh(at, values, height=0.56, color=_PALE)
    axes.plot(values, at, "|", color=BLUE, markersize=10, markeredgewidth=2.2)
    axes.hlines(at, values, [row.high for row in rows], color=_MUTED, linewidth=1.2)
    axes.plot([row.high for row in rows], at, "|", color=_MUTED, markersize=6)
    _finish_rows(axes, rows, (0.0, _greatest([row.high for row in rows])), unit)
    return svg_of(_figure(axes), title, name)


def intervals(
    rows: Sequence[ChartRow], title: str, name: str, *, unit: Unit, around_zero: bool = False
) -> Markup:
    """For each row a point in its interval; those that are not strong in grey."""
    axes = _rows_axes(rows)
    for at, row in enumerate(rows):
        colour = (ORANGE if around_zero else BLUE) if row.strong else _MUTED
        axes.hlines(at, row.low, row.high, color=colour, linewidth=1.7)
        axes.plot([row.value], [at], "o", color=colour, markersize=5)
    greatest = _greatest([max(abs(row.low), abs(row.high)) for row in rows])
    if around_zero:
        axes.axvline(0, color=_INK, linewidth=1)
    _finish_rows(axes, rows, (-greatest if around_zero else 0.0, greatest), unit)
    return svg_of(_figure(axes), title, name)


def heat(values: Floats, rows: Sequence[str], title: str, name: str) -> Markup:
    """A field for each row and each of 24 hours, the darker the greater; white: nothing."""
    from matplotlib.colors import LinearSegmentedColormap

    axes = _axes(_CELL * len(rows) + 30, left=34, right=6, top=4, bottom=22)
    blues = LinearSegmentedColormap.from_list("blues", ["#eef5fa", "#7fb8d8", BLUE, "#003c5e"])
    edges = np.arange(values.shape[1] + 1), np.arange(len(rows) + 1)
    axes.pcolormesh(*edges, values, cmap=blues, edgecolors="white", linewidth=1.2)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks(np.arange(len(rows)) + 0.5, labels=rows)
    axes.set_xticks(np.arange(0, 24, 4) + 0.5, labels=[f"{h:02d}h" for h in range(0, 24, 4)])
    axes.spines[:].set_visible(False)
    return svg_of(_figure(axes), title, name)


def nice_top(values: Sequence[float] | Floats, unit: Unit) -> float:
    """Where an axis from 0 ends that holds all of these."""
    return _greatest(list(values), 0.01 if unit == "share" else 1.0)


def _axes(height: float, *, left: float, right: float, top: float, bottom: float) -> "Axes":
    """One pair of axes in a new panel, with margins in points."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text stays text, which any font can show; and what looks like a formula is none.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "runsync", "text.parse_math": False}
    figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72)
    box = (left / _WIDTH, bottom / height)
    size = (1 - (left + right) / _WIDTH, 1 - (top + bottom) / height)
    axes = figure.add_axes((*box, *size))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(length=0, labelsize=_TEXT, labelcolor=_MUTED, pad=4)
    axes.set_axisbelow(True)
    return axes


def _figure(axes: "Axes") -> "Figure":
    return cast("Figure", axes.figure)


def _rows_axes(rows: Sequence[ChartRow]) -> "Axes":
    height = _ROW * len(rows) + 22
    longest = max(len(_label(row)) for row in rows)
    return _axes(height, left=10 + _SIGN * longest, right=_NOTES, top=2, bottom=20)


def _label(row: ChartRow) -> str:
    return visible(row.label[: _LONGEST_LABEL * 4], _LONGEST_LABEL)


def _finish_rows(
    axes: "Axes", rows: Sequence[ChartRow], bounds: tuple[float, float], unit: Unit
) -> None:
    axes.set_yticks(np.arange(len(rows)), labels=[_label(row) for row in rows])
    axes.tick_params(axis="y", labelcolor=_INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(*bounds)
    _value_axis(axes.xaxis, bounds, unit)
    axes.grid(axis="x", color=_FAINT, linewidth=0.9)
    for at, row in enumerate(rows):
        axes.annotate(
            row.note, (1, at), (6, 0), ("axes fraction", "data"), "offset points",
            va="center", fontsize=_TEXT, color=_INK,
        )  # fmt: skip


def _time_axis(axes: "Axes", periods: pd.DatetimeIndex) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    pad = max((periods[-1] - periods[0]) * 0.03, pd.Timedelta(days=1))
    ends = periods[[0, -1]] + pd.to_timedelta([-pad, pad])
    axes.set_xlim(*date2num(ends.to_numpy()))  # type: ignore[no-untyped-call]


def _value_axis(axis: "Axis", bounds: tuple[float, float], unit: Unit) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    if unit == "s":
        axis.set_major_locator(FixedLocator(_time_ticks(*bounds)))
    else:
        axis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, unit)))


def _time_ticks(low: float, high: float) -> list[float]:
    """At most five round times that hold the bounds."""
    step = next((s for s in (*_STEPS, *_LONG_STEPS) if (high - low) / s <= 4), high - low)
    first = int(np.ceil(low / step))
    return [step * n for n in range(first, int(high / step) + 1)]


def _tick(value: float, unit: Unit) -> str:
    if unit != "s":
        return f"{value * 100:+g}".replace("+0", "0") if unit == "points" else f"{value * 100:g}%"
    for size, word in ((86400, "d"), (3600, "h"), (60, "m")):
        if abs(value) >= size:
            return f"{value / size:g}{word}"
    return f"{value:g}s"


def _alone(values: Floats) -> npt.NDArray[np.bool_]:
    """Values without a neighbour, which no line would show."""
    missing = np.concatenate([[True], np.isnan(values), [True]])
    alone: npt.NDArray[np.bool_] = missing[:-2] & missing[2:]
    return alone


def _greatest(values: Sequence[float], otherwise: float = 1.0) -> float:
    known = [value for value in values if not np.isnan(value)]
    return max([*known, 0.0]) * 1.06 or otherwise


__all__ = ["ChartRow", "Trend", "bars", "heat", "intervals", "nice_top", "trend"]

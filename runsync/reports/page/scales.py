"""Round values and dates for the axes of charts, and how they are written."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
Unit: TypeAlias = Literal["s", "share", "points"]

_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600)
_HOURS = tuple(3600 * n for n in (2, 3, 6, 12, 24, 48, 96, 168, 336, 672, 1344, 2688))
_SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
_DAYS = (1, 2, 7, 14)
_MOST_DATES = 5
_DAYS_A_MONTH = 30.4


def value_ticks(low: float, high: float, unit: Unit, most: int = 4) -> list[float]:
    """At most ``most`` round values between the bounds, and one more."""
    steps = (*_SECONDS, *_HOURS) if unit == "s" else _SHARES
    step = next((s for s in steps if (high - low) / s <= most), high - low)
    first = int(np.ceil(round(low / step, 6)))
    return [step * n for n in range(first, int(high / step + 1e-9) + 1)]


def value_label(value: float, unit: Unit) -> str:
    """A tick's value: ``50%``, ``+5``, ``30s``, ``2h``."""
    if unit != "s":
        return f"{value * 100:+g}".replace("+0", "0") if unit == "points" else f"{value * 100:g}%"
    for size, word in ((86400, "d"), (3600, "h"), (60, "m")):
        if abs(value) >= size:
            return f"{value / size:g}{word}"
    return f"{value:g}s"


def date_ticks(first: date, last: date) -> list[tuple[date, str]]:
    """At most five days between these, ends included, each with its label."""
    days = (last - first).days
    step = next((s for s in _DAYS if days / s < _MOST_DATES), None)
    if step is not None:
        every = (first + timedelta(days=n) for n in range(0, days + 1, step))
        return [(day, f"{day.day} {day:%b}") for day in every]
    months = list(_first_days(first, last))
    step = int(np.ceil(days / _DAYS_A_MONTH / _MOST_DATES))
    if step > 6:
        step = -(-step // 12) * 12
    chosen = [day for day in months if (day.year * 12 + day.month - 1) % step == 0]
    return [(day, f"{day.year}" if day.month == 1 else f"{day:%b}") for day in chosen]


def above(values: FloatArray, otherwise: float) -> float:
    """Where an axis from 0 ends that holds all of these; ``otherwise`` where there is none."""
    known = values[~np.isnan(values)]
    return max(0.0, *known) * 1.06 or otherwise if len(known) else otherwise


def _first_days(first: date, last: date) -> Iterator[date]:
    """The first day of each month in between."""
    day = first if first.day == 1 else (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    while day <= last:
        yield day
        day = (day + timedelta(days=32)).replace(day=1)

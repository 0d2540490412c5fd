"""Frames as rows, for programs (numbers with their units) and for people (words)."""

from collections.abc import Callable
from datetime import UTC, timedelta
from functools import partial
from typing import Any

import pandas as pd
from pandas.api import types

_CHANGES = ("change", "low", "high")
_AMOUNTS = ("minutes", "cost")
_OF_FIGURES = ("before", "after", "change")
_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1))


def plain(frame: pd.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of plain Python values, for JSON and CSV.

    Durations are seconds, with ``_s`` behind the column's name; rates are shares of 1; times are
    aware and in UTC; ``period`` is an ISO date; what is missing is None.
    """
    names = {
        name: f"{name}_s" if types.is_timedelta64_dtype(frame[name]) else name
        for name in map(str, frame)
    }
    return list(names.values()), _rows(
        {shown: [_plain(value) for value in frame[name]] for name, shown in names.items()}
    )


def readable(frame: pd.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows as people read them, for tables.

    Durations such as ``1m 23s``, rates in percent, changes of either with their sign; times in
    UTC; what is missing is None.
    """
    signed = "before" in frame
    names = [str(name) for name in frame]
    words = {name: _worded(frame[name], signed and name in _CHANGES) for name in names}
    if "figure" in frame:
        words |= {name: _by_figure(frame, name) for name in _OF_FIGURES}
    return names, _rows(words)


def duration(value: timedelta, *, signed: bool = False) -> str:
    """A duration in its two greatest units: ``350ms``, ``8.2s``, ``1m 23s``, ``2h 05m``."""
    seconds = value.total_seconds()
    sign = "-" if seconds < 0 else "+" if signed and seconds > 0 else ""
    return sign + _length(abs(seconds))


def percent(value: float, *, signed: bool = False) -> str:
    """A share of 1 in percent: ``93.4%``; with ``signed`` a change in points: ``+1.2 pp``."""
    if not signed:
        return f"{value * 100:.1f}%"
    points = f"{value * 100:+.1f}"
    # What is beyond chance may be small, but must not look like nothing.
    return f"{points if float(points) or not value else f'{value * 100:+.2g}'} pp"


def probability(value: float) -> str:
    """A p-value with the digits that matter: ``0.2``, ``0.04``, ``0.003``, ``<0.001``."""
    return "<0.001" if value < 0.001 else f"{value:.1g}" if value < 0.1 else f"{value:.2f}"


def _amount(value: float) -> str:
    """A number of minutes, or of money: ``1,234.5``, ``0.034``."""
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _length(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{round(seconds * 1000)}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, size, below, small in _UNITS:
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small:02d}{below}"
    return f"{whole}s"


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timedelta):
        return value.total_seconds()
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value.tzinfo is None else value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def _worded(column: pd.Series, signed: bool) -> list[Any]:
    word = _word_for(column, signed)
    return [None if pd.isna(value) else word(value) for value in column]


def _by_figure(frame: pd.DataFrame, name: str) -> list[str]:
    """The column in words, where each row's ``figure`` says if it is a share or seconds."""
    signed = name in _CHANGES
    return [
        percent(value, signed=signed)
        if figure.endswith("rate")
        else duration(pd.Timedelta(seconds=value), signed=signed)
        for value, figure in zip(frame[name], frame["figure"], strict=True)
    ]


def _word_for(column: pd.Series, signed: bool) -> Callable[[Any], Any]:
    if column.name == "p_value":
        return probability
    if types.is_timedelta64_dtype(column):
        return partial(duration, signed=signed)
    if str(column.name).startswith(_AMOUNTS):
        return _amount
    if types.is_float_dtype(column):
        return partial(percent, signed=signed)
    if types.is_bool_dtype(column):
        return lambda value: "yes" if value else "no"
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return lambda value: f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    return _plain

"""The columns of a report's frame: what each key is made of, and the dtypes of keys and figures."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from runsync.reports.chance import PIECES
from runsync.reports.query_spec import Query, Window
from runsync.reports.report import Column, Kind, Report

if TYPE_CHECKING:
    from runsync.reports.coverage_notes import Coverage

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

TEXT = pd.Series(["text"]).dtype
"""What this pandas makes of text: ``str`` from version 3 on, before it ``object``."""

# Of each key what it holds, and the loaded column that it is made of.
_KEYS = {
    "pipeline": (Kind.TEXT, "pipeline_id"),
    "source": (Kind.TEXT, "pipeline_id"),
    "branch": (Kind.TEXT, "branch"),
    "author": (Kind.TEXT, "author"),
    "event": (Kind.TEXT, "event"),
    "weekday": (Kind.WEEKDAY, "run_created_at"),
    "hour": (Kind.COUNT, "run_created_at"),
    "step": (Kind.TEXT, "name"),
    "job": (Kind.TEXT, "job"),
    "runner": (Kind.TEXT, "runner"),
    "period": (Kind.DAY, "run_created_at"),
}


def sources_of(keys: Iterable[str]) -> list[str]:
    """The loaded columns that the keys are made of."""
    return [_KEYS[key][1] for key in keys]


def with_keys(frame: pd.DataFrame, query: Query) -> pd.DataFrame:
    """The frame with a column for each of the query's keys, in the query's zone."""
    made: dict[str, Any] = {}
    if not {"weekday", "hour", "period"}.isdisjoint(query.keys):
        made |= _of_time(frame, query)
    if "pipeline" in query.keys:
        labels = {p.id: p.label for p in query.pipelines}
        made["pipeline"] = _of_pipelines(frame["pipeline_id"], labels)
    if "source" in query.keys:
        made["source"] = _of_pipelines(
            frame["pipeline_id"], {p.id: p.source for p in query.pipelines}
        )
    if "step" in query.keys:
        made["step"] = frame["name"]
    return frame.assign(**made)


def finished(
    table: pd.DataFrame, report: Report, query: Query, coverage: "Coverage | None"
) -> pd.DataFrame:
    """A report's table of figures as users get it, in its dtypes.

    Args:
        coverage: what ``partial`` goes by; needed where the query has periods.
    """
    keys = query.keys
    if coverage is not None and query.every:
        keys = (*keys, "partial")
        table = table.assign(partial=coverage.partial(table, query))
    return shaped(table, keys, report.columns)


def shaped(table: pd.DataFrame, keys: tuple[str, ...], columns: tuple[Column, ...]) -> pd.DataFrame:
    """The table with exactly these columns, in this order and in their dtypes."""
    kinds = {key: _KEYS[key][0] if key in _KEYS else Kind.FLAG for key in keys}
    kinds |= {column.name: column.kind for column in columns}
    return pd.DataFrame(
        {name: _as_kind(table[name].to_numpy(), kind) for name, kind in kinds.items()}
    )


def categorical(
    codes: npt.NDArray[np.integer[Any]],
    words: "Sequence[str] | pd.Series",
    *,
    ordered: bool = False,
) -> "pd.Categorical[str]":
    """Text by the place of each row's word in ``words``; -1 is missing."""
    categories: pd.Index[str] = pd.Index(pd.Series(words, dtype=TEXT))
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _of_time(frame: pd.DataFrame, query: Query) -> dict[str, Any]:
    local = frame["run_created_at"].dt.tz_convert(query.window.zone).dt.tz_localize(None)
    made: dict[str, Any] = {}
    if "weekday" in query.keys:
        made["weekday"] = categorical(local.dt.day_of_week.to_numpy(), WEEKDAYS, ordered=True)
    if "hour" in query.keys:
        made["hour"] = local.dt.hour.astype("int64")
    if query.every == "piece":
        made["period"] = _piece(frame["run_created_at"], query.window)
    elif query.every:
        made["period"] = _period(local, query.every)
    return made


def _piece(created: pd.Series, window: Window) -> pd.Series:
    """In which of the window's pieces each time is."""
    assert window.since is not None  # noqa: S101 - only windows that begin somewhere are compared
    share = (created - window.since) / (window.end - window.since)
    piece: pd.Series = (share * PIECES).astype("int64").clip(0, PIECES - 1)
    return piece


def _period(local: pd.Series, every: str) -> pd.Series:
    """The first day of each time's day, ISO week or month."""
    days = local.dt.normalize()
    if every == "week":
        days = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    elif every == "month":
        days = days - pd.to_timedelta(days.dt.day - 1, unit="D")
    first: pd.Series = days.astype("datetime64[us]")
    return first


def _of_pipelines(ids: pd.Series, words: dict[int, str]) -> "pd.Categorical[str]":
    categories = sorted(set(words.values()))
    place = np.full(max(words, default=0) + 1, -1)
    place[list(words)] = [categories.index(word) for word in words.values()]
    return categorical(place[ids.to_numpy()], categories)


def _as_kind(values: object, kind: Kind) -> pd.Series:
    """A column in its kind's dtype; durations come as milliseconds."""
    series = pd.Series(values)
    if kind is Kind.DURATION:
        return pd.to_timedelta((series.astype("float64") * 1000).round(), unit="us").astype(
            kind.value
        )
    if kind is Kind.TIME:
        return pd.to_datetime(series, utc=True).astype(kind.value)
    if kind is Kind.TEXT:
        return pd.Series(series.astype(object).to_numpy(), dtype=TEXT)
    if kind is Kind.NUMBER:
        return series.astype("float64")
    if kind is Kind.WEEKDAY:
        return series.astype(pd.CategoricalDtype(list(WEEKDAYS), ordered=True))
    return series.astype(kind.value)

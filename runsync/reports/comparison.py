"""Compares a report's main figure with that of the window before, and says what chance can do."""

from dataclasses import replace

import numpy as np
import pandas as pd

from runsync.errors import ConfigError
from runsync.reports.columns import shaped
from runsync.reports.load import Reader
from runsync.reports.query_spec import Query
from runsync.reports.report import Column, Frames, Kind, Rate, Report
from runsync.reports.statistics import Estimate, Groups, difference, rate, wilson


def comparison(reader: Reader, report: Report, query: Query) -> pd.DataFrame:
    """The report's main figure in the window and in the one of the same length before.

    Raises:
        ConfigError: the window has no beginning, or is cut into periods.
    """
    if query.every:
        raise ConfigError("a comparison is of two windows; leave every away")
    earlier = replace(query, window=query.window.before())
    before, after = (_main_figure(report, q, report.load(reader, q)) for q in (earlier, query))
    table = shaped(_compared(before, after, query.keys), query.keys, columns_of(report))
    return table.sort_values(list(query.keys), ignore_index=True) if query.keys else table


def columns_of(report: Report) -> tuple[Column, ...]:
    """The columns of a report's comparison."""
    kind = Kind.RATE if isinstance(report.main, Rate) else Kind.DURATION
    return (
        Column("before", kind, "the figure in the window before, of the same length"),
        Column("after", kind, "the figure in this window"),
        Column("change", kind, "after - before"),
        Column("low", kind, "lower end of the 95% interval of the change"),
        Column("high", kind, "upper end of the 95% interval of the change"),
        Column(
            "beyond_chance",
            Kind.FLAG_OR_MISSING,
            "whether that interval leaves out no change at all",
        ),
    )


def _main_figure(report: Report, query: Query, frames: Frames) -> pd.DataFrame:
    """The keys, with the main figure and the ends of its own interval."""
    if isinstance(report.main, Rate):
        table = report.figures(query, *frames)
        hits, trials = table[report.main.hits], table[list(report.main.trials)].sum(axis="columns")
        low, high = wilson(hits, trials)
        return table[list(query.keys)].assign(figure=rate(hits, trials), low=low, high=high)
    rows = frames[0].dropna(subset=["ms"])
    groups = Groups(rows, query.keys)
    (median,) = groups.quantiles(rows["ms"], 0.5)
    low, high = groups.median_intervals(rows["ms"])
    return groups.keys.assign(figure=median, low=low, high=high)


def _compared(before: pd.DataFrame, after: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    both = _side_by_side(before, after, keys)
    was, now = _side(both, "before"), _side(both, "after")
    low, high = difference(was, now)
    beyond = pd.array((low > 0) | (high < 0), dtype="boolean")
    beyond[np.isnan(low) | np.isnan(high)] = pd.NA
    return both.assign(
        before=was[0],
        after=now[0],
        change=now[0] - was[0],
        low=low,
        high=high,
        beyond_chance=beyond,
    )


def _side_by_side(before: pd.DataFrame, after: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    """A row for each group of either window."""
    was, now = (
        table.astype(dict.fromkeys(keys, object)).rename(
            columns={name: f"{name}_{side}" for name in ("figure", "low", "high")}
        )
        for table, side in ((before, "before"), (after, "after"))
    )
    return was.merge(now, on=list(keys), how="outer") if keys else was.join(now, how="outer")


def _side(both: pd.DataFrame, side: str) -> Estimate:
    figure, low, high = (
        both[f"{name}_{side}"].to_numpy(np.float64) for name in ("figure", "low", "high")
    )
    return figure, low, high

"""Compares a report's main figure with that of the window before, and says what chance can do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from runsync.errors import ConfigError
from runsync.reports.ask import Ask, asking
from runsync.reports.build import table_of
from runsync.reports.columns import Column, Kind, shaped
from runsync.reports.frames import AnyDatabase, Reader, reading
from runsync.reports.gather import gathered
from runsync.reports.groups import Ranked, split
from runsync.reports.intervals import Estimate, difference, median_ranks, rate, wilson

# The counts of which a report's main figure is the rate, the latter summed; the others' is a
# median of times.
_RATES = {
    "pass_rates": ("passed", ("passed", "failed")),
    "abort_frequencies": ("aborted", ("finished",)),
    "flaky_steps": ("flaky_commits", ("commits",)),
}


def compare(db: AnyDatabase, report: str, **asked: Any) -> pd.DataFrame:
    """The comparison of one report; ``asked`` is what :func:`.ask.asking` takes."""
    with reading(db) as reader:
        return comparison(reader, asking(reader, report, **asked))


def comparison(reader: Reader, ask: Ask) -> pd.DataFrame:
    """The report's main figure in the window and in the one of the same length before.

    Raises:
        ConfigError: the window has no beginning, or is cut into periods.
    """
    if ask.every:
        raise ConfigError("a comparison is of two windows; leave every away")
    earlier = replace(ask, scope=replace(ask.scope, window=ask.scope.window.before()))
    asks, frames = zip(*(gathered(reader, a) for a in (earlier, ask)), strict=True)
    # Jobs may have come or gone in between; both sides must be told apart by the same keys.
    wide = max(asks, key=lambda a: len(a.keys))
    before, after = (_measured(wide, found) for found in frames)
    both = _compared(before, after, wide.keys)
    table = shaped(both, wide.keys, columns_of(ask.report.name))
    return table.sort_values(list(wide.keys), ignore_index=True) if wide.keys else table


def columns_of(report: str) -> tuple[Column, ...]:
    """The columns of a report's comparison."""
    kind = Kind.RATE if report in _RATES else Kind.DURATION
    return (
        Column("before", kind, "the figure in the window before, of the same length"),
        Column("after", kind, "the figure in this window"),
        Column("change", kind, "after - before"),
        Column("low", kind, "lower end of the 95% interval of the change"),
        Column("high", kind, "upper end of the 95% interval of the change"),
        Column("beyond_chance", Kind.MAYBE, "whether that interval leaves out no change at all"),
    )


def _measured(ask: Ask, frames: tuple[pd.DataFrame, ...]) -> pd.DataFrame:
    """The keys, with the main figure and the ends of its own interval."""
    if ask.report.name in _RATES:
        return _rates(ask, frames)
    rows = frames[0]
    if ask.report.name == "recoveries":
        rows = rows[rows["ms"].notna()]
    return _medians(rows, ask.keys)


def _rates(ask: Ask, frames: tuple[pd.DataFrame, ...]) -> pd.DataFrame:
    table = table_of(ask, frames)
    hits, trials = _RATES[ask.report.name]
    over = table[list(trials)].sum(axis="columns")
    low, high = wilson(table[hits], over)
    return table[list(ask.keys)].assign(figure=rate(table[hits], over), low=low, high=high)


def _medians(rows: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    groups = split(rows, keys)
    ranked = Ranked(groups, rows["ms"])
    ends = [median_ranks(int(count)) for count in ranked.counts]
    low, high = (
        np.where(
            [end is None for end in ends],
            np.nan,
            ranked.at(np.array([0 if end is None else end[side] for end in ends], np.int64)),
        )
        for side in (0, 1)
    )
    return groups.keys.assign(figure=ranked.quantile(0.5), low=low, high=high)


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

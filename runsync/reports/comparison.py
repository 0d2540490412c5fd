"""Compares a figure of a report with that of the window before, and says what chance can do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from runsync.errors import ConfigError
from runsync.reports.chance import (
    PIECES,
    DesignEffects,
    Samples,
    corrected,
    design_effects,
    p_values,
)
from runsync.reports.columns import shaped
from runsync.reports.group_values import GroupValues
from runsync.reports.load import Reader
from runsync.reports.query_spec import Query
from runsync.reports.report import Column, Kind, Rate, Report
from runsync.reports.statistics import Estimate, Floats, Groups, difference, rate, wilson
from runsync.text import did_you_mean

FIGURES = ("p50", "p90", "p95", "mean")
"""What may be compared of durations."""

_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "mean": 0.5}
_BEYOND = 3
_LIMIT = 0.05


def comparison(
    reader: Reader, report: Report, query: Query, figure: str | None = None
) -> pd.DataFrame:
    """A figure of the report in the window and in the one of the same length before.

    Args:
        figure: one of :data:`FIGURES` for durations; None: the report's main figure.

    Raises:
        ConfigError: the window has no beginning, or is cut into periods; or the report has no
            such figure.
    """
    return comparisons(reader, [(report, query)], figure)[0]


def comparisons(
    reader: Reader, asked: Sequence[tuple[Report, Query]], figure: str | None = None
) -> list[pd.DataFrame]:
    """Several comparisons that are read together: corrected for the rows of all of them."""
    tables = [_compared(reader, report, query, figure) for report, query in asked]
    p = corrected(np.concatenate([table["p_value"].to_numpy() for table in tables]))
    parts = np.split(p, np.cumsum([len(table) for table in tables])[:-1])
    return [
        _finished(table.assign(p_value=part), report, query)
        for table, part, (report, query) in zip(tables, parts, asked, strict=True)
    ]


def columns_of(report: Report) -> tuple[Column, ...]:
    """The columns of a report's comparison."""
    kind = Kind.RATE if isinstance(report.main, Rate) else Kind.DURATION
    return (
        Column("before", kind, "the figure in the window before, of the same length"),
        Column("after", kind, "the figure in this window"),
        Column("change", kind, "after - before"),
        Column("low", kind, "lower end of the 95% interval of the change, of this row alone"),
        Column("high", kind, "upper end of the 95% interval of the change, of this row alone"),
        Column("n_before", Kind.COUNT, "how many the figure of the window before is made of"),
        Column("n_after", Kind.COUNT, "how many the figure of this window is made of"),
        Column("p_value", Kind.RATE, "how likely chance makes such a change, of any row"),
        Column("beyond_chance", Kind.FLAG_OR_MISSING, "whether p_value is at most 0.05"),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One window: its groups, and values of them, each in a piece of the window.

    Attributes:
        keys: a row for each group; ``groups`` says of each value which one it is in.
        counts: 1 for a duration; how many trials where ``values`` are hits.
    """

    keys: pd.DataFrame
    groups: npt.NDArray[np.int64]
    pieces: npt.NDArray[np.int64]
    counts: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class _Both:
    """The values of both windows; ``cells`` says of each which group and window it is in."""

    keys: pd.DataFrame
    cells: npt.NDArray[np.int64]
    pieces: npt.NDArray[np.int64]
    counts: Floats
    values: Floats

    def samples(self, scores: Floats, squares: Floats) -> Samples:
        """The scores, added up."""
        rows = len(self.keys)
        shape, at = (rows, 2, PIECES), self.cells * PIECES + self.pieces
        counts, totals = (
            np.bincount(at, weights, rows * 2 * PIECES).astype(np.float64).reshape(shape)
            for weights in (self.counts, scores)
        )
        of_rows = np.bincount(self.cells // 2, squares, rows).astype(np.float64)
        return Samples(counts, totals, of_rows)


def _compared(reader: Reader, report: Report, query: Query, figure: str | None) -> pd.DataFrame:
    """The comparison with its p-values as they are, not corrected."""
    if query.every:
        raise ConfigError("a comparison is of two windows; leave every away")
    figure = _checked(figure, report)
    windows = (replace(query, window=query.window.before()), query)
    both = _joined([_side(reader, report, one) for one in windows], query.keys)
    if isinstance(report.main, Rate):
        return _of_rates(both)
    return _of_durations(both, figure)


def _checked(figure: str | None, report: Report) -> str:
    own = report.main.column
    known = (own,) if isinstance(report.main, Rate) else FIGURES
    if figure is None or figure in known:
        return figure or own
    raise ConfigError(
        f"{report.name} has no figure {figure!r} to compare{did_you_mean(figure, known)}"
    )


def _side(reader: Reader, report: Report, query: Query) -> _Side:
    """Reads one window. Its pieces take the place of periods, which every report can count by."""
    by_piece = replace(query, every="piece")
    frames = report.gather(reader, by_piece)
    if isinstance(report.main, Rate):
        table = report.figures(by_piece, *frames)
        counts = table[list(report.main.trials)].sum(axis="columns")
        values = table[report.main.hits]
    else:
        table = frames[0].frame() if isinstance(frames[0], GroupValues) else frames[0]
        table = table.dropna(subset=["ms"])
        counts, values = pd.Series(1.0, table.index), table["ms"]
    groups = Groups(table, query.keys)
    return _Side(
        groups.keys,
        groups.codes,
        table["period"].to_numpy(np.int64),
        counts.to_numpy(np.float64),
        values.to_numpy(np.float64),
    )


def _joined(sides: Sequence[_Side], keys: tuple[str, ...]) -> _Both:
    """Both windows, with a row for each group of either."""
    every_key = pd.concat([side.keys.astype(object) for side in sides], ignore_index=True)
    groups = Groups(every_key, keys)
    found = np.split(groups.codes, [len(sides[0].keys)])
    cells = [
        codes[side.groups] * 2 + n for n, (codes, side) in enumerate(zip(found, sides, strict=True))
    ]
    pieces, counts, values = (
        np.concatenate([getattr(side, name) for side in sides])
        for name in ("pieces", "counts", "values")
    )
    return _Both(groups.keys, np.concatenate(cells), pieces, counts, values)


def _of_rates(both: _Both) -> pd.DataFrame:
    samples = both.samples(both.values, both.values)
    effects = design_effects(samples)
    hits, trials = samples.totals.sum(axis=2), samples.sizes
    count_for_one, z = _with_default(effects)
    low, high = wilson(hits / count_for_one, trials / count_for_one, z)
    figures = rate(hits, trials)
    return _table(both.keys, samples, (figures, low, high), p_values(samples, effects))


def _of_durations(both: _Both, figure: str) -> pd.DataFrame:
    scores = _scores(both, figure)
    samples = both.samples(scores, scores**2)
    effects = design_effects(samples)
    estimate = _estimates(both, figure, *_with_default(effects))
    moved = np.diff(rate(samples.totals.sum(axis=2), samples.sizes), axis=1)[:, 0]
    shown = np.diff(estimate[0], axis=1)[:, 0]
    p = np.where(shown * moved <= 0, 1.0, p_values(samples, effects))
    beyond = samples.sizes * (1 - _SHARES[figure])
    p[(beyond < _BEYOND - 1e-9).any(axis=1)] = np.nan
    return _table(both.keys, samples, estimate, p)


def _scores(both: _Both, figure: str) -> Floats:
    """What is averaged in each window, so that a change of the figure shows.

    For a median the ranks among both windows' values (the test of H. B. Mann and D. R. Whitney),
    for other quantiles whether the value is above that of both windows.
    """
    row, values = both.cells // 2, pd.Series(both.values)
    if figure == "mean":
        return both.values
    if figure == "p50":
        sizes = np.bincount(row, minlength=len(both.keys))
        ranks: Floats = values.groupby(row).rank().to_numpy(np.float64) / sizes[row]
        return ranks
    of_both = values.groupby(row).quantile(_SHARES[figure]).reindex(range(len(both.keys)))
    above: Floats = (both.values > of_both.to_numpy()[row]).astype(np.float64)
    return above


def _estimates(both: _Both, figure: str, effects: Floats, z: Floats) -> Estimate:
    """The figure of each group in each window, and its interval: arrays of rows x 2."""
    shape = (len(both.keys), 2)
    cells = Groups(pd.DataFrame({"cell": both.cells}), ["cell"])
    at = cells.keys["cell"].to_numpy()
    values = pd.Series(both.values)
    effects, z = np.broadcast_to(effects, shape).ravel()[at], np.broadcast_to(z, shape).ravel()[at]
    if figure == "mean":
        middle = rate(cells.total(values), cells.total())
        spread = values.groupby(cells.codes).std().to_numpy(np.float64)
        reach = z * spread * np.sqrt(effects / cells.total())
        low, high = middle - reach, middle + reach
    else:
        (middle,) = cells.quantiles(values, _SHARES[figure])
        low, high = cells.quantile_intervals(values, _SHARES[figure], effects, z)
    whole = np.full((3, shape[0] * 2), np.nan)
    whole[:, at] = middle, low, high
    figures, lows, highs = whole.reshape(3, *shape)
    return figures, lows, highs


def _with_default(effects: DesignEffects) -> tuple[Floats, Floats]:
    """For both windows of a row its design effect, and the reach of a 95% interval."""
    from scipy.special import stdtrit

    degrees = np.where(effects.degrees >= 1, effects.degrees, np.nan)
    return effects.values[:, None], np.asarray(stdtrit(degrees, 0.975))[:, None]


def _table(keys: pd.DataFrame, samples: Samples, both: Estimate, p: Floats) -> pd.DataFrame:
    before, after = (tuple(part[:, n] for part in both) for n in (0, 1))
    low, high = difference(before, after)  # type: ignore[arg-type]
    sizes = samples.sizes
    return keys.assign(
        before=before[0],
        after=after[0],
        change=after[0] - before[0],
        low=low,
        high=high,
        n_before=sizes[:, 0],
        n_after=sizes[:, 1],
        p_value=p,
    )


def _finished(table: pd.DataFrame, report: Report, query: Query) -> pd.DataFrame:
    p = table["p_value"].to_numpy()
    beyond = pd.array(p <= _LIMIT, dtype="boolean")
    beyond[np.isnan(p)] = pd.NA
    made = shaped(table.assign(beyond_chance=beyond), query.keys, columns_of(report))
    return made.sort_values(list(query.keys), ignore_index=True) if query.keys else made

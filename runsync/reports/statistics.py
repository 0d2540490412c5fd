"""Groups of rows, their totals and quantiles; and confidence intervals of rates and medians.

The intervals are our own: no library of this size has Wilson's for arrays, an interval of a
quantile by ranks, and the difference of two of either. All are at 95%, need no random numbers and
no normal distribution of durations, which are never normal. They take runs for independent unless
they are given a design effect (see :mod:`runsync.reports.chance`): then so many runs count for one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Estimate = tuple[Floats, Floats, Floats]
"""A figure, and the lower and upper ends of its interval."""

Z = 1.959963984540054
"""How many standard errors a 95% interval reaches to either side."""


_MANY = 2**40


class Groups:
    """The rows of a frame, told apart by their keys; without keys all rows are one group.

    Attributes:
        keys: a row for each group, sorted, missing last.
        codes: for each row of the frame which group it is in.
        first: for each group which row of the frame is its first.
    """

    def __init__(self, frame: "pd.DataFrame", keys: Sequence[str]) -> None:
        self.codes = _codes([frame[key] for key in keys], len(frame))
        self.first = np.zeros(self.codes.max(initial=-1) + 1, np.int64)
        self.first[self.codes[::-1]] = np.arange(len(frame))[::-1]  # the last to be set is kept
        self.keys: pd.DataFrame = frame[list(keys)].iloc[self.first].reset_index(drop=True)

    def total(self, values: "pd.Series | npt.NDArray[np.generic] | None" = None) -> Floats:
        """The sum of ``values`` in each group; how many rows it has where there are none."""
        weights = None if values is None else np.asarray(values, np.float64)
        return np.bincount(self.codes, weights, len(self.first)).astype(np.float64)

    def quantiles(self, values: "pd.Series", *shares: float) -> Floats:
        """For each share a row with the quantile of each group, linear between ranks.

        Args:
            values: one for each row of the frame, none of them missing.
        """
        found = values.groupby(self.codes).quantile(np.array(shares)).to_numpy(np.float64)
        return found.reshape(len(self.first), len(shares)).T

    def spread(self, values: "pd.Series") -> dict[str, Floats]:
        """Count, mean, median, 90th and 95th percentile and maximum of each group."""
        count = self.total()
        p50, p90, p95 = self.quantiles(values, 0.5, 0.9, 0.95)
        greatest = values.groupby(self.codes).max().to_numpy(np.float64)
        return {
            "count": count,
            "mean": rate(self.total(values), count),
            "p50": p50,
            "p90": p90,
            "p95": p95,
            "max": greatest,
        }

    def quantile_intervals(
        self, values: "pd.Series", share: float, effects: Floats, z: Floats
    ) -> tuple[Floats, Floats]:
        """The ends of each group's interval of a quantile: two of its own values, or NaN.

        Args:
            effects: each group's design effect.
            z: how many standard errors each group's interval reaches to either side.
        """
        ordered = np.asarray(values, np.float64)[np.lexsort((values, self.codes))]
        counts = self.total()
        low, high = quantile_ranks(counts, share, effects, z)
        first = np.cumsum(counts) - counts
        is_known = (low >= 0) & (high < counts)
        ends = (np.where(is_known, first + rank, 0).astype(np.int64) for rank in (low, high))
        low, high = (np.where(is_known, ordered[end], np.nan) for end in ends)
        return low, high


def _codes(columns: "Sequence[pd.Series]", rows: int) -> npt.NDArray[np.int64]:
    """For each row the number of its group among those that there are.

    What ``groupby().ngroup()`` says, in a third of its time where the keys are text.
    """
    import pandas as pd

    codes, number = np.zeros(rows, np.int64), 1
    for column in columns:
        if isinstance(column.dtype, pd.CategoricalDtype):
            own, words = column.cat.codes.to_numpy(), len(column.cat.categories)
        else:
            own, known = pd.factorize(column, sort=True)
            words = len(known)
        if number * (words + 1) > _MANY:
            codes, seen = pd.factorize(codes, sort=True)
            number = len(seen)
        number *= words + 1
        codes = codes * (words + 1) + np.where(own < 0, words, own)  # missing last
    if number > 4 * rows + 1000:
        return pd.factorize(codes, sort=True)[0].astype(np.int64)
    is_there = np.zeros(number, bool)
    is_there[codes] = True
    places: npt.NDArray[np.int64] = (np.cumsum(is_there) - 1)[codes]
    return places


def tally(
    frame: "pd.DataFrame", keys: Sequence[str], columns: Sequence[str] = (), rows: str | None = None
) -> "pd.DataFrame":
    """A row for each group with the sums of these columns: whole numbers, so in any order.

    Args:
        rows: what to call how many rows each group has; None: not needed.
    """
    groups = Groups(frame, keys)
    sums = {name: groups.total(frame[name]) for name in columns}
    return groups.keys.assign(**sums | ({} if rows is None else {rows: groups.total()}))


def joined(table: "pd.DataFrame", more: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """The table with the figures of ``more``; missing for the groups that it has not."""
    return table.merge(more, on=list(keys), how="left") if keys else table.join(more)


def wilson(
    hits: npt.ArrayLike, trials: npt.ArrayLike, z: npt.ArrayLike = Z
) -> tuple[Floats, Floats]:
    """Wilson's score interval of a rate, as shares of 1; NaN without a trial.

    It stays within 0 and 1, and says something of 3 out of 3, where the usual plus or minus
    does not (E. B. Wilson 1927; L. Brown, T. Cai and A. DasGupta 2001).
    """
    k, n, z = np.asarray(hits, np.float64), _or_nan(trials), np.asarray(z, np.float64)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(k * (n - k) / n + z**2 / 4) / (n + z**2)
    low = np.where(k == 0, 0.0 * n, centre - half)
    high = np.where(k == n, n / n, centre + half)
    return low, high


def rate(hits: npt.ArrayLike, trials: npt.ArrayLike) -> Floats:
    """``hits / trials``; NaN without a trial."""
    return np.asarray(hits, np.float64) / _or_nan(trials)


def quantile_ranks(
    counts: Floats, share: float, effects: npt.ArrayLike = 1.0, z: npt.ArrayLike = Z
) -> tuple[Floats, Floats]:
    """Which two of ``counts`` sorted values, from 0, hold the true quantile between them.

    The ranks are below 0, or not below ``counts``, where there are too few values to say. How many
    values lie below the quantile is binomial (R. S. Woodruff 1952); its normal limit with half a
    rank more comes close to that.
    """
    reach = np.asarray(z) * np.sqrt(counts * share * (1 - share) * np.asarray(effects))
    low = np.floor(counts * share - reach + 0.5) - 1
    high = counts - np.floor(counts * (1 - share) - reach + 0.5)
    return low, high


def difference(before: Estimate, after: Estimate) -> tuple[Floats, Floats]:
    """The interval of ``after - before``.

    The square-and-add method: with Wilson intervals it is Newcombe's interval of the difference
    of two rates (R. G. Newcombe 1998, method 10); it holds for medians as well (G. Y. Zou and
    A. Donner 2008).
    """
    (b, b_low, b_high), (a, a_low, a_high) = before, after
    low = a - b - np.sqrt((a - a_low) ** 2 + (b_high - b) ** 2)
    high = a - b + np.sqrt((a_high - a) ** 2 + (b - b_low) ** 2)
    return low, high


def _or_nan(trials: npt.ArrayLike) -> Floats:
    n = np.array(trials, np.float64)
    n[n == 0] = np.nan
    return n

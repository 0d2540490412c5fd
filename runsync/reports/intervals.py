"""Confidence intervals: of a rate, of a median, and of the difference of two of either.

All are at 95%, need no random numbers and no normal distribution of durations, which are never
normal. They take runs for independent; a bad day on which every run fails for one reason makes
the true uncertainty larger.
"""

from functools import lru_cache
from math import comb, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Estimate = tuple[Floats, Floats, Floats]
"""A figure, and the lower and upper ends of its interval."""

_Z = 1.959963984540054
_EXACT = 1_000


def wilson(hits: npt.ArrayLike, trials: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Wilson's score interval of a rate, as shares of 1; NaN without a trial.

    It stays within 0 and 1, and says something of 3 out of 3, where the usual plus or minus
    does not (E. B. Wilson 1927; L. Brown, T. Cai and A. DasGupta 2001).
    """
    k, n = np.asarray(hits, np.float64), _or_nan(trials)
    centre = (k + _Z**2 / 2) / (n + _Z**2)
    half = _Z * np.sqrt(k * (n - k) / n + _Z**2 / 4) / (n + _Z**2)
    low = np.where(k == 0, 0.0 * n, centre - half)
    high = np.where(k == n, n / n, centre + half)
    return low, high


def rate(hits: npt.ArrayLike, trials: npt.ArrayLike) -> Floats:
    """``hits / trials``; NaN without a trial."""
    return np.asarray(hits, np.float64) / _or_nan(trials)


def median_ranks(count: int) -> tuple[int, int] | None:
    """Which two of ``count`` sorted values, from 0, hold the true median between them at 95%.

    From the binomial distribution alone: each value lies below the median with probability a
    half. None for fewer than six values, of which even the least and the greatest do not.
    """
    tail = _tail(count)
    return None if tail == 0 else (tail - 1, count - tail)


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


@lru_cache(maxsize=4096)
def _tail(count: int) -> int:
    """How many values may be cut off at either end, so that each tail is at most 2.5%."""
    if count > _EXACT:
        return int((count - _Z * sqrt(count)) / 2)
    below, tail, limit = 0, 0, 2**count
    while 40 * (below + comb(count, tail)) <= limit:
        below += comb(count, tail)
        tail += 1
    return tail


def _or_nan(trials: npt.ArrayLike) -> Floats:
    n = np.array(trials, np.float64)
    n[n == 0] = np.nan
    return n

"""How much of a change chance explains, where runs are not independent of each other.

Runs of one day fail together, and a busy day follows a busy day; so a thousand runs tell less than
a thousand throws of a coin. How much less is the design effect: how many times as much a figure
varies as independent runs would make it. It is measured between blocks of time within each of the
two windows, where a change from one window to the other does not show. Where blocks vary more than
their pieces do, that growth is carried on to the length of a window. One row has few blocks, so
its design effect is steadied by those of the other rows, as limma does with variances (G. K.
Smyth 2004).

What is assumed: what makes runs depend on each other does so within blocks, or grows evenly
beyond them. An influence that lasts longer than the window cannot be told from a change.
"""

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PIECES = 28
"""Into how many pieces a window is cut: days, where it has four weeks."""
BLOCK = 4
"""How many pieces make a block."""

_GROWTH = log(PIECES / BLOCK) / log(BLOCK)
_LEAST = 0.05
_ROUNDING = 1e-12
"""Which part of the mean square may be left of a variance where all scores are the same."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What each row's two windows hold, piece by piece.

    A score is what is averaged: 1 for a hit and 0 for a miss, or a rank.

    Attributes:
        counts: of scores, by row, window and piece: an array of rows x 2 x pieces, which
            are :data:`PIECES` or another multiple of :data:`BLOCK`.
        totals: of the scores, likewise.
        squares: the sum of the squared scores of each row.
    """

    counts: Floats
    totals: Floats
    squares: Floats

    @property
    def sizes(self) -> Floats:
        """How many scores each window has: an array of rows x 2."""
        sizes: Floats = self.counts.sum(axis=2)
        return sizes

    def in_blocks(self) -> "Samples":
        """The same, with blocks in place of pieces."""
        shape = (*self.counts.shape[:2], self.counts.shape[2] // BLOCK, BLOCK)
        counts, totals = (a.reshape(shape).sum(axis=3) for a in (self.counts, self.totals))
        return Samples(counts, totals, self.squares)


@dataclass(frozen=True, slots=True)
class DesignEffects:
    """How many times as much each row varies as independent runs would, at least 1.

    Attributes:
        degrees: degrees of freedom: how well the row's is known.
    """

    values: Floats
    degrees: Floats


def design_effects(samples: Samples) -> DesignEffects:
    """The design effect of each row; NaN where there are no two blocks to compare."""
    of_pieces, of_blocks = _ratios(samples), _ratios(samples.in_blocks())
    steadied = _steadied(of_blocks)
    known = of_blocks.is_known  # and so are its pieces, which are more of the same scores
    growth = np.exp(np.mean(of_blocks.logs[known] - of_pieces.logs[known])) if known.any() else 1.0
    values = np.maximum(steadied.values, 1) * max(1.0, float(growth)) ** _GROWTH
    degrees = np.minimum(steadied.degrees, samples.sizes.sum(axis=1) / values - 2)
    return DesignEffects(values, degrees)


def p_values(samples: Samples, effects: DesignEffects) -> Floats:
    """How likely so large a difference of the two windows' mean scores is without a change.

    NaN where a window has no score, or too little is known of how the row varies.
    """
    from scipy.special import stdtr

    sizes = samples.sizes
    whole = sizes.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = samples.totals.sum(axis=2) / sizes
        mean = samples.totals.sum(axis=(1, 2)) / whole
        square = samples.squares / whole
        variance = square - mean**2
        error = np.sqrt(variance * effects.values * (1 / sizes).sum(axis=1))
        moved = np.abs(means[:, 1] - means[:, 0])
        away = np.where(variance <= _ROUNDING * square, 0 * moved, moved / error)
        p = 2 * stdtr(effects.degrees, -away)  # NaN where there is no mean
        found: Floats = np.where(effects.degrees >= 1, p, np.nan)
    return found


def corrected(p: Floats) -> Floats:
    """P-values corrected for their number, by Y. Benjamini and Y. Hochberg (1995).

    Of the rows that are at most 0.05 then, one in twenty is called by chance; and where nothing
    has changed at all, one comparison in twenty has any.
    """
    known = np.flatnonzero(~np.isnan(p))
    falling = known[np.argsort(-p[known], kind="stable")]
    made = np.full(len(p), np.nan)
    ranks = np.arange(len(falling), 0, -1)
    made[falling] = np.minimum.accumulate(p[falling] * len(falling) / ranks)
    return made


@dataclass(frozen=True, slots=True)
class _Ratios:
    """Measured design effects with their degrees of freedom; NaN where there is nothing to see."""

    values: Floats
    degrees: Floats

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.values)

    @property
    def logs(self) -> Floats:
        """Their logarithms, less what those of a chi-squared variable are off by in the mean."""
        from scipy.special import digamma

        half = self.degrees / 2
        found: Floats = np.log(np.maximum(self.values, _LEAST)) - digamma(half) + np.log(half)
        return found


def _ratios(samples: Samples) -> _Ratios:
    """The variance between parts of a window, as a multiple of what independent scores make."""
    counts, totals = samples.counts, samples.totals
    sizes = counts.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(sizes > 0, totals.sum(axis=2, keepdims=True) / sizes, 0)
        work = means * counts  # in place, as it may be large
        between = np.square(np.subtract(totals, work, out=work), out=work).sum(axis=(1, 2))
        np.divide(counts, np.where(sizes > 0, sizes, 1), out=work)
        expected = np.multiply(np.subtract(1, work, out=work), counts, out=work).sum(axis=(1, 2))
        parts = np.where(
            sizes[..., 0] > 0, sizes[..., 0] ** 2 / np.square(counts, out=work).sum(axis=2), 1
        )
        degrees = (parts - 1).sum(axis=1)
        within = samples.squares - (means**2 * sizes).sum(axis=(1, 2))
        variance = within / (sizes.sum(axis=(1, 2)) - 2)
        is_known = (degrees >= 1) & (variance > _ROUNDING * samples.squares)
        values = np.where(is_known, between / (variance * expected), np.nan)
    return _Ratios(values, np.maximum(degrees, 1e-9))


def _steadied(ratios: _Ratios) -> DesignEffects:
    """Each row's own design effect, drawn to that of all as far as the rows are alike."""
    known = ratios.is_known
    own, degrees = ratios.values[known], ratios.degrees[known]
    values, all_degrees = np.full_like(ratios.values, np.nan), ratios.degrees.copy()
    if len(own) < 2:
        values[known] = own
    else:
        prior, weight = _prior(ratios.logs[known], degrees)
        weights = np.minimum(weight, degrees.sum() - degrees)
        values[known] = (weights * prior + degrees * own) / (weights + degrees)
        all_degrees[known] += weights
        values[~known] = prior
    # Rows all of whose scores are the same in each window vary as little as can be.
    values = np.where(np.isnan(values) & (all_degrees >= 1), 1, values)
    return DesignEffects(values, all_degrees)


def _prior(logs: Floats, degrees: Floats) -> tuple[float, float]:
    """The common design effect, and how many degrees of freedom it is worth to one row."""
    from scipy.special import digamma, polygamma

    spread = np.var(logs, ddof=1) - np.mean(polygamma(1, degrees / 2))
    if spread <= 0:
        return float(np.exp(logs.mean())), np.inf
    half = _inverse_trigamma(float(spread))
    return float(np.exp(logs.mean() + digamma(half) - log(half))), 2 * half


def _inverse_trigamma(value: float) -> float:
    """Newton's method on 1/trigamma, which is nearly straight."""
    from scipy.special import polygamma

    at: Any = 0.5 + 1 / value
    for _ in range(20):
        trigamma = polygamma(1, at)
        at += trigamma * (1 - trigamma / value) / polygamma(2, at)
    return float(at)

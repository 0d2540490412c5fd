"""Student's t distribution and the polygamma functions, of arrays.

SciPy has them as well, and the tests compare both; but importing it takes as long as reading a
hundred thousand steps.
"""

from collections.abc import Sequence
from math import pi

import numpy as np
import numpy.typing as npt

from runsync.reports.statistics import Floats, Z

_LIMIT = 0.05
_TINY = 1e-300
_CLOSE = 1e-14
_MOST_TERMS, _MOST_STEPS = 10_000, 50
_SHIFT = np.arange(10.0)
"""Asymptotic series hold from 10 on; smaller arguments are brought there by recurrence."""


def t_p_values(t: npt.ArrayLike, degrees: npt.ArrayLike) -> Floats:
    """How likely a value is at least so far from 0, on either side.

    Args:
        t: of any sign.
        degrees: of freedom; NaN comes of fewer than 1, and of NaN.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        squares, v = np.broadcast_arrays(np.square(np.asarray(t, np.float64)), _at_least_1(degrees))
        far, near = 1 / (1 + squares / v), 1 / (1 + v / squares)  # far + near = 1
        half = v / 2
        scale = np.exp(_log_ratio(half) - half * np.log1p(squares / v)) * np.sqrt(near / pi)
        is_tail = far < (half + 1) / (half + 2.5)
        tail = scale / half * _beta_fraction(half, np.array(0.5), np.where(is_tail, far, 0))
        rest = 2 * scale * _beta_fraction(np.array(0.5), half, np.where(is_tail, 0, near))
    found: Floats = np.where(is_tail, tail, 1 - rest)
    return np.where(np.isnan(squares) | np.isnan(v), np.nan, found)


def t_reach(degrees: npt.ArrayLike) -> Floats:
    """How far from 0 the middle 95% of the distribution reaches, by Newton's method from below.

    Args:
        degrees: as of :func:`t_p_values`.
    """
    v = _at_least_1(degrees)
    reach, half = np.full_like(v, Z), v / 2
    scale = 2 * np.exp(_log_ratio(half)) / np.sqrt(v * pi)
    for _ in range(_MOST_STEPS):
        density = scale * np.exp(-(half + 0.5) * np.log1p(reach**2 / v))
        step = (t_p_values(reach, v) - _LIMIT) / density
        reach = reach + step
        if not (np.abs(step) > 1e-8 * reach).any():
            break
    return reach


def digamma(x: npt.ArrayLike) -> Floats:
    """The derivative of the logarithm of the gamma function, of positive numbers."""
    at = np.asarray(x, np.float64)
    y = at + len(_SHIFT)
    terms = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760)
    series: Floats = np.log(y) - 1 / (2 * y) + _in_squares(y, terms) / y**2
    return series - _recurring(at, 1)


def trigamma(x: npt.ArrayLike) -> Floats:
    """The derivative of :func:`digamma`."""
    at = np.asarray(x, np.float64)
    y = at + len(_SHIFT)
    terms = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
    series: Floats = 1 / y + 1 / (2 * y**2) + _in_squares(y, terms) / y**3
    return series + _recurring(at, 2)


def tetragamma(x: npt.ArrayLike) -> Floats:
    """The derivative of :func:`trigamma`."""
    at = np.asarray(x, np.float64)
    y = at + len(_SHIFT)
    terms = (-1 / 2, 1 / 6, -1 / 6, 3 / 10, -5 / 6, 691 / 210)
    series: Floats = -1 / y**2 - 1 / y**3 + _in_squares(y, terms) / y**4
    return series - 2 * _recurring(at, 3)


def _at_least_1(degrees: npt.ArrayLike) -> Floats:
    v = np.asarray(degrees, np.float64)
    return np.where(v >= 1, v, np.nan)


def _recurring(at: Floats, power: int) -> Floats:
    found: Floats = (1 / (at[..., None] + _SHIFT) ** power).sum(axis=-1)
    return found


def _in_squares(y: Floats, terms: Sequence[float]) -> Floats:
    """The sum of the terms over y to the powers 0, 2, 4 …"""
    return sum((term / y ** (2 * n) for n, term in enumerate(terms)), start=np.zeros_like(y))


def _log_ratio(a: Floats) -> Floats:
    """The logarithm of gamma(a + 1/2) / gamma(a)."""
    y = a + len(_SHIFT)
    terms = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224)
    series: Floats = np.log(y) / 2 + _in_squares(y, terms) / y
    found: Floats = series - np.log1p(0.5 / (a[..., None] + _SHIFT)).sum(axis=-1)
    return found


def _beta_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """The continued fraction of the incomplete beta function (W. J. Lentz's algorithm)."""
    c: Floats = np.ones(np.broadcast_shapes(a.shape, b.shape, x.shape))
    d = 1 / _off_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _MOST_TERMS):
        m2 = 2 * m
        for term in (
            m * (b - m) * x / ((a + m2 - 1) * (a + m2)),
            -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1)),
        ):
            d, c = 1 / _off_zero(1 + term * d), _off_zero(1 + term / c)
            found = found * d * c
        if not (np.abs(d * c - 1) > _CLOSE).any():
            break
    return found


def _off_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < _TINY, _TINY, values)

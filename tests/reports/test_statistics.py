"""The intervals against published figures, brute force and chance itself."""

import random
from fractions import Fraction
from math import comb, isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.statistics import difference, median_ranks, rate, wilson

Z = 1.959963984540054


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    trials = draw(st.integers(1, 5000))
    return draw(st.integers(0, trials)), trials


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I: Wilson's score interval.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(hits: int, trials: int, low: float, high: float) -> None:
    found_low, found_high = wilson([hits], [trials])
    assert (round(found_low[0], 4), round(found_high[0], 4)) == (low, high)


@given(counts())
def test_wilsons_ends_are_where_the_observed_rate_is_just_unlikely(seen: tuple[int, int]) -> None:
    """An end p is one at which the rate lies 1.96 standard errors of p away."""
    hits, trials = seen
    for p in (float(end[0]) for end in wilson([hits], [trials])):
        away, error = abs(hits / trials - p), sqrt(p * (1 - p) / trials)
        assert isclose(away, Z * error, rel_tol=1e-6, abs_tol=1e-9)


@given(counts())
def test_wilson_holds_the_rate_and_stays_a_rate(seen: tuple[int, int]) -> None:
    low, high = (float(end[0]) for end in wilson([seen[0]], [seen[1]]))
    assert 0 <= low <= seen[0] / seen[1] <= high <= 1
    assert low < high


def test_no_trials_say_nothing() -> None:
    assert np.isnan([*wilson([0], [0]), rate([0], [0])]).all()


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_of_rates_as_published(
    after: tuple[int, int], before: tuple[int, int], low: float, high: float
) -> None:
    def estimate(k: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (rate([k], [n]), *wilson([k], [n]))

    found_low, found_high = difference(estimate(*before), estimate(*after))
    assert (round(float(found_low[0]), 4), round(float(found_high[0]), 4)) == (low, high)


def _tail_probability(below: int, count: int) -> Fraction:
    """How likely fewer than ``below`` of ``count`` values lie under the median."""
    return Fraction(sum(comb(count, i) for i in range(below)), 2**count)


@given(st.integers(1, 400))
def test_median_ranks_are_the_narrowest_that_hold_at_95_percent(count: int) -> None:
    ranks = median_ranks(count)
    if ranks is None:
        assert _tail_probability(1, count) > Fraction(1, 40)
        return
    low, high = ranks
    assert low == count - 1 - high
    assert _tail_probability(low + 1, count) <= Fraction(1, 40) < _tail_probability(low + 2, count)


def test_median_ranks_need_six_values() -> None:
    assert [median_ranks(n) for n in (0, 1, 5, 6)] == [None, None, None, (0, 5)]


def test_ranks_of_long_lists_go_on_where_the_exact_ones_end() -> None:
    exact, rough = median_ranks(1000), median_ranks(1001)
    assert exact is not None
    assert rough is not None
    assert abs(exact[0] - rough[0]) <= 1
    assert abs(exact[1] - rough[1]) <= 1


def test_where_nothing_has_changed_chance_is_rarely_mistaken_for_a_change() -> None:
    """Skewed durations, two samples of one kind, a thousand times: about one in twenty."""
    rng, mistaken = random.Random(7), 0
    for _ in range(1000):
        sides = []
        for size in (40, 60):
            values = sorted(rng.lognormvariate(4, 1) for _ in range(size))
            ends = median_ranks(size)
            assert ends is not None
            middle = (values[size // 2 - 1] + values[size // 2]) / 2
            sides.append(tuple(np.array([v]) for v in (middle, values[ends[0]], values[ends[1]])))
        low, high = difference(sides[0], sides[1])  # type: ignore[arg-type]
        mistaken += bool(low[0] > 0 or high[0] < 0)
    assert 15 <= mistaken <= 60

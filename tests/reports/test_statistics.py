"""The intervals against published figures, brute force and chance itself."""

import random
from fractions import Fraction
from math import comb, isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.statistics import difference, quantile_ranks, rate, wilson

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


def test_never_and_always_have_ends_of_exactly_0_and_1() -> None:
    trials = np.arange(1.0, 500)
    for z in (Z, 2.2, 12.7):
        assert (wilson(0 * trials, trials, z)[0] == 0).all()
        assert (wilson(trials, trials, z)[1] == 1).all()


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


def _below(ranks: int, count: int, share: Fraction) -> Fraction:
    """How likely fewer than so many of ``count`` values lie under the quantile."""
    miss = 1 - share
    return sum((comb(count, i) * share**i * miss ** (count - i) for i in range(ranks)), Fraction(0))


@given(st.integers(1, 300), st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(19, 20)]))
def test_quantile_ranks_hold_the_quantile_at_about_95_percent(count: int, share: Fraction) -> None:
    low, high = (int(end[0]) for end in quantile_ranks(np.array([float(count)]), float(share)))
    if low < 0 or high >= count:
        assert count < 100
        return
    below, above = _below(low + 1, count, share), 1 - _below(high + 1, count, share)
    assert below <= Fraction(1, 25)
    assert above <= Fraction(1, 25)
    assert below + above <= Fraction(3, 50)


def test_a_quantile_needs_values_on_both_sides() -> None:
    def is_known(count: int, share: float) -> bool:
        low, high = quantile_ranks(np.array([float(count)]), share)
        return bool(low[0] >= 0 and high[0] < count)

    assert [is_known(n, 0.5) for n in (0, 1, 5, 6)] == [False, False, False, True]
    assert [is_known(n, 0.95) for n in (40, 200)] == [False, True]


def test_values_that_depend_on_each_other_count_for_fewer() -> None:
    counts = np.array([400.0])
    alone, fewer = quantile_ranks(counts, 0.5), quantile_ranks(counts, 0.5, effects=4.0)
    width, wider = (float(high[0] - low[0]) for low, high in (alone, fewer))
    assert abs(wider / width - 2) < 0.1


def test_where_nothing_has_changed_chance_is_rarely_mistaken_for_a_change() -> None:
    """Skewed durations, two samples of one kind, a thousand times: about one in twenty."""
    rng, mistaken = random.Random(7), 0
    for _ in range(1000):
        sides = []
        for size in (40, 60):
            values = sorted(rng.lognormvariate(4, 1) for _ in range(size))
            ends = [int(end[0]) for end in quantile_ranks(np.array([float(size)]), 0.5)]
            middle = (values[size // 2 - 1] + values[size // 2]) / 2
            sides.append(tuple(np.array([v]) for v in (middle, values[ends[0]], values[ends[1]])))
        low, high = difference(sides[0], sides[1])  # type: ignore[arg-type]
        mistaken += bool(low[0] > 0 or high[0] < 0)
    assert 15 <= mistaken <= 60

"""Changes in series of scores: found where they are, and rarely where there are none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.segments import (
    LEAST_DAYS,
    LEAST_RUNS,
    Series,
    best_split,
    changes_in,
    likely_split,
)
from runsync.reports.statistics import Floats


def coins(rng: np.random.Generator, shares: Floats) -> Series:
    """Independent hits, seven a day for sixty days, each with its share of hits."""
    return Series(np.arange(420) / 7, (rng.random(420) < shares).astype(np.float64))


@st.composite
def series(draw: st.DrawFn) -> Series:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 120))
    days = np.sort(rng.uniform(0, draw(st.sampled_from([1, 20, 100])), count))
    return Series(days, rng.integers(0, 3, count).astype(np.float64))


@given(series())
def test_the_best_split_is_where_the_squares_between_are_greatest(one: Series) -> None:
    found = best_split(one)
    best: tuple[float, int | None] = (-1.0, None)
    count = len(one.days)
    for at in range(LEAST_RUNS, count - LEAST_RUNS + 1):
        left, right = one.scores[:at], one.scores[at:]
        if min(one.days[at] - one.days[0], one.days[-1] - one.days[at]) < LEAST_DAYS:
            continue
        between = (left.mean() - right.mean()) ** 2 * at * (count - at)
        best = max(best, (round(float(between), 6), -at), key=lambda pair: (pair[0], pair[1] or 0))
    assert (found is None) == (best[1] is None)
    if found is not None:
        left, right = one.scores[:found], one.scores[found:]
        between = (left.mean() - right.mean()) ** 2 * found * (count - found)
        assert between == pytest.approx(best[0], abs=1e-5)


@given(st.lists(series(), max_size=4))
def test_changes_cut_a_series_into_stretches(every: list[Series]) -> None:
    for number, one in enumerate(every):
        found = [change for change in changes_in(every) if change.series == number]
        ends = [0, *(change.at for change in found), len(one.days)]
        assert ends == sorted(set(ends)) or not found
        for n, change in enumerate(found, 1):
            assert (change.begin, change.at, change.end) == tuple(ends[n - 1 : n + 2])
            assert 0 <= change.p_value <= 0.05


@given(series())
def test_the_likely_split_has_most_likelihood_nearby(one: Series) -> None:
    """Against the same in plain Python, for coins and for other scores."""
    for scores in (one.scores, (one.scores > 0).astype(np.float64)):
        found = likely_split(Series(one.days, scores))
        places = [
            at
            for at in range(LEAST_RUNS, len(scores) - LEAST_RUNS + 1)
            if min(one.days[at] - one.days[0], one.days[-1] - one.days[at]) >= LEAST_DAYS
        ]
        assert (found is None) == (not places)
        if found is None:
            continue
        logs = {at: log_likelihood(list(scores), at) for at in places}
        weights = {at: math.exp(value - max(logs.values())) for at, value in logs.items()}
        near = {at: sum(weights[k] * closeness(one.days[k] - one.days[at]) for k in places)
                for at in places}  # fmt: skip
        assert near[found] == pytest.approx(max(near.values()), rel=1e-6)


def log_likelihood(scores: list[float], at: int) -> float:
    sides, total = (scores[:at], scores[at:]), 0.0
    if not set(scores) <= {0, 1}:
        squares = sum((x - sum(side) / len(side)) ** 2 for side in sides for x in side)
        return -len(scores) / 2 * math.log(max(squares / len(scores), 1e-300))
    for side in sides:
        for number in (sum(side), len(side) - sum(side)):
            total += number * math.log(number / len(side)) if number else 0
    return total


def closeness(days: float) -> float:
    return max(0.0, 1 - (days / 1.5) ** 2)


def test_twenty_points_at_25_runs_a_day_are_dated_within_a_day() -> None:
    rng, right = np.random.default_rng(6), 0
    days = np.arange(1500) / 25
    for _ in range(40):
        shares = np.where(days < 30, 0.9, 0.7)
        (found,) = changes_in([Series(days, (rng.random(1500) < shares).astype(np.float64))])
        right += int(abs(days[found.at] - 30) <= 1)
    assert right >= 32


def test_a_change_is_dated_once_its_neighbours_are_known() -> None:
    rng, moved = np.random.default_rng(7), 0
    for _ in range(20):
        one = coins(rng, np.repeat([0.98, 0.6, 0.1], 140))
        found = changes_in([one])
        if not found:
            continue
        last = found[-1]
        part = slice(last.begin, last.end)
        between = Series(one.days[part], one.scores[part])
        assert last.at - last.begin == likely_split(between)
        moved += int(last.at - last.begin != best_split(between))
    assert moved


def test_where_nothing_changes_there_is_rarely_anything() -> None:
    rng = np.random.default_rng(1)
    flat = [[coins(rng, np.full(420, 0.8)) for _ in range(10)] for _ in range(40)]
    assert sum(bool(changes_in(every)) for every in flat) <= 2


def test_a_step_is_found_within_a_day() -> None:
    rng, right = np.random.default_rng(2), 0
    for _ in range(30):
        every = [coins(rng, np.full(420, 0.9)) for _ in range(9)]
        stepped = coins(rng, np.where(np.arange(420) < 210, 0.95, 0.45))
        found = [change for change in changes_in([stepped, *every]) if change.series == 0]
        assert len(found) == 1
        right += int(abs(found[0].at - 210) <= 7)
    assert right >= 24


def test_two_steps_are_two_changes() -> None:
    rng = np.random.default_rng(3)
    shares = np.repeat([0.98, 0.6, 0.1], 140)
    found = changes_in([coins(rng, shares)])
    assert [round(change.at / 140) for change in found] == [1, 2]


def test_a_few_bad_days_are_no_change() -> None:
    rng = np.random.default_rng(4)
    shares = np.full(420, 0.95)
    shares[280:301] = 0.2
    assert changes_in([coins(rng, shares)]) == []

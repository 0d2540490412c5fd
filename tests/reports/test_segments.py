"""Changes in series of scores: found where they are, and rarely where there are none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.chance import DesignEffects, Samples, design_effects, p_values
from runsync.reports.segments import (
    LEAST_DAYS,
    LEAST_RUNS,
    ChangePoint,
    Series,
    _shuffled_chance,
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
        logs = {at: log_likelihood(scores, at) for at in places}
        weights = {at: math.exp(value - max(logs.values())) for at, value in logs.items()}
        near = {at: sum(weights[k] * closeness(one.days[k] - one.days[at]) for k in places)
                for at in places}  # fmt: skip
        assert near[found] == pytest.approx(max(near.values()), rel=1e-6)


def log_likelihood(scores: Floats, at: int) -> float:
    sides, total = (scores[:at], scores[at:]), 0.0
    if not np.isin(scores, (0, 1)).all():
        squares = sum(float(side.var()) * len(side) for side in sides)
        return -len(scores) / 2 * math.log(max(squares / len(scores), 1e-300))
    for side in sides:
        for number in (side.sum(), len(side) - side.sum()):
            total += number * math.log(number / len(side)) if number else 0
    return total


def closeness(days: float) -> float:
    return max(0.0, 1 - (days / 1.5) ** 2)


def test_the_likeliest_days_of_long_series() -> None:
    """Likelihoods that are too small for a number, and scores without any variance left."""
    rng = np.random.default_rng(8)
    for count in (60, 200, 3000):
        days = np.sort(rng.uniform(0, 30, count))
        step = days > 14
        for scores in (rng.random(count) < 0.6 + 0.2 * step, rng.normal(0.3 * step, 1)):
            one = Series(days, scores.astype(np.float64))
            places = [
                n for n in range(10, count - 9) if min(days[n] - days[0], days[-1] - days[n]) >= 7
            ]
            logs = np.array([log_likelihood(one.scores, at) for at in places])
            near = 1 - (np.subtract.outer(days[places], days[places]) / 1.5) ** 2
            whole = np.maximum(near, 0) @ np.exp(logs - logs.max())
            assert likely_split(one) == places[int(np.argmax(whole))]
    days = np.arange(200) / 5
    for low, high in ((0.1, 0.3), (7.0, 8.0)):
        assert likely_split(Series(days, np.repeat([low, high], 100))) == 100


@pytest.mark.parametrize(
    ("before", "after", "days_before", "days_after", "is_found"),
    [
        (10, 10, 7.0, 7.0, True),
        (9, 11, 7.0, 7.0, False),
        (11, 9, 7.0, 7.0, False),
        (10, 10, 6.99, 7.01, False),
        (10, 10, 7.01, 6.99, False),
    ],
)
def test_a_split_needs_ten_runs_and_seven_days_on_either_side(
    before: int, after: int, days_before: float, days_after: float, is_found: bool
) -> None:
    """The days after are those to the last run; the first run after is the split."""
    first = np.linspace(0, days_before - 0.5, before)
    last = np.linspace(days_before, days_before + days_after, after)
    one = Series(np.concatenate([first, last]), np.repeat([0.0, 1.0], [before, after]))
    for found in (best_split(one), likely_split(one)):
        assert found == (before if is_found else None)


@pytest.mark.parametrize("seed", range(8))
def test_the_chance_of_a_change_is_that_of_plain_loops(seed: int) -> None:
    """Days are counted from the first of each stretch, which are up to four; places are blocks."""
    rng = np.random.default_rng(seed)
    count = 300
    days = np.sort(rng.uniform(100, 128 + 9 * seed, count)).round(1)
    shares = np.repeat([0.9, 0.75, 0.5, 0.6], count // 4)
    scores = (rng.random(count) < shares).astype(np.float64)
    one = Series(days, 0.1 + 0.6 * scores if seed % 2 else scores)
    split = best_split(one)
    assert split
    sides = [(0, split), (split, count)]
    inner = [best_split(Series(days[a:b], one.scores[a:b])) for a, b in sides]
    cuts = sorted({split, *(a + at for at, (a, _) in zip(inner, sides, strict=True) if at)})
    effects = design_effects(_by_days(one, cuts))
    effects = DesignEffects(effects.values * 1.5, effects.degrees)
    (p,) = p_values(_by_days(one, [split]), effects) * (days[-1] - days[0]) / 4
    found = {change.p_value for change in changes_in([one])}
    assert (min(p, 1) <= 0.05) == bool(found)
    assert not found or min(abs(value - p) for value in found) < 1e-12


def _by_days(one: Series, cuts: list[int]) -> Samples:
    counts, totals = np.zeros((2, 1, len(cuts) + 1, 400))
    ends = [0, *cuts, len(one.days)]
    for stretch in range(len(cuts) + 1):
        for n in range(ends[stretch], ends[stretch + 1]):
            day = int(one.days[n] - one.days[ends[stretch]])
            counts[0, stretch, day] += 1
            totals[0, stretch, day] += one.scores[n]
    return Samples(counts, totals, np.array([(one.scores**2).sum()]))


@pytest.mark.parametrize("seed", range(6))
def test_blocks_are_shuffled_as_in_plain_loops(seed: int) -> None:
    """Blocks of four days from the stretch's first, kept whole; ten runs on either side."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(3, 40, 90))
    one = Series(days, rng.normal(0.1 * (days > 20), 1).round(2))
    begin, end = 5, 85
    split = best_split(Series(days[begin:end], one.scores[begin:end]))
    assert split
    part = one.scores[begin:end] - one.scores[begin:end].mean()
    block = ((days[begin:end] - days[begin]) // 4).astype(int)
    own = part[:split].sum() ** 2 / (split * (len(part) - split))
    again, better = np.random.default_rng(0), 0
    for _ in range(499):
        order = again.permutation(block[-1] + 1)
        mixed = np.concatenate([part[block == number] for number in order])
        at = np.arange(10, len(mixed) - 9)
        best = (np.cumsum(mixed)[at - 1] ** 2 / (at * (len(mixed) - at))).max()
        better += bool(best >= own * (1 - 1e-9))
    change = ChangePoint(1, begin, begin + split, end, 0.01)
    assert _shuffled_chance([one, one], change) == (better + 1) / 500
    assert better


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
    """Each change lies between its neighbours of the same series, the first and the last too."""
    rng = np.random.default_rng(3)
    two, none, one = ([0.98, 0.6, 0.1], [0.8, 0.8, 0.8], [0.9, 0.9, 0.3])
    every = [coins(rng, np.repeat(shares, 140)) for shares in (none, two, one, none, two)]
    found = changes_in(every)
    assert [(change.series, round(change.at / 140)) for change in found] == [
        (1, 1), (1, 2), (2, 2), (4, 1), (4, 2),
    ]  # fmt: skip
    for number in (1, 2, 4):
        own = [change for change in found if change.series == number]
        ends = [0, *(change.at for change in own), 420]
        told = [(change.begin, change.at, change.end) for change in own]
        assert told == list(zip(ends, ends[1:], ends[2:], strict=False))


@pytest.mark.parametrize(
    ("seed", "is_found"),
    # By p 0.052, though hardly ever by shuffling; by shuffling 0.096, though by p 0.045;
    # by neither more than 0.05.
    [(284, False), (2250, False), (673, True)],
)
def test_a_change_is_beyond_what_both_tests_allow(seed: int, is_found: bool) -> None:
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(0, 30, 150)).round(1)
    scores = (rng.random(150) < 0.9 - 0.25 * (days > 15)).astype(np.float64)
    assert bool(changes_in([Series(days, scores)])) is is_found


def test_series_that_never_vary_make_no_other_change_likelier() -> None:
    """Of 21 series one can have changed: the best of 21 tries."""
    stepped = coins(np.random.default_rng(5), np.repeat([0.95, 0.7], 210))
    same = [Series(np.arange(n) / 7, np.full(n, (n + 1) / 2 / n)) for n in range(300, 320)]
    (alone,), (among,) = changes_in([stepped]), changes_in([stepped, *same])
    assert among.p_value == pytest.approx(21 * alone.p_value)


def test_a_few_bad_days_are_no_change() -> None:
    rng = np.random.default_rng(4)
    shares = np.full(420, 0.95)
    shares[280:301] = 0.2
    assert changes_in([coins(rng, shares)]) == []

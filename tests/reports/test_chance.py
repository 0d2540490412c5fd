"""Design effects and p-values against chance itself, and against what must hold of any sample."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import digamma, polygamma

from runsync import reports
from runsync.reports.chance import (
    BLOCK,
    PIECES,
    DesignEffects,
    Samples,
    _inverse_trigamma,
    _prior,
    _Ratios,
    _ratios,
    _steadied,
    corrected,
    design_effects,
    p_values,
)
from runsync.reports.statistics import Floats
from runsync.storage.database import Database
from tests.reports.flat_histories import FIRST_DAY, PLAIN, flat_history, store

WINDOWS = (2, PIECES)


def hits(counts: Floats, totals: Floats) -> Samples:
    return Samples(counts, totals, totals.sum(axis=(1, 2)))


def of_coins(rng: np.random.Generator, rows: int, share: float = 0.8) -> Samples:
    """Independent hits and misses, seven a piece."""
    counts = np.full((rows, *WINDOWS), 7.0)
    return hits(counts, rng.binomial(7, share, counts.shape).astype(np.float64))


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    """Any rows of hits and misses, also none and such as are empty or always the same."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(0, 5))
    most = draw(st.sampled_from([0, 1, 3, 50]))
    counts = rng.integers(0, most + 1, (rows, *WINDOWS)).astype(np.float64)
    share = draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
    return hits(counts, rng.binomial(counts.astype(np.int64), share).astype(np.float64))


@given(samples())
def test_a_p_value_is_a_probability_or_missing(sample: Samples) -> None:
    effects = design_effects(sample)
    p = p_values(sample, effects)
    assert len(p) == len(sample.squares)
    assert ((p >= 0) & (p <= 1) | np.isnan(p)).all()
    assert (np.isnan(effects.values) | (effects.values >= 1)).all()
    assert np.isnan(p[(sample.sizes == 0).any(axis=1)]).all()


@given(samples())
def test_exchanging_the_windows_or_hits_and_misses_changes_nothing(sample: Samples) -> None:
    p = p_values(sample, design_effects(sample))
    turned = Samples(sample.counts[:, ::-1], sample.totals[:, ::-1], sample.squares)
    np.testing.assert_allclose(p_values(turned, design_effects(turned)), p, rtol=1e-6)
    misses = hits(sample.counts, sample.counts - sample.totals)
    np.testing.assert_allclose(p_values(misses, design_effects(misses)), p, rtol=1e-6, atol=1e-9)


@given(samples(), st.permutations(range(5)))
def test_the_order_of_rows_does_not_matter(sample: Samples, order: list[int]) -> None:
    order = [n for n in order if n < len(sample.squares)]
    other = Samples(sample.counts[order], sample.totals[order], sample.squares[order])
    p, again = (p_values(one, design_effects(one)) for one in (sample, other))
    np.testing.assert_allclose(again, p[order], rtol=1e-6)


@given(st.lists(st.floats(0, 1) | st.just(float("nan"))))
def test_correction_is_that_of_benjamini_and_hochberg(p: list[float]) -> None:
    made = corrected(np.array(p))
    known = sorted(value for value in p if value == value)
    for value, found in zip(p, made, strict=True):
        if value != value:
            assert np.isnan(found)
            continue
        expected = min(
            len(known) * other / (rank + 1) for rank, other in enumerate(known) if other >= value
        )
        assert found == pytest.approx(min(expected, 1))


@pytest.mark.parametrize("value", [1e-3, 0.05, 0.4, 1.0, 3.0, 20.0, 1e4])
def test_the_inverse_of_trigamma_is_one(value: float) -> None:
    assert polygamma(1, _inverse_trigamma(value)) == pytest.approx(value, rel=1e-9)


def test_what_rows_have_in_common_is_found_again() -> None:
    """Design effects around 3, as alike as 8 degrees of freedom tell, each seen with 5 or 11."""
    rng = np.random.default_rng(6)
    degrees = rng.choice([5.0, 11.0], 20_000)
    true = 3 * 8 / rng.chisquare(8, len(degrees))
    seen = _Ratios(true * rng.chisquare(degrees) / degrees, degrees)
    prior, weight = _prior(seen.logs, seen.degrees)
    assert prior == pytest.approx(3, rel=0.02)
    assert weight == pytest.approx(8, rel=0.08)


def test_rows_that_vary_no_more_than_chance_are_all_alike() -> None:
    degrees = np.full(4, 6.0)
    values = np.array([2.0, 2.1, 1.9, 2.0])
    found = _steadied(_Ratios(values, degrees))
    # As many degrees as the other rows have together.
    np.testing.assert_allclose(found.degrees, 24)
    common = np.exp(np.log(values).mean() - digamma(3) + np.log(3))
    np.testing.assert_allclose(found.values, (18 * common + 6 * values) / 24)


def test_a_row_of_which_nothing_is_known_is_taken_to_be_as_the_others() -> None:
    nothing = float("nan")
    found = _steadied(_Ratios(np.array([2.0, 2.1, 1.9, nothing]), np.array([6.0, 6.0, 6.0, 1e-9])))
    common = np.exp(np.log([2.0, 2.1, 1.9]).mean() - digamma(3) + np.log(3))
    assert found.values[3] == pytest.approx(common)
    alone = _steadied(_Ratios(np.array([2.0, nothing, nothing]), np.array([6.0, 3.0, 1e-9])))
    np.testing.assert_array_equal(alone.values, [2, 1, nothing])
    np.testing.assert_array_equal(alone.degrees, [6, 3, 1e-9])


def test_scores_in_any_order_vary_as_independent_ones_do() -> None:
    """The mean of the ratio over the orders of the scores is 1, however large the pieces are."""
    rng = np.random.default_rng(7)
    counts = np.broadcast_to(rng.integers(0, 9, PIECES).astype(np.float64), (3000, *WINDOWS))
    owners = np.repeat(np.arange(PIECES), counts[0, 0].astype(int))
    scores = rng.permuted(np.tile(rng.exponential(5, len(owners)), (6000, 1)), axis=1)
    totals = np.array([np.bincount(owners, row, PIECES) for row in scores]).reshape(counts.shape)
    sample = Samples(counts, totals, np.full(3000, 2 * (scores[0] ** 2).sum()))
    assert _ratios(sample).values.mean() == pytest.approx(1, abs=0.02)


def test_degrees_of_freedom_are_of_the_pieces_that_are_there() -> None:
    counts, totals = np.zeros((4, *WINDOWS)), np.zeros((4, *WINDOWS))
    counts[0] = 4  # all alike
    counts[1, :, :2] = 10  # two in each window
    counts[2, 0, :3] = 10, 10, 20  # in one window only: 40² / 600 of them
    counts[3, :, 0] = 50  # one in each window: nothing to compare
    totals[...] = counts / 2
    found = _ratios(hits(counts, totals))
    np.testing.assert_allclose(found.degrees, [54, 2, 1600 / 600 - 1, 1e-9])
    np.testing.assert_array_equal(found.is_known, [True, True, True, False])


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e6 / 3])
def test_ratios_are_those_of_plain_loops(scale: float) -> None:
    """Rows with empty windows, with too little to compare, and all of whose scores are alike."""
    rng = np.random.default_rng(11)
    counts = rng.integers(0, 4, (9, *WINDOWS)).astype(np.float64)
    counts[0, 1] = counts[1, 0] = counts[2, :, 1:] = 0
    counts[3:5] = 0
    counts[3, 0, :2] = 10  # just one degree of freedom
    counts[4, 0, :2] = 10, 1  # less than one
    totals = rng.binomial(counts.astype(int), 0.6).astype(np.float64)
    totals[3:5, 0, 0] = 4  # not all alike
    totals[5] = counts[5]
    totals[6] = counts[6] * [[0], [1]]
    sample = Samples(counts, totals * scale, totals.sum(axis=(1, 2)) * scale**2)
    found = _ratios(sample)
    expected = [_ratio(*row) for row in zip(counts, totals, strict=True)]
    np.testing.assert_allclose(found.values, [value for value, _ in expected])
    np.testing.assert_allclose(found.degrees, [max(degrees, 1e-9) for _, degrees in expected])


def _ratio(counts: Floats, totals: Floats) -> tuple[float, float]:
    """Of hits and misses: the squares between pieces by what they would be, and the degrees."""
    between = expected = within = degrees = 0.0
    for n, k in zip(counts, totals, strict=True):
        if not n.sum():
            continue
        mean = k.sum() / n.sum()
        between += sum((have - mean * size) ** 2 for have, size in zip(k, n, strict=True))
        expected += sum(size - size**2 / n.sum() for size in n)
        within += n.sum() * mean * (1 - mean)
        degrees += n.sum() ** 2 / sum(size**2 for size in n) - 1
    if degrees < 1 or not within:
        return float("nan"), degrees
    return between / (within / (counts.sum() - 2) * expected), degrees


def _alternating(rows: int) -> Samples:
    """Three and four hits of seven in turn: so regular that all blocks are the same."""
    counts = np.full((rows, *WINDOWS), 7.0)
    return hits(counts, np.broadcast_to(3.0 + np.arange(PIECES) % 2, counts.shape))


@pytest.mark.parametrize("rows", [1, 4])
def test_what_is_more_regular_than_chance_counts_as_independent(rows: int) -> None:
    effects = design_effects(_alternating(rows))
    np.testing.assert_array_equal(effects.values, 1)
    # What two windows of seven blocks tell of each row; and no more than 392 runs do.
    np.testing.assert_allclose(effects.degrees, min(12 * rows, 390))


def test_the_least_ratio_is_a_twentieth() -> None:
    logs = _Ratios(np.array([0.0, 0.04, 0.06]), np.full(3, 6.0)).logs
    np.testing.assert_allclose(logs - np.log(3) + digamma(3), np.log([0.05, 0.05, 0.06]))


def test_where_no_score_differs_runs_count_as_independent() -> None:
    counts = np.full((3, *WINDOWS), 7.0)
    totals = counts * np.array([[0, 0], [1, 1], [0, 1]])[:, :, None]
    sample = hits(counts, totals)
    effects = design_effects(sample)
    np.testing.assert_array_equal(effects.values, 1)
    p = p_values(sample, effects)
    assert p[:2].tolist() == [1, 1]
    assert p[2] < 1e-6


def test_equal_scores_are_no_change_whatever_rounding_says() -> None:
    """A tenth thirty times adds up to a little less than three."""
    counts, totals = np.zeros((2, 200, *WINDOWS))
    for n in range(200):
        counts[n, :, 0] = 30 + n, 21
        totals[n, :, 0] = np.cumsum(np.full(30 + n, 0.1))[-1], np.cumsum(np.full(21, 0.1))[-1]
    sample = Samples(counts, totals, counts.sum(axis=(1, 2)) * 0.1**2)
    effects = DesignEffects(np.ones(200), np.full(200, 9.0))
    np.testing.assert_array_equal(p_values(sample, effects), 1)


def test_a_row_of_a_single_block_has_no_say_in_how_the_others_grow() -> None:
    rng = np.random.default_rng(12)
    rates = np.repeat(rng.beta(8, 2, (6, 2, PIECES // BLOCK)), BLOCK, axis=2)
    counts, totals = np.full(rates.shape, 50.0), np.round(50 * rates)
    counts[5, :, BLOCK:] = totals[5, :, BLOCK:] = 0
    all_rows, others = hits(counts, totals), hits(counts[:5], totals[:5])
    found, expected = design_effects(all_rows), design_effects(others)
    np.testing.assert_allclose(found.values[:5], expected.values)
    assert (expected.values > PIECES / BLOCK).all()


def test_growth_is_that_of_the_mean_logarithm() -> None:
    """Which it is worth log 7 / log 4 times: a window has seven blocks, a block four pieces."""
    rng = np.random.default_rng(13)
    rates = np.repeat(rng.beta(8, 2, (6, 2, PIECES // BLOCK)), BLOCK, axis=2)
    sample = hits(np.full(rates.shape, 50.0), np.round(50 * rates))
    pieces, blocks = _ratios(sample), _ratios(sample.in_blocks())
    growth = np.exp((blocks.logs - pieces.logs).mean())
    expected = _steadied(blocks).values * growth ** (np.log(7) / np.log(4))
    np.testing.assert_allclose(design_effects(sample).values, expected)


@pytest.mark.parametrize("effect", [1.0, 4.0])
def test_p_values_are_those_of_the_test_of_two_proportions(effect: float) -> None:
    counts, totals = np.zeros((1, *WINDOWS)), np.zeros((1, *WINDOWS))
    counts[0, :, 3] = 100, 150
    totals[0, :, 3] = 80, 90
    z = 0.2 / np.sqrt(0.68 * 0.32 * (1 / 100 + 1 / 150) * effect)

    def p(degrees: float) -> float:
        effects = DesignEffects(np.array([effect]), np.array([degrees]))
        return float(p_values(hits(counts, totals), effects)[0])

    assert p(1e9) == pytest.approx(2 * stats.norm.sf(z), rel=1e-4)
    for degrees in (1.0, 7.0):
        assert p(degrees) == pytest.approx(2 * stats.t.sf(z, degrees))
    assert np.isnan(p(0.99))


def test_independent_runs_have_no_design_effect() -> None:
    effects = design_effects(of_coins(np.random.default_rng(1), 40))
    assert effects.values.mean() < 1.2
    assert effects.degrees.min() > 100


def test_runs_that_come_in_fours_have_one_of_four() -> None:
    rng = np.random.default_rng(2)
    counts = np.full((40, *WINDOWS), 8.0)
    fours = (4 * rng.binomial(2, 0.8, counts.shape)).astype(np.float64)
    assert design_effects(hits(counts, fours)).values.mean() == pytest.approx(4, rel=0.25)


def test_each_row_has_a_p_value_of_its_own() -> None:
    counts, totals = np.zeros((7, *WINDOWS)), np.zeros((7, *WINDOWS))
    counts[:, :, 3] = (100, 150), (50, 50), (60, 0), (1, 99), (5, 7), (9, 9), (0, 0)
    totals[:, :, 3] = (80, 90), (20, 20), (30, 0), (0, 99), (5, 7), (0, 0), (0, 0)
    effects = DesignEffects(np.ones(7), np.full(7, 1e9))
    p = p_values(hits(counts, totals), effects)
    z = 0.2 / np.sqrt(0.68 * 0.32 * (1 / 100 + 1 / 150)), 1 / np.sqrt(0.99 * 0.01 * (1 + 1 / 99))
    expected = [2 * stats.norm.sf(z[0]), 1, np.nan, 2 * stats.norm.sf(z[1]), 1, 1, np.nan]
    np.testing.assert_allclose(p, expected, rtol=1e-3)


def test_a_few_rows_tell_what_they_have_in_common() -> None:
    logs, degrees = np.array([0.1, 2.0, 3.1]), np.array([4.0, 6.0, 8.0])
    spread = np.std(logs) ** 2 * 3 / 2 - polygamma(1, degrees / 2).mean()
    assert polygamma(1, _prior(logs, degrees)[1] / 2) == pytest.approx(spread)
    apart = _Ratios(np.array([0.5, 3.0, 9.0]), np.array([30.0, 30.0, 40.0]))
    prior, weight = _prior(apart.logs, apart.degrees)
    drawn = _steadied(apart)
    np.testing.assert_allclose(drawn.degrees, apart.degrees + weight)
    np.testing.assert_allclose(
        drawn.values, (weight * prior + apart.degrees * apart.values) / (weight + apart.degrees)
    )
    assert apart.degrees.tolist() == [30, 30, 40]
    two = _steadied(_Ratios(np.array([2.0, 2.1]), np.array([6.0, 6.0])))
    np.testing.assert_allclose(two.degrees, 12)
    same = _steadied(_Ratios(np.array([np.nan, np.nan]), np.array([1.0, 0.9])))
    np.testing.assert_array_equal(same.values, [1, np.nan])


def test_growth_from_pieces_to_blocks_goes_on_to_the_window() -> None:
    """Where the pieces of a block are alike, blocks vary four times as much, and somewhat more
    since a window has few of them; so windows, of seven blocks, vary over seven times as much."""
    rng = np.random.default_rng(8)
    rates = np.repeat(rng.beta(8, 2, (200, 2, PIECES // BLOCK)), BLOCK, axis=2)
    sample = hits(np.full(rates.shape, 50.0), np.round(50 * rates))
    of_blocks = _steadied(_ratios(sample.in_blocks()))
    growth = design_effects(sample).values / of_blocks.values
    assert ((growth > PIECES / BLOCK) & (growth < 1.5 * PIECES / BLOCK)).all()


def test_no_row_is_known_better_than_so_many_independent_runs_would_be() -> None:
    counts = np.ones((40, *WINDOWS)) * np.repeat([1, 2], 20)[:, None, None]
    rng = np.random.default_rng(9)
    effects = design_effects(hits(counts, rng.binomial(counts.astype(int), 0.5).astype(float)))
    independent = np.repeat([56, 112], 20) / effects.values
    np.testing.assert_allclose(effects.degrees, independent - 2)


def test_without_a_change_one_row_in_twenty_is_called_before_the_correction() -> None:
    rng = np.random.default_rng(3)
    drawn = (of_coins(rng, 20) for _ in range(50))
    p = np.concatenate([p_values(sample, design_effects(sample)) for sample in drawn])
    assert 0.025 < (p <= 0.05).mean() < 0.06


def test_a_fall_of_twenty_points_is_seen_among_ten_rows() -> None:
    rng, seen = np.random.default_rng(4), 0
    for _ in range(100):
        sample = of_coins(rng, 10, 0.9)
        sample.totals[0, 1] = rng.binomial(7, 0.7, PIECES)
        sample = hits(sample.counts, sample.totals)
        seen += int(corrected(p_values(sample, design_effects(sample)))[0] <= 0.05)
    assert seen >= 80


def test_a_history_in_which_nothing_changes_is_rarely_called(sqlite: Database) -> None:
    """What `tests/benchmarks/chance.py` measures at length, for one small history."""
    profile = replace(PLAIN, pipelines=6, steps=2)
    store(sqlite, flat_history(profile, np.random.default_rng(5)))
    until = FIRST_DAY + timedelta(days=60)
    for name in ("pass_rates", "run_durations", "queue_times", "abort_frequencies"):
        frame = reports.compare(sqlite, name, since=until - timedelta(days=28), until=until)
        assert frame["p_value"].notna().all()
        assert not frame["beyond_chance"].any()

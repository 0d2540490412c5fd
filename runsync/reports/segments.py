"""When a figure changed and stayed so: the split of a series that tells its two sides apart best.

Each series is split where the difference of the two sides' mean scores is greatest, as one step of
binary segmentation does (A. J. Scott and M. Knott 1974). How likely chance makes that difference
is reckoned as in :mod:`runsync.reports.chance`, from how much blocks of days vary on either side,
times the number of blocks at which a split could have been found; and confirmed by exchanging whole
blocks at random, which keeps together what belongs together. Series are asked for one at a time,
so that they need not all be in memory.

When all changes are known, each is dated once more between its neighbours: not at the likeliest
split, which a few odd runs can move, but where most of the likelihood lies nearby.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from runsync.reports.chance import (
    BLOCK,
    DesignEffects,
    Samples,
    corrected,
    design_effects,
    p_values,
)

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

LEAST_DAYS = 7.0
LEAST_RUNS = 10
_LIMIT = 0.05
_SHUFFLES = 499
_NEARBY = 1.5
"""How many days off a split still speaks for a date: one that is a day off should be rare."""
_CHOSEN = 1.5
"""How much the best of all splits takes away from the variance that is left on its two sides."""


@dataclass(frozen=True, slots=True)
class Series:
    """What is averaged, oldest first; ``days`` says when, in days from any moment."""

    days: Floats
    scores: Floats


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """Where a series changed.

    Attributes:
        series: which one of those that were given.
        begin: where the stretch begins in which it was found; ``end`` where it ends.
        at: which score is the first after the change.
    """

    series: int
    begin: int
    at: int
    end: int
    p_value: float


def changes_in(every_series: Sequence[Series]) -> list[ChangePoint]:
    """The changes of all series, by series and then by time; p-values are corrected for all."""
    stretches: list[tuple[int, int, int | None]] = [(n, 0, None) for n in range(len(every_series))]
    found: list[ChangePoint] = []
    while stretches:
        fresh = _confirmed(every_series, stretches)
        found += fresh
        stretches = [
            (one.series, *ends)
            for one in fresh
            for ends in ((one.begin, one.at), (one.at, one.end))
        ]
    return _dated(every_series, _with_neighbours(found))


def best_split(series: Series) -> int | None:
    """The first score behind the split; None where there is too little on either side of any."""
    at = _places(series)
    return int(at[np.argmax(_distances(series.scores, at))]) if len(at) else None


def likely_split(series: Series) -> int | None:
    """The split around which most of the likelihood lies; None where there is no place for one.

    The likelihood of each split is that of the best levels on its two sides. It is added up over
    the days next to each place, those at a distance for less (M. Epanechnikov's weights).
    """
    at = _places(series)
    if not len(at):
        return None
    days = series.days[at] - series.days[at[0]]
    logs = _log_likelihoods(series.scores, at)
    likely = np.exp(logs - logs.max())
    begins = np.searchsorted(days, days - _NEARBY)
    ends = np.searchsorted(days, days + _NEARBY, side="right")
    sums = [np.concatenate([[0.0], np.cumsum(likely * days**power)]) for power in range(3)]
    whole, of_days, of_squares = (one[ends] - one[begins] for one in sums)
    away = of_squares - 2 * days * of_days + days**2 * whole
    return int(at[np.argmax(whole - away / _NEARBY**2)])


def _places(series: Series) -> Places:
    """The splits that leave enough runs and days on either side."""
    count = len(series.days)
    at = np.arange(1, count)
    first, last = (series.days[0], series.days[-1]) if count else (0.0, 0.0)
    is_open = (series.days[1:] >= first + LEAST_DAYS) & (series.days[1:] <= last - LEAST_DAYS)
    return at[is_open & (at >= LEAST_RUNS) & (count - at >= LEAST_RUNS)]


def _log_likelihoods(scores: Floats, at: Places) -> Floats:
    """Of each split: of throws of two coins where scores are 0 and 1, else of two normal
    distributions that vary alike."""
    from scipy.special import xlogy

    count, before, whole = len(scores), np.cumsum(scores)[at - 1], scores.sum()
    if not np.isin(scores, (0, 1)).all():
        within = scores.var() - _distances(scores, at)
        least = np.finfo(np.float64).tiny
        normal: Floats = -count / 2 * np.log(np.maximum(within, least))
        return normal
    coins: Floats = sum(
        xlogy(hits, hits / trials) + xlogy(trials - hits, 1 - hits / trials)
        for hits, trials in ((before, at), (whole - before, count - at))
    )
    return coins


def _distances(scores: Floats, at: Places) -> Floats:
    """How far apart the two sides of each split are: the variance between them."""
    sums = np.cumsum(scores - scores.mean())[at - 1]
    distances: Floats = sums**2 / (at * (len(scores) - at))
    return distances


def _confirmed(
    every_series: Sequence[Series], stretches: Sequence[tuple[int, int, int | None]]
) -> list[ChangePoint]:
    """The changes in these stretches, corrected for the number of them."""
    found: list[ChangePoint] = []
    split_once: list[_Pieces] = []
    split_deeper: list[_Pieces] = []
    for number, begin, end in stretches:
        part = _cut(every_series[number], begin, end)
        split = best_split(part)
        if split is not None:
            end = begin + len(part.days)
            found.append(ChangePoint(number, begin, begin + split, end, np.nan))
            split_once.append(_pieces(part, [split]))
            split_deeper.append(_pieces(part, _quarters(part, split)))
    if not found:
        return []
    p = corrected(_chances(split_once, split_deeper))
    return [
        replace(one, p_value=float(value))
        for one, value in zip(found, p, strict=True)
        if value <= _LIMIT and _shuffled_chance(every_series, one) <= _LIMIT
    ]


def _cut(series: Series, begin: int, end: int | None) -> Series:
    return Series(series.days[begin:end], series.scores[begin:end])


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What lies between a series' splits: how many scores and their sums, for each stretch between
    two splits an array of each day since the stretch began; and the days that the series spans,
    and the sum of its squared scores."""

    counts: list[Floats]
    totals: list[Floats]
    length: float
    squares: float


def _chances(split_once: Sequence[_Pieces], split_deeper: Sequence[_Pieces]) -> Floats:
    """The p-value of each best split, for all places at which it could have been."""
    effects = design_effects(_samples(split_deeper, 4))
    effects = DesignEffects(effects.values * _CHOSEN, effects.degrees)
    places = np.array([one.length / BLOCK for one in split_once])  # two weeks or more: over three
    chances: Floats = np.minimum(p_values(_samples(split_once, 2), effects) * places, 1)
    return chances


def _quarters(part: Series, split: int) -> list[int]:
    """The split and the best ones on either side of it, so that further changes beside this one
    are not taken for what runs vary by."""
    found = [best_split(_cut(part, *ends)) for ends in ((0, split), (split, len(part.days)))]
    left, right = (
        [] if one is None else [one + base] for one, base in zip(found, (0, split), strict=True)
    )
    return [*left, split, *right]


def _pieces(part: Series, cuts: Sequence[int]) -> _Pieces:
    stretches = np.split(part.days, cuts)
    since = [(days - days[0]).astype(np.int64) for days in stretches]
    counts = [np.bincount(days).astype(np.float64) for days in since]
    totals = [
        np.bincount(days, scores).astype(np.float64)
        for days, scores in zip(since, np.split(part.scores, cuts), strict=True)
    ]
    length = float(part.days[-1] - part.days[0])
    return _Pieces(counts, totals, length, float((part.scores**2).sum()))


def _samples(parts: Sequence[_Pieces], most: int) -> Samples:
    """The pieces of all series side by side; ``most`` stretches each may have."""
    longest = max(len(days) for one in parts for days in one.counts)
    days = -(-longest // BLOCK) * BLOCK
    counts, totals = np.zeros((2, len(parts), most, days))
    for n, one in enumerate(parts):
        for stretch, (of_days, sums) in enumerate(zip(one.counts, one.totals, strict=True)):
            counts[n, stretch, : len(of_days)] = of_days
            totals[n, stretch, : len(sums)] = sums
    return Samples(counts, totals, np.array([one.squares for one in parts]))


def _shuffled_chance(every_series: Sequence[Series], change: ChangePoint) -> float:
    """In what share of cases blocks of days in random order are split as well, or better."""
    series = _cut(every_series[change.series], change.begin, change.end)
    days, scores = series.days, series.scores - series.scores.mean()
    count, split = len(days), change.at - change.begin
    block = ((days - days[0]) / BLOCK).astype(np.int64)
    sizes = np.bincount(block)
    sums = np.bincount(block, scores)
    # Of each score, what it makes with those before it in its block, and how many they are.
    places = np.arange(1, count + 1) - (np.cumsum(sizes) - sizes)[block]
    within = np.cumsum(scores) - (np.cumsum(sums) - sums)[block]
    # Blocks in another order that make the same sides are as good, whatever rounding says.
    own = (1 - 1e-9) * scores[:split].sum() ** 2 / (split * (count - split))
    rng, better = np.random.default_rng(0), 0
    for _ in range(_SHUFFLES):
        order = rng.permutation(len(sizes))
        before, so_far = np.empty(len(sizes), np.int64), np.empty(len(sizes))
        before[order] = np.cumsum(sizes[order]) - sizes[order]
        so_far[order] = np.cumsum(sums[order]) - sums[order]
        at = before[block] + places
        is_open = (at >= LEAST_RUNS) & (count - at >= LEAST_RUNS)
        squares = (so_far[block] + within)[is_open] ** 2
        at = at[is_open]
        better += int((squares / (at * (count - at))).max() >= own)
    return (better + 1) / (_SHUFFLES + 1)


def _with_neighbours(found: Sequence[ChangePoint]) -> list[ChangePoint]:
    """Each change between its neighbours of the same series, not in the stretch it was found in."""
    made = []
    for one in found:
        of_series = [other for other in found if other.series == one.series]
        ends = [other.at for other in of_series]
        begin = max((at for at in ends if at < one.at), default=min(o.begin for o in of_series))
        end = min((at for at in ends if at > one.at), default=max(o.end for o in of_series))
        made.append(replace(one, begin=begin, end=end))
    return made


def _dated(every_series: Sequence[Series], found: Sequence[ChangePoint]) -> list[ChangePoint]:
    """The changes, by series and time, each at its likely place between its neighbours."""
    made: list[ChangePoint] = []
    ordered = sorted(found, key=lambda one: (one.series, one.at))
    for one in ordered:
        series = every_series[one.series]
        has_before = bool(made) and made[-1].series == one.series
        begin = made[-1].at if has_before else one.begin
        split = likely_split(_cut(series, begin, one.end))
        at = one.at if split is None else begin + split
        if has_before:
            made[-1] = replace(made[-1], end=at)
        made.append(replace(one, begin=begin, at=at))
    return made

"""Figures of the groups of a frame, against plain Python."""

from collections import defaultdict
from statistics import quantiles

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports import statistics
from runsync.reports.statistics import Groups, difference, joined, quantile_ranks, rate, tally

Z = 1.959963984540054
WORDS = st.sampled_from(["a", "b", "c", None])
ROWS = st.lists(st.tuples(WORDS, st.integers(0, 3), st.integers(-50, 50)), min_size=1, max_size=60)
Row = tuple[str | None, int, int]


def frame(rows: list[Row], *, categories: bool = False) -> pd.DataFrame:
    words = pd.Series([row[0] for row in rows], dtype="category" if categories else "str")
    columns = {"word": words, "number": [row[1] for row in rows], "value": [row[2] for row in rows]}
    return pd.DataFrame(columns)


def grouped(rows: list[Row]) -> dict[tuple[str | None, int], list[int]]:
    """The values of each group, the groups sorted, a missing word last."""
    found = defaultdict(list)
    for word, number, value in rows:
        found[word, number].append(value)
    return dict(sorted(found.items(), key=lambda item: (item[0][0] or "~", item[0][1])))


def keys_of(groups: Groups) -> list[tuple[str | None, int]]:
    return [
        (None if pd.isna(word) else word, number)
        for word, number in groups.keys.itertuples(index=False)
    ]


@pytest.mark.parametrize("many", [1, 5, 2**40])
@given(rows=ROWS, categories=st.booleans())
def test_groups_are_sorted_and_hold_their_rows(
    many: int, rows: list[Row], categories: bool
) -> None:
    """Also where there are more possible groups than numbers for them (here five, or one)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_MANY", many)
        groups = Groups(frame(rows, categories=categories), ["word", "number"])
    expected = grouped(rows)
    assert keys_of(groups) == list(expected)
    assert groups.total().tolist() == [len(values) for values in expected.values()]
    values = frame(rows)["value"]
    assert groups.total(values).tolist() == [sum(values) for values in expected.values()]
    firsts = [next(n for n, row in enumerate(rows) if row[:2] == key) for key in expected]
    assert groups.first.tolist() == firsts


def test_more_possible_groups_than_rows_are_told_apart() -> None:
    rows: list[Row] = [(f"w{n}", 40 - n, n) for n in range(40)]
    groups = Groups(frame(rows), ["word", "number", "value"])
    assert len(groups.keys) == 40
    assert groups.total(frame(rows)["value"])[:3].tolist() == [0, 1, 10]  # w0, w1, w10


@pytest.mark.parametrize("categories", [False, True])
def test_a_missing_second_key_is_no_other_group(categories: bool) -> None:
    rows: list[Row] = [(word, number, 1) for number in (1, 0) for word in ("b", None, "a")]
    groups = Groups(frame(rows, categories=categories), ["number", "word"])
    assert groups.keys["number"].tolist() == [0, 0, 0, 1, 1, 1]
    assert groups.keys["word"].astype(object).fillna("-").tolist() == ["a", "b", "-"] * 2


def test_keys_of_more_combinations_than_a_number_can_count_are_told_apart() -> None:
    """Five keys of 8200 values each: over 2**64 groups that could be, of which 8200 are."""
    rng, count = np.random.default_rng(1), 8200
    table = pd.DataFrame({name: rng.permutation(count) for name in "edcba"})
    keys = Groups(table, list("abcde")).keys
    assert keys["a"].tolist() == list(range(count))
    pd.testing.assert_frame_equal(
        keys, table[list("abcde")].sort_values("a", ignore_index=True), check_dtype=False
    )


@given(ROWS)
def test_the_spread_of_each_group(rows: list[Row]) -> None:
    spread = Groups(frame(rows), ["word", "number"]).spread(frame(rows)["value"])
    for place, values in enumerate(grouped(rows).values()):
        cuts = quantiles(values * 2 if len(values) == 1 else values, n=20, method="inclusive")
        expected = [len(values), sum(values) / len(values), cuts[9], cuts[17], cuts[18]]
        found = [spread[name][place] for name in ("count", "mean", "p50", "p90", "p95")]
        assert found == pytest.approx(expected)
        assert spread["max"][place] == max(values)


@given(
    st.lists(st.tuples(WORDS, st.just(0), st.integers(-50, 50)), min_size=20, max_size=90),
    st.sampled_from([0.5, 0.9]),
)
def test_the_interval_of_a_quantile_ends_at_two_of_its_own_values(
    rows: list[Row], share: float
) -> None:
    _holds_intervals_of_own_values(rows, share)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9, 0.95])
def test_groups_of_any_size_have_intervals_of_their_own_values_or_none(share: float) -> None:
    """A group that is too small by one rank, at either end, does not borrow from its neighbour."""
    rows: list[Row] = [(f"w{size:02}", 0, size * n) for size in range(1, 90) for n in range(size)]
    _holds_intervals_of_own_values(rows, share)
    _holds_intervals_of_own_values(rows[:1], share)


def _holds_intervals_of_own_values(rows: list[Row], share: float) -> None:
    groups, values = Groups(frame(rows), ["word"]), frame(rows)["value"]
    # Each group has a design effect and a z of its own.
    numbers = np.arange(len(groups.first), dtype=np.float64)
    effects, z = 1 + numbers % 3 / 2, Z + numbers % 2
    lows, highs = groups.quantile_intervals(values, share, effects, z)
    every = zip(grouped(rows).values(), lows, highs, effects, z, strict=True)
    for own, low, high, effect, errors in every:
        (first,), (last,) = quantile_ranks(np.array([float(len(own))]), share, effect, errors)
        if first < 0 or last >= len(own):
            assert np.isnan([low, high]).all()
        else:
            assert (low, high) == (sorted(own)[int(first)], sorted(own)[int(last)])


def test_no_rows_have_no_groups_and_no_intervals() -> None:
    empty = frame([("a", 1, 1)]).iloc[:0]
    groups = Groups(empty, ["word"])
    none = np.zeros(0)
    assert len(groups.keys) == 0
    assert [len(end) for end in groups.quantile_intervals(empty["value"], 0.5, none, none)] == [
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("count", "share", "ranks"),
    # By hand: n q -+ z sqrt(n q (1 - q)), half a rank outwards.
    # Of 44 and of 51 values a tenth of a rank more or less would make another one.
    [
        (6, 0.5, (0, 5)),
        (44, 0.5, (14, 29)),
        (51, 0.5, (18, 32)),
        (100, 0.5, (39, 60)),
        (200, 0.95, (183, 196)),
        (1000, 0.9, (880, 919)),
    ],
)
def test_ranks_by_hand(count: int, share: float, ranks: tuple[int, int]) -> None:
    low, high = quantile_ranks(np.array([float(count)]), share)
    assert (low[0], high[0]) == ranks


def test_each_side_of_a_difference_adds_its_own_reach() -> None:
    def estimate(*ends: float) -> tuple[np.ndarray, ...]:
        return tuple(np.array([end]) for end in ends)

    low, high = difference(estimate(10, 8, 11), estimate(20, 16, 22))  # type: ignore[arg-type]
    assert (low[0], high[0]) == pytest.approx((10 - 17**0.5, 10 + 8**0.5))


def test_a_rate_is_hits_by_trials() -> None:
    assert rate([1, 3], [4, 4]).tolist() == [0.25, 0.75]


def test_a_tally_sums_what_is_asked_for_and_counts_rows() -> None:
    rows: list[Row] = [("a", 1, 5), ("b", 2, 7), ("a", 3, 1)]
    table = tally(frame(rows), ["word"], ["number", "value"], rows="runs")
    assert table.to_dict("list") == {
        "word": ["a", "b"],
        "number": [4, 2],
        "value": [6, 7],
        "runs": [2, 1],
    }
    assert list(tally(frame(rows), [], ["value"]).columns) == ["value"]


def test_joined_has_missing_figures_for_groups_without_any() -> None:
    table, more = pd.DataFrame({"k": ["b", "a"]}), pd.DataFrame({"k": ["a"], "n": [1.0]})
    found = joined(table, more, ["k"])
    assert found["k"].tolist() == ["b", "a"]
    assert found["n"].isna().tolist() == [True, False]
    assert joined(pd.DataFrame({"x": [1]}), pd.DataFrame({"n": [2]}), []).to_dict("list") == {
        "x": [1],
        "n": [2],
    }

"""What a comparison makes of the values of its two windows, against plain loops."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runsync.reports.chance import (
    PIECES,
    DesignEffects,
    Samples,
    corrected,
    design_effects,
    p_values,
)
from runsync.reports.comparison import (
    _compared,
    _finished,
    _joined,
    _of_durations,
    _of_rates,
    _Side,
    _with_default,
    comparisons,
)
from runsync.reports.definitions import REPORTS
from runsync.reports.load import open_reader
from runsync.reports.query_spec import QuerySpec
from runsync.reports.statistics import difference, quantile_ranks, wilson
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, run

NAN = float("nan")
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "mean": 0.5}


@dataclass(frozen=True)
class Window:
    """The values of one window of one row, each in a piece of the window."""

    pieces: list[int]
    counts: list[float]
    values: list[float]


Rows = dict[str, tuple[Window, Window]]


def durations(rng: np.random.Generator) -> Rows:
    """Rows that rise, fall or stay, of many values or few or none in one of the windows."""
    sizes = {"b": (90, 60), "d": (40, 80), "a": (3, 50), "c": (30, 0), "e": (6, 6), "f": (70, 29)}
    rows = {}
    for n, (name, both) in enumerate(sizes.items()):
        moves = (0, 40 * (n % 3 - 1))
        rows[name] = tuple(
            Window(
                rng.integers(0, PIECES, size).tolist(),
                [1.0] * size,
                (100 * (n + 1) + move + rng.integers(0, 90, size)).tolist(),
            )
            for size, move in zip(both, moves, strict=True)
        )
    return rows  # type: ignore[return-value]


def rates(rng: np.random.Generator) -> Rows:
    """Trials and hits by piece; of the last row none in one window."""
    rows = {}
    for n, name in enumerate("bcad"):
        both = []
        for share in (0.9, 0.9 - 0.2 * n):
            trials = rng.integers(1, 9, PIECES) * (name != "d" or share == 0.9)
            hits = rng.binomial(trials, share)
            both.append(Window(list(range(PIECES)), trials.tolist(), hits.tolist()))
        rows[name] = tuple(both)
    return rows  # type: ignore[return-value]


def side(rows: Rows, which: int) -> _Side:
    """One window of all rows that have something in it."""
    windows = {name: both[which] for name, both in rows.items() if both[which].values}
    return _Side(
        pd.DataFrame({"pipeline": list(windows)}),
        np.repeat(np.arange(len(windows)), [len(one.values) for one in windows.values()]),
        np.concatenate([np.array(one.pieces, np.int64) for one in windows.values()]),
        np.concatenate([np.array(one.counts) for one in windows.values()]).astype(np.float64),
        np.concatenate([np.array(one.values) for one in windows.values()]).astype(np.float64),
    )


def samples(rows: Rows, scores: Any, squares: Any) -> Samples:
    """The scores of all rows by name, window and piece."""
    counts, totals = np.zeros((2, len(rows), 2, PIECES))
    of_rows = np.zeros(len(rows))
    for n, name in enumerate(sorted(rows)):
        for which, window in enumerate(rows[name]):
            for piece, count, value in zip(
                window.pieces, window.counts, window.values, strict=True
            ):
                counts[n, which, piece] += count
                totals[n, which, piece] += scores(name, value)
                of_rows[n] += squares(name, value)
    return Samples(counts, totals, of_rows)


def score(rows: Rows, figure: str, name: str, value: float) -> float:
    every = [other for window in rows[name] for other in window.values]
    if figure == "mean":
        return value
    if figure == "p50":
        below, equal = sum(one < value for one in every), sum(one == value for one in every)
        return (below + (equal + 1) / 2) / len(every)
    return float(value > np.quantile(every, SHARES[figure]))


def estimate(window: Window, figure: str, effect: float, z: float) -> tuple[float, float, float]:
    values, count = sorted(window.values), len(window.values)
    if not count:
        return NAN, NAN, NAN
    if figure == "mean":
        middle, error = float(np.mean(values)), stats.sem(values) * np.sqrt(effect)
        return middle, middle - z * error, middle + z * error
    share = SHARES[figure]
    (low,), (high,) = quantile_ranks(np.array([float(count)]), share, effect, z)
    is_known = low >= 0 and high < count
    ends = (values[int(low)], values[int(high)]) if is_known else (NAN, NAN)
    return float(np.quantile(values, share)), *ends


def interval(before: tuple[float, ...], after: tuple[float, ...]) -> tuple[float, float]:
    low, high = difference(*(tuple(np.array([x]) for x in one) for one in (before, after)))  # type: ignore[arg-type]
    return float(low[0]), float(high[0])


def same(found: pd.DataFrame, expected: dict[str, list[float]]) -> None:
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("figure", list(SHARES))
@pytest.mark.parametrize("seed", range(2))
def test_durations_are_compared_as_in_plain_loops(figure: str, seed: int) -> None:
    rows = durations(np.random.default_rng(seed))
    found = _of_durations(_joined([side(rows, 0), side(rows, 1)], ("pipeline",)), figure)

    def of(name: str, value: float) -> float:
        return score(rows, figure, name, value)

    sample = samples(rows, of, lambda name, value: of(name, value) ** 2)
    effects = design_effects(sample)
    p = p_values(sample, effects)
    told: dict[str, list[float]] = {str(name): [] for name in found if name != "pipeline"}
    for n, name in enumerate(sorted(rows)):
        degrees = effects.degrees[n]
        z = float(stats.t.ppf(0.975, degrees)) if degrees >= 1 else NAN
        before, after = (
            estimate(window, figure, float(effects.values[n]), z) for window in rows[name]
        )
        sizes = [len(window.values) for window in rows[name]]
        scores = [[of(name, value) for value in window.values] for window in rows[name]]
        moved = np.mean(scores[1]) - np.mean(scores[0]) if all(sizes) else NAN
        if min(sizes) * (1 - SHARES[figure]) < 3 - 1e-6:
            p[n] = NAN
        elif moved * (after[0] - before[0]) <= 0:
            p[n] = 1
        row = (before[0], after[0], after[0] - before[0], *interval(before, after), *sizes, p[n])
        for column, value in zip(told, row, strict=True):
            told[column].append(value)
    assert found["pipeline"].tolist() == sorted(rows)
    same(found, told)


@pytest.mark.parametrize("seed", range(2))
def test_rates_are_compared_as_in_plain_loops(seed: int) -> None:
    rows = rates(np.random.default_rng(seed))
    found = _of_rates(_joined([side(rows, 0), side(rows, 1)], ("pipeline",)))
    sample = samples(rows, lambda _, value: value, lambda _, value: value)
    effects = design_effects(sample)
    told: dict[str, list[float]] = {str(name): [] for name in found if name != "pipeline"}
    for n, name in enumerate(sorted(rows)):
        z = float(stats.t.ppf(0.975, effects.degrees[n]))
        sides, sizes = [], []
        for window in rows[name]:
            hits, trials = sum(window.values), sum(window.counts)
            ends = wilson([hits / effects.values[n]], [trials / effects.values[n]], z)
            sides.append((hits / trials if trials else NAN, *(float(end[0]) for end in ends)))
            sizes.append(trials)
        before, after = sides
        p = p_values(sample, effects)[n]
        row = (before[0], after[0], after[0] - before[0], *interval(before, after), *sizes, p)
        for column, value in zip(told, row, strict=True):
            told[column].append(value)
    same(found, told)


def test_comparisons_read_together_are_corrected_for_the_rows_of_all(sqlite: Database) -> None:
    """Three reports, of three, one and three rows; each gets its own p-values back."""
    rng = np.random.default_rng(5)
    results = ["passed", "failed", "aborted"]
    runs = [
        run(
            f"{p}-{day}-{n}",
            at(day + n / 10),
            str(rng.choice(results, p=[0.8 - p * day / 60, 0.1 + p * day / 60, 0.1])),
            took=100 + int(rng.integers(0, 90)) + p * day // 2,
            pipeline=p,
        )
        for p in (1, 2, 3)
        for day in (0, 10)
        for n in range(100)
    ]
    fill(sqlite, runs, pipelines=[pipeline(p, f"p{p}") for p in (1, 2, 3)])
    asked: list[tuple[str, Any]] = [
        ("pass_rates", ("pipeline",)),
        ("run_durations", ()),
        ("abort_frequencies", ("pipeline",)),
    ]
    with open_reader(sqlite) as reader:
        queries = [
            (
                REPORTS[name],
                reader.query(QuerySpec(since=at(10), until=at(20), by=by), REPORTS[name]),
            )
            for name, by in asked
        ]
        alone = [_compared(reader, *one, None)["p_value"].to_numpy() for one in queries]
        found = comparisons(reader, queries)
    assert [len(p) for p in alone] == [len(table) for table in found] == [3, 1, 3]
    p = [value for table in found for value in table["p_value"]]
    np.testing.assert_allclose(p, corrected(np.concatenate(alone)))
    assert len(set(p)) > 3


def test_a_branch_that_is_still_broken_is_no_time_to_recover(sqlite: Database) -> None:
    def runs(day: int, letters: str, branch: str) -> list[dict[str, Any]]:
        words = {"p": "passed", "f": "failed"}
        return [
            run(f"{branch}{day}-{n}", at(day, hours=n), words[letter], branch=branch)
            for n, letter in enumerate(letters)
        ]

    fill(sqlite, [*runs(1, "pfp", "a"), *runs(11, "pffp", "a"), *runs(12, "pf", "b")])
    with open_reader(sqlite) as reader:
        report = REPORTS["recoveries"]
        asked = reader.query(QuerySpec(since=at(10), until=at(20), by=["pipeline"]), report)
        (found,) = comparisons(reader, [(report, asked)])
    assert found[["n_before", "n_after"]].to_numpy().tolist() == [[1, 1]]


def test_an_interval_reaches_as_far_as_students_does_and_needs_a_degree_of_freedom() -> None:
    values, degrees = np.array([1.0, 2.0, 3.0]), np.array([0.99, 1.0, 7.0])
    effects, z = _with_default(DesignEffects(values, degrees))
    np.testing.assert_array_equal(effects[:, 0], values)
    np.testing.assert_allclose(z[:, 0], [NAN, 12.7062, 2.3646], rtol=1e-4)


def test_what_is_likely_in_one_case_of_twenty_is_beyond_chance() -> None:
    report = REPORTS["pass_rates"]
    query: Any = type("Keys", (), {"keys": ("pipeline",)})
    numbers = dict.fromkeys(
        ("before", "after", "change", "low", "high", "n_before", "n_after"), [1.0] * 4
    )
    p = [0.0501, 0.05, NAN, 0.0499]
    table = pd.DataFrame({"pipeline": list("dcba"), **numbers, "p_value": p})
    made = _finished(table, report, query)
    assert made["pipeline"].tolist() == list("abcd")
    assert made["beyond_chance"].astype(object).tolist() == [True, pd.NA, True, False]

"""Comparisons of two windows, by hand and by the reports they compare."""

import re
from datetime import datetime

import pandas as pd
import pytest

from runsync import reports
from runsync.errors import ConfigError
from runsync.reports.comparison import columns_of
from runsync.reports.definitions import REPORTS
from runsync.reports.report import NothingToCompare
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, records, run, step

COMPARABLE = {n: r for n, r in REPORTS.items() if not isinstance(r.main, NothingToCompare)}


def _runs(day: float, words: str, **more: object) -> list[dict[str, object]]:
    """One run an hour from a day on: p passed, f failed, a aborted."""
    names = {"p": "passed", "f": "failed", "a": "aborted"}
    made = []
    for n, letter in enumerate(words):
        created = at(day, hours=n)
        made.append(run(f"{day}-{n}-{more}", created, names[letter], **more))  # type: ignore[arg-type]
    return made


def _spread(day: float, words: str, **more: object) -> list[dict[str, object]]:
    """Runs that are spread evenly over ten days."""
    runs = _runs(day, words, **more)
    for n, one in enumerate(runs):
        one |= run(str(one["id"]), at(day + n * 10 / len(runs)), str(one["result"]), **more)  # type: ignore[arg-type]
    return runs


def _lumps(lumps: int) -> str:
    """A hundred letters, of which lumps of five failures fall into the first and the sixth day."""
    first = "fffff" * (lumps // 2)
    half = first + "p" * (50 - len(first))
    return half * 2


def test_a_rate_against_the_window_before(database: Database) -> None:
    # Every tenth of a day a run: independent of each other, and evenly spread.
    before, after = _spread(0, "ppfpf" * 20), _spread(10, "ppppf" * 20)
    fill(database, [*before, *after, *_spread(20, "fff"), *_spread(-20, "fff")])
    (row,) = records(reports.compare(database, since=at(10), until=at(20)))
    # Newcombe's interval of 80 of 100 against 60 of 100 would be 0.0720 to 0.3159.
    assert row == {
        "pipeline": "build",
        "before": 0.6,
        "after": 0.8,
        "change": pytest.approx(0.2),
        "low": pytest.approx(0.055, abs=0.01),
        "high": pytest.approx(0.333, abs=0.01),
        "n_before": 100,
        "n_after": 100,
        "p_value": pytest.approx(0.0094, abs=0.001),
        "beyond_chance": True,
    }


def test_a_fall_is_as_far_beyond_chance_as_a_rise(database: Database) -> None:
    fill(database, [*_spread(0, "ppppf" * 20), *_spread(10, "ppfpf" * 20)])
    (row,) = records(reports.compare(database, since=at(10), until=at(20)))
    assert row["change"] == pytest.approx(-0.2)
    assert row["high"] == pytest.approx(-0.055, abs=0.01)
    assert row["beyond_chance"] is True


def test_failures_that_come_together_count_for_fewer(database: Database) -> None:
    """The same counts as above, but what fails does so on a few days."""
    fill(database, [*_spread(0, _lumps(8)), *_spread(10, _lumps(4))])
    (row,) = records(reports.compare(database, since=at(10), until=at(20)))
    assert row["change"] == pytest.approx(0.2)
    assert row["low"] < -0.05
    assert row["p_value"] > 0.2
    assert row["beyond_chance"] is False


def test_the_same_in_both_windows_is_within_chance(database: Database) -> None:
    fill(database, [*_spread(0, "ppfpa" * 4), *_spread(10, "ppfpa" * 4)])
    for report in ("pass_rates", "aborts"):
        (row,) = records(reports.compare(database, report, since=at(10), until=at(20)))
        assert (row["change"], row["p_value"], row["beyond_chance"]) == (0, 1, False)
        assert row["low"] == -row["high"] < 0


@pytest.mark.parametrize("figure", ["p50", "p90", "p95", "mean"])
def test_a_duration_against_the_window_before(database: Database, figure: str) -> None:
    before = [run(f"b{n}", at(n / 10), took=10 + n * 7 % 100) for n in range(100)]
    after = [run(f"a{n}", at(10 + n / 10), took=110 + n * 7 % 100) for n in range(100)]
    fill(database, [*before, *after])
    window = {"since": at(10), "until": at(20)}
    (row,) = records(reports.compare(database, "run_durations", figure=figure, **window))  # type: ignore[arg-type]
    (own,) = records(reports.run_durations(database, **window))  # type: ignore[arg-type]
    second = pd.Timedelta(seconds=1)
    assert (row["after"], row["change"]) == (own[figure], 100 * second)
    assert (row["n_before"], row["n_after"]) == (100, 100)
    assert row["p_value"] < 0.01
    assert row["beyond_chance"] is True
    if figure in ("p50", "mean"):
        # 29 is a uniform distribution's spread: a standard error of 4 for the difference of means.
        assert 100 - 30 < row["low"] / second < 100 < row["high"] / second < 100 + 30
    else:  # of 100 values too few lie beyond
        assert row["low"] is None or row["low"] > 0 * second


def test_five_values_are_too_few_to_say(database: Database) -> None:
    before = [run(f"b{n}", at(n / 10), took=10) for n in range(9)]
    after = [run(f"a{n}", at(10 + n / 10), took=1000) for n in range(5)]
    fill(database, [*before, *after])
    (row,) = records(reports.compare(database, "run-durations", since=at(10), until=at(20)))
    assert row["change"] == pd.Timedelta(seconds=990)
    assert (row["p_value"], row["beyond_chance"]) == (None, None)


def test_where_medians_and_ranks_move_apart_nothing_is_called(database: Database) -> None:
    """Half of the values fall far below, and yet the median rises a little."""
    before = [run(f"b{n}", at(n / 10), took=100 if n % 5 < 3 else 200) for n in range(100)]
    after = [run(f"a{n}", at(10 + n / 10), took=101 if n % 20 < 11 else 1) for n in range(100)]
    fill(database, [*before, *after])
    (row,) = records(reports.compare(database, "run-durations", since=at(10), until=at(20)))
    assert row["change"] > pd.Timedelta(0)
    assert (row["p_value"], row["beyond_chance"]) == (1.0, False)
    later = reports.compare(database, "run-durations", figure="mean", since=at(10), until=at(20))
    assert later["change"].iloc[0] < pd.Timedelta(0)
    assert later["beyond_chance"].iloc[0]


def test_a_median_that_stays_is_no_change_whatever_the_others_do(database: Database) -> None:
    before = [run(f"b{n}", at(n / 10), took=100 if n % 5 < 3 else 50) for n in range(100)]
    after = [run(f"a{n}", at(10 + n / 10), took=100 if n % 5 < 3 else 200) for n in range(100)]
    fill(database, [*before, *after])
    window = {"since": at(10), "until": at(20)}
    (row,) = records(reports.compare(database, "run-durations", **window))  # type: ignore[arg-type]
    assert row["change"] == pd.Timedelta(0)
    assert (row["p_value"], row["beyond_chance"]) == (1.0, False)


@pytest.mark.parametrize(
    ("figure", "runs", "is_told"), [("p90", 29, False), ("p90", 30, True), ("p50", 29, True)]
)
def test_a_quantile_needs_three_values_on_either_side(
    database: Database, figure: str, runs: int, is_told: bool
) -> None:
    both = [
        run(f"{day}-{n}", at(day + 10 * n / runs), took=100 + day + n * 7 % runs)
        for day in (0, 10)
        for n in range(runs)
    ]
    fill(database, both)
    asked = {"figure": figure, "since": at(10), "until": at(20)}
    (row,) = records(reports.compare(database, "run-durations", **asked))  # type: ignore[arg-type]
    assert (row["p_value"] is not None) is is_told


def test_each_pipeline_is_judged_by_its_own_values(database: Database) -> None:
    """One whose median and ranks move apart, one that rises, one that stays: in any order."""
    numbers = range(100)
    took = {
        1: (
            [100 if n % 5 < 3 else 200 for n in numbers],
            [101 if n % 20 < 11 else 1 for n in numbers],
        ),
        2: ([10 + n * 7 % 100 for n in numbers], [60 + n * 7 % 100 for n in numbers]),
        3: ([5000 + n % 9 for n in numbers], [5000 + n % 9 for n in numbers]),
    }
    fill(
        database,
        [
            run(f"{p}-{day}-{n}", at(day + n / 10), took=of[day // 10][n], pipeline=p)
            for p, of in took.items()
            for day in (0, 10)
            for n in numbers
        ],
        pipelines=[pipeline(1, "apart"), pipeline(2, "rises"), pipeline(3, "stays")],
    )
    found = records(reports.compare(database, "run-durations", since=at(10), until=at(20)))
    told = {row["pipeline"]: (row["change"].total_seconds(), row["beyond_chance"]) for row in found}
    assert told == {"apart": (1, False), "rises": (50, True), "stays": (0, False)}


def test_p_values_are_corrected_for_the_number_of_rows(database: Database) -> None:
    one = [*_spread(0, "ppfpf" * 20), *_spread(10, "ppppf" * 20)]
    others = [
        r
        for p in range(2, 12)
        for r in (*_spread(0, "ppfpf" * 20, pipeline=p), *_spread(10, "ppfpf" * 20, pipeline=p))
    ]
    fill(database, [*one, *others], pipelines=[pipeline(p, f"p{p:02}") for p in range(1, 12)])
    window = {"since": at(10), "until": at(20)}
    alone, *_ = records(reports.compare(database, pipelines=["p01"], **window))  # type: ignore[arg-type]
    first, *rest = records(reports.compare(database, **window))  # type: ignore[arg-type]
    assert first["p_value"] > 2 * alone["p_value"]
    assert {row["p_value"] for row in rest} == {1.0}


def test_a_group_of_one_window_alone_has_no_change(database: Database) -> None:
    fill(
        database,
        [*_runs(0, "pp"), *_runs(10, "pf", pipeline=2), *_runs(10, "p", branch=None)],
        pipelines=[pipeline(1, "build"), pipeline(2, "deploy")],
    )
    asked = {"since": at(10), "until": at(20), "by": ["branch", "pipeline"]}
    found = [
        (r["branch"], r["pipeline"], r["before"], r["after"], r["change"], r["beyond_chance"])
        for r in records(reports.compare(database, **asked))  # type: ignore[arg-type]
    ]
    assert found == [
        ("main", "build", 1.0, None, None, None),
        ("main", "deploy", None, 0.5, None, None),
        (None, "build", None, 1.0, None, None),
    ]


def test_both_figures_are_those_of_the_report_itself(database: Database) -> None:
    runs = [*_runs(0, "pfppffap" * 9), *_runs(10, "ppfpapfp" * 9)]
    for n, one in enumerate(runs):
        one |= {"queued_ms": 1000 * (n % 13), "commit_hash": f"c{n // 3}"}
    steps = [step(r, 1, "test", 3 + n % 7, str(r["result"])) for n, r in enumerate(runs)]
    fill(database, runs, steps)
    windows = {"before": (at(0), at(10)), "after": (at(10), at(20))}
    for name, report in COMPARABLE.items():
        for by in (report.by, (), ("weekday",)):
            compared = reports.compare(database, name, since=at(10), until=at(20), by=by)
            keys = [str(name) for name in compared][:-9]
            for side, (since, until) in windows.items():
                alone = getattr(reports, name)(database, since=since, until=until, by=by)
                whole = alone[[*keys, report.main.column]].dropna(subset=[report.main.column])
                mine = compared[[*keys, side]].dropna(subset=[side])
                mine = mine.rename(columns={side: report.main.column})
                if keys:
                    whole, mine = (f.sort_values(keys, ignore_index=True) for f in (whole, mine))
                pd.testing.assert_frame_equal(
                    mine.reset_index(drop=True), whole.reset_index(drop=True)
                )


def test_the_last_four_weeks_are_compared_if_nobody_says(database: Database, now: datetime) -> None:
    fill(database, [*_runs(43, "ff"), *_runs(45, "fp"), *_runs(73, "pp")])
    (row,) = records(reports.compare(database))
    assert (row["before"], row["after"]) == (0.5, 1.0)


def test_jobs_that_came_in_between_are_told_apart(database: Database) -> None:
    old, new = run("a", at(0)), run("b", at(10))
    fill(database, [old, new], [step(old, 1, "test"), step(new, 1, "test", 1, job="linux")])
    frame = reports.compare(database, "step_durations", since=at(10), until=at(20))
    assert [(r["step"], r["job"], r["before"] is None) for r in records(frame)] == [
        ("test", "linux", True),
        ("test", None, False),
    ]


def test_what_cannot_be_compared_is_said(sqlite: Database, now: datetime) -> None:
    with pytest.raises(
        ConfigError, match="there is no report 'pass_rate'; did you mean 'pass_rates'"
    ):
        reports.compare(sqlite, "pass_rate")
    with pytest.raises(ConfigError, match="no figure 'p99' to compare; did you mean 'p95'"):
        reports.compare(sqlite, "run_durations", figure="p99", since=at(0))
    with pytest.raises(ConfigError, match="pass_rates has no figure 'p95' to compare"):
        reports.compare(sqlite, figure="p95", since=at(0))
    with pytest.raises(ConfigError, match="leave every away"):
        reports.compare(sqlite, every="week")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs since"):
        reports.compare(sqlite, since=None)
    with pytest.raises(ConfigError, match=re.escape("cannot be grouped by 'step'")):
        reports.compare(sqlite, "queue_times", by=["step"])


def test_empty_and_full_comparisons_are_of_one_form(sqlite: Database) -> None:
    asked = {"since": at(10), "until": at(20)}
    empty = {n: reports.compare(sqlite, n, **asked).dtypes for n in COMPARABLE}  # type: ignore[arg-type]
    runs = [*_runs(0, "pfpaf"), *_runs(10, "pfpaf")]
    fill(sqlite, runs, [step(r, 1, "test", 1, str(r["result"])) for r in runs])
    for name, dtypes in empty.items():
        frame = reports.compare(sqlite, name, **asked)  # type: ignore[arg-type]
        assert len(frame) > 0
        pd.testing.assert_series_equal(frame.dtypes, dtypes)
        assert list(frame)[-9:] == [column.name for column in columns_of(REPORTS[name])]

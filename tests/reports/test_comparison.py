"""Comparisons of two windows, by hand and by the reports they compare."""

import re
from datetime import datetime

import pandas as pd
import pytest

from runsync import reports
from runsync.errors import ConfigError
from runsync.reports.definitions import REPORTS
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, records, run, step


def _runs(day: float, words: str, **more: object) -> list[dict[str, object]]:
    """One run an hour from a day on: p passed, f failed, a aborted."""
    names = {"p": "passed", "f": "failed", "a": "aborted"}
    made = []
    for n, letter in enumerate(words):
        created = at(day, hours=n)
        made.append(run(f"{day}-{n}-{more}", created, names[letter], **more))  # type: ignore[arg-type]
    return made


def test_a_rate_against_the_window_before(database: Database) -> None:
    # Newcombe's own example: 56 of 70 against 48 of 80.
    before, after = _runs(0, "p" * 48 + "f" * 32), _runs(10, "p" * 56 + "f" * 14)
    fill(database, [*before, *after, *_runs(20, "fff"), *_runs(-20, "fff")])
    (row,) = records(reports.compare(database, since=at(10), until=at(20)))
    assert row == {
        "pipeline": "build",
        "before": 0.6,
        "after": 0.8,
        "change": pytest.approx(0.2),
        "low": pytest.approx(0.0524, abs=5e-5),
        "high": pytest.approx(0.3339, abs=5e-5),
        "beyond_chance": True,
    }


def test_a_fall_is_as_far_beyond_chance_as_a_rise(database: Database) -> None:
    fill(database, [*_runs(0, "p" * 56 + "f" * 14), *_runs(10, "p" * 48 + "f" * 32)])
    (row,) = records(reports.compare(database, since=at(10), until=at(20)))
    assert row["change"] == pytest.approx(-0.2)
    assert row["low"] == pytest.approx(-0.3339, abs=5e-5)
    assert row["beyond_chance"] is True


def test_the_same_in_both_windows_is_within_chance(database: Database) -> None:
    fill(database, [*_runs(0, "ppfpa"), *_runs(10, "ppfpa")])
    for report in ("pass_rates", "aborts"):
        (row,) = records(reports.compare(database, report, since=at(10), until=at(20)))
        assert (row["change"], row["beyond_chance"]) == (0, False)
        assert row["low"] == -row["high"] < 0


def test_a_median_against_the_window_before(database: Database) -> None:
    before = [run(f"b{n}", at(n / 10), took=10 + n) for n in range(9)]
    after = [run(f"a{n}", at(10 + n / 10), took=110 + n) for n in range(9)]
    fill(database, [*before, *after])
    (row,) = records(reports.compare(database, "run_durations", since=at(10), until=at(20)))
    second = pd.Timedelta(seconds=1)
    assert (row["before"], row["after"], row["change"]) == (14 * second, 114 * second, 100 * second)
    # Of nine values the second and the eighth hold the median; the widths add as squares do.
    assert row["low"] / second == pytest.approx(100 - (3**2 + 3**2) ** 0.5, abs=1e-5)
    assert row["high"] / second == pytest.approx(100 + (3**2 + 3**2) ** 0.5, abs=1e-5)
    assert row["beyond_chance"] is True


def test_five_values_are_too_few_to_say(database: Database) -> None:
    before = [run(f"b{n}", at(n / 10), took=10) for n in range(9)]
    after = [run(f"a{n}", at(10 + n / 10), took=1000) for n in range(5)]
    fill(database, [*before, *after])
    (row,) = records(reports.compare(database, "run-durations", since=at(10), until=at(20)))
    assert row["change"] == pd.Timedelta(seconds=990)
    assert (row["low"], row["high"], row["beyond_chance"]) == (None, None, None)


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
    for name, report in REPORTS.items():
        for by in (report.by, (), ("weekday",)):
            compared = reports.compare(database, name, since=at(10), until=at(20), by=by)
            keys = [str(name) for name in compared][:-6]
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


def test_the_last_thirty_days_are_compared_if_nobody_says(
    database: Database, now: datetime
) -> None:
    fill(database, [*_runs(39, "ff"), *_runs(41, "fp"), *_runs(71, "pp")])
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
    with pytest.raises(ConfigError, match="leave every away"):
        reports.compare(sqlite, every="week")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs since"):
        reports.compare(sqlite, since=None)
    with pytest.raises(ConfigError, match=re.escape("cannot be grouped by 'step'")):
        reports.compare(sqlite, by=["step"])


def test_empty_and_full_comparisons_are_of_one_form(sqlite: Database) -> None:
    asked = {"since": at(10), "until": at(20)}
    empty = {n: reports.compare(sqlite, n, **asked).dtypes for n in REPORTS}  # type: ignore[arg-type]
    runs = [*_runs(0, "pfpaf"), *_runs(10, "pfpaf")]
    fill(sqlite, runs, [step(r, 1, "test", 1, str(r["result"])) for r in runs])
    for name, dtypes in empty.items():
        frame = reports.compare(sqlite, name, **asked)  # type: ignore[arg-type]
        assert len(frame) > 0
        pd.testing.assert_series_equal(frame.dtypes, dtypes)
        assert list(frame)[-6:] == ["before", "after", "change", "low", "high", "beyond_chance"]

"""Every report against figures made by hand, in SQLite and in PostgreSQL."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, cover, fill, pipeline, records, run, step

WORDS = ["passed", "passed", "passed", "failed", "aborted", "skipped", "unknown"]


def seconds(value: float) -> pd.Timedelta:
    return pd.Timedelta(seconds=value)


def test_pass_rates_count_all_and_rate_only_verdicts(database: Database) -> None:
    finished = [run(f"r{n}", at(n), word) for n, word in enumerate(WORDS)]
    waiting = run("w", at(8), "unknown", status="running", finished_at=None, duration_ms=None)
    fill(database, [*finished, waiting])
    assert records(reports.pass_rates(database)) == [
        {
            "pipeline": "build",
            "finished": 7,
            "passed": 3,
            "failed": 1,
            "aborted": 1,
            "skipped": 1,
            "unknown": 1,
            "pass_rate": 0.75,
            "pass_rate_low": pytest.approx(0.300642, abs=1e-6),
            "pass_rate_high": pytest.approx(0.954413, abs=1e-6),
        }
    ]


def test_a_rate_of_nothing_is_missing_not_zero(database: Database) -> None:
    fill(database, [run("a", at(0), "aborted")])
    (row,) = records(reports.pass_rates(database))
    assert (row["finished"], row["aborted"], row["passed"]) == (1, 1, 0)
    assert [row[name] for name in ("pass_rate", "pass_rate_low", "pass_rate_high")] == [None] * 3


def test_step_durations_hold_finished_steps_that_ran(database: Database) -> None:
    runs = [run(f"r{n}", at(n)) for n in range(4)]
    tests = [step(r, 2, "test", took) for r, took in zip(runs, (1, 2, 3, 10), strict=True)]
    others = [
        step(runs[0], 1, "get code", 4.0, "failed"),
        step(runs[1], 1, "get code", 0.5, "skipped"),
        step(runs[2], 1, "get code", None),
        step(runs[3], 1, "get code", 9.0, status="running"),
    ]
    fill(database, runs, [*tests, *others])
    frame = reports.step_durations(database)
    assert list(frame) == [
        *("pipeline", "step", "job", "count", "mean", "p50", "p90", "p95", "max", "total", "share"),
    ]
    test, get_code = records(frame)
    assert test == {
        "pipeline": "build",
        "step": "test",
        "job": None,
        "count": 4,
        "mean": seconds(4),
        "p50": seconds(2.5),
        "p90": seconds(7.9),
        "p95": seconds(8.95),
        "max": seconds(10),
        "total": seconds(16),
        "share": 0.8,
    }
    assert (get_code["count"], get_code["total"], get_code["share"]) == (1, seconds(4), 0.2)


def test_step_durations_of_one_result(database: Database) -> None:
    runs = [run("a", at(0)), run("b", at(1))]
    fill(database, runs, [step(runs[0], 1, "test", 1), step(runs[1], 1, "test", 9, "failed")])
    assert list(reports.step_durations(database)["count"]) == [2]
    (row,) = records(reports.step_durations(database, result="failed"))
    assert (row["count"], row["p50"]) == (1, seconds(9))


def test_jobs_tell_steps_apart(database: Database) -> None:
    one = run("a", at(0))
    steps = [
        step(one, 1, "test", 1, job="linux", id="1"),
        step(one, 2, "test", 3, job="windows", id="2"),
        step(one, 3, "notify", 4, id="3"),
    ]
    fill(database, [one], steps)
    frame = reports.step_durations(database)
    assert [(r["step"], r["job"], r["share"]) for r in records(frame)] == [
        ("notify", None, 0.5),
        ("test", "windows", 0.375),
        ("test", "linux", 0.125),
    ]
    assert list(reports.step_durations(database, by=["job"]))[:3] == ["job", "step", "count"]
    shares = reports.step_durations(database, by=["job"])["share"]
    assert list(shares) == [1, 1, 1]
    assert list(reports.flaky_steps(database))[:3] == ["pipeline", "step", "job"]


def test_abort_frequencies(database: Database) -> None:
    runs = [
        *(run(f"p{n}", at(n)) for n in range(6)),
        run("a", at(6), "aborted", took=10),
        run("b", at(7), "aborted", took=20),
        run("c", at(8), "aborted", took=60),
        run("never", at(9), "aborted", queued=None),
    ]
    a, b, c = runs[6:9]
    steps = [
        # By position, not in the order of names, ids or rows.
        step(a, 2, "test", 1, "aborted", id="x"),
        step(a, 1, "zip", 1, id="y"),
        step(b, 1, "zip", 1, id="y"),
        step(b, 2, "test", 1, "aborted", id="x"),
        step(c, 1, "zip", 1, "aborted"),
        step(c, 2, "test", None, "unknown", status="notstarted"),
        step(runs[0], 3, "deploy", 1),
    ]
    fill(database, runs, steps)
    assert records(reports.abort_frequencies(database)) == [
        {
            "pipeline": "build",
            "finished": 10,
            "aborted": 4,
            "abort_rate": 0.4,
            "abort_rate_low": pytest.approx(0.168180, abs=1e-6),
            "abort_rate_high": pytest.approx(0.687326, abs=1e-6),
            "never_started": 1,
            "median_time_to_abort": seconds(20),
            "last_step": "test",
        }
    ]


def test_of_equally_common_last_steps_the_first_by_name_is_given(database: Database) -> None:
    runs = [run("a", at(0), "aborted"), run("b", at(1), "aborted")]
    fill(database, runs, [step(runs[0], 1, "zip"), step(runs[1], 1, "add")])
    assert list(reports.abort_frequencies(database)["last_step"]) == ["add"]


def test_without_aborts_there_is_no_time_to_them(database: Database) -> None:
    fill(database, [run("a", at(0))])
    (row,) = records(reports.abort_frequencies(database))
    assert (row["aborted"], row["abort_rate"], row["never_started"]) == (0, 0.0, 0)
    assert (row["median_time_to_abort"], row["last_step"]) == (None, None)


def test_queue_times_and_run_durations(database: Database) -> None:
    runs = [
        run("a", at(0), queued=1, took=100),
        run("b", at(1), "failed", queued=2, took=300),
        run("c", at(2), queued=9, took=None, status="running", result="unknown"),
        run("d", at(3), "aborted", queued=None),
    ]
    fill(database, runs)
    (queued,) = records(reports.queue_times(database))
    assert queued == {
        "pipeline": "build",
        "count": 3,
        "mean": seconds(4),
        "p50": seconds(2),
        "p90": seconds(7.6),
        "p95": seconds(8.3),
        "max": seconds(9),
    }
    (took,) = records(reports.run_durations(database))
    assert (took["count"], took["mean"], took["max"]) == (2, seconds(200), seconds(300))
    (passed,) = records(reports.run_durations(database, result="passed"))
    assert (passed["count"], passed["p95"]) == (1, seconds(100))


def test_recoveries_go_from_the_first_failure_to_the_next_pass(database: Database) -> None:
    words = [
        "failed",
        "passed",
        "failed",
        "failed",
        "aborted",
        "passed",
        "failed",
        "passed",
        "failed",
    ]
    runs = [run(f"r{n}", at(n), word) for n, word in enumerate(words)]
    fill(database, runs)
    assert records(reports.recoveries(database)) == [
        {
            "pipeline": "build",
            "branch": "main",
            "failures": 3,
            "open_since": pd.Timestamp(at(8, seconds=11)),
            "mean_time_to_recovery": pd.Timedelta(days=2),
            "p50": pd.Timedelta(days=2),
            "p90": pd.Timedelta(days=2, hours=19, minutes=12),
        }
    ]


def test_branches_break_by_themselves_and_unbroken_ones_have_no_row(database: Database) -> None:
    runs = [
        run("a", at(0), branch="one"),
        run("b", at(1), "failed", branch="two"),
        run("c", at(2), "failed", branch=None),
        run("d", at(3), "passed", branch=None),
        run("e", at(4), "failed", branch=None),
    ]
    fill(database, runs)
    (row,) = records(reports.recoveries(database))
    assert (row["branch"], row["failures"], row["p50"]) == (None, 1, None)


def test_runs_are_taken_in_the_order_in_which_they_ended(database: Database) -> None:
    # Created as passed, failed, passed; but the last to end is the failure.
    runs = [
        run("a", at(0)),
        run("slow", at(1), "failed", took=86400 * 3),
        run("b", at(2)),
        run("c", at(5)),
    ]
    fill(database, runs)
    (row,) = records(reports.recoveries(database))
    assert row["p50"] == pd.Timedelta(days=1) + seconds(10)


def test_a_branch_without_a_run_in_the_window_is_not_looked_at(database: Database) -> None:
    broken = [("passed", 0), ("failed", 1), ("failed", 11)]
    runs = [
        *(run(f"{p}{n}", at(n), word, pipeline=p) for p in (1, 2) for word, n in broken),
        *(run(f"old{n}", at(n), word, branch="old") for word, n in broken[:2]),
    ]
    fill(database, runs, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    frame = reports.recoveries(database, since=at(10))
    assert [(r["pipeline"], r["branch"]) for r in records(frame)] == [
        ("build", "main"),
        ("deploy", "main"),
    ]


def test_what_was_before_the_window_tells_what_broke_in_it(database: Database) -> None:
    runs = [
        run("a", at(0), branch="broken for long"),
        run("b", at(1), "failed", branch="broken for long"),
        run("c", at(11), "failed", branch="broken for long"),
        run("d", at(0), branch="broke in it"),
        run("e", at(12), "failed", branch="broke in it"),
        run("f", at(13), branch="broke in it"),
        run("g", at(12), "failed", branch="never passed"),
    ]
    fill(database, runs)
    found = {r["branch"]: r for r in records(reports.recoveries(database, since=at(10)))}
    assert set(found) == {"broken for long", "broke in it"}
    assert found["broken for long"]["failures"] == 0
    assert found["broken for long"]["open_since"] == pd.Timestamp(at(1, seconds=11))
    assert found["broken for long"]["mean_time_to_recovery"] is None
    assert found["broke in it"]["failures"] == 1
    assert found["broke in it"]["p50"] == pd.Timedelta(days=1)
    assert found["broke in it"]["open_since"] is None
    later = records(reports.recoveries(database, since=at(10), until=at(12.5)))
    assert {r["branch"] for r in later if r["open_since"]} == set(found)


def test_flaky_steps_did_both_on_one_commit(database: Database) -> None:
    runs = [
        run("a", at(0), commit_hash="one"),
        run("b", at(1), commit_hash="one"),
        run("c", at(2), commit_hash="two"),
        run("d", at(3), commit_hash="two"),
        run("e", at(4), commit_hash=None),
    ]
    verdicts = [
        ("failed", "passed"),
        ("passed", "passed"),
        ("failed", "passed"),
        ("failed", "passed"),
    ]
    steps = [
        step(r, n, name, 1, verdict)
        for r, both in zip(runs, [*verdicts, ("failed", "aborted")], strict=True)
        for n, (name, verdict) in enumerate(zip(("test", "lint"), both, strict=True))
    ]
    fill(database, runs, steps)
    frame = reports.flaky_steps(database)
    assert list(frame)[:3] == ["pipeline", "step", "job"]
    assert records(frame.drop(columns=["pipeline", "job"])) == [
        {"step": "lint", "commits": 2, "flaky_commits": 0, "flake_rate": 0.0},
        {"step": "test", "commits": 2, "flaky_commits": 1, "flake_rate": 0.5},
    ]


def test_a_commit_of_two_pipelines_is_two_commits(database: Database) -> None:
    runs = [run("a", at(0), commit_hash="one"), run("b", at(1), pipeline=2, commit_hash="one")]
    steps = [step(runs[0], 1, "test"), step(runs[1], 1, "test", 1, "failed")]
    fill(database, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    (row,) = records(reports.flaky_steps(database, by=()))
    assert (row["commits"], row["flaky_commits"]) == (2, 0)


def test_a_flaky_commit_counts_once_in_the_period_of_its_first_run(database: Database) -> None:
    runs = [run("a", at(0), commit_hash="one"), run("b", at(8), commit_hash="one")]
    steps = [step(runs[0], 1, "test"), step(runs[1], 1, "test", 1, "failed")]
    fill(database, runs, steps)
    (row,) = records(reports.flaky_steps(database, every="week"))
    assert (row["period"], row["commits"], row["flaky_commits"]) == (
        pd.Timestamp("2024-03-04"),
        1,
        1,
    )


def test_groups_are_sorted_and_missing_ones_come_last(database: Database) -> None:
    runs = [
        run("a", at(0), branch="b", author="x"),
        run("b", at(1), branch=None, author="x"),
        run("c", at(2), branch="a", author=None),
        run("d", at(2), branch="a", author="x"),
    ]
    fill(database, runs)
    frame = reports.pass_rates(database, by=["branch", "author"])
    assert [(r["branch"], r["author"], r["finished"]) for r in records(frame)] == [
        ("a", "x", 1),
        ("a", None, 1),
        ("b", "x", 1),
        (None, "x", 1),
    ]


def test_by_weekday_and_hour_of_a_zone(database: Database) -> None:
    fill(database, [run("a", at(0, hours=23)), run("b", at(6, hours=3)), run("c", at(0, hours=9))])
    frame = reports.queue_times(database, by=("weekday", "hour"), tz="Asia/Tokyo")
    assert [(r["weekday"], r["hour"]) for r in records(frame)] == [
        ("Monday", 18),
        ("Tuesday", 8),
        ("Sunday", 12),
    ]


def test_periods_begin_at_midnight_of_the_zone_and_weeks_on_monday(database: Database) -> None:
    fill(database, [run("a", at(-1, hours=22.9)), run("b", at(-1, hours=23.1)), run("c", at(28))])

    def periods(**asked: Any) -> list[str]:
        frame = reports.pass_rates(database, by=(), **asked)
        return [f"{p:%m-%d}" for p in frame["period"]]

    assert periods(every="day") == ["03-03", "04-01"]
    assert periods(every="day", tz="Europe/Berlin") == ["03-03", "03-04", "04-01"]
    assert periods(every="week", tz="Europe/Berlin") == ["02-26", "03-04", "04-01"]
    assert periods(every="month") == ["03-01", "04-01"]


def test_a_window_holds_its_begin_and_not_its_end(database: Database) -> None:
    fill(database, [run("a", at(1)), run("b", at(2)), run("c", at(3))])
    for report in (reports.pass_rates, reports.run_durations):
        frame = report(database, since=at(1), until=at(3))
        assert frame.iloc[0, 1] == 2


def test_pipelines_are_chosen_by_name_id_and_beginning(database: Database) -> None:
    pipelines = [pipeline(1, "build"), pipeline(2, "deploy"), pipeline(0x33, "lint")]
    fill(
        database,
        [run("a", at(0)), run("b", at(0), pipeline=2), run("c", at(0), pipeline=0x33)],
        pipelines=pipelines,
    )

    def chosen(*words: Any, **more: Any) -> list[str]:
        return list(reports.pass_rates(database, pipelines=words, **more)["pipeline"])

    assert chosen("deploy") == ["deploy"]
    assert chosen("build", 2) == ["build", "deploy"]
    assert chosen("00000033") == ["lint"]
    assert chosen("0000003", since=at(-1)) == ["lint"]
    assert list(reports.pass_rates(database, pipelines="lint")["pipeline"]) == ["lint"]
    assert chosen() == []


def test_branches_are_chosen_by_name(database: Database) -> None:
    fill(database, [run("a", at(0)), run("b", at(1), branch="dev"), run("c", at(2), branch=None)])
    assert list(reports.pass_rates(database, branches="dev")["finished"]) == [1]
    assert list(reports.pass_rates(database, branches=["dev", "main"])["finished"]) == [2]
    assert reports.pass_rates(database, branches=["nowhere"]).empty


def test_pipelines_of_one_name_are_counted_apart(database: Database) -> None:
    fill(
        database,
        [run("a", at(0)), run("b", at(0), "failed", pipeline=2), run("c", at(0), pipeline=3)],
        pipelines=[pipeline(1, "build"), pipeline(2, "build"), pipeline(3, "deploy")],
    )
    frame = reports.pass_rates(database, pipelines=["build"])
    assert list(frame["pipeline"]) == ["build (00000001)", "build (00000002)"]
    assert list(frame["pass_rate"]) == [1.0, 0.0]
    assert list(reports.pass_rates(database, pipelines=["build (00000002)"])["failed"]) == [1]


@pytest.fixture
def weeks(database: Database, now: datetime) -> Callable[..., dict[str, bool]]:
    """Fills four weeks of runs of two pipelines; gives which weeks are partial."""
    runs = [run(f"{p}{n}", at(n + 0.5), pipeline=p) for n in range(28) for p in (1, 2)]
    fill(database, runs, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])

    def partial(**asked: Any) -> dict[str, bool]:
        frame = reports.pass_rates(database, every="week", **asked)
        return {f"{r['period']:%m-%d}": r["partial"] for r in records(frame)}

    return partial


def test_what_was_never_covered_is_partial(weeks: Callable[..., dict[str, bool]]) -> None:
    assert weeks(by=()) == dict.fromkeys(("03-04", "03-11", "03-18", "03-25"), True)


def test_covered_weeks_are_whole(database: Database, weeks: Callable[..., dict[str, bool]]) -> None:
    cover(database, (at(7), at(22)))
    found = {"03-04": True, "03-11": False, "03-18": False, "03-25": True}
    assert weeks(pipelines=["build"]) == found
    assert weeks(pipelines=["build"], by=()) == found
    assert weeks(pipelines=["build"], by=["source"]) == found
    # A figure of both pipelines needs both of them covered.
    assert all(weeks(by=()).values())
    assert all(weeks(by=["source"]).values())


def test_a_gap_makes_its_week_partial(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(-9), at(8)), (at(9), at(40)), synced=at(50))
    assert weeks(pipelines=["build"]) == {
        "03-04": False,
        "03-11": True,
        "03-18": False,
        "03-25": False,
    }


def test_a_listing_that_reaches_the_start_covers_all_before(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(5), at(40)), reaches_start=True)
    assert not any(weeks(pipelines=["build"]).values())


def test_a_good_sync_covers_what_is_quiet(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(0), at(27.5)), synced=at(28))
    assert not weeks(pipelines=["build"])["03-25"]


@pytest.mark.parametrize("outcome", ["partial", "failed", "interrupted", "running"])
def test_a_sync_that_did_not_end_well_covers_nothing(
    database: Database, weeks: Callable[..., dict[str, bool]], outcome: str
) -> None:
    cover(database, (at(0), at(27.5)), synced=at(28), outcome=outcome)
    assert weeks(pipelines=["build"])["03-25"]


def test_stretches_of_several_listings_add_up(
    database: Database, weeks: Callable[..., dict[str, bool]]
) -> None:
    cover(database, (at(0), at(17)), listing="one")
    cover(database, (at(16), at(40)), listing="all", pipelines=[1, 2])
    assert not any(weeks(pipelines=["build"]).values())
    assert weeks(by=()) == {"03-04": True, "03-11": True, "03-18": True, "03-25": False}


def test_a_week_that_the_window_cuts_or_that_is_not_over_is_partial(
    database: Database, weeks: Callable[..., dict[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cover(database, (at(-30), at(90)), pipelines=[1, 2])
    assert weeks(since=at(8), until=at(27)) == {"03-11": True, "03-18": False, "03-25": True}
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: at(27.9))
    assert weeks()["03-25"]
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: at(28))
    assert not weeks()["03-25"]

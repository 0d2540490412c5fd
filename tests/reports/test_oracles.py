"""Random histories: the reports against a naive reckoning, and against themselves."""

import math
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from runsync import reports
from runsync.reports.definitions import REPORTS
from runsync.storage.database import Database
from tests.reports import naive
from tests.reports.database_rows import Row, at, empty, fill, pipeline, run, step

RESULTS = ["passed", "failed", "aborted", "skipped", "unknown"]
TIES = st.integers(0, 3)
ERRORS = st.sampled_from([{}, {}, {"outcome": "error"}, {"outcome": "timeout"}])
DAYS = st.integers(0, 20).map(lambda days: days * 86400)
NAMES = ["build", "deploy", "lint"]
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"]

# Each example asks for some ten reports.
FEWER = settings(max_examples=max(3, settings().max_examples // 4))

History = tuple[list[Row], list[Row]]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Runs of two pipelines over some weeks, with steps; nothing is where one expects it."""
    runs: list[Row] = []
    steps: list[Row] = []
    for n in range(draw(st.integers(0, 25))):
        word = draw(st.sampled_from(RESULTS))
        waiting = draw(st.integers(0, 9)) == 0
        number, attempt = (n, 1) if n % 4 or not n else (n - 1, 2)
        made = run(
            f"r{number}" + f".{attempt}" * (attempt > 1),
            at(hours=draw(st.integers(0, 24 * 50))) + timedelta(milliseconds=draw(TIES)),
            "unknown" if waiting else word,
            pipeline=draw(st.integers(1, 2)),
            attempt=attempt,
            queued=draw(st.none() | st.integers(0, 600)),
            took=None if waiting else draw(st.none() | st.integers(0, 9000) | DAYS),
            branch=draw(st.sampled_from(["main", "dev", None])),
            author=draw(st.sampled_from(["ann", "bob", None])),
            commit_hash=draw(st.sampled_from(["c1", "c2", "c3", None])),
            status="running" if waiting else "finished",
            event=draw(st.sampled_from(["push", "schedule", None])),
            **draw(ERRORS),
        )
        runs.append(made)
        for k in range(draw(st.integers(0, 3))):
            steps.append(_step(draw, made, k))
    return runs, steps


def _step(draw: st.DrawFn, of: Row, position: int) -> Row:
    return step(
        of,
        position,
        draw(st.sampled_from(NAMES)),
        draw(st.none() | st.integers(0, 500)),
        draw(st.sampled_from(RESULTS)),
        status=draw(st.sampled_from(["finished", "finished", "finished", "running"])),
        created_at=draw(st.none() | st.integers(0, 1200).map(lambda hours: at(hours=hours))),
        **draw(ERRORS),
        runner=draw(st.sampled_from([None, "ubuntu-24.04", "mac-1"])),
        job=draw(st.sampled_from([None, None, "linux"])),
        extra=draw(st.sampled_from([None, None, {"retried": True}, {"retried": False, "a": [1]}])),
    )


def joined(history: History) -> list[Row]:
    """The steps, each with its run's columns where it has none of its own."""
    runs = {(r["pipeline_id"], r["id"]): r for r in history[0]}
    of_run = ("branch", "author", "commit_hash", "created_at", "event", "web_url")
    return [
        s | {name: runs[s["pipeline_id"], s["run_id"]][name] for name in of_run} for s in history[1]
    ]


def stored(database: Database, history: History) -> None:
    empty(database)
    fill(database, *history, pipelines=[pipeline(1, "p1"), pipeline(2, "p2")])


def told(frame: pd.DataFrame, keys: int) -> dict[naive.Key, Row]:
    """A report by its keys, as plain values: seconds, dates, times, None."""
    made = {}
    for row in frame.itertuples(index=False, name=None):
        plain = [_plain(value) for value in row]
        names = [str(name) for name in frame]
        figures = dict(zip(names[keys:], plain[keys:], strict=True))
        figures.pop("partial", None)
        made[tuple(plain[:keys])] = figures
    assert len(made) == len(frame)
    return made


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timedelta):
        return value.total_seconds()
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime() if value.tzinfo else value.date()
    return value


def agree(mine: dict[naive.Key, Row], theirs: dict[naive.Key, Row]) -> None:
    assert set(mine) == set(theirs)
    for key, figures in theirs.items():
        for name, figure in figures.items():
            found = mine[key][name]
            same = (
                math.isclose(found, figure, rel_tol=1e-9, abs_tol=1.1e-6)
                if isinstance(figure, float) and found is not None
                else found == figure
            )
            assert same, (key, name, found, figure)


RUN_KEYS = st.lists(
    st.sampled_from(["pipeline", "source", "branch", "author", "event", "weekday", "hour"]),
    unique=True,
    max_size=3,
)
PERIODS = st.sampled_from([None, "day", "week", "month"])


@FEWER
@given(history=histories(), by=RUN_KEYS, every=PERIODS, zone=st.sampled_from(ZONES))
def test_run_reports_are_the_naive_ones(
    sqlite: Database, history: History, by: list[str], every: str | None, zone: str
) -> None:
    stored(sqlite, history)
    runs, steps = history
    asked: dict[str, Any] = {"by": by, "every": every, "tz": zone}
    key, keys = naive.key_of(by, every, ZoneInfo(zone)), len(by) + bool(every)
    agree(told(reports.pass_rates(sqlite, **asked), keys), naive.pass_rates(runs, key))
    queued = [r for r in runs if r["queued_ms"] is not None]
    agree(told(reports.queue_times(sqlite, **asked), keys), naive.spread(queued, "queued_ms", key))
    done = [r for r in runs if r["status"] == "finished" and r["duration_ms"] is not None]
    agree(
        told(reports.run_durations(sqlite, **asked), keys), naive.spread(done, "duration_ms", key)
    )
    agree(told(reports.abort_frequencies(sqlite, **asked), keys), naive.aborts(runs, steps, key))
    agree(told(reports.recoveries(sqlite, **asked), keys), naive.recoveries(runs, None, key))


@FEWER
@given(history=histories(), by=RUN_KEYS, every=PERIODS, zone=st.sampled_from(ZONES))
def test_step_reports_are_the_naive_ones(
    sqlite: Database, history: History, by: list[str], every: str | None, zone: str
) -> None:
    stored(sqlite, history)
    steps = joined(history)
    key = naive.key_of([*by, "step", "job"], every, ZoneInfo(zone))
    keys = len(by) + 2 + bool(every)
    frame = reports.step_durations(sqlite, by=by, every=every, tz=zone)  # type: ignore[arg-type]
    agree(told(frame, keys), naive.spread(naive.ran(steps), "duration_ms", key))
    failures = reports.step_failures(sqlite, by=by, every=every, tz=zone)  # type: ignore[arg-type]
    agree(told(failures, keys), naive.failures(steps, key))
    for of_steps in (["step"], ["job"], ["runner", "step"]):
        ask: dict[str, Any] = {"by": [*by, *of_steps], "every": every, "tz": zone}
        key = naive.key_of(ask["by"], every, ZoneInfo(zone))
        rates = told(reports.pass_rates(sqlite, **ask), len(ask["by"]) + bool(every))
        agree(rates, naive.pass_rates(naive.of_runs(steps, key), lambda row: row["group"]))
    lasting = [name for name in by if name not in ("weekday", "hour")]
    key = naive.key_of([*lasting, "step", "job"], None, ZoneInfo(zone))
    flaky = reports.flaky_steps(sqlite, by=lasting)  # type: ignore[arg-type]
    agree(told(flaky, len(lasting) + 2), naive.flaky(steps, key))


@FEWER
@given(history=histories(), since=st.integers(0, 50), length=st.integers(1, 30))
def test_a_window_is_the_history_cut_out(
    sqlite: Database, history: History, since: int, length: int
) -> None:
    stored(sqlite, history)
    begin, end = at(since), at(since + length)
    known = [r for r in history[0] if r["created_at"] < end]
    within = [r for r in known if r["created_at"] >= begin]
    key = naive.key_of(["pipeline"], None, ZoneInfo("UTC"))
    asked: dict[str, Any] = {"since": begin, "until": end, "by": ["pipeline"]}
    agree(told(reports.pass_rates(sqlite, **asked), 1), naive.pass_rates(within, key))
    agree(told(reports.recoveries(sqlite, **asked), 1), naive.recoveries(known, begin, key))


@FEWER
@given(history=histories())
def test_what_is_red_is_the_naive_answer(sqlite: Database, history: History) -> None:
    stored(sqlite, history)
    runs, steps = history
    known = [r for r in runs if r["created_at"] < at(55)]
    found = told(reports.broken_branches(sqlite, until=at(55)), 2)
    agree(found, naive.broken(known, steps, at(55)))
    firsts = [branch == "main" for _, branch in found]
    assert firsts == sorted(firsts, reverse=True)


@FEWER
@given(history=histories(), by=RUN_KEYS, every=PERIODS, zone=st.sampled_from(ZONES))
def test_minutes_are_the_naive_ones(
    sqlite: Database, history: History, by: list[str], every: str | None, zone: str
) -> None:
    stored(sqlite, history)
    for keys in (by, [*by, "runner"], [*by, "step", "job"]):
        ask: dict[str, Any] = {"by": keys, "every": every, "tz": zone, "prices": {"ubuntu*": 2}}
        found = told(reports.time_spent(sqlite, **ask), len(keys) + bool(every))
        key = naive.key_of(keys, every, ZoneInfo(zone))
        agree(found, naive.minutes(history[0], joined(history), key))


@st.composite
def changing(draw: st.DrawFn) -> History:
    """Sixty days of two pipelines whose levels change now and then; no two runs at one time."""
    rng = random.Random(draw(st.integers(0, 2**32 - 1)))
    runs, steps = [], []
    for number in (1, 2):
        levels = [(rng.choice([0.05, 0.6]), rng.choice([60, 90])) for _ in range(rng.randint(1, 3))]
        for n in range(240):
            fails, usual = levels[n * len(levels) // 240]
            result = rng.choice(RESULTS[2:]) if n % 9 == 0 else "passed"
            made = run(
                f"r{number}-{n}",
                at(n / 4 + rng.uniform(0, 0.2)),
                "failed" if rng.random() < fails else result,
                pipeline=number,
                took=None if n % 11 == 0 else usual * rng.uniform(0.7, 1.3),
                status="running" if n % 13 == 0 else "finished",
            )
            runs.append(made)
            took = None if n % 7 == 0 else usual * rng.uniform(0.2, 0.3)
            job, word = rng.choice([None, "linux"]), made["result"]
            steps += [step(made, 1, "build", took, word, job=job, created_at=at(0))]
    return runs, steps


@FEWER
@given(history=changing())
def test_the_figures_of_changes_are_the_naive_ones(sqlite: Database, history: History) -> None:
    stored(sqlite, history)
    keys = ["pipeline", "step", "job", "figure"]
    frame = reports.change_points(sqlite, until=at(61)).sort_values("at", kind="stable")
    frame["n"] = frame.groupby(keys, dropna=False).cumcount()
    times: dict[naive.Key, list[datetime]] = defaultdict(list)
    for row in frame[[*keys, "at"]].itertuples(index=False, name=None):
        *group, when = map(_plain, row)
        times[*group,].append(when)
    figures = ["before", "after", "change", "runs"]
    agree(told(frame[[*keys, "n", *figures]], 5), naive.changes(history[0], joined(history), times))
    event(f"{len(frame)} changes")


def _totals(frame: pd.DataFrame, names: list[str]) -> list[Any]:
    return [frame[name].sum() for name in names]


@FEWER
@given(history=histories(), by=RUN_KEYS, every=PERIODS, zone=st.sampled_from(ZONES))
def test_groups_and_periods_add_up_to_the_whole(
    sqlite: Database, history: History, by: list[str], every: str | None, zone: str
) -> None:
    stored(sqlite, history)
    counted: dict[Callable[..., pd.DataFrame], list[str]] = {
        reports.pass_rates: ["finished", "passed", "failed", "aborted", "skipped", "unknown"],
        reports.abort_frequencies: ["finished", "aborted", "never_started"],
        reports.step_durations: ["count", "total"],
        reports.queue_times: ["count"],
        reports.run_durations: ["count"],
        reports.recoveries: ["failures"],
        reports.broken_branches: ["runs_since"],
    }
    for report, names in counted.items():
        whole = report(sqlite, by=())
        parts = report(sqlite, by=by, every=every, tz=zone)
        assert _totals(parts, names) == _totals(whole, names), report.__name__
    shares = reports.step_durations(sqlite, by=by, every=every, tz=zone)  # type: ignore[arg-type]
    group = [*by, *(["period"] if every else [])]
    sums = shares.groupby(group, dropna=False, observed=True)["share"].sum() if group else None
    # A group whose steps all took no time has no shares.
    assert sums is None or all(math.isclose(s, 1) or s == 0 for s in sums)


@FEWER
@given(history=histories())
def test_the_order_in_which_rows_were_stored_does_not_matter(
    sqlite: Database, history: History
) -> None:
    frames = []
    for rows in (history, (history[0][::-1], history[1][::-1])):
        stored(sqlite, rows)
        frames.append([getattr(reports, name)(sqlite) for name in REPORTS])
    for one, other in zip(*frames, strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("example", range(3))
def test_postgres_and_sqlite_tell_the_same(
    sqlite: Database, postgres_url: str, example: int
) -> None:
    rng = random.Random(example)
    runs = [
        run(
            f"r{n}", at(hours=rng.uniform(0, 900)), rng.choice(RESULTS), pipeline=rng.randint(1, 2),
            queued=rng.choice([None, rng.uniform(0, 99)]), took=rng.uniform(0, 999),
            branch=rng.choice(["Zeta", "alpha", "äther", "_x", None]), commit_hash=f"c{n % 20}",
        )
        for n in range(200)
    ]  # fmt: skip
    steps = [
        step(r, k, rng.choice(["Build", "apt", "Übung"]), rng.uniform(0, 99), rng.choice(RESULTS))
        for r in runs
        for k in range(3)
    ]
    postgres = Database(postgres_url)
    for database in (sqlite, postgres):
        stored(database, (runs, steps))
    for name, report in REPORTS.items():
        for by in (report.by, ("branch",), ("weekday", "hour")):
            ask = {"by": by, "every": "week", "since": at(2), "tz": "Asia/Kathmandu"}
            one, other = (getattr(reports, name)(db, **ask) for db in (sqlite, postgres))
            pd.testing.assert_frame_equal(one, other)
    postgres.close()


def test_the_naive_clock_is_not_the_reports_own() -> None:
    assert naive.period(datetime(2024, 3, 31).date(), "week").isoformat() == "2024-03-25"  # noqa: DTZ001

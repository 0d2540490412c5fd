"""Histories in which nothing changes, but runs are not independent of each other.

On main a break stays for two to four runs; a defective commit is tried again; on a few bad days
many runs fail, of one pipeline or of all; the load of a day, which slows steps down and makes runs
wait, is like that of the day before. Each figure's true value is the same from the first day to
the last, so whatever is called a change is called so by mistake.

The variants are harder on a method than the plain history, each in one way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from runsync.storage.database import Database
from runsync.storage.tables import pipelines, runs, steps

Floats = npt.NDArray[np.float64]
Row = dict[str, Any]

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
"""A Monday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a history behaves.

    Attributes:
        runs_a_day: least and most of the pipelines' means.
        failing: least and most of the pipelines' shares of failing commits.
        sticky: how often a break on main stays for two to four runs.
        retried: how often a failed commit of a branch is tried again, once or twice.
        retry_fails: how often such a retry fails too.
        bad_days: share of days on which ``bad_day_fails`` of the runs fail on top.
        memory: correlation of a day's load with that of the day before.
        load: standard deviation of a day's load, as a logarithm of durations.
        spread: standard deviation of a step's duration, as a logarithm; ``heavy`` makes one in
            twenty several times as long.
        weekend: weekend's runs as a share of a working day's; on weekends the load is lower too.
        growth: how many times as many runs the last day has as the first.
        crunch: days of one stretch in which each failed commit is tried three to six times.
    """

    pipelines: int = 10
    steps: int = 8
    days: int = 60
    runs_a_day: tuple[float, float] = (5.0, 15.0)
    failing: tuple[float, float] = (0.03, 0.2)
    sticky: float = 0.5
    retried: float = 0.5
    retry_fails: float = 0.8
    bad_days: float = 0.03
    bad_day_fails: float = 0.4
    memory: float = 0.5
    load: float = 0.07
    spread: float = 0.3
    heavy: bool = False
    weekend: float = 1.0
    growth: float = 1.0
    crunch: int = 0


PLAIN = Profile()
VARIANTS = {
    "plain": PLAIN,
    "weekends": replace(PLAIN, weekend=0.2),
    "heavy tails": replace(PLAIN, heavy=True, spread=0.6),
    "growing": replace(PLAIN, growth=3.0),
    "retries in one week": replace(PLAIN, crunch=7),
    "strong load": replace(PLAIN, memory=0.8, load=0.15),
    "slow load": replace(PLAIN, memory=0.9, load=0.05),
}
INDEPENDENT = replace(PLAIN, sticky=0.0, retried=0.0, bad_days=0.0, load=0.0)


@dataclass(frozen=True, slots=True)
class PipelineHistory:
    """The runs of one pipeline, oldest first; durations in seconds.

    Attributes:
        days: when each was created, in days from the first.
        failed_at: the position of the step that failed, or -1.
        durations: of each run's steps; NaN behind a failed one.
    """

    days: Floats
    on_main: npt.NDArray[np.bool_]
    commits: npt.NDArray[np.int64]
    failed_at: npt.NDArray[np.int64]
    aborted: npt.NDArray[np.bool_]
    queued: Floats
    durations: Floats


def flat_history(profile: Profile, rng: np.random.Generator) -> list[PipelineHistory]:
    """A history of the profile, pipeline by pipeline."""
    shared = _load(profile, rng)
    bad = rng.random(profile.days) < profile.bad_days / 2
    return [_pipeline(profile, rng, shared, bad) for _ in range(profile.pipelines)]


def store(database: Database, history: list[PipelineHistory]) -> None:
    """Inserts a history into an empty database."""
    with database.write() as connection:
        named = [
            {"id": n, "source": "wercker", "external_id": f"{n:024x}", "name": f"pipeline-{n:02}"}
            for n in range(1, len(history) + 1)
        ]
        connection.execute(sa.insert(pipelines), named)
        for number, one in enumerate(history, 1):
            made = list(_run_rows(number, one))
            connection.execute(sa.insert(runs), made)
            connection.execute(sa.insert(steps), list(_step_rows(one, made)))


def _load(profile: Profile, rng: np.random.Generator) -> Floats:
    """A day's load: a stationary autoregression of one day's memory."""
    shocks = rng.normal(size=profile.days)
    shocks[1:] *= np.sqrt(1 - profile.memory**2)
    for day in range(1, profile.days):
        shocks[day] += profile.memory * shocks[day - 1]
    loads: Floats = shocks * profile.load
    if profile.weekend < 1:
        loads[_is_weekend(np.arange(profile.days))] -= profile.load
    return loads


def _is_weekend(days: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.floor(days) % 7 >= 5
    return found


def _pipeline(
    profile: Profile, rng: np.random.Generator, shared: Floats, bad: npt.NDArray[np.bool_]
) -> PipelineHistory:
    days = _created(profile, rng)
    whole = days.astype(np.int64)
    load = ((shared + _load(profile, rng)) / np.sqrt(2))[whole]
    is_bad = bad | (rng.random(profile.days) < profile.bad_days / 2)
    on_main, commits, failed = _verdicts(profile, rng, whole, is_bad[whole])
    count = len(days)
    return PipelineHistory(
        days=days,
        on_main=on_main,
        commits=commits,
        failed_at=np.where(failed, _failing_steps(profile, rng, commits), -1),
        aborted=~failed & (rng.random(count) < 0.04),
        queued=np.exp(rng.normal(np.log(20), 0.7, count) + 4 * load + is_bad[whole] * 0.7),
        durations=_durations(profile, rng, load + is_bad[whole] * 0.3),
    )


def _created(profile: Profile, rng: np.random.Generator) -> Floats:
    days = np.arange(profile.days)
    expected = rng.uniform(*profile.runs_a_day) * np.where(_is_weekend(days), profile.weekend, 1.0)
    grown = 1 + (profile.growth - 1) * days / profile.days
    counts = rng.poisson(expected * grown / grown.mean())
    found: Floats = np.sort(np.repeat(days, counts) + rng.uniform(0.3, 0.9, counts.sum()))
    return found


def _verdicts(
    profile: Profile,
    rng: np.random.Generator,
    days: npt.NDArray[np.int64],
    is_bad: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Which runs are on main, their commits, and which fail."""
    count = len(days)
    failing = rng.uniform(*profile.failing)
    on_main, failed = rng.random(count) < 0.5, np.zeros(count, bool)
    commits = np.arange(count)
    crunch = rng.integers(0, profile.days - profile.crunch) if profile.crunch else -1
    broken, again = 0, 0
    for n in range(count):
        is_crunch = bool(profile.crunch) and crunch <= days[n] < crunch + profile.crunch
        if again:
            again, on_main[n], commits[n] = again - 1, False, commits[n - 1]
            failed[n] = rng.random() < profile.retry_fails
            again *= int(failed[n])
        elif on_main[n] and broken:
            broken, failed[n] = broken - 1, True
        else:
            failed[n] = rng.random() < failing
            if failed[n] and on_main[n] and rng.random() < profile.sticky:
                broken = int(rng.integers(1, 4))
            elif failed[n] and not on_main[n] and rng.random() < profile.retried:
                again = int(rng.integers(3, 7) if is_crunch else rng.integers(1, 3))
    return on_main, commits, failed | (is_bad & (rng.random(count) < profile.bad_day_fails))


def _failing_steps(
    profile: Profile, rng: np.random.Generator, commits: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The step in which each run's commit would fail; of one commit always the same."""
    likely = rng.dirichlet(np.full(profile.steps, 0.7))
    chosen = rng.choice(profile.steps, size=commits.max(initial=0) + 1, p=likely)
    found: npt.NDArray[np.int64] = chosen[commits]
    return found


def _durations(profile: Profile, rng: np.random.Generator, load: Floats) -> Floats:
    shape = (len(load), profile.steps)
    usual = np.log(rng.uniform(5, 200, profile.steps))
    logs = usual + load[:, None] + rng.normal(0, 0.15, (len(load), 1))
    logs = logs + rng.normal(0, profile.spread, shape)
    if profile.heavy:
        logs = logs + np.where(rng.random(shape) < 0.05, rng.exponential(1.5, shape), 0)
    seconds: Floats = np.exp(logs)
    return seconds


def _run_rows(number: int, one: PipelineHistory) -> Iterator[Row]:
    for n, day in enumerate(one.days):
        created = FIRST_DAY + timedelta(days=float(day))
        started = created + timedelta(seconds=float(one.queued[n]))
        failed_at = int(one.failed_at[n])
        took = float(one.durations[n][: failed_at + 1 if failed_at >= 0 else None].sum())
        result = "failed" if failed_at >= 0 else "aborted" if one.aborted[n] else "passed"
        yield {
            "pipeline_id": number,
            "id": f"{n:06}",
            "attempt": 1,
            "branch": "main" if one.on_main[n] else f"branch-{one.commits[n] % 40}",
            "commit_hash": f"{number:02}{one.commits[n]:06}",
            "author": f"author-{one.commits[n] % 7}",
            "status": "finished",
            "result": result,
            "created_at": created,
            "started_at": started,
            "finished_at": started + timedelta(seconds=took),
            "queued_ms": round(float(one.queued[n]) * 1000),
            "duration_ms": round(took * 1000),
            "settled": True,
            "first_seen_at": created,
            "last_seen_at": created,
        }


def _step_rows(one: PipelineHistory, made: list[Row]) -> Iterator[Row]:
    for n, run in enumerate(made):
        failed_at = int(one.failed_at[n])
        for position, seconds in enumerate(one.durations[n]):
            if 0 <= failed_at < position:
                break
            yield {
                "pipeline_id": run["pipeline_id"],
                "run_id": run["id"],
                "id": f"s{position}",
                "position": position,
                "name": f"step {position}",
                "status": "finished",
                "result": "failed" if position == failed_at else "passed",
                "created_at": run["created_at"],
                "started_at": run["started_at"],
                "finished_at": run["finished_at"],
                "duration_ms": round(float(seconds) * 1000),
            }

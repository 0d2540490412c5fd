"""How often a change is called where there is none, how often where there is one, and dated when.

python -m tests.benchmarks.chance [histories] [flat|power|dates]...

flat: histories in which nothing changes, but runs are not independent of each other (see
`tests/reports/flat_histories.py`): of each report the share of rows that is called beyond chance,
and the share of pages, and of single reports, with any such row.

power: histories of independent runs, in which one of ten pipelines changes, with 200 runs on either
side: how often `compare` sees it, in its report and on a page of 40 rows.

dates: the same kind of history, changed somewhere in the middle: how often `change_points` finds
that, and how far off its time is; beside it the most that can be known: an oracle is told that
there is one change, the levels on both sides and the shape of the noise, and names the time that
is most likely right within a day.
"""

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from runsync import reports
from runsync.reports.comparison import comparisons
from runsync.reports.definitions import REPORTS
from runsync.reports.load import open_reader
from runsync.reports.query_spec import QuerySpec
from runsync.storage import schema
from runsync.storage.database import Database
from tests.reports.flat_histories import (
    FIRST_DAY,
    INDEPENDENT,
    VARIANTS,
    Floats,
    PipelineHistory,
    flat_history,
    store,
)

END = FIRST_DAY + timedelta(days=60)
PAGE = [report for report in REPORTS.values() if report.section.change]
DAY = timedelta(days=1)
USUAL = 300.0
"""The usual duration of a run that may change, in seconds."""
COMPARED = ("pass_rates", "run_durations", "queue_times", "abort_frequencies", "step_durations")


@dataclass(frozen=True, slots=True)
class Change:
    """Pass rates before and after, how many times as slow, and how much durations vary (the
    standard deviation of their logarithms)."""

    before: float = 0.9
    after: float = 0.9
    slower: float = 1.0
    spread: float = 0.4

    @property
    def report(self) -> str:
        return "pass_rates" if self.before != self.after else "run_durations"

    @property
    def figure(self) -> str:
        return "pass_rate" if self.before != self.after else "p50"


CHANGES = {
    "pass rate 90% to 70%": Change(after=0.7),
    "pass rate 80% to 60%": Change(before=0.8, after=0.6),
    "median +25%": Change(slower=1.25),
    "median +25%, spread 0.6": Change(slower=1.25, spread=0.6),
}
DATED = {name: one for name, one in CHANGES.items() if one.spread == Change().spread} | {
    "pass rate 95% to 45%": Change(before=0.95, after=0.45)
}


@contextmanager
def stored(history: list[PipelineHistory]) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="runsync-bench-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'history.db'}")
        schema.ready(database)
        store(database, history)
        yield database
        database.close()


def compared(database: Database) -> dict[str, pd.DataFrame]:
    window = {"since": END - timedelta(days=28), "until": END}
    return {name: reports.compare(database, name, **window) for name in COMPARED}  # type: ignore[arg-type]


def page(database: Database) -> list[pd.DataFrame]:
    """The comparisons of the HTML page."""
    spec = QuerySpec(since=END - timedelta(days=28), until=END, by="pipeline")
    with open_reader(database) as reader:
        return comparisons(reader, [(report, reader.query(spec, report)) for report in PAGE])


def calls(frame: pd.DataFrame) -> pd.Series:
    return frame["beyond_chance"].fillna(False).astype(bool)


def flat(asked: tuple[str, int]) -> dict[str, float]:
    """Shares of called rows, and whether there are any, in one history."""
    name, seed = asked
    with stored(flat_history(VARIANTS[name], np.random.default_rng(seed))) as database:
        rows = {key: calls(frame) for key, frame in compared(database).items()}
        rows["the page"] = pd.concat([calls(frame) for frame in page(database)])
        any_change = bool(len(reports.change_points(database, until=END)))
    found = {f"rows, {key}": float(called.mean()) for key, called in rows.items()}
    found |= {f"any, {key}": float(called.any()) for key, called in rows.items()}
    return found | {"any, change_points": float(any_change)}


def changed(asked: tuple[str, int]) -> dict[str, float]:
    """Whether a change of the first of ten pipelines is seen: 200 runs in each of two 28 days."""
    name, seed = asked
    rng, change = np.random.default_rng(seed), CHANGES[name]
    history = flat_history(replace(INDEPENDENT, steps=2), rng)
    days = np.concatenate([np.sort(rng.uniform(4, 32, 200)), np.sort(rng.uniform(32, 60, 200))])
    history[0] = with_change(history[0], rng, change, days, 32)
    with stored(history) as database:
        alone = calls(compared(database)[change.report]).iloc[0]
        frames = dict(zip([one.name for one in PAGE], page(database), strict=True))
    return {"report": float(alone), "page": float(calls(frames[change.report]).iloc[0])}


def dated(asked: tuple[str, int, int]) -> dict[str, float]:
    """Whether a change of the first of ten pipelines is found, and within how many days; NaN where
    it is not found."""
    name, runs_a_day, seed = asked
    rng, change = np.random.default_rng(seed), DATED[name]
    history = flat_history(replace(INDEPENDENT, steps=2), rng)
    days, when = np.sort(rng.uniform(0, 60, 60 * runs_a_day)), rng.uniform(15, 45)
    history[0] = with_change(history[0], rng, change, days, when)
    with stored(history) as database:
        found = reports.change_points(database, until=END)
    found = found[(found["pipeline"] == "pipeline-01") & found["step"].isna()]
    times = found.loc[found["figure"] == change.figure, "at"]
    ours = min((abs((at - FIRST_DAY) / DAY - when) for at in times), default=np.nan)
    return {"found": float(len(times) > 0), "ours": ours} | {
        "oracle": abs(oracle(history[0], change, days) - when)
    }


def oracle(one: PipelineHistory, change: Change, days: Floats) -> float:
    """The time around which, for who knows all but that, a change within a day is likeliest."""
    if change.report == "pass_rates":
        fails = one.failed_at >= 0
        after, before = (np.where(fails, 1 - p, p) for p in (change.after, change.before))
        gains = np.log(after / before)
    else:
        logs = np.log(one.durations[:, 0] / USUAL)
        step = np.log(change.slower)
        gains = step * (logs - step / 2) / change.spread**2
    from_here = np.cumsum(gains[::-1])[::-1]
    likely = np.exp(from_here - from_here.max())
    return float(days[np.argmax([likely[abs(days - day) <= 1].sum() for day in days])])


def with_change(
    one: PipelineHistory, rng: np.random.Generator, change: Change, days: Floats, when: float
) -> PipelineHistory:
    """Runs on these days, which change from ``when`` on."""
    count, is_after = len(days), days >= when
    fails = rng.random(count) >= np.where(is_after, change.after, change.before)
    took = USUAL * np.exp(rng.normal(0, change.spread, count))
    took = took * np.where(is_after, change.slower, 1)
    return replace(
        one,
        days=days,
        on_main=np.ones(count, bool),
        commits=np.arange(count),
        failed_at=np.where(fails, 0, -1),
        aborted=np.zeros(count, bool),
        queued=np.exp(rng.normal(3, 0.7, count)),
        # A failed run is over after its first step, which takes all the time here.
        durations=np.stack([took, np.zeros(count)], axis=1),
    )


def show(title: str, found: list[dict[str, float]]) -> None:
    sys.stdout.write(f"\n{title}\n")
    for name in found[0]:
        mean = float(np.mean([one[name] for one in found]))
        sys.stdout.write(f"  {name:<28} {mean:6.1%}\n")
    sys.stdout.flush()


def show_dates(title: str, found: list[dict[str, float]]) -> None:
    frame = pd.DataFrame(found)
    near = {"ours": frame["ours"].dropna(), "oracle": frame["oracle"]}
    parts = [
        f"{name} {(off <= 1).mean():4.0%} ({off.median():.1f} d)" for name, off in near.items()
    ]
    sys.stdout.write(f"  {title:<36} {frame['found'].mean():4.0%}   {'   '.join(parts)}\n")
    sys.stdout.flush()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    parts = sys.argv[2:] or ["flat", "power", "dates"]
    with ProcessPoolExecutor(2) as pool:
        for name in VARIANTS if "flat" in parts else ():
            found = list(pool.map(flat, [(name, seed) for seed in range(count)]))
            show(f"Nothing changes, {name}: {count} histories", found)
        for name in CHANGES if "power" in parts else ():
            seen = list(pool.map(changed, [(name, seed) for seed in range(count)]))
            show(f"Independent runs, 200 on either side, {name}: seen in", seen)
        if "dates" in parts:
            sys.stdout.write(
                "\nFound; of these dated within a day (median off); by the oracle, of all\n"
            )
            for name, runs_a_day in product(DATED, (7, 25)):
                times = list(pool.map(dated, [(name, runs_a_day, n) for n in range(count)]))
                show_dates(f"{name}, {runs_a_day} runs a day", times)


if __name__ == "__main__":
    main()

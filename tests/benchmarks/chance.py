"""How often `compare` calls a change where there is none, and how often where there is one.

python -m tests.benchmarks.chance [histories]

Histories in which nothing changes, but runs are not independent of each other (see
`tests/reports/flat_histories.py`): of each report the share of rows that is called beyond chance,
and the share of pages, and of single reports, with any such row. Then histories of independent
runs, in which one of ten pipelines changes, with 200 runs on either side: how often that is seen.
"""

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
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
    PipelineHistory,
    flat_history,
    store,
)

END = FIRST_DAY + timedelta(days=60)
PAGE = [report for report in REPORTS.values() if report.section.change]
COMPARED = ("pass_rates", "run_durations", "queue_times", "abort_frequencies", "step_durations")
CHANGES = {"pass rate 90% to 70%": (0.9, 0.7, 1.0), "median +25%": (0.9, 0.9, 1.25)}


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
    """Whether a change of the first of ten pipelines is seen."""
    name, seed = asked
    rng = np.random.default_rng(seed)
    history = flat_history(replace(INDEPENDENT, steps=2), rng)
    history[0] = with_change(history[0], rng, *CHANGES[name])
    report = "pass_rates" if name.startswith("pass") else "run_durations"
    with stored(history) as database:
        alone = calls(compared(database)[report]).iloc[0]
        frames = dict(zip([one.name for one in PAGE], page(database), strict=True))
    return {"report": float(alone), "page": float(calls(frames[report]).iloc[0])}


def with_change(
    one: PipelineHistory, rng: np.random.Generator, before: float, after: float, slower: float
) -> PipelineHistory:
    """200 runs in each of the last two 28 days; durations spread by 0.4 on a logarithmic scale."""
    days = np.concatenate([np.sort(rng.uniform(4, 32, 200)), np.sort(rng.uniform(32, 60, 200))])
    is_after = days >= 32
    fails = rng.random(400) >= np.where(is_after, after, before)
    took = 300 * np.exp(rng.normal(0, 0.4, 400)) * np.where(is_after, slower, 1)
    return replace(
        one,
        days=days,
        on_main=np.ones(400, bool),
        commits=np.arange(400),
        failed_at=np.where(fails, 0, -1),
        aborted=np.zeros(400, bool),
        queued=np.exp(rng.normal(3, 0.7, 400)),
        # A failed run is over after its first step, which takes all the time here.
        durations=np.stack([took, np.zeros(400)], axis=1),
    )


def show(title: str, found: list[dict[str, float]]) -> None:
    sys.stdout.write(f"\n{title}\n")
    for name in found[0]:
        mean = float(np.mean([one[name] for one in found]))
        sys.stdout.write(f"  {name:<28} {mean:6.1%}\n")
    sys.stdout.flush()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with ProcessPoolExecutor(2) as pool:
        for name in VARIANTS:
            found = list(pool.map(flat, [(name, seed) for seed in range(count)]))
            show(f"Nothing changes, {name}: {count} histories", found)
        for name in CHANGES:
            seen = list(pool.map(changed, [(name, seed) for seed in range(count)]))
            show(f"Independent runs, 200 on either side, {name}: seen in", seen)


if __name__ == "__main__":
    main()

"""Makes a report: reads what it is made of, and leads that to its figures."""

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from runsync.reports import metrics
from runsync.reports.ask import Ask, asking
from runsync.reports.columns import shaped
from runsync.reports.frames import AnyDatabase, Interval, Reader, reading
from runsync.reports.gather import gathered
from runsync.reports.partial import partial


def build(report: str, db: AnyDatabase, **asked: Any) -> pd.DataFrame:
    """A report by its function's name; ``asked`` is what :func:`.ask.asking` takes."""
    with reading(db) as reader:
        return figures(reader, asking(reader, report, **asked))


def figures(reader: Reader, ask: Ask) -> pd.DataFrame:
    """The report's frame: keys, then period and partial, then figures, in their dtypes."""
    ask, frames = gathered(reader, ask)
    return frame_of(ask, frames, reader.intervals() if ask.every else ())


def frame_of(
    ask: Ask, frames: tuple[pd.DataFrame, ...], intervals: Iterable[Interval]
) -> pd.DataFrame:
    """The same, from what was gathered for this ask, or for one with more keys."""
    table, keys = table_of(ask, frames), ask.keys
    if ask.every:
        over = partial(table, ask.every, ask.scope.window, ask.pipelines, intervals)
        table, keys = table.assign(partial=over), (*keys, "partial")
    return shaped(table, keys, ask.report.columns)


def table_of(ask: Ask, frames: tuple[pd.DataFrame, ...]) -> pd.DataFrame:
    """The figures of gathered frames, not yet in their order and dtypes."""
    return _FIGURES[ask.report.name](ask, *frames)


def _step_durations(ask: Ask, steps: pd.DataFrame) -> pd.DataFrame:
    table = metrics.step_durations(steps, ask.keys, ask.around)
    # Over time a step's rows belong together; otherwise those that took most come first.
    return table.sort_values(list(ask.keys), ignore_index=True) if ask.every else table


_FIGURES: dict[str, Callable[..., pd.DataFrame]] = {
    "pass_rates": lambda ask, runs: metrics.pass_rates(runs, ask.keys),
    "step_durations": _step_durations,
    "abort_frequencies": lambda ask, runs, last: metrics.abort_frequencies(runs, last, ask.keys),
    "queue_times": lambda ask, runs: metrics.durations(runs, ask.keys),
    "run_durations": lambda ask, runs: metrics.durations(runs, ask.keys),
    "recoveries": lambda ask, breaks: metrics.recoveries(breaks, ask.keys),
    "flaky_steps": lambda ask, steps: metrics.flaky_steps(steps, ask.keys),
}

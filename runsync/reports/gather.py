"""Gathers the rows that each report is made of: just its columns, and the keys it groups by."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from runsync.reports.ask import Ask
from runsync.reports.frames import Reader, Scope
from runsync.reports.groups import columns_for, with_keys
from runsync.reports.metrics import breaks_of

FLAGS = ("is_finished", "is_passed", "is_failed", "is_aborted", "is_skipped", "in_rate")


def gathered(reader: Reader, ask: Ask) -> tuple[Ask, tuple[pd.DataFrame, ...]]:
    """The frames that the report's figures are made of, with their key columns.

    A report of steps tells jobs apart where there are any; the ask that comes back says so.
    """
    frames = _GATHER[ask.report.name](reader, ask)
    if ask.report.implied and "job" not in ask.by and frames[0]["job"].notna().any():
        ask = ask.telling("job")
    return ask, frames


def _results(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    return (_runs(reader, ask, FLAGS, true=["is_finished"]),)


def _aborts(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    flags = ("is_finished", "is_aborted", "never_started", "duration_ms")
    runs = _runs(reader, ask, flags, true=["is_finished"])
    columns = ("pipeline_id", "run_id", "position", "name")
    last = _steps(reader, ask, columns, true=["run_is_aborted"], known=["started_at"])
    return runs, last


def _queued(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    runs = _runs(reader, ask, ["queued_ms"], known=["queued_ms"], result=ask.result)
    return (runs.rename(columns={"queued_ms": "ms"}),)


def _ran(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    finished = {"true": ["is_finished"], "known": ["duration_ms"]}
    runs = _runs(reader, ask, ["duration_ms"], **finished, result=ask.result)
    return (runs.rename(columns={"duration_ms": "ms"}),)


def _step_times(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    steps = _steps(reader, ask, ["duration_ms", "job"], true=["ran"], result=ask.result)
    return (steps.rename(columns={"duration_ms": "ms"}),)


def _verdicts_of_steps(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    columns = ["pipeline_id", "commit_hash", "job", "is_passed", "is_failed"]
    return (_steps(reader, ask, columns, true=["in_rate"], known=["commit_hash"]),)


def _breaks(reader: Reader, ask: Ask) -> tuple[pd.DataFrame, ...]:
    columns = ["pipeline_id", "branch", "created_at", "finished_at", "is_passed"]
    wanted = list(dict.fromkeys([*columns_for(ask.keys), *columns]))
    runs = reader.runs(ask.scope, wanted, true=["in_rate"])
    since = ask.scope.window.since
    if since is not None and len(runs):
        runs = _with_earlier(reader, ask.scope, runs, wanted)
    breaks = breaks_of(runs, None if since is None else pd.Timestamp(since))
    return (_keyed(breaks, ask),)


def _with_earlier(
    reader: Reader, scope: Scope, runs: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """The runs, and the earlier ones of each branch whose first in the window failed.

    Only they tell whether that one broke the branch, or found it broken, and since when.
    """
    ends = runs["finished_at"].fillna(runs["created_at"])
    first = runs.loc[ends.sort_values(kind="stable").index]
    first = first.drop_duplicates(["pipeline_id", "branch"])
    suspects = first.loc[first["is_passed"] == 0, ["pipeline_id", "branch"]].astype(object)
    if suspects.empty:
        return runs
    window = replace(scope.window, since=None, until=scope.window.since)
    ids = tuple(int(i) for i in suspects["pipeline_id"].unique())
    earlier = reader.runs(replace(scope, window=window, pipelines=ids), columns, true=["in_rate"])
    told = pd.MultiIndex.from_frame(earlier[["pipeline_id", "branch"]].astype(object))
    earlier = earlier[told.isin(pd.MultiIndex.from_frame(suspects))]
    return pd.concat([earlier, runs]) if len(earlier) else runs


def _runs(reader: Reader, ask: Ask, columns: Sequence[str], **conditions: Any) -> pd.DataFrame:
    wanted = [*columns_for(ask.keys), *columns]
    return _keyed(reader.runs(ask.scope, wanted, **conditions), ask)


def _steps(reader: Reader, ask: Ask, columns: Sequence[str], **conditions: Any) -> pd.DataFrame:
    wanted = [*columns_for(ask.keys), *columns]
    return _keyed(reader.steps(ask.scope, wanted, **conditions), ask)


def _keyed(frame: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    zone = ask.scope.window.zone
    return with_keys(frame, ask.keys, ask.pipelines, zone, ask.every)


_GATHER: dict[str, Callable[[Reader, Ask], tuple[pd.DataFrame, ...]]] = {
    "pass_rates": _results,
    "step_durations": _step_times,
    "abort_frequencies": _aborts,
    "queue_times": _queued,
    "run_durations": _ran,
    "recoveries": _breaks,
    "flaky_steps": _verdicts_of_steps,
}

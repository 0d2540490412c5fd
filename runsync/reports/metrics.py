"""The figures, from frames alone: pure functions that know no SQL.

Each takes the rows of one kind with their key columns, and gives a table with a row for each
group: the keys, then the figures. Durations are milliseconds as floats, missing ones NaN.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from runsync.reports.groups import Ranked, Split, split
from runsync.reports.intervals import rate, wilson

Keys = Sequence[str]


def pass_rates(runs: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """Counts finished runs by result; ``runs`` has the flags of ``v_runs``."""
    groups = split(runs, keys)
    finished, passed, failed, aborted, skipped, rated = (
        groups.total(runs[flag])
        for flag in ("is_finished", "is_passed", "is_failed", "is_aborted", "is_skipped", "in_rate")
    )
    low, high = wilson(passed, rated)
    return groups.keys.assign(
        finished=finished,
        passed=passed,
        failed=failed,
        aborted=aborted,
        skipped=skipped,
        unknown=finished - rated - aborted - skipped,
        pass_rate=rate(passed, rated),
        pass_rate_low=low,
        pass_rate_high=high,
    )


def durations(rows: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """The spread of the column ``ms``, none of which is missing."""
    groups = split(rows, keys)
    return groups.keys.assign(**_spread(groups, rows["ms"]))


def step_durations(steps: pd.DataFrame, keys: Keys, within: Keys) -> pd.DataFrame:
    """The spread of ``ms``, its total, and the share of the total of the keys ``within``.

    Rows stand by the keys ``within``, the step that took most in total first.
    """
    groups = split(steps, keys)
    total = groups.total(steps["ms"])
    table = groups.keys.assign(**_spread(groups, steps["ms"]), total=total)
    around = split(table, within)
    table["share"] = rate(total, around.total(table["total"])[around.codes])
    return table.iloc[np.lexsort((-total, around.codes))].reset_index(drop=True)


def abort_frequencies(runs: pd.DataFrame, last: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """Counts aborted runs among finished ones.

    Args:
        runs: finished runs with the flags of ``v_runs`` and ``duration_ms``.
        last: the steps of aborted runs that had started, with ``pipeline_id``, ``run_id``,
            ``position`` and ``name``.
    """
    groups = split(runs, keys)
    finished, aborted = groups.total(runs["is_finished"]), groups.total(runs["is_aborted"])
    low, high = wilson(aborted, finished)
    table = groups.keys.assign(
        finished=finished,
        aborted=aborted,
        abort_rate=rate(aborted, finished),
        abort_rate_low=low,
        abort_rate_high=high,
        never_started=groups.total(runs["never_started"]),
    )
    started = runs[(runs["is_aborted"] == 1) & runs["duration_ms"].notna()]
    cut_short = split(started, keys)
    half = Ranked(cut_short, started["duration_ms"]).quantile(0.5)
    table = _joined(table, cut_short.keys.assign(median_time_to_abort=half), keys)
    return _joined(table, _commonest_last_step(last, keys), keys)


def recoveries(breaks: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """Counts and times breaks, as :func:`breaks_of` gives them."""
    groups = split(breaks, keys)
    table = groups.keys.assign(failures=groups.total(breaks["is_new"]))
    broken = breaks[breaks["ms"].isna()]
    still = split(broken, keys)
    since = still.first(broken["broken_at"], broken["broken_at"].astype("int64"))
    table = _joined(table, still.keys.assign(open_since=since.array), keys)
    mended = breaks[breaks["ms"].notna()]
    times = split(mended, keys)
    ranked = Ranked(times, mended["ms"])
    mean = rate(times.total(mended["ms"]), ranked.counts)
    spread = times.keys.assign(
        mean_time_to_recovery=mean, p50=ranked.quantile(0.5), p90=ranked.quantile(0.9)
    )
    return _joined(table, spread, keys)


def flaky_steps(steps: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """Counts commits on which a step both passed and failed.

    Args:
        steps: finished steps with ``pipeline_id``, ``commit_hash``, ``is_passed`` and
            ``is_failed``. A commit belongs to the period, weekday and hour of its first run.
    """
    commits = commits_of(steps, keys)
    groups = split(commits, keys)
    tried, flaky = groups.total(), groups.total(commits["is_flaky"])
    return groups.keys.assign(commits=tried, flaky_commits=flaky, flake_rate=rate(flaky, tried))


def commits_of(steps: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """One row for each step on each commit: its keys, and whether it both passed and failed."""
    timed = [key for key in keys if key in ("weekday", "hour", "period")]
    lasting = [key for key in keys if key not in timed]
    groups = split(steps, list(dict.fromkeys([*lasting, "pipeline_id", "commit_hash"])))
    table = groups.keys.assign(
        is_flaky=(groups.total(steps["is_passed"]) > 0) & (groups.total(steps["is_failed"]) > 0)
    )
    for key in timed:
        table[key] = groups.first(steps[key], steps["created_at"].astype("int64")).array
    return table


def breaks_of(runs: pd.DataFrame, since: pd.Timestamp | None) -> pd.DataFrame:
    """Every time that a branch of a pipeline broke.

    Args:
        runs: runs that passed or failed, with ``pipeline_id``, ``branch``, ``created_at``,
            ``finished_at`` and ``is_passed``.
        since: a break whose run was created before is not new.

    Returns:
        The rows of the runs that broke it, with ``broken_at`` (UTC), ``ms`` to the next pass
        (NaN where none has come) and ``is_new``; of those that are not new the open ones alone.
    """
    runs = runs.assign(broken_at=runs["finished_at"].fillna(runs["created_at"]))
    runs, where = _as_they_ended(runs)
    at, following = _breaks_and_passes(where, runs["is_passed"].to_numpy() == 1)
    micros = runs["broken_at"].astype("int64").to_numpy()
    mended = following >= 0
    found = runs.iloc[at].assign(
        ms=np.where(mended, (micros[following] - micros[at]) / 1000, np.nan),
        is_new=True if since is None else (runs["created_at"].iloc[at] >= since).to_numpy(),
    )
    kept: pd.DataFrame = found[found["is_new"] | ~mended].reset_index(drop=True)
    return kept


def _as_they_ended(runs: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """The runs, branch by branch, in the order in which they ended; and a number per branch."""
    where = split(runs, ["pipeline_id", "branch"]).codes
    created, ended = (runs[name].astype("int64") for name in ("created_at", "broken_at"))
    order = np.lexsort((runs["is_passed"], created, ended, where))
    return runs.iloc[order], where[order]


def _breaks_and_passes(
    where: npt.NDArray[np.int64], passed: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where something breaks: a failure right after a pass; and the next pass, or -1."""
    broke = np.zeros(len(passed), bool)
    broke[1:] = ~passed[1:] & passed[:-1] & (where[1:] == where[:-1])
    at, passes = np.flatnonzero(broke), np.flatnonzero(passed)
    following = np.append(passes, -1)[np.searchsorted(passes, at)]
    following[(following >= 0) & (where[following] != where[at])] = -1
    return at, following


def _spread(groups: Split, ms: pd.Series) -> dict[str, Any]:
    ranked = Ranked(groups, ms)
    return {
        "count": ranked.counts,
        "mean": rate(groups.total(ms), ranked.counts),
        "p50": ranked.quantile(0.5),
        "p90": ranked.quantile(0.9),
        "p95": ranked.quantile(0.95),
        "max": ranked.at(ranked.counts - 1),
    }


def _commonest_last_step(last: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """The step in which most aborts came; of several, the first by name."""
    runs = split(last, ["pipeline_id", "run_id"])
    at = np.lexsort((last["name"].astype(str), -last["position"], runs.codes))
    _, first = np.unique(runs.codes[at], return_index=True)
    ends = last.iloc[at[first]]
    steps = split(ends, [*keys, "name"])
    around = split(steps.keys, keys)
    name = around.first(steps.keys["name"], -steps.total())
    return around.keys.assign(last_step=name.array)


def _joined(table: pd.DataFrame, more: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """The table with the figures of ``more``; missing for the groups that it has not."""
    if keys:
        return table.merge(more, on=list(keys), how="left")
    return table.join(more)

"""How long broken branches stay broken.

A branch of a pipeline breaks when a run fails after one that passed, and recovers with the next
that passes. Runs are taken in the order in which they finished.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runsync.reports.report import (
    Column,
    Frames,
    Kind,
    Median,
    Report,
    counts,
    durations,
)
from runsync.reports.section import Band, Card, Ranking, Rows, Section
from runsync.reports.statistics import Groups, joined, rate

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_BRANCH = ["pipeline_id", "branch"]
_COLUMNS = [*_BRANCH, "run_created_at", "finished_at", "is_passed"]


def load(reader: "Reader", query: "Query") -> Frames:
    """A row for each break: see :func:`breaks_of`."""
    runs = reader.runs(query, _COLUMNS, where=["in_rate"])
    if query.window.since is not None and len(runs):
        runs = _with_earlier(reader, query, runs)
    return (breaks_of(runs, query),)


def breaks_of(runs: "pd.DataFrame", query: "Query") -> "pd.DataFrame":
    """Every time that a branch of a pipeline broke.

    Args:
        runs: runs that passed or failed.

    Returns:
        The rows of the runs that broke it, with ``broken_at`` (UTC), ``ms`` to the next pass
        (NaN where none has come) and ``is_new``: whether the run was created in the window; of
        those that are not new the open ones alone.
    """
    runs = runs.assign(broken_at=runs["finished_at"].fillna(runs["run_created_at"]))
    branch = Groups(runs, _BRANCH).codes
    ended, created = (runs[name].astype("int64") for name in ("broken_at", "run_created_at"))
    order = np.lexsort((runs["is_passed"], created, ended, branch))
    runs, branch = runs.iloc[order], branch[order]
    at, following = _breaks_and_passes(branch, runs["is_passed"].to_numpy() == 1)
    micros = runs["broken_at"].astype("int64").to_numpy()
    recovered = following >= 0
    since = query.window.since
    found = runs.iloc[at].assign(
        ms=np.where(recovered, (micros[following] - micros[at]) / 1000, np.nan),
        is_new=True if since is None else (runs["run_created_at"].iloc[at] >= since).to_numpy(),
    )
    kept: pd.DataFrame = found[found["is_new"] | ~recovered].reset_index(drop=True)
    return kept


def figures(query: "Query", breaks: "pd.DataFrame") -> "pd.DataFrame":
    """Counts and times the breaks."""
    groups = Groups(breaks, query.keys)
    table = groups.keys.assign(failures=groups.total(breaks["is_new"]))
    broken = breaks[breaks["ms"].isna()].sort_values("broken_at", kind="stable")
    still = Groups(broken, query.keys)
    open_since = broken["broken_at"].iloc[still.first].array
    table = joined(table, still.keys.assign(open_since=open_since), query.keys)
    mended = breaks[breaks["ms"].notna()]
    times = Groups(mended, query.keys)
    p50, p90 = times.quantiles(mended["ms"], 0.5, 0.9)
    mean = rate(times.total(mended["ms"]), times.total())
    spread = times.keys.assign(mean_time_to_recovery=mean, p50=p50, p90=p90)
    return joined(table, spread, query.keys)


def _with_earlier(reader: "Reader", query: "Query", runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs, and the earlier ones of each branch whose first in the window failed.

    Only they tell whether that one broke the branch, or found it broken, and since when.
    """
    import pandas as pd

    ends = runs["finished_at"].fillna(runs["run_created_at"])
    first = runs.loc[ends.sort_values(kind="stable").index].drop_duplicates(_BRANCH)
    suspects = first.loc[first["is_passed"] == 0, _BRANCH].astype(object)
    if suspects.empty:
        return runs
    before = replace(
        query,
        window=replace(query.window, since=None, until=query.window.since),
        pipeline_ids=tuple(int(i) for i in suspects["pipeline_id"].unique()),
    )
    earlier = reader.runs(before, _COLUMNS, where=["in_rate"])
    branches = pd.MultiIndex.from_frame(earlier[_BRANCH].astype(object))
    earlier = earlier[branches.isin(pd.MultiIndex.from_frame(suspects))]
    return pd.concat([earlier, runs]) if len(earlier) else runs


def _breaks_and_passes(
    branch: npt.NDArray[np.int64], passed: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where something breaks: a failure right after a pass; and the next pass, or -1."""
    broke = np.zeros(len(passed), bool)
    broke[1:] = ~passed[1:] & passed[:-1] & (branch[1:] == branch[:-1])
    at, passes = np.flatnonzero(broke), np.flatnonzero(passed)
    following = np.append(passes, -1)[np.searchsorted(passes, at)]
    following[(following >= 0) & (branch[following] != branch[at])] = -1
    return at, following


REPORT = Report(
    name="recoveries",
    command="recovery",
    title="Recoveries",
    summary="How often branches broke, and how long they stayed broken.",
    about="From the end of the first failure after a pass to the end of the next pass. Aborted, "
    "skipped and unknown runs are ignored. Listed are branches that broke in the window, or were "
    "still broken at its end. Runs before the window tell whether its first failure broke the "
    "branch or found it broken. A break belongs to the period of the run that broke it.",
    columns=(
        *counts(failures="times it broke in the window: first failures after a pass"),
        Column("open_since", Kind.TIME, "since when it is broken, where it still is"),
        *durations(
            mean_time_to_recovery="mean time to the next pass; a break still open is not in it",
            p50="its median",
            p90="nine of ten recovered within this",
        ),
    ),
    load=load,
    figures=figures,
    main=Median(),
    section=Section(
        panels=(
            Ranking(
                "Time to recovery by pipeline",
                greatest=("failures",),
                note="failures",
                note_unit="×",
                sum="times broken",
                band=Band("p50", "p50", "p90"),
                name="time to recovery",
            ),
        ),
        caption="Bars reach to the median, lines to the time within which nine of ten recovered.",
        rows=Rows(by=("pipeline", "branch"), greatest=("failures",), earliest="open_since"),
        cards=(
            Card(
                "Broken now",
                "branches whose last verdict is a failure after a pass",
                figure="known",
                column="open_since",
                by=("pipeline", "branch"),
            ),
        ),
    ),
    order=60,
    by=("pipeline", "branch"),
    spare=("p90", "mean_time_to_recovery"),
)

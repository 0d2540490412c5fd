"""When branches of pipelines were broken: from a failure to the next pass.

Runs are taken in the order in which they ended.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runsync.records import USUAL_DEFAULT_BRANCHES
from runsync.reports.statistics import Groups

if TYPE_CHECKING:
    import pandas as pd

BRANCH = ("pipeline_id", "branch")
BREAK_COLUMNS = (*BRANCH, "run_created_at", "finished_at", "is_passed")
"""What :func:`breaks_of` needs of a run."""


def breaks_of(runs: "pd.DataFrame", since: datetime | None) -> "pd.DataFrame":
    """Every time that a branch of a pipeline was broken: the rows of the runs that broke it.

    Args:
        runs: runs that passed or failed. Of those before ``since`` all that came after the last
            pass of their branch before it, and that pass, are enough.
        since: where the window begins.

    Returns:
        With four more columns: ``broken_at`` (UTC); ``ms`` to the next pass, NaN where none has
        come; ``is_new``, whether the branch had passed before and the run was created in the window
        or ended in it; and ``later``, how many verdicts came after the one that broke it.
    """
    runs = runs.assign(broken_at=runs["finished_at"].fillna(runs["run_created_at"]))
    branch = Groups(runs, BRANCH).codes
    ended, created = (runs[name].astype("int64") for name in ("broken_at", "run_created_at"))
    order = np.lexsort((runs["is_passed"], created, ended, branch))
    runs, branch = runs.iloc[order], branch[order]
    at, is_first, following = _breaks_and_passes(branch, runs["is_passed"].to_numpy() == 1)
    micros, broke = runs["broken_at"].astype("int64").to_numpy(), runs.iloc[at]
    last = np.searchsorted(branch, branch[at], side="right") - 1
    return broke.assign(
        ms=np.where(following >= 0, (micros[following] - micros[at]) / 1000, np.nan),
        is_new=~is_first & _is_within(broke, since),
        later=last - at,
    ).reset_index(drop=True)


def default_branches_in(
    runs: "pd.DataFrame", told: Mapping[int, str | None]
) -> dict[int, str | None]:
    """Each pipeline's default branch, by the pipeline's number: as its provider tells it, else of
    main, master, trunk and default that on which it ran last; None where it ran on none of them.

    Args:
        runs: with the columns ``pipeline_id``, ``branch`` and ``run_created_at``.
    """
    usual = runs[runs["branch"].isin(USUAL_DEFAULT_BRANCHES)]
    # Of those of one moment the last by name, as in the database's answer.
    usual = usual.astype({"branch": object}).sort_values(["run_created_at", "branch"])
    ran_last = dict(zip(usual["pipeline_id"], usual["branch"], strict=True))
    return {number: name or ran_last.get(number) for number, name in told.items()}


def _is_within(runs: "pd.DataFrame", since: datetime | None) -> npt.NDArray[np.bool_]:
    """Whether each run was created or ended since then."""
    if since is None:
        return np.ones(len(runs), bool)
    within = (runs["run_created_at"] >= since) | (runs["broken_at"] >= since)
    return within.to_numpy(bool)


def _breaks_and_passes(
    branch: npt.NDArray[np.int64], passed: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Where something breaks: a failure right after a pass, or as the first of its branch; for
    each whether it is the first; and where the next pass is, or -1."""
    is_first = np.ones(len(passed), bool)
    is_first[1:] = branch[1:] != branch[:-1]
    after_pass = np.zeros(len(passed), bool)
    after_pass[1:] = passed[:-1]
    at, passes = np.flatnonzero(~passed & (is_first | after_pass)), np.flatnonzero(passed)
    following = np.append(passes, -1)[np.searchsorted(passes, at)]
    following[(following >= 0) & (branch[following] != branch[at])] = -1
    return at, is_first[at], following

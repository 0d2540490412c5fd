"""What a run's steps of one group come to together: one verdict for each run.

A step's name may occur several times in a run, a job has many steps: in either case the run is
counted once.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.statistics import Groups

if TYPE_CHECKING:
    import pandas as pd

RUN = ("pipeline_id", "run_id")
VERDICT_COLUMNS = (*RUN, "result", "is_error")
"""What :func:`verdicts_of` needs of a finished step."""

_LEAST_FIRST = ("skipped", "passed", "unknown", "aborted", "failed")


def verdicts_of(steps: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """A row for each run in each group of its steps, with the flags that ``v_runs`` has.

    It failed where any of its steps failed, by the CI system's own fault where all of those did;
    else it was aborted where any was; it passed where any passed and all others were skipped.
    """
    groups = Groups(steps, [*keys, *RUN])
    worst = np.zeros(len(groups.first), np.int64)
    np.maximum.at(worst, groups.codes, _ranks(steps["result"]))
    failed = worst == _LEAST_FIRST.index("failed")
    has_failed = (steps["result"] == "failed").to_numpy()
    by_error = groups.total(has_failed & (steps["is_error"] == 1)) == groups.total(has_failed)
    passed = worst == _LEAST_FIRST.index("passed")
    return groups.keys.assign(
        is_finished=1,
        is_passed=passed,
        is_failed=failed,
        is_aborted=worst == _LEAST_FIRST.index("aborted"),
        is_skipped=worst == _LEAST_FIRST.index("skipped"),
        in_rate=passed | failed,
        is_failed_by_error=failed & by_error,
    )


def _ranks(results: "pd.Series") -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each result its place in ``_LEAST_FIRST``."""
    words = results.cat.categories
    place = np.array([_LEAST_FIRST.index(word) for word in words] or [0], np.int64)
    return place[results.cat.codes.to_numpy()]

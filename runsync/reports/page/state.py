"""The page's first section: which default branches are green or broken, and what broke them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from runsync.reports.breaks import breaks_of, default_branches_in
from runsync.reports.coverage_notes import minute
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.tables import SHORT_ID, Table, report_table, web_link
from runsync.reports.report import Report

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class BranchState:
    """A pipeline's default branch as it is now.

    Attributes:
        verdict: ``broken``, ``green``, or ``quiet``: no run passed or failed of late.
        since: when that began; None: before all that was looked at.
        age: how long ago that is, in words.
        run: what broke it, and where it can be seen.
    """

    pipeline: str
    branch: str | None
    verdict: str
    since: str | None = None
    age: str | None = None
    run: str | None = None
    link: str | None = None
    commit: str | None = None
    author: str | None = None
    step: str | None = None
    runs_since: int = 0


@dataclass(frozen=True, slots=True)
class StateView:
    """Each pipeline's default branch, the broken ones first, and what else is broken."""

    report: Report
    states: list[BranchState]
    others: Table


def state_view(dataset: Dataset, report: Report) -> StateView:
    """The state of all pipelines.

    Args:
        report: of the branches that are broken, by pipeline and branch.
    """
    broken = dataset.table(report, "pipeline", "branch")
    verdicts = dataset.recent_verdicts
    defaults = _default_branches(dataset, verdicts)
    states = []
    for p in dataset.query.pipelines:
        own = verdicts[verdicts["pipeline_id"] == p.id]
        states.append(_state(dataset, p.label, defaults[p.id], broken, own))
    states.sort(key=lambda one: ("broken", "green", "quiet").index(one.verdict))
    told = {(one.pipeline, one.branch) for one in states}
    is_other = [pair not in told for pair in _pairs(broken)]
    others = broken[np.array(is_other, bool)]
    return StateView(report, states, report_table(report, others, link=report.section.rows.link))


def age_in_words(age: timedelta) -> str:
    """``27 minutes``, ``1 hour``, ``12 days``."""
    seconds = max(0.0, age.total_seconds())
    for size, word in _UNITS:
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'s' * (number > 1)}"
    return "less than a minute"


def _default_branches(dataset: Dataset, verdicts: pd.DataFrame) -> dict[int, str | None]:
    """Each pipeline's default branch: as its provider says, or by its name, or the busiest."""
    found: dict[int, str | None] = {}
    known = default_branches_in(verdicts, dataset.reader.told_default_branches)
    for pipeline in dataset.query.pipelines:
        branches = verdicts.loc[verdicts["pipeline_id"] == pipeline.id, "branch"].astype(object)
        often = list(branches.value_counts().index)
        found[pipeline.id] = known[pipeline.id] or (often[0] if often else None)
    return found


def _state(
    dataset: Dataset,
    pipeline: str,
    branch: str | None,
    broken: pd.DataFrame,
    verdicts: pd.DataFrame,
) -> BranchState:
    for row, pair in zip(broken.to_dict("records"), _pairs(broken), strict=True):
        if pair == (pipeline, branch):
            return _broken(dataset, row)
    branches = verdicts["branch"]
    own = verdicts[branches.isna() if branch is None else branches == branch]
    if own.empty or (pipeline, branch) not in dataset.alive_branches:
        return BranchState(pipeline, branch, "quiet")
    breaks = breaks_of(own, None).dropna(subset="ms")
    if breaks.empty:
        return BranchState(pipeline, branch, "green")
    since = (breaks["broken_at"] + pd.to_timedelta(breaks["ms"], unit="ms")).max()
    return BranchState(pipeline, branch, "green", *_moment(dataset, since))


def _broken(dataset: Dataset, row: dict[Any, Any]) -> BranchState:
    told: dict[str, Any] = {n: None if pd.isna(value) else value for n, value in row.items()}
    since, age = _moment(dataset, told["since"])
    return BranchState(
        told["pipeline"],
        told["branch"],
        "broken",
        since,
        age,
        run=told["run"] and told["run"][:SHORT_ID],
        link=web_link(told["web_url"]),
        commit=told["commit_hash"] and told["commit_hash"][:SHORT_ID],
        author=told["author"],
        step=told["step"],
        runs_since=int(told["runs_since"]),
    )


def _moment(dataset: Dataset, when: datetime) -> tuple[str, str]:
    return minute(when), age_in_words(dataset.moment - when)


def _pairs(broken: pd.DataFrame) -> Iterator[tuple[str, str | None]]:
    for pipeline, branch in zip(broken["pipeline"], broken["branch"], strict=True):
        yield str(pipeline), None if pd.isna(branch) else str(branch)

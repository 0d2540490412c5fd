"""Steps that both passed and failed on one commit."""

from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.report import STEP_KEYS, Column, Frames, Kind, Rate, Report, counts
from runsync.reports.section import Ranking, Rows, Section
from runsync.reports.statistics import Groups, rate

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_OF_TIME = ("weekday", "hour", "period")
_COLUMNS = ("pipeline_id", "run_id", "commit_hash", "run_created_at", "is_failed", "was_retried")


def load(reader: "Reader", query: "Query") -> Frames:
    """Steps that passed or failed, with their run's commit."""
    return (reader.steps(query, _COLUMNS, where=["in_rate"], known=["commit_hash"]),)


def figures(query: "Query", steps: "pd.DataFrame") -> "pd.DataFrame":
    """Counts the commits that a step was tried on more than once, and its verdicts on them."""
    commits = _commits(_tries(steps, query.keys), query.keys)
    groups = Groups(commits, query.keys)
    retried, flaky = groups.total(commits["tries"] > 1), groups.total(commits["is_flaky"])
    return groups.keys.assign(
        commits=groups.total(),
        retried_commits=retried,
        flaky_commits=flaky,
        flake_rate=rate(flaky, retried),
    )


def _tries(steps: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """A row for each try of a step on a commit: its keys, and whether any step in it failed.

    A run is one try of all its steps of one name, but for those that the provider has retried
    within the run: each of them is a try of its own.
    """
    of_run = Groups(steps, ["pipeline_id", "run_id"]).codes
    of_itself = len(steps) + np.arange(len(steps))
    steps = steps.assign(tried_in=np.where(steps["was_retried"] == 1, of_itself, of_run))
    tries = Groups(steps, [*_lasting(keys), "pipeline_id", "commit_hash", "tried_in"])
    times = {name: steps[name].iloc[tries.first].array for name in _times_in(keys)}
    created = steps["run_created_at"].iloc[tries.first].array
    failed = tries.total(steps["is_failed"]) > 0
    return tries.keys.assign(run_created_at=created, has_failed=failed, **times)


def _commits(tries: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """A row for each step on each commit: its keys, its tries, and whether they differed.

    It belongs to the period, weekday and hour of its first run.
    """
    times = _times_in(keys)
    if times:
        tries = tries.sort_values("run_created_at", kind="stable")
    groups = Groups(tries, list(dict.fromkeys([*_lasting(keys), "pipeline_id", "commit_hash"])))
    number, failed = groups.total(), groups.total(tries["has_failed"])
    first = {name: tries[name].iloc[groups.first].array for name in times}
    return groups.keys.assign(tries=number, is_flaky=(failed > 0) & (failed < number), **first)


def _lasting(keys: tuple[str, ...]) -> list[str]:
    """The keys that all tries of a step on a commit share."""
    return [key for key in keys if key not in _OF_TIME]


def _times_in(keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if key in _OF_TIME]


REPORT = Report(
    name="flaky_steps",
    command="flaky",
    title="Flaky steps",
    summary="Steps that both passed and failed on one commit.",
    about="A run's verdict on a step comes first: it failed where any step of that name failed; "
    "what the provider retried within the run is a try of its own. A commit that was tried once "
    "cannot show flakiness, and is not in the rate. Commits are counted apart for each pipeline. "
    "Over time a commit counts where its first run in the window is.",
    columns=(
        *counts(
            commits="commits on which the step passed or failed",
            retried_commits="commits on which it was tried more than once",
            flaky_commits="commits on which it did both",
        ),
        Column("flake_rate", Kind.RATE, "flaky_commits / retried_commits"),
    ),
    load=load,
    figures=figures,
    main=Rate("flake_rate", hits="flaky_commits", trials=("retried_commits",)),
    section=Section(
        panels=(
            Ranking(
                "Flake rate of the flakiest steps",
                greatest=("flaky_commits", "flake_rate"),
                note="flaky_commits",
                sum="flaky commits",
                shape="intervals",
                positive="flaky_commits",
                name="the flakiest steps",
            ),
        ),
        caption="Of commits tried more than once, with 95% intervals. {left_out} of {total} steps "
        "showed none.",
        rows=Rows(greatest=("flaky_commits", "flake_rate"), positive="flaky_commits"),
    ),
    order=70,
    keys=STEP_KEYS,
    implied=("step", "job"),
    spare=("job", "commits"),
    example="--since 30d --branch main",
)

"""Steps that both passed and failed on one commit."""

from typing import TYPE_CHECKING

from runsync.reports.report import STEP_KEYS, Column, Frames, Kind, Rate, Report, counts
from runsync.reports.section import Ranking, Rows, Section
from runsync.reports.statistics import Groups, rate

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_OF_TIME = ("weekday", "hour", "period")


def load(reader: "Reader", query: "Query") -> Frames:
    """Steps that passed or failed, with their run's commit."""
    columns = ["pipeline_id", "commit_hash", "run_created_at", "is_passed", "is_failed"]
    return (reader.steps(query, columns, where=["in_rate"], known=["commit_hash"]),)


def figures(query: "Query", steps: "pd.DataFrame") -> "pd.DataFrame":
    """Counts commits on which a step both passed and failed."""
    commits = _commits(steps, query.keys)
    groups = Groups(commits, query.keys)
    tried, flaky = groups.total(), groups.total(commits["is_flaky"])
    return groups.keys.assign(commits=tried, flaky_commits=flaky, flake_rate=rate(flaky, tried))


def _commits(steps: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """A row for each step on each commit: its keys, and whether it both passed and failed.

    It belongs to the period, weekday and hour of its first run.
    """
    of_time = [key for key in keys if key in _OF_TIME]
    if of_time:
        steps = steps.sort_values("run_created_at", kind="stable")
    lasting = [key for key in keys if key not in _OF_TIME]
    groups = Groups(steps, list(dict.fromkeys([*lasting, "pipeline_id", "commit_hash"])))
    both = (groups.total(steps["is_passed"]) > 0) & (groups.total(steps["is_failed"]) > 0)
    times = {key: steps[key].iloc[groups.first].array for key in of_time}
    return groups.keys.assign(is_flaky=both, **times)


REPORT = Report(
    name="flaky_steps",
    command="flaky",
    title="Flaky steps",
    summary="Steps that both passed and failed on one commit.",
    about="The rate is a lower bound: a commit that was tried once cannot show it. Commits are "
    "counted apart for each pipeline. Over time a commit counts where its first run in the window "
    "is.",
    columns=(
        *counts(
            commits="commits on which the step passed or failed",
            flaky_commits="commits on which it did both",
        ),
        Column("flake_rate", Kind.RATE, "flaky_commits / commits"),
    ),
    load=load,
    figures=figures,
    main=Rate("flake_rate", hits="flaky_commits", trials=("commits",)),
    section=Section(
        panels=(
            Ranking(
                "Flake rate of the flakiest steps",
                greatest=("flake_rate", "flaky_commits"),
                note="flaky_commits",
                sum="flaky commits",
                shape="intervals",
                name="the flakiest steps",
            ),
        ),
        caption="With 95% intervals. {left_out} of {total} steps showed none.",
        rows=Rows(greatest=("flake_rate", "flaky_commits"), positive="flaky_commits"),
    ),
    order=70,
    keys=STEP_KEYS,
    implied=("step", "job"),
    spare=("job",),
)

"""Durations of runs."""

from typing import TYPE_CHECKING

from runsync.reports.report import SPREAD, Frames, Median, Report, counts
from runsync.reports.section import P50_TO_P95, Card, Change, Section, Trends

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.group_values import GroupValues
    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query


def load(reader: "Reader", query: "Query") -> Frames:
    """The durations of finished runs that have one."""
    name = "busy_ms" if query.busy else "duration_ms"
    return (reader.run_durations(query, name, where=["is_finished"]),)


def figures(query: "Query", durations: "GroupValues") -> "pd.DataFrame":
    """The spread of the durations."""
    groups = durations.by(query.keys)
    return groups.keys.assign(**groups.spread())


REPORT = Report(
    name="run_durations",
    command="run-durations",
    title="Run durations",
    summary="How long runs took.",
    about="From start to end: every finished run that started, with any result. At GitLab that "
    "holds the waits between jobs, for a runner or for somebody's click; busy counts GitLab's own "
    "duration without them, and only the runs of which the provider tells one.",
    columns=(*counts(count="finished runs that had started"), *SPREAD),
    load=load,
    figures=figures,
    main=Median(),
    section=Section(
        panels=(Trends(P50_TO_P95, sum="median"),),
        caption="Median per {every}, shaded up to the 95th percentile. {hollow}",
        cards=(Card("Median run", "start to end"),),
        change=Change(
            "median run", "takes longer", "is faster", is_share=False, by_step="step_durations"
        ),
    ),
    order=20,
    reads_steps=False,
    spare=("mean", "p90", "max"),
    takes=("result", "busy"),
    example="--since 90d --every month --result passed",
)

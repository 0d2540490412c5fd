"""Waiting times of runs."""

from typing import TYPE_CHECKING

from runsync.reports.report import SPREAD, Frames, Median, Report, counts
from runsync.reports.section import P50_TO_P95, Card, Change, Section, Trends, WeekdayHours

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.group_values import GroupValues
    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query


def load(reader: "Reader", query: "Query") -> Frames:
    """The waits of runs that have started."""
    return (reader.run_durations(query, "queued_ms"),)


def figures(query: "Query", waits: "GroupValues") -> "pd.DataFrame":
    """The spread of the waits."""
    groups = waits.by(query.keys)
    return groups.keys.assign(**groups.spread())


REPORT = Report(
    name="queue_times",
    command="queue-times",
    title="Queue times",
    summary="How long runs waited for their start.",
    about="From creation to start: every run that has started.",
    columns=(*counts(count="runs that have started"), *SPREAD),
    load=load,
    figures=figures,
    main=Median(),
    section=Section(
        panels=(
            Trends(P50_TO_P95, sum="median", most=5),
            WeekdayHours("p50", "Median wait by weekday and hour"),
        ),
        caption="Median wait per {every}, shaded up to the 95th percentile. {hollow} "
        "Last: median wait by the weekday and hour in which the run was created, in six shades "
        "with as many fields each.",
        cards=(Card("Median wait", "creation to start"),),
        change=Change("median wait", "waits longer", "waits less", is_share=False),
    ),
    order=40,
    reads_steps=False,
    spare=("mean", "p90", "max"),
    example="--since 30d --by weekday --by hour",
)

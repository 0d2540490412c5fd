"""Durations of steps."""

from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.report import (
    SPREAD,
    STEP_KEYS,
    Column,
    Frames,
    Kind,
    Median,
    Report,
    counts,
    durations,
)
from runsync.reports.section import P50_TO_P95, Ranking, Rows, Section
from runsync.reports.statistics import Groups, rate

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.group_values import GroupValues
    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query


def load(reader: "Reader", query: "Query") -> Frames:
    """The durations of steps that ran."""
    return (reader.step_durations(query, "duration_ms", where=["ran"]),)


def figures(query: "Query", durations: "GroupValues") -> "pd.DataFrame":
    """The spread of the durations, their total, and its share of the total of the group."""
    groups = durations.by(query.keys)
    total = groups.totals()
    table = groups.keys.assign(**groups.spread(), total=total)
    outer = Groups(table, query.outer_keys)
    table["share"] = rate(total, outer.total(table["total"])[outer.codes])
    if query.every:  # over time a step's rows belong together
        return table.sort_values(list(query.keys), ignore_index=True)
    return table.iloc[np.lexsort((-total, outer.codes))].reset_index(drop=True)


REPORT = Report(
    name="step_durations",
    command="step-durations",
    title="Step durations",
    summary="How long steps took.",
    about="Finished steps that ran, with any result. Skipped steps and steps without a start or an "
    "end are left out. In each group the steps that took most in total come first.",
    columns=(
        *counts(count="finished steps that ran"),
        *SPREAD,
        *durations(total="the time of all of them together"),
        Column("share", Kind.RATE, "of the time of all steps of its group"),
    ),
    load=load,
    figures=figures,
    main=Median(),
    section=Section(
        panels=(
            Ranking(
                "Median and 95th percentile of the durations of {name}'s steps",
                greatest=(),
                note="share",
                sum="share of step time",
                band=P50_TO_P95,
            ),
        ),
        caption="Bars reach to the median, lines to the 95th percentile.",
        rows=Rows(greatest=("total",)),
    ),
    order=30,
    keys=STEP_KEYS,
    implied=("step", "job"),
    apart=True,
    spare=("mean", "total", "p90", "max", "job"),
    takes=("result",),
    example="--since 30d --pipeline build --result passed",
)

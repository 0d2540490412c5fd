"""Aborted runs."""

from typing import TYPE_CHECKING

from runsync.reports.report import (
    Column,
    Frames,
    Kind,
    Rate,
    Report,
    counts,
    durations,
    rate_with_interval,
)
from runsync.reports.section import Band, Card, Change, Ranking, Section, Trends
from runsync.reports.statistics import Groups, joined, rate, tally, wilson

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.group_values import GroupValues
    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_FLAGS = ("is_finished", "is_aborted", "never_started")
_BAND = Band("abort_rate", "abort_rate_low", "abort_rate_high")


def load(reader: "Reader", query: "Query") -> Frames:
    """Finished runs, counted; the times to the abort of aborted runs; and how many of these were
    in each step: the last of a run's steps that had started."""
    place = ["pipeline_id", "run_id", "position", "name"]
    steps = reader.steps(query, place, where=["run_is_aborted"], known=["started_at"])
    last_first = steps.sort_values(["position", "name"], ascending=[False, True])
    ends = last_first.drop_duplicates(["pipeline_id", "run_id"])
    return (
        reader.counted(query, _FLAGS, where=["is_finished"]),
        reader.run_durations(query, "duration_ms", where=["is_aborted"]),
        tally(ends, [*query.keys, "name"], rows="times"),
    )


def figures(
    query: "Query", runs: "pd.DataFrame", times: "GroupValues", ends: "pd.DataFrame"
) -> "pd.DataFrame":
    """Counts aborted runs among finished ones."""
    groups = Groups(runs, query.keys)
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
    cut_short = times.by(query.keys)
    (median,) = cut_short.quantiles(0.5)
    table = joined(table, cut_short.keys.assign(median_time_to_abort=median), query.keys)
    table = joined(table, _commonest_last_step(ends, query.keys), query.keys)
    return table.assign(last_step_aborts=table["last_step_aborts"].fillna(0))


def _commonest_last_step(ends: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """The step that most of a group's aborts came in; of equally common ones the first by name."""
    often = tally(ends, [*keys, "name"], ["times"])
    often = often.sort_values("times", ascending=False, kind="stable")
    first = often.drop_duplicates(list(keys)) if keys else often.head(1)
    told = first[[*keys, "name", "times"]].reset_index(drop=True)
    return told.rename(columns={"name": "last_step", "times": "last_step_aborts"})


REPORT = Report(
    name="abort_frequencies",
    command="aborts",
    title="Aborts",
    summary="How many of the finished runs were aborted, after how long, in which step.",
    about="A run was in the last of its steps, by position, that had started.",
    columns=(
        *counts(
            finished="runs that have finished, with any result",
            aborted="finished runs that were aborted",
        ),
        *rate_with_interval("abort_rate", "aborted / finished"),
        *counts(never_started="aborted runs that were aborted before they started"),
        *durations(
            median_time_to_abort="median time from start to abort of the aborted runs that started"
        ),
        Column("last_step", Kind.TEXT, "the step most of them were in"),
        *counts(last_step_aborts="how many were in that step"),
    ),
    load=load,
    figures=figures,
    main=Rate("abort_rate", hits="aborted", trials=("finished",)),
    section=Section(
        panels=(
            Trends(_BAND, per_pipeline=False),
            Ranking(
                "Abort rate by pipeline",
                greatest=("abort_rate",),
                note="aborted",
                sum="aborted runs",
                band=_BAND,
                shape="intervals",
                name="by pipeline",
            ),
        ),
        caption="Aborted as a share of finished runs, with 95% intervals. {hollow}",
        cards=(Card("Aborted", "of finished runs"),),
        change=Change("abort rate", "is aborted more", "is aborted less"),
    ),
    order=50,
    reads_steps=False,
    spare=(
        "never_started",
        "median_time_to_abort",
        "abort_rate_low abort_rate_high",
        "last_step last_step_aborts",
    ),
    example="--since 30d --by branch",
)

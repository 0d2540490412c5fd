"""Pass rates of runs."""

from typing import TYPE_CHECKING

from runsync.reports.query_spec import OF_STEPS
from runsync.reports.report import STEP_KEYS, Frames, Rate, Report, counts, rate_with_interval
from runsync.reports.section import Band, Card, Change, Section, Trends
from runsync.reports.statistics import Groups, rate, tally, wilson
from runsync.reports.verdicts import VERDICT_COLUMNS, verdicts_of

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

FLAGS = ("is_finished", "is_passed", "is_failed", "is_aborted", "is_skipped", "in_rate")


def load(reader: "Reader", query: "Query") -> Frames:
    """Finished runs by the flags of ``v_runs``, counted; by step or job their finished steps."""
    flags = [*FLAGS, "is_failed_by_error"]
    if OF_STEPS.isdisjoint(query.keys):
        return (reader.counted(query, flags, where=["is_finished"]),)
    steps = reader.steps(query, VERDICT_COLUMNS, where=["is_finished"])
    return (tally(verdicts_of(steps, query.keys), query.keys, flags),)


def figures(query: "Query", runs: "pd.DataFrame") -> "pd.DataFrame":
    """Adds up the counts of runs by result."""
    groups = Groups(runs, query.keys)
    finished, passed, failed, aborted, skipped, rated = (groups.total(runs[f]) for f in FLAGS)
    low, high = wilson(passed, rated)
    return groups.keys.assign(
        finished=finished,
        passed=passed,
        failed=failed,
        aborted=aborted,
        skipped=skipped,
        unknown=finished - rated - aborted - skipped,
        pass_rate=rate(passed, rated),
        pass_rate_low=low,
        pass_rate_high=high,
        errors=groups.total(runs["is_failed_by_error"]),
    )


REPORT = Report(
    name="pass_rates",
    command="pass-rates",
    title="Pass rates",
    summary="How many of the runs that passed or failed have passed.",
    about="Aborted, skipped and unknown runs are counted, but are not in the rate. By step or job "
    "a run counts once for each: as failed where any step of that name or job failed, else as "
    "aborted where any was.",
    columns=(
        *counts(
            finished="runs that have finished, with any result",
            passed="finished runs that passed",
            failed="finished runs that failed",
            aborted="finished runs that were aborted",
            skipped="finished runs that were skipped",
            unknown="finished runs whose result the provider does not tell",
        ),
        *rate_with_interval("pass_rate", "passed / (passed + failed)"),
        *counts(errors="failed runs that failed by the CI system's own fault"),
    ),
    load=load,
    figures=figures,
    main=Rate("pass_rate", hits="passed", trials=("passed", "failed")),
    section=Section(
        panels=(Trends(Band("pass_rate", "pass_rate_low", "pass_rate_high"), near_one=True),),
        caption="Pass rate per {every} with its 95% interval. {hollow}",
        cards=(
            Card("Finished runs", "of {pipelines} pipelines", "sum", "finished"),
            Card("Pass rate", "passed / (passed + failed)"),
        ),
        change=Change(
            "pass rate",
            "fails less",
            "fails more",
            worse="less",
            complement="failure rate",
            by_step="step_failures",
            most_in="first_failures",
        ),
    ),
    order=10,
    reads_steps=False,
    keys=STEP_KEYS,
    spare=("unknown", "skipped", "errors", "pass_rate_low pass_rate_high"),
    example="--since 90d --every week",
)

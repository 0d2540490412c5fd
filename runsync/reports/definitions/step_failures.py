"""Which steps fail."""

from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.report import (
    STEP_KEYS,
    Column,
    Frames,
    Kind,
    Rate,
    Report,
    counts,
    rate_with_interval,
)
from runsync.reports.section import Band, Ranking, Rows, Section
from runsync.reports.statistics import Groups, joined, rate, tally, wilson
from runsync.reports.verdicts import RUN

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_LAST = ("last_failed_at", "run_created_at", "last_run", "pipeline_id", "web_url")
_TEXTS = ("last_run", "web_url")
_FAILED = ("failed", "first_failures", "errors")
_FAILURE = ("position", "finished_at", "run_created_at", "is_error", "web_url")


def load(reader: "Reader", query: "Query") -> Frames:
    """The runs in which each step passed or failed, those in which it failed, both counted; and
    the last failure of each."""
    from runsync.reports.profiles import profiles_of

    runs, judged = profiles_of(reader, query, (), where=["in_rate"])
    failures = reader.steps(query, [*RUN, *_FAILURE], where=["is_failed"])
    failed_at = failures["finished_at"].fillna(failures["run_created_at"])
    told = failures.assign(last_failed_at=failed_at, last_run=failures["run_id"])
    return (
        _judged(runs, judged, query.keys),
        _failed(failures, query.keys),
        _last(told[[*query.keys, *_LAST]], query.keys),
    )


def figures(
    query: "Query", runs: "pd.DataFrame", failed: "pd.DataFrame", last: "pd.DataFrame"
) -> "pd.DataFrame":
    """Adds up the runs in which each step failed, and tells the last of them."""
    table = tally(runs, query.keys, ["runs"])
    for more in (tally(failed, query.keys, _FAILED), _last(last, query.keys)):
        table = joined(table, more, query.keys)
    number = [*_FAILED]
    table[number] = table[number].fillna(0)
    low, high = wilson(table["failed"], table["runs"])
    table = table.assign(
        failure_rate=rate(table["failed"], table["runs"]),
        failure_rate_low=low,
        failure_rate_high=high,
    )
    if query.every:  # over time a step's rows belong together
        return table.sort_values(list(query.keys), ignore_index=True)
    outer = Groups(table, query.outer_keys).codes
    return table.iloc[np.lexsort((-table["failed"], outer))].reset_index(drop=True)


def _judged(runs: "pd.DataFrame", steps: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """In how many runs each step passed or failed: runs of one profile are alike in that."""
    alike = tally(runs, ["profile", *(key for key in keys if key in runs)], ["runs"])
    each = Groups(steps, ["profile", *(key for key in keys if key in steps)]).keys
    return tally(alike.merge(each, on="profile"), keys, ["runs"])


def _failed(failures: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """Of each group the runs in which it failed, was the first to, or failed by the CI's fault."""
    first = failures.sort_values(["position", "name", "job"]).drop_duplicates(RUN).index
    failures = failures.assign(is_first=failures.index.isin(first))
    runs = Groups(failures, [*keys, *RUN])
    counted = runs.keys.assign(
        first_failures=runs.total(failures["is_first"]) > 0,
        errors=runs.total(failures["is_error"]) == runs.total(),
    )
    return tally(counted, keys, ["first_failures", "errors"], rows="failed")


def _last(failures: "pd.DataFrame", keys: tuple[str, ...]) -> "pd.DataFrame":
    """The last failure of each group: when it was, and in which run."""
    latest_first = failures.sort_values(list(_LAST[:4]), ascending=False)
    groups = Groups(latest_first, keys)
    told = latest_first.iloc[groups.first].reset_index(drop=True)
    for name in _TEXTS:  # of all runs that failed only those that are told are kept
        told[name] = told[name].astype("category").cat.remove_unused_categories()
    return groups.keys.assign(**{name: told[name] for name in _LAST})


_BAND = Band("failure_rate", "failure_rate_low", "failure_rate_high")
REPORT = Report(
    name="step_failures",
    command="failures",
    title="Failures by step",
    summary="How often each step fails, and in how many runs it was the first to fail.",
    about="Counted are runs in which the step passed or failed; it failed in a run where any step "
    "of that name and job did, a try that was retried included. First is the lowest position among "
    "the steps of a run that failed. In each group the steps that failed most come first.",
    columns=(
        *counts(
            runs="runs in which the step passed or failed",
            failed="runs in which it failed",
        ),
        *rate_with_interval("failure_rate", "failed / runs"),
        *counts(first_failures="runs in which it was the first step to fail"),
        Column("last_failed_at", Kind.TIME, "when it failed last"),
        Column("last_run", Kind.TEXT, "the run in which it did"),
        Column("web_url", Kind.TEXT, "that run's page"),
        *counts(errors="runs in which it failed by the CI system's own fault alone"),
    ),
    load=load,
    figures=figures,
    main=Rate("failure_rate", hits="failed", trials=("runs",)),
    section=Section(
        panels=(
            Ranking(
                "Failure rate of the steps that fail most",
                greatest=("failed", "failure_rate"),
                note="failed",
                sum="runs in which it failed",
                band=_BAND,
                shape="intervals",
                positive="failed",
                name="the steps that fail most",
            ),
        ),
        caption="With 95% intervals. {left_out} of {total} steps never failed.",
        rows=Rows(
            greatest=("failed", "failure_rate"),
            positive="failed",
            trend="failure_rate",
            link="last_run",
        ),
    ),
    order=25,
    keys=STEP_KEYS,
    implied=("step", "job"),
    apart=True,
    spare=(
        *("errors", "web_url", "job", "failure_rate_low failure_rate_high", "last_run"),
        *("runs", "last_failed_at"),
    ),
    example="--since 7d --pipeline build",
)

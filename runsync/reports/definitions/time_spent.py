"""Where the minutes go."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.report import (
    STEP_KEYS,
    Column,
    Frames,
    Kind,
    NothingToCompare,
    Report,
    counts,
)
from runsync.reports.section import Band, Ranking, Rows, Section
from runsync.reports.statistics import Groups, rate, tally

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query
    from runsync.reports.statistics import Floats

_FLAGS = ("is_failed", "is_aborted", "is_superseded")
_SPENT = ("ms", "failed", "aborted", "superseded", "wasted")
_MINUTE = 60_000


def load(reader: "Reader", query: "Query") -> Frames:
    """The runs, counted, and the milliseconds by runner."""
    from runsync.reports.run_times import times_of_runs

    runs, spent = times_of_runs(reader, query, _FLAGS)
    ms = spent["ms"].to_numpy()
    failed, aborted, superseded = (spent[flag].to_numpy() == 1 for flag in _FLAGS)
    wasted = failed | aborted | superseded
    sums = (ms, ms * failed, ms * aborted, ms * superseded, ms * wasted)
    spent = spent.assign(**dict(zip(_SPENT, sums, strict=True)))
    return runs, tally(spent, _with_runner(query), _SPENT)


def figures(query: "Query", runs: "pd.DataFrame", spent: "pd.DataFrame") -> "pd.DataFrame":
    """Adds the minutes up, all of them and those that came to nothing."""
    # Once more by runner, and sorted: sums of prices depend on their order.
    spent = tally(spent, _with_runner(query), _SPENT)
    groups = Groups(spent, query.keys)
    ms, failed, aborted, superseded, wasted = (groups.total(spent[name]) for name in _SPENT)
    return groups.keys.assign(
        runs=tally(runs, query.keys, ["runs"])["runs"],
        minutes=ms / _MINUTE,
        minutes_failed=failed / _MINUTE,
        minutes_aborted=aborted / _MINUTE,
        minutes_superseded=superseded / _MINUTE,
        waste=rate(wasted, ms),
        cost=_cost(groups, spent["ms"] / _MINUTE, _prices(spent["runner"], query.prices)),
    )


def _with_runner(query: "Query") -> list[str]:
    return list(dict.fromkeys([*query.keys, "runner"]))


def _cost(groups: Groups, minutes: "pd.Series", prices: "Floats") -> "Floats":
    """What the minutes of each group cost; NaN where none of them has a price."""
    is_priced = ~np.isnan(prices)
    cost = groups.total(minutes * np.nan_to_num(prices))
    return np.where(groups.total(is_priced) > 0, cost, np.nan)


def _prices(runners: "pd.Series", prices: Mapping[str, float]) -> "Floats":
    """The price of a minute on each runner, NaN where it has none."""
    names = runners.astype(object).where(runners.notna(), "")
    known = {name: _price(str(name), prices) for name in names.unique()}
    return names.map(known).to_numpy(np.float64)


def _price(runner: str, prices: Mapping[str, float]) -> float:
    """By the first pattern that fits the whole text or one of its labels."""
    words = {runner, *(label.strip() for label in runner.split(","))}
    fitting = (p for pattern, p in prices.items() if any(fnmatchcase(w, pattern) for w in words))
    return next(fitting, np.nan)


REPORT = Report(
    name="time_spent",
    command="time",
    title="Time and cost",
    summary="Where the minutes go, and what they cost.",
    about="The minutes of finished runs on their runners: the time of all their steps, so that "
    "jobs side by side count each; of a run without any step that ran, its own time. A run is "
    "superseded where it has a later attempt; one run may be failed and superseded. The price is "
    "that of the first pattern which fits the runner's name or one of its labels.",
    columns=(
        *counts(runs="finished runs"),
        Column("minutes", Kind.NUMBER, "minutes of all of them"),
        Column("minutes_failed", Kind.NUMBER, "minutes of runs that failed"),
        Column("minutes_aborted", Kind.NUMBER, "minutes of runs that were aborted"),
        Column("minutes_superseded", Kind.NUMBER, "minutes of runs that have a later attempt"),
        Column("waste", Kind.RATE, "share of the minutes that any of these three holds"),
        Column("cost", Kind.NUMBER, "price of the minutes on runners that have one"),
    ),
    load=load,
    figures=figures,
    main=NothingToCompare(),
    section=Section(
        panels=(
            Ranking(
                "Minutes by pipeline",
                greatest=("minutes",),
                note="waste",
                sum="share that came to nothing",
                band=Band("minutes", "minutes", "minutes"),
                name="minutes",
            ),
        ),
        caption="Minutes of all steps; jobs that run side by side count each.",
        rows=Rows(greatest=("minutes",), trend="waste"),
    ),
    order=45,
    keys=STEP_KEYS,
    spare=("minutes_superseded", "minutes_aborted", "cost"),
    takes=("prices",),
    example="--since 30d --by runner",
)

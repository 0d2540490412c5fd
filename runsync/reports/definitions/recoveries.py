"""How long broken branches stay broken.

A branch of a pipeline breaks when a run fails after one that passed, and recovers with the next
that passes.
"""

from typing import TYPE_CHECKING

from runsync.reports.breaks import BRANCH, BREAK_COLUMNS, breaks_of
from runsync.reports.report import (
    Column,
    Frames,
    Kind,
    Median,
    Report,
    counts,
    durations,
)
from runsync.reports.section import Band, Ranking, Rows, Section
from runsync.reports.statistics import Groups, joined, rate

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query


_BREAK = ("broken_at", "ms", "is_new")


def load(reader: "Reader", query: "Query") -> Frames:
    """The breaks that belong to the window, and those still open at its end."""
    breaks = breaks_of(reader.verdicts(query, BREAK_COLUMNS), query.window.since)
    kept = breaks[breaks["is_new"] | breaks["ms"].isna()].reset_index(drop=True)
    return (kept[[*dict.fromkeys([*query.keys, *BRANCH, *_BREAK])]],)


def figures(query: "Query", breaks: "pd.DataFrame") -> "pd.DataFrame":
    """Counts and times the breaks."""
    # Sorted, as means of times depend on their order.
    breaks = breaks.sort_values([*BRANCH, "broken_at"], kind="stable", ignore_index=True)
    groups = Groups(breaks, query.keys)
    table = groups.keys.assign(failures=groups.total(breaks["is_new"]))
    broken = breaks[breaks["ms"].isna()].sort_values("broken_at", kind="stable")
    still = Groups(broken, query.keys)
    open_since = broken["broken_at"].iloc[still.first].array
    table = joined(table, still.keys.assign(open_since=open_since), query.keys)
    mended = breaks[breaks["ms"].notna()]
    times = Groups(mended, query.keys)
    p50, p90 = times.quantiles(mended["ms"], 0.5, 0.9)
    mean = rate(times.total(mended["ms"]), times.total())
    spread = times.keys.assign(mean_time_to_recovery=mean, p50=p50, p90=p90)
    return joined(table, spread, query.keys)


REPORT = Report(
    name="recoveries",
    command="recovery",
    title="Recoveries",
    summary="How often branches broke, and how long they stayed broken.",
    about="From the end of the first failure after a pass to the end of the next pass. Aborted, "
    "skipped and unknown runs are ignored. Listed are branches that broke in the window, by a run "
    "that was created or ended in it, and all that were still broken at its end, also those that "
    "broke before it or have never passed. A break belongs to the period of the run that broke it.",
    columns=(
        *counts(failures="times it broke in the window: first failures after a pass"),
        Column("open_since", Kind.TIME, "since when it is broken, where it still is"),
        *durations(
            mean_time_to_recovery="mean time to the next pass; a break still open is not in it",
            p50="its median",
            p90="nine of ten recovered within this",
        ),
    ),
    load=load,
    figures=figures,
    main=Median(),
    section=Section(
        panels=(
            Ranking(
                "Time to recovery by pipeline",
                greatest=("failures",),
                note="failures",
                note_unit="×",
                sum="times broken",
                band=Band("p50", "p50", "p90"),
                name="time to recovery",
            ),
        ),
        caption="Bars reach to the median, lines to the time within which nine of ten recovered.",
        rows=Rows(
            by=("pipeline", "branch"),
            greatest=("failures",),
            earliest="open_since",
            only_alive=True,
        ),
    ),
    order=60,
    reads_steps=False,
    by=("pipeline", "branch"),
    whole_pipelines=True,
    spare=("p90", "mean_time_to_recovery"),
    example="--since 30d --by pipeline",
)

"""What is red now."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from runsync.reports.breaks import BRANCH, BREAK_COLUMNS, breaks_of, default_branches_in
from runsync.reports.report import (
    Column,
    Frames,
    Kind,
    NothingToCompare,
    Report,
    counts,
)
from runsync.reports.section import Rows, Section, StateNow
from runsync.reports.verdicts import RUN

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_ALIVE = timedelta(days=30)
_RUN = ("pipeline_id", "id")


def load(reader: "Reader", query: "Query") -> Frames:
    """The open breaks of branches that had a run of late, with what is told of their runs."""
    window = query.window
    since = max(filter(None, (window.since, window.end - _ALIVE)))
    recent = replace(query, window=replace(window, since=since))
    breaks = breaks_of(reader.verdicts(recent, [*BREAK_COLUMNS, "id"]), since)
    alive = reader.runs(recent, [*BRANCH, "run_created_at"])
    defaults = default_branches_in(alive, reader.told_default_branches)
    alive = alive.drop_duplicates(list(BRANCH))[[*BRANCH]]
    broken = breaks[breaks["ms"].isna()].astype(dict.fromkeys(("branch", "id"), object))
    broken = broken.merge(alive.astype({"branch": object}), on=list(BRANCH))
    return (_with_default(_with_run(reader, query, broken), defaults),)


def _with_run(reader: "Reader", query: "Query", broken: "pd.DataFrame") -> "pd.DataFrame":
    """With the commit, author and page of each run that broke something, and its first failure."""
    ids = list(broken["id"])
    runs = reader.runs(query, [*_RUN, "commit_hash", "author", "web_url"], ids=ids)
    steps = reader.steps(query, [*RUN, "position", "name"], where=["is_failed"], ids=ids)
    first = steps.sort_values(["position", "name"]).drop_duplicates(list(RUN))
    first = first[[*RUN, "name"]].set_axis([*_RUN, "failed_step"], axis="columns")
    told = runs[[*_RUN, "commit_hash", "author", "web_url"]].rename(columns={"author": "by_whom"})
    for more in (told, first):
        broken = broken.merge(more.astype({"id": object}), on=list(_RUN), how="left")
    return broken


def _with_default(broken: "pd.DataFrame", defaults: dict[int, str | None]) -> "pd.DataFrame":
    """Whether each branch is its pipeline's default one."""
    pairs = zip(broken["pipeline_id"], broken["branch"], strict=True)
    is_default = [isinstance(branch, str) and branch == defaults[id] for id, branch in pairs]
    return broken.assign(is_default=is_default)


def figures(query: "Query", broken: "pd.DataFrame") -> "pd.DataFrame":
    """The breaks, those of default branches first, then the latest first."""
    order = [*query.keys]
    broken = broken.sort_values(order).sort_values(
        ["is_default", "broken_at"], ascending=False, kind="stable"
    )
    return broken[order].assign(
        since=broken["broken_at"],
        run=broken["id"],
        commit_hash=broken["commit_hash"],
        author=broken["by_whom"],
        step=broken["failed_step"],
        web_url=broken["web_url"],
        runs_since=broken["later"],
    )


REPORT = Report(
    name="broken_branches",
    command="broken",
    title="Broken now",
    summary="Which branches are red now, since when, by which run, commit and author.",
    about="A branch is broken where its last verdict is a failure: since the first failure after "
    "its last pass, or since its first run where it never passed. Default branches come first; "
    "branches without a run in the last 30 days of the window are left out. The step is the first "
    "of the run that failed, by position.",
    columns=(
        Column("since", Kind.TIME, "when the run that broke it ended"),
        Column("run", Kind.TEXT, "the run that broke it"),
        Column("commit_hash", Kind.TEXT, "that run's commit"),
        Column("author", Kind.TEXT, "that run's author"),
        Column("step", Kind.TEXT, "the first step that failed in it"),
        Column("web_url", Kind.TEXT, "that run's page"),
        *counts(runs_since="runs that failed since then"),
    ),
    load=load,
    figures=figures,
    main=NothingToCompare(),
    section=Section(
        panels=(StateNow(),),
        caption="",
        rows=Rows(by=("pipeline", "branch"), link="run"),
    ),
    order=5,
    reads_steps=False,
    by=("pipeline", "branch"),
    implied=("pipeline", "branch"),
    whole_pipelines=True,
    spare=("web_url", "commit_hash", "author", "run"),
    example="--pipeline build",
)

"""When the figures of pipelines and steps changed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runsync.reports.query_spec import OF_STEPS
from runsync.reports.report import (
    STEP_KEYS,
    Column,
    Frames,
    Kind,
    NothingToCompare,
    Report,
    counts,
)
from runsync.reports.section import ChangePoints, Section
from runsync.reports.segments import ChangePoint, Series, changes_in
from runsync.reports.statistics import Groups

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_COLUMNS = ("run_created_at", "is_passed", "in_rate", "duration_ms")
_DAY = 86_400_000_000
_FIGURES = ("figure", "at", "before", "after", "change", "p_value", "runs")


def load(reader: "Reader", query: "Query") -> Frames:
    """Finished runs, and steps that ran or have a verdict."""
    of_runs = replace(query, by=tuple(k for k in query.by if k not in OF_STEPS), implied=())
    runs = reader.runs(of_runs, _COLUMNS, where=["is_finished"])
    runs = runs.assign(**dict.fromkeys(sorted(OF_STEPS)))
    steps = reader.steps(query, [*_COLUMNS, "ran"], where=["is_finished"])
    names = [*dict.fromkeys([*query.keys, *_COLUMNS])]
    return runs[names], steps[[*names, "ran"]]


@dataclass(frozen=True, slots=True)
class _Group:
    """One figure of one group: its rows, oldest first."""

    figure: str
    keys: dict[str, Any]
    rows: "pd.DataFrame"
    values: npt.NDArray[np.float64]

    def series(self) -> Series:
        """Verdicts as they are; of durations the ranks, so that single long ones weigh little."""
        days = self.rows["run_created_at"].astype("int64").to_numpy() / _DAY
        if self.figure == "pass_rate":
            return Series(days, self.values)
        ranks = self.rows["duration_ms"].rank().to_numpy(np.float64)
        return Series(days, ranks / max(len(ranks), 1))

    def row(self, change: ChangePoint) -> dict[str, Any]:
        """The row of a change."""
        before, after = (
            self._summary(self.values[part])
            for part in (slice(change.begin, change.at), slice(change.at, change.end))
        )
        first = self.rows.iloc[change.at]
        return self.keys | {
            "period": first.get("period"),
            "figure": self.figure,
            "at": first["run_created_at"],
            "before": before,
            "after": after,
            "change": after - before,
            "p_value": change.p_value,
            "runs": change.end - change.begin,
        }

    def _summary(self, values: npt.NDArray[np.float64]) -> float:
        if self.figure == "pass_rate":
            return float(values.mean())
        return float(np.median(values) / 1000)


def figures(query: "Query", runs: "pd.DataFrame", steps: "pd.DataFrame") -> "pd.DataFrame":
    """The changes, the newest first."""
    import pandas as pd

    keys = [key for key in query.keys if key != "period"]
    groups = [
        one
        for rows, timed in ((runs, runs), (steps, steps[steps["ran"] == 1]))
        for one in (
            *_groups(rows[rows["in_rate"] == 1], keys, "pass_rate", "is_passed"),
            *_groups(timed.dropna(subset=["duration_ms"]), keys, "p50", "duration_ms"),
        )
    ]
    found = changes_in([one.series() for one in groups])
    rows = [groups[change.series].row(change) for change in found]
    table = pd.DataFrame(rows, columns=[*keys, "period", *_FIGURES])
    return table.sort_values("at", ascending=False, kind="stable", ignore_index=True)


def _groups(frame: "pd.DataFrame", keys: list[str], figure: str, column: str) -> Iterator[_Group]:
    if frame.empty:
        return
    frame = frame.sort_values(["run_created_at", column], kind="stable")
    groups = Groups(frame, keys)
    order = np.argsort(groups.codes, kind="stable")
    ends = np.cumsum(groups.total())[:-1].astype(np.int64)
    names = groups.keys.astype(object).to_dict("records") if keys else [{}]
    for name, places in zip(names, np.split(order, ends), strict=True):
        rows = frame.iloc[places]
        yield _Group(figure, name, rows, rows[column].to_numpy(np.float64))  # type: ignore[arg-type]


REPORT = Report(
    name="change_points",
    command="changes",
    title="Change points",
    summary="When a pass rate or a median duration changed, and stayed so.",
    about="Of whole runs, where step is null, and of each step. Runs are not taken for "
    "independent: a change has to stand out from how much blocks of four days vary on either side "
    "of it, and from the same blocks in random order; p-values are corrected for the number of "
    "figures. A slow drift can be taken for a change, and a small change dated some days off. A "
    "week and ten runs are needed on either side. A change belongs to the period of the first run "
    "after it.",
    columns=(
        Column("figure", Kind.TEXT, "pass_rate, a share of 1, or p50, in seconds"),
        Column("at", Kind.TIME, "creation of the first run after the change"),
        Column("before", Kind.RATE, "the figure from the change before, or the beginning, to this"),
        Column("after", Kind.RATE, "the figure from here to the next change, or the end"),
        Column("change", Kind.RATE, "after - before"),
        Column("p_value", Kind.RATE, "how likely chance makes such a change in any figure"),
        *counts(runs="how many runs both are made of"),
    ),
    load=load,
    figures=figures,
    main=NothingToCompare(),
    section=Section(panels=(ChangePoints(),), caption=""),
    order=8,
    keys=STEP_KEYS,
    implied=("step", "job"),
    spare=("job", "runs", "p_value"),
)

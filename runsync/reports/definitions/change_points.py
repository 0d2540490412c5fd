"""When the figures of pipelines and steps changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runsync.reports.query_spec import OF_STEPS, keys_of_runs
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

if TYPE_CHECKING:
    import pandas as pd

    from runsync.reports.group_values import GroupValues, Values
    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_DAY = 86_400_000_000
_FIGURES = ("figure", "at", "before", "after", "change", "p_value", "runs")


def load(reader: "Reader", query: "Query") -> Frames:
    """Of finished runs, and then of steps that ran or have a verdict, the series of each group."""
    from runsync.reports.series import series_of_runs, series_of_steps

    of_all_time = replace(query, every=None)
    of_runs = replace(of_all_time, by=keys_of_runs(query.by), implied=())
    runs = series_of_runs(reader, of_runs)
    for one in runs:
        one.keys = one.keys.assign(**dict.fromkeys(sorted(OF_STEPS)))[[*of_all_time.keys]]
    return (*runs, *series_of_steps(reader, of_all_time))


@dataclass(frozen=True, slots=True)
class _Group:
    """What finished of one group: its keys, and the values that :func:`load` tells."""

    keys: dict[str, Any]
    at: "Values"
    verdicts: "Values"
    took: "Values"


@dataclass(frozen=True, slots=True)
class _Figure:
    """One figure of one group, oldest first; in microseconds, and shares of 1 or milliseconds."""

    name: str
    at: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def series(self) -> Series:
        """Verdicts as they are; of durations the ranks, so that single long ones weigh little."""
        if self.name == "pass_rate":
            return Series(self.at / _DAY, self.values)
        import pandas as pd

        ranks = pd.Series(self.values).rank().to_numpy(np.float64)
        return Series(self.at / _DAY, ranks / max(len(ranks), 1))

    def row(self, change: ChangePoint) -> dict[str, Any]:
        """What is told of a change, but for its keys."""
        before, after = (
            self._summary(self.values[part])
            for part in (slice(change.begin, change.at), slice(change.at, change.end))
        )
        return {
            "figure": self.name,
            "at": self.at[change.at],
            "before": before,
            "after": after,
            "change": after - before,
            "p_value": change.p_value,
            "runs": change.end - change.begin,
        }

    def _summary(self, values: npt.NDArray[np.float64]) -> float:
        if self.name == "pass_rate":
            return float(values.mean())
        return float(np.median(values) / 1000)


class _Figures(Sequence[Series]):
    """The figures of all groups, each made of the groups' narrow values when it is asked for."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._groups = groups

    def __len__(self) -> int:
        return 2 * len(self._groups)

    def __getitem__(self, number: Any) -> Any:
        return self.figure(number).series()

    def keys(self, number: int) -> dict[str, Any]:
        """Whose figure it is."""
        return self._groups[number // 2].keys

    def figure(self, number: int) -> _Figure:
        """Of each group first the verdicts and then the durations."""
        group = self._groups[number // 2]
        told = group.took if number % 2 else group.verdicts
        at = group.at[told > 0].astype(np.int64)
        values = told[told > 0] - np.float64(1)
        order = np.argsort(at)
        if (np.diff(at[order]) == 0).any():
            order = np.lexsort((values, at))
        return _Figure("p50" if number % 2 else "pass_rate", at[order], values[order])


def figures(query: "Query", *columns: "GroupValues") -> "pd.DataFrame":
    """The changes, the newest first."""
    import pandas as pd

    from runsync.reports.columns import with_keys

    keys = [key for key in query.keys if key != "period"]
    every = _Figures([*_groups(keys, *columns[:3]), *_groups(keys, *columns[3:])])
    found = changes_in(every)
    rows = [every.keys(one.series) | every.figure(one.series).row(one) for one in found]
    table = pd.DataFrame(rows, columns=[*keys, *_FIGURES])
    at = pd.to_datetime(table["at"].astype("int64"), unit="us", utc=True)
    table = table.assign(at=at, run_created_at=at)
    table = with_keys(table, replace(query, by=(), implied=()))  # the period
    return table.sort_values("at", ascending=False, kind="stable", ignore_index=True)


def _groups(
    keys: list[str], at: "GroupValues", verdicts: "GroupValues", took: "GroupValues"
) -> Iterator[_Group]:
    names = at.keys.astype(object).to_dict("records") if keys else [{}] * len(at.counts)
    for name, place in zip(names, at.places(), strict=True):
        yield _Group(name, *(one.values[place] for one in (at, verdicts, took)))  # type: ignore[arg-type]


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

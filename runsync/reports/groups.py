"""What rows are grouped by: the keys that ``by`` and ``every`` name, and the split itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from runsync.errors import ConfigError
from runsync.reports.categories import categorical
from runsync.reports.pipelines import Pipeline
from runsync.reports.window import nearest

By: TypeAlias = Literal["pipeline", "source", "branch", "author", "weekday", "hour", "step", "job"]
RUN_KEYS = ("pipeline", "source", "branch", "author", "weekday", "hour")
STEP_KEYS = (*RUN_KEYS, "step", "job")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# What each key is made of, by the views' names; a step's `created_at` is its run's.
_MADE_OF = {
    "pipeline": "pipeline_id",
    "source": "pipeline_id",
    "branch": "branch",
    "author": "author",
    "weekday": "created_at",
    "hour": "created_at",
    "period": "created_at",
    "step": "name",
    "job": "job",
}


def checked_by(by: str | Iterable[str], known: Sequence[str], report: str) -> tuple[str, ...]:
    """The keys that ``by`` names, each once.

    Raises:
        ConfigError: a word is no key, or none of this report; the text names the nearest.
    """
    keys = tuple(dict.fromkeys([by] if isinstance(by, str) else by))
    for key in keys:
        if key not in STEP_KEYS:
            raise ConfigError(f"{report} cannot be grouped by {key!r}{nearest(key, known)}")
        if key not in known:
            raise ConfigError(
                f"{report} counts whole runs, which cannot be grouped by {key!r}; "
                f"known: {', '.join(known)}"
            )
    return keys


def columns_for(keys: Iterable[str]) -> list[str]:
    """The views' columns that the keys are made of."""
    return list(dict.fromkeys(_MADE_OF[key] for key in keys))


def with_keys(
    frame: pd.DataFrame,
    keys: Sequence[str],
    pipelines: Sequence[Pipeline],
    zone: tzinfo,
    every: str | None,
) -> pd.DataFrame:
    """The frame with a column for each key, and ``period`` for ``every``.

    Args:
        frame: has the columns that :func:`columns_for` names.
        zone: in which days, weeks, months and hours are told.
    """
    made: dict[str, Any] = {}
    if "created_at" in frame and ("weekday" in keys or "hour" in keys or every):
        local = frame["created_at"].dt.tz_convert(zone).dt.tz_localize(None)
        made |= _times(local, keys, every)
    for key in keys:
        if key in ("pipeline", "source"):
            made[key] = _of_pipelines(frame["pipeline_id"], key, pipelines)
        elif key == "step":
            made[key] = frame["name"]
    return frame.assign(**made)


def _times(local: pd.Series, keys: Sequence[str], every: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if "weekday" in keys:
        made["weekday"] = categorical(local.dt.day_of_week.to_numpy(), WEEKDAYS, ordered=True)
    if "hour" in keys:
        made["hour"] = local.dt.hour.astype("int64")
    if every:
        made["period"] = _period(local, every)
    return made


def _period(local: pd.Series, every: str) -> pd.Series:
    """The first day of each time's day, ISO week or month."""
    days = local.dt.normalize()
    if every == "week":
        days = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    elif every == "month":
        days = days - pd.to_timedelta(days.dt.day - 1, unit="D")
    first: pd.Series = days.astype("datetime64[us]")
    return first


def _of_pipelines(ids: pd.Series, key: str, pipelines: Sequence[Pipeline]) -> "pd.Categorical[str]":
    words = {p.id: p.label if key == "pipeline" else p.source for p in pipelines}
    categories = sorted(set(words.values()))
    place = np.full(max(words, default=0) + 1, -1)
    place[list(words)] = [categories.index(word) for word in words.values()]
    return categorical(place[ids.to_numpy()], categories)


@dataclass(frozen=True, slots=True)
class Split:
    """A frame's rows, told apart by their keys.

    ``keys`` has a row for each group, sorted, missing last; ``codes`` says for each row of the
    frame which group it is in. Without keys all rows are one group.
    """

    keys: pd.DataFrame
    codes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.keys)

    def total(
        self, values: pd.Series | npt.NDArray[np.generic] | None = None
    ) -> npt.NDArray[np.float64]:
        """The sum of ``values`` in each group; how many rows it has where there are none."""
        weights = None if values is None else np.asarray(values, np.float64)
        return np.bincount(self.codes, weights, len(self)).astype(np.float64)

    def first(self, values: pd.Series, order: npt.ArrayLike) -> pd.Series:
        """Of each group, the value of the row that is least by ``order``; missing where none."""
        rows = np.lexsort((np.asarray(order), self.codes))
        groups, at = np.unique(self.codes[rows], return_index=True)
        return values.iloc[rows[at]].set_axis(groups).reindex(range(len(self)))


def split(frame: pd.DataFrame, keys: Sequence[str]) -> Split:
    """Tells the rows of a frame apart by these columns."""
    if not keys:
        return Split(pd.DataFrame(index=range(min(1, len(frame)))), np.zeros(len(frame), np.int64))
    grouped = frame.groupby(list(keys), observed=True, dropna=False, sort=True)
    codes = grouped.ngroup().to_numpy().astype(np.int64)
    _, at = np.unique(codes, return_index=True)
    return Split(frame[list(keys)].iloc[at].reset_index(drop=True), codes)


class Ranked:
    """The values of each group in order, for quantiles and the like.

    Args:
        values: one for each row that was split, none of them missing.
    """

    def __init__(self, groups: Split, values: pd.Series) -> None:
        numbers = np.asarray(values, np.float64)
        self._sorted = numbers[np.lexsort((numbers, groups.codes))]
        self.counts = np.bincount(groups.codes, minlength=len(groups)).astype(np.int64)
        self._starts = np.cumsum(self.counts) - self.counts

    def quantile(self, share: float) -> npt.NDArray[np.float64]:
        """Linear between ranks, as pandas does; NaN for a group without values."""
        rank = (self.counts - 1) * share
        low = np.floor(rank).astype(np.int64)
        below, above = self.at(low), self.at(np.minimum(low + 1, self.counts - 1))
        value: npt.NDArray[np.float64] = below + (above - below) * (rank - low)
        return value

    def at(self, ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Each group's value at a rank of its own, from 0; NaN for a group without values."""
        if not len(self._sorted):
            return np.full(len(self.counts), np.nan)
        place = np.clip(self._starts + ranks, 0, len(self._sorted) - 1)
        return np.where(self.counts > 0, self._sorted[place], np.nan)

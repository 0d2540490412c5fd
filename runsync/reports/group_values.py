"""Values by group, in narrow integers: what quantiles and series are made of, in parts or whole.

A duration takes four bytes, so ten million take 40 MB, and those of a part no more than that again
while they are put in their places.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runsync.reports.statistics import Floats, Groups, rate

if TYPE_CHECKING:
    import pandas as pd

Values = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """All of :class:`GroupValues` but the values; of these the type."""

    keys: "pd.DataFrame"
    counts: npt.NDArray[np.int64]
    dtype: np.dtype[np.integer]


class GroupValues:
    """Values by group.

    Attributes:
        keys: a row for each group, sorted, missing last; no group is empty.
        counts: how many values each has.
        values: all of them, group after group: durations in milliseconds, say.
    """

    def __init__(self, keys: "pd.DataFrame", counts: npt.NDArray[np.int64], values: Values) -> None:
        self.keys, self.counts, self.values = keys, counts, values
        self._begins = np.cumsum(counts) - counts
        self._is_sorted = False

    @classmethod
    def of(cls, frame: "pd.DataFrame", keys: Sequence[str], column: str) -> "GroupValues":
        """The values of a column, none of them missing, of the rows in each group."""
        return cls.of_columns(frame, keys, [column])[0]

    @classmethod
    def of_columns(
        cls, frame: "pd.DataFrame", keys: Sequence[str], columns: Sequence[str]
    ) -> "list[GroupValues]":
        """The same of several columns; what stands in one row has one place in each of them, also
        behind :meth:`together`."""
        groups = Groups(frame, keys)
        counts = np.bincount(groups.codes, minlength=len(groups.first)).astype(np.int64)
        order = np.argsort(groups.codes, kind="stable")
        return [
            cls(groups.keys, counts, _narrow(frame[column].to_numpy(np.int64)[order]))
            for column in columns
        ]

    @classmethod
    def of_lists(
        cls, frame: "pd.DataFrame", keys: Sequence[str], column: str, number: int
    ) -> "list[GroupValues]":
        """The same of a column that holds ``number`` arrays of values in each row, alike long."""
        groups = Groups(frame, keys)
        order = np.argsort(groups.codes, kind="stable")
        unordered = frame[column].to_list()
        rows = [unordered[place] for place in order.tolist()]
        counts = groups.total(np.array([len(row[0]) for row in unordered])).astype(np.int64)
        return [
            cls(groups.keys, counts, _narrow(_joined([row[place] for row in rows])))
            for place in range(number)
        ]

    @property
    def sizes(self) -> GroupSizes:
        """Of which groups there are how many values."""
        return GroupSizes(self.keys, self.counts, self.values.dtype)

    @classmethod
    def together(
        cls, sizes: Sequence[GroupSizes], keys: "pd.DataFrame", parts: Iterable["GroupValues"]
    ) -> "GroupValues":
        """All values of several parts by group.

        Args:
            sizes: of all parts, in their order.
            keys: the rows of all sizes' keys.
            parts: each is let go once its values are in their places, so that those that nobody
                else holds take no memory twice.
        """
        groups = Groups(keys, [str(name) for name in keys])
        counts = np.concatenate([one.counts for one in sizes])
        order = np.argsort(groups.codes, kind="stable")
        begins = np.empty(len(counts), np.int64)
        begins[order] = np.cumsum(counts[order]) - counts[order]
        whole = np.empty(counts.sum(), np.result_type(*(one.dtype for one in sizes)))
        first = 0
        for part in parts:
            own = begins[first : first + len(part.counts)]
            shift = np.repeat(own - part._begins, part.counts)
            whole[shift + np.arange(len(part.values))] = part.values
            first += len(part.counts)
        totals = np.bincount(groups.codes, counts, len(groups.first)).astype(np.int64)
        return cls(groups.keys, totals, whole)

    def by(self, keys: Sequence[str]) -> "GroupValues":
        """The same values by fewer keys."""
        if list(keys) == list(self.keys):
            return self
        return GroupValues.together([self.sizes], self.keys[list(keys)], [self])

    def places(self) -> Iterator[slice]:
        """Where the values of each group are."""
        for begin, count in zip(self._begins.tolist(), self.counts.tolist(), strict=True):
            yield slice(begin, begin + count)

    def frame(self, name: str = "ms") -> "pd.DataFrame":
        """A row for each value, with its keys."""
        rows = self.keys.iloc[np.repeat(np.arange(len(self.counts)), self.counts)]
        return rows.assign(**{name: self.values}).reset_index(drop=True)

    def totals(self) -> Floats:
        """The sum of each group."""
        sums = [self.values[place].sum(dtype=np.int64) for place in self.places()]
        return np.array(sums, np.float64)

    def quantiles(self, *shares: float) -> list[Floats]:
        """For each share the quantile of each group, linear between ranks."""
        ordered, last = self._ordered(), self.counts - 1
        found = []
        for share in shares:
            rank = share * last
            low = self._begins + rank.astype(np.int64)
            high = np.minimum(low + 1, self._begins + last)
            at_low, at_high = (ordered[at].astype(np.float64) for at in (low, high))
            found.append(at_low + (at_high - at_low) * (rank % 1))
        return found

    def spread(self) -> dict[str, Floats]:
        """Count, mean, median, 90th and 95th percentile and maximum of each group."""
        p50, p90, p95, greatest = self.quantiles(0.5, 0.9, 0.95, 1)
        mean = rate(self.totals(), self.counts)
        count = self.counts.astype(np.float64)
        return {
            "count": count, "mean": mean, "p50": p50, "p90": p90, "p95": p95, "max": greatest
        }  # fmt: skip

    def _ordered(self) -> Values:
        if not self._is_sorted:
            for place in self.places():
                self.values[place].sort()
            self._is_sorted = True
        return self.values


def _joined(arrays: Sequence[Values]) -> Values:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def _narrow(values: Values) -> Values:
    least, most = values.min(initial=0), values.max(initial=0)
    for dtype in (np.uint8, np.uint32):
        if least >= 0 and most <= np.iinfo(dtype).max:
            is_as_wide = values.dtype.itemsize == np.dtype(dtype).itemsize
            return values.view(dtype) if is_as_wide else values.astype(dtype)
    return values

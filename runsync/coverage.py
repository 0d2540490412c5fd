"""Intervals of a listing's history that are known to be complete, and how they join.

An interval says: every run that the listing held between these two cursors when it was walked is
stored. Intervals are kept newest first and disjoint; two that touch become one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from runsync.records import Cursor


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``newest`` down to ``oldest``, both included; to the very first run if
    ``reaches_start``."""

    newest: Cursor
    oldest: Cursor
    reaches_start: bool = False

    def reaches(self, since: datetime | None) -> bool:
        """Whether it holds all the wanted history below its newest run."""
        return self.reaches_start or (since is not None and self.oldest <= Cursor(since, ""))


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same history in as few intervals as possible, newest first."""
    joined: list[Interval] = []
    for lower in sorted(intervals, key=lambda i: i.newest, reverse=True):
        touched = [place for place, upper in enumerate(joined) if _touch(upper, lower)]
        if not touched:
            joined.append(lower)
        elif lower.newest.at == lower.oldest.at and not lower.reaches_start:
            # It knows of nothing below its instant, so it joins nothing that lies there.
            joined[touched[0]] = _merge(joined[touched[0]], lower)
        else:
            joined[touched[0] :] = [reduce(_merge, [*joined[touched[0] :], lower])]
    return joined


def interval_containing(intervals: Iterable[Interval], cursor: Cursor) -> Interval | None:
    """The interval that surely holds ``cursor``.

    Nobody knows the order of runs of one instant, so in the instant of an end only the end
    itself is surely held.
    """
    for interval in intervals:
        ends = (interval.newest, interval.oldest)
        if interval.newest.at > cursor.at > interval.oldest.at or cursor in ends:
            return interval
    return None


def _touch(upper: Interval, lower: Interval) -> bool:
    # Nobody knows the order of runs of one instant, so there the runs must be the same.
    return (
        upper.reaches_start
        or upper.oldest.at < lower.newest.at
        or upper.oldest == lower.newest
        or upper.newest == lower.newest
    )


def _merge(upper: Interval, lower: Interval) -> Interval:
    return replace(
        upper,
        oldest=min(upper.oldest, lower.oldest),
        reaches_start=upper.reaches_start or lower.reaches_start,
    )


class CoverageTracker:
    """What one descent through a listing covers, page by page.

    Args:
        start: the cursor that the descent begins at; None for the top of the listing.
        since: how far back history is wanted; older runs are passed over.

    Attributes:
        lowest: the lowest cursor reached.
        intervals: what the descent has covered so far.
    """

    def __init__(self, start: Cursor | None, since: datetime | None = None) -> None:
        self._bound = Cursor(since, "") if since else None
        self._passed_bound = False
        self._unbroken = start  # where the interval that the next page extends ends
        self.lowest = start
        self.intervals: list[Interval] = []

    @property
    def done(self) -> bool:
        """Whether all the wanted history lies above ``lowest``."""
        return bool(self._bound and self.lowest and self.lowest <= self._bound)

    def add_page(
        self, cursors: Iterable[Cursor | None], *, at_start: bool = False
    ) -> list[Interval]:
        """Goes down one page.

        Args:
            cursors: the page's runs in their order; None for a row that could not be read, which
                leaves a hole.
            at_start: nothing older than this page is left.

        Returns:
            The intervals that the page covers; the first joins those of the page before.
        """
        covered: list[Interval] = []
        newest = oldest = self._unbroken
        for cursor in cursors:
            if cursor is None:
                if newest and oldest:
                    covered.append(Interval(newest, oldest))
                newest = oldest = None
                continue
            if self._bound and cursor < self._bound:
                # It shows that no wanted run is left below, and is itself not wanted.
                self._passed_bound, cursor = True, self._bound
            if newest is None and self._may_begin_at(cursor):
                newest = cursor
            if newest:
                oldest = min(oldest or cursor, cursor)
            self.lowest = min(self.lowest or cursor, cursor)
        if newest and oldest:
            covered.append(Interval(newest, oldest, at_start and not self._passed_bound))
        self._unbroken = oldest
        self.intervals = union([*self.intervals, *covered])
        return covered

    def _may_begin_at(self, cursor: Cursor) -> bool:
        """Whether an interval may begin here, at the top or after a hole.

        It may not at the bound, which is no run, nor above the hole, where runs that have arrived
        meanwhile turn up.
        """
        return cursor != self._bound and (self.lowest is None or cursor < self.lowest)

"""Stretches of a listing's history that are known to be complete, and how they join.

A stretch says: of all runs that the listing held between these two marks when it was walked, each
is stored. Stretches are kept newest first and apart; two that touch become one.
"""

from collections.abc import Iterable, Iterator
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
        """Whether all the history that is wanted below this stretch's top lies in it."""
        return self.reaches_start or (since is not None and self.oldest <= Cursor(since, ""))


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same history in as few stretches as it takes, newest first."""
    joined: list[Interval] = []
    for interval in sorted(intervals, key=lambda s: s.newest, reverse=True):
        touched = [place for place in _near(joined, interval) if _touch(joined[place], interval)]
        if not touched:
            joined.append(interval)
        elif _is_an_instant(interval):
            joined[touched[-1]] = _merge(joined[touched[-1]], interval)
        else:
            joined[touched[-1] :] = [reduce(_merge, [*joined[touched[-1] :], interval])]
    return joined


def interval_containing(intervals: Iterable[Interval], cursor: Cursor) -> Interval | None:
    """The stretch in which ``mark`` surely lies: of the same instant as an end, only that end."""
    return next(
        (
            s
            for s in intervals
            if s.newest.at > cursor.at > s.oldest.at or cursor in (s.newest, s.oldest)
        ),
        None,
    )


def _near(joined: list[Interval], lower: Interval) -> Iterator[int]:
    """Where those stretches stand that a lower one may touch, from below: the last one, and
    those that end in the instant in which it begins."""
    for place in reversed(range(len(joined))):
        yield place
        if joined[place].oldest.at > lower.newest.at:
            return


def _is_an_instant(interval: Interval) -> bool:
    """Whether it knows of nothing below its instant, so that it joins nothing that lies there."""
    return interval.newest.at == interval.oldest.at and not interval.reaches_start


def _touch(upper: Interval, lower: Interval) -> bool:
    # Of runs created in the same instant nobody knows the order, so they must be the same run.
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
        start: the mark that the descent begins at; None for the top of the listing.
        since: how far back history is wanted; runs before it are passed over.
    """

    def __init__(self, start: Cursor | None, since: datetime | None = None) -> None:
        self._bound = Cursor(since, "") if since else None
        self._unbroken = start
        self._passed_over = False
        self.lowest = start
        self.intervals: list[Interval] = []

    @property
    def done(self) -> bool:
        """Whether everything that is wanted lies above."""
        return bool(self._bound and self.lowest and self.lowest <= self._bound)

    def follow(self, cursors: Iterable[Cursor | None], *, at_start: bool = False) -> list[Interval]:
        """Goes down one page.

        Args:
            marks: where its runs stand, in their order; None for a row that could not be read,
                which leaves a hole.
            at_start: nothing older than this page is left.

        Returns:
            The stretches that the page covers; the first joins those of the page before.
        """
        covered: list[Interval] = []
        top = low = self._unbroken
        for cursor in cursors:
            if cursor is None:
                covered += _stretch(top, low)
                top = low = None
            else:
                cursor = self._bounded(cursor)
                top = top or (cursor if self._may_begin(cursor) else None)
                low = top and min(low or cursor, cursor)
                self.lowest = min(self.lowest or cursor, cursor)
        covered += _stretch(top, low, reaches_start=at_start and not self._passed_over)
        self._unbroken = low
        self.intervals = union([*self.intervals, *covered])
        return covered

    def _may_begin(self, cursor: Cursor) -> bool:
        """Whether a stretch may begin here, at the top or after a hole: not at a bound, which is
        no run, nor above the hole, where runs that have arrived meanwhile turn up."""
        return cursor != self._bound and (self.lowest is None or cursor < self.lowest)

    def _bounded(self, cursor: Cursor) -> Cursor:
        """A run before ``since`` shows that nothing after ``since`` is left below. It is not
        wanted itself, so it is not covered, even if it is the very first."""
        if self._bound is None or cursor >= self._bound:
            return cursor
        self._passed_over = True
        return self._bound


def _stretch(
    top: Cursor | None, low: Cursor | None, *, reaches_start: bool = False
) -> list[Interval]:
    return [Interval(top, low, reaches_start)] if top and low else []

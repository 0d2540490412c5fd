"""Which page of a listing to ask for next, and what the pages so far prove. No I/O.

Why no run can be missed:

1. A source yields pages that join: each begins at a run of the page before it, so no run stands
   between two pages that the walk has not seen.
2. A page's interval reaches from run to run. A row that could not be read ends it: what stands
   in its place is not covered, and is asked for again by the next sync.
3. An interval is stored in the same transaction as its runs and their steps, so whatever ends a
   sync, the database claims no run that it does not hold.
4. The walk leaves out a part of the listing only where a stored interval, which came to be in
   this way, surely holds it. It never stops because a run is known: a killed backfill leaves
   known runs above unknown ones. And no interval reaches beyond the provider's own clock: below a
   run of the future those that are created until then turn up.
5. Only a page that is proven to be the last reaches the start of the history.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum, auto

from runsync.coverage import CoverageTracker, Interval, interval_containing, union
from runsync.records import Cursor, Problem
from runsync.sources.base import Listed, Page


class Turn(Enum):
    """What to do after a page."""

    NEXT_PAGE = auto()
    JUMP = auto()
    """Leave these pages, and go on at the walk's ``start``: what lies between is covered."""
    END = auto()


class Walk:
    """The walk down one listing: from its top, past what is covered, to where it is wanted.

    Args:
        covered: the stored intervals, newest first; none to walk all history again.
        since: how far back history is wanted; None for all.
        recheck_since: from the provider's clock, the time down to which covered history is read
            all the same.

    Attributes:
        start: where the pages begin; None for the top of the listing.
    """

    def __init__(
        self,
        covered: Sequence[Interval],
        since: datetime | None = None,
        recheck_since: Callable[[datetime], datetime] = lambda now: now,
    ) -> None:
        self.start: Cursor | None = None
        self._covered = list(covered)
        self._since, self._recheck_since = since, recheck_since
        self._tracker = CoverageTracker(None, since)

    def take(self, page: Page) -> tuple[list[Interval], Turn]:
        """Goes down one page.

        Returns:
            The intervals that are complete once the page's runs are stored, and what to do next.
        """
        if page.aside:
            return [], Turn.NEXT_PAGE
        proven = self._tracker.add_page(cursors_of(page), at_start=page.at_start)
        return proven, self._turn(page)

    def depth(self, floor: datetime | None) -> float | None:
        """How deep the walk has come by time, from 0 at the top to 1 at ``floor``; None where
        that cannot be known."""
        lowest, passed = self._tracker.lowest, self._passed()
        if floor is None or lowest is None or not passed:
            return None
        top = passed[0].newest.at
        return min((top - lowest.at) / (top - floor), 1.0) if top > floor else 1.0

    def _turn(self, page: Page) -> Turn:
        lowest = self._tracker.lowest
        if page.at_start or self._tracker.done:
            return Turn.END
        if page.unchanged and self._covered:
            return self._pass(self._covered[0])
        if lowest is None or lowest.at > self._recheck_since(page.as_of):
            return Turn.NEXT_PAGE
        known = interval_containing(self._covered, lowest)
        if known and (known.reaches(self._since) or known.oldest < lowest):
            return self._pass(known)
        return Turn.NEXT_PAGE

    def _pass(self, known: Interval) -> Turn:
        """Goes on below an interval that is covered."""
        if known.reaches(self._since):
            return Turn.END
        self._covered = self._passed()
        self.start = known.oldest
        self._tracker = CoverageTracker(known.oldest, self._since)
        return Turn.JUMP

    def _passed(self) -> list[Interval]:
        """All that is covered by now, newest first."""
        return union([*self._covered, *self._tracker.intervals])


def cursors_of(page: Page) -> list[Cursor | None]:
    """Where a page's runs stand, and its places without one; None where a row that could not be
    read leaves a hole.

    A run that stands above a newer one is out of order. It says nothing of how far the walk has
    come, so it counts as standing where the newer one does. A run of the future, by the provider's
    clock, counts as standing at the page's time.
    """
    now = Cursor(page.as_of, "")
    cursors: list[Cursor | None] = []
    newest: Cursor | None = None
    for item in reversed(page.items):
        if isinstance(item, Problem):
            cursors += [None] if item.lost else []
            continue
        cursor = item.cursor if isinstance(item, Listed) else item
        cursor = cursor if cursor.at <= now.at else now
        newest = cursor if newest is None or cursor.at >= newest.at else newest
        cursors.append(newest)
    return cursors[::-1]

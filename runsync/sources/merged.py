"""Merges several lists, each newest first, into one listing, newest first.

Each list keeps its own order. A row that cannot be read leaves a hole down to its list's next run,
and a list that ends without its start one without an end. What other lists have in a hole is given
aside: to claim that part of the history would be to claim what is missing in it as well.
"""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime

from runsync.records import Cursor, Problem
from runsync.sources.base import Listed, Page

Row = Listed | Problem | Cursor


class _Waiting:
    """The rows of one list that wait for their turn."""

    def __init__(self, pages: Iterator[Page]) -> None:
        self._pages = pages
        self._rows: list[Row] = []
        self._at = float("inf")
        self.ended = False
        self.as_of: datetime | None = None

    def load(self) -> float | None:
        """Has the next row wait; the time at which it stands, None at the end of the list."""
        while not self._rows and not self.ended:
            page = next(self._pages)
            self._rows, self.ended, self.as_of = [*page.items[::-1]], page.at_start, page.as_of
        if not self._rows:
            return None
        row = self._rows[-1]
        # What tells no time stands beside the run above it.
        self._at = row.cursor.at.timestamp() if isinstance(row, Listed) else self._at
        return self._at

    def take(self) -> tuple[Row, bool]:
        """The row whose turn it is, and whether the list has to be asked for the one after it."""
        row = self._rows.pop()
        return row, not self._rows and not self.ended


def merged(
    lists: Sequence[Iterator[Page]], as_of: datetime, size: int, top: Cursor | None = None
) -> Iterator[Page]:
    """The runs of several lists by time, newest first.

    A page ends where a list has to be asked for more, so that what was asked for anyway is a page.

    Args:
        lists: the pages of each; the last is at the start, or ends in what cannot be read.
        as_of: until a list tells another time.
        size: of the longest page.
        top: a place above all rows that holds none.
    """
    waiting = [_Waiting(pages) for pages in lists]
    heads: list[tuple[float, int]] = []
    page: list[Row] = []
    holes: set[int] = set()
    aside = False

    def load(number: int) -> None:
        if (at := waiting[number].load()) is not None:
            heapq.heappush(heads, (-at, number))

    for number in range(len(waiting)):
        load(number)
    page += [top] if top and heads else []
    while heads:
        _, number = heapq.heappop(heads)
        row, needs_more = waiting[number].take()
        holes -= {number} if isinstance(row, Listed) else set()
        if page and aside != bool(holes):
            yield Page(tuple(page), as_of, aside=aside)
            page = []
        aside = bool(holes)
        page.append(row)
        holes |= {number} if isinstance(row, Problem) else set()
        if needs_more or len(page) >= size:
            yield Page(tuple(page), as_of, aside=aside)
            page = []
        load(number)
        as_of = waiting[number].as_of or as_of
    yield Page(tuple(page), as_of, at_start=not holes, aside=aside)

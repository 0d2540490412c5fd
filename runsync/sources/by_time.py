"""Walks a listing that can be asked for by time, newest first, without missing a run.

A run that changes leaves its place for another one at the top; all others stay where they are,
since each page is asked for by time and none by its number. So what lies below a time is the same
in every walk.

Whether what stands at a bound is listed, and in which order runs of one time come, providers do not
say. So a page is asked for up to a tick, the finest difference of times, above what is wanted, and
the lowest time of a page that is not the last, which may be there in part, is left to the next
page, which begins with it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runsync.errors import SourceError
from runsync.records import Problem
from runsync.sources.base import Listed
from runsync.sources.fields import BadRowError


@dataclass(frozen=True, slots=True)
class TimedRow:
    """A row of a listing, and the time that it stands at; what tells none has that of the row
    above."""

    at: datetime
    item: Listed | Problem

    @property
    def key(self) -> tuple[str, str] | None:
        """What the run is known by; None for what cannot be read."""
        return self.item.run.key if isinstance(self.item, Listed) else None


@dataclass(frozen=True, slots=True)
class TimedPage:
    """An answer: its rows, newest first, and whether ``more`` may follow below them."""

    rows: Sequence[TimedRow]
    as_of: datetime
    more: bool


def rows_in_place(
    raws: Iterable[object], read: Callable[[object, datetime], Listed | None], at: datetime
) -> list[TimedRow]:
    """The rows of an answer where they stand.

    Args:
        read: reads one, which stands at the given time if it tells none; None for what is no run.
        at: where the first one stands, if it tells no time.
    """
    rows: list[TimedRow] = []
    for raw in raws:
        try:
            listed = read(raw, at)
        except BadRowError as error:
            rows.append(TimedRow(at, Problem(str(error))))
            continue
        if listed:
            at = listed.cursor.at
            rows.append(TimedRow(at, listed))
    return rows


def by_time(
    below: Callable[[datetime | None, bool], TimedPage],
    at_once: Callable[[datetime], TimedPage],
    top: datetime | None,
    tick: timedelta,
    wrong_order: str,
) -> Iterator[TimedPage]:
    """The runs below ``top``, newest first, in parts that join without a gap.

    The last part is the one without ``more``; it may be empty, which proves nothing.

    Args:
        below: asks for a page of what stands below a time; of the newest for None. Where it is told
            True, more than a page that was seen already may stand at that time and come again.
        at_once: asks for all that stands at one time, where that is a page or more.
        tick: the finest difference between two times.
        wrong_order: the error where a page does not come by time.

    Raises:
        SourceError: it does not.
    """
    more, is_crowded = True, False
    while more:
        part = below(top, is_crowded)
        more, is_crowded = part.more, False
        rows = [row for row in part.rows if top is None or row.at < top]
        times = [row.at for row in part.rows if row.key]
        falls = [*([top + tick] if top else []), *times]
        if falls != sorted(falls, reverse=True) or (more and not (times and rows)):
            raise SourceError(wrong_order)
        low = rows[-1].at if more else None
        if low and rows[0].at == low:
            rows = [row for row in at_once(low).rows if row.at == low]
            top, is_crowded = low, True
        elif low:
            rows, top = [row for row in rows if row.at > low], low + tick
        yield TimedPage(rows, part.as_of, more)

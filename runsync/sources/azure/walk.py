"""Goes through builds by time, newest first.

Builds that are over are listed by the time of their end. One that is run again leaves its place,
and gets another one at the top when it ends again; all others stay where they are, since each page
is asked for by time and none by its number. So what lies below a time is the same in every walk.

Nowhere is it said whether what ended at `maxTime` is listed, nor in which order builds of one time
come. So a page is asked for up to a microsecond above what is wanted, and the lowest time of a page
that is not the last, which may be there in part, is left to the next page, which begins with it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runsync.errors import SourceError
from runsync.records import Problem
from runsync.sources.base import Listed

TICK = timedelta(microseconds=1)
MOST = 5000
"""How many builds an answer holds at most."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the listing, and the time that it stands at; what tells none has that of the row
    above."""

    at: datetime
    item: Listed | Problem


@dataclass(frozen=True, slots=True)
class Part:
    """An answer: its rows, and whether the service says that more follow."""

    rows: Sequence[Row]
    as_of: datetime
    more: bool


Ask = Callable[[datetime | None, datetime | None, int], Part]
"""Asks for the builds from one time (or the beginning) to another (or now), so many at most."""


def by_time(ask: Ask, top: datetime | None, size: int, name: str) -> Iterator[Part]:
    """The builds below ``top``, newest first, in parts of about ``size`` that join without a gap.

    The last part is the one without ``more``; it may be empty, which proves nothing.

    Args:
        name: what the listing is called in an error.

    Raises:
        SourceError: it does not come by time, or more builds have one time than can be told apart.
    """
    more, most = True, size
    while more:
        part = ask(None, top, most)
        rows = [row for row in part.rows if top is None or row.at < top]
        more = part.more or len(part.rows) >= most
        _check_order(part, top, name, needs_time=more)
        most = size
        if more and rows and rows[0].at == rows[-1].at:
            # All of that time may be shown once more, above what follows.
            top, most = rows[0].at, MOST
            rows = _instant(ask, top, name)
        elif more and rows:
            low = rows[-1].at
            top, rows = low + TICK, [row for row in rows if row.at > low]
        elif more:
            raise _not_by_time(name)
        yield Part(rows, part.as_of, more)


def _instant(ask: Ask, at: datetime, name: str) -> list[Row]:
    """All of one time, where that is a page or more."""
    part = ask(at - TICK, at + TICK, MOST)
    if part.more or len(part.rows) >= MOST:
        raise SourceError(f"{name} shows too many builds of one time ({at}) to tell them apart")
    return [row for row in part.rows if row.at == at]


def _check_order(part: Part, top: datetime | None, name: str, *, needs_time: bool) -> None:
    """Each part comes by time, and holds nothing above what was asked for."""
    times = [row.at for row in part.rows if isinstance(row.item, Listed)]
    falls = [*([top + TICK] if top else []), *times]
    if falls != sorted(falls, reverse=True) or (needs_time and not times):
        raise _not_by_time(name)


def _not_by_time(name: str) -> SourceError:
    return SourceError(
        f"{name} does not come by time; check base_url, and that it is Azure DevOps or a server "
        "whose REST API is 7.1"
    )

"""Walks a listing that pages by number and moves while it is read, without missing a run.

Runs that arrive push the rest down: a page then repeats what was seen, which does no harm. Runs
that are deleted pull the rest up, past the place where the next page begins: so each page begins
at the last run of the page before it, and a page that holds nothing seen before means that the
list has moved, and is asked for again further up. An empty page is no exception.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runsync.errors import SourceError
from runsync.records import Problem
from runsync.sources.base import Listed, Page, ResumePoint

_REMEMBERED_PAGES = 12
_MOST_TRIES = 64
_SHORTEST_LONG_PAGE = 25


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a page: what it is known by, and the run or what is wrong with it."""

    key: str
    item: Listed | Problem

    @property
    def at(self) -> datetime | None:
        return self.item.cursor.at if isinstance(self.item, Listed) else None


@dataclass(frozen=True, slots=True)
class Slice:
    """What the provider answered to "the runs from number ``skip`` on"."""

    entries: Sequence[Entry]
    as_of: datetime

    @property
    def times(self) -> list[datetime]:
        return [at for entry in self.entries if (at := entry.at)]


Fetch = Callable[[int], Slice]


def walk(fetch: Fetch, resume_point: ResumePoint | None, *, name: str) -> Iterator[Page]:
    """The pages of a listing, newest first, from its top or from ``below``, without a gap.

    Args:
        fetch: asks for the runs from a number on; how many come is the provider's affair.
        name: what the listing is called in an error.

    Raises:
        SourceError: the list moves faster than it can be read.
    """
    scan = _Scan(fetch, name)
    part, skip = (fetch(0), 0) if resume_point is None else scan.seek(resume_point)
    yield Page(scan.take(part), part.as_of, at_start=not part.entries)
    while part.entries:
        skip += max(len(part.entries) - 1, 0)
        part, skip = scan.joined(skip)
        ended = scan.is_end(part)
        fresh = scan.take(part)
        if fresh or ended:
            yield Page(fresh, part.as_of, at_start=ended)
        if ended:
            return


def page_of(skip: int, most: int) -> tuple[int, int, int]:
    """For providers that number whole pages: which page holds the runs from number ``skip`` on.

    Args:
        most: how long a page may be; at least 25, so that some length leaves more than one run.

    Returns:
        The page's number from 1 on, how long to ask it to be, and how many of its runs to leave
        out at its beginning. The length is chosen so that as many as can be are left.
    """
    if most < _SHORTEST_LONG_PAGE:
        raise ValueError(f"pages of at most {most} runs are too short to be walked so")
    size = max(range(most, most // 2, -1), key=lambda size: size - skip % size)
    return skip // size + 1, size, skip % size


class _Scan:
    """What one walk has seen: the latest pages' keys, the oldest time, the longest page."""

    def __init__(self, fetch: Fetch, name: str) -> None:
        self._fetch, self._name = fetch, name
        self._recent: deque[frozenset[str]] = deque(maxlen=_REMEMBERED_PAGES)
        self._oldest: datetime | None = None
        self._longest = 0

    def take(self, part: Slice) -> tuple[Listed | Problem, ...]:
        """Notes a page as seen, and returns what in it was not before."""
        fresh = [entry for entry in part.entries if not self._seen(entry)]
        self._recent.append(frozenset(entry.key for entry in part.entries))
        self._longest = max(self._longest, len(part.entries))
        oldest = min(part.times, default=None)
        if oldest and (self._oldest is None or oldest < self._oldest):
            self._oldest = oldest
        return tuple({entry.key: entry.item for entry in fresh}.values())

    def joined(self, skip: int) -> tuple[Slice, int]:
        """The page at ``skip``, or the nearest one above that touches what was seen."""
        back = 0
        for _ in range(_MOST_TRIES):
            part = self._fetch(skip)
            if skip == 0 or self._touches(part):
                return part, skip
            back = back * 2 or max(self._longest - 1, 1)
            skip = max(skip - back, 0)
        raise self._moves_too_fast()

    def is_end(self, part: Slice) -> bool:
        """Whether nothing follows this page, which touches what was seen before it.

        That is a page that holds but one run, and one that was seen: it was asked for from that
        run on. A longer page may repeat what was seen because runs arrived, and more may follow.
        """
        if not part.entries:
            return True
        return len(part.entries) == 1 and self._seen(part.entries[0])

    def seek(self, resume_point: ResumePoint) -> tuple[Slice, int]:
        """The page in which ``below`` lies, found from its rank; rarely more than one request."""
        low, high, leap = 0, None, 0  # an entry above the place, one below it, how far to jump
        skip = max(resume_point.rank - 2, 0)
        for _ in range(_MOST_TRIES):
            part = self._fetch(skip)
            self._longest = max(self._longest, len(part.entries))
            if skip > 0 and _is_past(part, resume_point):
                high = skip
                low = low if low < high else 0  # what stood there has moved up
            elif not part.entries or not _is_above(part, resume_point):
                return part, skip
            else:
                low = skip + len(part.entries) - 1
                if high is not None and high <= low + 1:
                    return part, skip
            if high is None:
                skip = low + leap
            elif low > 0 or leap >= high:
                skip = low if high <= low + 1 else (low + high) // 2
            else:
                skip = high - max(leap, min(20, high))
            leap = leap * 4 or 20
        raise self._moves_too_fast()

    def _touches(self, part: Slice) -> bool:
        oldest = self._oldest
        return any(self._seen(entry) for entry in part.entries) or (
            oldest is not None and any(at > oldest for at in part.times)
        )

    def _seen(self, entry: Entry) -> bool:
        return any(entry.key in keys for keys in self._recent)

    def _moves_too_fast(self) -> SourceError:
        return SourceError(
            f"{self._name} moves faster than it can be read; what was read is kept: sync again"
        )


def _is_past(part: Slice, resume_point: ResumePoint) -> bool:
    """Whether the whole page lies below the place."""
    return not part.entries or (bool(part.times) and max(part.times) < resume_point.cursor.at)


def _is_above(part: Slice, resume_point: ResumePoint) -> bool:
    """Whether the whole page lies above the place."""
    if any(entry.key == resume_point.cursor.id for entry in part.entries):
        return False
    return not part.times or min(part.times) > resume_point.cursor.at

"""Walks a listing that is paged by position and moves while it is read, without missing a run.

Why no run can be missed:

1. Runs that arrive push the others down, so a page repeats rows that were seen: harmless.
2. Runs that are deleted pull the others up, across the place where the next page begins. So each
   page begins at the last row of the page before it. A page that holds no row that was seen shows
   that the list has moved up, and is asked for again further up, until it does.
3. The list ends where a page that begins at a seen row holds nothing else, and the page after that
   row is empty. An empty page alone proves nothing: the list may have moved up, or the answer may
   be wrong. Where even the top of the list
   is empty after runs were seen, the walk stops with an error and claims no end.
4. Nobody says in which order runs of one instant come, and it may change from page to page. So a
   page that ends in several runs of one instant is followed by one that begins with all of them.
5. A row that cannot be read is known by its position, where after deletions another one may stand.
   So it is a hole each time that it is shown, and nothing is claimed across it.
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
    """A row of a page: its id, and its run or what is wrong with it.

    ``id`` is None for a row that cannot be read, even if it tells one: two that look the same are
    two.
    """

    id: str | None
    item: Listed | Problem

    @property
    def at(self) -> datetime | None:
        return self.item.cursor.at if isinstance(self.item, Listed) else None


@dataclass(frozen=True, slots=True)
class Slice:
    """What the provider answered to "the runs from position ``skip`` on"."""

    entries: Sequence[Entry]
    as_of: datetime


Fetch = Callable[[int], Slice]


def walk(fetch: Fetch, resume_point: ResumePoint | None, *, name: str) -> Iterator[Page]:
    """The pages of a listing, newest first, from its top or from ``resume_point`` down.

    Args:
        fetch: asks for the runs from a position on; how many come is up to the provider.
        name: what the listing is called in an error.

    Raises:
        SourceError: the list moves faster than it can be read, ignores paging, or is suddenly
            empty; what was yielded stays good.
    """
    scan = _Scan(fetch, name)
    page, skip = scan.first(resume_point)
    items, _ = scan.take(page, skip)
    yield Page(items, page.as_of, at_start=not page.entries)
    pages_without_news = 0
    while page.entries:
        overlap = 1 if pages_without_news else _overlap(page)
        page, skip = scan.overlapping(skip + len(page.entries) - overlap)
        at_start = scan.is_end(page, skip)
        items, has_news = scan.take(page, skip)
        if items or at_start:
            yield Page(items, page.as_of, at_start=at_start)
        if at_start:
            return
        pages_without_news = 0 if has_news else pages_without_news + 1
        if pages_without_news > _MOST_TRIES:
            raise SourceError(
                f"{name} shows the same runs on page after page; it ignores paging or moves faster "
                "than it can be read: check base_url, then sync again"
            )


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
    """What one walk has seen: the ids of the latest pages, the newest time of the last, the longest
    page."""

    def __init__(self, fetch: Fetch, name: str) -> None:
        self._fetch, self._name = fetch, name
        self._recent: deque[frozenset[str | int]] = deque(maxlen=_REMEMBERED_PAGES)
        self._newest: datetime | None = None
        self._longest = 0

    def first(self, resume_point: ResumePoint | None) -> tuple[Slice, int]:
        """The page to begin with, and its position.

        From a resume point the page in which it lies is found from its rank: the page there, then
        further down or up in growing jumps, then by halves; rarely more than one request.
        """
        if resume_point is None:
            return self._fetch(0), 0
        # The position of a run above the place, that of a page below it, and how far to jump.
        low, high, jump = 0, None, 0
        skip = max(resume_point.rank - 2, 0)
        for _ in range(_MOST_TRIES):
            page = self._fetch(skip)
            self._longest = max(self._longest, len(page.entries))
            if skip == 0 and not page.entries:
                raise self._suddenly_empty()
            if skip > 0 and _is_below(page, resume_point):
                high = skip
                low = low if low < high else 0  # what stood there has moved up
            elif not _is_above(page, resume_point):
                return page, skip
            else:
                low = skip + len(page.entries) - 1
                if high is not None and high <= low + 1:
                    return page, skip
            if high is None:
                skip = low + jump
            elif low > 0 or jump >= high:
                skip = low if high <= low + 1 else (low + high) // 2
            else:
                skip = high - max(jump, min(20, high))
            jump = jump * 4 or 20
        raise self._moves_too_fast()

    def overlapping(self, skip: int) -> tuple[Slice, int]:
        """The page at ``skip``, or the nearest one above it that overlaps what was seen."""
        back = 0
        for _ in range(_MOST_TRIES):
            page = self._fetch(skip)
            if self._overlaps(page, skip) or (skip == 0 and page.entries):
                return page, skip
            if skip == 0:
                raise self._suddenly_empty()
            back = back * 2 or max(self._longest - 1, 1)
            skip = max(skip - back, 0)
        raise self._moves_too_fast()

    def take(self, page: Slice, skip: int) -> tuple[tuple[Listed | Problem, ...], bool]:
        """Notes a page as seen.

        Returns:
            What in it was not seen before, and whether there was any. A row that cannot be read is
            always given: after deletions another one may stand in its position.
        """
        found = {_key(entry, skip + n): entry for n, entry in enumerate(page.entries)}
        if len(found) < len(page.entries):
            rows = _unambiguous(page.entries)
            found = {_key(entry, skip + n): entry for n, entry in enumerate(rows)}
        new = [key for key in found if not self._has_seen(key)]
        items = tuple(e.item for key, e in found.items() if key in new or e.id is None)
        self._recent.append(frozenset(found))
        self._longest = max(self._longest, len(page.entries))
        self._newest = max((at for e in page.entries if (at := e.at)), default=self._newest)
        return items, bool(new)

    def is_end(self, page: Slice, skip: int) -> bool:
        """Whether nothing follows a page: it begins at a row that was seen and holds no other, and
        the page that begins after that row is empty.

        A longer page may repeat what was seen because runs have arrived, and more may follow; a
        page of one row alone may have been cut short.
        """
        is_last = len(page.entries) == 1 and self._has_seen(_key(page.entries[0], skip))
        return is_last and not self._fetch(skip + 1).entries

    def _overlaps(self, page: Slice, skip: int) -> bool:
        """Whether a page holds a seen row, or stands above them all, since so many have arrived.

        One time alone proves nothing: a row may stand out of order.
        """
        if any(self._has_seen(_key(entry, skip + n)) for n, entry in enumerate(page.entries)):
            return True
        times = [at for entry in page.entries if (at := entry.at)]
        return bool(times) and self._newest is not None and min(times) > self._newest

    def _has_seen(self, key: str | int) -> bool:
        return any(key in keys for keys in self._recent)

    def _moves_too_fast(self) -> SourceError:
        return SourceError(
            f"{self._name} moves faster than it can be read; what was read is kept: sync again"
        )

    def _suddenly_empty(self) -> SourceError:
        return SourceError(
            f"{self._name} is suddenly empty, though it showed runs before; "
            "what was read is kept: sync again"
        )


def _unambiguous(entries: Sequence[Entry]) -> list[Entry]:
    """The rows of a page, where those of one id that differ are rows that cannot be read."""
    items = {entry.id: entry.item for entry in entries}
    twice = {e.id for e in entries if e.id is not None and e.item != items[e.id]}
    return [
        Entry(None, Problem(f"run {e.id}: the listing shows it in two ways"))
        if e.id in twice
        else e
        for e in entries
    ]


def _overlap(page: Slice) -> int:
    """With how many rows of a page the next one begins: those of its last instant; one where all
    are of one instant."""
    last = page.entries[-1].at
    count = 1
    while last and count < len(page.entries) and page.entries[-count - 1].at == last:
        count += 1
    return count if count < len(page.entries) else 1


def _key(entry: Entry, position: int) -> str | int:
    """What a row is known by in one walk."""
    return position if entry.id is None else entry.id


def _is_below(page: Slice, resume_point: ResumePoint) -> bool:
    """Whether the page may begin below the place: it neither holds it nor a run that is newer.

    Of runs of one instant nobody knows the order, so a page that begins in the place's instant may
    lack one that stands between.
    """
    return not _holds(page, resume_point) and not any(
        entry.at is not None and entry.at > resume_point.cursor.at for entry in page.entries
    )


def _is_above(page: Slice, resume_point: ResumePoint) -> bool:
    """Whether the whole page lies above the place."""
    return not _holds(page, resume_point) and all(
        entry.at is None or entry.at > resume_point.cursor.at for entry in page.entries
    )


def _holds(page: Slice, resume_point: ResumePoint) -> bool:
    return any(entry.id == resume_point.cursor.id for entry in page.entries)

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
6. Where a provider numbers its runs one by one, rows are known by their numbers, also those that
   cannot be read; a clock that ran back then makes no disorder.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    two; but one that has a ``number``, of which there is one alone, is known by that.
    """

    id: str | None
    item: Listed | Problem
    number: int | None = None

    @property
    def order(self) -> Any:
        """What the listing goes by, the greater the newer: its number, else its time, if known."""
        if self.number is not None:
            return self.number
        return self.item.cursor.at if isinstance(self.item, Listed) else None


@dataclass(frozen=True, slots=True)
class Slice:
    """The answer to "the runs from position ``skip`` on". ``at_start``: it says that
    nothing older is left."""

    entries: Sequence[Entry]
    as_of: datetime
    at_start: bool = False


Fetch = Callable[[int], Slice]


@dataclass(frozen=True, slots=True)
class Mark:
    """A row by its id and :attr:`.Entry.order`, thought to stand below ``rank`` others."""

    id: str
    order: Any
    rank: int


def walk(fetch: Fetch, resume_point: ResumePoint | Mark | None, *, name: str) -> Iterator[Page]:
    """The pages of a listing, newest first, from its top or from ``resume_point`` down.

    Args:
        fetch: asks for the runs from a position on; how many come is up to the provider.
        name: what the listing is called in an error.

    Raises:
        SourceError: the list moves faster than it can be read, ignores paging, or is suddenly
            empty; what was yielded stays good.
    """
    scan = _Scan(fetch, name)
    if isinstance(resume_point, ResumePoint):
        place = resume_point.cursor
        resume_point = Mark(place.id, place.at, resume_point.rank)
    page, skip = scan.first(resume_point)
    items, _ = scan.take(page, skip)
    at_start = page.at_start or not page.entries
    yield Page(items, page.as_of, at_start=at_start)
    while not at_start:
        overlap, before = 1 if scan.seen.repeats else _overlap(page), page.entries
        page, skip = scan.overlapping(skip + len(page.entries) - overlap)
        at_start = page.at_start or scan.is_end(page, skip)
        items, has_news = scan.take(page, skip)
        if items or at_start:
            yield Page(items, page.as_of, at_start=at_start)
        # Rows that cannot be read are new in every position; the same page again is not.
        scan.seen.check(has_news=has_news and page.entries != before)


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


class SeenPages:
    """What the latest pages of a walk showed, and how many in a row brought nothing new.

    Args:
        name: what the listing is called in an error.
        most_repeats: how many of these may be.
    """

    def __init__(self, name: str, most_repeats: int) -> None:
        self._name, self._most_repeats = name, most_repeats
        self._recent: deque[frozenset[str | int]] = deque(maxlen=_REMEMBERED_PAGES)
        self.repeats = 0

    def __contains__(self, key: str | int) -> bool:
        return any(key in keys for keys in self._recent)

    def add(self, keys: Iterable[str | int]) -> None:
        """Notes what a page shows."""
        self._recent.append(frozenset(keys))

    def check(self, *, has_news: bool) -> None:
        """Refuses to go in a circle.

        Raises:
            SourceError: page after page had no news.
        """
        self.repeats = 0 if has_news else self.repeats + 1
        if self.repeats > self._most_repeats:
            raise SourceError(
                f"{self._name} shows the same runs on page after page; it ignores paging or moves "
                "faster than it can be read: check base_url, then sync again"
            )


class _Scan:
    """What one walk has seen: the latest pages, the newest of the last, the longest."""

    def __init__(self, fetch: Fetch, name: str) -> None:
        self._fetch, self._name, self.seen = fetch, name, SeenPages(name, _MOST_TRIES)
        self._newest: Any = None
        self._longest = 0

    def first(self, mark: Mark | None) -> tuple[Slice, int]:
        """The page to begin with, and its position.

        From a mark the page in which it lies is found from its rank: the page there, then
        further down or up in growing jumps, then by halves; rarely more than one request.
        """
        if mark is None:
            return self._fetch(0), 0
        # The position of a run above the place, that of a page below it, and how far to jump.
        low, high, jump = 0, None, 0
        skip = max(mark.rank - 2, 0)
        for _ in range(_MOST_TRIES):
            page = self._fetch(skip)
            self._longest = max(self._longest, len(page.entries))
            if skip == 0 and not page.entries:
                raise self._suddenly_empty()
            if skip > 0 and _is_below(page, mark):
                high = skip
                low = low if low < high else 0  # what stood there has moved up
            elif not _is_above(page, mark):
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
        new = [key for key in found if key not in self.seen]
        items = tuple(e.item for key, e in found.items() if key in new or e.id is None)
        self.seen.add(found)
        self._longest = max(self._longest, len(page.entries))
        self._newest = max((at for e in page.entries if (at := e.order)), default=self._newest)
        return items, bool(new)

    def is_end(self, page: Slice, skip: int) -> bool:
        """Whether nothing follows a page: it begins at a row that was seen and holds no other, and
        the page that begins after that row is empty.

        A longer page may repeat what was seen because runs have arrived, and more may follow; a
        page of one row alone may have been cut short.
        """
        is_last = len(page.entries) == 1 and _key(page.entries[0], skip) in self.seen
        return is_last and not self._fetch(skip + 1).entries

    def _overlaps(self, page: Slice, skip: int) -> bool:
        """Whether a page holds a seen row, or stands above them all, since so many have arrived.

        One time alone proves nothing: a row may stand out of order.
        """
        if any(_key(entry, skip + n) in self.seen for n, entry in enumerate(page.entries)):
            return True
        found = [at for entry in page.entries if (at := entry.order)]
        return bool(found) and self._newest is not None and min(found) > self._newest

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
    last = page.entries[-1].order
    count = 1
    while last and count < len(page.entries) and page.entries[-count - 1].order == last:
        count += 1
    return count if count < len(page.entries) else 1


def _key(entry: Entry, position: int) -> str | int:
    """What a row is known by in one walk."""
    return position if entry.id is None else entry.id


def _is_below(page: Slice, mark: Mark) -> bool:
    """Whether the page may begin below the place: it neither holds it nor a run that is newer.

    Of runs of one instant nobody knows the order, so a page that begins in the place's instant may
    lack one that stands between.
    """
    return not _holds(page, mark) and not any(
        entry.order is not None and entry.order > mark.order for entry in page.entries
    )


def _is_above(page: Slice, mark: Mark) -> bool:
    """Whether the whole page lies above the place."""
    return not _holds(page, mark) and all(
        entry.order is None or entry.order > mark.order for entry in page.entries
    )


def _holds(page: Slice, mark: Mark) -> bool:
    return any(entry.id == mark.id for entry in page.entries)

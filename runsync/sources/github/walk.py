"""Walks a listing of GitHub's from its newest run down, without a gap and without its caps.

GitHub numbers the pages of a list that moves, lists no more than 1,000 runs where anything is
filtered, counts what it filters only roughly, and has no "changed since". So a page is asked for
by time: the newest runs created by T, where T is the oldest time that the page before it showed.
Each such *window* begins within the page before it and must show again what that ended with, so
nothing that arrives or is deleted meanwhile can open a gap.

As far back as runs may be run again, every window is looked at again in every sync. Those of the
last sync are remembered with their ETags: one that GitHub says is unchanged is passed over, and
costs none of the rate limit. Arrivals leave all windows as they are but the top.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from runsync.errors import SourceError
from runsync.records import Cursor, Problem, parse_time
from runsync.sources.base import Listed, Page
from runsync.sources.fields import check_any_read

_MOST_TRIES = 5
_SECOND = timedelta(seconds=1)
# So much longer than a run may be run again is the time in which that is looked for.
_SPARE = timedelta(days=2)


class Span(NamedTuple):
    """Runs by when they were created, in whole seconds, both ends included; None is open."""

    since: datetime | None
    until: datetime | None

    @property
    def created(self) -> str | None:
        """GitHub's words for it. A time is shown in whole seconds, and may be later than shown."""
        if self.until is None:
            return None
        end = _text(self.until + _SECOND)
        return f"{_text(self.since)}..{end}" if self.since else f"<{end}"


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row: its id, its state in a word, when it was created, and what became of it.

    ``id`` and ``at`` are None where the row cannot be read: two that look the same are two.
    """

    id: str | None
    state: str
    at: datetime | None
    items: tuple[Listed | Problem, ...]


@dataclass(frozen=True, slots=True)
class ListPage:
    """One answer: rows, newest first; or that all is ``unchanged``.

    ``size``: how many a page holds at most. ``total`` is how many match, as far as GitHub knows: it
    may be out of date, or cut off.
    """

    as_of: datetime
    entries: Sequence[ListedRow] = ()
    size: int = 0
    total: int = 0
    etag: str | None = None
    unchanged: bool = False

    @property
    def ids(self) -> set[str]:
        return {entry.id for entry in self.entries if entry.id is not None}

    @property
    def is_full(self) -> bool:
        return len(self.entries) >= self.size

    @property
    def repeats(self) -> bool:
        """Whether it shows a run twice, and so perhaps leaves one out."""
        return len(self.ids) < sum(entry.id is not None for entry in self.entries)

    @property
    def lacks(self) -> bool:
        """Whether it shows fewer runs than GitHub counts, though a page would hold more."""
        return 0 < len(self.entries) < min(self.size, self.total)

    @property
    def newest(self) -> datetime | None:
        return max((entry.at for entry in self.entries if entry.at), default=None)

    @property
    def oldest(self) -> datetime | None:
        return min((entry.at for entry in self.entries if entry.at), default=None)

    @property
    def is_all(self) -> bool:
        """Whether nothing that matches is left for a second page."""
        return not self.entries or (len(self.entries) == self.total and not self.is_full)


FetchPage = Callable[[Span, int, str | None], ListPage]
"""Asks for a page of a span by its number, and by the ETag of what is known of it."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """What a page showed: from ``until`` (None: the top) to ``reached`` (None: the start)."""

    until: datetime | None
    reached: datetime | None
    etag: str


def walk(
    ask: FetchPage,
    start: Cursor | None,
    memory: dict[str, Any],
    recheck: timedelta,
    *,
    name: str,
    cap: int,
) -> Iterator[Page]:
    """The pages of a listing, newest first, from its top or from ``start`` down.

    Args:
        memory: the windows of the last whole sync; those of this one take their place.
        recheck: how far back from the last whole sync a run may have changed.
        name: what the listing is called in an error.
        cap: how many runs GitHub lists at most of one span.

    Yields:
        What is new or changed. Windows that are as they were are left out; ``unchanged`` marks
        the end where all that is left to look at is as it was.

    Raises:
        SourceError: more than ``cap`` runs were created within a second, or none can be read.
    """
    book = _WindowMemory(memory, recheck)
    scan = _Scan(ask, book, name, cap, start.id if start else "")
    above = until = start.at if start else None
    while True:
        old = book.known(until)
        part = scan.window(until, old.etag if old else None)
        if old and part.unchanged:
            book.note(old, part.as_of)
            scan.pass_over()
            reached = old.reached
            if reached is None or reached < book.horizon(part.as_of):
                yield Page((), part.as_of, unchanged=True)
                return
        elif not scan.joins(until, part):
            above = until = scan.step_back(until, above, part)
            continue
        else:
            reached = yield from scan.read(until, part)
        if reached is None:
            return
        scan.forget_above(until)
        above, until = until, book.next_window(until, reached)


class _Scan:
    """What one walk has seen that the next window may show again."""

    def __init__(
        self, ask: FetchPage, book: "_WindowMemory", name: str, cap: int, edge: str
    ) -> None:
        self._ask, self._book, self._name, self._cap = ask, book, name, cap
        self._seen: dict[tuple[str, str], datetime | None] = {}
        self._edge = frozenset([edge] if edge else [])
        self._steps_back = 0
        self._nothing_below = False

    def window(self, until: datetime | None, etag: str | None) -> ListPage:
        """Asks for a window. One that contradicts itself may lack any run: it is asked for until it
        does not, or until what it lacks is twice the same: then the count is wrong.

        Raises:
            SourceError: it shows a run twice each time, or never the same.
        """
        part = self._ask(Span(None, until), 1, etag)
        for _ in range(_MOST_TRIES):
            if part.unchanged or not (part.repeats or part.lacks):
                return part
            before = part.ids
            part = self._ask(Span(None, until), 1, None)
            if part.ids == before and not part.repeats:
                return part
        raise self._moves_too_fast()

    def joins(self, until: datetime | None, part: ListPage) -> bool:
        """Whether a window shows again what the one before it ended with, or anything at all
        where nobody knows what that was.

        If not, that was deleted meanwhile, or GitHub's search left something out: then the window
        before is to be read again.
        """
        if not part.entries and part.total:
            # It contradicts itself: runs are counted, and none is shown.
            return False
        if until is None:
            return bool(part.entries) or not self._seen
        newest = part.newest
        if newest and newest > until + _SECOND:
            raise SourceError(
                f"{self._name}: asked for what was created by {_text(until)}, the service shows "
                f"what was created at {_text(newest)}; check that base_url is GitHub's"
            )
        if not part.entries:
            # Proves nothing, unless the page above has room left or, by its count, nothing below.
            return self._nothing_below
        overlaps = any(entry.id in self._edge for entry in part.entries)
        return overlaps or not self._edge

    def step_back(
        self, until: datetime | None, above: datetime | None, part: ListPage
    ) -> datetime | None:
        """Where to begin again after a window that does not join: at the window before it. Where
        there is none, at the same place if it shows runs, else further and further up.

        Raises:
            SourceError: this happens again and again.
        """
        self._steps_back += 1
        if self._steps_back > _MOST_TRIES:
            raise self._moves_too_fast()
        self._edge = frozenset()
        if part.entries or until is None or above is None or above > until:
            return above
        hours = 24**self._steps_back
        return until + timedelta(hours=hours)

    def pass_over(self) -> None:
        """Of a window that is as it was nobody knows what it ended with."""
        self._edge = frozenset()

    def read(
        self, until: datetime | None, part: ListPage
    ) -> Generator[Page, None, datetime | None]:
        """Yields a window that is new or has changed.

        Returns:
            The time down to which all has been seen; None at the start of the listing.
        """
        reached = None if part.is_all else part.oldest
        if not part.is_all:
            check_any_read([entry.items[0] for entry in part.entries], self._name)
        if reached is not None and until is not None and reached >= until:
            in_second = yield from self._second(until)
            self.pass_over()
            self._nothing_below = not part.is_full or part.total == in_second
            return until - _SECOND
        self._nothing_below = not part.is_full or part.total == len(part.entries)
        self._edge = frozenset(e.id for e in part.entries if e.id and e.at == reached)
        self._book.read(TimeWindow(until, reached, part.etag or ""), part)
        fresh = self._take(part)
        if fresh or part.is_all:
            yield Page(fresh, part.as_of, at_start=part.is_all)
        return reached

    def _second(self, at: datetime) -> Generator[Page, None, int]:
        """All the runs of one second, which are more than a page; how many they are."""
        for _ in range(_MOST_TRIES):
            rows = yield from self._second_once(at)
            if rows is not None:
                return rows
        raise self._moves_too_fast()

    def _second_once(self, at: datetime) -> Generator[Page, None, int | None]:
        """Yields them page by page; how many they are, or None where a deletion may have moved
        one across the edge of a page."""
        number, rows, total = 1, 0, 0
        in_second: set[str] = set()
        unreadable = 0
        while True:
            part = self._ask(Span(at, at), number, None)
            if part.total < total or part.repeats:
                return None
            if fresh := self._take(part):
                yield Page(fresh, part.as_of)
            rows += len(part.entries)
            in_second |= {e.id for e in part.entries if e.id and e.at and e.at <= at}
            unreadable += sum(entry.id is None for entry in part.entries)
            # A page may hold fewer than were asked for.
            if not part.is_full and (rows >= part.total or not part.entries):
                return None if rows < part.total else len(in_second) + unreadable
            number, total = number + 1, part.total
            if rows >= self._cap or total > self._cap:
                raise self._too_many(at)

    def _take(self, part: ListPage) -> tuple[Listed | Problem, ...]:
        fresh = [
            entry
            for entry in part.entries
            if entry.id is None or (entry.id, entry.state) not in self._seen
        ]
        self._seen.update({(e.id, e.state): e.at for e in part.entries if e.id is not None})
        return tuple(item for entry in fresh for item in entry.items)

    def forget_above(self, until: datetime | None) -> None:
        """What is newer than a window cannot show up in it, nor in what follows."""
        if until is not None:
            last = until + _SECOND
            self._seen = {key: at for key, at in self._seen.items() if at and at <= last}

    def _moves_too_fast(self) -> SourceError:
        return SourceError(
            f"{self._name} moves faster than it can be read; what was read is kept: sync again"
        )

    def _too_many(self, at: datetime) -> SourceError:
        return SourceError(
            f"{self._name}: {self._cap} runs or more were created in the second {_text(at)}, and "
            "GitHub lists no more of them; what is older cannot be reached through this listing: "
            "list its workflows one by one, by `id` instead of `repository`"
        )


def recheck_since(memory: Mapping[str, Any], now: datetime, recheck: timedelta) -> datetime:
    """The time from which on a run may have changed since the last whole sync, even one long ago.

    Args:
        memory: as that sync left it.
        recheck: for how long after its creation a run may be run again.
    """
    day = _time(memory.get("day"))
    return min(now, day + _SPARE if day else now) - recheck


class _WindowMemory:
    """The windows of the last whole sync, by where they begin, and those of this one."""

    def __init__(self, memory: dict[str, Any], recheck: timedelta) -> None:
        self._memory, self._recheck = memory, recheck
        self._old = {window.until: window for window in _windows(memory)}
        self._old_newest = _time(memory.get("newest"))
        self.horizon = partial(recheck_since, dict(memory), recheck=recheck)
        self._top_is_new = False
        self._kept: dict[datetime | None, TimeWindow] = {}
        # A window may be passed over only where the walk has come to what was known before.
        self._joined = False

    def known(self, until: datetime | None) -> TimeWindow | None:
        """The window that begins there, if it may be asked for by its ETag."""
        return self._old.get(until) if until is None or self._joined else None

    def note(self, window: TimeWindow, as_of: datetime) -> None:
        """Keeps a window that is as it was."""
        self._joined = True
        self._keep(window, as_of)

    def read(self, window: TimeWindow, part: ListPage) -> None:
        """Keeps a window that was read anew."""
        if window.until is None:
            self._top_is_new = True
            self._memory["newest"] = _text(part.newest)
        if window.etag:
            self._keep(window, part.as_of)

    def next_window(self, until: datetime | None, reached: datetime) -> datetime:
        """Where the next window begins: as low as can be, but at ``reached`` or above."""
        if self._old_newest and reached < self._old_newest:
            self._joined = True
        begins = [w for w in self._old if w and reached <= w and (until is None or w < until)]
        if begins and self._joined:
            return min(begins)
        newest = self._old_newest
        if until is None and self._top_is_new and newest and reached <= newest:
            # Runs have come, and the top page ends above the windows that are known. One that
            # begins where the top was last time leads to them as that did, and stays as it is
            # when more runs come.
            return newest
        return reached

    def _keep(self, window: TimeWindow, as_of: datetime) -> None:
        if not self._kept:
            # By the day, so that a sync which finds nothing new has nothing to write.
            day = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
            self._memory["day"] = _text(day)
        if window.until is None or window.until >= as_of - self._recheck:
            self._kept[window.until] = window
        self._memory["windows"] = [
            [_text(w.until), _text(w.reached), w.etag] for w in self._kept.values()
        ]


def _windows(memory: dict[str, Any]) -> Iterator[TimeWindow]:
    for until, reached, etag in memory.get("windows", ()):
        yield TimeWindow(_time(until), _time(reached), etag)


def _text(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None

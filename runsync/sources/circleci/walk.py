"""Walks a project's listing of CircleCI's pipelines (here: origins) from the newest down.

Why none can be missed:

1. Page tokens are opaque: whether one leads to a position or to a row, nobody says, and no page can
   be asked for so that it overlaps the one before. But origins are numbered, 1, 2, 3 …, and one can
   be asked for by its number. So each number that lies between two pages and was shown by neither
   is asked for: it is unknown, or it belongs between them.
2. A list that ends proves nothing. It ends where its lowest number is 1, or where CircleCI does not
   know the number below; else the walk goes on by number.
3. So it does where a page token is not found, which CircleCI answers now and then. By number, a
   list ends where as many as a page holds are unknown in a row.
4. A row that cannot be read is a hole; what its number was, nobody knows.

There is no way to ask for a page but by the token that the page above it gave. So a walk from a
place in the middle passes over the pages above it: one request for each 20 origins.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runsync.errors import NotFoundError, SourceError
from runsync.records import Problem, parse_time
from runsync.sources.circleci.payloads import RETENTION, Origin
from runsync.sources.discovery import TokenPage
from runsync.sources.pagination import SeenPages

PAGE_SIZE = 20
_WIDEST_GAP = 500
_MOST_REPEATS = 8
_FRESH = timedelta(hours=2)
_LATE_BY = timedelta(days=1)
_LOOKS = {
    "hour": (timedelta(days=1), timedelta(hours=1)),
    # A day more for re-runs that were not late, and one since a look may be noted a day too soon.
    "day": (RETENTION + 2 * _LATE_BY, timedelta(days=1)),
}
"""How far back origins are looked at again for re-runs, and how often."""
_LOOKED, _LATE, _TOP = "looked", "late", "top"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of the listing, newest first, that were not given before."""

    rows: Sequence[Origin | Problem]
    as_of: datetime
    at_start: bool = False


OriginPage = TokenPage[Origin | Problem]
List = Callable[[str | None], OriginPage]
Find = Callable[[Sequence[int]], list[Origin | Problem]]


def recheck_since(memory: Mapping[str, Any], now: datetime) -> datetime:
    """The time down to which origins are looked at again, for re-runs and late workflows.

    Those of the last two hours are in every sync, those of a day once an hour, and once a day all
    that may have been run again since that was last done, however long ago.
    """
    return min([now - _FRESH, *_looks(memory, now).values()])


class Book:
    """What the last whole walk from the top saw, and what this one will have seen.

    Args:
        memory: the listing's; empty for any other walk.
    """

    def __init__(self, memory: dict[str, Any]) -> None:
        self._memory, self._before = memory, deepcopy(memory)
        self._has_begun = False

    def cut(
        self, rows: list[Origin | Problem], now: datetime
    ) -> tuple[list[Origin | Problem], Origin | None]:
        """The rows that are to be looked at; and the first that need not be, as the last whole walk
        saw it and all below it, and none may have been run again since."""
        since, top = recheck_since(self._before, now), self._before.get(_TOP, [])
        for place, row in enumerate(rows):
            if isinstance(row, Origin) and _place(row) <= top and row.at < since:
                return rows[:place], row
        return rows, None

    def begin(self, part: Part) -> list[int]:
        """Writes down, at the first part, what this walk takes a look at.

        Returns:
            The numbers of the origins that are too old for that, but hold a re-run that is not.
        """
        if self._has_begun:
            return []
        self._has_begun, now, memory = True, part.as_of, self._memory
        looks, since, late = _looks(memory, now), recheck_since(memory, now), memory.get(_LATE, {})
        if "day" in looks:
            oldest = looks["day"] + 2 * _LATE_BY
            late = {n: times for n, times in late.items() if parse_time(times[1]) >= oldest}
            memory[_LATE] = late
        if looks:
            memory[_LOOKED] = memory.get(_LOOKED, {}) | dict.fromkeys(looks, now.isoformat())
        places = [_place(row) for row in part.rows if isinstance(row, Origin)]
        memory[_TOP] = max([memory.get(_TOP, []), *places])
        return [int(n) for n, (at, _) in late.items() if "day" in looks and parse_time(at) < since]

    def note_rerun(self, origin: Origin, at: datetime) -> None:
        """Keeps an origin in mind that was run again ``at`` a time long after it came: a re-run may
        itself be run again as long as any run."""
        if at - origin.at >= _LATE_BY:
            times = [origin.at.isoformat(), at.isoformat()]
            known = self._memory.setdefault(_LATE, {}).get(str(origin.number))
            self._memory[_LATE][str(origin.number)] = max(known or times, times)


def _place(row: Origin) -> list[str]:
    """Where it stands, as a memory keeps it."""
    return [row.at.isoformat(timespec="microseconds"), row.cursor.id]


def _looks(memory: Mapping[str, Any], now: datetime) -> dict[str, datetime]:
    """The looks whose time has come, and down to when each goes: one that was noted for later than
    now was noted wrongly."""
    noted, due = memory.get(_LOOKED, {}), {}
    for word, (reach, pause) in _LOOKS.items():
        last = parse_time(noted[word]) if word in noted else None
        if last is None or not -_FRESH < now - last < pause:
            due[word] = min(last or now, now) - reach
    return due


def walk(show: List, find: Find, *, name: str) -> Iterator[Part]:
    """The parts of a listing, from its top to its start, without a gap.

    Args:
        show: a page by its token; the first for None.
        find: the origins of these numbers, but for those that are not known.

    Raises:
        SourceError: the listing goes in a circle, or jumps by more numbers than can be asked for.
    """
    scan, page = _Scan(find, name), show(None)
    with suppress(NotFoundError):
        while True:
            rows = scan.take(page)
            at_start = page.token is None and scan.is_end()
            yield Part(rows, page.as_of, at_start=at_start)
            if at_start or page.token is None:
                break
            page = show(page.token)
    if not at_start:
        yield from scan.by_number(page.as_of)


class _Scan:
    """What one walk has seen: the latest pages, and the lowest number."""

    def __init__(self, find: Find, name: str) -> None:
        self._find, self._name, self._seen = find, name, SeenPages(name, _MOST_REPEATS)
        self._lowest: int | None = None

    def take(self, page: OriginPage) -> list[Origin | Problem]:
        """What a page shows that was not seen before, and what lies between it and the last."""
        if not page.rows and page.token and self._lowest is None:
            raise SourceError(f"{self._name} begins with an empty page; sync again")
        fresh = [r for r in page.rows if isinstance(r, Problem) or r.number not in self._seen]
        numbers = [row.number for row in fresh if isinstance(row, Origin)]
        lowest = self._lowest or max(numbers, default=0) + 1
        self._seen.check(has_news=min(numbers, default=lowest) < lowest)
        if numbers and self._lowest:
            fresh = [*self._between(self._lowest, max(numbers)), *fresh]
        self._seen.add(row.number for row in fresh if isinstance(row, Origin))
        self._lowest = min([*numbers, lowest]) if numbers else self._lowest
        return fresh

    def is_end(self) -> bool:
        """Whether nothing stands below the lowest number that was seen."""
        return self._lowest in (None, 1) or not self._find([(self._lowest or 1) - 1])

    def by_number(self, as_of: datetime) -> Iterator[Part]:
        """What stands below the lowest number, asked for number by number."""
        low = self._lowest or 1
        while low > 1:
            numbers = range(low - 1, max(low - 1 - PAGE_SIZE, 0), -1)
            rows, low = self._find(numbers), numbers[-1]
            yield Part(rows, as_of, at_start=not rows or low == 1)
            if not rows:
                return

    def _between(self, above: int, below: int) -> list[Origin | Problem]:
        numbers = range(above - 1, below, -1)
        if len(numbers) > _WIDEST_GAP:
            raise SourceError(
                f"{self._name} jumps from number {above} to {below} between two pages; "
                "what was read is kept: sync again"
            )
        return self._find(numbers)

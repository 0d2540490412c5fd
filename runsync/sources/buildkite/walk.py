"""Walks Buildkite's lists of builds, which come newest first and can be asked for by time.

Why no build can be missed:

1. A page is asked for by ``created_to``, a time that does not move, and by no number: pages by
   number shift, and deep ones are refused.
2. Bounds are whole seconds, as in Buildkite's documents. Builds of about one second may come in any
   order, so the lowest second of a full page is left to the next page, which begins above it.
3. More builds than a page in such a second are read by number, until two readings are alike.
4. The list ends where a page that begins at builds that were seen shows no others. A page that
   shows none proves nothing, unless a page that begins above it and does says the same.
5. A pipeline counts its builds one by one. A number that pages pass over is read by itself, and
   below the lowest that was seen there must be none.
6. A row that cannot be read is a hole wherever it is shown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise, takewhile
from typing import Any

from runsync.errors import SourceError
from runsync.records import Pipeline
from runsync.sources.base import Listed, Page
from runsync.sources.by_time import TimedPage, TimedRow

_SECOND = timedelta(seconds=1)
# How far builds may stand out of order.
_DISORDER = _SECOND
_MOST_READINGS = 30
Filters = Mapping[str, Any]
BuildKey = tuple[str, str]


FetchPage = Callable[[Filters], TimedPage]


def bound(when: datetime) -> str:
    """A time as Buildkite's documents write it."""
    return f"{when.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def bound_above(when: datetime) -> datetime:
    """The bound below which all builds of ``when`` stand, and those out of order with them."""
    return when.replace(microsecond=0) + _SECOND + _DISORDER


class BuildWalk:
    """One walk down a list.

    Args:
        fetch: asks for a page with parameters.
        asked: those of every page.
        name: what the list is called in an error.
        read: a pipeline's build of that number; None where it has none.
    """

    def __init__(
        self,
        fetch: FetchPage,
        asked: Filters,
        name: str,
        read: Callable[[Pipeline, int], Listed | None],
    ) -> None:
        self._fetch, self._asked, self._name, self._read = fetch, asked, name, read
        self._lowest: dict[str, tuple[Pipeline, int]] = {}
        self._has_holes = False

    def once(self) -> Iterator[TimedPage]:
        """The parts from the top down to one that is not full: what was cut off is not noticed."""
        top, goes_on = None, True
        while goes_on:
            part, top = self._step(top)
            yield part
            goes_on = part.more

    def pages(
        self,
        top: datetime | None,
        first: Callable[[TimedPage], Iterator[Page]] = lambda _: iter(()),
    ) -> Iterator[Page]:
        """The pages from the top, or from below ``top``, to the proven start of the list.

        Args:
            first: what comes before the first page, which it is given.
        """
        seen: set[BuildKey] = set()
        repeated, is_first = 0, True
        while True:
            part, below = self._step(top)
            if is_first:
                yield from first(part)
                is_first = False
            keys = {row.key for row in part.rows if row.key}
            if not part.more and keys <= seen and (keys or not part.rows):
                if top and not keys:
                    self._prove_end(top)
                ends = [] if self._has_holes else self._lowest.values()
                if any(self._read(of, number - 1) for of, number in ends if number > 1):
                    raise self._moves_too_fast()
                # What cannot be read may be a build that was not seen.
                unreadable = tuple(row.item for row in part.rows if row.key is None)
                yield Page(unreadable, part.as_of, at_start=True)
                return
            items = [row.item for row in part.rows if row.key is None or row.key not in seen]
            items += self._passed_over(part)
            if items:
                yield Page(tuple(items), part.as_of)
            if below is None:
                return
            repeated = repeated + 1 if top and below >= top else 0
            if repeated > _MOST_READINGS:
                raise self._moves_too_fast()
            seen, top = set() if part.more else keys, below

    def _passed_over(self, part: TimedPage) -> Iterator[Listed]:
        """The builds whose numbers lie between those that were seen, and which no page showed.

        Where a row cannot be read, it may be the number that is missing.
        """
        self._has_holes |= any(row.key is None for row in part.rows)
        if self._has_holes:
            return
        shown: dict[str, list[int]] = {}
        for row in part.rows:
            if isinstance(row.item, Listed):
                of = row.item.run.pipeline
                shown.setdefault(of.external_id, []).append(int(row.item.run.id))
                self._lowest.setdefault(of.external_id, (of, int(row.item.run.id)))
        for name, numbers in shown.items():
            of, lowest = self._lowest[name]
            in_order = sorted({lowest, *numbers}, reverse=True)
            for high, low in pairwise(in_order):
                between = (self._read(of, number) for number in range(high - 1, low, -1))
                yield from takewhile(bool, between)
            self._lowest[name] = (of, in_order[-1])

    def _step(self, top: datetime | None) -> tuple[TimedPage, datetime | None]:
        """The next page, and the time below which the one after it begins, if a row tells one."""
        part = self._fetch({**self._asked, "created_to": bound(top) if top else None})
        rows = self._in_order(part.rows, top)
        times = [row.at for row in rows if row.key]
        if not times:
            if part.more:
                raise SourceError(f"{self._name}: no row of a whole page can be read")
            return TimedPage(rows, part.as_of, more=False), None
        below = bound_above(min(times))
        if not part.more:
            return TimedPage(rows, part.as_of, more=False), min(below, top) if top else below
        if top and below >= top:
            floor = top - _SECOND - _DISORDER
            return TimedPage(self._window(floor, top), part.as_of, more=True), floor
        return TimedPage([row for row in rows if row.at >= below], part.as_of, more=True), below

    def _in_order(self, rows: Sequence[TimedRow], top: datetime | None) -> list[TimedRow]:
        """The rows below ``top``, which have to come newest first."""
        lowest = top
        for row in rows:
            if lowest and row.key and row.at >= lowest + _DISORDER:
                raise SourceError(f"{self._name} does not come newest first; check base_url")
            lowest = min(lowest or row.at, row.at)
        return [row for row in rows if top is None or row.at < top or row.key is None]

    def _window(self, floor: datetime, top: datetime) -> list[TimedRow]:
        """All builds from ``floor`` on and before ``top``, as two readings show them."""
        before: set[BuildKey | None] | None = None
        for _ in range(_MOST_READINGS):
            rows = self._all(floor, top)
            keys = {row.key for row in rows}
            if keys == before:
                return rows
            before = keys
        raise self._moves_too_fast()

    def _all(self, floor: datetime | None, top: datetime) -> list[TimedRow]:
        """The rows of all pages, by their number."""
        params = {**self._asked, "created_to": bound(top)}
        params |= {"created_from": bound(floor)} if floor else {}
        found: list[TimedRow] = []
        before: list[BuildKey | None] = []
        for page in count(1):
            part = self._fetch({**params, "page": page})
            keys = [row.key for row in part.rows]
            low = floor or datetime.min.replace(tzinfo=UTC)
            foreign = any(not low <= row.at < top for row in part.rows if row.key)
            if foreign or (keys and keys == before):
                raise SourceError(f"{self._name} ignores what is asked for; check base_url")
            found, before = [*found, *part.rows], keys
            if not part.more:
                break
        return found

    def _prove_end(self, top: datetime) -> None:
        """Nothing stands below ``top`` if a list that begins above it, and shows any, says so."""
        low, high, seconds = 0, None, 1
        while seconds not in (low, high) and seconds < 10**10:
            part = self._fetch({**self._asked, "created_to": bound(top + seconds * _SECOND)})
            if any(row.at < top or not row.key for row in part.rows):
                raise self._moves_too_fast()
            if part.rows and not part.more:
                return
            low, high = (low, seconds) if part.rows else (seconds, high)
            seconds = (low + high) // 2 if high else low * 4
        rows = self._all(None, top + (high or 0) * _SECOND)
        if not rows or any(row.at < top or not row.key for row in rows):
            raise self._moves_too_fast()

    def _moves_too_fast(self) -> SourceError:
        return SourceError(
            f"{self._name} moves faster than it can be read, or is suddenly empty; "
            "what was read is kept: sync again"
        )

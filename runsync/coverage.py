"""Stretches of a listing's history that are known to be complete, and how they join.

A stretch says: of all runs that the listing held between these two marks when it was walked, each
is stored. Stretches are kept newest first and apart; two that touch become one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from runsync.records import Mark


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``newest`` down to ``oldest``, both included; to the very first run if
    ``reaches_start``."""

    newest: Mark
    oldest: Mark
    reaches_start: bool = False

    def reaches(self, since: datetime | None) -> bool:
        """Whether all the history that is wanted below this stretch's top lies in it."""
        return self.reaches_start or (since is not None and self.oldest <= Mark(since, ""))


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same history in as few stretches as it takes, newest first."""
    joined: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: s.newest, reverse=True):
        touched = [place for place in _near(joined, stretch) if _touch(joined[place], stretch)]
        if not touched:
            joined.append(stretch)
        elif _is_an_instant(stretch):
            joined[touched[-1]] = _merge(joined[touched[-1]], stretch)
        else:
            joined[touched[-1] :] = [reduce(_merge, [*joined[touched[-1] :], stretch])]
    return joined


def around(stretches: Iterable[Stretch], mark: Mark) -> Stretch | None:
    """The stretch in which ``mark`` surely lies: of the same instant as an end, only that end."""
    return next(
        (
            s
            for s in stretches
            if s.newest.at > mark.at > s.oldest.at or mark in (s.newest, s.oldest)
        ),
        None,
    )


def _near(joined: list[Stretch], lower: Stretch) -> Iterator[int]:
    """Where those stretches stand that a lower one may touch, from below: the last one, and
    those that end in the instant in which it begins."""
    for place in reversed(range(len(joined))):
        yield place
        if joined[place].oldest.at > lower.newest.at:
            return


def _is_an_instant(stretch: Stretch) -> bool:
    """Whether it knows of nothing below its instant, so that it joins nothing that lies there."""
    return stretch.newest.at == stretch.oldest.at and not stretch.reaches_start


def _touch(upper: Stretch, lower: Stretch) -> bool:
    # Of runs created in the same instant nobody knows the order, so they must be the same run.
    return (
        upper.reaches_start
        or upper.oldest.at < lower.newest.at
        or upper.oldest == lower.newest
        or upper.newest == lower.newest
    )


def _merge(upper: Stretch, lower: Stretch) -> Stretch:
    return replace(
        upper,
        oldest=min(upper.oldest, lower.oldest),
        reaches_start=upper.reaches_start or lower.reaches_start,
    )


class Trail:
    """What one descent through a listing covers, page by page.

    Args:
        start: the mark that the descent begins at; None for the top of the listing.
        since: how far back history is wanted; runs before it are passed over.
    """

    def __init__(self, start: Mark | None, since: datetime | None = None) -> None:
        self._bound = Mark(since, "") if since else None
        self._unbroken = start
        self._passed_over = False
        self.lowest = start
        self.stretches: list[Stretch] = []

    @property
    def done(self) -> bool:
        """Whether everything that is wanted lies above."""
        return bool(self._bound and self.lowest and self.lowest <= self._bound)

    def follow(self, marks: Iterable[Mark | None], *, at_start: bool = False) -> list[Stretch]:
        """Goes down one page.

        Args:
            marks: where its runs stand, in their order; None for a row that could not be read,
                which leaves a hole.
            at_start: nothing older than this page is left.

        Returns:
            The stretches that the page covers; the first joins those of the page before.
        """
        covered: list[Stretch] = []
        top = low = self._unbroken
        for mark in marks:
            if mark is None:
                covered += _stretch(top, low)
                top = low = None
            else:
                mark = self._bounded(mark)
                top = top or (mark if self._may_begin(mark) else None)
                low = top and min(low or mark, mark)
                self.lowest = min(self.lowest or mark, mark)
        covered += _stretch(top, low, reaches_start=at_start and not self._passed_over)
        self._unbroken = low
        self.stretches = union([*self.stretches, *covered])
        return covered

    def _may_begin(self, mark: Mark) -> bool:
        """Whether a stretch may begin here, at the top or after a hole: not at a bound, which is
        no run, nor above the hole, where runs that have arrived meanwhile turn up."""
        return mark != self._bound and (self.lowest is None or mark < self.lowest)

    def _bounded(self, mark: Mark) -> Mark:
        """A run before ``since`` shows that nothing after ``since`` is left below. It is not
        wanted itself, so it is not covered, even if it is the very first."""
        if self._bound is None or mark >= self._bound:
            return mark
        self._passed_over = True
        return self._bound


def _stretch(top: Mark | None, low: Mark | None, *, reaches_start: bool = False) -> list[Stretch]:
    return [Stretch(top, low, reaches_start)] if top and low else []

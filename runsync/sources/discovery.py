"""Reads lists of what a token can see: short lists of names, whose order matters to nobody."""

from collections.abc import Callable, Iterator
from itertools import count

from runsync.errors import SourceError
from runsync.sources.fields import BadRowError, Fields


def rows_of_pages(ask: Callable[[int], object], size: int, *, what: str) -> Iterator[Fields]:
    """The rows of all pages of a list, each row once.

    Args:
        ask: brings the page of that number, from 1.
        size: of a full page.

    Raises:
        SourceError: what came is no list of objects, or a full page shows nothing new.
    """
    seen: list[object] = []
    for number in count(1):
        rows = ask(number)
        if not isinstance(rows, list):
            raise SourceError(f"{what}: a list is due and none came; check base_url")
        new = [row for row in rows if row not in seen]
        if len(rows) >= size and not new:
            raise SourceError(f"{what}: page {number} repeats what came before; nothing is listed")
        try:
            yield from [Fields(row, f"an entry of {what}") for row in new]
        except BadRowError as error:
            raise SourceError(str(error)) from error
        if len(rows) < size:
            return
        seen = rows

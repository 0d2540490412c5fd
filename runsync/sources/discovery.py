"""Reads whole lists whose order matters to nobody, such as those of what a token can see."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Generic, TypeVar

from runsync.errors import SourceError
from runsync.sources.fields import BadRowError, Fields

Row = TypeVar("Row")
_MOST_PAGES = 100


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


@dataclass(frozen=True, slots=True)
class TokenPage(Generic[Row]):
    """A page of a list in which each page tells the token of the next; the last tells none."""

    rows: Sequence[Row]
    as_of: datetime
    token: str | None = None


def pages_by_token(
    ask: Callable[[str | None], TokenPage[Row]], *, what: str
) -> Iterator[TokenPage[Row]]:
    """All pages of such a list.

    Args:
        ask: brings the page of that token, the first for None.

    Raises:
        SourceError: a page comes again, or there is always one more.
    """
    tokens: list[str | None] = [None]
    while tokens[-1] not in tokens[:-1] and len(tokens) <= _MOST_PAGES:
        page = ask(tokens[-1])
        yield page
        if not page.token:
            return
        tokens.append(page.token)
    raise SourceError(f"{what} shows pages without an end; check base_url")

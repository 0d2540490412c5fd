"""Reads whole lists whose order matters to nobody, such as those of what a token can see."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from typing import Generic, TypeVar

from runsync.errors import SourceError
from runsync.http.client import Response
from runsync.records import Problem
from runsync.sources.fields import Fields, or_problem, rows_in
from runsync.sources.live import has_next

Row = TypeVar("Row")
_MOST_PAGES = 100


def rows_of_pages(
    ask: Callable[[int], Response],
    read: Callable[[Fields], Row],
    size: int,
    *,
    what: str,
    key: str | None = None,
) -> Iterator[Row | Problem]:
    """The rows of all pages of a list, each row once, and what is wrong with those that cannot be
    read.

    The last is a page that is not full and names no next one: a short one alone proves nothing.

    Args:
        ask: brings the page of that number, from 1.
        read: reads a row.
        size: of a full page.
        key: under which the rows stand in an answer that is no list itself.

    Raises:
        SourceError: what came is no list, or a page that is not the last shows nothing new.
    """
    seen: list[object] = []
    for number in count(1):
        answer = ask(number)
        rows = rows_in(answer.data, what, key)
        more = len(rows) >= size or has_next(answer)
        new = [row for row in rows if row not in seen]
        if more and not new:
            raise SourceError(f"{what}: page {number} repeats what came before; nothing is listed")
        yield from [or_problem(partial(_entry, row, read, what)) for row in new]
        if not more:
            return
        seen = rows


def _entry(row: object, read: Callable[[Fields], Row], what: str) -> Row:
    return read(Fields(row, f"an entry of {what}"))


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

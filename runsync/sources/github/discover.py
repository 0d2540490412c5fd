"""What a GitHub token can see: repositories, each with its workflows."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from runsync.errors import ForbiddenError, NotFoundError
from runsync.http.client import Client, Response, checked_path
from runsync.records import Problem
from runsync.sources.base import Discovered
from runsync.sources.discovery import rows_of_pages
from runsync.sources.fields import Fields

_PAGE = 100
_WORKFLOWS = ".github/workflows/"


def discovered(client: Client) -> Iterator[Discovered | Problem]:
    """Each repository, and its workflows behind it: a request for a hundred repositories, and one
    more for each of them.

    Raises:
        SourceError: GitHub cannot be read.
    """
    for one in _repositories(client):
        yield one
        if isinstance(one, Discovered):
            # Actions may be off, or the token may not read them.
            with suppress(NotFoundError, ForbiddenError):
                path = checked_path("repos", *one.value.split("/"), "actions", "workflows")
                yield from _pages(client, path, partial(_workflow, one.value), "workflows")


def _repositories(client: Client) -> Iterator[Discovered | Problem]:
    try:
        yield from _pages(client, "/user/repos", _repository)
    except ForbiddenError:  # an app's token, which sees what the app is installed for
        yield from _pages(client, "/installation/repositories", _repository, "repositories")


def _repository(row: Fields) -> Discovered:
    name = row.needed_text("full_name")
    return Discovered("repository", name, name)


def _workflow(repository: str, row: Fields) -> Discovered:
    file = (row.text("path") or "").partition(_WORKFLOWS)[2]
    name = file or row.needed_number("id")
    return Discovered("id", f"{repository}/{name}", row.text("name") or str(name), repository)


def _pages(
    client: Client, path: str, read: Callable[[Fields], Discovered], key: str | None = None
) -> Iterator[Discovered | Problem]:
    """What a list shows, whose rows stand under ``key`` where GitHub wraps them."""

    def ask(number: int) -> Response:
        return client.get(path, {"per_page": _PAGE, "page": number})

    return rows_of_pages(ask, read, _PAGE, what=path, key=key)

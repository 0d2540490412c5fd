"""What a GitHub token can see: repositories, each with its workflows."""

from collections.abc import Iterator
from contextlib import suppress

from runsync.errors import ForbiddenError, NotFoundError, SourceError
from runsync.http.client import Client, Response, checked_path
from runsync.sources.base import Discovered
from runsync.sources.discovery import rows_of_pages
from runsync.sources.fields import BadRowError, Fields

_PAGE = 100
_WORKFLOWS = ".github/workflows/"


def discovered(client: Client) -> Iterator[Discovered]:
    """Each repository, and its workflows behind it: a request for a hundred repositories, and one
    more for each of them.

    Raises:
        SourceError: GitHub cannot be read.
    """
    try:
        for row in _repositories(client):
            repository = row.needed_text("full_name")
            yield Discovered("repository", repository, repository)
            # Actions may be off, or the token may not read them.
            with suppress(NotFoundError, ForbiddenError):
                yield from _workflows(client, repository)
    except BadRowError as error:
        raise SourceError(str(error)) from error


def _repositories(client: Client) -> Iterator[Fields]:
    try:
        yield from _pages(client, "/user/repos")
    except ForbiddenError:  # an app's token, which sees what the app is installed for
        yield from _pages(client, "/installation/repositories", "repositories")


def _workflows(client: Client, repository: str) -> Iterator[Discovered]:
    path = checked_path("repos", *repository.split("/"), "actions", "workflows")
    for row in _pages(client, path, "workflows"):
        file = (row.text("path") or "").partition(_WORKFLOWS)[2]
        name = file or row.integer("id")
        yield Discovered("id", f"{repository}/{name}", row.text("name") or str(name), repository)


def _pages(client: Client, path: str, key: str | None = None) -> Iterator[Fields]:
    """The rows of a list, which stands under ``key`` where GitHub wraps it."""

    def ask(number: int) -> Response:
        return client.get(path, {"per_page": _PAGE, "page": number})

    return rows_of_pages(ask, _PAGE, what=path, key=key)

"""Which redirects are followed, and with which headers."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import requests

from runsync.errors import SourceError
from runsync.http.redaction import origin, path_of, redacted

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SHARED_HEADERS = ("User-Agent", "Accept-Encoding", "Connection")
_log = logging.getLogger("runsync.http")


class ForeignRequest(requests.PreparedRequest):
    """A request to another host than the source's: nothing of the source goes with it."""


@dataclass(slots=True)
class Redirects:
    """The redirects of one source. ``headers`` are those that no other host may see."""

    name: str
    headers: Mapping[str, str] = field(repr=False)
    _moved: set[str] = field(default_factory=set)

    def follow(
        self, request: requests.PreparedRequest, response: requests.Response, *, elsewhere: bool
    ) -> requests.PreparedRequest:
        """The request that a redirect leads to.

        Args:
            elsewhere: follow it to another host too, without the source's headers.

        Raises:
            SourceError: it is not followed.
        """
        url = str(request.url)
        try:
            target = urljoin(url, response.headers.get("Location", ""))
            here, there = origin(url), origin(target)
        except ValueError:
            here, target, there = url, "", "no address"
        if request.method == "GET" and here == there:
            if response.status_code in _PERMANENT:
                self._warn_of_move(path_of(url), path_of(target))
            request.url = target
            return request
        if elsewhere and request.method == "GET" and _may_be_followed(here, there):
            with suppress(requests.RequestException):  # Its host is no name.
                return _foreign(target, request.headers)
        raise SourceError(
            f"{self.name}: {path_of(url)} redirects to {redacted(there, self.headers)}, which is "
            "not followed; if the service has moved, change base_url"
        )

    def _warn_of_move(self, old: str, new: str) -> None:
        if old not in self._moved:
            self._moved.add(old)
            _log.warning(
                "%s: %s has moved to %s, which costs one request more each time; "
                "write the new place into the config",
                self.name,
                redacted(old, self.headers),
                redacted(new, self.headers),
            )


def _foreign(url: str, headers: Mapping[str, str]) -> ForeignRequest:
    request = ForeignRequest()
    kept = {name: headers[name] for name in _SHARED_HEADERS if name in headers}
    request.prepare("GET", url, {**kept, "Accept": "*/*"})
    return request


def _may_be_followed(here: str, there: str) -> bool:
    """Whether a text may be fetched from another origin: over https, or on this machine."""
    hosts = {urlsplit(here).hostname, urlsplit(there).hostname}
    return (here[:8] == there[:8] == "https://") or hosts <= _LOOPBACK

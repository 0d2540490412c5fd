"""HTTP/1.1 as bytes: reading a request's head, writing an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qsl, unquote

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"

Ending = Literal["keep", "close", "reset", "hang"]
"""What becomes of the connection after the last byte of an answer."""
Pieces = Callable[[bytes, bytes], Iterator[tuple[float, bytes]]]
"""From an answer's head and body to what is sent: seconds to wait, then bytes."""


class BadRequestError(ValueError):
    """A request that is no HTTP; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``index`` counts from 0; ``repeated`` names query parameters given twice."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    index: int = 0
    repeated: tuple[str, ...] = ()
    keep_alive: bool = True

    @property
    def length(self) -> int:
        """How long the body says it is; BadRequestError if that is no number."""
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise BadRequestError("Content-Length is no number")
        return int(text)


def whole(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
    """Everything at once."""
    yield 0, head + body


@dataclass(frozen=True, slots=True)
class Response:
    """An answer and the way it is sent. ``length`` is what Content-Length says, if not the truth.

    ``logged`` is the status that the log shows: 0 where no status is sent.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    chunked: bool = False
    pieces: Pieces = whole
    ending: Ending = "keep"

    @property
    def logged(self) -> int:
        """The status that a client can see; 0 if it sees none."""
        return 0 if self.pieces is nothing else self.status


def nothing(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
    """Not a byte."""
    return iter(())


def parse_head(head: bytes, index: int) -> Request:
    """A request without its body, from the bytes before the empty line."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError("the request line is malformed")
    headers = dict(_parse_header(line) for line in lines[1:])
    path, _, query = words[1].partition("?")
    pairs = _parse_query(query)
    names = [name for name, _ in pairs]
    return Request(
        method=words[0],
        path=unquote(path),
        query=dict(pairs),
        headers=headers,
        index=index,
        repeated=tuple({name for name in names if names.count(name) > 1}),
        keep_alive=words[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close",
    )


def _parse_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise BadRequestError("a header is malformed")
    return name.lower(), value.strip()


def _parse_query(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise BadRequestError("the query is malformed") from None


def render(response: Response, request: Request | None, now_ms: int) -> tuple[bytes, bytes]:
    """The head and body of an answer as bytes; no body for HEAD."""
    length = len(response.body) if response.length is None else response.length
    lines = [
        _status_line(response.status),
        f"Date: {_http_date(now_ms // 1000)}",
        f"Content-Type: {response.content_type}",
        "Transfer-Encoding: chunked" if response.chunked else f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    if response.ending == "close" or request is None or not request.keep_alive:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head, b"" if request is not None and request.method == "HEAD" else response.body


@lru_cache
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {phrase(status)}"


def phrase(status: int) -> str:
    """A status in words: ``Not Found``."""
    known = status in HTTPStatus.__members__.values()
    return HTTPStatus(status).phrase if known else "Unknown"


@lru_cache(maxsize=8)
def _http_date(seconds: int) -> str:
    return http_date(seconds)


def http_date(seconds: int) -> str:
    """Seconds since 1970 as a date in a header: ``Mon, 04 Jul 2016 11:51:24 GMT``."""
    return formatdate(seconds, usegmt=True)

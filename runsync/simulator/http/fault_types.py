"""The fault types: each turns the correct answer to a request into another one.

A fault that refuses (a status, HTML, a redirect, a huge body) replaces the request: what was asked
for is not done. A fault that changes or loses the answer comes after it was done.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from runsync.simulator.http.routes import error
from runsync.simulator.http.wire import Request, Response, http_date, nothing
from runsync.simulator.world.registry import Page
from runsync.simulator.world.rng import seeded
from runsync.simulator.world.views import to_json
from runsync.simulator.world.world import World

HUGE = 40 << 20
"""Bytes of a huge body, also of what a gzip bomb unpacks to."""
BLOCK = 256 << 10
PIECES = 20
"""In how many pieces a slow answer comes."""


@dataclass(frozen=True, slots=True)
class FaultContext:
    """Where a fault applies. ``seconds`` is how long it lasts; ``url`` where a redirect leads."""

    request: Request
    world: World
    honest: Callable[[], Response]
    seconds: float | None = None
    url: str | None = None
    hit: int = 0

    def wait(self, default: float) -> float:
        """How long the fault lasts, in seconds."""
        return default if self.seconds is None else self.seconds

    @property
    def target(self) -> str:
        """The path and query that were asked for."""
        query = urlencode(dict(self.request.query))
        return quote(self.request.path) + (f"?{query}" if query else "")


FaultType = Callable[[FaultContext], Response]


# -- refusals


def status(code: int) -> FaultType:
    """An error with this status; ``seconds`` become a Retry-After."""

    def refuse(context: FaultContext) -> Response:
        wait = context.seconds if context.seconds is not None or code != 429 else 1.0
        headers = {} if wait is None else {"Retry_After": f"{wait:.0f}"}
        return error(code, "a fault on order", **headers)

    return refuse


def retry_after_date(context: FaultContext) -> Response:
    """429 with a Retry-After that is a date."""
    when = context.world.now_ms() // 1000 + round(context.wait(1))
    return error(429, "a fault on order", Retry_After=http_date(when))


def html(context: FaultContext) -> Response:
    """A page for people, with status 200."""
    page = b"<!doctype html><title>Maintenance</title><h1>Back soon</h1>"
    return Response(body=page, content_type="text/html; charset=utf-8")


def redirect(context: FaultContext) -> Response:
    """302 to another origin: ``url``, or this server under its other name."""
    host, _, port = context.request.headers.get("host", "127.0.0.1").partition(":")
    other = "127.0.0.1" if host == "localhost" else "localhost"
    origin = f"http://{other}:{port}" if port else f"http://{other}"
    return _moved(context.url or origin + context.target)


def redirect_loop(context: FaultContext) -> Response:
    """302 to itself."""
    return _moved(context.target)


def _moved(where: str) -> Response:
    return Response(302, headers=(("Location", where),))


def huge(context: FaultContext) -> Response:
    """Good JSON without end in sight, chunked, so that no length warns."""
    return Response(chunked=True, pieces=_huge_pieces)


def _huge_pieces(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
    yield 0, head + _chunk(b"[")
    blank = _chunk(b" " * BLOCK)
    for _ in range(HUGE // BLOCK):
        yield 0, blank
    yield 0, _chunk(b"]") + _chunk(b"")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def gzip_bomb(context: FaultContext) -> Response:
    """A small body that unpacks to a huge one of good JSON."""
    return Response(body=_bomb(), headers=(("Content-Encoding", "gzip"),))


@lru_cache
def _bomb() -> bytes:
    return gzip.compress(b"[" + b" " * HUGE + b"]", compresslevel=6, mtime=0)


# -- answers that are lost or slow on their way


def reset(context: FaultContext) -> Response:
    """The connection is reset without an answer."""
    return replace(context.honest(), pieces=nothing, ending="reset")


def hang(context: FaultContext) -> Response:
    """Nothing comes, and the connection stays open."""
    return replace(context.honest(), pieces=nothing, ending="hang")


def short_body(context: FaultContext) -> Response:
    """The connection closes in the middle of the body."""
    return replace(context.honest(), pieces=_half, ending="close")


def stall(context: FaultContext) -> Response:
    """Half the body comes, then nothing more, and the connection stays open."""
    return replace(context.honest(), pieces=_half, ending="hang")


def _half(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
    yield 0, head + body[: len(body) // 2]


def wrong_length(context: FaultContext) -> Response:
    """Content-Length is a little too small; the rest of the body follows all the same."""
    answer = context.honest()
    return replace(answer, length=max(0, len(answer.body) - 7))


def slow(context: FaultContext) -> Response:
    """The whole answer comes late."""
    wait = context.wait(2)

    def late(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        yield wait, head + body

    return replace(context.honest(), pieces=late)


def slow_headers(context: FaultContext) -> Response:
    """The headers come in small pieces."""
    wait = context.wait(2)

    def in_pieces(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        yield from _in_pieces(head, wait)
        yield 0, body

    return replace(context.honest(), pieces=in_pieces)


def drip(context: FaultContext) -> Response:
    """The body comes in small pieces."""
    wait = context.wait(2)

    def in_pieces(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        yield 0, head
        yield from _in_pieces(body, wait)

    return replace(context.honest(), pieces=in_pieces)


def _in_pieces(data: bytes, seconds: float) -> Iterator[tuple[float, bytes]]:
    size = max(1, -(-len(data) // PIECES))
    starts = range(0, len(data), size)
    for start in starts:
        yield seconds / len(starts), data[start : start + size]


# -- answers that say something else


def gzipped(context: FaultContext) -> Response:
    """The honest answer, compressed."""
    answer = context.honest()
    headers = (*answer.headers, ("Content-Encoding", "gzip"))
    return replace(answer, body=gzip.compress(answer.body, mtime=0), headers=headers)


def truncated_json(context: FaultContext) -> Response:
    """A whole answer, but its JSON stops halfway."""
    answer = context.honest()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def bad_json(context: FaultContext) -> Response:
    """A whole answer that is no JSON at all."""
    return replace(context.honest(), body=b'{"id": undefined]')


def on_json(change: Callable[[Any, FaultContext], Any]) -> FaultType:
    """A fault type that changes the JSON of a good answer; errors pass as they are."""

    def change_body(context: FaultContext) -> Response:
        answer = context.honest()
        if answer.status != 200 or not answer.content_type.startswith("application/json"):
            return answer
        return replace(answer, body=to_json(change(json.loads(answer.body), context)))

    return change_body


def on_items(change: Callable[[list[Any], FaultContext], list[Any]]) -> FaultType:
    """A fault type that changes a listing; other answers pass as they are."""
    return on_json(
        lambda value, context: change(value, context) if isinstance(value, list) else value
    )


def wrong_shape(value: Any, context: FaultContext) -> Any:
    """An object where there should be an array, and the other way round."""
    return {"items": value} if isinstance(value, list) else [value]


def number_for_string(value: Any, context: FaultContext) -> Any:
    """A number as the id and as the creation time."""
    if isinstance(value, list):
        return [number_for_string(value[0], context), *value[1:]] if value else value
    return {**value, "id": 42, "createdAt": 1467633084851}


def null_entries(items: list[Any], context: FaultContext) -> list[Any]:
    """Nulls before, between and after the items."""
    return [None, *(entry for item in items for entry in (item, None))]


def duplicates(items: list[Any], context: FaultContext) -> list[Any]:
    """The first item once more at the end."""
    return items + items[:1]


def shuffled(items: list[Any], context: FaultContext) -> list[Any]:
    """The same items in another order."""
    mixed = list(items)
    seeded(context.hit).shuffle(mixed)
    return mixed if mixed != items else mixed[::-1]


def short_page(items: list[Any], context: FaultContext) -> list[Any]:
    """Only the first half of the items."""
    return items[: len(items) // 2]


def empty_page(items: list[Any], context: FaultContext) -> list[Any]:
    """No items."""
    return []


def foreign(items: list[Any], context: FaultContext) -> list[Any]:
    """A run of another pipeline among the items, in second place."""
    return [*items[:1], _foreign_run(items, context), *items[1:]]


def _foreign_run(items: list[Any], context: FaultContext) -> Any:
    for pipeline in context.world.pipelines:
        if pipeline.id != context.request.query.get("pipelineId"):
            page = Page(("pipelineId", pipeline.id), limit=1)
            found = json.loads(context.world.list_body(page))
            if found:
                return found[0]
    made_up = {"id": "f" * 24, "name": "somebody else's", "pipelineName": "build"}
    return {**(items[0] if items else {}), "id": "f" * 24, "pipeline": made_up}


FAULT_TYPES: dict[str, FaultType] = {
    "honest": lambda context: context.honest(),
    "429-date": retry_after_date,
    "html": html,
    "redirect": redirect,
    "redirect-loop": redirect_loop,
    "huge": huge,
    "gzip-bomb": gzip_bomb,
    "reset": reset,
    "hang": hang,
    "stall": stall,
    "short-body": short_body,
    "wrong-length": wrong_length,
    "slow": slow,
    "slow-headers": slow_headers,
    "drip": drip,
    "gzip": gzipped,
    "truncated-json": truncated_json,
    "bad-json": bad_json,
    "wrong-shape": on_json(wrong_shape),
    "number-for-string": on_json(number_for_string),
    "null-entries": on_items(null_entries),
    "duplicates": on_items(duplicates),
    "foreign": on_items(foreign),
    "shuffled": on_items(shuffled),
    "short-page": on_items(short_page),
    "empty-page": on_items(empty_page),
}
"""All fault types by name; besides them, every status from 400 to 599."""


def fault_type_named(name: str) -> FaultType | None:
    """The fault type with this name, or for a number the status; None if there is none."""
    if name.isascii() and name.isdigit() and 400 <= int(name) <= 599:
        return status(int(name))
    return FAULT_TYPES.get(name)

"""What can go wrong with an answer: each kind turns an honest answer into another.

A kind that refuses (a status, HTML, a redirect, a huge body) is answered in the service's stead:
what was asked for is not done. A kind that spoils or loses the answer comes after it was done.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from runsync.simulator.chance import seeded
from runsync.simulator.registry import Page
from runsync.simulator.routes import error
from runsync.simulator.views import to_json
from runsync.simulator.wire import Request, Response, http_date, nothing
from runsync.simulator.world import World

HUGE = 40 << 20
"""Bytes of a huge body, also of what a gzip bomb unpacks to."""
BLOCK = 256 << 10
PIECES = 20
"""In how many pieces a slow answer comes."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault strikes. ``seconds`` is how long it lasts; ``url`` where a redirect leads."""

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


Kind = Callable[[Scene], Response]


# -- refusals


def status(code: int) -> Kind:
    """An error with this status; ``seconds`` become a Retry-After."""

    def refuse(scene: Scene) -> Response:
        wait = scene.seconds if scene.seconds is not None or code != 429 else 1.0
        headers = {} if wait is None else {"Retry_After": f"{wait:.0f}"}
        return error(code, "a fault on order", **headers)

    return refuse


def retry_after_date(scene: Scene) -> Response:
    """429 with a Retry-After that is a date."""
    when = scene.world.now_ms() // 1000 + round(scene.wait(1))
    return error(429, "a fault on order", Retry_After=http_date(when))


def html(scene: Scene) -> Response:
    """A page for people, with status 200."""
    page = b"<!doctype html><title>Maintenance</title><h1>Back soon</h1>"
    return Response(body=page, content_type="text/html; charset=utf-8")


def redirect(scene: Scene) -> Response:
    """302 to another origin: ``url``, or this server under its other name."""
    host, _, port = scene.request.headers.get("host", "127.0.0.1").partition(":")
    other = "127.0.0.1" if host == "localhost" else "localhost"
    origin = f"http://{other}:{port}" if port else f"http://{other}"
    return _moved(scene.url or origin + scene.target)


def redirect_loop(scene: Scene) -> Response:
    """302 to itself."""
    return _moved(scene.target)


def _moved(where: str) -> Response:
    return Response(302, headers=(("Location", where),))


def huge(scene: Scene) -> Response:
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


def gzip_bomb(scene: Scene) -> Response:
    """A small body that unpacks to a huge one of good JSON."""
    return Response(body=_bomb(), headers=(("Content-Encoding", "gzip"),))


@lru_cache
def _bomb() -> bytes:
    return gzip.compress(b"[" + b" " * HUGE + b"]", compresslevel=6, mtime=0)


# -- answers that are lost or slow on their way


def reset(scene: Scene) -> Response:
    """The connection is reset without an answer."""
    return replace(scene.honest(), pieces=nothing, ending="reset")


def hang(scene: Scene) -> Response:
    """Nothing comes, and the connection stays open."""
    return replace(scene.honest(), pieces=nothing, ending="hang")


def short_body(scene: Scene) -> Response:
    """The connection closes in the middle of the body."""
    return replace(scene.honest(), pieces=_half, ending="close")


def stall(scene: Scene) -> Response:
    """Half the body comes, then nothing more, and the connection stays open."""
    return replace(scene.honest(), pieces=_half, ending="hang")


def _half(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
    yield 0, head + body[: len(body) // 2]


def wrong_length(scene: Scene) -> Response:
    """Content-Length is a little too small; the rest of the body follows all the same."""
    answer = scene.honest()
    return replace(answer, length=max(0, len(answer.body) - 7))


def slow(scene: Scene) -> Response:
    """The whole answer comes late."""
    wait = scene.wait(2)

    def late(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        yield wait, head + body

    return replace(scene.honest(), pieces=late)


def slow_headers(scene: Scene) -> Response:
    """The headers come in small pieces."""
    wait = scene.wait(2)

    def dripping(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        yield from _drops(head, wait)
        yield 0, body

    return replace(scene.honest(), pieces=dripping)


def drip(scene: Scene) -> Response:
    """The body comes in small pieces."""
    wait = scene.wait(2)

    def dripping(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        yield 0, head
        yield from _drops(body, wait)

    return replace(scene.honest(), pieces=dripping)


def _drops(data: bytes, seconds: float) -> Iterator[tuple[float, bytes]]:
    size = max(1, -(-len(data) // PIECES))
    starts = range(0, len(data), size)
    for start in starts:
        yield seconds / len(starts), data[start : start + size]


# -- answers that say something else


def gzipped(scene: Scene) -> Response:
    """The honest answer, compressed."""
    answer = scene.honest()
    headers = (*answer.headers, ("Content-Encoding", "gzip"))
    return replace(answer, body=gzip.compress(answer.body, mtime=0), headers=headers)


def truncated_json(scene: Scene) -> Response:
    """A whole answer, but its JSON stops halfway."""
    answer = scene.honest()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def bad_json(scene: Scene) -> Response:
    """A whole answer that is no JSON at all."""
    return replace(scene.honest(), body=b'{"id": undefined]')


def on_json(change: Callable[[Any, Scene], Any]) -> Kind:
    """A kind that changes the JSON of a good answer; errors pass as they are."""

    def spoil(scene: Scene) -> Response:
        answer = scene.honest()
        if answer.status != 200 or not answer.content_type.startswith("application/json"):
            return answer
        return replace(answer, body=to_json(change(json.loads(answer.body), scene)))

    return spoil


def on_items(change: Callable[[list[Any], Scene], list[Any]]) -> Kind:
    """A kind that changes a listing; other answers pass as they are."""
    return on_json(lambda value, scene: change(value, scene) if isinstance(value, list) else value)


def wrong_shape(value: Any, scene: Scene) -> Any:
    """An object where there should be an array, and the other way round."""
    return {"items": value} if isinstance(value, list) else [value]


def number_for_string(value: Any, scene: Scene) -> Any:
    """A number as the id and as the creation time."""
    if isinstance(value, list):
        return [number_for_string(value[0], scene), *value[1:]] if value else value
    return {**value, "id": 42, "createdAt": 1467633084851}


def null_entries(items: list[Any], scene: Scene) -> list[Any]:
    """Nulls before, between and after the items."""
    return [None, *(entry for item in items for entry in (item, None))]


def duplicates(items: list[Any], scene: Scene) -> list[Any]:
    """The first item once more at the end."""
    return items + items[:1]


def shuffled(items: list[Any], scene: Scene) -> list[Any]:
    """The same items in another order."""
    mixed = list(items)
    seeded(scene.hit).shuffle(mixed)
    return mixed if mixed != items else mixed[::-1]


def short_page(items: list[Any], scene: Scene) -> list[Any]:
    """Only the first half of the items."""
    return items[: len(items) // 2]


def empty_page(items: list[Any], scene: Scene) -> list[Any]:
    """No items."""
    return []


def foreign(items: list[Any], scene: Scene) -> list[Any]:
    """A run of another pipeline among the items, in second place."""
    return [*items[:1], _stranger(items, scene), *items[1:]]


def _stranger(items: list[Any], scene: Scene) -> Any:
    for pipeline in scene.world.pipelines:
        if pipeline.id != scene.request.query.get("pipelineId"):
            page = Page(("pipelineId", pipeline.id), limit=1)
            found = json.loads(scene.world.list_body(page))
            if found:
                return found[0]
    made_up = {"id": "f" * 24, "name": "somebody else's", "pipelineName": "build"}
    return {**(items[0] if items else {}), "id": "f" * 24, "pipeline": made_up}


KINDS: dict[str, Kind] = {
    "honest": lambda scene: scene.honest(),
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
"""All kinds by name; besides them, every status from 400 to 599."""


def kind_named(name: str) -> Kind | None:
    """The kind with this name, or for a number the status; None if there is none."""
    if name.isascii() and name.isdigit() and 400 <= int(name) <= 599:
        return status(int(name))
    return KINDS.get(name)

"""One client's connection: requests in, answers out, one at a time and in order."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol, cast

from runsync.simulator.http.routes import MAX_BODY, error
from runsync.simulator.http.wire import (
    BadRequestError,
    Ending,
    Request,
    Response,
    parse_head,
    render,
)

MAX_HEAD = 64 * 1024
LINGER_SECONDS = 2


class ConnectionHost(Protocol):
    """Who answers the requests, and is told what becomes of the connection."""

    latency: float

    def opened(self, connection: Connection) -> None:
        """A client has connected."""

    def closed(self, connection: Connection) -> None:
        """A client has gone."""

    def begin(self, request: Request) -> Response:
        """A request has come; the answer to it."""

    def log(self, request: Request, response: Response) -> None:
        """This request has got this answer."""

    def end(self) -> None:
        """An answer has been sent, or has become pointless."""

    def now_ms(self) -> int:
        """The time that the Date header shows."""

    def next_index(self) -> int:
        """The number of the next request, from 0."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client and plays answers as their faults demand."""

    def __init__(self, host: ConnectionHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._head: Request | None = None
        self._served: Request | None = None
        self._hung_up = False
        self._busy = False
        self._paused = False
        self._asleep = False
        self._pieces: Iterator[tuple[float, bytes]] = iter(())
        self._ending: Ending = "keep"

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast(asyncio.Transport, transport)
        self._host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, perhaps before its answer."""
        self._pieces = iter(())  # what makes them learns that nobody wants them any more
        if self._busy:
            self._busy = False
            self._host.end()
        self._host.closed(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        if not self._hung_up:
            self._buffer += data
            self._next()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused = False
        # Not now: a write that fails within this call would close the transport twice.
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._busy and not self._asleep:
            self._play()

    # -- requests in

    def _next(self) -> None:
        """Serve the next request if it is all there and the one before has its answer."""
        if self._busy or self._hung_up:
            return
        try:
            request = self._read()
        except BadRequestError as bad:
            self._refuse(error(400, str(bad)))
            return
        if request is not None:
            self._busy = True
            response = self._host.begin(request)
            if self._host.latency > 0:
                self._loop.call_later(self._host.latency, self._send, response)
            else:
                self._send(response)

    def _read(self) -> Request | None:
        """The next request, once all of it has come."""
        if self._head is None and not self._read_head():
            return None
        head = cast(Request, self._head)
        length = head.length
        if len(self._buffer) < length:
            return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        self._served, self._head = head, None
        return replace(head, body=body) if body else head

    def _read_head(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            if len(self._buffer) > MAX_HEAD:
                self._refuse(error(431, "the headers are too large"))
            return False
        self._head = parse_head(head, self._host.next_index())
        self._buffer = rest
        return self._is_acceptable(self._head)

    def _is_acceptable(self, head: Request) -> bool:
        if "transfer-encoding" in head.headers:
            self._refuse(error(411, "Content-Length is required"))
        elif head.length > MAX_BODY:
            self._refuse(error(413, f"the body is larger than {MAX_BODY} bytes"))
        elif head.headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return not self._hung_up

    def _refuse(self, response: Response) -> None:
        """Answer what is no proper request and hang up, but let the client finish speaking."""
        if self._head is not None:
            self._host.log(self._head, response)
        head, body = render(replace(response, ending="close"), None, self._host.now_ms())
        self._hung_up = True
        self.transport.write(head + body)
        self.transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, self.transport.close)

    # -- answers out

    def _send(self, response: Response) -> None:
        head, body = render(response, self._served, self._host.now_ms())
        self._pieces = response.pieces(head, body)
        self._ending = response.ending
        self._play()

    def _play(self) -> None:
        """Send what is due of the answer; come back when the client or the clock is ready."""
        while not self._paused and not self.transport.is_closing():
            piece = next(self._pieces, None)
            if piece is None:
                self._finish()
                return
            delay, data = piece
            if delay > 0:
                self._asleep = True
                self._loop.call_later(delay, self._wake, data)
                return
            self.transport.write(data)

    def _wake(self, data: bytes) -> None:
        self._asleep = False
        if not self.transport.is_closing():
            self.transport.write(data)
            self._play()

    def _finish(self) -> None:
        if self._ending == "hang":
            return
        self._busy = False
        self._host.end()
        if self._ending == "reset":
            self._reset()
        elif self._ending == "close" or not (self._served and self._served.keep_alive):
            self.transport.close()
        elif self._buffer:
            self._loop.call_soon(self._next)

    def _reset(self) -> None:
        """Close so that the client sees a reset, not an end."""
        found: socket.socket = self.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

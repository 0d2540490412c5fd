"""A connection pooler for PostgreSQL, as small as one can be, in session or transaction mode.

It speaks the wire protocol of PostgreSQL only as far as it must: it sees where a message ends, and
from the server's ReadyForQuery whether a transaction is open. As PgBouncer does, it gives the
server connection that was used last to the next client that asks, or in turn the one that was used
longest ago.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

_ENCRYPTION_REQUESTS = (80877103, 80877104)
_TERMINATE, _SYNC, _QUERY, _READY = b"X", b"S", b"Q", b"Z"
_IDLE = b"I"


class Pooler:
    """Accepts clients on a port of its own, for the server behind a Unix socket."""

    def __init__(self, server: Path, *, by_transaction: bool, in_turn: bool) -> None:
        self._server, self._by_transaction = server, by_transaction
        self._next = 0 if in_turn else -1
        self._idle: list[socket.socket] = []
        self._greeting = b""
        self._mutex = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        with contextlib.suppress(OSError, EOFError):
            startup = _startup(client)
            server = self._take(startup)
            client.sendall(self._greeting)
            server = self._release(server)
            while True:
                kind, message = _message(client)
                if kind == _TERMINATE:
                    break
                server = server or self._take(startup)
                server.sendall(message)
                if kind in (_QUERY, _SYNC) and self._relay(server, client) == _IDLE:
                    server = self._release(server)
        client.close()
        if server is not None:
            server.close()

    def _take(self, startup: bytes) -> socket.socket:
        with self._mutex:
            if self._idle:
                return self._idle.pop(self._next)
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._server))
        self._open.append(server)
        server.sendall(startup)
        greeting = b""
        kind = b""
        while kind != _READY:
            kind, message = _message(server)
            greeting += message
        self._greeting = self._greeting or greeting
        return server

    def _release(self, server: socket.socket) -> socket.socket | None:
        """Puts a server connection back, unless a client keeps its own for the session."""
        if not self._by_transaction:
            return server
        with self._mutex:
            self._idle.append(server)
        return None

    def _relay(self, server: socket.socket, client: socket.socket) -> bytes:
        """Passes an answer on; the state of the transaction after it."""
        while True:
            kind, message = _message(server)
            client.sendall(message)
            if kind == _READY:
                return message[-1:]


def _startup(client: socket.socket) -> bytes:
    while True:
        head = _exactly(client, 8)
        length, code = struct.unpack("!ii", head)
        if code not in _ENCRYPTION_REQUESTS:
            return head + _exactly(client, length - 8)
        client.sendall(b"N")


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], head + _exactly(source, length - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = source.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


@contextmanager
def pooled(url: URL, *, by_transaction: bool, in_turn: bool = False) -> Iterator[URL]:
    """The same database behind a pooler."""
    folder = Path(str(url.query["host"]))
    (server,) = folder.glob(".s.PGSQL.*[0-9]")
    pooler = Pooler(server, by_transaction=by_transaction, in_turn=in_turn)
    try:
        yield url.set(host="127.0.0.1", port=pooler.port, query={})
    finally:
        pooler.close()

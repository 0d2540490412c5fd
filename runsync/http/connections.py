"""Connections with a deadline for the whole of a request.

Own code, since ``http.client`` bounds each read but not their number: a body or a header that
drips in byte by byte would never end. Here one thread watches the requests of a client and shuts
the socket of one whose time is up; the thread that reads from it then fails at once.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_TICK_SECONDS = 0.25
_here = threading.local()


@dataclass(eq=False, slots=True)
class Deadline:
    """When one request must be over. ``socket`` is the one it goes over, once that is known."""

    at: float
    expired: bool = False
    socket: Any = None

    def expire(self) -> None:
        self.expired = True
        if self.socket is not None:
            with suppress(OSError):
                # A TLS socket's own `shutdown` would also drop the state that a reader uses.
                socket.socket.shutdown(getattr(self.socket, "socket", self.socket), 2)


class Deadlines:
    """Watches the requests of one client, with a thread that lives while there are any."""

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[Deadline]:
        """What this thread asks in here is broken off after that many seconds."""
        deadline = _here.deadline = Deadline(time.monotonic() + seconds)
        with self._lock:
            self._watched.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="runsync-deadlines", daemon=True
                )
                self._thread.start()
        try:
            yield deadline
        finally:
            _here.deadline = None
            with self._lock:
                self._watched.discard(deadline)

    def expire_all(self) -> None:
        """Breaks off everything that is under way."""
        with self._lock:
            for deadline in self._watched:
                deadline.expire()

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            with self._lock:
                if not self._watched:
                    self._thread = None
                    return
                for deadline in self._watched:
                    if deadline.at < now:
                        deadline.expire()


class _TellsItsSocket:
    """A connection whose socket the deadline of the request on it knows."""

    sock: Any

    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)  # type: ignore[misc]
        deadline: Deadline | None = getattr(_here, "deadline", None)
        if deadline is not None:
            deadline.socket = self.sock
            if deadline.expired:
                deadline.expire()


class _HTTPConnection(_TellsItsSocket, HTTPConnection):
    pass


class _HTTPSConnection(_TellsItsSocket, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class Adapter(HTTPAdapter):
    """``requests``' adapter over connections that tell a :class:`Deadline` their socket."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

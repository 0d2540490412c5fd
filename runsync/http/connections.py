"""Connections that can be broken off from outside, and what they trust.

``http.client`` bounds each read but not their number, so a body or a header that drips in byte by
byte would never end. Here one watching thread shuts the socket of a request whose time is up;
the thread that reads then fails at once.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_TICK_SECONDS = 0.25
_here = threading.local()


class Deadline:
    """One request's last moment. ``socket`` is the one it goes over, once it is known."""

    __slots__ = ("at", "expired", "socket")

    def __init__(self, at: float) -> None:
        self.at = at
        self.expired = False
        self.socket: socket.socket | None = None

    def expire(self) -> None:
        self.expired = True
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class Deadlines:
    """Watches the requests of one client, with one thread that starts with the first of them."""

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[Deadline]:
        """Whatever this thread asks in here is broken off after that many seconds."""
        deadline = Deadline(time.monotonic() + seconds)
        _here.deadline = deadline
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

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(_TICK_SECONDS):
            now = time.monotonic()
            with self._lock:
                for deadline in self._watched:
                    if deadline.at < now:
                        deadline.expire()


def _tell(sock: Any) -> None:
    deadline: Deadline | None = getattr(_here, "deadline", None)
    if deadline is not None:
        deadline.socket = sock
        if deadline.expired:
            deadline.expire()


class _Plain(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        _tell(self.sock)


class _Secure(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        _tell(self.sock)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """``requests``' adapter over connections that tell a :class:`Deadline` their socket."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def verification(base_url: str) -> bool | str:
    """What certificates are held against: the user's own bundle if the environment names one."""
    if base_url.startswith("http://"):
        return True
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True

"""How many requests of one client are in flight, when the next one may go, and whether any may."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from runsync.errors import RunsyncError

_SUCCESSES_PER_SLOT = 10


class RateLimiter:
    """Lets ``most`` requests go at once, in the order they come; fewer after ``slow_down``.

    Requests draw tickets, and ticket ``n`` may go when fewer than ``allowed`` of those before it
    are still out. Nobody is overtaken: with a plain semaphore, the many threads that read steps
    would starve the one that reads the listing. Each that waits has a condition of its own, since
    to wake all of 20 for one slot was measured a quarter of a request's cost.
    """

    def __init__(self, most: int) -> None:
        self._most = self._allowed = most
        self._drawn = self._returned = self._successes = 0
        self._held_until = 0.0
        self._closed_until = -math.inf
        self._closed_by: RunsyncError | None = None
        self._lock = threading.Lock()
        self._turns: dict[int, threading.Condition] = {}
        self._closing = threading.Condition(self._lock)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits for a slot, and holds it.

        Raises:
            RunsyncError: what the limiter was closed with.
        """
        with self._lock:
            ticket = self._drawn
            self._drawn += 1
        try:
            self._wait_for_turn(ticket)
            yield
        finally:
            with self._lock:
                self._returned += 1
                # One ticket more may go: those before it were woken before.
                if turn := self._turns.get(self._returned + self._allowed - 1):
                    turn.notify()

    def _wait_for_turn(self, ticket: int) -> None:
        with self._lock:
            try:
                while True:
                    self.check_open()
                    held = self._held_until - time.monotonic()
                    if ticket - self._returned < self._allowed and held <= 0:
                        return
                    turn = self._turns.setdefault(ticket, threading.Condition(self._lock))
                    turn.wait(held if held > 0 else None)
            finally:
                self._turns.pop(ticket, None)

    def check_open(self) -> None:
        """Raises what the limiter was closed with."""
        if self._closed_by is not None and time.monotonic() < self._closed_until:
            # An error of its own for each thread: a shared one would gather their tracebacks.
            raise type(self._closed_by)(str(self._closed_by))

    def sleep(self, seconds: float) -> None:
        """Waits outside a slot. Raises what :meth:`slot` raises, as soon as there is something."""
        until = time.monotonic() + seconds
        with self._lock:
            while (left := until - time.monotonic()) > 0:
                self.check_open()
                self._closing.wait(left)
            self.check_open()

    def hold(self, seconds: float) -> None:
        """No request goes for that long."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def slow_down(self) -> None:
        """Allows half as many requests at once."""
        with self._lock:
            self._allowed = max(1, self._allowed // 2)
            self._successes = 0

    def went_well(self) -> None:
        """Allows one request more after every ten that went well."""
        if self._allowed >= self._most:
            return
        with self._lock:
            self._successes += 1
            if self._successes >= _SUCCESSES_PER_SLOT:
                self._allowed, self._successes = min(self._most, self._allowed + 1), 0
                self._wake_all()

    def close(self, error: RunsyncError, seconds: float = math.inf) -> None:
        """Every request that waits or comes within that time raises ``error``."""
        with self._lock:
            until = time.monotonic() + seconds
            if until > self._closed_until:
                self._closed_by, self._closed_until = error, until
            self._closing.notify_all()
            self._wake_all()

    def _wake_all(self) -> None:
        for turn in self._turns.values():
            turn.notify()


@lru_cache(maxsize=32)
def http_date(text: str) -> datetime | None:
    """The time in a header, in UTC; None where it is none."""
    try:
        found = parsedate_to_datetime(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None

"""The simulated service's own clock, in real time or moved by hand."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Clock:
    """What time it is in the simulated world, UTC.

    ``Clock()`` shows the real time. ``Clock(start)`` stands still at ``start`` until it is
    advanced. ``Clock.running(start)`` begins at ``start`` and goes on in real time. All three can
    be advanced.
    """

    def __init__(self, manual_start: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._still = manual_start is not None
        self._offset = 0 if manual_start is None else to_ms(manual_start)

    @classmethod
    def running(cls, start: datetime) -> Clock:
        """A clock that shows ``start`` now and moves on in real time."""
        clock = cls()
        clock._offset = to_ms(start) - _real_ms()
        return clock

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._offset + (0 if self._still else _real_ms())

    def now(self) -> datetime:
        """The time as an aware datetime in UTC, to the millisecond."""
        return from_ms(self.now_ms())

    def advance(self, by: float | timedelta) -> datetime:
        """Move on by seconds or a timedelta (backwards if negative); the new time."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        with self._lock:
            self._offset += round(seconds * 1000)
        return self.now()


def _real_ms() -> int:
    return time.time_ns() // 1_000_000


def to_ms(when: datetime) -> int:
    """Milliseconds since 1970 of ``when``; a naive time is taken as UTC."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of ``ms`` milliseconds since 1970."""
    return _EPOCH + ms * _MILLISECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

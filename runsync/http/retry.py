"""What an error answer means: whether to try again, and when, or which error it is.

The loop is our own, since a library's knows no pause that all threads of a client keep, and no cap
on the sum of the waits that a provider asks for.
"""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from runsync.errors import (
    CancelledError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    RunsyncError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.rate_limiter import RateLimiter, http_date

_log = logging.getLogger("runsync.http")
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_LONGEST_RESET = 365 * 86400
"""No limit is reset so many seconds later: a greater number is a time."""
IsLimit = Callable[[int, Mapping[str, str], str], bool]
"""Whether an error answer means "slow down": from its status, headers and body."""
IsRefusal = Callable[[int, Mapping[str, str]], bool]
"""Whether an answer other than 200 means that the token is refused: from its status and headers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Times are seconds, sizes bytes.

    ``first_limit_pause`` is for a limit that names no time; it doubles each time. ``longest_wait``
    bounds the sum of all waits of one request where the provider asks for some.
    """

    connect: float = 10.0
    read: float = 30.0
    whole: float = 60.0
    tries: int = 6
    first_pause: float = 0.5
    longest_pause: float = 30.0
    first_limit_pause: float = 60.0
    longest_wait: float = 300.0
    body: int = 32 * 1024 * 1024
    redirects: int = 5


class TryAgainError(Exception):
    """One try failed in a way that another may not.

    ``wait`` is what the provider asked for, in seconds. ``limited``: a limit is spent;
    ``unnamed``: and the answer does not say for how long.
    """

    def __init__(
        self,
        what: str,
        wait: float | None = None,
        *,
        limited: bool = False,
        unnamed: bool = False,
    ) -> None:
        super().__init__(what)
        self.wait, self.limited, self.unnamed = wait, limited, unnamed


@dataclass(slots=True)
class Retries:
    """The tries of one request: how many there were, and how many seconds were waited."""

    limits: Limits
    limiter: RateLimiter
    tries: int = 0
    waited: float = 0.0
    unnamed: int = 0

    def wait(self, what: str, error: TryAgainError) -> None:
        """Waits before the next try, at least as long as was asked for.

        Args:
            what: the request and what became of it, for errors.

        Raises:
            RateLimitedError: the limit is spent for longer than may be waited.
            SourceError: there were tries enough.
        """
        limits = self.limits
        longest = min(limits.first_pause * 2.0**self.tries, limits.longest_pause)
        pause = random.uniform(longest / 2, longest)  # noqa: S311 - jitter
        self.tries += 1
        asked = self._asked(error)
        if asked is not None and self.waited + asked > limits.longest_wait:
            end = f"and asks to wait {asked:.0f} s; what came before is kept: sync again after that"
            raise self._spent(f"{what} {end}", asked) from error
        if self.tries >= limits.tries:
            end = f"{self.tries} times; see whether the service is well, then sync again"
            if error.limited:
                raise self._spent(f"{what}, {end}", asked or limits.longest_pause) from error
            raise SourceError(f"{what}, {end}") from error
        pause = max(pause, asked or 0.0)
        self.waited += pause
        _log.debug("%s: try %d of %d in %.1f s", what, self.tries + 1, limits.tries, pause)
        if asked is None:
            self._sleep(pause, what)
        else:
            self.limiter.hold(pause)  # The next try waits for its slot as long.

    def _sleep(self, pause: float, what: str) -> None:
        try:
            self.limiter.sleep(pause)
        except CancelledError as error:
            # Who interrupts an outage wants to read later what it was.
            raise CancelledError(f"{error}; before that, {what}") from None

    def _asked(self, error: TryAgainError) -> float | None:
        if not error.unnamed:
            return error.wait
        self.unnamed += 1
        return self.limits.first_limit_pause * 2.0 ** (self.unnamed - 1)

    def _spent(self, what: str, seconds: float) -> RateLimitedError:
        """An error that all requests of the next seconds raise."""
        error = RateLimitedError(what)
        self.limiter.close(error, seconds)
        return error


def error_of(status: int, what: str, source: str, as_of: datetime) -> RunsyncError:
    """The error for a status that is not tried again."""
    if status in (401, 403):
        kind = ForbiddenError if status == 403 else TokenRefusedError
        return kind(f"{what}; check the token of source {source!r} (`runsync doctor`)")
    if status in (404, 410):
        return NotFoundError(f"{what}; it is gone, or was never there: check its id", as_of)
    if status < 500:
        return RefusedError(f"{what}; it does not take such a request")
    return SourceError(f"{what}; see whether the service is well")


def asked_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the provider asks to wait; None where it does not say.

    Read from ``Retry-After`` in both forms, or from the rate-limit headers once nothing is left:
    those of GitHub (``X-RateLimit-*``) and GitLab (``RateLimit-*``) name a time, in seconds since
    1970, those of Buildkite (``RateLimit-*`` and ``RateLimit-User-*``) the seconds until then.

    Args:
        now: the provider's clock, which its times are compared with.
    """
    after = headers.get("Retry-After", "").strip()
    if after.isdecimal():
        return float(after)
    if after:
        date = http_date(after)
        return max(0.0, (date - now).total_seconds()) if date else None
    waits = []
    for prefix in ("X-RateLimit-", "RateLimit-", "RateLimit-User-"):
        reset = headers.get(f"{prefix}Reset", "")
        if status in (403, 429) and headers.get(f"{prefix}Remaining") == "0" and reset.isdecimal():
            begin = now.timestamp() if float(reset) > _LONGEST_RESET else 0.0
            waits.append(max(0.0, float(reset) - begin))
    return max(waits, default=None)

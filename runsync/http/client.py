"""One HTTP client for all sources: time-outs, retries, limits, and nothing that leaks.

A request has a time-out for connecting and for each read, and a deadline for the whole of it. A
GET is tried again, with growing pauses, after 429, 5xx, a broken connection, a short body or bad
JSON; anything else is never sent twice. The token stands in a header and nowhere else, ``netrc``
is not asked, and a redirect to another origin is refused.

Requests go through ``requests``' adapter with headers prepared once: a ``Session`` merges its
settings anew for every request, which is half of a small request's cost.
"""

import json
import random
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from runsync import __version__
from runsync.errors import (
    CancelledError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.connections import Adapter, Deadlines, verification

USER_AGENT = f"runsync/{__version__} (keeps CI history; requests/{requests.__version__})"
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_SECRET_HEADERS = frozenset({"authorization", "private-token", "cookie"})
_EVERYBODY = 1e9
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Params = Mapping[str, str | int | None] | list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Times are seconds, sizes bytes."""

    connect: float = 10.0
    read: float = 30.0
    whole: float = 60.0
    tries: int = 6
    first_pause: float = 0.5
    longest_pause: float = 30.0
    longest_wait: float = 300.0
    body: int = 32 * 1024 * 1024
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. ``as_of`` is the provider's clock; ``data`` the JSON, or text if asked."""

    status: int
    headers: Mapping[str, str]
    data: Any
    as_of: datetime


class RequestCounter:
    """Counts requests; every try counts."""

    def __init__(self) -> None:
        self.requests = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.requests += 1


class _TryAgainError(Exception):
    """One try failed in a way that another may not. ``wait`` is what the provider asked for."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class Client:
    """Asks one service. Safe to use from many threads; at most ``concurrency`` ask at once.

    Args:
        base_url: where the service answers; a path in it stands before every request's.
        headers: sent with every request; the token is among them.
        name: what the user calls the source, for errors.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        name: str = "",
        concurrency: int = 8,
        limits: Limits | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.limits = limits or Limits()
        self.host = urlsplit(self.base_url).netloc
        self._name = name or self.host
        self._secrets = tuple(
            value.rpartition(" ")[2]
            for key, value in (headers or {}).items()
            if key.lower() in _SECRET_HEADERS
        )
        self._prepared = self._prepare(headers or {})
        self._adapter = Adapter(pool_maxsize=concurrency)
        self._verify = verification(self.base_url)
        self._proxies = dict(get_environ_proxies(self.base_url))
        self._deadlines = Deadlines()
        self._gate = RateLimiter(concurrency)
        self._cancelled = threading.Event()
        self._here = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(
        self, path: str, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """GETs JSON, trying again where that can help. 304 is an answer, with no data.

        Raises:
            TokenRefusedError: 401; ForbiddenError: 403.
            NotFoundError: 404 or 410.
            RefusedError: another 4xx.
            RateLimitedError: the wait that was asked for is too long.
            SourceError: no usable answer came in the tries allowed.
        """
        return self._get(path, params, headers, as_json=True)

    def get_text(self, path: str, params: Params | None = None) -> Response:
        """GETs text. Raises what :meth:`get` raises."""
        return self._get(path, params, None, as_json=False)

    def send(
        self, method: str, path: str, *, params: Params | None = None, body: Any = None
    ) -> Response:
        """Sends a request that changes something, once. Raises what :meth:`get` raises."""
        try:
            return self._try(method, self._url(path, params), None, body=body, as_json=True)
        except _TryAgainError as error:
            raise SourceError(
                f"{self._name}: {method} {path} {error}; it was sent once and may have been "
                "carried out: look before you send it again"
            ) from error

    @contextmanager
    def counting(self, tally: RequestCounter) -> Iterator[None]:
        """Adds the requests that this thread makes in here to ``tally``."""
        before = getattr(self._here, "tally", None)
        self._here.tally = tally
        try:
            yield
        finally:
            self._here.tally = before

    def cancel(self) -> None:
        """Gives up: requests under way break off, pauses end, none is begun any more."""
        self._cancelled.set()
        self._gate.open_wide()
        self._deadlines.expire_all()

    def close(self) -> None:
        """Gives back the connections."""
        self._deadlines.close()
        self._adapter.close()

    def _prepare(self, headers: Mapping[str, str]) -> requests.PreparedRequest:
        prepared = requests.PreparedRequest()
        prepared.prepare(method="GET", url=self.base_url)
        prepared.headers = CaseInsensitiveDict(
            {
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "Connection": "keep-alive",
                **headers,
            }
        )
        return prepared

    def _url(self, path: str, params: Params | None) -> str:
        pairs = list(params.items()) if isinstance(params, Mapping) else params or []
        query = urlencode([(k, v) for k, v in pairs if v is not None])
        return f"{self.base_url}{path}{'?' + query if query else ''}"

    def _get(
        self, path: str, params: Params | None, headers: Mapping[str, str] | None, *, as_json: bool
    ) -> Response:
        url = self._url(path, params)
        waited, tries = 0.0, 0
        while True:
            tries += 1
            try:
                return self._try("GET", url, headers, as_json=as_json)
            except _TryAgainError as error:
                if tries >= self.limits.tries:
                    raise SourceError(
                        f"{self._name}: GET {path} {error}, {tries} times; "
                        f"see whether {self.host} is well, then sync again"
                    ) from error
                waited += self._pause(tries, waited, error, path)

    def _pause(self, tries: int, waited: float, error: _TryAgainError, path: str) -> float:
        """Waits before the next try: as long as was asked for, else ever longer."""
        if error.wait is None:
            longest = min(
                self.limits.first_pause * float(2 ** (tries - 1)), self.limits.longest_pause
            )
            self._sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter
            return 0.0
        if waited + error.wait > self.limits.longest_wait:
            raise RateLimitedError(
                f"{self._name}: GET {path} {error} and asks to wait {error.wait:.0f} s; "
                "what came before is kept: sync again after that"
            ) from error
        self._gate.hold(error.wait)
        self._sleep(error.wait)
        return error.wait

    def _sleep(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise CancelledError(f"{self._name}: given up")

    def _try(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        *,
        as_json: bool,
        body: Any = None,
    ) -> Response:
        for _ in range(self.limits.redirects + 1):
            with self._gate.passing(self._cancelled):
                response, content = self._exchange(method, url, headers, body)
            if response.status_code not in _REDIRECTS:
                return self._judge(method, url, response, content, as_json=as_json)
            url = self._redirected(method, url, response)
        raise SourceError(f"{self._name}: {_path(url)} redirects in a circle; check base_url")

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: Any
    ) -> tuple[requests.Response, bytes]:
        """One request, and its whole body."""
        request = self._prepared.copy()
        request.method, request.url = method, url
        if headers:
            request.headers.update(headers)
        if body is not None:
            request.headers["Content-Type"] = "application/json"
            request.body = json.dumps(body).encode()
        if method != "GET":
            request.headers["Content-Length"] = str(len(request.body or b""))
        self._count()
        with self._deadlines.within(self.limits.whole) as deadline:
            try:
                response = self._adapter.send(
                    request,
                    stream=True,
                    timeout=(self.limits.connect, self.limits.read),
                    verify=self._verify,
                    proxies=self._proxies,
                )
                content = response.raw.read(self.limits.body + 1, decode_content=True)
                if len(content) > self.limits.body:
                    response.raw.close()
                    raise self._too_large(method, url)
                response.raw.release_conn()
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._broken(error, overdue=deadline.expired) from error
        return response, content

    def _too_large(self, method: str, url: str) -> SourceError:
        most = self.limits.body // 2**20
        return SourceError(f"{self._name}: {method} {_path(url)} answers more than {most} MiB")

    def _broken(self, error: Exception, *, overdue: bool) -> Exception:
        if self._cancelled.is_set():
            return CancelledError(f"{self._name}: given up")
        if overdue:
            return _TryAgainError(f"was not done within {self.limits.whole:.0f} s")
        if isinstance(error, requests.exceptions.SSLError):
            return SourceError(
                f"{self._name}: the certificate of {self.host} is not trusted "
                f"({self._safe(error)}); REQUESTS_CA_BUNDLE can name your own authority"
            )
        return _TryAgainError(f"broke off ({_reason(error)})")

    def _judge(
        self, method: str, url: str, response: requests.Response, content: bytes, *, as_json: bool
    ) -> Response:
        status, headers = response.status_code, response.headers
        as_of = _clock(headers.get("Date"))
        if status == 304:
            return Response(status, headers, None, as_of)
        if status >= 300:
            raise self._refusal(method, url, status, headers, content)
        self._gate.went_well()
        if not as_json:
            return Response(status, headers, content.decode("utf-8", "replace"), as_of)
        if not content and method != "GET":
            return Response(status, headers, None, as_of)
        try:
            return Response(status, headers, json.loads(content), as_of)
        except (ValueError, RecursionError):
            raise _TryAgainError("answered something that is no JSON") from None

    def _refusal(
        self, method: str, url: str, status: int, headers: Mapping[str, str], content: bytes
    ) -> Exception:
        said = self._message(content)
        what = f"{self._name}: {method} {_path(url)} answered {status}{said}"
        wait = asked_wait(status, headers, time.time())
        if status in _RETRIED or (status == 403 and wait is not None):
            if status in (403, 429):
                self._gate.slow_down()
            return _TryAgainError(f"answered {status}{said}", wait)
        if status in (401, 403):
            refused = ForbiddenError if status == 403 else TokenRefusedError
            return refused(f"{what}; check the token of source {self._name!r} (`runsync doctor`)")
        if status in (404, 410):
            as_of = _clock(headers.get("Date"))
            return NotFoundError(f"{what}; it is gone, or was never there: check its id", as_of)
        if status < 500:
            return RefusedError(f"{what}; it does not take such a request")
        return SourceError(f"{what}; see whether {self.host} is well")

    def _redirected(self, method: str, url: str, response: requests.Response) -> str:
        target = urljoin(url, response.headers.get("Location", ""))
        if method != "GET" or _origin(target) != _origin(url):
            raise SourceError(
                f"{self._name}: {_path(url)} redirects to {_origin(target)}, which is not "
                "followed; if the service has moved, change base_url"
            )
        return target

    def _message(self, content: bytes) -> str:
        """What an error's body says, short and printable."""
        try:
            body = json.loads(content)
            said = (body.get("message") or body.get("error")) if isinstance(body, dict) else None
        except (ValueError, RecursionError):
            return ""
        return f" ({self._safe(said)[:200]})" if isinstance(said, str) and said else ""

    def _safe(self, said: object) -> str:
        """Text for an error, without tokens and control characters."""
        text = str(said)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return re.sub(r"[^\x20-\x7e\xa0-\u200a\u2010-\u2027\u2030-\ud7ff]+", " ", text)

    def _count(self) -> None:
        tally: RequestCounter | None = getattr(self._here, "tally", None)
        if tally is not None:
            tally.add()


class RateLimiter:
    """Lets ``most`` through at once, in the order they come; fewer after being told to slow down.

    A slot is handed from one request to the next that waits. A lock that anybody may grab would
    let the many threads that read steps starve the one that reads the listing.
    """

    def __init__(self, most: int) -> None:
        self._most, self._allowed, self._inside = most, float(most), 0
        self._not_before = 0.0
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def passing(self, cancelled: threading.Event) -> Iterator[None]:
        self._enter()
        try:
            held = self._not_before - time.monotonic()
            if cancelled.is_set() or (held > 0 and cancelled.wait(held)):
                raise CancelledError("given up")
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._inside < self._slots:
                self._inside += 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    @property
    def _slots(self) -> float:
        return self._allowed // 1

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._slots:
            self._inside += 1
            self._waiting.popleft().release()

    def hold(self, seconds: float) -> None:
        """Nobody asks anything for that long."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def slow_down(self) -> None:
        with self._lock:
            self._allowed = max(1.0, self._allowed / 2)

    def went_well(self) -> None:
        if self._allowed < self._most:
            with self._lock:
                self._allowed = min(float(self._most), self._allowed + 0.1)
                self._let_in()

    def open_wide(self) -> None:
        """Lets everybody through, to see that it is over."""
        with self._lock:
            self._allowed = _EVERYBODY
            while self._waiting:
                self._inside += 1
                self._waiting.popleft().release()


def asked_wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the provider asks to wait; None where it does not say.

    Read from ``Retry-After`` in both forms, or from the rate-limit headers of GitHub
    (``X-RateLimit-*``) and GitLab (``RateLimit-*``) once nothing is left. Where the provider's
    own clock is known, times are held against that.
    """
    clock = _clock(headers.get("Date")).timestamp() if headers.get("Date") else now
    after = headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - clock)
        except ValueError:
            return None
    for prefix in ("X-RateLimit-", "RateLimit-"):
        reset = headers.get(f"{prefix}Reset", "")
        if status in (403, 429) and headers.get(f"{prefix}Remaining") == "0" and reset.isdigit():
            return max(0.0, float(reset) - clock)
    return None


def checked_path(*parts: str) -> str:
    """A path of the given parts, each escaped whole, so that none can climb out of its place."""
    # Dots alone are left as they are by quoting, and would be resolved away.
    escaped = ["%2E" * len(p) if p in (".", "..") else quote(p, safe="") for p in parts]
    return "".join(f"/{part}" for part in escaped)


def _clock(date: str | None) -> datetime:
    return (_parsed_date(date) if date else None) or datetime.now(UTC)


@lru_cache(maxsize=32)
def _parsed_date(date: str) -> datetime | None:
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _path(url: str) -> str:
    return urlsplit(url).path


def _reason(error: Exception) -> str:
    """The innermost cause, in words; urllib3's own text repeats the whole request."""
    seen: BaseException = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    if isinstance(seen, TimeoutError):
        return "no answer in time"
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return type(seen).__name__

"""One HTTP client for all sources: time-outs, retries, limits, and nothing that leaks.

A request has a time-out for connecting and for each read, and a deadline for the whole of it. A
GET is tried again, with growing pauses, after 429, 5xx, a broken connection, a short body or bad
JSON; anything else is sent once. The token is in a header and nowhere else, ``netrc`` is not
asked, and a redirect to another origin is refused. After a 401, a spent limit or ``cancel``
nothing more is sent: waiting and later requests raise the same error.

Requests go through ``requests``' adapter with headers prepared once: a ``Session`` merges its
settings anew for every request, which is half of a small request's cost.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies

from runsync import __version__
from runsync.errors import CancelledError, RunsyncError, SourceError, TooLargeError
from runsync.http.connections import Adapter, Deadlines
from runsync.http.rate_limiter import RateLimiter, http_date
from runsync.http.redaction import message_in, origin, path_of, reason, redacted
from runsync.http.redirects import REDIRECTS, ForeignRequest, Redirects
from runsync.http.retry import (
    RETRIED,
    IsLimit,
    IsRefusal,
    Limits,
    Retries,
    TryAgainError,
    asked_wait,
    error_of,
)

USER_AGENT = f"runsync/{__version__} (keeps CI history; requests/{requests.__version__})"
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
}
# Without a Date header nobody knows how far the provider's clock is from this machine's; what was
# over a day ago here is over there.
_CLOCK_DOUBT = timedelta(days=1)
_log = logging.getLogger("runsync.http")

Params = Mapping[str, str | int | None] | list[tuple[str, str]]
Question = TypeVar("Question")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. ``as_of`` is the provider's clock; ``data`` the JSON, or text if asked."""

    status: int
    headers: Mapping[str, str]
    data: Any
    as_of: datetime


@dataclass(slots=True)
class RequestCounter:
    """Counts requests; every try counts."""

    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self) -> None:
        with self._lock:
            self.requests += 1


class Client:
    """Asks one service. Safe to use from many threads; at most ``concurrency`` ask at once.

    Args:
        base_url: where the service answers; a path in it comes before every request's.
        headers: sent with every request; the token is among them.
        name: what the user calls the source, for errors.
        is_limit: tells limits that this provider does not answer with 429 or ``Retry-After``.
        is_refusal: tells a refused token that this provider does not answer with 401.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        name: str = "",
        concurrency: int = 8,
        limits: Limits | None = None,
        is_limit: IsLimit | None = None,
        is_refusal: IsRefusal | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.limits = limits or Limits()
        self.host = urlsplit(self.base_url).netloc
        self._name = name or self.host
        self._own_headers = dict(headers or {})
        self._is_limit, self._is_refusal = is_limit, is_refusal
        self._request = requests.Request(
            "GET", self.base_url, {**_HEADERS, **self._own_headers}
        ).prepare()
        self._adapter = Adapter(pool_maxsize=concurrency)
        # `requests` reads these in its Session alone, and for each request anew.
        bundles = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        self._verify = next(filter(None, map(os.environ.get, bundles)), True)
        self._proxies = dict(get_environ_proxies(self.base_url))
        self._deadlines = Deadlines()
        self._limiter = RateLimiter(concurrency)
        self._concurrency = concurrency
        self._redirects = Redirects(self._name, self._own_headers)
        self._here = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(
        self, path: str, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """GETs JSON, trying again where that can help. 304, where an ETag was sent, and 204 are
        answers, with no data.

        Raises:
            TokenRefusedError: 401; ForbiddenError: 403.
            NotFoundError: 404 or 410.
            RefusedError: another 4xx.
            RateLimitedError: a limit is spent, or the wait that was asked for is too long.
            CancelledError: ``cancel`` was called.
            SourceError: no usable answer came in the tries allowed.
        """
        return self._get(path, params, headers)

    def get_text(
        self, path: str, params: Params | None = None, *, follow_elsewhere: bool = False
    ) -> Response:
        """GETs text. Raises what :meth:`get` raises.

        Args:
            follow_elsewhere: follow one redirect to another host, over https (GitHub keeps logs
                so). Nothing of the source is sent there: no token, and none of its other headers.
        """
        return self._get(path, params, as_json=False, elsewhere=follow_elsewhere)

    def each(self, ask: Callable[[Question], Reply], wanted: Iterable[Question]) -> list[Reply]:
        """What ``ask`` answers for each thing that is wanted, in that order, asked for at once.

        Raises:
            whatever ``ask`` raises, for the first for which it does.
        """
        tally: RequestCounter | None = getattr(self._here, "tally", None)

        def counted(one: Question) -> Reply:
            with self.counting(tally):
                return ask(one)

        with ThreadPoolExecutor(self._concurrency, f"runsync-ask-{self._name}") as pool:
            return list(pool.map(counted, wanted))

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        as_json: bool = True,
        redirect_is_answer: bool = False,
    ) -> Response:
        """Sends a request that changes something, once. Raises what :meth:`get` raises.

        Args:
            body: sent as JSON.
            form: sent as a form, instead of a body.
            as_json: whether the answer has to be JSON.
            redirect_is_answer: return a redirect as it is, instead of an error; its ``Location``
                is for the caller to judge.
        """
        try:
            return self._try(
                method,
                self._url(path, params),
                headers,
                urlencode(form) if form is not None else body,
                as_form=form is not None,
                as_json=as_json,
                redirect_is_answer=redirect_is_answer,
            )
        except TryAgainError as error:
            raise SourceError(
                f"{self._name}: {method} {path} {error}; it was sent once and may have been "
                "carried out: look before you send it again"
            ) from error

    @contextmanager
    def counting(self, tally: RequestCounter | None) -> Iterator[None]:
        """Adds the requests that this thread makes in here to ``tally``."""
        before = getattr(self._here, "tally", None)
        self._here.tally = tally
        try:
            yield
        finally:
            self._here.tally = before

    def cancel(self) -> None:
        """Gives up: requests in flight break off, waits end, and none is sent any more."""
        self._limiter.close(CancelledError(f"{self._name}: given up"))
        self._deadlines.expire_all()

    def close(self) -> None:
        """Gives back the connections."""
        self._adapter.close()

    def _url(self, path: str, params: Params | None) -> str:
        pairs = list(params.items()) if isinstance(params, Mapping) else params or []
        query = urlencode([(k, v) for k, v in pairs if v is not None])
        return f"{self.base_url}{path}{'?' + query if query else ''}"

    def _get(
        self,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None = None,
        *,
        as_json: bool = True,
        elsewhere: bool = False,
    ) -> Response:
        url, retries = self._url(path, params), Retries(self.limits, self._limiter)
        while True:
            try:
                return self._try("GET", url, headers, as_json=as_json, elsewhere=elsewhere)
            except TryAgainError as error:
                retries.wait(f"{self._name}: GET {path} {error}", error)

    def _try(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: Any = None,
        *,
        as_form: bool = False,
        as_json: bool = True,
        elsewhere: bool = False,
        redirect_is_answer: bool = False,
    ) -> Response:
        """One try, with the redirects that are followed."""
        request = self._request.copy()
        request.method, request.url = method, url
        request.headers.update(headers or {})
        if body is not None:
            kind = "x-www-form-urlencoded" if as_form else "json"
            request.headers["Content-Type"] = f"application/{kind}"
            request.body = (body if as_form else json.dumps(body)).encode()
        if method != "GET":
            request.headers["Content-Length"] = str(len(request.body or b""))
        for _ in range(self.limits.redirects + 1):
            with self._limiter.slot():
                response, content = self._exchange(request)
            status = response.status_code
            if status != 200 and self._is_refusal and self._is_refusal(status, response.headers):
                raise self._signed_out(request, response)
            if status not in REDIRECTS:
                return self._judge(request, response, content, as_json=as_json)
            if redirect_is_answer:
                now = http_date(response.headers.get("Date", "")) or datetime.now(UTC)
                return Response(response.status_code, response.headers, None, now)
            followed = self._redirects.follow(request, response, elsewhere=elsewhere)
            request, elsewhere = followed, elsewhere and followed is request
        raise SourceError(f"{self._name}: {path_of(url)} redirects in a circle; check base_url")

    def _exchange(self, request: requests.PreparedRequest) -> tuple[requests.Response, bytes]:
        """One request, and the whole body of its answer."""
        url = str(request.url)
        is_foreign = isinstance(request, ForeignRequest)
        tally: RequestCounter | None = getattr(self._here, "tally", None)
        if tally is not None:
            tally.add()
        began = time.perf_counter()
        response: requests.Response | None = None
        with self._deadlines.within(self.limits.whole) as deadline:
            try:
                response = self._adapter.send(
                    request,
                    stream=True,
                    timeout=(self.limits.connect, self.limits.read),
                    verify=self._verify,
                    proxies=get_environ_proxies(url) if is_foreign else self._proxies,
                )
                content = response.raw.read(self.limits.body + 1, decode_content=True)
                if deadline.expired:
                    raise TimeoutError  # A head that was cut reads like one without a body.
                if len(content) > self.limits.body:
                    response.raw.close()
                    raise TooLargeError(
                        f"{self._name}: {request.method} {path_of(url)} answers more than "
                        f"{self.limits.body // 2**20} MiB"
                    )
                response.raw.release_conn()
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if response is not None:
                    response.raw.close()
                raise self._broken(error, overdue=deadline.expired) from error
        if _log.isEnabledFor(logging.DEBUG):
            # Of another host's address only the path: its query may hold a signature.
            shown = self._safe(path_of(url) if is_foreign else url.removeprefix(self.base_url))
            ms = 1000 * (time.perf_counter() - began)
            _log.debug("%s %s %d %.0f ms", request.method, shown, response.status_code, ms)
        return response, content

    def _broken(self, error: Exception, *, overdue: bool) -> Exception:
        """What to raise where no whole answer came."""
        self._limiter.check_open()
        if overdue:
            return TryAgainError(f"was not done within {self.limits.whole:.0f} s")
        if isinstance(error, requests.exceptions.SSLError):
            return SourceError(
                f"{self._name}: the certificate of {self.host} is not trusted "
                f"({self._safe(error)}); REQUESTS_CA_BUNDLE can name your own authority"
            )
        return TryAgainError(f"broke off ({self._safe(reason(error))})")

    def _judge(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        content: bytes,
        *,
        as_json: bool,
    ) -> Response:
        """What an answer means."""
        status, headers = response.status_code, response.headers
        as_of = http_date(headers.get("Date", "")) or datetime.now(UTC) - _CLOCK_DOUBT
        if status == 304:
            if "If-None-Match" not in request.headers:
                raise TryAgainError("answered that nothing has changed, which was not asked")
            return Response(status, headers, None, as_of)
        if status >= 300:
            raise self._refusal(request, response, content, as_of)
        if status == 206:
            raise TryAgainError("answered a part of what was asked for")
        self._limiter.went_well()
        if "Retry-After" in headers:
            # Azure DevOps answers, and asks to wait before the next request.
            asked = asked_wait(status, headers, as_of) or 0.0
            self._limiter.hold(min(asked, self.limits.longest_wait))
        if not as_json:
            return Response(status, headers, content.decode("utf-8", "replace"), as_of)
        if status == 204 or (not content and request.method != "GET"):
            return Response(status, headers, None, as_of)
        try:
            return Response(status, headers, json.loads(content), as_of)
        except (ValueError, RecursionError):
            raise TryAgainError("answered something that is no JSON") from None

    def _refusal(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        content: bytes,
        as_of: datetime,
    ) -> Exception:
        status, headers = response.status_code, response.headers
        said = f"answered {status}{message_in(content, self._own_headers)}"
        wait = asked_wait(status, headers, as_of)
        what = f"{self._name}: {request.method} {path_of(str(request.url))} {said}"
        if isinstance(request, ForeignRequest) and status not in RETRIED | {404, 410}:
            return SourceError(
                f"{what}; it was sent to {origin(str(request.url))}, without a token"
            )
        text = content.decode(errors="replace")
        named = self._is_limit is not None and self._is_limit(status, headers, text)
        limited = named or status == 429 or (status == 403 and wait is not None)
        if limited:
            self._limiter.slow_down()
        if limited or status in RETRIED:
            return TryAgainError(said, wait, limited=limited, unnamed=named and wait is None)
        error = error_of(status, what, self._name, as_of)
        if status == 401:
            self._limiter.close(error)
        return error

    def _signed_out(
        self, request: requests.PreparedRequest, response: requests.Response
    ) -> RunsyncError:
        """The token is refused, in the provider's own way: nothing more is to be asked."""
        said = f"{request.method} {path_of(str(request.url))} answered {response.status_code}"
        what = f"{self._name}: {said}, as to somebody who is not signed in"
        error = error_of(401, what, self._name, datetime.now(UTC))
        self._limiter.close(error)
        return error

    def _safe(self, said: object) -> str:
        return redacted(said, self._own_headers)


def checked_path(*parts: str) -> str:
    """A path of the given parts, each escaped whole, so that none can climb out of its place."""
    # Dots alone are left as they are by quoting, and would be resolved away.
    escaped = ["%2E" * len(p) if p in (".", "..") else quote(p, safe="") for p in parts]
    return "".join(f"/{part}" for part in escaped)


__all__ = [
    "Client",
    "IsLimit",
    "IsRefusal",
    "Limits",
    "Params",
    "RequestCounter",
    "Response",
    "checked_path",
]

"""What may be shown of a request: no token, no control characters, and no more than helps."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

_SECRET_HEADERS = frozenset({"authorization", "private-token", "cookie"})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\u200a\u2010-\u2027\u2030-\ud7ff]+")
_SHOWN_CHARACTERS = 200


def redacted(said: object, headers: Mapping[str, str]) -> str:
    """Text that may be shown: without the secrets in ``headers`` and control characters."""
    text = str(said)
    for secret in sorted(_secrets(headers), key=len, reverse=True):
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return _UNPRINTABLE.sub(" ", text)


def _secrets(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        scheme, _, secret = value.rpartition(" ")
        if name.lower() not in _SECRET_HEADERS or not secret:
            continue
        yield secret
        if scheme.lower() == "basic":
            try:
                _, _, password = base64.b64decode(secret).decode().partition(":")
            except (binascii.Error, ValueError):
                continue
            if password:
                yield password


def message_in(content: bytes, headers: Mapping[str, str]) -> str:
    """What the body of an error says, redacted, short, in brackets; empty where it says nothing."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    said = (body.get("message") or body.get("error")) if isinstance(body, dict) else None
    return f" ({redacted(said, headers)[:_SHOWN_CHARACTERS]})" if isinstance(said, str) else ""


def reason(error: Exception) -> str:
    """The innermost cause, in words; urllib3's own text repeats the whole request."""
    seen: BaseException = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    if isinstance(seen, TimeoutError):
        return "no answer in time"
    if isinstance(seen, OSError):
        return seen.strerror or str(seen) or type(seen).__name__
    return type(seen).__name__


def origin(url: str) -> str:
    """Scheme, host and port of a URL, written in one way.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    user = "…@" if parts.username else ""
    return f"{parts.scheme}://{user}{host}{port}"


def path_of(url: str) -> str:
    """The path of a URL: a query may hold a signature."""
    return urlsplit(url).path

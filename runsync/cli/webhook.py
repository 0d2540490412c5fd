"""Posts a text to a chat's webhook. Its address is a secret: nothing here ever tells it."""

import os
import re
from urllib.parse import urlsplit

from runsync.errors import ConfigError, RunsyncError, SourceError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_STATUS = re.compile(r"\banswered (\d{3})\b")


def webhook_url(name: str) -> str:
    """The address that the environment variable ``name`` holds.

    Raises:
        ConfigError: it holds none that can be posted to safely.
    """
    url = os.environ.get(name, "").strip()
    if not url:
        raise ConfigError(f"the environment variable {name} holds no webhook; set it to its URL")
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        safe = known = False
    if not (safe and known and url.isascii() and url.isprintable() and " " not in url):
        raise ConfigError(f"{name} holds no URL that begins with https://; copy it from the chat")
    return url


def post(url: str, name: str, text: str) -> None:
    """Sends ``{"text": …}`` once.

    Raises:
        SourceError: it was not taken, or nobody can know whether it was.
    """
    from runsync.http.client import Client

    # The whole address is the base, so that no log line shows more of it than nothing.
    try:
        with Client(url, name=f"the webhook in {name}") as client:
            client.send("POST", "", body={"text": text}, as_json=False)
    except RunsyncError as error:
        found = _STATUS.search(str(error))
        why = f"answered {found[1]}" if found else "gave no answer that can be used"
        raise SourceError(
            f"the webhook in {name} {why}; the message was sent once: look whether it is there"
        ) from None

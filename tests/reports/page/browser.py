"""A headless Chromium, spoken to over its debugging pipe: no driver, no port, no network."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), "")
"""Where the browser is; empty where there is none."""
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--remote-debugging-pipe",
)  # fmt: skip
# The browser reads from its file 3 and writes to its file 4.
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab. ``messages`` are the errors and warnings of its console and policy so far."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._buffer, self._number, self._session = b"", 0, ""
        self.messages: list[str] = []
        self.requested: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks the browser, and waits for its answer."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._send, json.dumps(asked).encode() + b"\0")
        while (said := self._next()).get("id") != self._number:
            self._heard(said)
        assert "error" not in said, said
        found: dict[str, Any] = said["result"]
        return found

    def open(self, page: Path) -> None:
        """Loads the page, and waits until it has run its script."""
        self.call("Page.navigate", url=page.as_uri())
        while (said := self._next()).get("method") != "Page.loadEventFired":
            self._heard(said)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as JSON."""
        asked = {"expression": expression, "returnByValue": True}
        said = self.call("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def screen(self, width: int, *, dark: bool = False, script: bool = True) -> None:
        """A screen of this width; loads nothing anew."""
        shape = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **shape)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def picture(self, file: Path) -> None:
        """Saves the whole page as PNG."""
        said = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(said["data"]))

    def printed(self, file: Path) -> None:
        """Saves what a printer would get, as PDF on A4."""
        said = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        file.write_bytes(base64.b64decode(said["data"]))

    def _heard(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said.get("method") == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif said.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.messages.append(str(params))
        elif said.get("method") == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._receive, 1 << 16)
            assert more, "the browser has gone"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, gone at the end."""
    their_in, send = os.pipe()
    receive, their_out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="runsync-browser-", ignore_cleanup_errors=True) as home:
        ends = [str(their_in), str(their_out)]
        with subprocess.Popen(
            [sys.executable, "-c", _START, *ends, CHROMIUM, *_FLAGS, f"--user-data-dir={home}"],
            pass_fds=(their_in, their_out),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            os.close(their_in)
            os.close(their_out)
            try:
                yield Browser(send, receive)
            finally:
                process.terminate()
                os.close(send)
                os.close(receive)

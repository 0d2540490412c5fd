"""What is the same in every simulated service: a server on a loopback socket, and its answers."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LoopbackService:
    """A service of a test's own, at ``root``."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class AnsweringHandler(BaseHTTPRequestHandler):
    """Answers with text, and says nothing of it."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet

    def answer_with(
        self, status: int, text: str, headers: Mapping[str, str], now: datetime
    ) -> None:
        """Args:
        now: the service's own clock, for ``Date``.
        """
        content = text.encode()
        own = {"Date": format_datetime(now, usegmt=True), "Content-Length": str(len(content))}
        self.send_response_only(status)
        for key, value in (own | dict(headers)).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass

"""The simulated service on a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from runsync.simulator.http.connection import Connection
from runsync.simulator.http.faults import Faults
from runsync.simulator.http.routes import answer, error
from runsync.simulator.http.wire import Request, Response
from runsync.simulator.world.world import World

LOG_SIZE = 20_000
STOP_SECONDS = 5


class Logged(NamedTuple):
    """One request as the log keeps it; ``status`` is 0 where none was sent."""

    method: str
    path: str
    query: dict[str, str]
    status: int


class Simulator:
    """Serves ``world`` over HTTP; a context manager. ``latency`` is in seconds per answer.

    With a ``token``, every request must send it. ``faults`` say what goes wrong, and when. What a
    callback raises is answered with 500 and raised again when the simulator stops.
    """

    def __init__(
        self,
        world: World,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        latency: float = 0.0,
        faults: Faults | None = None,
    ) -> None:
        self.world = world
        self.token = token
        self.latency = latency
        self.faults = faults or Faults()
        self.max_in_flight = 0
        self.request_count = 0
        self._address = (host, port)
        self._url = ""
        self._log: deque[Logged] = deque(maxlen=LOG_SIZE)
        self._callbacks: list[Callable[[Request], object]] = []
        self._failure: Exception | None = None
        self._in_flight = 0
        self._connections: set[Connection] = set()
        self._accepting: set[asyncio.Task[Any]] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._switch = threading.Lock()

    # -- starting and stopping

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()
        if self._failure is not None and error is None:
            raise self._failure

    def start(self) -> None:
        """Listen and serve from now on; OSError if the address cannot be had."""
        with self._switch:
            if self._thread is None:
                listener = self._listen()
                self._loop, self._stopping = asyncio.new_event_loop(), asyncio.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._loop, listener), daemon=True
                )
                self._thread.start()

    def _listen(self) -> socket.socket:
        six = ":" in self._address[0]
        family = socket.AF_INET6 if six else socket.AF_INET
        listener = socket.create_server(self._address, family=family, backlog=1024)
        listener.setblocking(False)
        host, port = listener.getsockname()[:2]
        self._url = f"http://[{host}]:{port}" if six else f"http://{host}:{port}"
        return listener

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        loop.run_until_complete(self._serve(listener))
        loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        """Serve until told to stop; then close the listener and all connections.

        The listener is our own: asyncio's server loses connections that arrive while it closes.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(listener, self._accept, listener)
        await self._stopping.wait()
        loop.remove_reader(listener)
        listener.close()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        while self._connections:
            for connection in self._connections:
                connection.transport.abort()
            await asyncio.sleep(0)

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return  # gone again already
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self), accepted))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def stop(self) -> None:
        """Hang up on everybody and free the port. Harmless if it does not serve."""
        with self._switch:
            if self._thread is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._stopping.set)
                self._thread.join(STOP_SECONDS)
                self._thread = self._loop = None

    def serve_forever(self) -> None:
        """Serve until interrupted by the keyboard; starts if need be, stops in the end."""
        self.start()
        thread = self._thread
        try:
            while thread is not None and thread.is_alive():
                thread.join(1)
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    # -- looking on

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end; empty before it has started."""
        return self._url

    @property
    def requests(self) -> list[Logged]:
        """The newest requests, oldest first, at most LOG_SIZE."""
        return list(self._log)

    def reset_log(self) -> None:
        """Forget the requests so far and begin to count anew."""
        if self._loop is None or threading.current_thread() is self._thread:
            self._reset_log()
        else:
            done = threading.Event()
            self._loop.call_soon_threadsafe(self._reset_log)
            self._loop.call_soon_threadsafe(done.set)
            done.wait(STOP_SECONDS)

    def _reset_log(self) -> None:
        self._log.clear()
        self.request_count = 0
        self.max_in_flight = self._in_flight

    def before_response(self, callback: Callable[[Request], object]) -> None:
        """Call ``callback`` with each request before it is answered; it may change the world.

        It is called on the server's own thread, so it must not wait for another request.
        """
        self._callbacks.append(callback)

    # -- what the connections call

    def opened(self, connection: Connection) -> None:
        """A client has connected."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """A client has gone."""
        self._connections.discard(connection)

    def next_index(self) -> int:
        """The number of the next request, from 0 since the log was reset."""
        self.request_count += 1
        return self.request_count - 1

    def now_ms(self) -> int:
        """The time that the Date header shows."""
        return self.world.now_ms()

    def begin(self, request: Request) -> Response:
        """The answer to a request, with the fault that is due."""
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            response = self._answer(request)
        except Exception as bug:  # noqa: BLE001 -- raised again by __exit__
            self._failure = self._failure or bug
            response = error(500, f"{type(bug).__name__}: {bug}")
        self.log(request, response)
        return response

    def _answer(self, request: Request) -> Response:
        for callback in self._callbacks:
            callback(request)
        return self.faults.answer(
            request, self.world, lambda: answer(self.world, request, self.token)
        )

    def log(self, request: Request, response: Response) -> None:
        """Remember a request and the status that it got."""
        self._log.append(Logged(request.method, request.path, dict(request.query), response.logged))

    def end(self) -> None:
        """An answer has been sent, or has become pointless."""
        self._in_flight -= 1

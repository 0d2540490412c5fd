"""A real Buildbot master with workers, on loopback.

What the tests want done is asked for by plain HTTP, and what is true is read from the master's
own SQLite file, so that nothing of the source under test is trusted. Long histories are written
into that file: a build takes the master a good part of a second.
"""

import itertools
import json
import sqlite3
import subprocess
import sys
import threading
import time
from base64 import b64decode
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.base import Listing
from runsync.sources.buildbot.source import Buildbot

AWKWARD = "linux / gcc 13 – größe"
# Patient with a master that is busy, quick to ask again.
QUICK = Limits(connect=10, read=30, whole=60, tries=4, first_pause=0.01, longest_pause=0.05)
PROGRAM = Path(__file__).with_name("farm_process.py")
SECONDS = 60.0
RETRY = 5


class Farm:
    """A running master. ``folder`` holds all that it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = self._start("master")
        killer = threading.Timer(SECONDS, self.master.kill)
        killer.start()
        assert self.master.stdout is not None
        ports = json.loads(self.master.stdout.readline() or "null")
        killer.cancel()
        assert ports, (folder / "master" / "twistd.log").read_text()
        self.port, self._workers_port = ports["web"], ports["workers"]
        self._worker: subprocess.Popen[bytes] | None = None
        self._stages = itertools.count()

    def _start(self, role: str, *args: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, str(PROGRAM), role, str(self.folder / role), *args]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        for process in filter(None, (self._worker, self.master)):
            _kill(process)

    def start_worker(self) -> None:
        """Starts the worker of the builder ``lossy``, if there is none."""
        if self._worker is None:
            self._worker = self._start("worker", str(self._workers_port))

    def lose_worker(self) -> None:
        """Kills it in the midst of what it does, and waits until the master knows."""
        if self._worker is not None:
            _kill(self._worker)
            self._worker = None
            self.until(
                "SELECT 1 WHERE NOT EXISTS (SELECT * FROM connected_workers "
                "JOIN workers ON workers.id = workerid WHERE name = 'lossy')"
            )

    def config(self) -> SourceConfig:
        return SourceConfig("bot", "buildbot", f"http://127.0.0.1:{self.port}")

    # Orders.

    def fresh_builder(self) -> str:
        """A builder without any history, whose worker never comes, and whose number is no
        other builder's name: Buildbot numbers its builders as it finds them, in any order."""
        name = f"stage {next(self._stages)}"
        taken = self.rows("SELECT 1 FROM builders WHERE name = ?", str(self.builder(name)))
        return self.fresh_builder() if taken else name

    def force(self, builder: str, scheduler: str = "force", **fields: Any) -> int:
        """Asks for a build; the number of the build request."""
        number = self.builder(builder)
        params = {"builderid": number, "username": "ada", **fields}
        result = self.control(f"forceschedulers/{scheduler}", "force", params)
        return int(result[1][str(number)])

    def built(self, builder: str, **fields: Any) -> int:
        """Asks for a build, and waits until it is done."""
        request = self.force(builder, **fields)
        self.wait(request)
        return request

    def stop(self, request: int) -> None:
        """Stops the request's last build, and waits until it is over."""
        query = "SELECT max(id) AS id FROM builds WHERE buildrequestid = ?"
        build = self.rows(query, request)[0]["id"]
        self.control(f"builds/{build}", "stop", {"reason": "enough"})
        self.wait(request)

    def cancel(self, request: int) -> None:
        """Cancels a queued request, and waits until that is done."""
        self.control(f"buildrequests/{request}", "cancel", {"reason": "never mind"})
        self.wait(request)

    def control(self, path: str, method: str, params: dict[str, Any]) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/v2/{path}", body, headers)
            answer = json.loads(connection.getresponse().read())
        assert "result" in answer, answer
        return answer["result"]

    # Waiting.

    def wait(self, request: int) -> None:
        self.until("SELECT id FROM buildrequests WHERE complete AND id = ?", request)

    def wait_for_step(self, request: int) -> None:
        """Waits until a build of the request has begun its first step of its own."""
        self.until(
            "SELECT steps.id FROM steps JOIN builds ON builds.id = buildid WHERE steps.number = 1 "
            "AND steps.started_at AND builds.complete_at IS NULL AND buildrequestid = ?",
            request,
        )

    def lose_build(self, request: int, reason: str) -> None:
        """Kills the worker while it works on the request."""
        while not list((self.folder / "worker").glob(f"*/build/{reason}")):
            time.sleep(0.02)
        self.lose_worker()
        self.until("SELECT id FROM builds WHERE results = ? AND buildrequestid = ?", RETRY, request)

    def until(self, query: str, *values: object) -> None:
        """Waits until a query has a row."""
        end = time.monotonic() + SECONDS
        while not self.rows(query, *values):
            assert time.monotonic() < end, f"nothing came of {query} {values}"
            time.sleep(0.02)

    # The master's own file.

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with closing(self._open()) as database:
            return [dict(row) for row in database.execute(query, values)]

    def execute(self, statement: str, *values: object) -> None:
        with closing(self._open()) as database, database:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute(statement, values)

    def builder(self, name: str) -> int:
        return int(self.rows("SELECT id FROM builders WHERE name = ?", name)[0]["id"])

    def requests(self, builder: str) -> list[int]:
        """The numbers of a builder's requests, newest first."""
        query = "SELECT id FROM buildrequests WHERE builderid = ? ORDER BY id DESC"
        return [row["id"] for row in self.rows(query, self.builder(builder))]

    def history(self, builder: str, *results: tuple[int | None, ...]) -> list[int]:
        """Writes requests, and for each its builds with these results, of which None is under
        way; the requests' numbers. One without builds was cancelled."""
        number = self.builder(builder)
        with closing(self._open()) as database, database:
            return [_write_request(database, number, builds) for builds in results]

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.folder / "master" / "state.sqlite", timeout=20)
        database.row_factory = sqlite3.Row
        return database


def _write_request(
    database: sqlite3.Connection, builder: int, results: tuple[int | None, ...]
) -> int:
    query = "SELECT max(submitted_at) FROM buildrequests WHERE builderid = ?"
    newest, now = database.execute(query, [builder]).fetchone()[0], int(time.time())
    # Later than what is there, but over by now.
    at = min((newest or now - 1_000_000) + 100, now)
    unit = 10 if at < now - 100 else 0
    last = results[-1] if results else 6

    def insert(table: str, **values: object) -> int:
        names, marks = ", ".join(values), ", ".join("?" for _ in values)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        return database.execute(statement, list(values.values())).lastrowid or 0

    over = None if last is None else at + unit * (len(results) + 1)
    ended = (0, -1) if last is None else (1, last)
    state = {"complete": ended[0], "submitted_at": at, "complete_at": over, "results": ended[1]}
    buildset = insert("buildsets", reason="history", **state)
    stamp = insert("sourcestamps", ss_hash=f"{builder}.{buildset}", branch="main", created_at=at)
    insert("buildset_sourcestamps", buildsetid=buildset, sourcestampid=stamp)
    request = insert("buildrequests", buildsetid=buildset, builderid=builder, **state)
    insert("buildrequest_claims", brid=request, masterid=1, claimed_at=at)
    query = "SELECT ifnull(max(number), 0) FROM builds WHERE builderid = ?"
    (number,) = database.execute(query, [builder]).fetchone()
    for attempt, result in enumerate(results, 1):
        end = None if result is None else at + unit * (attempt + 1)
        times = {"started_at": at + unit * attempt, "complete_at": end}
        common = {"state_string": "done", "results": result, **times}
        build = insert(
            "builds",
            number=number + attempt,
            builderid=builder,
            buildrequestid=request,
            masterid=1,
            locks_duration_s=0,
            **common,
        )
        insert("build_properties", buildid=build, name="branch", value='"main"', source="Build")
        for step in range(3):
            insert("steps", buildid=build, number=step, name=f"s{step}", urls_json="[]", **common)
    return request


class Gatekeeper(ThreadingHTTPServer):
    """A proxy before a master, which lets in who knows the password."""

    def __init__(self, farm: Farm, password: str) -> None:
        super().__init__(("127.0.0.1", 0), RateLimiter)
        self.farm, self.password = farm, password

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class RateLimiter(BaseHTTPRequestHandler):
    server: Gatekeeper

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        status, body = 401, b"{}"
        if b64decode(given) == self.server.password.encode():
            here = HTTPConnection("127.0.0.1", self.server.farm.port, timeout=20)
            with closing(here):
                here.request("GET", self.path, headers={"Accept": "application/json"})
                answer = here.getresponse()
                status, body = answer.status, answer.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def listing(source: Buildbot, builder: str) -> Listing:
    return source.listing(PipelineConfig("bot", id=builder))

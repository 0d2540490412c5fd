"""The server as such: connections, log, callbacks, latency, start and stop, other processes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from runsync.simulator import Request, Scenario, Simulator, World
from runsync.simulator.http.control import run_commands
from runsync.simulator.http.wire import Response


def speak(sim: Simulator, data: bytes) -> bytes:
    """Send raw bytes; all that comes back before the server hangs up."""
    where = urlsplit(sim.url)
    received = b""
    with socket.create_connection((where.hostname, where.port), timeout=5) as bare:
        bare.sendall(data)
        while chunk := bare.recv(65536):
            received += chunk
    return received


# -- the log


def test_the_log(sim: Simulator, client: Any, pipeline: str) -> None:
    client.runs(pipelineId=pipeline, branch="ä b")
    client.get("/nowhere")
    assert [tuple(entry) for entry in sim.requests] == [
        ("GET", "/api/v3/runs", {"pipelineId": pipeline, "branch": "ä b"}, 200),
        ("GET", "/nowhere", {}, 404),
    ]
    assert sim.request_count == 2
    sim.reset_log()
    assert (sim.requests, sim.request_count, sim.max_in_flight) == ([], 0, 0)


# -- callbacks


def test_things_can_happen_during_a_scan(
    sim: Simulator, client: Any, world: World, pipeline: str
) -> None:
    seen: list[Request] = []

    def push(request: Request) -> None:
        seen.append(request)
        world.add_run(pipeline)

    sim.before_response(push)
    assert [len(client.runs(pipelineId=pipeline, limit=20).json()) for _ in range(3)] == [1, 2, 3]
    assert [request.index for request in seen] == [0, 1, 2]
    assert seen[0].method == "GET"
    assert seen[0].path == "/api/v3/runs"
    assert seen[0].query == {"pipelineId": pipeline, "limit": "20"}


def test_what_a_callback_raises_is_not_lost(world: World, make_client: Any) -> None:
    def fail(request: Request) -> None:
        raise AssertionError("this was not to happen")

    def scan() -> None:
        with Simulator(world) as sim:
            sim.before_response(fail)
            assert make_client(sim).runs().status == 500

    with pytest.raises(AssertionError, match="not to happen"):
        scan()


# -- connections


def test_a_connection_is_kept(sim: Simulator, client: Any) -> None:
    client.runs()
    before = client.connection.sock
    client.runs()
    assert client.connection.sock is before is not None


def test_answers_are_not_held_back(sim: Simulator, client: Any) -> None:
    client.runs()
    (connection,) = sim._connections
    ours = connection.transport.get_extra_info("socket")
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_client_may_close(sim: Simulator) -> None:
    for head in (b"GET /x HTTP/1.1\r\nConnection: close", b"GET /x HTTP/1.0"):
        answer = speak(sim, head + b"\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
        assert answer.count(b"HTTP/1.1 404") == 1
        assert b"Connection: close" in answer


def test_an_answer_ends_with_its_connection(world: World) -> None:
    """At once, not when the connection is collected as garbage."""
    ended = threading.Event()

    def endless(head: bytes, _: bytes) -> Iterator[tuple[float, bytes]]:
        try:
            while True:
                yield 0, head
        finally:
            ended.set()

    class Endless(Simulator):
        def _answer(self, request: Request) -> Response:
            return Response(pieces=endless)

    with Endless(world) as sim:
        at = urlsplit(sim.url)
        with socket.create_connection((at.hostname, at.port), timeout=5) as client:
            client.sendall(b"GET /x HTTP/1.1\r\n\r\n")
            assert client.recv(1)
            (kept,) = sim._connections
        assert ended.wait(5)
        assert kept


def test_requests_in_one_breath_are_answered_in_order(sim: Simulator) -> None:
    pair = b"GET /x HTTP/1.1\r\n\r\nGET /api/v3/runs HTTP/1.1\r\n\r\n"
    answer = speak(sim, pair * 50 + b"GET /x HTTP/1.0\r\n\r\n")
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"404", b"400"] * 50 + [b"404"]


def test_a_request_in_small_pieces(sim: Simulator, pipeline: str) -> None:
    where = urlsplit(sim.url)
    body = json.dumps({"pipelineId": pipeline}).encode()
    head = (
        "POST /api/v3/runs/ HTTP/1.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((where.hostname, where.port), timeout=5) as bare:
        for byte in head.encode():
            bare.sendall(bytes([byte]))
        assert bare.recv(100).startswith(b"HTTP/1.1 100 ")
        bare.sendall(body[:10])
        time.sleep(0.01)
        bare.sendall(body[10:])
        assert bare.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /x HTTP/2\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400"),
        (b"POST /api/v3/runs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET /x HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
    ],
)
def test_what_is_no_http(sim: Simulator, data: bytes, status: bytes) -> None:
    assert speak(sim, data).startswith(b"HTTP/1.1 " + status)


def test_a_bad_request_is_not_logged_as_the_one_before(sim: Simulator) -> None:
    speak(sim, b"GET /first HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    assert [(entry.path, entry.status) for entry in sim.requests] == [("/first", 404)]


def test_head_has_no_body(sim: Simulator) -> None:
    answer = speak(sim, b"HEAD /api/v3/runs HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405")
    assert answer.endswith(b"\r\n\r\n")


# -- latency


def test_latency_does_not_limit_how_many_are_served(world: World, make_client: Any) -> None:
    with Simulator(world, latency=0.4) as sim:
        clients = [make_client(sim) for _ in range(12)]
        threads = [threading.Thread(target=client.runs) for client in clients]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - start
        assert 0.4 <= took < 2.4, "one after the other would take 4.8 s"
        assert sim.max_in_flight == 12


# -- start and stop


def test_stops_at_once_with_open_connections(world: World, make_client: Any) -> None:
    with Simulator(world) as sim:
        client, idle = make_client(sim), make_client(sim)
        client.runs()
        idle.connection.connect()
        sim.faults.add("hang")
        client.connection.request("GET", "/")
        start = time.monotonic()
    assert time.monotonic() - start < 1
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.connection.getresponse()
    with pytest.raises(ConnectionRefusedError):
        make_client(sim).runs()


def test_stops_while_clients_come_in(world: World) -> None:
    for _ in range(30):
        with contextlib.ExitStack() as clients, Simulator(world) as sim:
            where = urlsplit(sim.url)
            for _ in range(3):
                clients.enter_context(socket.create_connection((where.hostname, where.port)))
        assert not sim._connections
        assert not sim._accepting
    gc.collect()


def test_can_be_started_again_on_its_port(world: World, make_client: Any) -> None:
    with Simulator(world) as sim:
        port = urlsplit(sim.url).port
    assert port
    with Simulator(world, port=port) as again:
        assert again.url == sim.url
        assert make_client(again).runs().status == 400
        with pytest.raises(OSError, match="in use"):
            Simulator(world, port=port).start()


def test_starts_where_a_loop_is_running_already(world: World, make_client: Any) -> None:
    async def in_a_notebook() -> int:
        with Simulator(world) as sim:
            status: int = make_client(sim).runs().status
            return status

    assert asyncio.run(in_a_notebook()) == 400


def test_starting_or_stopping_twice_is_harmless(world: World) -> None:
    sim = Simulator(world)
    sim.stop()
    sim.start()
    url = sim.url
    sim.start()
    assert sim.url == url
    sim.stop()
    sim.stop()


def test_serve_forever_ends_with_stop(world: World) -> None:
    sim = Simulator(world)
    sim.start()
    thread = threading.Thread(target=sim.serve_forever)
    thread.start()
    assert sim.url
    sim.stop()
    thread.join(3)
    assert not thread.is_alive()


# -- in another process


def run_it(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "runsync.simulator", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_process_of_its_own(at: Callable[[str], Any]) -> None:
    options = "--runs 30,20,10 --seed 5 --now 2024-05-15T14:00:00 --control --token abc"
    with run_it(*options.split()) as process:
        assert process.stdin
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert len(ready["pipelines"]) == 3
        client = at(ready["url"])
        path = f"/api/v3/runs?applicationId={ready['application']}&limit=1"
        assert client.ask("GET", path).status == 401
        headers = {"Authorization": "Bearer abc"}
        (newest,) = client.ask("GET", path, headers=headers).json()
        process.stdin.write("arrive 1\n")
        process.stdin.flush()
        assert len(json.loads(process.stdout.readline())["ok"]) == 3
        (newer,) = client.ask("GET", path, headers=headers).json()
        assert newer["createdAt"] >= newest["createdAt"]
        assert newer["id"] != newest["id"]
        process.stdin.close()
        assert process.wait(5) == 0


def test_a_process_names_a_wrong_fault() -> None:
    with run_it("--fault", "rest:runs") as process:
        assert process.stderr
        assert process.wait(5) == 2
        assert "--fault" in process.stderr.read()


def commands(sim: Simulator, *lines: str) -> list[Any]:
    answers = io.StringIO()
    run_commands(sim, lines, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_commands(make_client: Any) -> None:
    world = Scenario(runs=30).build()
    pipeline = world.pipelines[0].id
    with Simulator(world) as sim:
        (made,) = commands(sim, f"trigger {pipeline}")
        run = made["ok"]
        assert commands(sim, f"finish {run} failed") == [{"ok": None}]
        assert world.run_payload(run)["result"] == "failed"
        assert "finished already" in commands(sim, f"abort {run}")[0]["error"]
        assert commands(sim, f"delete {run}", "faults 500:runs", "latency 0") == [
            {"ok": None},
            {"ok": 1},
            {"ok": 0.0},
        ]
        assert run not in world.run_ids(pipeline)
        assert make_client(sim).runs().status == 500
        assert commands(sim, "stats", "reset", "stats") == [
            {"ok": {"requests": 1, "max_in_flight": 1}},
            {"ok": None},
            {"ok": {"requests": 0, "max_in_flight": 0}},
        ]
        before = world.clock.now()
        commands(sim, "advance 3600")
        assert (world.clock.now() - before).total_seconds() >= 3600
        for bad in ("dance", "", "advance", "advance far", "abort xyz"):
            assert "error" in commands(sim, bad)[0]


def test_it_imports_nothing_but_itself_and_the_standard_library() -> None:
    script = (
        "import sys; before = set(sys.modules); import runsync.simulator.__main__; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before} - "
        "set(sys.stdlib_module_names), *(name for name in sys.modules "
        "if name.startswith('runsync.') and not name.startswith('runsync.simulator')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["runsync"], done.stderr

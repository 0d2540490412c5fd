"""Each fault as a client sees it on the wire."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from runsync.simulator import Faults, Rule, Simulator, World
from runsync.simulator.http.fault_types import FAULT_TYPES, HUGE

Ask = Callable[..., Any]


@pytest.fixture
def honest(world: World, pipeline: str) -> list[str]:
    """The ids of six runs, newest first."""
    now = world.clock.now()
    times = [now - timedelta(hours=hours) for hours in range(1, 7)]
    return [world.add_run(pipeline, created_at=when) for when in times]


@pytest.fixture
def ask(sim: Simulator, client: Any, pipeline: str, honest: list[str]) -> Ask:
    """Order a fault for the listing, ask for it, and give the answer."""

    def ask(what: str, **options: Any) -> Any:
        sim.faults.add(what, "runs", **options)
        return client.runs(pipelineId=pipeline)

    return ask


def hear(sim: Simulator, path: str, seconds: float) -> bytes:
    """What comes before the server hangs up, or within some seconds."""
    where, received = urlsplit(sim.url), b""
    end = time.monotonic() + seconds
    with socket.create_connection((where.hostname, where.port)) as bare:
        bare.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with contextlib.suppress(TimeoutError):
            while (left := end - time.monotonic()) > 0:
                bare.settimeout(left)
                if not (chunk := bare.recv(65536)):
                    break
                received += chunk
    return received


def ids(answer: Any) -> list[Any]:
    return [run["id"] for run in answer.json()]


# -- refusals


@pytest.mark.parametrize("status", [401, 403, 404, 500, 502, 503, 599])
def test_statuses(ask: Ask, status: int) -> None:
    answer = ask(str(status))
    assert answer.status == answer.json()["statusCode"] == status
    assert "Retry-After" not in answer.headers


def test_retry_after(ask: Ask, sim: Simulator) -> None:
    assert ask("429").headers["Retry-After"] == "1"
    sim.faults.clear()
    assert ask("503", seconds=17).headers["Retry-After"] == "17"


def test_retry_after_as_a_date(ask: Ask, world: World) -> None:
    answer = ask("429-date", seconds=90)
    assert answer.status == 429
    when = parsedate_to_datetime(answer.headers["Retry-After"])
    assert when == world.clock.now() + timedelta(seconds=90)


def test_a_refused_trigger_is_not_carried_out(
    sim: Simulator, client: Any, world: World, pipeline: str
) -> None:
    sim.faults.add("500", "trigger")
    assert client.post({"pipelineId": pipeline}).status == 500
    assert world.run_ids(pipeline) == []


def test_a_lost_answer_to_a_trigger_is_carried_out(
    sim: Simulator, client: Any, world: World, pipeline: str
) -> None:
    sim.faults.add("reset", "trigger")
    with pytest.raises(ConnectionResetError):
        client.post({"pipelineId": pipeline})
    assert len(world.run_ids(pipeline)) == 1


def test_html(ask: Ask) -> None:
    answer = ask("html")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.body.startswith(b"<!doctype html>")


def test_redirect_to_another_origin(ask: Ask, sim: Simulator, pipeline: str) -> None:
    answer = ask("redirect")
    assert answer.status == 302
    where = urlsplit(answer.headers["Location"])
    assert (where.hostname, where.port) == ("localhost", urlsplit(sim.url).port)
    assert where.path == "/api/v3/runs"
    sim.faults.clear()
    answer = ask("redirect", url="https://elsewhere.test/")
    assert answer.headers["Location"] == "https://elsewhere.test/"


def test_redirect_loop(ask: Ask, client: Any) -> None:
    answer = ask("redirect-loop")
    again = client.ask("GET", answer.headers["Location"])
    assert again.headers["Location"] == answer.headers["Location"]


def test_huge(ask: Ask) -> None:
    answer = ask("huge")
    assert "Content-Length" not in answer.headers
    assert len(answer.body) == HUGE + 2
    assert HUGE > 32 << 20


def test_a_client_may_hang_up_on_a_huge_body(sim: Simulator, client: Any, pipeline: str) -> None:
    sim.faults.add("huge", "runs", first=1)
    client.connection.request("GET", f"/api/v3/runs?pipelineId={pipeline}")
    client.connection.getresponse().read(1000)
    client.connection.close()
    assert client.runs(pipelineId=pipeline).json() == []


def test_gzip_bomb(ask: Ask) -> None:
    answer = ask("gzip-bomb")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 1 << 20
    assert len(gzip.decompress(answer.body)) == HUGE + 2


# -- lost or slow on the way


def test_reset(sim: Simulator, client: Any, pipeline: str) -> None:
    sim.faults.add("reset")
    with pytest.raises(ConnectionResetError, match="reset by peer"):
        client.runs(pipelineId=pipeline)
    assert sim.requests[-1].status == 0


def test_short_body(ask: Ask, honest: list[str]) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask("short-body")


@pytest.mark.parametrize("what", ["hang", "slow", "slow-headers", "stall", "drip"])
def test_what_comes_at_first(sim: Simulator, what: str) -> None:
    whole = hear(sim, "/api/v3/runs", 5)
    head = whole.index(b"\r\n\r\n") + 4
    sim.faults.add(what, seconds=2)
    received = hear(sim, "/api/v3/runs", 0.35)
    bounds = {"hang": (0, 0), "slow": (0, 0), "slow-headers": (1, head - 1)}
    least, most = bounds.get(what, (head + 1, len(whole) - 1))
    assert least <= len(received) <= most
    assert whole.startswith(received)


def test_wrong_length(sim: Simulator, pipeline: str, honest: list[str]) -> None:
    sim.faults.add("wrong-length")
    head, _, body = hear(sim, f"/api/v3/runs?pipelineId={pipeline}", 5).partition(b"\r\n\r\n")
    assert len(json.loads(body)) == 6
    assert f"Content-Length: {len(body) - 7}".encode() in head


@pytest.mark.parametrize("what", ["slow", "slow-headers", "drip"])
def test_slowness(ask: Ask, what: str, honest: list[str]) -> None:
    start = time.monotonic()
    assert ids(ask(what, seconds=0.2)) == honest
    assert time.monotonic() - start >= 0.19


# -- saying something else


def test_gzip(ask: Ask, honest: list[str]) -> None:
    answer = ask("gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert [run["id"] for run in json.loads(gzip.decompress(answer.body))] == honest


@pytest.mark.parametrize("what", ["truncated-json", "bad-json"])
def test_no_json(ask: Ask, what: str) -> None:
    answer = ask(what)
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(answer.body))
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_wrong_shape(ask: Ask, sim: Simulator, client: Any, honest: list[str]) -> None:
    assert len(ask("wrong-shape").json()["items"]) == 6
    sim.faults.add("wrong-shape", "run")
    assert client.get(f"/api/v3/runs/{honest[0]}").json()[0]["id"] == honest[0]


def test_number_for_string(ask: Ask, honest: list[str]) -> None:
    runs = ask("number-for-string").json()
    assert isinstance(runs[0]["id"], int)
    assert isinstance(runs[0]["createdAt"], int)
    assert [run["id"] for run in runs[1:]] == honest[1:]


def test_null_entries(ask: Ask, honest: list[str]) -> None:
    entries = ask("null-entries").json()
    assert entries[0] is entries[-1] is None
    assert [run["id"] for run in entries if run] == honest


def test_duplicates(ask: Ask, honest: list[str]) -> None:
    assert ids(ask("duplicates")) == [*honest, honest[0]]


def test_shuffled(ask: Ask, honest: list[str]) -> None:
    assert ids(ask("shuffled")) != honest
    assert set(ids(ask("shuffled"))) == set(honest)


def test_short_and_empty_pages(ask: Ask, sim: Simulator, honest: list[str]) -> None:
    assert ids(ask("short-page")) == honest[:3]
    sim.faults.clear()
    assert ids(ask("empty-page")) == []


@pytest.mark.parametrize("another", [True, False])
def test_foreign(ask: Ask, world: World, pipeline: str, honest: list[str], another: bool) -> None:
    if another:
        world.add_run(world.add_pipeline("deploy").id)
    runs = ask("foreign").json()
    assert len(runs) == 7
    (stranger,) = (run for run in runs if run["pipeline"]["id"] != pipeline)
    assert stranger["id"] not in honest


def test_errors_pass_a_fault_of_the_body(sim: Simulator, client: Any) -> None:
    sim.faults.add("empty-page")
    assert client.runs().status == 400


def test_honest_with_other_headers(ask: Ask, honest: list[str]) -> None:
    answer = ask("honest", headers={"X-RateLimit-Remaining": "0"})
    assert ids(answer) == honest
    assert answer.headers["X-RateLimit-Remaining"] == "0"


# -- how often, and where


def struck(rule: Rule, world: World, sim: Simulator, client: Any, times: int) -> list[int]:
    sim.faults.rules.append(rule)
    path = f"/api/v3/runs?pipelineId={world.pipelines[0].id}"
    return [n for n in range(1, times + 1) if client.ask("GET", path).status == 500]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"every": 3}, [3, 6]),
        ({"first": 2}, [1, 2]),
        ({"after": 4}, [5, 6]),
        ({"first": 1, "after": 2}, [3]),
        ({"probability": 0.0}, []),
        ({"probability": 1.0}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_how_often(
    world: World, sim: Simulator, client: Any, options: dict[str, Any], expected: list[int]
) -> None:
    rule = Rule("500", **options)
    assert struck(rule, world, sim, client, 6) == expected
    assert (rule.seen, rule.hits) == (6, len(expected))


def test_probability_is_drawn_from_the_seed(world: World, sim: Simulator, client: Any) -> None:
    once, again, other = (Rule("500", probability=0.5, seed=seed) for seed in (1, 1, 2))
    first = struck(once, world, sim, client, 40)
    sim.faults.clear()
    assert struck(again, world, sim, client, 40) == first
    sim.faults.clear()
    assert struck(other, world, sim, client, 40) != first
    assert 8 < len(first) < 32


def test_where(sim: Simulator, client: Any, world: World, pipeline: str) -> None:
    one, other = world.add_run(pipeline), world.add_run(world.add_pipeline("deploy").id)
    step = world.step_payloads(world.add_run(pipeline, status="finished"))[0]["id"]
    addresses = {
        "runs": f"/api/v3/runs?pipelineId={pipeline}",
        "run": f"/api/v3/runs/{one}",
        "steps": f"/api/v3/runs/{one}/steps",
        "other": f"/api/v3/runs/{other}/steps",
        "log": f"/api/v3/runsteps/{step}/log",
    }

    def hit(**options: Any) -> set[str]:
        sim.faults = Faults(Rule("500", **options))
        return {name for name, path in addresses.items() if client.ask("GET", path).status == 500}

    assert hit() == set(addresses)
    assert hit(endpoint="runs") == {"runs"}
    assert hit(endpoint="run") == {"run"}
    assert hit(endpoint="steps") == {"steps", "other"}
    assert hit(endpoint="log") == {"log"}
    assert hit(run=one) == {"run", "steps"}
    assert hit(pipeline=pipeline) == {"runs", "run", "steps", "log"}
    assert hit(path="*/steps") == {"steps", "other"}
    assert hit(method="POST") == set()
    sim.faults = Faults(Rule("503", pipeline=pipeline))
    assert client.post({"pipelineId": pipeline}).status == 503


def test_the_first_rule_that_strikes_decides(sim: Simulator, client: Any) -> None:
    sim.faults.add("500", every=2)
    sim.faults.add("503")
    assert [client.runs().status for _ in range(4)] == [503, 500, 503, 500]


# -- the short form


def test_parse() -> None:
    first, second = Faults.parse("500:steps:every=10, slow:runs:first=2:seconds=0.5").rules
    assert (first.what, first.endpoint, first.every) == ("500", "steps", 10)
    assert (second.what, second.first, second.seconds) == ("slow", 2, 0.5)
    assert Faults.parse("").rules == []
    assert Faults.parse("reset:first=1").rules[0].endpoint == "*"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rest", "unknown fault 'rest': did you mean 'reset'"),
        ("200", "unknown fault '200'"),
        ("500:step", "unknown endpoint 'step': did you mean 'steps'"),
        ("500:steps:evry=3", "unknown fault option 'evry': did you mean 'every'"),
        ("500:every=x", "every must be a number, not 'x'"),
        ("500:every=0", "every must be 1 or more"),
        ("500:runs:steps", "names two endpoints"),
        ("qqqqqq", "known are honest, 429-date"),
    ],
)
def test_parse_names_the_mistake(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^.*" + message):
        Faults.parse(text)


def test_every_kind_says_what_it_is() -> None:
    assert all(Rule(name).what == name for name in FAULT_TYPES)

"""The client over real sockets: what it sends, what it takes, and when it sends no more."""

import gzip
import json
import logging
import threading
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runsync.errors import (
    CancelledError,
    ForbiddenError,
    RateLimitedError,
    RefusedError,
    RunsyncError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import Client, Limits, RequestCounter, checked_path
from runsync.simulator import Clock, Request
from runsync.simulator.http.wire import Response
from tests.http.conftest import (
    QUICK,
    RESET,
    SILENCE,
    TOKEN,
    MakeClient,
    Service,
    answer,
    ask_all,
    late,
    moved,
)

# What is sent.


def test_the_token_and_who_asks(service: Service, client: Client) -> None:
    client.get("/x")
    headers = service.seen[0].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-own"] == "mine"
    assert headers["user-agent"].startswith("runsync/")
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip, deflate"


def test_a_request_s_own_headers_go_with_it_alone(service: Service, client: Client) -> None:
    client.get("/x", headers={"If-None-Match": '"1"'})
    client.get("/x")
    assert [r.headers.get("if-none-match") for r in service.seen] == ['"1"', None]


def test_params(service: Service, client: Client) -> None:
    client.get("/x", {"a": 1, "b": None, "c": "ä&=", "d": ""})
    client.get("/x", [("a", "1"), ("a", "2")])
    assert dict(service.seen[0].query) == {"a": "1", "c": "ä&=", "d": ""}
    assert service.seen[1].repeated == ("a",)


def test_each_asks_at_once_and_answers_in_order(service: Service, client: Client) -> None:
    service.usual = lambda request: replace(late(0.4), body=json.dumps(request.path).encode())
    tally, began = RequestCounter(), time.monotonic()
    with client.counting(tally):
        found = client.each(lambda n: client.get(f"/{n}").data, range(8))
    assert time.monotonic() - began < 4 * 0.4
    assert (found, tally.requests) == ([f"/{n}" for n in range(8)], 8)


def test_each_raises_what_the_first_of_them_raises(service: Service, client: Client) -> None:
    service.usual = lambda request: answer(status=403 if request.path == "/2" else 200)
    with pytest.raises(ForbiddenError, match="/2"):
        client.each(lambda n: client.get(f"/{n}"), range(4))


def test_below_a_path(service: Service, make_client: MakeClient) -> None:
    make_client(f"{service.url}/ci/").get("/x")
    assert service.seen[0].path == "/ci/x"


def test_netrc_does_not_displace_the_token(
    service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login me password other\nmachine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    make_client().get("/x")
    assert service.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    make_client(headers={}).get("/x")
    assert "authorization" not in service.seen[1].headers


def test_what_is_posted(service: Service, client: Client) -> None:
    assert client.send("POST", "/runs", body={"a": "ä"}, params={"p": 1}).data == {"fine": True}
    (sent,) = service.seen
    assert (sent.method, sent.path, dict(sent.query)) == ("POST", "/runs", {"p": "1"})
    assert json.loads(sent.body) == {"a": "ä"}
    assert sent.headers["content-type"] == "application/json"


def test_a_form_is_posted_with_headers_of_its_own(service: Service, client: Client) -> None:
    client.send("POST", "/runs", form={"a": "ä & b"}, headers={"X-Crumb": "c"})
    (sent,) = service.seen
    assert (sent.body, dict(sent.query)) == (b"a=%C3%A4+%26+b", {})
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.headers["x-crumb"] == "c"
    client.send("POST", "/runs")
    assert "x-crumb" not in service.seen[1].headers


def test_a_redirect_of_an_order_is_an_answer_where_it_is_due(
    service: Service, client: Client
) -> None:
    service.usual = Response(302, headers=(("Location", "https://elsewhere.example/x"),))
    answer = client.send("POST", "/stop", redirect_is_answer=True)
    assert (answer.status, answer.data) == (302, None)
    assert answer.headers["Location"] == "https://elsewhere.example/x"
    with pytest.raises(SourceError, match="not followed"):
        client.send("POST", "/stop")
    assert len(service.seen) == 2


def test_a_redirect_that_is_an_answer_is_of_the_provider_s_time() -> None:
    now = datetime(2024, 5, 6, 12, tzinfo=UTC)
    with Service(Clock(now)) as service, Client(service.url) as client:
        service.usual = moved("/x")
        assert client.send("POST", "/stop", redirect_is_answer=True).as_of == now


def test_a_put_without_a_body_says_so(service: Service, client: Client) -> None:
    service.usual = Response(204)
    assert client.send("PUT", "/abort").data is None
    assert service.seen[0].headers["content-length"] == "0"
    assert "content-type" not in service.seen[0].headers


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("a", "b"), "/a/b"),
        (("a/b",), "/a%2Fb"),
        (("..", "."), "/%2E%2E/%2E"),
        (("...", "a.b"), "/.../a.b"),
        (("a?b#c",), "/a%3Fb%23c"),
        (("ä\x00",), "/%C3%A4%00"),
        ((), ""),
    ],
)
def test_checked_path(parts: tuple[str, ...], path: str) -> None:
    assert checked_path(*parts) == path


# What comes back.


def test_the_provider_s_clock() -> None:
    now = datetime(2024, 5, 6, 12, tzinfo=UTC)
    with Service(Clock(now)) as service, Client(service.url) as client:
        assert client.get("/x").as_of == now


def test_without_a_clock_of_the_provider_only_yesterday_is_sure(
    service: Service, client: Client
) -> None:
    def without(head: bytes, body: bytes) -> Any:
        lines = head.split(b"\r\n")
        yield 0, b"\r\n".join(line for line in lines if not line.startswith(b"Date")) + body

    service.usual = Response(body=b"{}", pieces=without)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert abs(client.get("/x").as_of - yesterday) < timedelta(seconds=5)


def test_not_modified_is_an_answer(service: Service, client: Client) -> None:
    service.usual = Response(304, headers=(("ETag", '"2"'),))
    found = client.get("/x", headers={"If-None-Match": '"2"'})
    assert (found.status, found.data, found.headers["etag"]) == (304, None, '"2"')


def test_not_modified_is_no_answer_to_what_was_not_asked(service: Service, client: Client) -> None:
    service.usual = Response(304, headers=(("ETag", '"2"'),))
    with pytest.raises(SourceError, match="nothing has changed, which was not asked"):
        client.get("/x")


def test_text(service: Service, client: Client) -> None:
    service.usual = Response(body=b"l\xc3\xb6g \xff\n", content_type="text/plain")
    found = client.get_text("/log", {"step": 2})
    assert (found.status, found.data) == (200, "lög \ufffd\n")
    assert found.headers["content-type"] == "text/plain"
    assert dict(service.seen[0].query) == {"step": "2"}


def test_compressed(service: Service, client: Client) -> None:
    body = gzip.compress(b'{"a": 1}')
    service.usual = Response(body=body, headers=(("Content-Encoding", "gzip"),))
    assert client.get("/x").data == {"a": 1}


BAD_ANSWERS = {
    "cut JSON": Response(body=b'{"a": 1'),
    "no JSON": Response(body=b'{"id": undefined}'),
    "HTML": Response(body=b"<html>"),
    "nothing": Response(body=b""),
    "no UTF-8": Response(body=b"\xff\xfe{"),
    "nested": Response(body=b"[" * 200_000),
    "length too small": Response(body=b'{"a": "bcd"}', length=5),
    "length too large": Response(body=b'{"a": 1}', length=100, ending="close"),
    "no gzip": Response(body=b"no gzip", headers=(("Content-Encoding", "gzip"),)),
    "no chunks": Response(body=b"{}\r\n", chunked=True),
    "reset": RESET,
}


@pytest.mark.parametrize("fault", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_is_asked_for_again(service: Service, client: Client, fault: Response) -> None:
    service.script.extend([fault, fault])
    assert client.get("/x").data == {"fine": True}
    assert len(service.seen) == 3
    service.usual = fault
    with pytest.raises(SourceError, match="4 times"):
        client.get("/x")


def test_a_body_may_be_as_large_as_that_and_no_larger(
    service: Service, make_client: MakeClient
) -> None:
    client = make_client(limits=Limits(body=2**20))
    service.script.append(Response(body=b'"' + b"x" * (2**20 - 2) + b'"'))
    assert len(client.get("/x").data) == 2**20 - 2
    service.script.append(Response(body=b'"' + b"x" * (2**20 - 1) + b'"'))
    with pytest.raises(SourceError, match="ci: GET /x answers more than 1 MiB"):
        client.get("/x")
    assert len(service.seen) == 2
    assert client.get("/x").data == {"fine": True}


def test_the_usual_limit_is_32_mib() -> None:
    assert Limits().body == 32 * 2**20


def test_a_bomb_is_not_unpacked(service: Service, make_client: MakeClient) -> None:
    bomb = gzip.compress(b" " * (100 * 2**20), compresslevel=1)
    service.usual = Response(body=bomb, headers=(("Content-Encoding", "gzip"),))
    client = make_client(limits=Limits(body=2**20))
    tracemalloc.start()
    with pytest.raises(SourceError, match="more than 1 MiB"):
        client.get("/x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20
    assert len(service.seen) == 1


def test_a_body_without_end_is_given_up(service: Service, make_client: MakeClient) -> None:
    def endless(head: bytes, _: bytes) -> Any:
        yield 0, head + b"1\r\n[\r\n"
        while True:
            yield 0, b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    service.usual = Response(chunked=True, pieces=endless)
    with pytest.raises(SourceError, match="more than 1 MiB"):
        make_client(limits=Limits(body=2**20)).get("/x")


@pytest.mark.parametrize(
    ("encoding", "error"), [("identity", "more than 1 MiB"), ("gzip", "broke off")]
)
def test_what_is_given_up_is_hung_up(
    service: Service, make_client: MakeClient, encoding: str, error: str
) -> None:
    """At once, not when the error that holds the answer is forgotten."""
    hung_up = threading.Event()

    def endless(head: bytes, _: bytes) -> Any:
        try:
            yield 0, head
            while True:
                yield 0, b" " * 2**16
        finally:
            hung_up.set()

    service.usual = Response(
        length=2**40, pieces=endless, headers=(("Content-Encoding", encoding),)
    )
    with pytest.raises(SourceError, match=error) as caught:
        make_client(limits=Limits(body=2**20, tries=1)).get("/x")
    assert hung_up.wait(5)
    assert caught.value.__traceback__


# What is counted and logged.


def test_every_request_is_counted_for_its_thread(service: Service, client: Client) -> None:
    outer, inner, other = RequestCounter(), RequestCounter(), RequestCounter()

    def elsewhere() -> None:
        with client.counting(other):
            client.get("/x")

    with client.counting(outer):
        service.script.append(answer({}, 503))
        client.get("/x")
        with client.counting(inner):
            client.get("/x")
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        client.get("/x")
    client.get("/x")
    assert (outer.requests, inner.requests, other.requests) == (3, 1, 1)


def test_requests_and_retries_are_logged(
    service: Service, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    service.script.append(answer({"message": f"{TOKEN}\x1b[31m"}, 503))
    with caplog.at_level(logging.DEBUG, "runsync.http"):
        client.get("/x", {"limit": 20, "echo": TOKEN})
    said = caplog.messages
    assert len(said) == 3
    assert said[0].startswith("GET /x?limit=20&echo=*** 503 ")
    assert said[0].endswith(" ms")
    assert said[1].startswith("ci: GET /x answered 503 (*** [31m): try 2 of 4 in 0.0 s")
    assert said[2].startswith("GET /x?limit=20&echo=*** 200 ")


def test_no_token_in_any_error_or_log(
    service: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    faults = [
        answer({"message": f"bad {TOKEN}"}, status)
        for status in (401, 403, 404, 400, 429, 500, 503, 599)
    ]
    faults.append(Response(302, headers=(("Location", f"http://{TOKEN}.example/{TOKEN}"),)))
    faults.append(Response(301, headers=(("Location", f"/{TOKEN}"),)))
    caplog.set_level(logging.DEBUG, "runsync.http")
    for fault in faults:
        service.usual = fault
        client = make_client()
        for ask in (client.get, client.get_text):
            with pytest.raises(RunsyncError) as caught:
                ask("/x")
            said.append(f"{caught.value!r} {caught.value.__cause__!r}")
    assert TOKEN not in " ".join([*said, *caplog.messages])


# When nothing more is sent.


def start_refusing(service: Service, refusal: Response, good: int) -> None:
    """Lets so many requests pass, and refuses from then on; each takes a moment."""

    def decide(_: Request) -> Response:
        chosen = answer({}) if len(service.seen) <= good else refusal

        def slowly(head: bytes, body: bytes) -> Any:
            yield 0.05, head + body

        return Response(chosen.status, chosen.body, headers=chosen.headers, pieces=slowly)

    service.usual = decide


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (answer({}, 401), TokenRefusedError),
        (answer({}, 429, Retry_After="3600"), RateLimitedError),
        (
            answer({}, 403, X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999"),
            RateLimitedError,
        ),
    ],
    ids=("token", "Retry-After", "quota"),
)
def test_after_a_refusal_nothing_is_asked_but_what_is_in_flight(
    service: Service, make_client: MakeClient, refusal: Response, kind: type[RunsyncError]
) -> None:
    client = make_client(concurrency=4)
    start_refusing(service, refusal, good=6)
    askers = ask_all(client, 40)
    for one in askers:
        one.join(5)
        assert not one.is_alive()
    results = [type(one.result).__name__ for one in askers]
    assert results.count("Response") <= 6 + 3
    assert set(results) == {"Response", kind.__name__}
    # The first refusal, and what was in flight with it.
    assert len(service.seen) <= 6 + 4
    with pytest.raises(kind):
        client.get("/later")
    with pytest.raises(kind):
        client.send("POST", "/later")
    assert len(service.seen) <= 6 + 4


def test_those_that_wait_to_try_again_end_too(service: Service, make_client: MakeClient) -> None:
    client = make_client(limits=Limits(first_pause=20, longest_pause=20))
    service.script.extend([answer({}, 503)] * 3)
    askers = ask_all(client, 3)
    while len(service.seen) < 3:
        time.sleep(0.01)
    service.usual = answer({}, 401)
    with pytest.raises(TokenRefusedError):
        client.get("/x")
    for one in askers:
        one.join(10)
        assert isinstance(one.result, TokenRefusedError)
    assert len(service.seen) == 4


def test_a_403_is_about_one_thing_alone(service: Service, client: Client) -> None:
    service.script.append(answer({}, 403))
    with pytest.raises(ForbiddenError):
        client.get("/secret")
    assert client.get("/x").data == {"fine": True}


def test_when_the_time_is_over_it_asks_again(service: Service, make_client: MakeClient) -> None:
    client = make_client(limits=Limits(longest_wait=0.5))
    service.script.append(answer({}, 429, Retry_After="2"))
    with pytest.raises(RateLimitedError):
        client.get("/x")
    with pytest.raises(RateLimitedError):
        client.get("/x")
    time.sleep(2.01)
    assert client.get("/x").data == {"fine": True}
    assert len(service.seen) == 2


# Cancelling.


def test_cancel_ends_every_wait(service: Service, make_client: MakeClient) -> None:
    """In a read, in line for a slot, between two tries, and while all are held back."""
    reading = make_client(concurrency=2)
    service.script.extend([SILENCE] * 2)
    askers = ask_all(reading, 6)
    backing_off = make_client(limits=Limits(first_pause=30))
    held = make_client(limits=Limits(longest_wait=300))
    while len(service.seen) < 2:
        time.sleep(0.01)
    service.script.extend([answer({}, 503)] * 2)
    askers += ask_all(backing_off, 2)
    while len(service.seen) < 4:
        time.sleep(0.01)
    service.script.extend([answer({}, 429, Retry_After="100")])
    askers += ask_all(held, 1)
    while len(service.seen) < 5:
        time.sleep(0.01)
    time.sleep(0.1)
    askers += ask_all(held, 3)
    time.sleep(0.1)
    began = time.monotonic()
    for client in (reading, backing_off, held):
        client.cancel()
    for one in askers:
        one.join(10)
        assert not one.is_alive()
    assert time.monotonic() - began < 10
    assert {type(one.result) for one in askers} == {CancelledError}
    assert len(service.seen) == 5


def test_after_cancel_nothing_is_sent(service: Service, client: Client) -> None:
    client.get("/x")
    client.cancel()
    for _ in range(3):
        with pytest.raises(CancelledError, match="ci: given up"):
            client.get("/x")
    with pytest.raises(CancelledError):
        client.get_text("/x")
    with pytest.raises(CancelledError):
        client.send("POST", "/x")
    client.cancel()
    assert len(service.seen) == 1


def test_a_post_in_flight_is_cancelled_too(service: Service, make_client: MakeClient) -> None:
    client = make_client(limits=Limits(read=60, whole=60))
    service.usual = SILENCE
    errors: list[Exception] = []

    def post() -> None:
        try:
            client.send("POST", "/x", body={})
        except CancelledError as error:
            errors.append(error)

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    while not service.seen:
        time.sleep(0.01)
    client.cancel()
    thread.join(10)
    assert len(errors) == 1


def test_at_most_so_many_in_flight(service: Service, make_client: MakeClient) -> None:
    client = make_client(concurrency=3, limits=QUICK)
    service.usual = late(0.05)
    for one in ask_all(client, 12):
        one.join(5)
        assert not isinstance(one.result, Exception)
    assert service.max_in_flight == 3


# A refused token, in the provider's own way.


@pytest.mark.parametrize(
    "said",
    [
        Response(203, b"<html>Sign in</html>", content_type="text/html"),
        moved("https://login.example/_signin?reply_to=x"),
    ],
    ids=["page", "redirect"],
)
def test_a_provider_may_refuse_a_token_without_a_401(
    service: Service, make_client: MakeClient, said: Response
) -> None:
    service.usual = said
    client = make_client(is_refusal=lambda status, headers: status in (203, 302))
    for _ in range(2):
        with pytest.raises(TokenRefusedError, match="check the token of source 'ci'"):
            client.get("/x")
    assert len(service.seen) == 1


def test_an_answer_of_200_is_never_a_refusal(service: Service, make_client: MakeClient) -> None:
    assert make_client(is_refusal=lambda *_: True).get("/x").data == {"fine": True}


def test_no_content_is_an_answer(service: Service, client: Client) -> None:
    service.usual = Response(204)
    found = client.get("/x")
    assert (found.status, found.data) == (204, None)
    assert len(service.seen) == 1


def test_an_order_may_be_answered_with_nothing(service: Service, client: Client) -> None:
    service.usual = Response(201)
    found = client.send("POST", "/x")
    assert (found.status, found.data) == (201, None)


def test_a_part_is_no_answer(service: Service, client: Client) -> None:
    service.script.append(answer([1], 206))
    found = client.get("/x")
    assert (found.status, found.data) == (200, {"fine": True})


def test_an_error_may_be_in_any_bytes(service: Service, client: Client) -> None:
    service.usual = Response(400, body=b"na\xefve", content_type="text/plain")
    with pytest.raises(RefusedError, match="/x answered 400"):
        client.get("/x")

"""Redirects: within the source, never to another origin, but for texts that ask for it."""

import logging

import pytest
import requests

from runsync.errors import CancelledError, NotFoundError, SourceError
from runsync.http.client import Client, Limits, RequestCounter
from runsync.http.redirects import Redirects, _may_be_followed
from runsync.simulator.http.wire import Response
from tests.http.conftest import TOKEN, MakeClient, Service, answer, moved


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_within_the_origin_it_is_followed(service: Service, client: Client, status: int) -> None:
    service.script.append(moved("/new?x=1", status))
    assert client.get("/old", {"y": "2"}).data == {"fine": True}
    assert [(r.path, dict(r.query)) for r in service.seen] == [
        ("/old", {"y": "2"}),
        ("/new", {"x": "1"}),
    ]
    assert service.seen[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_the_same_origin_in_another_spelling(service: Service, client: Client) -> None:
    host = service.url.removeprefix("http://")
    service.script.append(moved(f"HTTP://{host}/new"))
    assert client.get("/old").data == {"fine": True}


def test_odd_characters_in_a_location(service: Service, client: Client) -> None:
    service.script.append(moved("/a b/\x01é?q=\x7f"))
    assert client.get("/old").data == {"fine": True}
    assert len(service.seen) == 2


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.example/x?token=abc",
        "https://127.0.0.1/x",
        "//elsewhere.example/x",
        "ftp://127.0.0.1/x",
        "http://[::1",
        "http://h:port/",
        "javascript:alert(1)",
    ],
)
def test_another_origin_is_refused(service: Service, client: Client, location: str) -> None:
    service.usual = moved(location)
    with pytest.raises(SourceError, match=r"ci: /old redirects to .*not followed; if") as caught:
        client.get("/old")
    assert len(service.seen) == 1
    assert "abc" not in str(caught.value)


def test_another_port_and_user_are_other_origins(
    service: Service, other: Service, client: Client
) -> None:
    host = service.url.removeprefix("http://")
    for location in (
        other.url,
        f"http://me@{host}/x",
        service.url.replace("127.0.0.1", "localhost"),
    ):
        service.script.append(moved(location))
        with pytest.raises(SourceError, match="not followed"):
            client.get("/old")
    assert other.seen == []


@pytest.mark.parametrize("location", ["", "/old"])
def test_a_circle_ends(service: Service, client: Client, location: str) -> None:
    service.usual = moved(location)
    with pytest.raises(SourceError, match="redirects in a circle"):
        client.get("/old")
    assert len(service.seen) == Limits().redirects + 1


def test_as_many_as_are_allowed(service: Service, client: Client) -> None:
    service.script.extend([moved("/x")] * Limits().redirects)
    assert client.get("/old").data == {"fine": True}


def test_what_changes_something_is_never_redirected(service: Service, client: Client) -> None:
    service.usual = moved("/new", 307)
    with pytest.raises(SourceError, match="not followed"):
        client.send("POST", "/old", body={})
    assert len(service.seen) == 1


@pytest.mark.parametrize(("status", "warnings"), [(301, 1), (308, 1), (302, 0), (307, 0)])
def test_a_move_for_good_is_told_once_per_path(
    service: Service,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    status: int,
    warnings: int,
) -> None:
    def answer_as_moved(request: object) -> Response:
        path: str = request.path  # type: ignore[attr-defined]
        return moved("/new\x1b", status) if path == "/old" else answer({})

    service.usual = answer_as_moved
    with caplog.at_level(logging.WARNING, "runsync.http"):
        for _ in range(3):
            client.get("/old")
    assert len(caplog.messages) == warnings
    for said in caplog.messages:
        assert said.startswith("ci: /old has moved to /new , which costs")


# Texts that another host keeps.


def test_a_text_is_fetched_elsewhere_without_anything_of_the_source(
    service: Service, other: Service, client: Client
) -> None:
    service.script.append(moved(f"{other.url}/blob?sig=abc"))
    other.usual = Response(body=b"the log\n", content_type="text/plain")
    tally = RequestCounter()
    with client.counting(tally):
        assert client.get_text("/log", follow_elsewhere=True).data == "the log\n"
    assert tally.requests == 2
    (sent,) = other.seen
    assert (sent.path, dict(sent.query)) == ("/blob", {"sig": "abc"})
    assert sent.headers.keys() == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
    }
    assert sent.headers["accept"] == "*/*"
    assert TOKEN not in str(sent)


def test_the_signature_of_another_host_s_address_is_not_logged(
    service: Service, other: Service, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    service.script.append(moved(f"{other.url}/blob?sig=abc"))
    other.usual = Response(body=b"the log\n", content_type="text/plain")
    with caplog.at_level(logging.DEBUG, "runsync.http"):
        client.get_text("/log", follow_elsewhere=True)
    assert caplog.messages[1].startswith("GET /blob 200 ")
    assert "abc" not in caplog.text


def test_another_host_may_be_excepted_from_the_proxy(
    service: Service, other: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = other.url.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("http_proxy", service.url)
    service.script.append(moved(f"{there}/blob"))
    assert make_client().get_text("/log", follow_elsewhere=True).status == 200
    assert [one.path for one in other.seen] == ["/blob"]


def test_only_where_that_is_asked_for(service: Service, other: Service, client: Client) -> None:
    service.script.append(moved(other.url))
    with pytest.raises(SourceError, match="not followed"):
        client.get_text("/log")
    assert other.seen == []


def test_only_once(service: Service, other: Service, client: Client) -> None:
    service.script.append(moved(f"{other.url}/one"))
    other.usual = moved(f"{service.url}/two")
    with pytest.raises(SourceError, match="not followed"):
        client.get_text("/log", follow_elsewhere=True)
    assert (len(service.seen), len(other.seen)) == (1, 1)


def test_within_the_other_host_it_may_go_on(
    service: Service, other: Service, client: Client
) -> None:
    service.script.append(moved(f"{other.url}/one"))
    other.script.append(moved("/two"))
    other.usual = Response(body=b"log")
    assert client.get_text("/log", follow_elsewhere=True).data == "log"
    assert all("authorization" not in r.headers for r in other.seen)


@pytest.mark.parametrize("status", [401, 403, 400])
def test_what_another_host_refuses_says_nothing_of_the_token(
    service: Service, other: Service, client: Client, status: int
) -> None:
    service.script.append(moved(f"{other.url}/blob?sig=abc"))
    other.usual = answer({"message": "expired"}, status)
    with pytest.raises(
        SourceError, match=rf"answered {status} \(expired\); it was sent to"
    ) as caught:
        client.get_text("/log", follow_elsewhere=True)
    assert type(caught.value) is SourceError
    assert "abc" not in str(caught.value)
    assert client.get("/x").data == {"fine": True}


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone_elsewhere_is_gone(
    service: Service, other: Service, client: Client, status: int
) -> None:
    service.script.append(moved(other.url))
    other.usual = answer({}, status)
    with pytest.raises(NotFoundError):
        client.get_text("/log", follow_elsewhere=True)


def test_what_fails_elsewhere_is_asked_for_anew(
    service: Service, other: Service, client: Client
) -> None:
    service.usual = lambda _: moved(f"{other.url}/blob?sig={len(service.seen)}")
    other.script.append(answer({}, 503))
    assert client.get_text("/log", follow_elsewhere=True).status == 200
    assert [r.query["sig"] for r in other.seen] == ["1", "2"]


def test_its_size_is_limited_elsewhere_too(
    service: Service, other: Service, make_client: MakeClient
) -> None:
    client = make_client(limits=Limits(body=1000))
    service.script.append(moved(other.url))
    other.usual = Response(body=b"x" * 1001)
    with pytest.raises(SourceError, match="more than"):
        client.get_text("/log", follow_elsewhere=True)


@pytest.mark.parametrize("location", ["https://*.example", "https://.example"])
def test_a_host_that_is_no_name(location: str) -> None:
    request = requests.Request("GET", "https://ci.example/log").prepare()
    response = requests.Response()
    response.headers["Location"] = location
    with pytest.raises(SourceError, match="not followed"):
        Redirects("ci", {}).follow(request, response, elsewhere=True)


def test_nothing_is_followed_after_cancel(service: Service, other: Service, client: Client) -> None:
    def cancel(_: object) -> Response:
        client._limiter.close(CancelledError("given up"))
        return moved(other.url)

    service.usual = cancel
    with pytest.raises(CancelledError):
        client.get_text("/log", follow_elsewhere=True)
    assert other.seen == []


@pytest.mark.parametrize(
    ("here", "there", "may"),
    [
        ("https://api.github.com", "https://logs.example", True),
        ("https://api.github.com", "http://logs.example", False),
        ("http://ghe.example", "https://logs.example", False),
        ("http://ghe.example", "http://logs.example", False),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", True),
        ("http://127.0.0.1:1", "http://localhost:2", True),
        ("http://127.0.0.1:1", "http://127.0.0.1.evil.example", False),
        ("https://api.github.com", "http://127.0.0.1", False),
        ("https://api.github.com", "ftp://logs.example", False),
        ("https://api.github.com", "file://", False),
    ],
)
def test_where_a_text_may_come_from(here: str, there: str, may: bool) -> None:
    assert _may_be_followed(here, there) is may

"""Which answers are tried again, after which waits, and what the others mean."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.errors import (
    CancelledError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import Client, Limits
from runsync.http.rate_limiter import RateLimiter
from runsync.http.retry import RETRIED, Retries, TryAgainError, asked_wait
from runsync.simulator import Clock
from runsync.simulator.http.wire import Response, http_date
from tests.http.conftest import QUICK, RESET, Asker, MakeClient, Service, answer, late

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


class Recorder(RateLimiter):
    """Writes down each wait instead of waiting."""

    def __init__(self) -> None:
        super().__init__(1)
        self.slept: list[float] = []
        self.held: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)


# The waits, without a network.


@given(
    st.integers(2, 12),
    st.floats(0.01, 5),
    st.floats(0.01, 60),
)
def test_pauses_grow_with_jitter_up_to_the_longest(
    tries: int, first: float, longest: float
) -> None:
    recorder = Recorder()
    limits = Limits(tries=tries, first_pause=first, longest_pause=longest)
    retries = Retries(limits, recorder)
    for _ in range(tries - 1):
        retries.wait("GET /", TryAgainError("broke off"))
    for number, slept in enumerate(recorder.slept):
        most = min(first * 2**number, longest)
        assert most / 2 <= slept <= most
    with pytest.raises(SourceError, match=f"GET /, {tries} times") as caught:
        retries.wait("GET /", TryAgainError("broke off"))
    assert not isinstance(caught.value, RateLimitedError)
    assert len(recorder.slept) == tries - 1
    assert recorder.held == []


def test_pauses_differ() -> None:
    recorder = Recorder()
    for _ in range(20):
        Retries(Limits(), recorder).wait("GET /", TryAgainError("broke off"))
    assert len(set(recorder.slept)) > 10


def test_pauses_lie_between_half_of_the_longest_and_all_of_it() -> None:
    recorder = Recorder()
    for _ in range(300):
        Retries(Limits(first_pause=1), recorder).wait("GET /", TryAgainError("broke off"))
    assert 0.5 <= min(recorder.slept) < 0.6
    assert 0.9 < max(recorder.slept) <= 1


def test_who_gives_up_during_a_pause_reads_what_it_was_for() -> None:
    limiter = RateLimiter(1)
    limiter.close(CancelledError("ci: given up"))
    with pytest.raises(CancelledError, match="ci: given up; before that, GET / broke off"):
        Retries(Limits(), limiter).wait("GET / broke off", TryAgainError("broke off"))


def test_a_spent_limit_ends_with_its_time() -> None:
    limiter = RateLimiter(1)
    error = TryAgainError("answered 429", 0.3, limited=True)
    with pytest.raises(RateLimitedError):
        Retries(Limits(longest_wait=0.1), limiter).wait("GET /", error)
    with pytest.raises(RateLimitedError), limiter.slot():
        pass
    time.sleep(0.35)
    with limiter.slot():
        pass


@given(st.lists(st.one_of(st.none(), st.floats(0, 400)), min_size=1, max_size=20))
def test_what_was_asked_for_is_waited_for_and_its_sum_is_capped(
    asked: list[float | None],
) -> None:
    recorder = Recorder()
    retries = Retries(Limits(tries=100), recorder)
    waited = 0.0
    for wait in asked:
        if wait is not None and waited + wait > 300:
            with pytest.raises(RateLimitedError, match=f"asks to wait {wait:.0f} s"):
                retries.wait("GET /", TryAgainError("answered 429", wait, limited=True))
            return
        retries.wait("GET /", TryAgainError("answered 429", wait, limited=True))
        pause = (recorder.slept if wait is None else recorder.held)[-1]
        assert pause >= (wait or 0.0)
        waited += pause
    assert retries.waited == pytest.approx(waited)


def test_the_cap_is_a_wait_that_is_still_waited_for() -> None:
    recorder = Recorder()
    Retries(Limits(), recorder).wait("GET /", TryAgainError("answered 429", 300, limited=True))
    assert recorder.held == [300]
    with pytest.raises(RateLimitedError):
        Retries(Limits(), recorder).wait(
            "GET /", TryAgainError("answered 429", 300.5, limited=True)
        )


def test_zero_seconds_asked_for_are_an_ordinary_pause() -> None:
    recorder = Recorder()
    retries = Retries(Limits(first_pause=1, longest_pause=8), recorder)
    for _ in range(5):
        retries.wait("GET /", TryAgainError("answered 429", 0.0, limited=True))
    for least, held in zip((0.5, 1, 2, 4, 4), recorder.held, strict=True):
        assert least <= held <= 2 * least


def test_a_limit_without_a_time_is_waited_for_a_minute_and_then_ever_longer() -> None:
    recorder = Recorder()
    retries = Retries(Limits(), recorder)
    error = TryAgainError("answered 403", limited=True, unnamed=True)
    retries.wait("GET /", error)
    retries.wait("GET /", error)
    assert recorder.held == [60, 120]
    with pytest.raises(RateLimitedError, match="asks to wait 240 s"):
        retries.wait("GET /", error)


def test_the_first_limit_is_a_minute_whatever_failed_before_it() -> None:
    recorder = Recorder()
    retries = Retries(Limits(), recorder)
    retries.wait("GET /", TryAgainError("broke off"))
    retries.wait("GET /", TryAgainError("answered 403", limited=True, unnamed=True))
    assert recorder.held == [60]


def test_a_limit_again_and_again_is_a_spent_limit() -> None:
    recorder = Recorder()
    retries = Retries(Limits(tries=3), recorder)
    for _ in range(2):
        retries.wait("GET /", TryAgainError("answered 429", 1.0, limited=True))
    with pytest.raises(RateLimitedError, match="3 times"):
        retries.wait("GET /", TryAgainError("answered 429", 1.0, limited=True))
    with pytest.raises(RateLimitedError), recorder.slot():
        pass


# What a provider asks for.


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "17"}, 17),
        (503, {"Retry-After": " 0 "}, 0),
        (200, {}, None),
        (429, {}, None),
        (429, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "-3"}, None),
        (429, {"Retry-After": "²"}, None),
        (429, {"Retry-After": http_date(int(NOW.timestamp()) + 90)}, 90),
        (503, {"Retry-After": http_date(int(NOW.timestamp()) - 90)}, 0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1714996860"}, 60),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "1714996860"}, 60),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "1714996700"}, 0),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "²"}, None),
        (429, {"RateLimit-Remaining": "0"}, None),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "42"}, 42),
        (429, {"RateLimit-User-Remaining": "0", "RateLimit-User-Reset": "41"}, 41),
        (
            429,
            {
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": "7",
                "RateLimit-User-Remaining": "0",
                "RateLimit-User-Reset": "42",
            },
            42,
        ),
        (429, {"RateLimit-Remaining": "3", "RateLimit-Reset": "42"}, None),
        (403, {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "1714996860"}, None),
        (500, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1714996860"}, None),
    ],
)
def test_asked_wait(status: int, headers: dict[str, str], wait: float | None) -> None:
    assert asked_wait(status, headers, NOW) == wait


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_no_header_breaks_the_reader(text: str) -> None:
    headers = {"Retry-After": text, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": text}
    wait = asked_wait(429, headers, NOW)
    assert wait is None or wait >= 0


# Over a socket.


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_a_get_is_tried_again(service: Service, client: Client, status: int) -> None:
    service.script.extend([answer({}, status)] * 2)
    assert client.get("/x").data == {"fine": True}
    assert len(service.seen) == 3


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 418, 422, 501, 505, 300, 305])
def test_what_cannot_get_better_is_asked_once(
    service: Service, client: Client, status: int
) -> None:
    service.usual = answer({"message": "because"}, status)
    kind = NotFoundError if status in (404, 410) else RefusedError if status < 500 else SourceError
    with pytest.raises(kind, match=rf"ci: GET /x answered {status} \(because\)") as caught:
        client.get("/x")
    assert type(caught.value) is kind
    assert len(service.seen) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, TokenRefusedError), (403, ForbiddenError)])
def test_a_refused_token_is_sent_once(
    service: Service, client: Client, status: int, kind: type[TokenRefusedError]
) -> None:
    service.usual = answer({}, status)
    with pytest.raises(TokenRefusedError, match="check the token of source 'ci'") as caught:
        client.get("/x")
    assert type(caught.value) is kind
    assert len(service.seen) == 1


def test_not_found_says_when_by_the_provider_s_clock() -> None:
    with Service(Clock(NOW)) as service, Client(service.url, limits=QUICK) as client:
        service.usual = answer({}, 404)
        with pytest.raises(NotFoundError) as caught:
            client.get("/x")
    assert caught.value.as_of == NOW


def test_it_ends_after_so_many_tries(service: Service, client: Client) -> None:
    service.usual = answer({}, 502)
    with pytest.raises(SourceError, match="ci: GET /x answered 502, 4 times; see whether"):
        client.get("/x")
    assert len(service.seen) == 4


FAULTS = {"503": answer({}, 503), "429": answer({}, 429), "reset": RESET}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_post_is_sent_once(service: Service, client: Client, fault: object) -> None:
    service.script.append(fault)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="was sent once and may have been carried out"):
        client.send("POST", "/runs", body={"x": 1})
    assert len(service.seen) == 1


def test_a_post_whose_answer_is_no_json_is_sent_once(service: Service, client: Client) -> None:
    service.usual = Response(body=b"{")
    with pytest.raises(SourceError, match="no JSON; it was sent once"):
        client.send("POST", "/runs", body={"x": 1})
    assert len(service.seen) == 1


def test_seconds_asked_for_are_waited_for(service: Service, client: Client) -> None:
    service.script.append(answer({}, 503, Retry_After="1"))
    client.get("/x")
    assert 0.99 <= service.times[1] - service.times[0] < 1.6


@pytest.mark.parametrize("hours", [-5, 0, 5])
def test_a_date_asked_for_is_held_against_the_provider_s_clock(hours: int) -> None:
    """Whatever this machine's own clock says."""
    clock = Clock.running(datetime.now(UTC) + timedelta(hours=hours))
    with Service(clock) as service, Client(service.url, limits=QUICK) as client:
        date = http_date(clock.now_ms() // 1000 + 2)
        service.script.append(answer({}, 429, Retry_After=date))
        client.get("/x")
        assert 0.9 <= service.times[1] - service.times[0] < 10


def test_all_wait_while_one_was_asked_to(service: Service, make_client: MakeClient) -> None:
    client = make_client(limits=Limits(first_pause=0.01, longest_wait=5))
    service.script.append(answer({}, 429, Retry_After="1"))
    first = Asker(client, "/a")
    first.start()
    while not service.seen:
        time.sleep(0.01)
    time.sleep(0.1)
    others = [Asker(client, f"/{n}") for n in range(3)]
    for one in others:
        one.start()
    for one in [first, *others]:
        one.join(5)
    assert all(later - service.times[0] >= 0.99 for later in service.times[1:])


def test_zero_seconds_do_not_hammer(service: Service, make_client: MakeClient) -> None:
    client = make_client(limits=Limits(tries=6, first_pause=0.04, longest_pause=0.2))
    service.usual = answer({}, 429, Retry_After="0")
    with pytest.raises(RateLimitedError):
        client.get("/x")
    gaps = [b - a for a, b in zip(service.times, service.times[1:], strict=False)]
    assert len(gaps) == 5
    for least, gap in zip((0.02, 0.04, 0.08, 0.1, 0.1), gaps, strict=True):
        assert gap >= least


def test_too_long_a_wait_is_an_error_at_once(service: Service, client: Client) -> None:
    service.usual = answer({}, 429, Retry_After="3600")
    began = time.monotonic()
    with pytest.raises(RateLimitedError, match=r"answered 429 and asks to wait 3600 s; what came"):
        client.get("/x")
    assert time.monotonic() - began < 10
    assert len(service.seen) == 1


def says_slow_down(status: int, headers: object, body: str) -> bool:
    return status == 403 and "slow down" in body


def test_a_limit_in_the_provider_s_own_words(service: Service, make_client: MakeClient) -> None:
    client = make_client(is_limit=says_slow_down)
    service.script.extend([answer({"message": "slow down"}, 403)] * 2)
    assert client.get("/x").data == {"fine": True}
    gaps = [b - a for a, b in zip(service.times, service.times[1:], strict=False)]
    assert gaps[0] >= QUICK.first_limit_pause
    assert gaps[1] >= 2 * QUICK.first_limit_pause


def test_a_limit_in_its_own_words_with_a_time_is_waited_for_that_long(
    service: Service, make_client: MakeClient
) -> None:
    client = make_client(is_limit=says_slow_down)
    service.script.append(answer({"message": "slow down"}, 403, Retry_After="1"))
    client.get("/x")
    assert 0.99 <= service.times[1] - service.times[0] < 1.6


def test_another_403_is_no_limit(service: Service, make_client: MakeClient) -> None:
    client = make_client(is_limit=says_slow_down)
    service.usual = answer({"message": "not yours"}, 403)
    with pytest.raises(ForbiddenError):
        client.get("/x")
    assert len(service.seen) == 1


def test_limits_allow_fewer_at_once(service: Service, make_client: MakeClient) -> None:
    client = make_client(concurrency=4)
    service.script.append(answer({}, 429, Retry_After="0"))
    client.get("/x")
    service.usual = late(0.05)
    service.reset_log()
    askers = [Asker(client, f"/{n}") for n in range(8)]
    for one in askers:
        one.start()
    for one in askers:
        one.join(5)
    assert service.max_in_flight == 2


def test_answers_that_are_good_allow_more_again(service: Service, make_client: MakeClient) -> None:
    client = make_client(concurrency=4)
    service.script.append(answer({}, 429, Retry_After="0"))
    for _ in range(20):
        client.get("/x")
    service.usual = late(0.1)
    service.reset_log()
    askers = [Asker(client, f"/{n}") for n in range(8)]
    for one in askers:
        one.start()
    for one in askers:
        one.join(5)
    assert service.max_in_flight == 4


def test_an_answer_may_ask_to_wait_before_the_next_request(
    service: Service, make_client: MakeClient
) -> None:
    service.script.append(answer({"n": 1}, Retry_After="1"))
    client = make_client()
    assert client.get("/x").data == {"n": 1}
    client.get("/x")
    assert service.times[1] - service.times[0] >= 0.9


def test_no_answer_holds_for_longer_than_may_be_waited(
    service: Service, make_client: MakeClient
) -> None:
    service.script.append(answer({"n": 1}, Retry_After="86400"))
    client = make_client(limits=replace(QUICK, longest_wait=0.2))
    client.get("/x")
    client.get("/x")
    assert service.times[1] - service.times[0] < 5


def test_a_limit_that_names_no_time_ends_later_requests_too(
    service: Service, make_client: MakeClient
) -> None:
    """For the longest pause, once the tries are over."""
    client = make_client(limits=Limits(tries=1, longest_pause=30))
    service.usual = answer({}, 429)
    for _ in range(3):
        with pytest.raises(RateLimitedError):
            client.get("/x")
    assert len(service.seen) == 1

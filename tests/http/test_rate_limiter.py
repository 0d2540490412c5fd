"""The limiter: how many at once, in which order, when, and whether at all."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.errors import CancelledError, RateLimitedError, TokenRefusedError
from runsync.http.rate_limiter import RateLimiter, http_date


def in_threads(number: int, work: Callable[[int], Any]) -> list[threading.Thread]:
    """Threads that were started one after the other, each once the one before it waits."""
    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(number)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    return threads


def join(threads: list[threading.Thread], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
        assert not thread.is_alive()


def test_at_most_so_many_at_once() -> None:
    limiter, lock, inside, most = RateLimiter(3), threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        for _ in range(30):
            with limiter.slot():
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.004)
                with lock:
                    inside -= 1

    join(in_threads(12, work), 20)
    assert most == 3


def test_first_come_first_served() -> None:
    limiter, served = RateLimiter(1), list[int]()

    def work(number: int) -> None:
        with limiter.slot():
            served.append(number)

    with limiter.slot():
        threads = in_threads(8, work)
        assert served == []
    join(threads)
    assert served == list(range(8))


def test_many_that_come_again_and_again_do_not_starve_one() -> None:
    limiter, stop = RateLimiter(2), threading.Event()
    waits: list[int] = []
    count = 0

    def busy(_: int) -> None:
        nonlocal count
        while not stop.is_set():
            with limiter.slot():
                count += 1
                time.sleep(0.001)

    threads = in_threads(8, busy)
    for _ in range(20):
        before = count
        with limiter.slot():
            waits.append(count - before)
    stop.set()
    join(threads)
    # Only those that were in or in line before it go first. The count is taken before it stands in
    # line, and on a busy machine some may pass between the two.
    assert median(waits) <= 8 + 2
    assert max(waits) <= 8 * 5


def test_an_error_in_a_slot_gives_it_back() -> None:
    limiter = RateLimiter(1)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), limiter.slot():
            raise KeyboardInterrupt
    with limiter.slot():
        pass


def at_once(limiter: RateLimiter, tried: int = 12) -> int:
    """How many get in together."""
    lock, inside, done = threading.Lock(), 0, threading.Event()

    def work(_: int) -> None:
        nonlocal inside
        with limiter.slot():
            with lock:
                inside += 1
            done.wait(5)

    threads = in_threads(tried, work)
    found, still = 0, 0
    while not found or still < 5:  # until no other gets in
        time.sleep(0.02)
        still = still + 1 if found == inside else 0
        found = inside
    done.set()
    join(threads)
    return found


def test_slow_down_halves_and_never_stops() -> None:
    limiter = RateLimiter(9)
    seen = [at_once(limiter)]
    for _ in range(5):
        limiter.slow_down()
        seen.append(at_once(limiter))
    assert seen == [9, 4, 2, 1, 1, 1]


def test_ten_that_went_well_allow_one_more_up_to_the_most() -> None:
    limiter = RateLimiter(4)
    for _ in range(30):
        limiter.went_well()
    assert at_once(limiter) == 4
    limiter.slow_down()
    for _ in range(9):
        limiter.went_well()
    assert at_once(limiter) == 2
    limiter.went_well()
    assert at_once(limiter) == 3
    for _ in range(50):
        limiter.went_well()
    assert at_once(limiter) == 4


def test_slow_down_forgets_what_went_well() -> None:
    limiter = RateLimiter(4)
    limiter.slow_down()
    for _ in range(9):
        limiter.went_well()
    limiter.slow_down()
    limiter.went_well()
    assert at_once(limiter) == 1


def test_one_more_lets_one_in_that_waits() -> None:
    limiter, came = RateLimiter(2), threading.Event()
    limiter.slow_down()

    def work(_: int) -> None:
        with limiter.slot():
            came.set()

    with limiter.slot():
        threads = in_threads(1, work)
        assert not came.is_set()
        for _ in range(10):
            limiter.went_well()
        assert came.wait(2)
    join(threads)


def test_hold_keeps_everybody_out_for_that_long() -> None:
    limiter, times = RateLimiter(2), list[float]()
    limiter.hold(0.3)
    limiter.hold(0.1)  # A shorter one takes nothing away.
    began = time.monotonic()

    def work(_: int) -> None:
        with limiter.slot():
            times.append(time.monotonic() - began)

    join(in_threads(4, work))
    assert 0.29 <= min(times) < 5


def test_a_hold_that_comes_later_holds_those_that_wait_already() -> None:
    limiter, times = RateLimiter(1), list[float]()

    def work(_: int) -> None:
        with limiter.slot():
            times.append(time.monotonic())

    with limiter.slot():
        threads = in_threads(2, work)
        limiter.hold(0.3)
        until = time.monotonic() + 0.3
    join(threads)
    assert min(times) >= until - 0.01


def test_close_ends_every_wait_with_an_error_of_its_own() -> None:
    limiter, errors = RateLimiter(1), list[Exception]()

    def wait_for_a_slot(_: int) -> None:
        try:
            with limiter.slot():
                raise AssertionError
        except CancelledError as error:
            errors.append(error)

    def sleep(_: int) -> None:
        try:
            limiter.sleep(60)
        except CancelledError as error:
            errors.append(error)

    with limiter.slot():
        threads = in_threads(4, wait_for_a_slot) + in_threads(4, sleep)
        began = time.monotonic()
        limiter.close(CancelledError("given up"))
        join(threads, 10)
        assert time.monotonic() - began < 5
    assert [str(e) for e in errors] == ["given up"] * 8
    assert len(set(map(id, errors))) == 8
    with pytest.raises(CancelledError), limiter.slot():
        pass
    with pytest.raises(CancelledError):
        limiter.sleep(0)


def test_close_ends_a_hold() -> None:
    limiter, errors = RateLimiter(1), list[Exception]()
    limiter.hold(60)

    def work(_: int) -> None:
        try:
            with limiter.slot():
                raise AssertionError
        except TokenRefusedError as error:
            errors.append(error)

    threads = in_threads(3, work)
    limiter.close(TokenRefusedError("no"))
    join(threads, 10)
    assert len(errors) == 3


def test_closed_for_a_time_opens_again() -> None:
    limiter = RateLimiter(1)
    limiter.close(RateLimitedError("spent"), 0.2)
    limiter.close(RateLimitedError("spent sooner"), 0.01)  # A shorter one takes nothing away.
    with pytest.raises(RateLimitedError, match=r"^spent$"), limiter.slot():
        pass
    time.sleep(0.21)
    with limiter.slot():
        pass


def test_the_first_that_closes_for_ever_is_what_is_told() -> None:
    limiter = RateLimiter(1)
    limiter.close(RateLimitedError("spent"), 60)
    limiter.close(CancelledError("given up"))
    limiter.close(TokenRefusedError("no"))
    with pytest.raises(CancelledError), limiter.slot():
        pass


def test_sleep_takes_as_long_as_it_should() -> None:
    limiter = RateLimiter(1)
    began = time.monotonic()

    def wake(_: int) -> None:
        for _ in range(50):
            limiter.hold(0)

    waker = in_threads(1, wake)
    limiter.sleep(0.2)
    assert 0.19 <= time.monotonic() - began < 5
    join(waker)


@given(st.integers(0, 4_000_000_000))
def test_a_date_in_a_header_is_read_in_utc(seconds: int) -> None:
    when = datetime.fromtimestamp(seconds, UTC)
    written = formatdate(seconds, usegmt=True)
    assert http_date(written) == http_date(written.replace("GMT", "-0000")) == when
    assert http_date(written.replace("GMT", "+0200")) == when - timedelta(hours=2)


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_date_breaks_the_reader(text: str) -> None:
    assert http_date(text) is None or http_date(text).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "soon", "Mon, 99 Foo", "Fri, 31 Dec 9999 23:59:59 -2300"])
def test_no_date(text: str) -> None:
    assert http_date(text) is None

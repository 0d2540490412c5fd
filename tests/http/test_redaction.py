"""What may be shown: no token, no control characters."""

import base64
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runsync.http.redaction import message_in, origin, path_of, reason, redacted

SECRET = "s3cret/tok+en=="


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {SECRET}"},
        {"authorization": f"token {SECRET}"},
        {"PRIVATE-TOKEN": SECRET},
        {"Cookie": f"session={SECRET}", "Private-Token": SECRET},
        {"Authorization": f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"},
    ],
)
@pytest.mark.parametrize("shown", [SECRET, quote(SECRET, safe="")])
def test_a_secret_is_not_shown(headers: dict[str, str], shown: str) -> None:
    said = redacted(f"you sent {shown}, and {shown}", headers)
    assert said == "you sent ***, and ***"


def test_neither_is_the_whole_of_a_basic_authorization() -> None:
    encoded = base64.b64encode(b"me:secret").decode()
    headers = {"Authorization": f"Basic {encoded}"}
    assert redacted(f"got {encoded} of me", headers) == "got *** of me"


@pytest.mark.parametrize("value", ["", "Basic !", "Basic bm9wZQ==", "Basic /w=="])
def test_odd_headers_break_nothing(value: str) -> None:
    assert redacted("as it was", {"Authorization": value}) == "as it was"


def test_other_headers_are_no_secrets() -> None:
    assert redacted("application/json", {"Accept": "application/json"}) == "application/json"


@pytest.mark.parametrize("longer", ["abcd", "aabcd"])
def test_a_secret_within_another_leaves_nothing_of_it(longer: str) -> None:
    """Whichever of the two comes first, by its header or in the alphabet."""
    for headers in (
        {"Authorization": "Bearer abc", "Cookie": longer},
        {"Authorization": f"Bearer {longer}", "Cookie": "abc"},
    ):
        assert redacted(f"you sent {longer}", headers) == "you sent ***"


@pytest.mark.parametrize("first", [{"Accept": "a b"}, {"Authorization": "Basic !"}])
def test_all_headers_are_looked_at(first: dict[str, str]) -> None:
    assert redacted(f"got {SECRET}", first | {"Private-Token": SECRET}) == "got ***"


def test_a_password_may_hold_a_colon() -> None:
    encoded = base64.b64encode(b"me:one:two").decode()
    assert redacted("got one:two", {"Authorization": f"Basic {encoded}"}) == "got ***"


@given(st.text(max_size=60), st.text(min_size=8, max_size=20), st.text(max_size=20))
def test_no_secret_and_no_control_character_is_left(before: str, secret: str, after: str) -> None:
    assume(" " not in secret and secret not in "***")
    said = redacted(before + secret + after, {"Authorization": f"Bearer {secret}"})
    assert secret not in said
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in said)
    assert not set(said) & set("\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2069")


def test_a_message_is_cut_after_its_secrets_are_out() -> None:
    message = ("x" * 195 + SECRET).encode()
    body = b'{"message": "' + message + b'"}'
    said = message_in(body, {"Authorization": f"Bearer {SECRET}"})
    assert said == f" ({'x' * 195}***)"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": "no\\u001b[31m more"}', " (no [31m more)"),
        (b'{"error": "not_found"}', " (not_found)"),
        (b'{"message": "", "error": "e"}', " (e)"),
        (b'{"message": {"branch": ["is invalid"]}}', ""),
        (b'{"message": 5}', ""),
        (b'["message"]', ""),
        (b"<html>", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
        (b"\xff\xfe", ""),
    ],
)
def test_message_in(body: bytes, said: str) -> None:
    assert message_in(body, {}) == said


def test_a_long_message_is_cut() -> None:
    assert message_in(b'{"message": "' + b"x" * 999 + b'"}', {}) == f" ({'x' * 200})"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://CI.example:443/a?b", "https://ci.example"),
        ("http://ci.example:80", "http://ci.example"),
        ("http://ci.example:443/x", "http://ci.example:443"),
        ("https://ci.example:8443/x", "https://ci.example:8443"),
        ("http://[::1]:80/", "http://[::1]"),
        ("https://me:pw@ci.example/", "https://…@ci.example"),
    ],
)
def test_origin(url: str, found: str) -> None:
    assert origin(url) == found


@pytest.mark.parametrize("url", ["http://[::1", "http://h:port/", "http://h:99999/"])
def test_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        origin(url)


def test_the_reason_is_the_innermost_one() -> None:
    def fail(error: Exception) -> Exception:
        try:
            raise error
        except (OSError, ValueError) as inner:
            outer = RuntimeError("HTTPConnectionPool(host=…, url=/secret)")
            outer.__cause__ = inner
            return outer

    assert reason(fail(TimeoutError())) == "no answer in time"
    assert reason(fail(ConnectionResetError(104, "Connection reset by peer"))) == (
        "Connection reset by peer"
    )
    assert reason(fail(ValueError("with a token"))) == "ValueError"
    assert reason(OSError("Tunnel connection failed")) == "Tunnel connection failed"
    assert reason(OSError()) == "OSError"


def test_a_path_has_no_query() -> None:
    assert path_of("https://ci.example/a/b?signature=c#d") == "/a/b"

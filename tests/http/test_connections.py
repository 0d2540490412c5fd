"""Time-outs, and a deadline for the whole of a request, also over TLS and through a proxy."""

import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runsync.errors import CancelledError, SourceError
from runsync.http.client import Client, Limits
from runsync.simulator.http.wire import Response
from tests.http.conftest import RESET, SILENCE, Asker, MakeClient, Service, late

SOON = Limits(connect=0.5, read=0.5, whole=1, tries=1)


@contextlib.contextmanager
def within(least: float, most: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began < most


def dripping(*, head_too: bool, seconds: float = 10) -> Response:
    """An answer of which a byte comes every tenth of a second, so no read ever waits long."""

    def pieces(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
        if not head_too:
            yield 0, head
        rest = head + body if head_too else body
        for n in range(round(10 * seconds)):
            yield 0.1, rest[n : n + 1]

    return Response(body=b'"' + b"x" * 5000 + b'"', pieces=pieces)


def half(head: bytes, body: bytes) -> Iterator[tuple[float, bytes]]:
    yield 0, head + body[: len(body) // 2]


def test_a_connection_that_is_not_taken(make_client: MakeClient) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        client = make_client(f"http://127.0.0.1:{address[1]}", limits=SOON)
        with within(0.4, 8), pytest.raises(SourceError, match="no answer in time"):
            client.get("/x")
        for filler in fillers:
            filler.close()


def test_nobody_listens(make_client: MakeClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = make_client(f"http://127.0.0.1:{taken.getsockname()[1]}", limits=SOON)
        with pytest.raises(SourceError, match=r"broke off \(Connection refused\)"):
            client.get("/x")


def test_no_answer(service: Service, make_client: MakeClient) -> None:
    service.script.append(SILENCE)
    client = make_client(limits=SOON)
    with within(0.4, 8), pytest.raises(SourceError, match="no answer in time"):
        client.get("/x")
    assert client.get("/x").data == {"fine": True}


def test_half_an_answer_and_then_nothing(service: Service, make_client: MakeClient) -> None:
    service.script.append(Response(body=b'{"a": "bcdefgh"}', pieces=half, ending="hang"))
    client = make_client(limits=SOON)
    with within(0.4, 8), pytest.raises(SourceError, match="no answer in time"):
        client.get("/x")
    assert client.get("/x").data == {"fine": True}


@pytest.mark.parametrize("whole", [0.6, 1.2, 2.2, 2.8])
def test_a_head_cut_by_the_deadline_is_no_answer(
    service: Service, make_client: MakeClient, whole: float
) -> None:
    """A head that ends too early reads like one without a body."""
    service.usual = dripping(head_too=True)
    client = make_client(limits=Limits(read=0.5, whole=whole, tries=1))
    with pytest.raises(SourceError, match="was not done within"):
        client.get_text("/x")


@pytest.mark.parametrize("head_too", [False, True])
def test_a_drip_ends_with_the_deadline(
    service: Service, make_client: MakeClient, head_too: bool
) -> None:
    service.script.append(dripping(head_too=head_too))
    client = make_client(limits=SOON)
    with within(0.9, 8), pytest.raises(SourceError, match="was not done within 1 s, 1 times"):
        client.get("/x")
    assert client.get("/x").data == {"fine": True}


def test_a_deadline_is_each_try_s_own(service: Service, make_client: MakeClient) -> None:
    service.script.append(dripping(head_too=False))
    client = make_client(limits=Limits(read=0.5, whole=1, tries=2, first_pause=0.01))
    with within(0.9, 8):
        assert client.get("/x").data == {"fine": True}


def test_a_slow_answer_within_the_deadline_is_good(
    service: Service, make_client: MakeClient
) -> None:
    service.script.append(late(0.4))
    assert make_client(limits=SOON).get("/x").data == {}


def test_the_watching_thread_goes_and_comes_again(
    service: Service, make_client: MakeClient
) -> None:
    client = make_client(limits=SOON)
    for _ in range(2):
        client.get("/x")
        assert [t for t in threading.enumerate() if t.name == "runsync-deadlines"]
        end = time.monotonic() + 20
        while [t for t in threading.enumerate() if t.name == "runsync-deadlines"]:
            assert time.monotonic() < end
            time.sleep(0.02)
    service.script.append(dripping(head_too=False))
    with within(0.9, 8), pytest.raises(SourceError, match="was not done within"):
        client.get("/x")


def test_a_connection_that_was_closed_meanwhile_is_made_anew(
    service: Service, client: Client
) -> None:
    service.script.append(Response(body=b"{}", ending="close"))
    client.get("/x")
    service.script.append(RESET)
    assert client.get("/x").data == {"fine": True}


def test_connections_are_kept(service: Service, client: Client) -> None:
    opened = []
    service.opened = lambda c, keep=service.opened: (opened.append(c), keep(c))  # type: ignore
    for _ in range(10):
        client.get("/x")
    assert len(opened) == 1


def test_as_many_connections_are_kept_as_ask_at_once(
    service: Service, make_client: MakeClient
) -> None:
    opened = []
    service.opened = lambda c, keep=service.opened: (opened.append(c), keep(c))  # type: ignore
    service.usual = late(0.5)
    client = make_client(concurrency=20)
    for _ in range(2):
        client.each(lambda n: client.get(f"/{n}"), range(20))
    assert len(opened) <= 20


def test_a_client_that_is_closed_hangs_up(service: Service, make_client: MakeClient) -> None:
    hung_up = threading.Event()
    service.closed = lambda c, drop=service.closed: (hung_up.set(), drop(c))  # type: ignore
    with make_client() as client:
        client.get("/x")
        assert not hung_up.is_set()
    assert hung_up.wait(5)


# Through a proxy.


def test_a_proxy_of_the_environment_is_used(
    service: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", service.url)
    client = make_client("http://ci.example", limits=SOON)
    assert client.get("/x").data == {"fine": True}
    assert service.seen[0].path == "http://ci.example/x"
    service.script.append(dripping(head_too=True))
    with within(0.9, 8), pytest.raises(SourceError, match="was not done within"):
        client.get("/x")


def test_a_proxy_is_not_used_for_a_host_that_is_excepted(
    service: Service, other: Service, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("http_proxy", other.url)
    make_client().get("/x")
    assert (len(service.seen), len(other.seen)) == (1, 0)


# Over TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key, in one file; it is its own authority."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_service(certificate: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Answers ``/drip`` a byte at a time, and all else at once; its URL, and what it was asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[bytes] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n"

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as one:
            asked.append(one.recv(65536))
            if b"/drip" not in asked[-1]:
                one.sendall(head + b'"' + b"x" * 4998 + b'"')
                return
            one.sendall(head)
            for _ in range(100):
                time.sleep(0.1)
                one.sendall(b'"')

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


def test_a_certificate_nobody_vouches_for_is_refused_once(
    tls_service: tuple[str, list[bytes]],
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, asked = tls_service
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with pytest.raises(SourceError, match=r"certificate of localhost:\d+ is not trusted"):
        make_client(url).get("/x")
    assert asked == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_one_s_own_authority(
    tls_service: tuple[str, list[bytes]],
    make_client: MakeClient,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, str(certificate))
    assert len(make_client(tls_service[0]).get("/x").data) == 4998


def test_a_bundle_that_is_not_there(
    tls_service: tuple[str, list[bytes]], make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    with pytest.raises(SourceError, match="invalid path: /no/such/file"):
        make_client(tls_service[0]).get("/x")


def test_a_drip_over_tls_ends_with_the_deadline_and_with_cancel(
    tls_service: tuple[str, list[bytes]],
    make_client: MakeClient,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    client = make_client(tls_service[0], limits=Limits(whole=1, tries=1))
    with within(0.9, 8), pytest.raises(SourceError, match="was not done within 1 s"):
        client.get("/drip")
    patient = make_client(tls_service[0], limits=Limits(read=60, whole=60))
    asker = Asker(patient, "/drip")
    asker.start()
    time.sleep(0.5)
    patient.cancel()
    asker.join(10)
    assert isinstance(asker.result, CancelledError)

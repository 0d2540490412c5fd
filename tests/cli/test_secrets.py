"""Tokens, passwords and the values of variables are nowhere but where they belong."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from runsync.cli import run as run_command
from runsync.simulator import Simulator, World
from tests.cli.conftest import TOKEN, Shell
from tests.cli.every_command import BUILD, commands, every_command, takes_a_format

VALUE = "canary-of-a-variable"
PASSWORD = "canary-of-a-password"
SECRETS = (TOKEN, VALUE, PASSWORD)


@pytest.fixture
def run(world: World) -> str:
    """An unfinished run, so that each sync reads its detail, with a secret variable."""
    variables = [("DEPLOY_KEY", VALUE)]
    world.add_run(BUILD, status="finished", env_vars=variables)
    return world.add_run(BUILD, status="running", env_vars=variables)


def assert_no_secret_in_files(home: Path) -> None:
    for path in home.rglob("*"):
        if path.is_file() and path.name != "the-token":
            for secret in SECRETS:
                assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("place", "flags"),
    [("token_env", ["-vv"]), ("token_file", ["--debug", "-v"]), ("token_command", ["--json"])],
)
def test_no_command_tells_a_secret(
    shell: Shell, home: Path, run: str, place: str, flags: list[str]
) -> None:
    put_token(home, place)
    said = ""
    for args in [["sync"], *every_command(run), ["sync", "--full"]]:
        known = [flag for flag in flags if flag != "--json" or takes_a_format(args)]
        ended = shell(*args, *known)
        assert "this is a bug" not in ended.err, args
        said += ended.out + ended.err
    for secret in SECRETS:
        assert secret not in said
    assert "DEPLOY_KEY=***" in said
    assert_no_secret_in_files(home)


def put_token(home: Path, place: str) -> None:
    """The token where this key of the config says."""
    config, file = home / "runsync.toml", home / "the-token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    places = {
        "token_env": 'token_env = "WERCKER_TOKEN"',
        "token_file": f'token_file = "{file}"',
        "token_command": f'token_command = ["cat", "{file}"]',
    }
    config.write_text(config.read_text().replace(places["token_env"], places[place]))


def test_a_variable_s_value_is_sent_shown_on_request_and_stored_nowhere(
    shell: Shell, home: Path, simulator: Simulator
) -> None:
    started = shell("runs", "trigger", BUILD, "--env", f"DEPLOY_KEY={VALUE}", "--json", "-vv")
    assert VALUE not in started.out + started.err
    assert VALUE in shell("runs", "show", started.data["id"], "--show-env").out
    assert shell("sync", "-vv").code == 0
    assert_no_secret_in_files(home)


# Services that give back what they were sent.


class _Echo(BaseHTTPRequestHandler):
    """Answers with all that it was sent, in the body and the headers, under ``status``."""

    status = 403
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        sent = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"message": f"denied: {sent.get('authorization')}", "sent": sent})
        self.send_response(self.status, f"No {sent.get('authorization')}")
        self.send_header("Content-Length", str(len(body.encode())))
        self.send_header("X-Echo", sent.get("authorization", ""))
        self.send_header("Location", f"https://elsewhere.invalid/?token={TOKEN}")
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - named by http.server

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(params=[302, 400, 401, 403, 404])
def echo(request: pytest.FixtureRequest, home: Path, simulator: Simulator) -> Iterator[Path]:
    """A config for a service that gives back what it was sent."""
    handler = type("Echo", (_Echo,), {"status": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    config = home / "runsync.toml"
    url = f"http://127.0.0.1:{server.server_port}"
    config.write_text(config.read_text().replace(simulator.url, url))
    yield home
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_service_that_gives_the_token_back(echo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    talking = [args for args in every_command("c" * 24) if args[0] in ("sync", "verify", "runs")]
    for args in [*talking, ["doctor"], ["status", "--json"]]:
        run_command([*args, "-vv", "--debug"])
        captured = capfd.readouterr()
        assert TOKEN not in captured.out + captured.err, args
    assert_no_secret_in_files(echo)


# The database's password.


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/ci",
        f"postgresql://me@127.0.0.1:1/ci?password={PASSWORD}",
        f"postgresql://me:{PASSWORD}@[bad/ci",
        f"mysql://me:{PASSWORD}@127.0.0.1/ci",
    ],
)
def test_the_password_of_the_database(
    shell: Shell, home: Path, run: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", url)
    for args in every_command(run):
        ended = shell(*args, "-vv")
        assert PASSWORD not in ended.out + ended.err, args
        assert "this is a bug" not in ended.err, args


def test_every_command_is_tried(run: str) -> None:
    assert len(list(every_command(run))) == len(list(commands())) > 25

"""A folder with a config in it, a simulated service behind it, and a way to call runsync there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runsync.cli import run
from runsync.cli.logs import start_logging
from runsync.simulator import Clock, Simulator, World

NOW = datetime(2024, 5, 15, 14, 0, tzinfo=UTC)
TOKEN = "sesame-4711-open"


@dataclass(frozen=True)
class Ended:
    """How a call of runsync ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Shell = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _as_loud_as_usual() -> None:
    """A call with ``-q`` in a test before, in this process, has made everything quiet."""
    start_logging()


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str]) -> Shell:
    """Calls runsync in this process; every error has become a sentence and an exit code."""

    def call(*args: object) -> Ended:
        capfd.readouterr()
        code = run([str(arg) for arg in args])
        sys.stdout.flush()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, of the test's own, with no config in it or anywhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def world() -> World:
    """Two pipelines of one application, `build` and `deploy`; the clock stands still."""
    world = World(Clock(NOW), seed=7)
    start = NOW - timedelta(days=90)
    world.add_pipeline("build", id="b" * 24, application_id="a" * 24, created_at=start)
    world.add_pipeline("deploy", id="d" * 24, created_at=start)
    return world


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    """The service that knows ``world`` and refuses whoever has no token."""
    with Simulator(world, token=TOKEN) as simulator:
        yield simulator


@pytest.fixture
def home(folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a config for ``simulator`` that names both pipelines."""
    monkeypatch.setenv("WERCKER_TOKEN", TOKEN)
    config = folder / "runsync.toml"
    config.write_text(
        f"""
        [sources.wercker]
        base_url = "{simulator.url}"
        token_env = "WERCKER_TOKEN"

        [[pipelines]]
        id = "{"b" * 24}"
        name = "our-build"

        [[pipelines]]
        application_id = "{"a" * 24}"

        [[checks]]
        report = "pass-rates"
        below = {{ pass_rate = 0.6 }}
        """
    )
    return folder


def process(*args: object, **settings: Any) -> "subprocess.Popen[bytes]":
    """runsync in a process of its own, as a shell would call it."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= settings.pop("env", {})
    program = settings.pop("program", ["-m", "runsync"])
    return subprocess.Popen(
        [sys.executable, *program, *map(str, args)],
        stdout=settings.pop("stdout", subprocess.PIPE),
        stderr=settings.pop("stderr", subprocess.PIPE),
        env=environment,
        preexec_fn=_hears_ctrl_c,
        **settings,
    )


def _hears_ctrl_c() -> None:
    """Tests that run in the background of a script would hand down that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(done: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until ``done``; another process, or another thread, has to come so far."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.02)

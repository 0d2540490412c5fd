"""``runsync demo``, and what it leaves alone."""

from pathlib import Path

import pytest

from runsync.cli import demo
from tests.cli.conftest import Shell


def test_a_demo_runs_again_but_not_over_what_was_edited(shell: Shell, folder: Path) -> None:
    ours = folder / "runsync-demo"
    for _ in range(2):
        ended = shell("demo", "--runs", "30")
        assert ended.code == 0, ended.err
    (ours / "mine.sql").write_text("SELECT 1")
    config = ours / "runsync.toml"
    edited = config.read_text() + '[sync]\nsince = "2024-01-01"\n'
    config.write_text(edited)
    ended = shell("demo", "--runs", "30")
    assert (ended.code, ended.out) == (2, "")
    assert "is not as the demo wrote it, and stays as it is" in ended.err
    assert config.read_text() == edited
    assert (ours / "runsync.db").exists()
    config.unlink()
    assert shell("demo", "--runs", "30").code == 2
    assert (ours / "runsync.db").exists()


def test_what_it_suggests_can_be_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / ".venv" / "bin" / "runsync"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", [".venv/bin/runsync", "demo"])
    assert demo._as_typed() == ".venv/bin/runsync"
    monkeypatch.setenv("PATH", str(program.parent))
    assert demo._as_typed() == "runsync"
    monkeypatch.setattr("sys.argv", ["/usr/lib/python3/runsync/__main__.py"])
    assert demo._as_typed() == "runsync"

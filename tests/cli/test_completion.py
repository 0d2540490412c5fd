"""What the shell offers while something is typed."""

from pathlib import Path

import pytest

from runsync.simulator import Simulator, World
from tests.cli.conftest import Shell, process

BUILD = "b" * 24


def offered(*words: str) -> list[str]:
    """What bash is told for the last word, in a process of its own, as it does it."""
    line = ["runsync", *words]
    env = {
        "_RUNSYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    script = "import sys; from runsync.cli import main; sys.argv = ['runsync']; main()"
    with process(program=["-c", script], env=env) as shell:
        out, err = shell.communicate(timeout=30)
    assert err == b""
    return out.decode().split("\n")[:-1] if out.endswith(b"\n") else out.decode().split("\n")


@pytest.fixture
def synced(shell: Shell, home: Path, world: World) -> Path:
    for pipeline in (BUILD, "d" * 24):
        world.add_run(pipeline, status="finished")
    assert shell("sync").code == 0
    return home


def test_completion_offers_what_can_be_typed(synced: Path, simulator: Simulator) -> None:
    simulator.reset_log()
    assert offered("sync", "our") == ["our-build"]
    assert "deploy" in offered("status", "")
    assert offered("report", "pass-rates", "--by", "bra") == ["branch"]
    assert offered("report", "compare", "--report", "step-d") == ["step-durations"]
    assert offered("runs", "list", "--pipeline", "dep") == ["deploy"]
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sta"], ["status"]),
        (["report", "qu"], ["queue-times"]),
        (["report", "pass-rates", "--every", ""], ["day", "week", "month"]),
        (["runs", "list", "--source", ""], ["wercker"]),
        (["runs", "list", "--sort", ""], ["creationDateAsc", "creationDateDesc"]),
    ],
)
def test_completion_before_anything_was_synced(
    home: Path, words: list[str], expected: list[str]
) -> None:
    assert offered(*words) == expected


def test_completion_is_silent_about_a_broken_config(folder: Path) -> None:
    (folder / "runsync.toml").write_text("broken = ")
    assert offered("sync", "") in ([], [""])

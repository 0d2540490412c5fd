"""Every command and option that is documented exists, and says what it is for."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from runsync.cli import COMMANDS, app
from tests.cli.conftest import Shell

DATA = ["--format", "--json"]
LIST = ("--application --pipeline --limit --skip --sort --status --result --branch --commit "
        "--source-run --author").split()  # fmt: skip
REPORT = ["--since", "--until", "--pipeline", "--branch", "--by", "--every", "--output", *DATA]
DOCUMENTED: dict[str, list[str]] = {
    "init": [],
    "sync": ["--since", "--full", "--concurrency", "--wait", "--dry-run", "--every", "--upgrade"],
    "status": ["--max-age", "--incomplete", "--output", *DATA],
    "verify": ["--repair", "--archived", "--archive", *DATA],
    "report pass-rates": REPORT,
    "report step-durations": [*REPORT, "--result"],
    "report aborts": REPORT,
    "report queue-times": REPORT,
    "report run-durations": [*REPORT, "--result", "--busy"],
    "report recovery": REPORT,
    "report flaky": REPORT,
    "report changes": REPORT,
    "report failures": REPORT,
    "report broken": REPORT,
    "report time": REPORT,
    "report compare": ["--figure", *(option for option in REPORT if option != "--every")],
    "report html": ["--output"],
    "check": ["--webhook-env", *DATA],
    "query": ["--timeout", "--max-rows", "--i-know", *DATA],
    "export": ["--format"],
    "runs list": [*LIST, "--source", *DATA],
    "runs show": ["--source", "--show-env", *DATA],
    "runs steps": ["--source", *DATA],
    "runs log": ["--source"],
    "runs trigger": [
        "--branch", "--commit", "--message", "--env", "--source-run", "--wait", "--show-env",
        "--source", *DATA,
    ],
    "runs abort": ["--source", "--show-env", *DATA],
    "pipelines": DATA,
    "db upgrade": [*DATA, "--partitions"],
    "db check": DATA,
    "db current": DATA,
    "db backup": [],
    "db prune": ["--before", "--archived", "--archive", "--dry-run", "--yes", *DATA],
    "simulate": ["--port", "--seed", "--runs", "--latency", "--arrivals", "--fault"],
    "demo": [],
    "doctor": DATA,
    "schedule cron": [],
    "schedule systemd": [],
    "schedule kubernetes": ["--image"],
    "schedule dockerfile": ["--image"],
}  # fmt: skip


def found(name: str) -> Any:
    command: Any = get_command(app)
    for word in name.split():
        command = command.commands[word]
    return command


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_command_has_help_and_its_options(shell: Shell, name: str) -> None:
    ended = shell(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: runsync {name} ")
    for option in DOCUMENTED[name]:
        assert f" {option} " in ended.out.replace(",", " ").replace("\n", " "), option


WITHOUT_CONFIG = ("demo", "simulate", "schedule dockerfile")


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if name not in WITHOUT_CONFIG])
def test_every_command_takes_a_config(name: str) -> None:
    assert "config" in {param.name for param in found(name).params}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_option_and_argument_says_what_it_is_for(name: str) -> None:
    command = found(name)
    with command.make_context(name, [], resilient_parsing=True) as context:
        for param in command.params:
            assert param.get_help_record(context)[1].split("[")[0], param.name


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_command_has_an_example_that_can_be_typed(name: str) -> None:
    command = found(name)
    examples = [line for line in command.help.splitlines() if line.startswith("Example: ")]
    assert len(examples) == 1
    typed = shlex.split(examples[0].removeprefix("Example: "))
    words = ["runsync", *name.split()]
    assert typed[: len(words)] == words
    with command.make_context(name, typed[len(words) :]) as context:
        assert context.params


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_command_can_be_made_to_say_more_or_less(name: str) -> None:
    assert {"verbose", "quiet", "debug"} <= {param.name for param in found(name).params}


def test_no_command_is_left_undocumented() -> None:
    names = set()
    for name in COMMANDS:
        inner = getattr(found(name), "commands", None)
        names |= {f"{name} {word}" for word in inner} if inner else {name}
    assert names == set(DOCUMENTED)


def test_the_help_of_all_tells_what_the_help_of_each_tells(shell: Shell) -> None:
    text = shell("--help").out
    for name, lazy in COMMANDS.items():
        assert f"  {name} " in text
        assert lazy.help.rstrip(".").split()[0] in text
    assert "75 another sync holds the lock" in " ".join(text.split())


README = Path(__file__).parents[2] / "README.md"


def test_the_readme_tells_of_every_command() -> None:
    table = README.read_text(encoding="utf-8").partition("## Commands")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `runsync ")]
    told = set()
    for row in rows:
        first, _, rest = row.strip("| ").partition(" | ")
        name, *inner = first.strip("`").removeprefix("runsync ").split()
        words = re.findall(r"[a-z-]+", " ".join(inner)) if inner[:1] != ["…"] else []
        words = words or re.findall(r"`([a-z-]+)`", rest)
        told |= {name} | {f"{name} {word}" for word in words}
    assert set(DOCUMENTED) - told == set()


def test_the_readme_tells_of_every_exit_code(shell: Shell) -> None:
    told = re.search(r"Exit codes: (.*?)\n\n", README.read_text(encoding="utf-8"), re.DOTALL)
    assert told is not None
    codes = re.findall(r"(?:^|; )(\d+) ", " ".join(told[1].split()))
    shown = " ".join(shell("--help").out.split()).partition("Exit codes: ")[2]
    assert codes == re.findall(r"(?:^|; )(\d+) ", shown)
    assert "6" in codes

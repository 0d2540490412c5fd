"""Every command of runsync, with arguments that make it do its work on the home folder."""

from collections.abc import Iterator, Sequence
from typing import Any

from typer.main import get_command

from runsync.cli import COMMANDS, app

BUILD = "b" * 24
STAYING = ("demo", "simulate")
"""They bring, or are, a service of their own, and are tested in their own files."""
FORMATS = ("table", "json", "csv", "markdown")


def every_command(run: str, *, changing: bool = True) -> Iterator[list[str]]:
    """The words of each command, with its arguments; ``run`` is the id of a run.

    Args:
        changing: whether those that change the service are among them.
    """
    arguments = {
        "init": ["--path", "another.toml"],
        "query": ["SELECT * FROM v_runs JOIN v_steps ON v_steps.run_id = v_runs.id"],
        "db backup": ["copied.db"],
        "export": ["exported", "--format", "csv"],
        "verify": ["--repair"],
        "report html": ["--output", "page.html"],
        "runs list": ["--pipeline", BUILD],
        "runs show": [run],
        "runs steps": [run],
        "runs log": [run],
        "runs trigger": [BUILD, "--message", "again"],
        "runs abort": [run],
    }
    for words in commands():
        name = " ".join(words)
        if changing or name not in ("runs trigger", "runs abort", "init"):
            yield [*words, *arguments.get(name, [])]


def commands() -> Iterator[list[str]]:
    """The words of each command, but of those that stay."""
    root: Any = get_command(app)
    for name in COMMANDS:
        inner = getattr(root.commands[name], "commands", None)
        if name not in STAYING:
            yield from ([name, word] for word in inner) if inner else [[name]]


def takes_a_format(words: Sequence[str]) -> bool:
    """Whether the command writes data in the four formats."""
    command: Any = get_command(app)
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    return "as_json" in {param.name for param in command.params}

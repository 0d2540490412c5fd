"""Commands that load when they are called, so that ``runsync --help`` need not load them all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from runsync.cli.logs import shared_options


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is: ``.sync:sync`` in this package, a function or a ``typer.Typer``."""

    section: str
    place: str
    help: str


class LazyCommands(Mapping[str, Any]):
    """Commands by name; each is imported and built when it is first taken out."""

    def __init__(self, lazy: Mapping[str, LazyCommand]) -> None:
        self._lazy = lazy
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name, self._lazy[name].place)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lazy)

    def __len__(self) -> int:
        return len(self._lazy)


class LazyGroup(TyperGroup):
    """A group whose help is written from a table, without loading what the table names."""

    lazy: Mapping[str, LazyCommand] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": {}})
        self.commands = LazyCommands(self.lazy)  # type: ignore[assignment]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands under their sections."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, lazy in self.lazy.items():
            sections.setdefault(lazy.section, []).append((name, lazy.help))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


class PlainGroup(TyperGroup):
    """A group whose help shows whole sentences; Click would cut them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands, each with the first paragraph of its help."""
        rows = [
            (name, " ".join((command.help or "").partition("\n\n")[0].split()))
            for name, command in self.commands.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _build(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module, "runsync.cli"), attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None
        found.info.cls = PlainGroup
        group = get_group(found)
        group.name = name
        for command in (group, *group.commands.values()):
            command.params += shared_options()
        return group
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command(name)(found)
    made = get_command(holder)
    made.params += shared_options()
    return made

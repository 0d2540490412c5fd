"""``runsync init --discover``: what a token can see, and its way into the config."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from runsync import config as settings
from runsync.cli.app_context import load_config, open_sources, source_config
from runsync.cli.output import Format, emit, note, warn, write_file
from runsync.config import Config, PipelineConfig
from runsync.errors import ConfigError, NotFoundError, SourceError
from runsync.records import Problem
from runsync.toml_table import quoted

if TYPE_CHECKING:
    from runsync.sources.base import Discovered, Source

COLUMNS = ("number", "key", "value", "title", "within", "configured")
SPARE = ("within", "configured", "key", "title")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_QUESTION = "Which ones are to be kept? Numbers such as 1 3-5, names or patterns such as 'acme/*'"


def discover(
    path: Path | None, source: str, patterns: Sequence[str], format: Format | None
) -> None:
    """Lists what the token of a source can see, and writes what is chosen into the config.

    Args:
        patterns: what to choose, by value or title; nothing: a person at a terminal is asked.

    Raises:
        ConfigError: there is no such source, or a pattern fits nothing that the token sees.
        SourceError: the service cannot be read.
    """
    config = load_config(path)
    source_config(config, source)
    with open_sources(config, [source]) as opened:
        found = [*_usable(opened[source])]
        there = _configured(config, opened[source], found)
    emit(_rows(found, there), columns=COLUMNS, format=format, spare=SPARE)
    if not found and patterns:
        raise ConfigError(
            f"the token of {source} sees nothing that could be added; look whose it is"
        )
    if not found:
        note(f"the token of {source} sees nothing; `runsync doctor` says whose it is")
        return
    if not patterns and format is None and sys.stdin.isatty() and sys.stderr.isatty():
        patterns = typer.prompt(_QUESTION, default="", show_default=False, err=True).split()
    if not patterns:
        note("nothing was written; choose with --add, such as --add 'acme/*', or --add '*' for all")
        return
    _write(config, source, _without_parts(_chosen(found, patterns)), there)


def _usable(source: "Source") -> Iterator["Discovered"]:
    """What the token sees, each once; what the source could not be asked for is named instead."""
    seen = set()
    for one in _found(source):
        if isinstance(one, Problem):
            warn(f"left out: {one.what}")
            continue
        if (one.key, one.value) in seen:
            continue
        seen.add((one.key, one.value))
        try:
            source.listing(_entry_of(source, one))
        except ConfigError as error:
            warn(f"left out: {error}")
        else:
            yield one


def _found(source: "Source") -> Iterator["Discovered | Problem"]:
    try:
        yield from source.discover()
    except NotFoundError as error:
        what = str(error).partition(";")[0]
        raise SourceError(f"{what}, so what its token sees is not known; check base_url") from None


def _entry_of(source: "Source", one: "Discovered") -> PipelineConfig:
    return PipelineConfig(source.name, **{one.key: one.value})


def _configured(
    config: Config, source: "Source", found: Iterable["Discovered"]
) -> set["Discovered"]:
    """Those that the config names already, in whatever form."""
    known = {source.listing(one).key for one in config.pipelines if one.source == source.name}

    def is_known(one: "Discovered") -> bool:
        return source.listing(_entry_of(source, one)).key in known

    return {one for one in found if is_known(one)}


def _rows(found: Sequence["Discovered"], there: set["Discovered"]) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "key": one.key,
            "value": one.value,
            "title": one.title,
            "within": one.within,
            "configured": one in there,
        }
        for number, one in enumerate(found, start=1)
    ]


def _chosen(found: Sequence["Discovered"], patterns: Sequence[str]) -> list["Discovered"]:
    """What the patterns mean, in the order in which it was found."""
    picked: set[int] = set()
    for pattern in patterns:
        places = _named(found, pattern) or _numbered(found, pattern)
        if not places:
            raise ConfigError(f"{pattern!r} is nothing that the token can see; nothing was written")
        picked |= places
    return [found[place] for place in sorted(picked)]


def _named(found: Sequence["Discovered"], pattern: str) -> set[int]:
    return {
        place
        for place, one in enumerate(found)
        if fnmatchcase(one.value, pattern) or fnmatchcase(one.title, pattern)
    }


def _numbered(found: Sequence["Discovered"], pattern: str) -> set[int]:
    """The places of ``3`` or ``3-5``, as they are numbered in the table."""
    numbers = _RANGE.fullmatch(pattern)
    if numbers is None:
        return set()
    first, last = int(numbers[1]), int(numbers[2] or numbers[1])
    return {place for place in range(len(found)) if first <= place + 1 <= last}


def _without_parts(chosen: Iterable["Discovered"]) -> list["Discovered"]:
    """What stands for several pipelines brings those in it along."""
    chosen = list(chosen)
    wholes = {word for one in chosen if one.key != "id" for word in (one.value, one.title)}
    return [one for one in chosen if one.key != "id" or one.within not in wholes]


def _write(
    config: Config, source: str, chosen: Sequence["Discovered"], there: set["Discovered"]
) -> None:
    path = config.path
    assert path is not None  # noqa: S101 - sources come from a file alone
    new = [one for one in chosen if one not in there]
    before = path.read_text(encoding="utf-8")
    text = before.rstrip("\n") + "\n" + "".join(_entry(source, one) for one in new)
    try:
        settings.parse(text, path)
    except ConfigError as error:
        raise ConfigError(
            f"{path} stays as it is, since with these [[pipelines]] it could not be read: {error}"
        ) from None
    if new:
        write_file(path, text)
    kept = len(chosen) - len(new)
    note(f"{path}: {len(new)} [[pipelines]] added" + (f", {kept} were there" if kept else ""))
    note("next: runsync sync")


def _entry(source: str, one: "Discovered") -> str:
    title = "" if one.title == one.value else f"  # {_printable(one.title)}"
    return f"\n[[pipelines]]\nsource = {quoted(source)}\n{one.key} = {quoted(one.value)}{title}\n"


def _printable(title: str) -> str:
    """A title may hold what ends a comment."""
    return "".join(char if char.isprintable() else " " for char in title)[:100]

"""Options that many commands share, and how what people type becomes times and spans."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from runsync import timespan
from runsync.cli.output import Format
from runsync.errors import ConfigError


def _given_before_the_subcommand(ctx: typer.Context, value: Path | None) -> Path | None:
    if value is not None or ctx.parent is None:
        return value
    given: Path | None = ctx.find_root().params.get("config")
    return given


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        callback=_given_before_the_subcommand,
        help="The config file; else RUNSYNC_CONFIG, ./runsync.toml, or the user's own.",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="How to write it; by the name of --output, else a table."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to FILE instead of stdout."),
]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="Which [sources.NAME], where several are."),
]
ShowEnvOption = Annotated[
    bool, typer.Option("--show-env", help="Show the values of environment variables.")
]


def chosen(format: Format | None, as_json: bool) -> Format | None:
    """What ``--format`` and ``--json`` say together; None where neither was given.

    Raises:
        ConfigError: they contradict each other.
    """
    if as_json and format not in (None, Format.JSON):
        raise ConfigError(f"--json and --format {format} contradict each other; keep one")
    return Format.JSON if as_json else format


def when(text: str, *, now: datetime | None = None) -> datetime:
    """The UTC time that ``text`` names: an ISO date or time, or an age such as ``30d``.

    Without a zone UTC is meant.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return timespan.moment(text, now=now)
    except (ValueError, OverflowError):
        raise ConfigError(f"{text!r} is no time; {timespan.EXAMPLES}") from None


def span(text: str) -> timedelta:
    """The span that ``text`` names, such as ``90s``, ``15m``, ``12h``, ``30d``, ``2w``.

    Raises:
        ConfigError: it names none, or one of no length.
    """
    try:
        found = timespan.span(text)
    except OverflowError:
        found = None
    if not found:
        raise ConfigError(f"{text!r} is no span of time; write one such as 90s, 15m, 12h or 30d")
    return found


def seconds(text: str) -> float:
    """The seconds that ``text`` names: a span, or a bare number such as ``30`` or ``0.5``.

    Raises:
        ConfigError: it names none, or no time at all.
    """
    try:
        bare = float(text)
    except ValueError:
        return span(text).total_seconds()
    if not 0 < bare < 1e7:
        raise ConfigError(f"{text!r} is no span of time; write one such as 90s, 15m, 12h or 30d")
    return bare

"""Options that many commands share, and the reading of times and spans."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from runsync import timespan
from runsync.cli.completion import offer_pipelines, offer_sources
from runsync.cli.output import Format
from runsync.errors import ConfigError

_LONGEST = timedelta(days=36_525)


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
        help="The config file; else RUNSYNC_CONFIG, ./runsync.toml, or the user's config.",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="How to write the data; a table if not given."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short form of --format json.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE, in the format that .json, .csv, .md, .xlsx or .txt at its end says.",
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="NAME",
        autocompletion=offer_sources,
        help="A [sources.NAME], where there are several.",
    ),
]
PipelinesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PIPELINE",
        autocompletion=offer_pipelines,
        help="Names, ids, or how they begin; all pipelines if none is given.",
    ),
]
ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="An archive: a folder, or a URL such as s3://bucket/ci.",
    ),
]
ShowEnvOption = Annotated[
    bool, typer.Option("--show-env", help="Show the values of environment variables.")
]


def chosen(format: Format | None, as_json: bool) -> Format | None:
    """The format that ``--format`` and ``--json`` choose; None where neither was given.

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
        raise ConfigError(f"{text!r} is not a time; {timespan.EXAMPLES}") from None


def span(text: str) -> timedelta:
    """The length of time that ``text`` names, such as ``90s``, ``15m``, ``12h``, ``30d``, ``2w``.

    Raises:
        ConfigError: it names none, zero, or more than a century.
    """
    try:
        found = timespan.span(text)
    except OverflowError:
        found = None
    if not found or found > _LONGEST:
        raise ConfigError(
            f"{text!r} is not a length of time; write one such as 90s, 15m, 12h or 30d"
        )
    return found


def seconds(text: str) -> float:
    """The seconds that ``text`` names: a length of time, or a number such as ``30`` or ``0.5``.

    Raises:
        ConfigError: it names none, or zero.
    """
    try:
        bare = float(text)
    except ValueError:
        return span(text).total_seconds()
    if not 0 < bare < 1e7:
        raise ConfigError(
            f"{text!r} is not a length of time; write one such as 90s, 15m, 12h or 30d"
        )
    return bare

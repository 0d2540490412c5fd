"""``runsync export``: runs and steps as files."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from runsync.cli.app_context import archive_place, load_config, open_database
from runsync.cli.options import ConfigOption
from runsync.cli.output import note
from runsync.config import nearest
from runsync.errors import ConfigError


def export(
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR",
            help="A folder, made if needed, or a URL such as s3://bucket/ci; default: [archive].",
        ),
    ] = None,
    config: ConfigOption = None,
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="parquet or csv.")
    ] = "parquet",
) -> None:
    """Write runs and steps as files: an archive that reports read, too.

    When run again, it writes only what has changed. What the database does not hold any more stays.

    Example: runsync export history/
    """
    from runsync.archive.export import FORMATS
    from runsync.archive.export import export as run_export
    from runsync.archive.summary import Summary

    if format not in FORMATS:
        raise ConfigError(f"--format {format!r} is not known; {nearest(format, FORMATS)}")

    def watch(month: str, so_far: Summary) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{month}: {so_far.runs} runs, {so_far.steps} steps")
            sys.stderr.flush()

    settings = load_config(config, needed=False)
    target = archive_place(settings, place)
    with closing(open_database(settings)) as database:
        done = run_export(database, target, format=format, watch=watch)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    note(
        f"{target}: wrote {done.written} months ({done.runs} runs, {done.steps} steps); "
        f"{done.unchanged} months are as they were"
    )

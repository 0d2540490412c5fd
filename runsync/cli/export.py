"""``runsync export``: runs and steps as files."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from runsync.cli.app_context import open_database
from runsync.cli.options import ConfigOption
from runsync.cli.output import note
from runsync.config import nearest
from runsync.errors import ConfigError


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write to; it is created if needed.")
    ],
    config: ConfigOption = None,
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="parquet or csv.")
    ] = "parquet",
) -> None:
    """Write runs and steps as files, one folder per pipeline and month.

    When run again, it writes only the months that have changed.

    Example: runsync export history/
    """
    from runsync.archive.export import FORMATS, Summary
    from runsync.archive.export import export as run_export

    if format not in FORMATS:
        raise ConfigError(f"--format {format!r} is not known; {nearest(format, FORMATS)}")

    def watch(month: str, so_far: Summary) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{month}: {so_far.runs} runs, {so_far.steps} steps")
            sys.stderr.flush()

    with closing(open_database(config)) as database:
        done = run_export(database, folder, format=format, watch=watch)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    note(
        f"{folder}: wrote {done.written} months ({done.runs} runs, {done.steps} steps); "
        f"{done.unchanged} months are as they were"
    )

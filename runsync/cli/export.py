"""``runsync export``: runs and steps as files."""

from contextlib import closing
from typing import Annotated

import typer

from runsync.cli.app_context import archive_place, load_config, open_database
from runsync.cli.options import ConfigOption
from runsync.cli.output import note
from runsync.cli.progress import progress_line
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
    from runsync.archive.location import without_password
    from runsync.archive.summary import Summary

    if format not in FORMATS:
        raise ConfigError(f"--format {format!r} is not known; {nearest(format, FORMATS)}")

    settings = load_config(config, needed=False)
    target = archive_place(settings, place)
    with closing(open_database(settings)) as database, progress_line() as show:

        def watch(month: str, so_far: Summary) -> None:
            show(f"{month}: {so_far.runs} runs, {so_far.steps} steps")

        done = run_export(database, target, format=format, watch=watch)
    note(
        f"{without_password(target)}: wrote {done.written} months ({done.runs} runs, "
        f"{done.steps} steps); {done.unchanged} months are as they were"
    )

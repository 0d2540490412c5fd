"""``runsync db``: the database's schema, its backup, and what leaves it for an archive."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runsync.cli.app_context import database_url, existing, open_database
from runsync.cli.options import ArchiveOption, ConfigOption, FormatOption, JsonOption, chosen
from runsync.cli.output import Format, emit, note, write
from runsync.errors import ConfigError

if TYPE_CHECKING:
    from runsync.storage.database import Database

app = typer.Typer(
    no_args_is_help=True,
    help="The database: its schema (upgrade, check, current), backup, and prune.",
)

COLUMNS = ("database", "revision", "needed")


@app.command()
def upgrade(
    config: ConfigOption = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions",
            metavar="N",
            min=2,
            max=1024,
            help="Cut runs and steps of an empty PostgreSQL database by pipeline, into so many.",
        ),
    ] = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upgrade the schema to this version's; create the database where there is none.

    Example: runsync db upgrade
    """
    style = chosen(format, as_json)
    with closing(open_database(config, make=True, upgrade=True)) as database:
        if partitions is not None:
            from runsync.storage.partitions import cut

            cut(database, partitions)
        _show(database, style)


@app.command()
def check(
    config: ConfigOption = None, format: FormatOption = None, as_json: JsonOption = False
) -> None:
    """End with 0 if the schema is this version's, else with 5 and what to do.

    Example: runsync db check
    """
    style = chosen(format, as_json)
    with closing(open_database(config)) as database:
        _show(database, style)
    note("the schema is this version's")


@app.command()
def current(
    config: ConfigOption = None, format: FormatOption = None, as_json: JsonOption = False
) -> None:
    """Show the schema's revision, and the one that this version needs.

    Example: runsync db current --json
    """
    style = chosen(format, as_json)
    with closing(_unchecked(config)) as database:
        _show(database, style)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    config: ConfigOption = None,
) -> None:
    """Copy the database into a new file while syncs write to it, and check the copy.

    The copy is of one moment. Of PostgreSQL it prints the pg_dump command that does the same.

    Example: runsync db backup runsync-2026-11-29.db
    """
    from runsync.cli.progress import progress_line
    from runsync.storage import backup as copies

    with closing(_unchecked(config)) as database:
        if not database.is_sqlite:
            write(f"{copies.dump_command(database, file)}\n")
            note("PostgreSQL makes its own backups: run this; pg_restore reads it back")
            return
        with progress_line() as show:

            def watch(left: int, all: int) -> None:
                show(f"{100 * (all - left) // max(all, 1)}% copied")  # 0 where nothing was written

            size = copies.backup(database, file, watch=watch)
    note(f"{file}: {size:,} bytes, checked; to go back to it, put it in the place of the database")


@app.command()
def prune(
    before: Annotated[
        str, typer.Option("--before", metavar="WHEN", help="Months that end before: 2023-01-01.")
    ],
    archived: Annotated[
        bool, typer.Option("--archived", help="Only what the archive holds: the only way there is.")
    ] = False,
    archive: ArchiveOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete runs and steps whose sealed months an archive holds, once they are found equal.

    Example: runsync db prune --before 2023-01-01 --archived
    """
    from runsync.cli.archived import prune_archived

    if not archived and archive is None:
        raise ConfigError("only what an archive holds is deleted: add --archived")
    style = chosen(format, as_json)
    prune_archived(config, archive, before, dry_run=dry_run, yes=yes, format=style)


def _unchecked(config: Path | None) -> "Database":
    from runsync.storage.database import Database

    return Database(existing(database_url(config)))


def _show(database: "Database", format: Format | None) -> None:
    from runsync.storage import schema

    row = {
        "database": database.name,
        "revision": schema.current(database),
        "needed": schema.HEAD,
    }
    emit([row], columns=COLUMNS, format=format, single=True)

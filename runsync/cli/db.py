"""``runsync db``: the schema of the database."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runsync.cli.app_context import database_url, existing, open_database
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, chosen
from runsync.cli.output import Format, emit, note

if TYPE_CHECKING:
    from runsync.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="The database's schema: upgrade, check, current.")

COLUMNS = ("database", "revision", "needed")


@app.command()
def upgrade(
    config: ConfigOption = None, format: FormatOption = None, as_json: JsonOption = False
) -> None:
    """Upgrade the schema to this version's; create the database where there is none.

    Example: runsync db upgrade
    """
    style = chosen(format, as_json)
    with closing(open_database(config, make=True, upgrade=True)) as database:
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

"""The schema's revision: reads it, makes a new schema, upgrades an old one.

The revisions in ``migrations/`` are the only way a schema comes to be. A look at the revision
needs no alembic, which would be most of the time of a sync that finds nothing.
"""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from runsync.errors import DatabaseError
from runsync.storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config


def migrations_path() -> Path:
    """The folder of the revisions: in an installed package, or next to it in a checkout."""
    packaged = Path(str(files("runsync"))) / "migrations"
    return packaged if packaged.is_dir() else packaged.parent.parent / "migrations"


def _revisions() -> list[str]:
    """All revisions, oldest first: their files are named by numbers that grow."""
    found = (migrations_path() / "versions").glob("[0-9]*.py")
    return sorted(path.name.partition("_")[0] for path in found)


HEAD = _revisions()[-1]
"""The revision that this version of runsync reads and writes."""


def current(database: Database) -> str | None:
    """The database's revision; None where it has no schema yet.

    Raises:
        DatabaseError: the database cannot be reached.
    """
    with database.read() as connection:
        return _revision(connection)


def check(database: Database) -> None:
    """Makes sure that the schema is this version's.

    Raises:
        DatabaseError: it is missing, older or newer; the text says what to run.
    """
    found = current(database)
    if found == HEAD:
        return
    if found is None:
        raise DatabaseError(
            f"the database {database.name} has no schema yet; `runsync sync` makes it"
        )
    if found in _revisions():
        raise DatabaseError(
            f"the database {database.name} is at revision {found} and this runsync needs {HEAD}; "
            "run `runsync db upgrade`"
        )
    raise DatabaseError(
        f"the database {database.name} is at revision {found}, which this runsync does not know; "
        "a newer runsync wrote it: install that one"
    )


def upgrade(database: Database, revision: str = "head") -> None:
    """Brings the schema to ``revision``, in one transaction.

    Raises:
        DatabaseError: a revision failed, or the database is newer than this runsync.
    """
    from alembic import command
    from alembic.util import CommandError

    with database.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        if not database.is_sqlite:  # of two machines that upgrade at once, one waits
            connection.execute(text("SELECT pg_advisory_xact_lock(7239814365)"))
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise DatabaseError(f"cannot upgrade {database.name}: {error}") from error


def ready(database: Database, *, upgrade_old: bool = False) -> None:
    """Makes the schema of a new database, and checks that of any other.

    Raises:
        DatabaseError: the schema is older (and ``upgrade_old`` is off) or newer than this version.
    """
    found = current(database)
    if found is None or (upgrade_old and found != HEAD):
        upgrade(database)
    check(database)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    return config

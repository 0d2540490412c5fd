"""A copy of a SQLite database while others write to it; for PostgreSQL, the command that makes one.

SQLite's online backup copies page by page within one read transaction, so the copy is of one
moment, and in WAL mode no writer waits for it.
"""

import os
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from runsync.errors import DatabaseError
from runsync.storage.database import Database

_PAGES_AT_ONCE = 2_000
_Watch = Callable[[int, int], None]
"""Told how many pages are left, and of how many."""


def backup(database: Database, target: Path, *, watch: _Watch = lambda _left, _all: None) -> int:
    """Copies a SQLite database into a new file of mode 0600, and checks the copy whole.

    Returns:
        The size of the copy in bytes.

    Raises:
        DatabaseError: there is such a file, it cannot be written, or what was copied is damaged.
    """
    if os.path.lexists(target):
        raise DatabaseError(f"{target} is there already and stays as it is; name another file")
    made = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        made.touch(mode=0o600, exist_ok=False)
        try:
            _copy(database, made, watch)
            _check(database, made)
            made.rename(target)
        finally:
            for ending in ("", "-journal", "-wal", "-shm"):
                made.with_name(made.name + ending).unlink(missing_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"cannot write the backup {target}: {error.strerror}; name another place"
        ) from None
    return target.stat().st_size


def dump_command(database: Database, target: Path) -> str:
    """The shell command that backs up a PostgreSQL database. It holds no password: ``pg_dump``
    takes that from ``PGPASSWORD`` or ``~/.pgpass``, as every client of PostgreSQL does."""
    url = database.engine.url._replace(drivername="postgresql", password=None)
    url = url.difference_update_query(["password", "sslpassword"])
    where = url.render_as_string(hide_password=False)
    words = ["pg_dump", "--format=custom", "--no-owner", f"--file={target}", f"--dbname={where}"]
    return shlex.join(words)


def _copy(database: Database, made: Path, watch: _Watch) -> None:
    with database.read() as connection, closing(sqlite3.connect(made)) as copy:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - no other is a file
        # A transaction reads from its first query on; it keeps the source from changing under us.
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        try:
            raw.backup(
                copy, pages=_PAGES_AT_ONCE, sleep=0, progress=lambda _, left, all: watch(left, all)
            )
        except sqlite3.Error as error:
            raise DatabaseError(f"the database {database.name} was not copied: {error}") from error


def _check(database: Database, made: Path) -> None:
    with closing(sqlite3.connect(made)) as copy:
        found = _damage(copy)
    if found:
        raise DatabaseError(
            f"the copy of {database.name} is damaged, and so may be the database itself "
            f"({'; '.join(found)}); keep the last good backup"
        )


def _damage(copy: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong, or stumbles over; the first three of it."""
    try:
        found = [row[0] for row in copy.execute("PRAGMA integrity_check(3)")]
        orphans = copy.execute("PRAGMA foreign_key_check").fetchmany(3)
    except sqlite3.Error as error:
        return [str(error)]
    return [one for one in found if one != "ok"] + [
        f"a row of {row[0]} belongs to none" for row in orphans
    ]

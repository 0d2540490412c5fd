"""A connection to the database: how it is opened, read and written to.

SQLite runs in WAL mode, with foreign keys on, and every writer begins IMMEDIATE, so that it waits
for its turn instead of failing half-way.
"""

import json
import logging
import os
import random
import sqlite3
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Row, Select, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SAWarning,
    SQLAlchemyError,
)

from runsync.errors import DatabaseError, UnavailableError
from runsync.storage.locks import POLL_SECONDS, AdvisoryLocks, file_lock, taken

T = TypeVar("T")
_log = logging.getLogger(__name__)

_BUSY_SECONDS = 60.0
_BUSY_PAUSE_SECONDS = 0.05
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.2
# What SQLite says, and what can be done about it.
_MENDS = {
    "file is not a database": "name another file in database_url",
    "database disk image is malformed": "put a backup, such as `runsync db backup` makes, in its "
    "place, or sync into a new file",
    "database or disk is full": "make room, then sync again",
    "attempt to write a readonly database": "give runsync the right to write it and its folder",
    "unable to open database file": "give runsync the right to read and write it and its folder",
    "database is locked": "wait until nobody else writes to it, then try again",
}
# What PostgreSQL says where the same transaction may succeed in a moment: a serialization failure,
# a deadlock, a server that stops, has crashed or is starting.
_TRANSIENT_STATES = {"40001", "40P01", "57P01", "57P02", "57P03"}


class Database:
    """One SQLite or PostgreSQL database.

    Args:
        url: any SQLAlchemy URL of SQLite or PostgreSQL, or an engine.

    Raises:
        DatabaseError: the URL is of neither kind, or its driver is not installed.
    """

    def __init__(self, url: str | URL | Engine) -> None:
        self.engine = url if isinstance(url, Engine) else _engine(_checked_url(url))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.path = _file(self.engine.url)
        """The file of a SQLite database; None for one in memory and for PostgreSQL."""
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = self.engine.execution_options(**snapshot)
        self._writer = self.engine.execution_options(runsync_begin="IMMEDIATE")
        # SQLite's own way of waiting is a slow poll, so the threads of one process take turns.
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()
        self._advisory_locks = None if self.is_sqlite else AdvisoryLocks(self.engine)

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """The URL without a password, for people."""
        url = self.engine.url
        secret = {key: "hidden" for key in url.query if "pass" in key.lower()}
        return url.update_query_dict(secret).render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose reads see one state of the database.

        Raises:
            DatabaseError: the database cannot be reached or refuses.
        """
        with self._errors_in_sentences(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self, locked: str | None = None) -> Iterator[Connection]:
        """One transaction, done whole or not at all.

        Args:
            locked: a listing; where this process took its lock, nothing is committed without it.

        Raises:
            DatabaseError: the database cannot be written to.
            LockedError: the lock was lost to another sync.
        """
        with self._errors_in_sentences(), self._turn, self._writer.begin() as connection:
            yield connection
            if locked is not None and self._advisory_locks is not None:
                self._advisory_locks.confirm(locked)

    def transact(
        self, act: Callable[[Connection], T], locked: str | None = None, *, reads: bool = False
    ) -> T:
        """Calls ``act`` in a transaction, and again in another one until one is committed.

        A deadlock, a serialization failure or a connection that breaks, or cannot be made, ends
        one attempt; the next follows after a pause.

        Args:
            locked: as for :meth:`write`.
            reads: with a connection of :meth:`read`, since nothing is written.

        Returns:
            What the call returned that was committed.

        Raises:
            DatabaseError, LockedError: as :meth:`write`; the last attempt's.
        """
        number = 1
        while True:
            try:
                with self.read() if reads else self.write(locked) as connection:
                    return act(connection)
            except UnavailableError as error:
                if number == _ATTEMPTS:
                    raise
                _log.warning("attempt %d of %d failed: %s", number, _ATTEMPTS, error)
            time.sleep(_FIRST_PAUSE_SECONDS * 2**number * random.uniform(0.5, 1))  # noqa: S311
            number += 1

    def rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        """All rows of a query, asked for again as by :meth:`transact`."""
        return self.transact(lambda connection: connection.execute(query).all(), reads=True)

    def lock(self, listing: str, *, wait: bool = False) -> AbstractContextManager[None]:
        """Holds a listing's lock; it is released also where the process dies.

        Raises:
            LockedError: another sync holds it, and ``wait`` is off.
        """
        if self._advisory_locks is None:
            return file_lock(self.path, listing, wait=wait)
        return self._advisory_lock(self._advisory_locks, listing, wait=wait)

    @contextmanager
    def _advisory_lock(self, locks: AdvisoryLocks, listing: str, *, wait: bool) -> Iterator[None]:
        # Tried again as every statement is.
        while not self.transact(lambda _: locks.take(listing), reads=True):
            if not wait:
                raise taken(listing)
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            locks.release(listing)

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()

    @contextmanager
    def _errors_in_sentences(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = (str(error.orig or "").strip() or "the connection broke").splitlines()[0]
            mend = f"; {_MENDS[reason]}" if reason in _MENDS else ""
            state = getattr(error.orig, "sqlstate", None)
            # An error without a state is the connection's own, not an answer of the server.
            broke_off = isinstance(error, OperationalError) and not self.is_sqlite and not state
            transient = error.connection_invalidated or broke_off or state in _TRANSIENT_STATES
            kind = UnavailableError if transient else DatabaseError
            raise kind(f"the database {self.name} answers: {reason}{mend}") from error
        except SQLAlchemyError as error:
            raise DatabaseError(f"the database {self.name} cannot be used: {error}") from error


def _file(url: URL) -> Path | None:
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name)


def _checked_url(text_or_url: str | URL) -> URL:
    try:
        url = make_url(text_or_url)
    except (ArgumentError, ValueError):
        raise DatabaseError(
            "database_url is no URL; write one like sqlite:///runsync.db or "
            "postgresql://user@host/name"
        ) from None
    if "@" in (url.host or ""):
        raise DatabaseError("the password in database_url holds an @; write it as %40")
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(
            f"database_url names {url.get_backend_name()}; runsync keeps SQLite and PostgreSQL"
        )
    return url


def _engine(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"json_serializer": _compact_json, "pool_size": 32}
    if sqlite:
        _check_file(url)
        options |= {"connect_args": {"timeout": _BUSY_SECONDS}}
    else:
        options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)  # an option that it would leave out
            engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseError(
            f"the driver for {url.drivername} is missing ({error}); {_driver_mend(url)}"
        ) from None
    except (ArgumentError, SAWarning, ValueError) as error:
        what = str(error).splitlines()[0].partition(" and are being ignored")[0]
        raise DatabaseError(f"database_url cannot be used: {what}") from None
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgres)
    return engine


def _driver_mend(url: URL) -> str:
    if url.drivername == "postgresql+psycopg":
        return "install it with: pip install 'runsync[postgres]'"
    return f"install it, or write {url.get_backend_name()}:// for the usual one"


def _check_file(url: URL) -> None:
    """SQLite only says that it is unable to open a file; say why."""
    path = _file(url)
    if path is None:
        return
    if path.is_dir():
        raise DatabaseError(f"database_url names {path}, which is a folder; name a file in it")
    if not path.parent.is_dir():
        raise DatabaseError(
            f"the folder {path.parent} of the database does not exist; make it, or name another"
        )
    if not path.exists():
        if not os.access(path.parent, os.W_OK):
            raise DatabaseError(
                f"the folder {path.parent} cannot be written to; give runsync the right to, "
                "or name another in database_url"
            )
        _make_private(path)


def _make_private(path: Path) -> None:
    """Makes the file with mode 0600: nobody else may read it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise DatabaseError(f"cannot make the database {path}: {error.strerror}") from error


def _prepare_sqlite(raw: sqlite3.Connection, _record: object) -> None:
    # The driver would otherwise commit before DDL, and begin late.
    raw.isolation_level = None
    try:
        raw.create_function("json_merged", 2, _json_merged, deterministic=True)
        raw.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA synchronous = NORMAL")
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _enter_wal(raw)
    except sqlite3.Error:
        raw.close()  # the pool forgets a connection that could not be prepared
        raise


def _enter_wal(raw: sqlite3.Connection) -> None:
    """Turns WAL mode on; while another connection writes in the old mode, or turns it on too,
    SQLite refuses at once, whatever its busy timeout is."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("runsync_begin", "")
    connection.exec_driver_sql(f"BEGIN {mode}".strip())


def _prepare_postgres(raw: Any, _record: object) -> None:
    try:
        with raw.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
        raw.commit()
    except BaseException:
        raw.close()  # the pool forgets a connection that could not be prepared
        raise


def _json_merged(under: str, over: str) -> str:
    """What ``under || over`` is in PostgreSQL; SQLite's ``json_patch`` merges deeply, and takes
    nulls away."""
    return _compact_json(json.loads(under) | json.loads(over))


def _compact_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

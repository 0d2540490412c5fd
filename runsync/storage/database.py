"""The database as a place: how it is opened, how it is written to, and who may sync a listing.

SQLite runs in WAL, with foreign keys on, and every writer begins IMMEDIATE, so that it waits for
its turn instead of failing half-way. A listing's lock is held by the process: a file beside a
SQLite database, an advisory lock in PostgreSQL.
"""

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from runsync.errors import DatabaseError, LockedError

_BUSY_SECONDS = 60.0
_POLL_SECONDS = 0.5
# What SQLite says, and what can be done about it.
_MENDS = {
    "file is not a database": "name another file in database_url",
    "database disk image is malformed": "put a backup in its place, or sync into a new file",
    "database or disk is full": "make room, then sync again",
    "attempt to write a readonly database": "give runsync the right to write it and its folder",
    "unable to open database file": "give runsync the right to read and write it and its folder",
    "database is locked": "wait until nobody else writes to it, then try again",
}


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
        one_state = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = self.engine.execution_options(**one_state)
        self._writing = threading.Lock()
        self._advisory_locks = _AdvisoryLocks(self.engine)

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """The URL without a password, for people."""
        url = self.engine.url
        secret = {key: "hidden" for key in url.query if "password" in key.lower()}
        return url.update_query_dict(secret).render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database; None for one in memory and for PostgreSQL."""
        name = self.engine.url.database
        in_a_file = self.is_sqlite and name and name != ":memory:" and not name.startswith("file:")
        return Path(name) if in_a_file and name else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose reads see one state of the database.

        Raises:
            DatabaseError: the database cannot be reached or refuses.
        """
        with self._said_plainly(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, done whole or not at all.

        Raises:
            DatabaseError: the database cannot be written to.
        """
        writer = self.engine.execution_options(runsync_begin="IMMEDIATE")
        # Threads of one process take turns here; SQLite's own waiting is a slow poll.
        turn = self._writing if self.is_sqlite else nullcontext()
        with self._said_plainly(), turn, writer.begin() as connection:
            yield connection

    @contextmanager
    def lock(self, listing: str, *, wait: bool = False) -> Iterator[None]:
        """Holds a listing's lock; it is given back however the process ends.

        Raises:
            LockedError: another sync holds it, and ``wait`` is off.
        """
        held = self._file_lock if self.is_sqlite else self._advisory_lock
        with held(listing, wait):
            yield

    def close(self) -> None:
        """Gives back the connections."""
        self.engine.dispose()

    @contextmanager
    def _file_lock(self, listing: str, wait: bool) -> Iterator[None]:
        from filelock import FileLock, Timeout

        if self.path is None:
            yield
            return
        file = self.path.resolve()  # whatever name led to it
        folder = file.with_name(file.name + ".locks")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"cannot make the lock folder {folder}: {error}") from error
        name = hashlib.sha256(listing.encode()).hexdigest()[:16]
        lock = FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0, thread_local=False)
        try:
            lock.acquire(poll_interval=_POLL_SECONDS)
        except Timeout:
            raise _held(listing) from None
        except OSError as error:
            raise DatabaseError(f"cannot lock {folder}: {error}") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _advisory_lock(self, listing: str, wait: bool) -> Iterator[None]:
        key = int.from_bytes(hashlib.sha256(listing.encode()).digest()[:8], "big", signed=True)
        with self._said_plainly():
            while not self._advisory_locks.take(key):
                if not wait:
                    raise _held(listing)
                time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                self._advisory_locks.give_back(key)

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = (str(error.orig or "").strip() or "it broke off").splitlines()[0]
            mend = f"; {_MENDS[reason]}" if reason in _MENDS else ""
            raise DatabaseError(f"the database {self.name} answers: {reason}{mend}") from error
        except SQLAlchemyError as error:
            raise DatabaseError(f"the database {self.name} cannot be used: {error}") from error


class _AdvisoryLocks:
    """The advisory locks of this process, all held over one connection, however many there are.

    A server has few connections, and many machines may share it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._held: set[int] = set()
        self._turn = threading.Lock()

    def take(self, key: int) -> bool:
        """Takes a lock, if nobody has it: neither another process nor this one."""
        with self._turn:
            if key in self._held:
                return False
            if self._connection is None:
                connection = self._engine.connect()
                self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            if self._ask("SELECT pg_try_advisory_lock(:key)", key):
                self._held.add(key)
            self._drop_if_idle()
            return key in self._held

    def give_back(self, key: int) -> None:
        """Gives a lock back; where the connection broke off, the server has done so already."""
        with self._turn:
            self._held.discard(key)
            if self._connection is not None:
                self._ask("SELECT pg_advisory_unlock(:key)", key)
                self._drop_if_idle()

    def _ask(self, question: str, key: int) -> bool:
        assert self._connection is not None  # noqa: S101 - for the type checker
        try:
            return bool(self._connection.execute(text(question), {"key": key}).scalar_one())
        except BaseException:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
            raise

    def _drop_if_idle(self) -> None:
        if self._connection is not None and not self._held:
            self._connection.close()
            self._connection = None


def _held(listing: str) -> LockedError:
    return LockedError(f"another sync holds the lock of {listing}; wait for it, or pass --wait")


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
        if url.database in (None, "", ":memory:"):
            del options["pool_size"]
    else:
        options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
    try:
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseError(
            f"the driver for {url.drivername} is missing ({error}); {_driver_mend(url)}"
        ) from None
    except (ArgumentError, ValueError) as error:
        what = str(error).splitlines()[0]
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
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
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
    """Makes the file with mode 0600: what CI wrote is nobody else's business."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise DatabaseError(f"cannot make the database {path}: {error.strerror}") from error


def _prepare_sqlite(raw: Any, _record: object) -> None:
    # The driver would otherwise commit before DDL, and begin late.
    raw.isolation_level = None
    raw.create_function("json_merged", 2, _json_merged, deterministic=True)
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    if cursor.execute("PRAGMA query_only").fetchone()[0] == 0:
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("runsync_begin", "")
    connection.exec_driver_sql(f"BEGIN {mode}".strip())


def _prepare_postgres(raw: Any, _record: object) -> None:
    with raw.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
    raw.commit()


def _json_merged(under: str, over: str) -> str:
    """What ``under || over`` is in PostgreSQL; SQLite's ``json_patch`` merges deeply, and takes
    nulls away."""
    import json

    return _compact_json(json.loads(under) | json.loads(over))


def _compact_json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

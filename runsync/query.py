"""SQL that reads and cannot do anything else, for people who may type anything.

SQLite is opened read-only, with an authorizer that lets reads pass and nothing else. PostgreSQL is
asked in a read-only transaction, through a cursor where that is possible, as a role that may not
write. Both get one statement, a time limit, and no more rows than were wanted.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from runsync.errors import ConfigError, DatabaseError, RunsyncError
from runsync.text import visible

if TYPE_CHECKING:
    import psycopg

MAX_ROWS = 10_000
TIMEOUT_SECONDS = 60.0
_LONGEST_VALUE = 100 * 1024 * 1024
_STEPS_BETWEEN_LOOKS = 20_000

_PRAGMAS = frozenset(
    "collation_list compile_options encoding foreign_key_list function_list index_info index_list "
    "index_xinfo module_list pragma_list table_info table_list table_xinfo".split()
)
_FUNCTIONS_OF_ROWS = ("json_each", "json_tree", "pragma_table_info", "pragma_index_info")
_SETTINGS = frozenset("schema_version user_version page_count page_size".split())
_DANGEROUS = frozenset("load_extension fts3_tokenizer readfile writefile edit sqlite_log".split())
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_ACTIONS = {
    getattr(sqlite3, f"SQLITE_{name}"): name.replace("_", " ")
    for name in (
        "ALTER_TABLE ANALYZE ATTACH CREATE_INDEX CREATE_TABLE CREATE_TEMP_INDEX CREATE_TEMP_TABLE "
        "CREATE_TEMP_TRIGGER CREATE_TEMP_VIEW CREATE_TRIGGER CREATE_VIEW CREATE_VTABLE DELETE "
        "DETACH DROP_INDEX DROP_TABLE DROP_TEMP_TABLE DROP_TRIGGER DROP_VIEW DROP_VTABLE FUNCTION "
        "INSERT PRAGMA REINDEX SAVEPOINT TRANSACTION UPDATE"
    ).split()
}

_WRITES = frozenset(
    "alter analyze begin call cluster comment commit copy create deallocate declare delete discard "
    "do drop execute fetch grant import insert listen load lock merge notify prepare reassign "
    "refresh reindex release reset revoke rollback savepoint security set start truncate unlisten "
    "update vacuum".split()
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave. ``cut``: there were more rows than were wanted."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    cut: bool


def ask(
    url: str,
    sql: str,
    *,
    timeout: float = TIMEOUT_SECONDS,
    max_rows: int = MAX_ROWS,
    trusted: bool = False,
) -> Answer:
    """Answers one SQL statement that only reads.

    Args:
        url: the database's, as in the config.
        timeout: how long it may take, in seconds.
        max_rows: how many rows are given back at most.
        trusted: whether a PostgreSQL role that may write, or a superuser, will do. The
            transaction is read-only all the same.

    Raises:
        ConfigError: it is no statement, would do more than read, or takes too long.
        DatabaseError: the database is not there or cannot be reached.
    """
    if not sql.strip(" \t\r\n;"):
        raise ConfigError("the query is empty; write one, such as: SELECT count(*) FROM runs")
    if (path := _file(url)) is not None:
        return _ask_sqlite(path, sql, timeout, max_rows)
    return _ask_postgres(url, sql, timeout, max_rows, trusted=trusted)


def _file(url: str) -> Path | None:
    """The file of a SQLite database; None where the URL is another one, or none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if parsed.get_backend_name() != "sqlite":
        return None
    name = parsed.database or ""
    if name in ("", ":memory:") or name.startswith("file:"):
        raise ConfigError(f"the database {url} is no file that could be asked")
    path = Path(name)
    if not path.is_file():
        raise DatabaseError(f"there is no database {path} yet; `runsync sync` makes it")
    return path


# SQLite.


def _ask_sqlite(path: Path, sql: str, timeout: float, max_rows: int) -> Answer:
    with closing(_opened(path)) as connection:
        guard = _Guard(timeout)
        connection.set_authorizer(guard.authorize)
        connection.set_progress_handler(guard.is_over, _STEPS_BETWEEN_LOOKS)
        try:
            with closing(connection.execute(sql)) as cursor:
                return _answer(cursor.description, cursor.fetchmany(max_rows + 1), max_rows)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise guard.said(error) from None


def _opened(path: Path) -> sqlite3.Connection:
    """The file, read-only. In a folder that cannot be written to, SQLite has no room for the
    file by which readers of a WAL database keep clear of writers; then nobody may write at all."""
    name = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        return _prepared(name)
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise DatabaseError(
                f"the database {path} is in use, and its folder is closed to this user; give them "
                "the right to write to the folder, or ask as another user"
            ) from None
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    try:
        return _prepared(f"{name}&immutable=1")
    except sqlite3.Error as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: sqlite3.Error) -> DatabaseError:
    return DatabaseError(f"the database {path} cannot be read: {error}; look at the file")


def _prepared(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, uri=True, timeout=10, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        for name in _FUNCTIONS_OF_ROWS:
            # SQLite makes these by a CREATE TABLE of its own when one is first named.
            connection.execute(f"SELECT * FROM {name}('[]') LIMIT 0")  # noqa: S608 - our own words
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    except sqlite3.Error:
        connection.close()
        raise
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


class _Guard:
    """Decides what SQLite may do, and remembers why it did not."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._end = time.monotonic() + timeout
        self._over = False
        self._denied: str | None = None

    def authorize(
        self, action: int, first: str | None, second: str | None, _db: str | None, _by: str | None
    ) -> int:
        if self._may(action, first, second):
            return sqlite3.SQLITE_OK
        name = second if action == sqlite3.SQLITE_FUNCTION else first
        self._denied = f"{_ACTIONS.get(action, 'something else')} {name or ''}".strip()
        return sqlite3.SQLITE_DENY

    def _may(self, action: int, first: str | None, second: str | None) -> bool:
        if action == sqlite3.SQLITE_FUNCTION:
            return (second or "").lower() not in _DANGEROUS
        if action == sqlite3.SQLITE_PRAGMA:
            name = (first or "").lower()
            return name in _PRAGMAS or (name in _SETTINGS and second is None)
        return action in _READS

    def is_over(self) -> bool:
        self._over = time.monotonic() > self._end
        return self._over

    def said(self, error: Exception) -> BaseException:
        """The error in a sentence. What comes unasked as "interrupted" is a Ctrl-C."""
        if self._over:
            return _too_long(self._timeout)
        if self._denied is not None:
            return ConfigError(f"`runsync query` only reads, and this is {self._denied}")
        if str(error) == "interrupted":
            return KeyboardInterrupt()
        if "one statement at a time" in str(error):
            return _several()
        return _refused(error)


# PostgreSQL.


def _ask_postgres(url: str, sql: str, timeout: float, max_rows: int, *, trusted: bool) -> Answer:
    with _connected(url) as connection:
        import psycopg

        connection.read_only = True
        try:
            # The first query of the transaction: from here on it cannot be made read-write.
            powers = _powers(connection)
            if powers and not trusted:
                raise ConfigError(powers)
            connection.execute("SET LOCAL TIME ZONE 'UTC'")
            connection.execute(f"SET LOCAL statement_timeout = {max(1, round(timeout * 1000))}")
            return _answer(*_fetched(connection, sql, max_rows), max_rows)
        except psycopg.errors.QueryCanceled:
            raise _too_long(timeout) from None
        except (psycopg.Error, ValueError) as error:
            raise _refused_postgres(error, sql) from None


@contextmanager
def _connected(url: str) -> Iterator["psycopg.Connection[Any]"]:
    """A connection of the driver's own: SQLAlchemy's would hide what it sends."""
    from runsync.storage.database import Database

    with closing(Database(url)) as database:
        engine, name = database.engine, database.name
    import psycopg

    _, settings = engine.dialect.create_connect_args(engine.url)
    try:
        connection = psycopg.connect(**{"connect_timeout": 10, **settings})
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0]
        raise DatabaseError(
            f"the database {name} cannot be reached: {visible(said, 300)}"
        ) from None
    with closing(connection):
        yield connection


def _refused_postgres(error: Exception, sql: str) -> RunsyncError:
    import psycopg

    if isinstance(error, psycopg.OperationalError) and not error.sqlstate:
        return DatabaseError(f"the database broke off: {visible(str(error), 300)}")
    if isinstance(error, psycopg.errors.SyntaxError):
        if "multiple commands" in str(error):
            return _several()
        if _first_word(sql) in _WRITES:
            return ConfigError(
                f"`runsync query` only reads, and this is {_first_word(sql).upper()}"
            )
    return _refused(error)


def _first_word(sql: str) -> str:
    return sql.split(None, 1)[0].lower()


def _fetched(
    connection: "psycopg.Connection[Any]", sql: str, max_rows: int
) -> tuple[Any, list[tuple[Any, ...]]]:
    """The head and the first rows. A server-side cursor takes nothing but a SELECT, and leaves
    the rows that are not wanted where they are; EXPLAIN and SHOW are told by their first word."""
    import psycopg

    if _first_word(sql) in ("explain", "show"):
        # Prepared, a text of several statements is refused.
        cursor = connection.execute(sql.encode(), prepare=True)
        return cursor.description, cursor.fetchmany(max_rows + 1)
    with psycopg.ServerCursor(connection, "runsync_query") as wanted:
        wanted.execute(sql.strip().rstrip(";").encode())
        return wanted.description, wanted.fetchmany(max_rows + 1)


_POWERS = """
SELECT session_user, bool_or(rolsuper), bool_or(pg_has_role(oid, 'pg_write_server_files', 'MEMBER')
  OR pg_has_role(oid, 'pg_execute_server_program', 'MEMBER')
  OR pg_has_role(oid, 'pg_read_server_files', 'MEMBER')),
 (SELECT min(c.oid::regclass::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\\_%'
   AND (has_table_privilege(session_user, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
     OR has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')))
FROM pg_roles WHERE rolname IN (session_user, current_user)
"""


def _powers(connection: "psycopg.Connection[Any]") -> str | None:
    """Why this role is not to be let in; None where it may only read."""
    row = connection.execute(_POWERS).fetchone()
    role, is_superuser, reaches_files, writable = row or ("", True, True, None)
    if is_superuser:
        why = "is a superuser"
    elif reaches_files:
        why = "may reach the server's files"
    elif writable:
        why = f"may write to {writable}"
    else:
        return None
    return (
        f"the role {role} {why}; name one that may only read in RUNSYNC_DATABASE_URL "
        "(CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader), or pass --i-know"
    )


# Both.


def _answer(
    description: Iterable[Any] | None, rows: list[tuple[Any, ...]], max_rows: int
) -> Answer:
    if description is None:
        raise ConfigError("the query gives no rows; ask with SELECT")
    columns = _told_apart([column[0] for column in description])
    kept = [dict(zip(columns, row, strict=True)) for row in rows[:max_rows]]
    return Answer(columns, kept, len(rows) > max_rows)


def _told_apart(names: list[str]) -> tuple[str, ...]:
    """Columns of the same name get a number from the second on, since rows are mappings."""
    seen: Counter[str] = Counter()
    taken = set(names)
    told = []
    for name in names:
        seen[name] += 1
        fresh = name
        while seen[name] > 1 and fresh in taken:
            fresh = f"{name}_{seen[name]}"
            seen[name] += fresh in taken
        taken.add(fresh)
        told.append(fresh)
    return tuple(told)


def _several() -> ConfigError:
    return ConfigError("the query is more than one statement; ask one at a time")


def _refused(error: Exception) -> ConfigError:
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    line = said.strip().splitlines()[0] if said.strip() else type(error).__name__
    return ConfigError(f"the database does not take this query: {visible(line, 300)}")


def _too_long(timeout: float) -> ConfigError:
    return ConfigError(
        f"the query took longer than {timeout:g} s; narrow it down, or give it a longer --timeout"
    )

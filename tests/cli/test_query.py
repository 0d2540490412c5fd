"""``runsync query``: answers, and everything that must not get through."""

import hashlib
import io
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from runsync.errors import ConfigError, DatabaseError
from runsync.query import ask
from runsync.storage.database import Database
from tests.cli.conftest import Shell, process, until
from tests.cli.rows_by_hand import add_pipeline, add_runs

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"


@pytest.fixture
def filled(database: Database) -> Database:
    number = add_pipeline(database, "p1", "build")
    add_runs(database, number, [AT] * 30, message="=cmd \x1b[31mred")
    return database


@pytest.fixture
def url(filled: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """The filled database's, which is also the one that the shell asks."""
    url = filled.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", url)
    return url


def asked(url: str, sql: str, **options: Any) -> list[dict[str, Any]]:
    return ask(url, sql, trusted=True, **options).rows


# Answers.


def test_rows_come_as_mappings(url: str) -> None:
    rows = asked(url, "SELECT id, duration_ms FROM runs ORDER BY id LIMIT 2;")
    assert rows == [{"id": "r0", "duration_ms": 1500}, {"id": "r1", "duration_ms": 1500}]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1 AS n) SELECT n FROM a",
        "VALUES (1), (2)",
        "EXPLAIN SELECT * FROM runs",
        "SELECT count(*) FROM v_runs -- a comment; with a semicolon",
        "/* first */ SELECT ';' || '%s' || '%(a)s' || ':b'",
        "SELECT * FROM v_daily_pass_rates",
    ],
)
def test_what_reads_is_let_through(url: str, sql: str) -> None:
    assert len(asked(url, sql)) > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM pragma_table_info('runs') WHERE pk",
        "PRAGMA table_info(runs)",
        "PRAGMA user_version",
        "EXPLAIN QUERY PLAN SELECT * FROM runs",
        "SELECT j.value FROM runs, json_each(runs.extra, '$.a') j",
        "SELECT * FROM runs ORDER BY random()",
    ],
)
def test_what_reads_in_sqlite_is_let_through(sqlite: Database, sql: str) -> None:
    add_runs(sqlite, add_pipeline(sqlite, "p", "p"), [AT])
    assert len(asked(str(sqlite.engine.url), sql)) > 0


def test_columns_of_one_name_are_told_apart(url: str) -> None:
    answer = ask(url, "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a", trusted=True)
    assert list(answer.rows[0].values()) == [1, 2, 3, 4]
    assert answer.columns[0] == "a"


def test_the_rows_that_are_cut_are_said(shell: Shell, url: str) -> None:
    ended = shell("query", "SELECT id FROM runs", "--max-rows", 7, "--json", "--i-know")
    assert len(ended.data) == 7
    assert "cut after 7 rows" in ended.err
    whole = shell("query", "SELECT id FROM runs", "--max-rows", 30, "--json", "--i-know")
    assert (len(whole.data), whole.err) == (30, "")


def test_values_of_postgresql_can_be_written(
    shell: Shell, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", postgres_url)
    sql = """SELECT interval '90 s' a, 1.50::numeric b, 'NaN'::numeric c, '{"x": 1}'::jsonb d,
        array[1, 2] e, '\\xff'::bytea f, timestamptz '2024-01-01 02:00+02' h"""
    row = ask(postgres_url, sql, trusted=True).rows[0]
    assert row["h"] == datetime(2024, 1, 1, tzinfo=UTC)
    data = shell("query", sql, "--json", "--i-know").data[0]
    expected = {"a": 90.0, "b": 1.5, "c": None, "d": {"x": 1}, "e": [1, 2], "f": "ff"}
    assert data == expected | {"h": "2024-01-01T00:00:00.000Z"}


# Where the statement comes from.


def test_sql_from_stdin_and_from_a_file(
    shell: Shell, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 5 AS n"))
    assert shell("query", "-", "--json", "--i-know").data == [{"n": 5}]
    (tmp_path / "a.sql").write_text("SELECT 6 AS n")
    file = tmp_path / "a.sql"
    assert shell("query", "--file", file, "--json", "--i-know").data == [{"n": 6}]


@pytest.mark.parametrize("args", [[], ["SELECT 1", "--file", "a.sql"], ["--file", "nosuch.sql"]])
def test_no_statement_or_two(shell: Shell, url: str, args: list[str]) -> None:
    assert shell("query", *args).code == 2


# What must not get through.

BOTH = [
    "SELECT 1; DROP TABLE steps",
    "SELECT 1; SELECT 2",
    "INSERT INTO runs (id) VALUES ('x')",
    "UPDATE runs SET message = 'mine'",
    "DELETE FROM steps",
    "WITH gone AS (DELETE FROM steps RETURNING *) SELECT * FROM gone",
    "CREATE TABLE mine (a integer)",
    "CREATE TEMPORARY TABLE mine (a integer)",
    "CREATE VIEW mine AS SELECT 1",
    "DROP TABLE steps",
    "ALTER TABLE runs ADD COLUMN mine text",
    "EXPLAIN ANALYZE DELETE FROM steps",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT mine",
    "ANALYZE",
    "VACUUM",
    "REINDEX",
    "",
    " ;; ",
    "-- nothing",
    "SELECT nosuch FROM runs",
    "SELECT * FROM",
    "\x00",
]
SQLITE = [
    "ATTACH 'evil.db' AS evil",
    "DETACH main",
    "VACUUM INTO 'evil.db'",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = 1",
    "PRAGMA user_version = 3",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA temp_store_directory = '/tmp'",
    "SELECT * FROM pragma_user_version(3)",
    "SELECT load_extension('evil')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "CREATE VIRTUAL TABLE mine USING fts5(a)",
    "CREATE TRIGGER mine AFTER INSERT ON runs BEGIN SELECT 1; END",
    "SELECT randomblob(1000000000)",
    "SELECT writefile('evil.db', 'x')",
]
POSTGRES = [
    "COPY runs TO '{folder}/evil.csv'",
    "COPY runs TO PROGRAM 'cat > {folder}/evil.csv'",
    "COPY runs TO STDOUT",
    "DO $$ BEGIN SET transaction_read_only = off; DELETE FROM steps; END $$",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "EXPLAIN ANALYZE SELECT set_config('transaction_read_only', 'off', false)",
    "EXPLAIN SELECT 1; DROP TABLE steps",
    "SHOW all; DROP TABLE steps",
    "SELECT 1; COMMIT; DROP TABLE steps",
    "SELECT lo_create(0)",
    "SELECT nextval(pg_get_serial_sequence('pipelines', 'id'))",
    "TRUNCATE steps CASCADE",
    "DECLARE mine CURSOR FOR SELECT 1",
    "PREPARE mine AS DELETE FROM steps",
    "CALL nosuch()",
    "LISTEN mine",
    "LOCK TABLE runs",
    "SELECT * FROM runs FOR UPDATE",
    "SELECT 1 INTO mine",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT 'infinity'::timestamptz",
]


@pytest.fixture
def unharmed(filled: Database, url: str) -> Iterator[None]:
    """The database is afterwards as it was before."""
    before = _contents(filled)
    yield
    assert _contents(filled) == before


def _contents(database: Database) -> list[Any]:
    if database.path is not None:
        with sqlite3.connect(database.path) as raw:
            dump = list(raw.iterdump())
        raw.close()
        return dump
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    counts = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM steps), max(message)"
    with database.read() as connection:
        found: list[Any] = list(connection.execute(text(tables)))
        return found + list(connection.execute(text(f"{counts} FROM runs")))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an attack leaves behind goes away with the test."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("unharmed")
def test_nothing_but_reads_gets_through(url: str, tmp_path: Path) -> None:
    attacks = BOTH + (SQLITE if url.startswith("sqlite") else POSTGRES)
    for sql in attacks:
        with pytest.raises(ConfigError) as refused:
            ask(url, sql.replace("{folder}", str(tmp_path)), timeout=5, trusted=True)
        assert "\n" not in str(refused.value), sql
    assert not list(tmp_path.glob("evil*"))


WRITES = [sql for sql in BOTH[2:17] if "EXPLAIN" not in sql and "WITH" not in sql]


@pytest.mark.parametrize("sql", [*WRITES, *SQLITE[:11]])
def test_what_does_more_than_read_is_told_so(sqlite: Database, sql: str) -> None:
    with pytest.raises(ConfigError, match="`runsync query` only reads, and this is "):
        ask(str(sqlite.engine.url), sql)


def test_without_its_authorizer_sqlite_is_still_opened_read_only(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_runs(sqlite, add_pipeline(sqlite, "p", "p"), [AT] * 3)
    before = _contents(sqlite)
    monkeypatch.setattr("runsync.query._Guard._may", lambda *_: True)
    for sql in BOTH + SQLITE:
        with suppress(ConfigError):
            ask(str(sqlite.engine.url), sql)
    assert _contents(sqlite) == before
    assert not list(tmp_path.glob("evil*"))


@pytest.mark.parametrize("sql", ["DELETE FROM runs", "SELECT 1; SELECT 2", "SELECT * FROM nosuch"])
@pytest.mark.usefixtures("unharmed")
def test_a_refused_query_is_one_sentence(shell: Shell, url: str, sql: str) -> None:
    ended = shell("query", sql, "--i-know")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("runsync: ")


def test_the_file_is_not_touched(sqlite: Database) -> None:
    add_runs(sqlite, add_pipeline(sqlite, "p", "p"), [AT] * 5)
    path = sqlite.path
    sqlite.close()
    assert path is not None
    before = hashlib.sha256(path.read_bytes()).digest()
    asked(f"sqlite:///{path}", "SELECT * FROM runs, steps")
    assert hashlib.sha256(path.read_bytes()).digest() == before


@pytest.fixture
def closed(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a folder where SQLite cannot make its `-shm`, as it is for everybody but root."""
    add_runs(sqlite, add_pipeline(sqlite, "p", "p"), [AT] * 3)
    path, connect = sqlite.path, sqlite3.connect
    sqlite.close()
    assert path is not None

    def connect_closed(name: str, **options: Any) -> Any:
        if "immutable=1" not in name:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(name, **options)

    monkeypatch.setattr("sqlite3.connect", connect_closed)
    return path


def test_a_folder_that_cannot_be_written_to_can_be_asked(closed: Path) -> None:
    assert asked(f"sqlite:///{closed}", "SELECT count(*) AS n FROM runs") == [{"n": 3}]


def test_but_not_while_somebody_writes_there(closed: Path) -> None:
    closed.with_name(closed.name + "-wal").write_bytes(b"x")
    with pytest.raises(DatabaseError, match="is in use"):
        ask(f"sqlite:///{closed}", "SELECT 1")


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no database"):
        ask(f"sqlite:///{tmp_path}/none.db", "SELECT 1")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(ConfigError, match="is no file"):
        ask("sqlite://", "SELECT 1")
    (tmp_path / "text.db").write_text("this is no database, whatever its name says")
    with pytest.raises(DatabaseError, match="not a database"):
        ask(f"sqlite:///{tmp_path}/text.db", "SELECT 1")


def test_postgresql_that_is_not_there() -> None:
    with pytest.raises(DatabaseError, match=r"reader:\*\*\*@.*cannot be reached"):
        ask("postgresql://reader:secret@127.0.0.1:1/none", "SELECT 1")


# Time.


def test_a_query_that_takes_too_long_is_ended(url: str) -> None:
    with pytest.raises(ConfigError, match=r"longer than 0\.3 s"):
        ask(url, ENDLESS, timeout=0.3, trusted=True)


def test_the_timeout_is_an_option(shell: Shell, url: str) -> None:
    ended = shell("query", ENDLESS, "--timeout", "0.2", "--i-know")
    assert ended.code == 2
    assert "a longer --timeout" in ended.err


def test_a_writer_is_not_kept_waiting_nor_keeps_waiting(sqlite: Database) -> None:
    pipeline = add_pipeline(sqlite, "p", "p")
    add_runs(sqlite, pipeline, [AT])
    seen: list[Any] = []
    reader = threading.Thread(
        target=lambda: seen.append(_refusal(str(sqlite.engine.url), ENDLESS, timeout=0.5))
    )
    reader.start()
    time.sleep(0.1)
    with sqlite.write() as connection:
        connection.execute(text("UPDATE runs SET message = 'new'"))
        assert asked(str(sqlite.engine.url), "SELECT message AS m FROM runs") == [
            {"m": "A message"}
        ]
    reader.join()
    assert "longer than" in seen[0]


def _refusal(url: str, sql: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        ask(url, sql, **options)
    return str(refused.value)


def test_ctrl_c_ends_a_query(url: str, filled: Database) -> None:
    sql = ENDLESS.replace("FROM c)", "FROM c, (SELECT id FROM runs LIMIT 1))")
    with process("query", sql, "--i-know") as busy:
        until(lambda: _is_asked(filled), seconds=60)
        busy.send_signal(signal.SIGINT)
        try:
            _, err = busy.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            busy.kill()
            raise
    assert busy.returncode == 130
    assert err.count(b"\n") == 1
    assert b"interrupted" in err


def _is_asked(database: Database) -> bool:
    """Whether another process is reading: then PostgreSQL shows its query, and SQLite cannot begin
    its log anew."""
    if database.path is None:
        fetching = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH FORWARD%'"
        with database.read() as connection:
            return bool(connection.execute(text(fetching)).scalar_one())
    with closing(sqlite3.connect(database.path, timeout=0, isolation_level=None)) as raw:
        raw.execute("UPDATE runs SET message = message || '.'")
        is_busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(is_busy)


# Who may ask PostgreSQL.


@pytest.fixture
def roles(postgres_server: URL, postgres_url: str) -> Iterator[dict[str, str]]:
    """URLs of the same database for roles with different rights."""
    name = make_url(postgres_url).database
    grants = {
        "qreader": "GRANT pg_read_all_data TO qreader",
        "qwriter": "GRANT INSERT ON steps TO qwriter",
        "qfiles": "GRANT pg_read_server_files TO qfiles",
        "qsuper": "ALTER ROLE qsuper SUPERUSER",
    }
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for role, grant in grants.items():
            connection.execute(text(f"CREATE ROLE {role} LOGIN"))
            connection.execute(text(grant))
    yield {
        role: make_url(postgres_url).set(username=role, database=name).render_as_string(False)
        for role in grants
    }
    with engine.connect() as connection:
        for role in grants:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("qsuper", "is a superuser"),
        ("qfiles", "may reach the server's files"),
        ("qwriter", "may write to steps"),
    ],
)
def test_a_role_that_may_do_more_is_refused_unless_somebody_knows(
    roles: dict[str, str], role: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=f"the role {role} {why}; .*--i-know"):
        ask(roles[role], "SELECT 1")
    if role != "qfiles":
        assert asked(roles[role], "SELECT 1 AS n") == [{"n": 1}]


def test_a_role_that_may_only_read_is_let_in(roles: dict[str, str]) -> None:
    assert ask(roles["qreader"], "SELECT count(*) AS n FROM steps").rows == [{"n": 0}]
    with pytest.raises(ConfigError):
        ask(roles["qreader"], "DELETE FROM steps")

"""The database as a place: opened, refused, shared with other processes, and never half-written."""

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text

from runsync.errors import DatabaseError, LockedError
from runsync.records import Pipeline
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore
from tests.storage.other_process import as_nobody, other


@contextmanager
def opened(url: str | URL) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def refusal(url: str | URL) -> str:
    """The sentence with which a database is refused."""
    with pytest.raises(DatabaseError) as caught, opened(url) as database:
        schema.current(database)
    assert caught.value.exit_code == 5
    return str(caught.value)


def pragma(database: Database, name: str) -> object:
    with database.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


# A SQLite file.


def test_a_new_file_is_the_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(f"sqlite:///{tmp_path}/new.db") as database:
            schema.upgrade(database)
            with database.lock("a listing"):
                made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert made["new.db"] == made["new.db-wal"] == made["new.db-shm"] == 0o600
    assert made["new.db.locks"] == 0o700


def test_writing_is_ahead_and_foreign_keys_hold(sqlite: Database) -> None:
    assert pragma(sqlite, "journal_mode") == "wal"
    assert pragma(sqlite, "foreign_keys") == 1
    assert pragma(sqlite, "busy_timeout") == 60_000
    assert pragma(sqlite, "synchronous") == 1  # safe where writing is ahead, and faster
    with pytest.raises(DatabaseError, match="FOREIGN KEY"), sqlite.write() as connection:
        connection.execute(
            text("INSERT INTO listing_pipelines (listing, pipeline_id) VALUES ('x', 99)")
        )


def test_wal_mode_waits_for_a_writer_in_the_old_mode(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("CREATE TABLE t (a)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (1)")
        later = threading.Timer(0.3, writer.commit)
        later.start()
        database = Database(f"sqlite:///{path}")
        with closing(database), database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 1
            assert pragma(database, "journal_mode") == "wal"
        later.join()


def test_each_connection_of_the_pool_is_prepared(sqlite: Database) -> None:
    with ExitStack() as stack:
        found = [stack.enter_context(sqlite.engine.connect()) for _ in range(5)]
        assert {c.exec_driver_sql("PRAGMA foreign_keys").scalar() for c in found} == {1}


def test_a_failure_undoes_the_whole_of_a_transaction(database: Database) -> None:
    def half() -> None:
        with database.write() as connection:
            connection.execute(text("INSERT INTO listings VALUES ('x', '{}')"))
            connection.execute(text("CREATE TABLE t (a int)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM listings")).scalar() == 0
    with pytest.raises(DatabaseError), database.read() as connection:
        connection.execute(text("SELECT * FROM t"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "which is a folder" in refusal(f"sqlite:///{tmp_path}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"the folder {tmp_path}/no of the database does not exist" in refusal(
        f"sqlite:///{tmp_path}/no/x.db"
    )


def test_what_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "diary.txt"
    path.write_text("Dear diary, " * 999)
    said = refusal(f"sqlite:///{path}")
    assert "file is not a database; name another file" in said
    assert path.read_text() == "Dear diary, " * 999


@pytest.mark.parametrize("begin", [100, 4096])
def test_a_broken_file_is_said_to_be_so(sqlite_template: Path, tmp_path: Path, begin: int) -> None:
    path = tmp_path / "broken.db"
    whole = sqlite_template.read_bytes()
    path.write_bytes(whole[:begin] + b"\xa5" * (len(whole) - begin))
    assert "malformed; put a backup, such as `runsync db backup` makes, in its place" in refusal(
        f"sqlite:///{path}"
    )


def test_a_file_cut_short_is_said_to_be_so(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.db"
    path.write_bytes(sqlite_template.read_bytes()[:6000])
    assert "malformed" in refusal(f"sqlite:///{path}")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="runsync-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_may_not_be_written_is_named(open_folder: Path) -> None:
    said = as_nobody(lambda: Database(f"sqlite:///{open_folder}/x.db"))
    assert said.startswith(f"DatabaseError: the folder {open_folder} cannot be written to; give")


def test_a_file_that_may_not_be_read_is_said_to_be_so(
    sqlite_template: Path, open_folder: Path
) -> None:
    path = open_folder / "runsync.db"
    shutil.copyfile(sqlite_template, path)
    path.chmod(0)
    open_folder.chmod(0o777)

    def read() -> object:
        return schema.current(Database(f"sqlite:///{path}"))

    said = as_nobody(read)
    assert said.startswith("DatabaseError: the database sqlite:////")
    assert "give runsync the right to" in said


def test_a_disk_without_room_is_said_to_be_so(sqlite_url: str) -> None:
    """A real refusal of SQLite to grow, though not the disk's."""
    with opened(sqlite_url) as database:

        def fill() -> None:
            with database.write() as connection:
                connection.exec_driver_sql("PRAGMA max_page_count = 40")
                for number in range(1000):
                    connection.execute(
                        text("INSERT INTO listings VALUES (:name, '{}')"),
                        {"name": f"{number}" * 1000},
                    )

        with pytest.raises(DatabaseError, match="disk is full; make room, then sync again"):
            fill()
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM listings")).scalar() == 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_in_memory_works(url: str) -> None:
    with opened(url) as database:
        assert database.path is None
        schema.ready(database)
        with database.lock("x"):
            assert schema.current(database) == schema.HEAD


# URLs.

WRONG = {
    "nonsense": "database_url is no URL; write one like sqlite:///runsync.db",
    "sqlite:x.db": "database_url is no URL",
    "sqlite://host/x.db": "database_url cannot be used",
    "sqlite:///x.db?timeout=soon": "database_url cannot be used",
    "sqlite:///x.db?mode=ro": "'mode' are not accepted by the pysqlite driver",
    "sqlite:///x.db?pasword=geheim": "database_url cannot be used: ",
    "mysql://geheim@host/x": "database_url names mysql; runsync keeps SQLite and PostgreSQL",
    "postgresql://me:geheim@host:port/x": "database_url is no URL",
    "postgresql://me:geheim@[::1/x": "database_url is no URL",
    "postgresql://me:geh@geheim@host/x": "the password in database_url holds an @; write it as %40",
    "postgresql+psycopg9://host/x": "driver for postgresql+psycopg9 is missing",
    "postgresql+psycopg2://host/x": "install it, or write postgresql:// for the usual one",
    "sqlite+aiosqlite:///x.db": "install it, or write sqlite:// for the usual one",
}


@pytest.mark.parametrize(("url", "said"), WRONG.items())
def test_what_is_no_url_of_ours_is_refused(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside tests, where few make errors of them
        sentence = refusal(url)
    assert said in sentence
    assert "geheim" not in sentence


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "install it with: pip install 'runsync[postgres]'" in refusal("postgresql://host/x")


# PostgreSQL.


def closed_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    said = refusal(f"postgresql://me:geheim@127.0.0.1:{closed_port()}/x")
    assert "Connection refused" in said
    assert "me:***@127.0.0.1" in said
    assert "geheim" not in said


@pytest.mark.parametrize(
    ("option", "why"),
    [("password", "Connection refused"), ("passwd", "invalid connection option"), ("PASS", "opt")],
)
def test_a_password_in_the_query_is_not_shown(option: str, why: str) -> None:
    url = f"postgresql://127.0.0.1:{closed_port()}/x?user=me&{option}=geheim"
    said = refusal(url)
    assert why in said
    assert "geheim" not in said + repr(Database(url))


def test_a_wrong_database_name_is_said_to_be_so(postgres_server: URL) -> None:
    assert 'database "nowhere" does not exist' in refusal(postgres_server.set(database="nowhere"))


def test_a_wrong_password_is_said_to_be_so_and_not_repeated(postgres_server: URL) -> None:
    with password_asked_of("guarded", postgres_server):
        right = postgres_server.set(username="guarded", password="richtig")
        with opened(right) as database:
            assert schema.current(database) is None
        said = refusal(right.set(password="geheim"))
    assert "password authentication failed" in said
    assert "geheim" not in said


@contextmanager
def password_asked_of(role: str, server: URL) -> Iterator[None]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        rules = Path(admin.execute(text("SHOW hba_file")).scalar_one())
        before = rules.read_text()
        admin.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'richtig'"))
        rules.write_text(
            f"local all {role} scram-sha-256\nhost all {role} all scram-sha-256\n{before}"
        )
        admin.execute(text("SELECT pg_reload_conf()"))
        time.sleep(0.2)
        try:
            yield
        finally:
            rules.write_text(before)
            admin.execute(text("SELECT pg_reload_conf()"))
            admin.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_plain_url_means_the_driver_that_is_installed(scheme: str) -> None:
    with opened(f"{scheme}://me:geheim@host/x") as database:
        assert database.engine.url.drivername == "postgresql+psycopg"
        assert database.name == "postgresql+psycopg://me:***@host/x"


def test_the_session_is_in_utc(postgres_url: str) -> None:
    with opened(postgres_url) as database, database.read() as connection:
        assert connection.execute(text("SHOW TIME ZONE")).scalar() == "UTC"


# Several at once.


def test_a_reader_sees_one_state(database: Database) -> None:
    counted = text("SELECT count(*) FROM listings")
    with database.read() as reader:
        assert reader.execute(counted).scalar() == 0
        with database.write() as writer:
            writer.execute(text("INSERT INTO listings VALUES ('x', '{}')"))
        assert reader.execute(counted).scalar() == 0
    with database.read() as reader:
        assert reader.execute(counted).scalar() == 1


WRITE_SLOWLY = """
from sqlalchemy import text
with database.write() as connection:
    connection.execute(text("INSERT INTO listings VALUES ('theirs', '{{}}')"))
    say("writing")
    sys.stdin.readline()
say("done")
"""


def test_a_writer_waits_for_another_processs_transaction(sqlite_url: str) -> None:
    with other(WRITE_SLOWLY, sqlite_url) as writer, opened(sqlite_url) as database:
        assert writer.hear() == "writing"
        threading.Timer(0.4, writer.tell).start()
        began = time.monotonic()
        with database.write() as connection:
            seen = connection.execute(text("SELECT listing FROM listings")).scalars().all()
        assert seen == ["theirs"]
        assert time.monotonic() - began > 0.3


def test_threads_take_turns_at_writing(database: Database) -> None:
    def add(number: int) -> None:
        with database.write() as connection:
            count = connection.execute(text("SELECT count(*) FROM listings")).scalar_one()
            connection.execute(
                text("INSERT INTO listings VALUES (:name, '{}')"), {"name": f"{number} {count}"}
            )

    threads = [threading.Thread(target=add, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        names = connection.execute(text("SELECT listing FROM listings")).scalars().all()
    assert len(names) == 24
    if database.is_sqlite:  # whose writers are one after the other
        assert {name.split()[1] for name in names} == {str(n) for n in range(24)}


# Locks.

HOLD = """
with database.lock(sys.argv[3]):
    say("held")
    sys.stdin.readline()
say("given back")
"""


def is_free(database: Database, listing: str) -> bool:
    try:
        with database.lock(listing):
            return True
    except LockedError:
        return False


def becomes_free(database: Database, listing: str, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_free(database, listing):
            return True
        time.sleep(0.02)
    return False


def test_a_lock_is_held_against_other_processes(database: Database, database_url: str) -> None:
    with other(HOLD, database_url, "a listing") as holder:
        assert holder.hear() == "held"
        with pytest.raises(LockedError, match="lock of a listing; wait for it, or pass --wait"):
            database.lock("a listing").__enter__()
        assert is_free(database, "another listing")
        holder.tell()
        assert holder.hear() == "given back"
        assert is_free(database, "a listing")


def test_a_lock_is_given_back_by_a_process_that_was_killed(
    database: Database, database_url: str
) -> None:
    with other(HOLD, database_url, "a listing") as holder:
        assert holder.hear() == "held"
        assert not is_free(database, "a listing")
        holder.process.kill()
        holder.process.wait()
        assert becomes_free(database, "a listing")


def test_one_may_wait_for_a_lock(database: Database, database_url: str) -> None:
    with other(HOLD, database_url, "a listing") as holder:
        assert holder.hear() == "held"
        threading.Timer(1.2, holder.tell).start()
        began = time.monotonic()
        with database.lock("a listing", wait=True):
            assert holder.hear() == "given back"
        assert 1.1 < time.monotonic() - began < 6


def test_a_lock_is_held_against_this_process_too(database: Database) -> None:
    with database.lock("a listing"):
        assert not is_free(database, "a listing")
        assert is_free(database, "another listing")
    assert is_free(database, "a listing")


def test_a_lock_is_given_back_after_a_failure(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.lock("a listing"):
        raise ZeroDivisionError
    assert is_free(database, "a listing")


def test_a_file_has_one_lock_by_whatever_name_it_goes(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "alias.db").symlink_to("runsync.db")
    with opened(sqlite_url) as one, opened(f"sqlite:///{tmp_path}/alias.db") as same:
        with one.lock("a listing"):
            assert not is_free(same, "a listing")
        assert is_free(same, "a listing")


def test_many_locks_take_one_connection(postgres_url: str) -> None:
    """A server has some hundred of them, for all machines together."""
    with opened(postgres_url) as database, ExitStack() as stack:
        for number in range(150):
            stack.enter_context(database.lock(f"listing {number}"))
        with database.read() as connection:
            used = connection.execute(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            ).scalar_one()
            locks = connection.execute(
                text(
                    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
                    "WHERE locktype = 'advisory' AND datname = current_database()"
                )
            ).scalar_one()
        assert locks == 150
        assert used <= 3


END_THE_HOLDERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks "
    "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
)


def end_the_holders(rival: Database) -> None:
    """Ends the connections that hold locks, as a restart or a firewall does."""
    with rival.write() as connection:
        connection.execute(END_THE_HOLDERS)


def test_a_lock_that_the_server_dropped_is_taken_again_before_a_write(postgres_url: str) -> None:
    with opened(postgres_url) as database, opened(postgres_url) as rival:
        with database.lock("a listing"):
            end_the_holders(rival)
            database.transact(insert, "a listing")
            assert not is_free(rival, "a listing")
        assert is_free(rival, "a listing")


def test_a_lock_that_the_server_drops_late_is_taken_again(postgres_url: str) -> None:
    """When a connection breaks the server needs a moment to notice; so long the lock is held."""
    with opened(postgres_url) as database, opened(postgres_url) as rival, ExitStack() as stack:
        stack.enter_context(database.lock("a listing"))
        end_the_holders(rival)
        late = stack.enter_context(ExitStack())
        late.enter_context(rival.lock("a listing", wait=True))

        def drop(*told: object) -> None:
            if "pg_try_advisory_lock" in str(told):
                late.close()

        event.listen(database.engine, "after_cursor_execute", drop)
        database.transact(insert, "a listing")
        assert not is_free(rival, "a listing")


def test_a_lock_that_the_server_dropped_is_given_back_without_an_error(postgres_url: str) -> None:
    with opened(postgres_url) as database, opened(postgres_url) as rival:
        with database.lock("a listing"):
            end_the_holders(rival)
        assert is_free(rival, "a listing")
        with database.lock("a listing"):
            assert not is_free(rival, "a listing")


def test_a_thread_that_fails_as_it_takes_a_lock_leaves_none_behind(postgres_url: str) -> None:
    """In the connections that are kept for others, that is."""
    with opened(postgres_url) as database, opened(postgres_url) as rival:
        with database.lock("first"):

            def fail(*told: object) -> None:
                if "pg_try_advisory_lock" in str(told):
                    raise ZeroDivisionError

            event.listen(database.engine, "after_cursor_execute", fail)
            with pytest.raises(ZeroDivisionError):
                database.lock("second").__enter__()
            event.remove(database.engine, "after_cursor_execute", fail)
            assert becomes_free(rival, "second")
            database.transact(insert, "first")
            assert not is_free(rival, "first")
        assert is_free(rival, "first")


@contextmanager
def at_first(
    target: Engine, name: str, act: Callable[[], object], word: str = ""
) -> Iterator[list[BaseException]]:
    """At the first such event ``act`` begins in another thread, and has a moment to do harm; what
    it fails with."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    late = threading.Thread(target=run)

    def begin(*told: object) -> None:
        if late.ident is None and word in str(told):
            late.start()
            late.join(0.3)

    event.listen(target, name, begin)
    yield failures
    late.join()


def test_of_two_threads_that_want_a_lock_at_once_one_takes_it(postgres_url: str) -> None:
    with opened(postgres_url) as database, ExitStack() as stack:

        def take() -> None:
            stack.enter_context(database.lock("a listing"))

        engine, word = database.engine, "pg_try_advisory_lock"
        with at_first(engine, "before_cursor_execute", take, word) as failures:
            take()
        assert [type(one) for one in failures] == [LockedError]


def test_a_lock_may_be_taken_while_another_is_given_back(postgres_url: str) -> None:
    """With the last lock goes the connection of all."""
    with opened(postgres_url) as database, opened(postgres_url) as rival:
        with ExitStack() as first, ExitStack() as second:
            first.enter_context(database.lock("first"))
            again = database.lock("second")
            with at_first(
                database.engine, "checkin", lambda: second.enter_context(again)
            ) as failed:
                first.close()
            assert (failed, is_free(rival, "first"), is_free(rival, "second")) == ([], True, False)
        assert is_free(rival, "second")


def test_two_threads_may_find_their_locks_dropped_at_once(postgres_url: str) -> None:
    with opened(postgres_url) as database, opened(postgres_url) as rival, ExitStack() as stack:
        for listing in ("first", "second"):
            stack.enter_context(database.lock(listing))
        end_the_holders(rival)
        late = partial(database.transact, insert, "second")
        with at_first(database.engine, "invalidate", late) as failures:
            database.transact(lambda connection: connection.execute(text("SELECT 1")), "first")
        assert (failures, is_free(rival, "first"), is_free(rival, "second")) == ([], False, False)


def test_nothing_is_committed_after_another_sync_took_a_dropped_lock(postgres_url: str) -> None:
    with opened(postgres_url) as database, opened(postgres_url) as rival, ExitStack() as stack:
        stack.enter_context(database.lock("a listing"))
        stack.enter_context(database.lock("another listing"))
        end_the_holders(rival)
        theirs = stack.enter_context(ExitStack())
        theirs.enter_context(rival.lock("a listing", wait=True))
        for _ in range(2):
            with pytest.raises(LockedError, match="another sync has taken the lock"):
                database.transact(insert, "a listing")
        theirs.close()
        end_the_holders(rival)
        with pytest.raises(LockedError, match="another sync has taken the lock"):
            database.transact(insert, "a listing")
        with database.write("another listing") as connection:
            assert connection.execute(text("SELECT count(*) FROM listings")).scalar() == 0


def test_nothing_is_committed_where_the_lock_is_lost_in_the_midst_of_it(postgres_url: str) -> None:
    with opened(postgres_url) as database, opened(postgres_url) as rival, ExitStack() as stack:
        stack.enter_context(database.lock("a listing"))
        tries: list[Connection] = []

        def write_and_lose_the_lock(connection: Connection) -> None:
            insert(connection)
            tries.append(connection)
            if len(tries) == 1:
                end_the_holders(rival)
                stack.enter_context(rival.lock("a listing", wait=True))

        with pytest.raises(LockedError, match="another sync has taken the lock"):
            database.transact(write_and_lose_the_lock, "a listing")
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM listings")).scalar() == 0


def test_a_sync_that_lost_its_lock_writes_nothing_of_its_listing(postgres_url: str) -> None:
    now, pipeline = datetime(2024, 5, 6, tzinfo=UTC), Pipeline("p")
    with opened(postgres_url) as database, opened(postgres_url) as rival, ExitStack() as stack:
        store = ListingStore(database, "ci", "a listing")
        writes: list[Callable[[], object]] = [
            lambda: store.save(Batch(pipelines=[pipeline])),
            lambda: store.settle((pipeline, "run"), now, now),
            lambda: store.save_memory({"page": 2}),
        ]
        stack.enter_context(database.lock("a listing"))
        end_the_holders(rival)
        stack.enter_context(rival.lock("a listing", wait=True))
        for write in writes:
            with pytest.raises(LockedError, match="another sync has taken the lock"):
                write()
        assert store.memory() == {}


def insert(connection: Connection) -> None:
    connection.execute(text("INSERT INTO listings VALUES ('x', '{}')"))


def test_a_folder_without_room_for_locks_is_named(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "runsync.db.locks").touch()
    with pytest.raises(DatabaseError, match=r"lock folder .*runsync\.db\.locks"):
        is_free(sqlite, "a listing")


def test_a_database_may_be_given_as_an_engine(postgres_url: str, sqlite_url: str) -> None:
    for url in (postgres_url, sqlite_url):
        engine = create_engine(make_url(url))
        database = Database(engine)
        assert schema.current(database) == schema.HEAD
        database.close()


def test_other_tools_read_while_we_write(sqlite: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runsync.db")) as reader:
        with sqlite.write() as connection:
            connection.execute(text("INSERT INTO listings VALUES ('x', '{}')"))
            assert reader.execute("SELECT count(*) FROM listings").fetchone() == (0,)
        assert reader.execute("SELECT count(*) FROM listings").fetchone() == (1,)

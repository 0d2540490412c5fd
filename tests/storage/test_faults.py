"""What a database can do to a sync: it is told in one sentence or got over, and nothing is lost."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, make_url, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import DatabaseError, LockedError, RunsyncError, UnavailableError
from runsync.simulator import Scenario, Simulator, World
from runsync.sources import open_source
from runsync.storage import database as database_module
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from runsync.sync.status import status
from tests.storage.pooler import pooled
from tests.storage.run_histories import new_pipeline
from tests.storage.test_store import a_run, a_step, answer

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    """Of 90 runs, unless a test wants another number."""
    return Scenario(seed=5, runs=getattr(request, "param", 90), pipelines=1, now=NOW).build()


Sync = Callable[[Database], SyncOutcome]


@pytest.fixture
def run_sync(world: World) -> Iterator[Sync]:
    """Syncs the world's pipeline into a database."""
    with Simulator(world) as service:
        source = open_source(SourceConfig("wercker", "wercker", service.url))
        task = Task(source, source.listing(PipelineConfig("wercker", id=world.pipelines[0].id)))

        def run(database: Database) -> SyncOutcome:
            (outcome,) = sync(database, [task], Options(concurrency=4))
            return outcome

        yield run
        source.close()


def rows(database: Database) -> dict[str, list[Any]]:
    """What is stored, but for when it was seen."""
    seen = {"first_seen_at", "last_seen_at", "steps_synced_at", "pipeline_id", "settled"}
    found = {}
    with database.read() as connection:
        for table in (tables.runs, tables.steps):
            query = select(*(c for c in table.c if c.name not in seen))
            found[table.name] = list(connection.execute(query.order_by(*table.primary_key)))
    return found


@pytest.fixture
def undisturbed(run_sync: Sync, sqlite_template: Path, tmp_path: Path) -> dict[str, list[Any]]:
    """What a sync without any fault stores."""
    path = tmp_path / "undisturbed.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")
    assert run_sync(database).outcome == "ok"
    found = rows(database)
    database.close()
    return found


def failure(run_sync: Sync, database: Database) -> str:
    """The sentence that a sync fails with."""
    try:
        outcome = run_sync(database)
    except RunsyncError as error:
        said = error
    else:
        assert outcome.outcome in ("failed", "locked")
        assert outcome.cause is not None
        said = outcome.cause
    assert isinstance(said, DatabaseError | LockedError)
    assert "\n" not in str(said)
    return str(said)


# SQLite.


def test_a_full_disk_is_named_and_the_next_sync_goes_on(
    sqlite: Database, run_sync: Sync, undisturbed: dict[str, list[Any]]
) -> None:
    def limit(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA max_page_count = 50")

    event.listen(sqlite.engine, "connect", limit)
    assert "database or disk is full; make room, then sync again" in failure(run_sync, sqlite)
    stored = len(rows(sqlite)["runs"])
    assert stored < 90
    sqlite.close()
    event.remove(sqlite.engine, "connect", limit)
    outcome = run_sync(sqlite)
    assert outcome.outcome == "ok"
    assert outcome.counts.runs_new == 90 - stored
    assert rows(sqlite) == undisturbed


def test_a_database_that_another_program_keeps_busy_is_named(
    sqlite_url: str,
    run_sync: Sync,
    undisturbed: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_module, "_BUSY_SECONDS", 0.2)
    database = Database(sqlite_url)
    other = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "database is locked; wait until nobody else writes" in failure(run_sync, database)
    other.execute("ROLLBACK")
    other.close()
    assert run_sync(database).outcome == "ok"
    assert rows(database) == undisturbed
    database.close()


def test_a_database_that_may_not_be_written_is_named(sqlite_url: str, run_sync: Sync) -> None:
    path = make_url(sqlite_url).database
    database = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(DatabaseError, match="attempt to write a readonly database; give runsync"):
        ListingStore(database, "ci", "ci/p").begin()
    assert "attempt to write a readonly database" in failure(run_sync, database)
    database.close()


# PostgreSQL.

END_ALL_OTHERS = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

ADVISORY_LOCKS = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE locktype = 'advisory' AND datname = current_database()"
)


@contextmanager
def connections_killed(url: str, *, times: int) -> Iterator[list[int]]:
    """Meanwhile every connection to the database is ended again and again."""
    rival, done, killed = Database(url), threading.Event(), list[int]()

    def kill() -> None:
        while len(killed) < times and not done.wait(0.4):
            with rival.write() as connection:
                if found := connection.execute(END_ALL_OTHERS).scalar_one():
                    killed.append(found)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()
        rival.close()


def test_writes_outlive_connections_that_are_killed(postgres_url: str) -> None:
    database = Database(postgres_url)
    pipeline = new_pipeline()
    store = ListingStore(database, "ci", f"ci/{pipeline.external_id}")
    number = -1
    with connections_killed(postgres_url, times=4) as killed:
        while len(killed) < 4:
            number += 1
            run = a_run(pipeline, id=f"run {number}")
            store.save(Batch([answer(run, a_step("a"), a_step("b"))]))
    with database.read() as connection:
        stored = connection.execute(select(tables.runs.c.id)).scalars().all()
        steps = connection.execute(select(tables.steps.c.id)).scalars().all()
    assert set(stored) == {f"run {n}" for n in range(number + 1)}
    assert len(steps) == 2 * len(stored)
    database.close()


def test_a_transaction_whose_connection_is_killed_is_written_by_another(
    postgres_url: str,
) -> None:
    database, rival = Database(postgres_url), Database(postgres_url)
    tries = []

    def write(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("INSERT INTO listings VALUES ('x', '{}')"))
        if len(tries) == 1:
            with rival.write() as killer:
                killer.execute(END_ALL_OTHERS)
        connection.execute(text("INSERT INTO listings VALUES ('y', '{}')"))

    database.transact(write)
    assert len(tries) == 2
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM listings")).scalar() == 2
    database.close()
    rival.close()


def test_reads_whose_connection_is_killed_are_read_by_another(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_FIRST_PAUSE_SECONDS", 0.001)
    database, rival = Database(postgres_url), Database(postgres_url)
    tries = []

    def kill(*_: object) -> None:
        tries.append(1)
        if len(tries) <= 3:
            with rival.write() as killer:
                killer.execute(END_ALL_OTHERS)

    event.listen(database.engine, "before_cursor_execute", kill)
    assert ListingStore(database, "ci", "ci/p").coverage() == []
    assert len(tries) > 3
    tries.clear()
    assert status(database) == []
    assert len(tries) > 3
    database.close()
    rival.close()


def test_a_write_whose_connection_cannot_be_made_at_first_is_tried_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_FIRST_PAUSE_SECONDS", 0.001)
    database, rival = Database(postgres_url), Database(postgres_url)
    tries = []

    def kill_while_it_is_made(raw: Any, _: object) -> None:
        tries.append(1)
        if len(tries) <= 2:
            with rival.write() as killer:
                killer.execute(END_ALL_OTHERS)
            with closing(raw):
                raw.execute("SELECT 1")

    event.listen(database.engine, "connect", kill_while_it_is_made)
    number = ListingStore(database, "ci", "ci/p").begin()
    assert len(tries) == 3
    with database.read() as connection:
        assert connection.execute(select(tables.syncs.c.id)).scalars().all() == [number]
    database.close()
    rival.close()


@pytest.mark.parametrize("ask", [ListingStore.begin, ListingStore.unsettled])
def test_a_database_that_stays_away_is_named_after_the_last_attempt(
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ask: Callable[[ListingStore], object],
) -> None:
    monkeypatch.setattr(database_module, "_FIRST_PAUSE_SECONDS", 0.001)
    database = Database(make_url(postgres_url).set(query={"host": str(tmp_path)}))
    tries = []
    event.listen(database.engine, "do_connect", lambda *_: tries.append(1))
    with pytest.raises(UnavailableError, match="No such file"):
        ask(ListingStore(database, "ci", "ci/p"))
    assert len(tries) == 6
    database.close()


def test_a_deadlock_is_tried_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.write() as connection:
        connection.execute(text("INSERT INTO listings VALUES ('a', '{}'), ('b', '{}')"))
    together, tries, failures = threading.Barrier(2), list[str](), list[BaseException]()

    def touch(connection: Connection, listing: str) -> None:
        connection.execute(
            text("UPDATE listings SET memory = memory || '{\"n\": 1}' WHERE listing = :listing"),
            {"listing": listing},
        )

    def write_both(first: str, second: str, connection: Connection) -> None:
        tries.append(first)
        touch(connection, first)
        if tries.count(first) == 1:
            together.wait(5)
        touch(connection, second)

    def write(first: str, second: str) -> None:
        try:
            database.transact(partial(write_both, first, second))
        except BaseException as error:  # noqa: BLE001 - shown in the main thread
            failures.append(error)

    threads = [threading.Thread(target=write, args=order) for order in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(tries) in (["a", "a", "b"], ["a", "b", "b"])
    database.close()


def test_a_serialization_failure_is_tried_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    strict = Database(database.engine.execution_options(isolation_level="SERIALIZABLE"))
    with database.write() as connection:
        connection.execute(text("INSERT INTO listings VALUES ('a', '{\"n\": 0}')"))
    tries = []

    def write(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("SELECT * FROM listings")).all()
        if len(tries) == 1:
            with database.write() as other:
                other.execute(text("UPDATE listings SET memory = '{\"n\": 1}'"))
        connection.execute(text("UPDATE listings SET memory = memory || '{\"m\": 1}'"))

    strict.transact(write)
    assert len(tries) == 2
    with database.read() as connection:
        stored = connection.execute(text("SELECT memory FROM listings")).scalar()
    assert stored == {"n": 1, "m": 1}
    database.close()


SELECT_NOTHING = "SELECT * FROM nosuch"
# The server's own words, and one of the driver, which sends nothing.
FAILURES_THAT_STAY = [
    (SELECT_NOTHING, "nosuch"),
    ("DO $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$", "no room"),
    ("SELECT :unknown", "cannot adapt type 'object'"),
]


@pytest.mark.parametrize(("query", "said"), FAILURES_THAT_STAY)
def test_a_failure_that_stays_is_not_tried_again(postgres_url: str, query: str, said: str) -> None:
    assert tries_of(postgres_url, query, said) == 1


def test_nor_is_one_of_sqlite(sqlite_url: str) -> None:
    assert tries_of(sqlite_url, SELECT_NOTHING, "nosuch") == 1


def tries_of(url: str, query: str, said: str) -> int:
    """How often a transaction is tried that ends so."""
    tries = []

    def write(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text(query), {"unknown": object()} if ":unknown" in query else {})

    with closing(Database(url)) as database, pytest.raises(DatabaseError, match=said):
        database.transact(write)
    return len(tries)


@pytest.mark.parametrize(
    ("error", "said", "may_pass"),
    [
        (OperationalError(None, None, psycopg.errors.CrashShutdown("crash")), "crash", True),
        (OperationalError(None, None, psycopg.errors.CannotConnectNow("start")), "start", True),
        (OperationalError(None, None, psycopg.errors.DiskFull("no room")), "no room", False),
        (InterfaceError(None, None, psycopg.InterfaceError("closed"), False, True), "closed", True),
        (InterfaceError(None, None, psycopg.InterfaceError("unfit")), "unfit", False),
        (OperationalError(None, None, psycopg.OperationalError()), "the connection broke", True),
        (OperationalError(None, None, psycopg.OperationalError("\n a\nb")), "a", True),
    ],
)
def test_which_errors_of_the_driver_may_pass(
    error: DBAPIError, said: str, may_pass: bool, postgres_url: str
) -> None:
    def fail(_: Connection) -> None:
        raise error

    database = Database(postgres_url)
    with pytest.raises(DatabaseError) as caught, database.read() as connection:
        fail(connection)
    database.close()
    assert str(caught.value).endswith(f" answers: {said}")
    assert isinstance(caught.value, UnavailableError) is may_pass


@pytest.mark.parametrize("world", [3], indirect=True)
def test_connections_may_be_killed_before_any_statement_of_a_sync(
    postgres_url: str,
    run_sync: Sync,
    undisturbed: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them at once, that of the lock too; what is written is written under the lock."""
    monkeypatch.setattr(database_module, "_FIRST_PAUSE_SECONDS", 0.001)
    rival = Database(postgres_url)
    unlocked: list[int] = []
    count = fatal = 0

    def before_statement(connection: Connection, _: object, statement: str, *__: object) -> None:
        nonlocal count
        count += 1
        if "INTO runs " in statement:
            connection.info["writes runs"] = True
        if count == fatal:
            with rival.write() as killer:
                killer.execute(END_ALL_OTHERS)

    def before_commit(connection: Connection) -> None:
        if connection.info.pop("writes runs", False):
            with rival.read() as looker:
                if not looker.execute(ADVISORY_LOCKS).scalar_one():
                    unlocked.append(fatal)

    while count >= fatal:
        count, fatal = 0, fatal + 1
        database = Database(postgres_url)
        event.listen(database.engine, "before_cursor_execute", before_statement)
        event.listen(database.engine, "commit", before_commit)
        outcome = run_sync(database)
        database.close()
        assert (fatal, outcome.outcome, outcome.error) == (fatal, "ok", None)
        assert rows(rival) == undisturbed
        with rival.write() as connection:
            assert connection.execute(ADVISORY_LOCKS).scalar_one() == 0
            for table in reversed(tables.METADATA.sorted_tables):
                connection.execute(table.delete())
    assert fatal > 10
    assert unlocked == []
    rival.close()


def test_a_sync_outlives_connections_that_are_killed_one_after_the_other(
    postgres_url: str, run_sync: Sync, undisturbed: dict[str, list[Any]]
) -> None:
    database = Database(postgres_url)
    with connections_killed(postgres_url, times=3) as killed:
        while len(killed) < 3:
            outcome = run_sync(database)
            assert (outcome.outcome, outcome.error) == ("ok", None)
    assert rows(database) == undisturbed
    database.close()


def test_a_sync_that_lost_its_lock_to_another_stops_before_it_writes_on(
    postgres_url: str, run_sync: Sync, world: World, undisturbed: dict[str, list[Any]]
) -> None:
    database, rival = Database(postgres_url), Database(postgres_url)
    listing = f"wercker/pipeline/{world.pipelines[0].id}"
    taken = rival.lock(listing, wait=True)
    robbed: list[str] = []

    def rob(_: Connection) -> None:
        """After the first page the server ends the connection of the lock; the rival takes it."""
        if robbed or not rows(rival)["runs"]:
            return
        robbed.append(listing)
        with rival.write() as killer:
            killer.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                )
            )
        taken.__enter__()

    event.listen(database.engine, "commit", rob)
    said = failure(run_sync, database)
    assert f"held the lock of {listing} broke, and another sync has taken the lock" in said
    assert len(rows(database)["runs"]) < 90
    taken.__exit__(None, None, None)
    assert run_sync(database).outcome == "ok"
    assert rows(database) == undisturbed
    database.close()
    rival.close()


def test_a_lock_whose_connection_broke_is_not_believed_in_since_another_was_taken(
    postgres_url: str,
) -> None:
    database, rival = Database(postgres_url), Database(postgres_url)
    with database.lock("first"):
        with rival.write() as killer:
            killer.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                )
            )
        with rival.lock("first", wait=True), database.lock("second"):
            with pytest.raises(LockedError, match="another sync has taken the lock"):
                write_under(database, "first")
            write_under(database, "second")
    database.close()
    rival.close()


def test_a_lock_is_taken_again_whatever_breaks_meanwhile(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second connection, which looks for a pooler, may break while the first stays."""
    monkeypatch.setattr(database_module, "_FIRST_PAUSE_SECONDS", 0.001)
    rival = Database(postgres_url)
    asked = fatal = 0

    def kill(connection: Connection, *_: object) -> None:
        nonlocal asked
        asked += 1
        if asked == fatal:
            pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
            with rival.write() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

    while asked >= fatal:
        fatal += 1
        database = Database(postgres_url)
        with database.lock("first"):
            with rival.write() as killer:
                killer.execute(END_ALL_OTHERS)
            asked = 0
            event.listen(database.engine, "before_cursor_execute", kill)
            database.transact(lambda connection: connection.execute(text("SELECT 1")), "first")
            event.remove(database.engine, "before_cursor_execute", kill)
            with rival.read() as looker:
                assert (fatal, looker.execute(ADVISORY_LOCKS).scalar_one()) == (fatal, 1)
        database.close()
    assert fatal > 3
    rival.close()


def write_under(database: Database, listing: str) -> None:
    with database.write(listing) as connection:
        connection.execute(text("SELECT 1"))


@pytest.mark.parametrize("in_turn", [False, True])
def test_a_pooler_in_transaction_mode_is_named(
    postgres_url: str, run_sync: Sync, in_turn: bool
) -> None:
    with pooled(make_url(postgres_url), by_transaction=True, in_turn=in_turn) as url:
        database = Database(url)
        with ExitStack() as busy:
            for _ in range(3):  # so that the pooler has several to give
                busy.enter_context(database.read()).execute(text("SELECT 1"))
        for _ in range(3):
            with pytest.raises(DatabaseError, match="pooler in transaction mode"):
                database.lock("a listing").__enter__()
        assert "name the PostgreSQL server itself" in failure(run_sync, database)
        database.close()


@pytest.mark.parametrize("world", [10], indirect=True)
def test_a_pooler_in_session_mode_keeps_locks(postgres_url: str, run_sync: Sync) -> None:
    with pooled(make_url(postgres_url), by_transaction=False) as url:
        database, direct = Database(url), Database(postgres_url)
        with database.lock("a listing"), pytest.raises(LockedError):
            direct.lock("a listing").__enter__()
        assert run_sync(database).outcome == "ok"
        database.close()
        direct.close()

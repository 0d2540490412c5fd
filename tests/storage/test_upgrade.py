"""Databases of every revision there was are upgraded, keep their rows, and are synced on.

``frozen/`` holds one of each, as SQL text, made by the runsync that wrote that revision from the
simulated service of ``world``.
"""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, create_engine, make_url, select, text

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import DatabaseError
from runsync.simulator import Scenario, Simulator
from runsync.simulator.history import scenario
from runsync.sources import open_source
from runsync.storage import schema, tables
from runsync.storage.database import Database
from runsync.sync.engine import Options, Task, sync

FROZEN = Path(__file__).parent / "frozen"
REVISIONS = [path.name.partition(".")[0] for path in sorted(FROZEN.glob("*.sqlite.sql"))]
NEW_COLUMNS = {
    "label",  # of 0002
    *"default_branch number event outcome web_url runner".split(),  # of 0003
}
ROWS = (tables.pipelines, tables.listing_pipelines, tables.runs, tables.steps, tables.coverage)


@pytest.fixture(params=REVISIONS)
def revision(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def old(
    request: pytest.FixtureRequest, revision: str, tmp_path: Path, empty_postgres_url: str
) -> Iterator[Database]:
    """A database of an old revision."""
    frozen = (FROZEN / f"{revision}.{request.param}.sql").read_text()
    if request.param == "sqlite":
        raw = sqlite3.connect(tmp_path / "old.db")
        raw.executescript(frozen)
        raw.close()
        database = Database(f"sqlite:///{tmp_path}/old.db")
    else:
        database = Database(empty_postgres_url)
        with psycopg.connect(_for_psycopg(empty_postgres_url)) as connection:
            connection.execute(frozen.encode())
    yield database
    database.close()


def _for_psycopg(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables by name, with the columns that every revision has."""
    found = {}
    with database.read() as connection:
        for table in ROWS:
            columns = [column for column in table.c if column.name not in NEW_COLUMNS]
            query = select(*columns).order_by(*table.primary_key)
            found[table.name] = [dict(row) for row in connection.execute(query).mappings()]
    return found


def test_there_is_a_frozen_database_of_every_revision_but_the_newest() -> None:
    assert schema._revisions()[:-1] == REVISIONS


def test_an_old_schema_is_refused_until_it_is_upgraded(old: Database, revision: str) -> None:
    assert schema.current(old) == revision
    with pytest.raises(DatabaseError, match=rf"at revision {revision} .*`runsync db upgrade`"):
        schema.ready(old)
    schema.ready(old, upgrade_old=True)
    assert schema.current(old) == schema.HEAD


def test_an_upgraded_database_keeps_its_rows_and_a_sync_changes_none(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pipelines of the frozen histories have ids of the time of their creation.
    created = datetime(2024, 1, 7, 12, tzinfo=UTC)
    monkeypatch.setattr(scenario, "_FIRST_ID_MS", round(created.timestamp() * 1000))
    before = contents(old)
    assert len(before["runs"]) > 20
    assert len(before["steps"]) > 100
    schema.upgrade(old)
    assert contents(old) == before
    now = datetime(2024, 5, 6, 12, tzinfo=UTC)
    world = Scenario(seed=3, runs=24, pipelines=2, now=now).build()
    with Simulator(world) as service:
        source = open_source(SourceConfig("wercker", "wercker", service.url))
        wanted = [PipelineConfig("wercker", id=one.id) for one in world.pipelines]
        outcomes = sync(old, [Task(source, source.listing(one)) for one in wanted], Options())
        source.close()
    assert [one.outcome for one in outcomes] == ["ok", "ok"]
    assert [one.counts.runs_new for one in outcomes] == [0, 0]
    assert contents(old) == before


@pytest.mark.parametrize("revision", ["0001"])
def test_the_backlog_of_syncs_goes_with_the_upgrade(old: Database) -> None:
    now = datetime.now(UTC)
    old_syncs = [
        {"at": now - timedelta(days=days, minutes=5 * n), "outcome": outcome}
        for days in (60, 61)
        for n in range(3)
        for outcome in ("ok", "failed")
    ]
    row = dict.fromkeys(("requests", "runs_new", "runs_updated", "steps_written"), 0)
    with old.write() as connection:
        connection.execute(
            tables.syncs.insert(),
            [
                {**row, "listing": "x", "started_at": one["at"], "outcome": one["outcome"]}
                for one in old_syncs
            ],
        )
    schema.upgrade(old)
    with old.read() as connection:
        of_x = select(tables.syncs.c.started_at).where(tables.syncs.c.listing == "x")
        days = [at.date() for at in connection.execute(of_x).scalars()]
    assert 4 <= len(days) <= 8  # of two days, or of four where midnight lies between
    assert len(days) == 2 * len(set(days))


def test_of_two_upgrades_at_once_one_waits_and_finds_it_done(old: Database) -> None:
    url = old.engine.url.render_as_string(hide_password=False)
    failures: list[BaseException] = []

    def upgrade() -> None:
        database = Database(url)
        try:
            schema.ready(database, upgrade_old=True)
        except BaseException as error:  # noqa: BLE001 - shown in the main thread
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=upgrade) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert schema.current(old) == schema.HEAD


def test_a_revision_that_fails_half_way_leaves_the_database_as_it_was(
    old: Database, revision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "migrations"
    versions = broken / "versions"
    versions.mkdir(parents=True)
    for path in [
        schema.migrations_path() / "env.py",
        *schema.migrations_path().glob("versions/*.py"),
    ]:
        body = path.read_text()
        if path.name.startswith(schema.HEAD):
            body = body.replace(
                "\n\ndef downgrade", "\n    op.execute('SELECT nosuch()')\n\n\ndef downgrade", 1
            )
        (broken / path.relative_to(schema.migrations_path())).write_text(body)
    monkeypatch.setattr(schema, "migrations_path", lambda: broken)
    before = contents(old)
    with pytest.raises(DatabaseError, match="nosuch"):
        schema.upgrade(old)
    assert schema.current(old) == revision
    assert contents(old) == before
    monkeypatch.undo()
    schema.upgrade(old)
    assert schema.current(old) == schema.HEAD


def test_a_newer_schema_says_that_a_newer_runsync_wrote_it(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for upgrade_old in (False, True):
        with pytest.raises(DatabaseError, match="9999"):
            schema.ready(database, upgrade_old=upgrade_old)
    with pytest.raises(DatabaseError, match="a newer runsync wrote it"):
        schema.check(database)


@pytest.fixture
def empty_postgres_url(postgres_server: URL) -> Iterator[str]:
    """A PostgreSQL database without a schema."""
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS test_old WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE test_old"))
    yield postgres_server.set(database="test_old").render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE test_old WITH (FORCE)"))
    admin.dispose()

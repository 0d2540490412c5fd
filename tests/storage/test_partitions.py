"""An empty PostgreSQL database cut into partitions keeps all that the revisions made."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, inspect, text

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import DatabaseError
from runsync.simulator import Scenario, Simulator
from runsync.sources import open_source
from runsync.storage.database import Database
from runsync.storage.partitions import cut
from runsync.sync.engine import Options, Task, sync
from tests.storage.test_store import until_it_waits

DEFINITIONS = {
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM "
    "pg_constraint WHERE coninhcount = 0 AND contype <> 'n' AND conrelid <> 0",
    "indexes": "SELECT indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), 'ONLY ', "
    "'') FROM pg_index JOIN pg_class ON oid = indexrelid WHERE NOT relispartition AND "
    "relnamespace = 'public'::regnamespace",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal "
    "AND tgparentid = 0",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "columns": "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, "
    "column_default FROM information_schema.columns WHERE table_schema = 'public' "
    "AND table_name !~ '^(runs|steps)_[0-9]+$'",
}


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


def definitions(database: Database) -> dict[str, set[Any]]:
    with database.read() as connection:
        return {
            what: {tuple(row) for row in connection.execute(text(query))}
            for what, query in DEFINITIONS.items()
        }


def filled(database: Database) -> list[Any]:
    """The runs and steps that a sync of a simulated history leaves."""
    world = Scenario(seed=3, runs=60, pipelines=3, now=datetime(2024, 5, 6, tzinfo=UTC)).build()
    with Simulator(world) as service:
        source = open_source(SourceConfig("wercker", "wercker", service.url))
        wanted = [PipelineConfig("wercker", id=one.id) for one in world.pipelines]
        for _ in range(2):
            outcomes = sync(database, [Task(source, source.listing(w)) for w in wanted], Options())
            assert {one.outcome for one in outcomes} == {"ok"}
        source.close()
    query = "SELECT p.external_id, r.id, r.result, s.id, s.name, s.duration_ms FROM pipelines p "
    query += "JOIN runs r ON r.pipeline_id = p.id JOIN steps s ON s.pipeline_id = p.id "
    query += "AND s.run_id = r.id ORDER BY 1, 2, 4"
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_nothing_that_the_revisions_made_is_lost(postgres: Database) -> None:
    before = definitions(postgres)
    assert all(before.values())
    cut(postgres, 4)
    after = definitions(postgres)
    for what, found in before.items():
        assert after[what] == found, what
    with postgres.read() as connection:
        names = inspect(connection).get_table_names()
    assert {f"{table}_{n}" for table in ("runs", "steps") for n in range(4)} <= set(names)


OF_OTHERS = """
CREATE SCHEMA desk;
CREATE VIEW desk.newest AS SELECT max(run_created_at) AS at FROM v_steps;
CREATE VIEW labels AS SELECT name FROM pipelines;
CREATE MATERIALIZED VIEW authors AS SELECT author, count(*) AS runs FROM runs GROUP BY 1;
CREATE UNIQUE INDEX by_author ON authors (author);
CREATE TABLE notes (p int, run text, FOREIGN KEY (p, run) REFERENCES runs ON DELETE CASCADE);
ALTER TABLE runs ADD UNIQUE (pipeline_id, number, id), ADD CHECK (attempt > 0);
CREATE INDEX by_message ON runs (message) WHERE message LIKE 'fix%';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor WITH GRANT OPTION;
GRANT SELECT ON v_runs TO PUBLIC;
"""
KEPT = """
SELECT 'view', schemaname, viewname, definition FROM pg_views WHERE schemaname IN ('desk', 'public')
UNION ALL SELECT 'view', schemaname, matviewname, definition FROM pg_matviews
UNION ALL SELECT 'grant', grantee, table_name, privilege_type || is_grantable
FROM information_schema.table_privileges WHERE grantee IN ('pg_monitor', 'PUBLIC')
AND table_schema = 'public' AND table_name !~ '^(runs|steps)_[0-9]+$'
"""


def test_nor_is_what_others_made_of_it(postgres: Database) -> None:
    """Views of their own, wherever they stand, and what they may read."""
    with postgres.write() as connection:
        connection.execute(text(OF_OTHERS))
    before, kept = definitions(postgres), of_others(postgres)
    assert len(kept) > 20
    cut(postgres, 2)
    assert of_others(postgres) == kept
    assert definitions(postgres) == before


def of_others(database: Database) -> set[Any]:
    with database.read() as connection:
        return {tuple(row) for row in connection.execute(text(KEPT))}


def test_a_sync_stores_the_same_rows(postgres: Database, sqlite: Database) -> None:
    cut(postgres, 3)
    rows = filled(postgres)
    assert rows == filled(sqlite)
    with postgres.read() as connection:
        spread = [
            (connection.execute(text(f"SELECT count(*) FROM steps_{n}")).scalar_one())
            for n in range(3)
        ]
    assert sum(spread) == len(rows)
    assert max(spread) < len(rows)


def test_it_is_cut_once(postgres: Database) -> None:
    cut(postgres, 2)
    before = definitions(postgres)
    cut(postgres, 2)
    assert definitions(postgres) == before
    with pytest.raises(DatabaseError, match="has 2 partitions already"):
        cut(postgres, 3)


def test_what_holds_runs_stays_as_it_is(postgres: Database) -> None:
    filled(postgres)
    before = definitions(postgres)
    with pytest.raises(DatabaseError, match="holds runs, and only an empty one can be cut"):
        cut(postgres, 4)
    assert definitions(postgres) == before


def test_sqlite_has_no_partitions(sqlite: Database) -> None:
    with pytest.raises(DatabaseError, match="SQLite, which has no partitions"):
        cut(sqlite, 4)


def test_what_is_being_written_is_waited_for(postgres: Database) -> None:
    """Else the table goes with a run that was committed since it was looked at."""
    failures: list[BaseException] = []
    late = threading.Thread(target=lambda: cut_or_fail(postgres, 2, failures))
    with postgres.write() as connection:
        connection.execute(
            text("INSERT INTO pipelines (id, source, external_id, name) VALUES (1, 'ci', 'p', 'p')")
        )
        connection.execute(text(A_RUN))
        late.start()
        until_it_waits(late, postgres)
    late.join()
    assert "holds runs" in "".join(map(str, failures))
    with postgres.read() as connection:
        assert connection.execute(text("SELECT id FROM runs")).scalars().all() == ["run"]


def test_of_two_that_cut_at_once_one_waits_and_finds_it_done(postgres: Database) -> None:
    """Indexes of tables that are cut are defined for them alone, and not for their partitions."""
    failures: list[BaseException] = []
    late = threading.Thread(target=lambda: cut_or_fail(postgres, 3, failures))

    def begin(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("CREATE TEMP TABLE cut") and late.ident is None:
            late.start()
            until_it_waits(late, postgres)

    event.listen(postgres.engine, "before_cursor_execute", begin)
    cut(postgres, 2)
    late.join()
    assert "has 2 partitions already" in "".join(map(str, failures))


def cut_or_fail(database: Database, number: int, failures: list[BaseException]) -> None:
    try:
        cut(database, number)
    except DatabaseError as error:
        failures.append(error)


A_RUN = """
INSERT INTO runs (pipeline_id, id, attempt, status, result, created_at, settled, first_seen_at,
last_seen_at) VALUES (1, 'run', 1, 'finished', 'passed', now(), true, now(), now())
"""

"""The revisions make the schema that the tables declare, and a sync loads little."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.schema import CreateIndex

from runsync.storage import models, schema
from runsync.storage.database import Database


@pytest.mark.filterwarnings("ignore:.* expression-based index")
def test_the_revisions_make_what_the_tables_declare(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, models.REGISTRY.metadata) == []


def test_an_index_that_sqlite_does_not_show_is_what_is_declared(sqlite: Database) -> None:
    (index,) = (one for one in models.RunRow.__table__.indexes if one.name == "ix_runs_verdicts")
    with sqlite.read() as connection:
        made = connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name = 'ix_runs_verdicts'")
        ).scalar_one()
        declared = str(CreateIndex(index).compile(connection, dialect=connection.dialect))
    assert made.split() == declared.split()


def test_the_newest_file_is_the_head_of_the_revisions() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.migrations_path()))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [schema.HEAD]
    assert [one.revision for one in scripts.walk_revisions()][::-1] == schema._revisions()


SYNC_NOTHING = """
import sys

import pytest
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.store import Counts, ListingStore
from runsync.sync.engine import sync

database = Database(sys.argv[1])
schema.check(database)
store = ListingStore(database, "ci", "ci/p")
with database.lock("ci/p"):
    number = store.begin()
    store.coverage(), store.unsettled(), store.memory()
    store.end(number, "ok", Counts(), 1, None)
database.close()
print(*sys.modules)
"""


def test_a_sync_of_sqlite_loads_neither_alembic_nor_the_orm_nor_postgresql(sqlite_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SYNC_NOTHING, sqlite_url], capture_output=True, text=True, check=True
    )
    unwanted = ("alembic", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "psycopg", "pandas")
    assert [name for name in done.stdout.split() if name.startswith(unwanted)] == []

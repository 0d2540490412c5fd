"""Copies of a database while others write to it."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from runsync.errors import DatabaseError
from runsync.storage import schema
from runsync.storage.backup import backup, dump_command
from runsync.storage.database import Database
from tests.storage.other_process import as_nobody

ADD = "INSERT INTO pipelines (source, external_id, name) VALUES ('s', :id, :name)"
COUNT = text("SELECT count(*) FROM pipelines")


def fill(database: Database, rows: int, name: str = "x" * 900) -> None:
    with database.write() as connection:
        first = connection.execute(COUNT).scalar_one()
        rows_ = [{"id": str(first + n), "name": name} for n in range(rows)]
        connection.execute(text(ADD), rows_)


def count_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as copy:
        return int(copy.execute("SELECT count(*) FROM pipelines").fetchone()[0])


def test_a_copy_is_of_one_moment_and_keeps_no_writer_waiting(
    sqlite: Database, tmp_path: Path
) -> None:
    fill(sqlite, 20_000)
    left: list[int] = []

    def write_meanwhile(remaining: int, _all: int) -> None:
        left.append(remaining)
        fill(sqlite, 3)

    assert sqlite.path is not None
    size = backup(sqlite, tmp_path / "copy.db", watch=write_meanwhile)
    assert len(left) > 2
    assert left == sorted(left, reverse=True)  # it never began again
    assert count_in(tmp_path / "copy.db") == 20_000
    with sqlite.read() as connection:
        assert connection.execute(COUNT).scalar_one() == 20_000 + 3 * len(left)
    assert size == (tmp_path / "copy.db").stat().st_size


def test_a_copy_works_in_the_place_of_the_database(sqlite: Database, tmp_path: Path) -> None:
    fill(sqlite, 3)
    backup(sqlite, tmp_path / "copy.db")
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with closing(Database(f"sqlite:///{tmp_path}/copy.db")) as copy:
        schema.check(copy)
        fill(copy, 1)
    assert count_in(tmp_path / "copy.db") == 4


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "there"
    folder.mkdir()
    yield folder
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_no_file_is_written_over(sqlite: Database, there: Path) -> None:
    (there / "mine").write_text("mine")
    (there / "link").symlink_to("nowhere")
    for name in ("mine", "link"):
        with pytest.raises(DatabaseError, match="is there already and stays as it is"):
            backup(sqlite, there / name)
    assert (there / "mine").read_text() == "mine"
    assert not (there / "nowhere").exists()


def test_a_place_that_cannot_be_written_is_named(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, why in (
        ("no/copy.db", "No such file or directory"),
        ("file/copy.db", "Not a directory"),
        ("x" * 300, "File name too long"),
    ):
        with pytest.raises(
            DatabaseError, match=f"cannot write the backup .*/{place}: {why}; name another place"
        ):
            backup(sqlite, tmp_path / place)


def test_a_folder_that_may_not_be_entered_is_named(sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        shutil.copyfile(sqlite_template, f"{folder}/runsync.db")
        Path(f"{folder}/runsync.db").chmod(0o666)
        Path(f"{folder}/closed").mkdir(mode=0)
        said = as_nobody(
            lambda: backup(
                Database(f"sqlite:///{folder}/runsync.db"), Path(folder, "closed", "copy.db")
            )
        )
    assert said.startswith(f"DatabaseError: cannot write the backup {folder}/closed/copy.db: Perm")


def test_a_full_disk_leaves_nothing(sqlite: Database, there: Path) -> None:
    """A limit on the size of files stands in for it: what goes beyond fails to be written."""
    fill(sqlite, 5_000)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$0" -m runsync db backup copy.db', sys.executable],
        cwd=there,
        env=os.environ
        | {
            "RUNSYNC_DATABASE_URL": f"sqlite:///{sqlite.path}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "was not copied" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (there / "copy.db").exists()


def test_damage_is_not_passed_on_as_a_backup(sqlite: Database, there: Path) -> None:
    """Some of it SQLite's check finds, over some it stumbles."""
    fill(sqlite, 3_000)
    assert sqlite.path is not None
    sqlite.close()
    with closing(sqlite3.connect(sqlite.path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = sqlite.path.read_bytes()
    for begin in (4096, 5 * 4096, len(whole) // 2):
        damaged = there / "damaged.db"
        damaged.write_bytes(whole[:begin] + b"\xa5" * 9000 + whole[begin + 9000 :])
        with (
            closing(Database(f"sqlite:///{damaged}")) as database,
            pytest.raises(DatabaseError, match="is damaged, and so may be the database"),
        ):
            backup(database, there / "copy.db")
        assert not (there / "copy.db").exists()


def test_rows_without_their_pipeline_are_no_backup(sqlite: Database, there: Path) -> None:
    with closing(sqlite3.connect(sqlite.path or "")) as raw:
        raw.execute("INSERT INTO listing_pipelines (listing, pipeline_id) VALUES ('x', 7)")
        raw.commit()
    with pytest.raises(DatabaseError, match="a row of listing_pipelines belongs to none"):
        backup(sqlite, there / "copy.db")


def test_the_command_for_postgresql_makes_what_pg_restore_reads(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "it's a dump"
    with closing(Database(postgres_url)) as database:
        fill(database, 5)
        with database.read() as connection:
            folder = connection.execute(text("SELECT setting FROM pg_config WHERE name = 'BINDIR'"))
            monkeypatch.setenv("PATH", f"{folder.scalar_one()}:{os.environ['PATH']}")
        subprocess.run(dump_command(database, target), shell=True, check=True)
        with database.write() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
        where = make_url(postgres_url).set(drivername="postgresql")
        asked = f"--dbname={where.render_as_string(hide_password=False)}"
        subprocess.run(["pg_restore", asked, "--no-owner", target], check=False)
        schema.check(database)
        with database.read() as connection:
            assert connection.execute(COUNT).scalar_one() == 5


def test_the_command_for_postgresql_tells_no_password(tmp_path: Path) -> None:
    url = "postgresql://ada:s3cret@db.example.com:5433/ci?password=s3cret"
    with closing(Database(url)) as database:
        command = dump_command(database, tmp_path / "x.dump")
    assert "s3cret" not in command
    assert command.endswith("--dbname=postgresql://ada@db.example.com:5433/ci")

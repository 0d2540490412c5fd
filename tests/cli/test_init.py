"""``runsync init`` and ``runsync db``."""

import re
import sqlite3
import stat
import tomllib
from pathlib import Path

import pytest

from runsync import config
from runsync.cli.init import TEMPLATE
from runsync.storage import schema
from tests.cli.conftest import Shell

# The example that the design holds, without its comments.
EXAMPLE = """
database_url = "sqlite:///runsync.db"
[sync]
concurrency = 8
since = "2024-01-01"
[sources.wercker]
type = "wercker"
base_url = "https://app.wercker.com"
token_env = "WERCKER_TOKEN"
[[pipelines]]
source = "wercker"
id = "5751377e7e1bd5f17f050bc4"
name = "initial-build"
[[pipelines]]
source = "wercker"
application_id = "5751377e7e1bd5f17f050bc0"
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_writes_a_config_and_makes_the_database(shell: Shell, folder: Path) -> None:
    ended = shell("init")
    assert ended.code == 0
    assert ended.out == ""
    assert mode(folder / "runsync.toml") == mode(folder / "runsync.db") == 0o600
    loaded = config.load()
    assert loaded.database_url == f"sqlite:///{folder / 'runsync.db'}"
    assert list(loaded.sources) == ["wercker"]
    assert loaded.pipelines == ()
    assert loaded.since is None
    assert shell("db", "check").code == 0


def test_the_template_taken_out_of_its_comments_is_the_documented_example() -> None:
    text = TEMPLATE.format(database_url='"sqlite:///runsync.db"', types="wercker")
    uncommented = re.sub(r"^# (?=[\[a-z_]+[\] ]*(=|$|\[))", "", text, flags=re.MULTILINE)
    assert tomllib.loads(uncommented) == tomllib.loads(EXAMPLE)


def test_init_never_writes_over_a_config(shell: Shell, folder: Path) -> None:
    (folder / "runsync.toml").write_text("mine")
    ended = shell("init")
    assert ended.code == 2
    assert "is there already" in ended.err
    assert (folder / "runsync.toml").read_text() == "mine"
    assert not (folder / "runsync.db").exists()


def test_init_follows_no_dangling_link(shell: Shell, folder: Path) -> None:
    (folder / "runsync.toml").symlink_to("elsewhere.toml")
    assert shell("init").code == 2
    assert not (folder / "elsewhere.toml").exists()


@pytest.mark.parametrize("option", ["--config", "--path"])
def test_init_where_it_is_told(shell: Shell, folder: Path, option: str) -> None:
    (folder / "sub").mkdir()
    assert shell("init", option, "sub/mine.toml").code == 0
    assert (folder / "sub" / "runsync.db").exists()
    assert shell("db", "check", "--config", "sub/mine.toml").code == 0


def test_init_where_the_environment_says(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_CONFIG", "other.toml")
    assert shell("init").code == 0
    assert (folder / "other.toml").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--path", "nowhere/a.toml"], "the folder nowhere does not exist"),
        (["--path", "a.toml", "--config", "b.toml"], "name two files"),
        (["--database-url", "mysql://a/b"], "SQLite and PostgreSQL"),
        (["--database-url", "nonsense"], "is no URL"),
    ],
)
def test_init_that_cannot_be_leaves_nothing(
    shell: Shell, folder: Path, args: list[str], said: str
) -> None:
    ended = shell("init", *args)
    assert ended.code in (2, 5)
    assert said in ended.err
    assert [path.name for path in folder.iterdir()] == []


def test_a_url_of_any_letters_stands_in_the_config(shell: Shell, folder: Path) -> None:
    assert shell("init", "--database-url", 'sqlite:///a "b" \\ü.db').code == 0
    assert (folder / 'a "b" \\ü.db').exists()
    assert shell("db", "check").code == 0


def test_init_for_postgresql(shell: Shell, folder: Path, postgres_url: str) -> None:
    ended = shell("init", "--database-url", postgres_url)
    assert ended.code == 0
    assert config.load().database_url == postgres_url
    assert shell("db", "current", "--json").data["revision"] == schema.HEAD


# The schema.


def test_db_current_and_check_of_a_database_without_a_schema(shell: Shell, folder: Path) -> None:
    shell("init")
    (folder / "runsync.db").write_bytes(b"")
    current = shell("db", "current", "--json")
    assert (current.code, current.data["revision"]) == (0, None)
    assert shell("db", "check").code == 5
    assert shell("db", "upgrade", "--json").data["revision"] == schema.HEAD
    assert shell("db", "check").code == 0


def test_db_check_of_a_database_of_another_version(shell: Shell, folder: Path) -> None:
    shell("init")
    with sqlite3.connect(folder / "runsync.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    checked = shell("db", "check")
    assert checked.code == 5
    assert "a newer runsync wrote it" in checked.err
    assert shell("db", "current", "--json").data["revision"] == "9999"


@pytest.mark.parametrize("command", ["current", "check"])
def test_looking_at_a_database_makes_none(shell: Shell, folder: Path, command: str) -> None:
    shell("init")
    (folder / "runsync.db").unlink()
    ended = shell("db", command)
    assert ended.code == 5
    assert "there is no database" in ended.err
    assert not (folder / "runsync.db").exists()


def test_db_upgrade_makes_a_database_of_none(shell: Shell, folder: Path) -> None:
    shell("init")
    (folder / "runsync.db").unlink()
    assert shell("db", "upgrade").code == 0
    assert shell("db", "check").code == 0


def test_a_backup_is_made_where_it_is_told(shell: Shell, folder: Path) -> None:
    assert shell("init").code == 0
    ended = shell("db", "backup", "copy.db")
    assert (ended.code, ended.out) == (0, "")
    assert "copy.db:" in ended.err
    assert "checked" in ended.err
    assert mode(folder / "copy.db") == 0o600
    ended = shell("db", "backup", "copy.db")
    assert ended.code == 5
    assert "is there already" in ended.err


def test_a_backup_of_postgresql_is_a_command(
    shell: Shell, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", postgres_url)
    ended = shell("db", "backup", "copy.dump")
    assert ended.code == 0
    assert ended.out.startswith("pg_dump --format=custom")

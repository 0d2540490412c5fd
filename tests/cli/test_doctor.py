"""``runsync doctor``: what is wrong is found, and only that."""

import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runsync.errors import RefusedError
from runsync.simulator import Simulator, World
from runsync.sources.base import Access
from runsync.sources.wercker.source import Wercker
from tests.cli.conftest import NOW, TOKEN, Shell

Mend = Callable[[Path], None]


@pytest.fixture
def well(shell: Shell, home: Path, world: World) -> Path:
    """A config, a service and a database that are all well; the service's clock is right."""
    world.clock.advance(datetime.now(UTC) - NOW)
    assert shell("db", "upgrade").code == 0
    return home


def examined(shell: Shell) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the lines by their check; one that is not well wins."""
    ended = shell("doctor", "--json")
    rows = ended.data
    assert all(list(row) == ["check", "status", "detail", "mend"] for row in rows)
    assert TOKEN not in ended.out + ended.err
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if found.setdefault(row["check"], row)["status"] == "ok":
            found[row["check"]] = row
    return ended.code, found


def test_all_is_well(shell: Shell, well: Path) -> None:
    code, found = examined(shell)
    assert code == 0
    assert {row["status"] for row in found.values()} == {"ok"}
    assert list(found) == [
        "config", "wercker: reachable", "wercker: token", "wercker: pipelines",
        "wercker: clock", "wercker: rate limit", "database", "schema",
    ]  # fmt: skip
    assert "$WERCKER_TOKEN" in found["wercker: token"]["detail"]


def test_no_config(shell: Shell, folder: Path) -> None:
    code, found = examined(shell)
    assert code == 2
    assert list(found) == ["config"]
    assert "runsync init" in found["config"]["mend"]


def test_a_token_that_is_refused(
    shell: Shell, well: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WERCKER_TOKEN", "another-token")
    code, found = examined(shell)
    assert code == 3
    assert len(simulator.requests) == 1
    assert found["wercker: reachable"]["status"] == "ok"
    assert found["wercker: token"]["status"] == "fail"
    assert "$WERCKER_TOKEN" in found["wercker: token"]["mend"]
    assert found["schema"]["status"] == "ok"


def test_a_token_that_no_config_names(shell: Shell, well: Path) -> None:
    config = well / "runsync.toml"
    config.write_text(config.read_text().replace('token_env = "WERCKER_TOKEN"', ""))
    code, found = examined(shell)
    assert code == 3
    mend = found["wercker: token"]["mend"]
    assert mend.endswith("name it in [sources.wercker]: token_env, token_file or token_command")


def test_a_token_that_is_not_there(
    shell: Shell, well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WERCKER_TOKEN")
    code, found = examined(shell)
    assert code == 2
    assert found["wercker: token"]["mend"] == "put a token into $WERCKER_TOKEN"


def test_a_service_that_is_not_there(shell: Shell, well: Path, simulator: Simulator) -> None:
    simulator.stop()
    began = time.monotonic()
    code, found = examined(shell)
    assert code == 4
    assert found["wercker: reachable"]["status"] == "fail"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("ahead", "side"), [(300, "behind"), (-300, "ahead of")])
def test_a_clock_that_is_wrong(
    shell: Shell, well: Path, world: World, ahead: int, side: str
) -> None:
    world.clock.advance(ahead)
    code, found = examined(shell)
    assert code == 0
    assert found["wercker: clock"]["status"] == "warn"
    assert f"{side} the service" in found["wercker: clock"]["detail"]
    assert (
        "5m" in found["wercker: clock"]["detail"] or "4m 59s" in found["wercker: clock"]["detail"]
    )


@pytest.mark.parametrize(
    ("access", "check", "status", "said"),
    [
        ({"account": "tonnu\x1b[m", "scopes": ("repo",)}, "token", "ok", "as tonnu"),
        ({"missing_scopes": ("actions:read",)}, "token", "fail", "lacks actions:read"),
        ({"limit_left": 4000, "limit": 5000}, "rate limit", "ok", "4000 requests left of 5000"),
        ({"limit_left": 3, "limit": 5000}, "rate limit", "warn", "3 requests left of 5000"),
        ({"limit_left": 3}, "rate limit", "warn", "3 requests left"),
    ],
)
def test_what_a_service_tells_of_its_token(
    shell: Shell,
    well: Path,
    monkeypatch: pytest.MonkeyPatch,
    access: dict[str, Any],
    check: str,
    status: str,
    said: str,
) -> None:
    told: dict[str, Any] = {
        "account": None,
        "scopes": None,
        "missing_scopes": (),
        "limit_left": None,
    }
    told |= {"missing_scopes": (), "limit": None, "clock": datetime.now(UTC)} | access
    monkeypatch.setattr(Wercker, "access", lambda _: Access(**told))
    code, found = examined(shell)
    assert found[f"wercker: {check}"]["status"] == status
    assert said in found[f"wercker: {check}"]["detail"]
    assert code == (3 if status == "fail" else 0)


def test_a_service_that_tells_nothing_of_a_token(
    shell: Shell, well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(self: Wercker) -> Access:
        raise RefusedError("it cannot tell")

    monkeypatch.setattr(Wercker, "access", lacks)
    _, found = examined(shell)
    assert "it cannot tell" in found["wercker: token"]["detail"]


def _no_pipelines(home: Path) -> None:
    config = home / "runsync.toml"
    config.write_text(config.read_text().partition("[[pipelines]]")[0])


def _bad_id(home: Path) -> None:
    config = home / "runsync.toml"
    config.write_text(config.read_text().replace("b" * 24, "build"))


def _unknown_id(home: Path) -> None:
    config = home / "runsync.toml"
    config.write_text(config.read_text().replace("b" * 24, "e" * 24))


def _unreadable(home: Path) -> None:
    (home / "runsync.toml").write_text("database_url = 3")


def _no_database(home: Path) -> None:
    (home / "runsync.db").unlink()


def _open_database(home: Path) -> None:
    (home / "runsync.db").chmod(0o644)


def _old_schema(home: Path) -> None:
    raw = sqlite3.connect(home / "runsync.db")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()


def _empty_database(home: Path) -> None:
    (home / "runsync.db").write_bytes(b"")


def _no_database_at_all(home: Path) -> None:
    (home / "runsync.db").write_text("this is no database, whatever its name says")


@pytest.mark.parametrize(
    ("spoil", "check", "status", "code"),
    [
        (_no_pipelines, "config", "warn", 0),
        (_bad_id, "wercker: pipelines", "fail", 2),
        (_unknown_id, "wercker: pipelines", "fail", 4),
        (_unreadable, "config", "fail", 2),
        (_no_database, "database", "warn", 0),
        (_open_database, "database", "warn", 0),
        (_old_schema, "schema", "fail", 5),
        (_empty_database, "schema", "fail", 5),
        (_no_database_at_all, "database", "fail", 5),
    ],
)
def test_what_is_spoiled_is_found_and_nothing_else(
    shell: Shell, well: Path, spoil: Mend, check: str, status: str, code: int
) -> None:
    spoil(well)
    ended_code, found = examined(shell)
    assert ended_code == code
    wrong = {name: row for name, row in found.items() if row["status"] != "ok"}
    assert list(wrong) == [check]
    assert wrong[check]["status"] == status
    assert wrong[check]["mend"]


def test_a_password_that_others_may_read(
    shell: Shell, well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = well / "runsync.toml"
    url = 'database_url = "postgresql://me:swordfish@127.0.0.1:1/ci"\n'
    config.write_text(url + config.read_text())
    config.chmod(0o644)
    ended = shell("doctor", "--json")
    assert ended.code == 5
    warned = [row for row in ended.data if row["check"] == "config"]
    assert [row["status"] for row in warned] == ["ok", "warn"]
    assert "swordfish" not in ended.out
    config.chmod(0o600)
    kept = [r["status"] for r in shell("doctor", "--json").data if r["check"] == "config"]
    assert kept == ["ok"]


def test_postgresql(
    shell: Shell, well: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", postgres_url)
    code, found = examined(shell)
    assert code == 0
    assert "PostgreSQL" in found["database"]["detail"]


def test_a_narrow_terminal(shell: Shell, well: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ended = shell("doctor")
    assert max(map(len, ended.out.splitlines())) <= 60
    assert os.environ["COLUMNS"] == "60"


def test_the_clock_has_room_for_a_slow_answer(shell: Shell, well: Path, world: World) -> None:
    world.clock.advance(timedelta(seconds=-10))
    assert examined(shell)[1]["wercker: clock"]["status"] == "ok"


@pytest.mark.parametrize(
    ("spoil", "command"),
    [
        (_unreadable, "status"),
        (_bad_id, "sync"),
        (_old_schema, "status"),
        (_empty_database, "status"),
        (_no_database_at_all, "status"),
    ],
)
def test_the_detail_is_the_whole_sentence_that_other_commands_say(
    shell: Shell, well: Path, spoil: Mend, command: str
) -> None:
    spoil(well)
    (wrong,) = [row for row in shell("doctor", "--json").data if row["status"] == "fail"]
    assert shell(command).err == f"runsync: {wrong['detail']}\n"


def test_prose_with_semicolons_stays_whole(
    shell: Shell, well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "the gate is shut (a; b); ask the porter; or come back"

    def access(self: Wercker) -> Access:
        raise RefusedError(said)

    monkeypatch.setattr(Wercker, "access", access)
    _, found = examined(shell)
    assert found["wercker: token"]["detail"] == said

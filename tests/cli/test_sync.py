"""``runsync sync``: what it says, how it ends, and how it stays."""

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from runsync.cli.exceptions import InterruptedHereError
from runsync.cli.sync import _repeat
from runsync.errors import ConfigError, DatabaseError, RunsyncError, UnavailableError
from runsync.records import Run, RunWithSteps
from runsync.simulator import Simulator, World
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from tests.cli.conftest import Shell, process, until

BUILD, DEPLOY = "b" * 24, "d" * 24


def fill(world: World, build: int = 3, deploy: int = 2) -> None:
    for pipeline, count in ((BUILD, build), (DEPLOY, deploy)):
        for _ in range(count):
            world.add_run(pipeline, status="finished")
            world.clock.advance(3600)


# What it says.


def test_one_line_for_each_listing(shell: Shell, home: Path, world: World) -> None:
    fill(world)
    ended = shell("sync")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("our-build: ok, ")
    assert lines[1].startswith("deploy and our-build: ok, ")
    rows = shell("sync", "--json").data
    assert [row["outcome"] for row in rows] == ["ok", "ok"]
    assert [row["runs_new"] for row in rows] == [0, 0]


def test_a_bug_in_one_source_hides_no_other_outcome(
    shell: Shell, home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    honest = Wercker.complete

    def broken(self: Wercker, run: Run) -> RunWithSteps:
        if run.pipeline.external_id == DEPLOY:
            raise ZeroDivisionError("by zero")
        return honest(self, run)

    monkeypatch.setattr(Wercker, "complete", broken)
    ended = shell("sync")
    assert ended.code == 1
    assert "our-build: ok, 3 new" in ended.out
    assert ended.out.splitlines()[1].startswith(f"application {'a' * 24}: failed")
    assert ended.err.count("this is a bug in runsync (ZeroDivisionError: by zero)") == 1
    rows = shell("sync", "--json").data
    assert [row["outcome"] for row in rows] == ["ok", "failed"]
    assert "ZeroDivisionError" in rows[1]["error"]


def test_a_refused_token_is_said_once(
    shell: Shell, home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    monkeypatch.setenv("WERCKER_TOKEN", "another-token")
    ended = shell("sync")
    assert ended.code == 3
    assert ended.err.count("\n") == 1


def test_a_listing_that_fails_is_named_and_the_other_is_complete(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    fill(world)
    config = home / "runsync.toml"
    config.write_text(config.read_text().replace(BUILD, "e" * 24))
    ended = shell("sync")
    assert ended.code == 4
    assert "not wholly synced: our-build; the others are complete" in ended.err
    assert "build and deploy: ok, 5 new" in ended.out


# --dry-run


def planned(shell: Shell, *args: str) -> list[dict[str, Any]]:
    ended = shell("sync", "--dry-run", "--json", *args)
    assert ended.code == 0
    rows: list[dict[str, Any]] = ended.data
    return rows


def test_a_dry_run_without_a_database_cannot_know_how_much_there_is(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    fill(world)
    for row in planned(shell):
        assert row["requests"] is None
        assert "106 requests for each 100 runs" in row["plan"]
    assert simulator.requests == []
    assert not (home / "runsync.db").exists()
    assert "known only to the service" in planned(shell)[0]["plan"]


@pytest.mark.parametrize("full", [False, True])
def test_a_dry_run_tells_the_requests_that_a_sync_without_news_sends(
    shell: Shell, home: Path, world: World, simulator: Simulator, full: bool
) -> None:
    fill(world, build=45, deploy=30)
    world.add_run(BUILD, status="running")
    assert shell("sync").code == 0
    args = ["--full"] if full else []
    rows = planned(shell, *args)
    simulator.reset_log()
    sent = shell("sync", "--json", *args).data
    assert simulator.requests
    for row, really in zip(rows, sent, strict=True):
        assert row["listing"] == really["listing"]
        # An unsettled run that is on a page that is read anyway needs no question of its own.
        least = row["requests"] - row["unsettled"] - (2 if full else 0)
        assert least <= really["requests"] <= row["requests"]


def test_a_dry_run_of_a_history_that_is_not_covered_yet(
    shell: Shell, home: Path, world: World
) -> None:
    fill(world, build=30)
    assert shell("sync", "--since", "2024-05-16").code == 0
    (row,) = planned(shell, "our-build")
    assert row["requests"] is None
    assert "go on below what is covered" in row["plan"]
    (row,) = planned(shell, "our-build", "--since", "2024-05-16")
    assert row["requests"] >= 1


# --every


@contextmanager
def staying(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A sync that repeats every second."""
    with process("sync", "our-build", "--every", "1s") as syncing:
        try:
            yield syncing
        finally:
            syncing.kill()


def stored(home: Path) -> int:
    """How many runs are stored; -1 where that cannot be known now."""
    try:
        with closing(sqlite3.connect(f"file:{home / 'runsync.db'}?mode=ro", uri=True)) as raw:
            return int(raw.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.Error:
        return -1


def test_every_outlives_a_service_that_fails(
    home: Path, world: World, simulator: Simulator
) -> None:
    fill(world)
    rule = simulator.faults.add("404", "runs")
    with staying(home) as syncing:
        until(lambda: len(simulator.requests) >= 2)
        simulator.faults.rules.remove(rule)
        until(lambda: stored(home) == 3)
        world.add_run(BUILD, status="finished")
        until(lambda: stored(home) == 4)
        syncing.send_signal(signal.SIGTERM)
        out, err = syncing.communicate(timeout=20)
    assert b"not wholly synced: our-build" in err
    assert b"our-build: failed" in out
    assert b"our-build: ok, 3 new" in out
    assert syncing.returncode in (0, 130)  # between two rounds, as the last one; or in one


def test_every_outlives_a_database_that_fails(
    home: Path, world: World, simulator: Simulator
) -> None:
    fill(world)
    file, away = home / "runsync.db", home / "away.db"

    def fail(syncing: "subprocess.Popen[bytes]") -> None:
        """Puts a folder in the database's place, and waits for the error that this makes."""
        file.rename(away)
        for suffix in ("-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        file.mkdir()
        assert syncing.stderr is not None
        assert any(b"runsync: " in line for line in iter(syncing.stderr.readline, b""))

    with staying(home) as syncing:
        until(lambda: stored(home) == 3)
        fail(syncing)
        file.rmdir()
        away.rename(file)
        world.add_run(BUILD, status="finished")
        until(lambda: stored(home) == 4)
        fail(syncing)
        syncing.send_signal(signal.SIGTERM)
        _, err = syncing.communicate(timeout=20)
    assert b"Traceback" not in err
    assert syncing.returncode in (5, 130)  # between two rounds, as the last one; or in one


@pytest.mark.proof
def test_every_outlives_a_postgresql_that_goes_away_and_comes_back(
    home: Path,
    world: World,
    postgres_url: str,
    postgres_process: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", postgres_url)
    database = Database(postgres_url)

    def runs() -> int:
        with database.read() as connection:
            return int(connection.execute(text("SELECT count(*) FROM runs")).scalar_one())

    fill(world)
    with staying(home) as syncing:
        until(lambda: runs() == 3, seconds=60)
        postgres_process.stop()
        assert syncing.stderr is not None
        try:
            said = iter(syncing.stderr.readline, b"")
            assert any(b"the database postgresql" in line for line in said)
        finally:
            postgres_process.ensure_postgres_running()
        world.add_run(BUILD, status="finished")
        until(lambda: runs() == 4, seconds=60)
        syncing.send_signal(signal.SIGTERM)
        _, err = syncing.communicate(timeout=60)
    database.close()
    assert b"Traceback" not in err
    assert syncing.returncode in (0, 130)  # between two rounds, or in one


@pytest.mark.usefixtures("home")
def test_a_variable_that_is_not_set_is_no_time(shell: Shell) -> None:
    """``--since "$SINCE"`` must not mean all history, nor ``--every "$EVERY"`` once."""
    for args in (("sync", "--since", ""), ("sync", "--every", ""), ("verify", "--since", "")):
        refused = shell(*args)
        assert refused.code == 2
        assert "'' is not a" in refused.err


def test_every_begins_with_what_cannot_be_outlived(
    shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("sync", "nosuch", "--every", "1s").code == 2
    assert shell("sync", "--every", "soon").code == 2
    assert shell("sync", "--every", "9999999d").code == 2
    for memory in ("sqlite://", "sqlite:///:memory:"):
        monkeypatch.setenv("RUNSYNC_DATABASE_URL", memory)
        refused = shell("sync", "--every", "1s")
        assert refused.code == 5
        assert "is in memory and would be gone at the end of the command" in refused.err
    monkeypatch.delenv("RUNSYNC_DATABASE_URL")
    (home / "runsync.db").unlink()
    (home / "runsync.db").mkdir()
    assert shell("sync", "--every", "1s").code == 5


@pytest.mark.parametrize(
    ("failures", "outlived"),
    [
        ([UnavailableError("away")], True),
        ([DatabaseError("full")], False),
        ([ConfigError("a wrong key")], False),
        ([UnavailableError("away"), DatabaseError("full"), ConfigError("a wrong key")], True),
    ],
)
def test_every_outlives_what_may_pass_and_after_the_first_round_all(
    failures: list[RunsyncError], outlived: bool
) -> None:
    left = iter([*failures, InterruptedHereError()])

    def once() -> None:
        raise next(left)

    with pytest.raises(InterruptedHereError if outlived else type(failures[0])):
        _repeat(once, pause=0)

"""``runsync status``, and how pipelines are named on the command line."""

from pathlib import Path

import pytest

from runsync.simulator import Simulator, World
from tests.cli.conftest import Shell

BUILD, DEPLOY, APPLICATION = "b" * 24, "d" * 24, "a" * 24


@pytest.fixture
def synced(shell: Shell, home: Path, world: World) -> Path:
    """A database with two runs of `build` and one of `deploy`, which was discovered."""
    for pipeline in (BUILD, BUILD, DEPLOY):
        world.add_run(pipeline, status="finished")
    assert shell("sync").code == 0
    return home


def shown(shell: Shell, *names: str) -> set[tuple[str, str]]:
    """The pipelines that `status` shows, each with the kind of its listing."""
    rows = shell("status", *names, "--json").data
    return {(row["external_id"][0], row["listing"].split("/")[1]) for row in rows}


ALL_OF_THEM = {("b", "pipeline"), ("b", "application"), ("d", "application")}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("our-build", {("b", "pipeline"), ("b", "application")}),  # its label
        ("our-b", {("b", "pipeline"), ("b", "application")}),
        (BUILD, {("b", "pipeline"), ("b", "application")}),
        ("bbb", {("b", "pipeline"), ("b", "application")}),
        ("deploy", {("d", "application")}),  # discovered
        ("dep", {("d", "application")}),
        ("ddd", {("d", "application")}),
        (APPLICATION, {("b", "application"), ("d", "application")}),
        ("aaa", {("b", "application"), ("d", "application")}),
    ],
)
def test_status_of_a_pipeline_by_any_of_its_names(
    shell: Shell, synced: Path, name: str, found: set[tuple[str, str]]
) -> None:
    assert shown(shell) == ALL_OF_THEM
    assert shown(shell, name) == found


@pytest.mark.parametrize("command", [["status"], ["sync"], ["verify"], ["sync", "--dry-run"]])
def test_an_unknown_pipeline_is_an_error_that_lists_what_is_known(
    shell: Shell, synced: Path, simulator: Simulator, command: list[str]
) -> None:
    simulator.reset_log()
    ended = shell(*command, "nosuch")
    assert ended.code == 2
    assert "there is no pipeline 'nosuch'" in ended.err
    assert "our-build" in ended.err
    assert "deploy" in ended.err
    assert simulator.requests == []


@pytest.mark.parametrize("command", ["sync", "verify"])
@pytest.mark.parametrize("name", ["deploy", "dep", "ddd", "aaa"])
def test_a_discovered_pipeline_means_the_listing_that_brought_it(
    shell: Shell, synced: Path, command: str, name: str
) -> None:
    (row,) = shell(command, name, "--json").data
    assert row["listing"] == f"wercker/application/{APPLICATION}"


def test_a_pipeline_that_two_listings_hold_is_synced_as_itself(shell: Shell, synced: Path) -> None:
    for name in ("our-build", "our", BUILD, "bb"):
        (row,) = shell("sync", name, "--json").data
        assert row["listing"] == f"wercker/pipeline/{BUILD}"


def test_without_a_config_the_database_says_all(
    shell: Shell, synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", f"sqlite:///{synced / 'runsync.db'}")
    (synced / "runsync.toml").unlink()
    assert shown(shell) == ALL_OF_THEM
    assert shown(shell, "deploy") == {("d", "application")}
    assert shell("query", "SELECT count(*) AS n FROM runs", "--json").data == [{"n": 3}]
    assert shell("report", "pass-rates", "--by", "all", "--json").data[0]["finished"] == 3
    assert shell("sync").code == 2


def test_status_needs_no_token_nor_network(
    shell: Shell, synced: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WERCKER_TOKEN")
    simulator.reset_log()
    assert shell("status").code == 0
    assert simulator.requests == []


def test_status_fits_a_terminal(shell: Shell, synced: Path) -> None:
    ended = shell("status")
    assert max(map(len, ended.out.splitlines())) <= 80
    assert len(ended.out.splitlines()) == 2 + len(ALL_OF_THEM)


def test_what_was_never_synced_has_a_row(shell: Shell, home: Path) -> None:
    assert shell("db", "upgrade").code == 0
    assert [row["last_good_sync"] for row in shell("status", "--json").data] == [None, None]
    (row,) = shell("status", "our-build", "--json").data
    assert (row["pipeline"], row["runs"]) == ("our-build", 0)

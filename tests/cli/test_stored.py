"""``runs list``, ``show`` and ``steps`` with ``--stored``: the service's answers, without it."""

from datetime import timedelta
from pathlib import Path

import pytest

from runsync.simulator import Simulator, World
from tests.cli.conftest import NOW, Shell

BUILD, DEPLOY, APPLICATION = "b" * 24, "d" * 24, "a" * 24


@pytest.fixture
def history(world: World, shell: Shell, home: Path, simulator: Simulator) -> list[str]:
    """Thirty runs of `build`, oldest first, and one of `deploy`; all of them are stored."""
    made = []
    for n in range(30):
        result, branch = ("failed", "fix/it") if n % 3 == 0 else ("passed", "main")
        at = NOW - timedelta(hours=40 - n)
        made.append(
            world.add_run(BUILD, status="finished", result=result, branch=branch, created_at=at)
        )
    config = home / "runsync.toml"
    deploy = f'[[pipelines]]\nid = "{DEPLOY}"\n'
    config.write_text(f"{config.read_text()}\n{deploy}".replace("        ", ""))
    world.add_run(DEPLOY, status="finished", created_at=NOW - timedelta(hours=50))
    assert shell("sync").code == 0
    return made


def test_the_database_answers_what_the_service_does(
    shell: Shell, history: list[str], simulator: Simulator
) -> None:
    filters: list[tuple[str, ...]] = [
        ("--pipeline", "our-build"),
        ("--pipeline", BUILD, "--limit", "3", "--skip", "2", "--sort", "creationDateAsc"),
        ("--pipeline", "our-build", "--result", "failed", "--branch", "fix/it"),
        ("--application", "a" * 24, "--status", "finished"),
    ]
    for given in filters:
        live = shell("runs", "list", *given, "--json").data
        asked = len(simulator.requests)
        stored = shell("runs", "list", *given, "--stored", "--json").data
        assert len(simulator.requests) == asked
        assert [row["id"] for row in stored] == [row["id"] for row in live]
        # A label of the config is what a stored pipeline is called.
        assert stored == [row | {"pipeline": "our-build"} for row in live]


def test_it_knows_no_limit_and_needs_no_pipeline(shell: Shell, history: list[str]) -> None:
    rows = shell("runs", "list", "--stored", "--limit", "1000", "--json").data
    assert [row["id"] for row in rows][:30] == history[::-1]
    assert len(rows) == 31
    assert len(shell("runs", "list", "--stored", "--json").data) == 20
    for given in (("--commit", "nosuch"), ("--author", "nosuch"), ("--source-run", "nosuch")):
        assert shell("runs", "list", "--stored", *given, "--json").data == []


def test_a_table_of_several_pipelines_names_them(shell: Shell, history: list[str]) -> None:
    table = shell("runs", "list", "--stored", "--sort", "creationDateAsc", "--limit", "2").out
    assert [line.split()[1] for line in table.splitlines() if "finished" in line] == [
        "deploy",
        "our-build",
    ]
    table = shell("runs", "list", "--stored", "--pipeline", "our-build").out
    assert "pipeline" not in table.splitlines()[0]


def test_a_run_and_its_steps_are_shown_as_they_are_stored(
    shell: Shell, history: list[str], simulator: Simulator, world: World
) -> None:
    live = [shell("runs", what, history[4], "--json").data for what in ("show", "steps")]
    world.delete_run(history[4])
    asked = len(simulator.requests)
    shown = shell("runs", "show", history[4], "--stored", "--json").data
    assert shown["web_url"] == f"{simulator.url}/#build/{history[4]}"
    assert (shown["outcome"], shown["result"]) == ("success", "passed")
    assert shown["id"] == live[0]["id"]
    assert shell("runs", "steps", history[4], "--stored", "--json").data == live[1]
    assert len(simulator.requests) == asked


def test_what_is_not_stored_is_an_error_of_one_sentence(
    shell: Shell, history: list[str], simulator: Simulator
) -> None:
    asked = len(simulator.requests)
    for args, said in [
        (("show", "f" * 24), "is not stored"),
        (("steps", "f" * 24), "is not stored"),
        (("list", "--pipeline", "nosuch"), "there is no pipeline 'nosuch'"),
        (("list", "--application", "nosuch"), f"no application 'nosuch'; known are: {APPLICATION}"),
        (("list", "--source", "nosuch"), "there is no source 'nosuch'; known are: wercker"),
        (("show", "f" * 24, "--source", "wrcker"), "there is no source 'wrcker'; did you mean"),
        (("list", "--branch", "fix/ti"), "no run on the branch 'fix/ti'; did you mean 'fix/it'?"),
        (
            ("list", "--branch", "fix/it", "--pipeline", DEPLOY),
            "there is no run on the branch 'fix/it'; known: master",
        ),
        (("list", "--limit", "0"), "--limit must be from 1 to 1000000000, not 0"),
        (("list", "--limit", "9" * 20), "--limit must be from 1 to 1000000000, not 999"),
        (("list", "--skip", "9" * 20), "--skip must be from 1 to 1000000000, not 999"),
        (("list", "--pipeline", ""), "there is no pipeline ''"),
        (("list", "--result", "odd"), "--result 'odd' is not known"),
    ]:
        ended = shell("runs", *args, "--stored")
        assert ended.code == 2
        assert said in ended.err
    assert len(simulator.requests) == asked


def test_default_means_the_default_branch_of_each_pipeline(
    shell: Shell, history: list[str], simulator: Simulator
) -> None:
    def asked() -> list[str]:
        return [request.query.get("branch", "") for request in simulator.requests]

    args = ("--stored", "--branch", "default", "--limit", "99", "--json")
    stored = shell("runs", "list", *args).data
    assert {(row["pipeline"], row["branch"]) for row in stored} == {
        ("our-build", "main"),
        ("deploy", "master"),
    }
    assert len(stored) == 21
    simulator.reset_log()
    of_build = ("--branch", "default", "--pipeline", "our-build", "--json")
    live = shell("runs", "list", *of_build).data
    assert {row["branch"] for row in live} == {"main"}
    assert asked() == ["main"]
    # Of an application only where its pipelines have one and the same; else it is a name.
    shell("runs", "list", "--application", APPLICATION, "--branch", "default", "--json")
    assert asked() == ["main", "default"]


def test_pipelines_of_one_name_are_told_apart(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    twins = ["1" * 24, "2" * 24]
    for twin in twins:
        world.add_pipeline("build", id=twin, application_id="c" * 24)
        world.add_run(twin, status="finished", branch="main")
    config = home / "runsync.toml"
    more = f'[[pipelines]]\napplication_id = "{"c" * 24}"\n'
    rule = "[[checks]]\nreport = 'status'\nabove = { age = '0s' }\n"
    config.write_text(f"{config.read_text()}\n{more}{rule}".replace("        ", ""))
    assert shell("sync").code == 0
    wanted = {"build (11111111)", "build (22222222)"}
    for command in (["status"], ["pipelines"], ["runs", "list", "--stored"]):
        rows = shell(*command, "--json").data
        assert wanted <= {row["pipeline"] for row in rows}
    prometheus = shell("status", "--format", "prometheus").out
    checked = shell("check", "--json").data
    for name in wanted:
        assert f'pipeline="{name}"' in prometheus
        assert name in {line["pipeline"] for line in checked}
        (row,) = shell("status", name, "--json").data
        assert row["pipeline"] == name
        (run,) = shell("runs", "list", "--stored", "--pipeline", name, "--json").data
        assert run["pipeline"] == name
    ended = shell("status", "build")
    assert (ended.code, "fits several pipelines" in ended.err) == (2, True)

"""``runsync runs``: the live API from the shell."""

import csv
import io
import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runsync import config
from runsync.cli import resolve, rows
from runsync.simulator import Simulator, World
from tests.cli.conftest import NOW, Shell, process, until

BUILD, DEPLOY = "b" * 24, "d" * 24
DOCUMENTED = {
    "application", "pipeline", "limit", "skip", "sort", "status", "result", "branch", "commit",
    "sourceRun", "author",
}  # fmt: skip


@pytest.fixture
def finished(world: World) -> str:
    """A run of `build` that passed an hour ago."""
    return world.add_run(
        BUILD,
        status="finished",
        message="First line\n\nsecond \x1b[31mline",
        env_vars=[("USER_NAME", "tonnu"), ("SECRET", "swordfish")],
    )


@pytest.fixture
def running(world: World) -> str:
    return world.add_run(BUILD, status="running", created_at=NOW - timedelta(minutes=5))


def asked(simulator: Simulator) -> list[str]:
    return [f"{request.method} {request.path}" for request in simulator.requests]


# list


def test_list_shows_the_documented_columns(shell: Shell, home: Path, finished: str) -> None:
    (row,) = shell("runs", "list", "--pipeline", BUILD, "--json").data
    assert list(row) == list(rows.COLUMNS)
    assert row["id"] == finished
    assert row["source"] == "wercker"
    assert (row["pipeline"], row["external_id"]) == ("build", BUILD)
    assert (row["status"], row["result"]) == ("finished", "passed")
    assert row["message"] == "First line\n\nsecond \x1b[31mline"
    assert row["env"] is None


def test_list_as_a_table_shows_the_subject_alone(shell: Shell, home: Path, finished: str) -> None:
    ended = shell("runs", "list", "--pipeline", BUILD)
    assert finished in ended.out
    assert "second" not in ended.out


def test_every_filter_of_the_contract_reaches_the_service(
    shell: Shell, home: Path, simulator: Simulator
) -> None:
    options = {
        "pipeline": BUILD, "limit": "5", "skip": "2", "sort": "creationDateAsc",
        "status": "finished", "result": "failed", "branch": "a/b ü", "commit": "cafe",
        "source-run": "c" * 24, "author": "tonnu",
    }  # fmt: skip
    args = [part for name, value in options.items() for part in (f"--{name}", value)]
    assert shell("runs", "list", *args, "--json").data == []
    (request,) = simulator.requests
    sent = dict(request.query)
    assert sent.pop("pipelineId") == options.pop("pipeline")
    assert sent.pop("sourceRun") == options.pop("source-run")
    assert sent == options


def test_list_of_an_application(
    shell: Shell, home: Path, world: World, finished: str, simulator: Simulator
) -> None:
    other = world.add_run(DEPLOY, status="finished")
    found = shell("runs", "list", "--application", "a" * 24, "--json").data
    assert {row["id"] for row in found} == {finished, other}
    by_prefix = shell("runs", "list", "--application", "aaa", "--json").data
    assert by_prefix == found


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "either --pipeline or --application"),
        (["--pipeline", "build", "--application", "a" * 24], "either --pipeline or"),
        (["--pipeline", "our-build", "--limit", "21"], "from 1 to 20, not 21"),
        (["--pipeline", "our-build", "--limit", "0"], "from 1 to 20, not 0"),
        (["--pipeline", "our-build", "--skip", "0"], "--skip must be from 1 to 1000000000, not 0"),
        (["--pipeline", "our-build", "--sort", "newest"], "creationDateAsc"),
        (["--pipeline", "our-build", "--status", "finish"], "did you mean 'finished'?"),
        (["--pipeline", "our-build", "--result", "skipped"], "is not known"),
        (["--pipeline", "our-build", "--source", "github"], "source 'github' is not configured"),
        (["--pipeline", "nosuch"], "there is no pipeline 'nosuch'"),
        (["--pipeline", "B" * 24], "there is no pipeline"),
        (["--application", "nosuch"], "there is no application 'nosuch'"),
    ],
)
def test_what_the_contract_forbids_is_refused_before_any_request(
    shell: Shell, home: Path, simulator: Simulator, args: list[str], said: str
) -> None:
    ended = shell("runs", "list", *args)
    assert ended.code == 2
    assert said in ended.err
    assert asked(simulator) == []


@pytest.mark.parametrize("name", ["our-build", "our", BUILD, "bbbb"])
def test_a_pipeline_goes_by_name_id_or_prefix(
    shell: Shell, home: Path, finished: str, name: str
) -> None:
    (row,) = shell("runs", "list", "--pipeline", name, "--json").data
    assert row["id"] == finished


def test_a_discovered_pipeline_goes_by_its_name(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    run = world.add_run(DEPLOY, status="finished")
    assert shell("runs", "list", "--pipeline", "deploy").code == 2
    assert shell("sync").code == 0
    (row,) = shell("runs", "list", "--pipeline", "deploy", "--json").data
    assert row["id"] == run


def test_a_prefix_of_two_is_of_none(shell: Shell, home: Path, simulator: Simulator) -> None:
    config = home / "runsync.toml"
    config.write_text(config.read_text() + f'[[pipelines]]\nid = "{"c" * 24}"\nname = "our-own"\n')
    ended = shell("runs", "list", "--pipeline", "our")
    assert ended.code == 2
    assert "our-build (bbb" in ended.err
    assert "our-own (ccc" in ended.err


def test_an_id_that_nobody_knows_is_asked_for(
    shell: Shell, home: Path, simulator: Simulator
) -> None:
    assert shell("runs", "list", "--pipeline", "e" * 24).code in (0, 4)
    assert len(simulator.requests) == 1


# show, steps, log


def test_show_masks_the_values_of_variables(shell: Shell, home: Path, finished: str) -> None:
    shown = shell("runs", "show", finished, "--json")
    assert shown.data["env"] == ["USER_NAME=***", "SECRET=***"]
    for format in ("table", "csv", "markdown", "json"):
        assert "swordfish" not in shell("runs", "show", finished, "--format", format).out
    open_hearted = shell("runs", "show", finished, "--show-env", "--json")
    assert open_hearted.data["env"] == ["USER_NAME=tonnu", "SECRET=swordfish"]


def test_show_makes_controls_visible(shell: Shell, home: Path, finished: str) -> None:
    assert "second \\x1b[31mline" in shell("runs", "show", finished).out


def test_steps(shell: Shell, home: Path, finished: str) -> None:
    steps = shell("runs", "steps", finished, "--json").data
    assert list(steps[0]) == list(rows.STEP_COLUMNS)
    assert [step["position"] for step in steps] == list(range(1, len(steps) + 1))
    assert {step["run_id"] for step in steps} == {finished}
    table = shell("runs", "steps", finished).out
    assert steps[0]["name"] in table


def test_log_of_one_step_and_of_all(shell: Shell, home: Path, finished: str) -> None:
    first = shell("runs", "steps", finished, "--json").data[0]
    by_name = shell("runs", "log", finished, first["name"])
    assert by_name.code == 0
    assert "==>" not in by_name.out
    assert shell("runs", "log", finished, "1").out == by_name.out
    assert shell("runs", "log", finished, first["id"]).out == by_name.out
    whole = shell("runs", "log", finished).out
    assert whole.startswith(f"==> {first['name']} <==\n{by_name.out}==> ")
    as_data = shell("runs", "log", finished, first["name"], "--json").data
    assert [row["name"] for row in as_data] == [first["name"]]


def test_log_takes_colours_out_and_shows_the_rest(
    shell: Shell, home: Path, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\x1b[32mok\x1b[0m\r\n 10%\r 20%\r\n\x1b]0;mine\x07"
    monkeypatch.setattr("runsync.sources.wercker.source.Wercker.log", lambda *_: text)
    assert shell("runs", "log", finished, "1").out == "ok\n 10%\n 20%\n\\x1b]0;mine\\x07\n"


def test_log_of_a_step_that_is_not_there(shell: Shell, home: Path, finished: str) -> None:
    ended = shell("runs", "log", finished, "get cod")
    assert ended.code == 2
    assert "did you mean 'get code'?" in ended.err


@pytest.mark.parametrize("command", ["show", "steps", "log", "abort"])
def test_a_run_that_is_not_there(shell: Shell, home: Path, command: str) -> None:
    ended = shell("runs", command, "f" * 24)
    assert ended.code == 4
    assert "answered 404" in ended.err
    assert shell("runs", command, " ").code == 2


def test_a_refused_token(shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERCKER_TOKEN", "another-token")
    ended = shell("runs", "list", "--pipeline", BUILD)
    assert ended.code == 3
    assert "another-token" not in ended.err


# trigger


def triggered(shell: Shell, *args: str) -> Any:
    ended = shell("runs", "trigger", *args, "--json")
    assert ended.code == 0, ended.err
    return ended.data


def test_trigger_says_what_it_was_told(
    shell: Shell, home: Path, world: World, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_HERE", "a=b c")
    row = triggered(
        shell, "our-build", "--branch", "main", "--commit", "c0ffee", "--message", "Go\nnow",
        "--source-run", finished, "--env", "A=1", "--env", "FROM_HERE", "--env", "A=2=3",
    )  # fmt: skip
    assert (row["status"], row["branch"], row["message"]) == ("notstarted", "main", "Go\nnow")
    assert row["commit_hash"] == "c0ffee"
    assert row["env"] == ["A=***", "FROM_HERE=***", "A=***"]
    shown = shell("runs", "show", row["id"], "--show-env", "--json").data
    assert shown["env"] == ["A=1", "FROM_HERE=a=b c", "A=2=3"]
    assert shown["source_run_id"] == finished


def test_trigger_sends_one_request(shell: Shell, home: Path, simulator: Simulator) -> None:
    triggered(shell, "our-build")
    assert asked(simulator) == ["POST /api/v3/runs/"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--commit", "cafe"], "--commit needs --branch"),
        (["--env", "=x"], "write KEY=VALUE"),
        (["--env", " A=x"], "write KEY=VALUE"),
        (["--env", "NOT_SET_HERE"], "it is not set here"),
        (["--source-run", "../../x"], "'../../x' is not the id of a run"),
        (["--source-run", ""], "'' is not the id of a run"),
    ],
)
def test_what_a_trigger_lacks_is_said_before_any_request(
    shell: Shell, home: Path, simulator: Simulator, args: list[str], said: str
) -> None:
    ended = shell("runs", "trigger", "our-build", *args)
    assert ended.code == 2
    assert said in ended.err
    assert asked(simulator) == []


@pytest.mark.parametrize("result", ["passed", "failed", "aborted"])
def test_wait_ends_with_0_whatever_the_result(
    shell: Shell, home: Path, world: World, monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            (run,) = world.registry.runs()
            world.finish(run.id, result)

    monkeypatch.setattr("runsync.cli.trigger.sleep", pause)
    ended = shell("runs", "trigger", "our-build", "--wait", "--json")
    assert ended.code == 0
    assert ended.data["result"] == result
    assert ended.err.splitlines()[-1].endswith(f"has {result}")
    assert pauses == [1.0, 1.5, 2.25]


def test_ctrl_c_while_waiting_leaves_the_run_running(
    home: Path, world: World, simulator: Simulator
) -> None:
    with process("runs", "trigger", "our-build", "--wait") as waiting:
        # A run is asked for by its id once the trigger is waited for.
        until(lambda: any(re.fullmatch(r"/api/v3/runs/\w+", r.path) for r in simulator.requests))
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    said = err.decode().splitlines()[-1]
    assert "goes on" in said
    assert "runsync runs abort" in said
    assert all(request.method != "PUT" for request in simulator.requests)


# abort


def test_abort(shell: Shell, home: Path, running: str, simulator: Simulator) -> None:
    ended = shell("runs", "abort", running, "--json")
    assert ended.code == 0
    assert (ended.data["status"], ended.data["result"]) == ("finished", "aborted")
    again = shell("runs", "abort", running)
    assert again.code == 2
    assert "answered 409" in again.err


# Which source.


@pytest.fixture
def two_sources(home: Path, simulator: Simulator) -> Path:
    config = home / "runsync.toml"
    extra = f'[sources.second]\ntype = "wercker"\nbase_url = "{simulator.url}"\n'
    text = config.read_text().replace("[[pipelines]]", '[[pipelines]]\nsource = "wercker"')
    config.write_text(f"{text}\n{extra}")
    return home


def test_of_several_sources_one_must_be_named(
    shell: Shell, two_sources: Path, finished: str
) -> None:
    ended = shell("runs", "show", finished)
    assert ended.code == 2
    assert "--source: wercker, second" in ended.err
    assert shell("runs", "show", finished, "--source", "wercker").code == 0
    assert shell("runs", "show", finished, "--source", "second").code == 3  # it has no token


def test_a_stored_run_tells_its_source(shell: Shell, two_sources: Path, finished: str) -> None:
    assert shell("sync").code == 0
    assert shell("runs", "show", finished, "--json").data["source"] == "wercker"


def test_a_named_pipeline_tells_its_source(shell: Shell, two_sources: Path, finished: str) -> None:
    (row,) = shell("runs", "list", "--pipeline", "our-build", "--json").data
    assert row["source"] == "wercker"


def test_the_live_api_needs_no_database(shell: Shell, home: Path, finished: str) -> None:
    assert shell("runs", "show", finished).code == 0
    assert not (home / "runsync.db").exists()
    (home / "runsync.db").write_text("this is no database, whatever its name says")
    ended = shell("runs", "show", finished)
    assert ended.code == 0
    assert "going on without the database" in ended.err


def test_output_goes_to_a_file(shell: Shell, home: Path, finished: str) -> None:
    ended = shell("runs", "list", "--pipeline", BUILD, "--output", "runs.csv")
    assert (ended.code, ended.out) == (0, "")
    text = (home / "runs.csv").read_bytes().decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["id"] == finished


GITHUB = """
[sources.github]
token_env = "NOT_SET_HERE"
[[pipelines]]
repository = "octo/hello"
[[pipelines]]
id = "octo/world/ci.yml"
name = "world"
"""


@pytest.mark.parametrize(
    ("find", "text", "found"),
    [
        (resolve.application_named, "octo/hello", "octo/hello"),
        (resolve.application_named, "octo/h", "octo/hello"),
        (resolve.application_named, "octo/other", "octo/other"),
        (resolve.pipeline_named, "world", "octo/world/ci.yml"),
        (resolve.pipeline_named, "octo/other/ci.yml", "octo/other/ci.yml"),
    ],
)
def test_ids_have_each_provider_s_form(folder: Path, find: Any, text: str, found: str) -> None:
    settings = config.parse(GITHUB, folder / "runsync.toml")
    assert find(settings, text) == resolve.KnownPipeline(
        "github", found, "world" if text == "world" else None
    )


def test_a_run_whose_source_must_know_its_pipeline(shell: Shell, folder: Path) -> None:
    (folder / "runsync.toml").write_text(GITHUB.replace("token_env", "# token_env"))
    ended = shell("runs", "show", "123")
    assert ended.code == 2
    assert "name it with --pipeline" in ended.err


@pytest.mark.parametrize(
    "run",
    ["../../etc", "..", "a/b", "a b", "5?x=1", "5#x", "%2e%2e", "", " ", "a\nb", "\x1b[2J",
     "x" * 300, "é", "٣", "-5", ".5", "5."],
)  # fmt: skip
@pytest.mark.parametrize("command", ["show", "steps", "log", "abort"])
def test_what_is_not_an_id_is_refused_before_anything_is_sent(
    shell: Shell, home: Path, simulator: Simulator, command: str, run: str
) -> None:
    ended = shell("runs", command, "--", run)
    assert ended.code == 2
    assert "is not the id of a run" in ended.err
    assert ended.err.count("\n") == 1
    assert "\x1b" not in ended.err
    assert asked(simulator) == []


def test_an_attempt_that_is_not_stored_belongs_to_the_pipeline_of_its_run(
    shell: Shell, two_sources: Path, finished: str, simulator: Simulator
) -> None:
    assert shell("sync").code == 0
    simulator.reset_log()
    ended = shell("runs", "show", f"{finished}.2")
    assert "--source" not in ended.err

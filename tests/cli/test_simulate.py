"""``runsync simulate`` and ``runsync pipelines``."""

import json
import signal
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runsync import config
from runsync.simulator import World
from tests.cli.conftest import Shell, process


@contextmanager
def simulating(*args: object) -> Iterator[str]:
    """What it prints, while it serves; ends it with Ctrl-C."""
    with process("simulate", *args) as serving:
        assert serving.stdout is not None
        lines = []
        for line in serving.stdout:
            lines.append(line.decode())
            if line in (b"}\n", b"#   end\n") or (len(lines) > 9 and line.startswith(b"#   ")):
                break
        try:
            yield "".join(lines)
        finally:
            serving.send_signal(signal.SIGINT)
            _, err = serving.communicate(timeout=20)
    assert serving.returncode == 0
    assert err.decode().endswith("stopped\n")


@pytest.mark.parametrize(
    "asked", [("--arrivals", "inf"), ("--arrivals", "nan"), ("--latency", "nan")]
)
def test_what_is_no_number_of_runs_or_seconds_is_misuse(shell: Shell, asked: Any) -> None:
    ended = shell("simulate", "--port", "0", *asked)
    assert (ended.code, ended.out) == (2, "")
    assert asked[0] in ended.err


def test_simulate_prints_a_config_that_works(shell: Shell, folder: Path) -> None:
    args = ["--runs", 25, "--seed", 5, "--pipelines", 1, "--days", 20]
    with simulating(*args) as text:
        (folder / "runsync.toml").write_text(text)
        assert tomllib.loads(text)["sources"]["wercker"]["base_url"] in text.splitlines()[0]
        assert shell("sync", "--json").data[0]["runs_new"] == 25
        (row,) = shell("pipelines", "--json").data
        assert row["external_id"] in text
        assert config.load().database_url.endswith("/simulated.db")


def test_simulate_for_programs_with_token_latency_and_faults(folder: Path) -> None:
    args = ["--json", "--token", "sesame", "--latency", "0.05", "--fault", "503:runs:first=1"]
    args += ["--arrivals", "100", "--steps", "3", "--now", "2024-05-01"]
    with simulating(*args) as text:
        told = json.loads(text)
        assert list(told) == ["url", "application", "pipelines"]
        url = f"{told['url']}/api/v3/runs?pipelineId={told['pipelines'][0]}"
        assert [_status(url, token) for token in ("sesame", "sesame", None)] == [503, 200, 401]


def _status(url: str, token: str | None) -> int:
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--fault", "foreigner"], "did you mean 'foreign'?"),
        (["--fault", "500:nowhere"], "endpoint"),
        (["--port", "70000"], "--port"),
        (["--runs", "-1"], "--runs"),
        (["--now", "soon"], "is not a time"),
        (["--now", "0001-01-01"], "120 days before 0001-01-01 are no time"),
    ],
)
def test_simulate_that_cannot_be(shell: Shell, args: list[str], said: str) -> None:
    ended = shell("simulate", *args)
    assert ended.code == 2
    assert said in ended.err


def test_a_port_that_is_taken(shell: Shell, simulator: Any) -> None:
    port = simulator.url.rpartition(":")[2]
    ended = shell("simulate", "--port", port)
    assert ended.code == 2
    assert f"cannot serve on port {port}" in ended.err


# pipelines


def test_pipelines_before_and_after_a_sync(shell: Shell, home: Path, world: World) -> None:
    run = world.add_run("b" * 24, status="finished")
    before = shell("pipelines", "--json").data
    assert before == [
        {
            "pipeline": "our-build", "source": "wercker", "external_id": "b" * 24,
            "listing": f"wercker/pipeline/{'b' * 24}", "configured": True, "runs": 0,
        },
        {
            "pipeline": f"wercker/application/{'a' * 24}", "source": "wercker",
            "external_id": None, "listing": f"wercker/application/{'a' * 24}",
            "configured": True, "runs": 0,
        },
    ]  # fmt: skip
    assert not (home / "runsync.db").exists()
    world.add_run("d" * 24, status="finished")
    assert shell("sync").code == 0
    after = shell("pipelines", "--json").data
    counted = {(row["external_id"], row["listing"].split("/")[1]): row["runs"] for row in after}
    assert counted == {
        ("b" * 24, "application"): 1,
        ("b" * 24, "pipeline"): 1,
        ("d" * 24, "application"): 1,
    }
    assert run


def test_pipelines_need_no_token_nor_network(
    shell: Shell, home: Path, simulator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WERCKER_TOKEN")
    assert shell("pipelines").code == 0
    assert simulator.requests == []


def test_a_pipeline_that_is_not_configured_any_more(shell: Shell, home: Path, world: World) -> None:
    world.add_run("d" * 24, status="finished")
    assert shell("sync").code == 0
    path = home / "runsync.toml"
    path.write_text(path.read_text().rpartition("[[pipelines]]")[0])
    rows = shell("pipelines", "--json").data
    assert {row["external_id"]: row["configured"] for row in rows} == {
        "b" * 24: True,
        "d" * 24: False,
    }

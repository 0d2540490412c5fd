"""One config with all sources fills one database, and one report compares them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runsync import cli, reports
from runsync.simulator import Clock, Simulator, World
from tests.sources.azure.rig import NOW as AZURE_NOW
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.test_contract import AzureStage
from tests.sources.azure.world import World as AzureWorld
from tests.sources.buildbot.farm import Farm, Gatekeeper
from tests.sources.buildbot.test_contract import BuildbotStage
from tests.sources.buildkite.rig import NOW as BUILDKITE_NOW
from tests.sources.buildkite.simulator import BuildkiteSimulator
from tests.sources.buildkite.test_contract import BuildkiteStage
from tests.sources.buildkite.world import World as BuildkiteWorld
from tests.sources.circleci.rig import NOW as CIRCLE_NOW
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.test_contract import CircleStage
from tests.sources.circleci.world import World as CircleWorld
from tests.sources.contract import Stage
from tests.sources.github.server import Server, Service
from tests.sources.github.test_contract import GitHubStage
from tests.sources.github.world import World as GitHubWorld
from tests.sources.gitlab.rig import NOW as GITLAB_NOW
from tests.sources.gitlab.simulator import GitLabSimulator
from tests.sources.gitlab.simulator import World as GitLabWorld
from tests.sources.gitlab.test_contract import GitLabStage
from tests.sources.jenkins.rig import NOW as JENKINS_NOW
from tests.sources.jenkins.simulator import JenkinsSimulator
from tests.sources.jenkins.test_contract import JenkinsStage
from tests.sources.jenkins.world import World as JenkinsWorld
from tests.sources.wercker.test_contract import NOW, TOKEN, WerckerStage

RUNS = 8


@pytest.fixture
def stages(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Stage]]:
    with ExitStack() as stack:
        farm = Farm(tmp_path_factory.mktemp("farm"))
        stack.callback(farm.close)
        gate = stack.enter_context(Gatekeeper(farm, "ada:s3cret"))
        service = Service(GitHubWorld())
        server = Server(service)
        stack.callback(server.stop)
        service.base = f"http://127.0.0.1:{server.server_address[1]}"
        gitlab = stack.enter_context(GitLabSimulator(GitLabWorld(GITLAB_NOW)).serving())
        buildkite = stack.enter_context(BuildkiteSimulator(BuildkiteWorld(BUILDKITE_NOW)).serving())
        jenkins = stack.enter_context(JenkinsSimulator(JenkinsWorld(JENKINS_NOW)).serving())
        circle = stack.enter_context(CircleSimulator(CircleWorld(CIRCLE_NOW)).serving())
        azure = stack.enter_context(AzureSimulator(AzureWorld(AZURE_NOW)).serving())
        wercker = stack.enter_context(Simulator(World(Clock(NOW)), token=TOKEN))
        yield [
            WerckerStage(wercker, monkeypatch),
            BuildbotStage(farm, gate, monkeypatch),
            GitHubStage(service, monkeypatch),
            GitLabStage(gitlab, monkeypatch),
            JenkinsStage(jenkins, monkeypatch),
            CircleStage(circle, monkeypatch),
            AzureStage(azure, monkeypatch),
            BuildkiteStage(buildkite, monkeypatch),
        ]


def write_config(folder: Path, stages: list[Stage]) -> Path:
    lines = ['database_url = "sqlite:///runsync.db"']
    for stage in stages:
        source, wanted = stage.config(), stage.wanted()
        lines += [f"[sources.{source.name}]", f'type = "{source.type}"']
        lines += [f'base_url = "{source.base_url}"']
        lines += [f'token_env = "{source.token_env}"'] if source.token_env else []
        lines += ["[[pipelines]]", f'source = "{source.name}"', f'id = "{wanted.key[1]}"']
    path = folder / "runsync.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_all_sources_in_one_database(
    stages: list[Stage], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in stages:
        stage.add_finished(RUNS)
    config = write_config(tmp_path, stages)
    assert cli.run(["sync", "--config", str(config), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["outcome"] for row in rows} == {"ok"}
    assert [row["runs_new"] for row in rows] == [len(stage.truth()) for stage in stages]

    rates = reports.pass_rates(f"sqlite:///{tmp_path / 'runsync.db'}", by=("source",))
    finished = dict(zip(rates["source"], rates["finished"], strict=True))
    assert finished == {stage.config().name: len(stage.truth()) for stage in stages}

    assert cli.run(["verify", "--config", str(config), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert sum(row["missing"] + row["extra"] + row["different"] for row in checked) == 0

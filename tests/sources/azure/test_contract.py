"""The Azure Pipelines source keeps what every source promises."""

import itertools
from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig, SourceConfig
from tests.sources.azure.rig import NOW
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.truth import truth
from tests.sources.azure.world import World
from tests.sources.contract import SourceContract, Stage, Truth


class AzureStage(Stage):
    size = 120
    quiet_requests = 2
    malformed = (
        *(PipelineConfig("azure", id=text)
        for text in (
            "12", "project", "project/", "project/0", "project/x", "project/12/3", "../12",
            "a/../12", "./12", "a?b/12", "a=b/12", "a#b/12", "a%2fb/12", "a\nb/12", "a/12?x=1",
            "a\x00/12", " a/12", "a /12", "a./12", ".a/12", "a\u202e\\b/12",
            "https://dev.azure.com/org/project/12", f"{'a' * 65}/12", "a/12345678901",
        )),
        PipelineConfig("azure", repository="project"),
        PipelineConfig("azure", application_id="project/12"),
        PipelineConfig("azure", application_id=".."),
        PipelineConfig("azure", application_id=""),
    )  # fmt: skip

    def __init__(self, simulator: AzureSimulator, env: pytest.MonkeyPatch) -> None:
        self._simulator, self._world, self._env = simulator, simulator.world, env
        self._failing: Iterator[list[str]] = itertools.cycle([[], ["test"], []])

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv("AZURE_TOKEN", token or self._simulator.token)
        return SourceConfig("azure", "azure", self._simulator.url, token_env="AZURE_TOKEN")

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("azure", id=f"{self._world.project}/{self._world.definition}")

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("azure", id="Other Project/12")

    def wrong_token(self) -> str:
        return "pat-wrong"

    def add_finished(self, count: int) -> list[str]:
        made = []
        for failing in itertools.islice(self._failing, count):
            build = self._world.queue()
            self._world.pass_time(seconds=4)
            self._world.start(build)
            self._world.pass_time(seconds=50)
            self._world.end(build, *failing)
            made.append(str(build.id))
        self._world.pass_time(days=2)
        return made

    def start(self) -> str:
        build = self._world.queue()
        self._world.pass_time(seconds=4)
        return str(self._world.start(build).id)

    def finish(self, run_id: str) -> None:
        self._world.end(self._world.builds[int(run_id)])
        self._world.pass_time(days=2)

    def forget(self, run_id: str) -> None:
        self._world.delete(self._world.builds[int(run_id)])

    def truth(self) -> dict[str, Truth]:
        return {
            run_id: Truth(row["status"], row["result"], len(row["steps"]))
            for run_id, row in truth(self._world).items()
        }


class TestAzure(SourceContract):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureStage]:
        with AzureSimulator(World(NOW)).serving() as simulator:
            yield AzureStage(simulator, monkeypatch)

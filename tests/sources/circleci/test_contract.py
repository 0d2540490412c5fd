"""The CircleCI source keeps what every source promises."""

import itertools
from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig, SourceConfig
from tests.sources.circleci.rig import NOW
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.truth import truth
from tests.sources.circleci.world import World
from tests.sources.contract import SourceContract, Stage, Truth

NAME = "build-and-test"


class CircleStage(Stage):
    size = 50
    malformed = (
        PipelineConfig("circle", id="gh/acme/shop"),
        PipelineConfig("circle", id="https://circleci.com/gh/acme/shop"),
        PipelineConfig("circle", application_id="gh/acme/shop"),
        PipelineConfig("circle", repository="acme/shop"),
        PipelineConfig("circle", repository="gh/acme/.."),
        PipelineConfig("circle", repository="gh/acme/shop/build"),
        PipelineConfig("circle", id="gh/acme/shop/a?b"),
        PipelineConfig("circle", id="gh/acme/shop/a\nb"),
        PipelineConfig("circle", id="gh/acme/shop/.."),
        PipelineConfig("circle", repository="svn/acme/shop"),
    )

    def __init__(self, simulator: CircleSimulator, env: pytest.MonkeyPatch) -> None:
        self._simulator, self._world, self._env = simulator, simulator.world, env
        self._results = itertools.cycle(["success", "failed", "success"])

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv("CIRCLE_TOKEN", token or self._simulator.token)
        return SourceConfig("circle", "circleci", self._simulator.url, token_env="CIRCLE_TOKEN")

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("circle", id=f"{self._world.slug}/{NAME}")

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("circle", id=f"gh/acme/other/{NAME}")

    def wrong_token(self) -> str:
        return "CCIPAT_wrong"

    def add_finished(self, count: int) -> list[str]:
        made = []
        for word in itertools.islice(self._results, count):
            pipeline = self._world.push(NAME, "nightly")
            for workflow in pipeline.workflows:
                self._world.end(workflow, word)
            made.append(str(pipeline.workflows[0].id))
            self._world.pass_time(minutes=10)
        self._world.pass_time(days=2)
        return made

    def start(self) -> str:
        return str(self._world.push(NAME).workflows[0].id)

    def finish(self, run_id: str) -> None:
        found = self._world.workflow(run_id)
        assert found
        self._world.end(found[1])
        self._world.pass_time(days=2)

    def forget(self, run_id: str) -> None:
        found = self._world.workflow(run_id)
        assert found
        self._world.forget(found[0])

    def truth(self) -> dict[str, Truth]:
        return {
            run_id: Truth(row["status"], row["result"], len(row["steps"]))
            for run_id, row in truth(self._world).items()
            if row["pipeline"].endswith(NAME)
        }


class TestCircleCI(SourceContract):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[CircleStage]:
        with CircleSimulator(World(NOW)).serving() as simulator:
            yield CircleStage(simulator, monkeypatch)

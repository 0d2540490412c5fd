"""The Buildkite source keeps what every source promises, for a pipeline and an organisation."""

import itertools
from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig, SourceConfig
from tests.sources.buildkite.rig import NOW
from tests.sources.buildkite.simulator import BuildkiteSimulator
from tests.sources.buildkite.truth import truth
from tests.sources.buildkite.world import Build, World
from tests.sources.contract import SourceContract, Stage, Truth


class BuildkiteStage(Stage):
    # The newest, those that go on, and those that have finished meanwhile.
    quiet_requests = 3
    size = 220
    malformed = (
        PipelineConfig("buildkite", id="acme-inc"),
        PipelineConfig("buildkite", id="acme-inc/web/builds"),
        PipelineConfig("buildkite", id="acme-inc/.."),
        PipelineConfig("buildkite", id="acme-inc/web?x=1"),
        PipelineConfig("buildkite", id="https://buildkite.com/acme-inc/web"),
        PipelineConfig("buildkite", application_id="acme-inc/web"),
        PipelineConfig("buildkite", application_id=".."),
        PipelineConfig("buildkite", application_id="acme\nInc"),
        PipelineConfig("buildkite", repository="acme-inc/web"),
    )

    def __init__(self, simulator: BuildkiteSimulator, env: pytest.MonkeyPatch) -> None:
        self._simulator, self._world, self._env = simulator, simulator.world, env
        self._results = itertools.cycle(["passed", "failed", "passed"])

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv("BUILDKITE_TOKEN", token or self._simulator.token)
        url = self._simulator.url
        return SourceConfig("buildkite", "buildkite", url, token_env="BUILDKITE_TOKEN")

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("buildkite", id="acme-inc/web")

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("buildkite", id="acme-inc/other")

    def wrong_token(self) -> str:
        return "bkua_wrong"

    def add_finished(self, count: int) -> list[str]:
        made = []
        for result in itertools.islice(self._results, count):
            build = self._world.create("unit", "lint", "-", "deploy>")
            self._world.pass_time(seconds=4)
            self._world.start(build)
            self._world.pass_time(seconds=50)
            self._world.end(build, unit=result, lint="soft_failed")
            if build.state == "running":
                self._world.end(build)
            made.append(str(build.number))
        self._world.pass_time(days=2)
        return made

    def start(self) -> str:
        build = self._world.create("unit")
        self._world.pass_time(seconds=4)
        self._world.start(build)
        return str(build.number)

    def finish(self, run_id: str) -> None:
        self._world.end(self._build(run_id))
        self._world.pass_time(days=2)

    def forget(self, run_id: str) -> None:
        self._world.forget(self._build(run_id))

    def _build(self, run_id: str) -> Build:
        return next(b for b in self._world.builds if str(b.number) == run_id)

    def truth(self) -> dict[str, Truth]:
        return {
            run_id: Truth(row["status"], row["result"], len(row["steps"]))
            for run_id, row in truth(self._world).items()
        }


class OrganizationStage(BuildkiteStage):
    def wanted(self) -> PipelineConfig:
        return PipelineConfig("buildkite", application_id="acme-inc")

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("buildkite", application_id="other-inc")


class TestBuildkite(SourceContract):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildkiteStage]:
        with BuildkiteSimulator(World(NOW)).serving() as simulator:
            yield BuildkiteStage(simulator, monkeypatch)


class TestOrganization(SourceContract):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrganizationStage]:
        with BuildkiteSimulator(World(NOW)).serving() as simulator:
            yield OrganizationStage(simulator, monkeypatch)

"""The GitLab source keeps what every source promises."""

import itertools
from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig, SourceConfig
from tests.sources.contract import SourceContract, Stage, Truth
from tests.sources.gitlab.rig import NOW
from tests.sources.gitlab.simulator import GitLabSimulator, World
from tests.sources.gitlab.truth import truth


class GitLabStage(Stage):
    size = 120
    malformed = (
        PipelineConfig("gitlab", id="project"),
        PipelineConfig("gitlab", id="https://gitlab.com/group/project"),
        PipelineConfig("gitlab", application_id="group/project"),
        PipelineConfig("gitlab", repository="group/project"),
    )

    def __init__(self, simulator: GitLabSimulator, env: pytest.MonkeyPatch) -> None:
        self._simulator, self._world, self._env = simulator, simulator.world, env
        self._results = itertools.cycle(["success", "failed", "success"])

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv("GITLAB_TOKEN", token or self._simulator.token)
        return SourceConfig("gitlab", "gitlab", self._simulator.url, token_env="GITLAB_TOKEN")

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("gitlab", id=self._world.path)

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("gitlab", id="group/other")

    def wrong_token(self) -> str:
        return "glpat-wrong"

    def add_finished(self, count: int) -> list[str]:
        made = []
        for result in itertools.islice(self._results, count):
            pipeline = self._world.create("build", "unit", "lint?")
            self._world.pass_time(seconds=4)
            self._world.start(pipeline)
            self._world.pass_time(seconds=50)
            self._world.end(pipeline, unit=result, lint="failed")
            made.append(str(pipeline.id))
        self._world.pass_time(days=2)
        return made

    def start(self) -> str:
        pipeline = self._world.create("build", "unit")
        self._world.pass_time(seconds=4)
        self._world.start(pipeline)
        return str(pipeline.id)

    def finish(self, run_id: str) -> None:
        self._world.end(self._world.pipelines[int(run_id)])
        self._world.pass_time(days=2)

    def forget(self, run_id: str) -> None:
        del self._world.pipelines[int(run_id)]

    def truth(self) -> dict[str, Truth]:
        return {
            run_id: Truth(row["status"], row["result"], len(row["steps"]))
            for run_id, row in truth(self._world).items()
        }


class TestGitLab(SourceContract):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLabStage]:
        with GitLabSimulator(World(NOW)).serving() as simulator:
            yield GitLabStage(simulator, monkeypatch)

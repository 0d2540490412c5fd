"""The Jenkins source keeps what every source promises."""

import itertools
from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.sources.jenkins import walk
from tests.sources.contract import SourceContract, Stage, Truth
from tests.sources.jenkins.rig import FOLDER, JOB, NOW
from tests.sources.jenkins.simulator import JenkinsSimulator
from tests.sources.jenkins.truth import truth
from tests.sources.jenkins.world import FREESTYLE, PIPELINE, World

NO_NAMES = (
    "",
    "/team/app",
    "team/app/",
    "team//app",
    "../app",
    "team/..",
    "team/./app",
    "https://ci.example.org/job/app",
    "app?x=1",
    "app#1",
    "a\nb",
    "a\x00b",
    "app%2",
    " app",
    "app ",
    "a;b",
    "a\\b",
    "x" * 501,
)


class JenkinsStage(Stage):
    size = 46
    malformed = (
        *(PipelineConfig("jenkins", id=name) for name in NO_NAMES),
        PipelineConfig("jenkins", application_id="../x"),
        PipelineConfig("jenkins", repository="owner/repo"),
    )

    def __init__(self, simulator: JenkinsSimulator, env: pytest.MonkeyPatch) -> None:
        self.simulator, self.world, self._env = simulator, simulator.world, env
        self.job = self.world.add(JOB, self.kind)
        self._results = itertools.cycle(["SUCCESS", "FAILURE", "UNSTABLE"])

    kind = PIPELINE

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv("JENKINS_TOKEN", token or self.simulator.secret)
        return SourceConfig("jenkins", "jenkins", self.simulator.url, token_env="JENKINS_TOKEN")

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("jenkins", id=JOB)

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("jenkins", id="team/other")

    def wrong_token(self) -> str:
        return "ada:11wrong"

    def add_finished(self, count: int) -> list[str]:
        made = []
        for result in itertools.islice(self._results, count):
            build = self.world.start(self.job, "Build", "Test")
            self.world.pass_time(seconds=50)
            self.world.end(build, result)
            made.append(str(build.number))
        self.world.pass_time(days=2)
        return made

    def start(self) -> str:
        return str(self.world.start(self.job, "Build", "Test").number)

    def finish(self, run_id: str) -> None:
        self.world.pass_time(seconds=50)
        self.world.end(self.job.builds[int(run_id)])
        self.world.pass_time(days=2)

    def forget(self, run_id: str) -> None:
        del self.job.builds[int(run_id)]

    def truth(self) -> dict[str, Truth]:
        return {
            run_id: Truth(row["status"], row["result"], len(row["steps"]))
            for (_, run_id), row in truth(self.world, JOB).items()
        }


class FreestyleStage(JenkinsStage):
    kind = FREESTYLE


class FolderStage(JenkinsStage):
    """The job is reached by the folder that it is in."""

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("jenkins", application_id=FOLDER)

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("jenkins", application_id="other")


class TestJenkins(SourceContract):
    stage_class: type[JenkinsStage] = JenkinsStage

    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[JenkinsStage]:
        monkeypatch.setattr(walk, "PAGE_SIZE", 20)
        with JenkinsSimulator(World(NOW)).serving() as simulator:
            yield self.stage_class(simulator, monkeypatch)


@pytest.mark.proof
class TestFreestyle(TestJenkins):
    stage_class = FreestyleStage


class TestFolder(TestJenkins):
    stage_class = FolderStage

"""The Buildbot source keeps what every source promises. The provider is a real master."""

import itertools
from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.sources import open_source
from runsync.sources.buildbot import source as buildbot
from runsync.storage.database import Database
from tests.sources.buildbot.farm import QUICK, Farm, Gatekeeper
from tests.sources.buildbot.truth import truth
from tests.sources.contract import SourceContract, Stage, Truth, run_sync


class BuildbotStage(Stage):
    # The second is for all builders of the source at once.
    quiet_requests = 2
    malformed = (
        PipelineConfig("bot", application_id="linux"),
        PipelineConfig("bot", repository="owner/repo"),
    )

    def __init__(self, farm: Farm, gate: Gatekeeper, monkeypatch: pytest.MonkeyPatch) -> None:
        self._farm, self._name, self._gate = farm, farm.fresh_builder(), gate
        self._results = itertools.cycle([(0,), (2,), (5, 0), ()])
        self._env = monkeypatch

    def config(self, token: str | None = None) -> SourceConfig:
        """Buildbot itself takes anybody; a token is for a proxy before it."""
        if token is None:
            return self._farm.config()
        self._env.setenv("BUILDBOT_PASSWORD", token)
        return SourceConfig("bot", "buildbot", self._gate.url, token_env="BUILDBOT_PASSWORD")

    def wrong_token(self) -> str:
        return "ada:wrong"

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("bot", id=self._name)

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("bot", id="no such builder (404)")

    def add_finished(self, count: int) -> list[str]:
        made = list(itertools.islice(self._results, count))
        self._farm.history(self._name, *made)
        return [str(request) for request in self._farm.requests(self._name)[:count]][::-1]

    def start(self) -> str:
        return str(self._farm.force(self._name))

    def finish(self, run_id: str) -> None:
        self._farm.cancel(int(run_id))

    def forget(self, run_id: str) -> None:
        self._farm.execute("DELETE FROM buildrequests WHERE id = ?", int(run_id))

    def truth(self) -> dict[str, Truth]:
        return {
            run_id: Truth(row["status"], row["result"], len(row["steps"]))
            for run_id, row in truth(self._farm, self._name).items()
        }


class TestBuildbot(SourceContract):
    @pytest.fixture
    def stage(self, farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildbotStage]:
        monkeypatch.setattr(buildbot, "PAGE_SIZE", 8)
        with Gatekeeper(farm, "ada:s3cret") as gate:
            yield BuildbotStage(farm, gate, monkeypatch)

    def test_a_password_opens_a_proxy(self, stage: BuildbotStage, sqlite: Database) -> None:
        made = stage.add_finished(2)
        source = open_source(stage.config("ada:s3cret"), limits=QUICK)
        assert run_sync(sqlite, source, stage).counts.runs_new == len(made)
        source.close()

"""The Wercker source keeps what every source promises."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.simulator import Clock, Simulator, World
from tests.sources.contract import SourceContract, Stage, Truth

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)
TOKEN = "right-token"


class WerckerStage(Stage):
    size = 50
    malformed = (
        PipelineConfig("wercker", id="no-hex"),
        PipelineConfig("wercker", id="5751377E7E1BD5F17F050BC4"),
        PipelineConfig("wercker", application_id="5751377e7e1bd5f17f050bc"),
        PipelineConfig("wercker", repository="owner/repo"),
    )

    def __init__(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self._simulator, self._world = simulator, simulator.world
        self._pipeline = self._world.add_pipeline("build")
        self._results = itertools.cycle(["passed", "failed", "passed"])
        self._env = monkeypatch

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv("WERCKER_TOKEN", token or TOKEN)
        return SourceConfig("wercker", "wercker", self._simulator.url, token_env="WERCKER_TOKEN")

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("wercker", id=self._pipeline.id)

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("wercker", id="0" * 24)

    def wrong_token(self) -> str:
        return "wrong-token"

    def add_finished(self, count: int) -> list[str]:
        made = []
        for result in itertools.islice(self._results, count):
            self._world.clock.advance(1)
            made.append(
                self._world.add_run(self._pipeline.id, status="finished", result=result, steps=3)
            )
        self._world.clock.advance(timedelta(days=2))
        return made

    def start(self) -> str:
        return self._world.add_run(self._pipeline.id, status="running")

    def finish(self, run_id: str) -> None:
        self._world.finish(run_id)
        self._world.clock.advance(timedelta(days=2))

    def forget(self, run_id: str) -> None:
        self._world.delete_run(run_id)

    def truth(self) -> dict[str, Truth]:
        return {
            str(run["id"]): Truth(str(run["status"]), str(run["result"]), len(run["steps"]))
            for run in self._world.truth(self._pipeline.id)
        }


class TestWercker(SourceContract):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[WerckerStage]:
        with Simulator(World(Clock(NOW)), token=TOKEN) as simulator:
            yield WerckerStage(simulator, monkeypatch)

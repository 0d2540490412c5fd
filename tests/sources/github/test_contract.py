"""The GitHub source keeps what every source promises."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.sources.base import Source
from runsync.storage.database import Database
from runsync.sync.engine import Task
from runsync.sync.verify import verify
from tests.sources.contract import SourceContract, Stage, Truth, run_sync, run_verify
from tests.sources.github.rig import TOKEN_ENV
from tests.sources.github.server import TOKEN, Service
from tests.sources.github.world import NOW, REPO, Run

HOUR = timedelta(hours=1)
RESULTS = {"success": "passed", "failure": "failed", "cancelled": "aborted"}


class GitHubStage(Stage):
    size = 250
    malformed = (
        PipelineConfig("gh", id="octo-org/hello"),
        PipelineConfig("gh", repository="octo-org"),
        PipelineConfig("gh", application_id="5751377e7e1bd5f17f050bc0"),
    )

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self._service, self._world, self._env = service, service.world, monkeypatch
        self._minutes = itertools.count()
        self._results = itertools.cycle(["success", "failure", "success"])

    def config(self, token: str | None = None) -> SourceConfig:
        self._env.setenv(TOKEN_ENV, token or TOKEN)
        return SourceConfig("gh", "github", self._service.base, token_env=TOKEN_ENV)

    def wanted(self) -> PipelineConfig:
        return PipelineConfig("gh", id=f"{REPO}/ci.yml")

    def unknown(self) -> PipelineConfig:
        return PipelineConfig("gh", id=f"{REPO}/other.yml")

    def add_finished(self, count: int) -> list[str]:
        return [str(self._add(next(self._results)).id) for _ in range(count)]

    def start(self) -> str:
        return str(self._add(None, status="in_progress").id)

    def finish(self, run_id: str) -> None:
        run = self._world.runs[int(run_id)]
        self._world.finish(run, run.created + HOUR)
        self._world.now += 2 * HOUR

    def forget(self, run_id: str) -> None:
        self._world.delete(self._world.runs[int(run_id)])

    def rerun(self, run_id: str) -> None:
        run = self._world.runs[int(run_id)]
        self._world.rerun(run, run.created + HOUR, "success")

    def truth(self) -> dict[str, Truth]:
        return {
            str(run.id): Truth("finished", RESULTS[attempt.conclusion], 6)
            if attempt.conclusion
            else Truth("running", "unknown", 0)
            for run, attempt in self._world.attempts()
        }

    def wrong_token(self) -> str | None:
        return "ghp_wrong"

    def _add(self, conclusion: str | None, status: str = "completed") -> Run:
        at = NOW - timedelta(days=2) + next(self._minutes) * timedelta(minutes=1)
        return self._world.add_run(at, conclusion, status=status)


@pytest.fixture
def stage(service: Service, monkeypatch: pytest.MonkeyPatch) -> GitHubStage:
    return GitHubStage(service, monkeypatch)


class TestGitHub(SourceContract):
    def test_verify_compares_no_stub(
        self, stage: GitHubStage, source: Source, sqlite: Database
    ) -> None:
        """Of an earlier attempt the listing tells no more than that it was."""
        run_id = stage.add_finished(2)[0]
        stage.rerun(run_id)
        run_sync(sqlite, source, stage)
        (verdict,) = run_verify(sqlite, source, stage)
        assert verdict.checked == 3
        assert verdict.differences == []
        (quick,) = verify(sqlite, [Task(source, source.listing(stage.wanted()))], quick=True)
        assert (quick.checked, quick.differences) == (3, [])

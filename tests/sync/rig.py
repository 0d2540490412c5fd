"""A rig: the simulated service over a real socket, the Wercker source, and a real database."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.simulator import Clock, Faults, Scenario, Simulator, World
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from runsync.sync.engine import Options, SyncOutcome, Task, sync

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)
# Patient with a machine that is busy, quick to ask again.
QUICK = Limits(connect=10, read=10, whole=20, tries=10, first_pause=0.01, longest_pause=0.05)
COMPARED = (
    "id url branch commit_hash message author author_id status result progress created_at "
    "started_at finished_at queued_ms duration_ms"
).split()
STEP_COMPARED = (
    "id position name phase status result created_at started_at finished_at duration_ms log_url "
    "artifacts_url"
).split()


@dataclass
class Rig:
    """A world, its service, and what a sync of it needs."""

    world: World
    database: Database
    simulator: Simulator
    limits: Limits = QUICK
    concurrency: int = 4
    _open: list[Wercker] = field(default_factory=list)

    def source(self, kind: type[Wercker] = Wercker) -> Wercker:
        source = kind(
            SourceConfig("wercker", "wercker", self.simulator.url),
            concurrency=self.concurrency,
            limits=self.limits,
        )
        self._open.append(source)
        return source

    def tasks(self, source: Wercker | None = None, *, application: bool = False) -> list[Task]:
        source = source or self.source()
        wanted = (
            [PipelineConfig("wercker", application_id=self.world.application_id)]
            if application
            else [PipelineConfig("wercker", id=p.id, name=p.name) for p in self.world.pipelines]
        )
        return [Task(source, source.listing(one)) for one in wanted]

    def sync(
        self, source: Wercker | None = None, *, application: bool = False, **options: Any
    ) -> list[SyncOutcome]:
        settings = Options(concurrency=self.concurrency, **options)
        return sync(self.database, self.tasks(source, application=application), settings)

    def requests(self) -> list[tuple[str, dict[str, str]]]:
        return [(r.path, r.query) for r in self.simulator.requests]

    def rows(self, pipeline_id: str) -> list[dict[str, Any]]:
        """What is stored of a pipeline's runs, with their steps, as ``World.truth`` gives it."""
        with self.database.read() as connection:
            here = PipelineRow.external_id == pipeline_id
            runs = connection.execute(
                select(RunRow.__table__).join(PipelineRow).where(here)
            ).mappings()
            found = {row["id"]: {k: row[k] for k in COMPARED} | {"steps": []} for row in runs}
            steps = connection.execute(
                select(StepRow.__table__)
                .join(PipelineRow, PipelineRow.id == StepRow.pipeline_id)
                .where(here)
                .order_by(StepRow.position)
            ).mappings()
            for step in steps:
                found[step["run_id"]]["steps"].append({k: step[k] for k in STEP_COMPARED})
        return sorted(found.values(), key=lambda run: run["id"])

    def truth(self, pipeline_id: str) -> list[dict[str, Any]]:
        return sorted(
            (
                {k: run[k] for k in COMPARED}
                | {"steps": [{k: step[k] for k in STEP_COMPARED} for step in run["steps"]]}
                for run in self.world.truth(pipeline_id)
            ),
            key=lambda run: str(run["id"]),
        )

    def assert_exact(self) -> None:
        for pipeline in self.world.pipelines:
            assert self.rows(pipeline.id) == self.truth(pipeline.id)

    def column(self, name: str) -> dict[str, Any]:
        """One column of all runs, by their ids."""
        with self.database.read() as connection:
            rows = connection.execute(select(RunRow.id, getattr(RunRow, name)))
            return dict(rows.all())

    def close(self) -> None:
        for source in self._open:
            source.close()


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(sqlite: Database) -> Iterator[MakeRig]:
    """Makes rigs over SQLite, or over the database that is given."""
    with ExitStack() as stack:

        def make(
            world: World | None = None,
            *,
            database: Database | None = None,
            faults: Faults | None = None,
            token: str | None = None,
            **scenario: Any,
        ) -> Rig:
            settings: dict[str, Any] = {
                "seed": 1,
                "runs": 60,
                "pipelines": 2,
                "now": NOW,
            } | scenario
            world = world or Scenario(**settings).build()
            simulator = stack.enter_context(Simulator(world, faults=faults, token=token))
            rig = Rig(world, database or sqlite, simulator)
            stack.callback(rig.close)
            return rig

        yield make


def empty_world() -> World:
    """A world with one pipeline and no runs, whose clock stands still."""
    world = World(Clock(NOW))
    world.add_pipeline("build")
    return world


def shuffled(items: list[Any], seed: int) -> list[Any]:
    return random.Random(seed).sample(items, len(items))

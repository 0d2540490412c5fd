"""Sources that ask a simulated CircleCI."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.circleci.source import CircleCI
from runsync.storage.database import Database
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.world import World

NOW = datetime(2024, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)
QUICK = Limits(connect=10, read=10, whole=20, tries=3, first_pause=0.01, longest_pause=0.05)


@contextmanager
def opened(
    simulator: CircleSimulator, limits: Limits = QUICK, *, details: bool = False
) -> Iterator[CircleCI]:
    """A source whose token stands where a config would name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIRCLE_TEST_TOKEN", simulator.token)
        config = SourceConfig(
            "circle", "circleci", simulator.url, token_env="CIRCLE_TEST_TOKEN", details=details
        )
        source = CircleCI(config, concurrency=4, limits=limits)
        yield source
        source.close()


def run(
    database: Database, source: CircleCI, workflow: str | None = None, **options: Any
) -> SyncOutcome:
    """One sync: of all the project's workflows, or of one."""
    wanted = PipelineConfig("circle", repository=World.slug)
    if workflow:
        wanted = PipelineConfig("circle", id=f"{World.slug}/{workflow}")
    task = Task(source, source.listing(wanted))
    (outcome,) = sync(database, [task], Options(concurrency=4, **options))
    return outcome

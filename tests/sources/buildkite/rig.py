"""Sources that ask a simulated Buildkite."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.buildkite.source import Buildkite
from runsync.storage.database import Database
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from tests.sources.buildkite.simulator import BuildkiteSimulator

NOW = datetime(2024, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)
QUICK = Limits(connect=10, read=10, whole=20, tries=4, first_pause=0.01, longest_pause=0.05)
PIPELINE = PipelineConfig("hub", id="acme-inc/web")
ORGANIZATION = PipelineConfig("hub", application_id="acme-inc")


@contextmanager
def opened(simulator: BuildkiteSimulator, limits: Limits = QUICK) -> Iterator[Buildkite]:
    """A source whose token stands where a config would name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILDKITE_TEST_TOKEN", simulator.token)
        config = SourceConfig("hub", "buildkite", simulator.url, token_env="BUILDKITE_TEST_TOKEN")
        source = Buildkite(config, concurrency=4, limits=limits)
        yield source
        source.close()


def run(
    database: Database, source: Buildkite, wanted: PipelineConfig = PIPELINE, **options: Any
) -> SyncOutcome:
    task = Task(source, source.listing(wanted))
    (outcome,) = sync(database, [task], Options(concurrency=4, **options))
    return outcome

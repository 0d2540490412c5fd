"""Sources that ask a simulated Jenkins."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.sources.jenkins.source import Jenkins
from runsync.storage.database import Database
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from tests.sources.jenkins.simulator import JenkinsSimulator

NOW = datetime(2024, 5, 6, 12, 0, 0, tzinfo=UTC)
QUICK = Limits(connect=10, read=10, whole=20, tries=4, first_pause=0.01, longest_pause=0.05)
JOB = "team/app"
FOLDER = "team"


@contextmanager
def opened(simulator: JenkinsSimulator, limits: Limits = QUICK) -> Iterator[Jenkins]:
    """A source whose token stands where a config would name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JENKINS_TEST_TOKEN", simulator.secret)
        config = SourceConfig("ci", "jenkins", simulator.url, token_env="JENKINS_TEST_TOKEN")
        source = Jenkins(config, concurrency=4, limits=limits)
        yield source
        source.close()


def run(
    database: Database,
    source: Jenkins,
    job: str | None = JOB,
    folder: str | None = None,
    **options: Any,
) -> SyncOutcome:
    """Syncs a job, or a folder where one is named."""
    wanted = PipelineConfig("ci", id=None if folder else job, application_id=folder)
    (outcome,) = sync(
        database, [Task(source, source.listing(wanted))], Options(concurrency=4, **options)
    )
    return outcome

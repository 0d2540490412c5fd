"""Sources that ask a simulated GitLab."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from runsync.config import SourceConfig
from runsync.http.client import Limits
from runsync.sources.gitlab.source import GitLab
from tests.sources.gitlab.simulator import GitLabSimulator

NOW = datetime(2024, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)
QUICK = Limits(connect=10, read=10, whole=20, tries=4, first_pause=0.01, longest_pause=0.05)


@contextmanager
def opened(simulator: GitLabSimulator, limits: Limits = QUICK) -> Iterator[GitLab]:
    """A source whose token stands where a config would name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITLAB_TEST_TOKEN", simulator.token)
        config = SourceConfig("hub", "gitlab", simulator.url, token_env="GITLAB_TEST_TOKEN")
        source = GitLab(config, concurrency=4, limits=limits)
        yield source
        source.close()

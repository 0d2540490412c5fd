"""Sources that ask a simulated Azure DevOps."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from runsync.config import SourceConfig
from runsync.http.client import Limits
from runsync.sources.azure.source import Azure
from tests.sources.azure.simulator import AzureSimulator

NOW = datetime(2024, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)
QUICK = Limits(connect=10, read=10, whole=20, tries=4, first_pause=0.01, longest_pause=0.05)
ID = "fiber git/12"
PROJECT = "fiber git"


@contextmanager
def opened(simulator: AzureSimulator, limits: Limits = QUICK) -> Iterator[Azure]:
    """A source whose token stands where a config would name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_TEST_TOKEN", simulator.token)
        config = SourceConfig("hub", "azure", simulator.url, token_env="AZURE_TEST_TOKEN")
        source = Azure(config, concurrency=4, limits=limits)
        yield source
        source.close()

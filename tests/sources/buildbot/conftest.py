"""A real Buildbot master for all these tests, and a source that asks it."""

from collections.abc import Iterator

import pytest

from runsync.sources.buildbot.source import Buildbot
from tests.sources.buildbot.farm import QUICK, Farm


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """One master for all; each test makes runs of its own."""
    running = Farm(tmp_path_factory.mktemp("farm"))
    yield running
    running.close()


@pytest.fixture
def source(farm: Farm) -> Iterator[Buildbot]:
    """The source under test, which has asked for nothing yet."""
    opened = Buildbot(farm.config(), limits=QUICK)
    yield opened
    opened.close()

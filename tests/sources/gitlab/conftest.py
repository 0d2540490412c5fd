"""A simulated GitLab, and a source that asks it."""

from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig
from runsync.sources.base import Listing
from runsync.sources.gitlab.source import GitLab
from tests.sources.gitlab.rig import NOW, opened
from tests.sources.gitlab.simulator import GitLabSimulator, World


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def simulator(world: World) -> Iterator[GitLabSimulator]:
    with GitLabSimulator(world).serving() as simulator:
        yield simulator


@pytest.fixture
def source(simulator: GitLabSimulator) -> Iterator[GitLab]:
    with opened(simulator) as source:
        yield source


@pytest.fixture
def listing(source: GitLab) -> Listing:
    return source.listing(PipelineConfig("hub", id=World.path))

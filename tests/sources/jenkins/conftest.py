"""A simulated Jenkins, and a source that asks it."""

from collections.abc import Iterator

import pytest

from runsync.sources.jenkins.source import Jenkins
from tests.sources.jenkins.rig import JOB, NOW, opened
from tests.sources.jenkins.simulator import JenkinsSimulator
from tests.sources.jenkins.world import Item, World


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def job(world: World) -> Item:
    """A Pipeline job."""
    return world.add(JOB)


@pytest.fixture
def simulator(world: World) -> Iterator[JenkinsSimulator]:
    with JenkinsSimulator(world).serving() as simulator:
        yield simulator


@pytest.fixture
def source(simulator: JenkinsSimulator) -> Iterator[Jenkins]:
    with opened(simulator) as source:
        yield source

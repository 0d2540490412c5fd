"""A simulated CircleCI, and a source that asks it."""

from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig
from runsync.sources.base import Listing
from runsync.sources.circleci.source import CircleCI
from tests.sources.circleci.rig import NOW, opened
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.world import World


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def simulator(world: World) -> Iterator[CircleSimulator]:
    with CircleSimulator(world).serving() as simulator:
        yield simulator


@pytest.fixture
def source(simulator: CircleSimulator) -> Iterator[CircleCI]:
    with opened(simulator) as source:
        yield source


@pytest.fixture
def listing(source: CircleCI) -> Listing:
    return source.listing(PipelineConfig("circle", repository=World.slug))

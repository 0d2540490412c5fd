"""A simulated Buildkite, and a source that asks it."""

from collections.abc import Iterator

import pytest

from runsync.sources.base import Listing
from runsync.sources.buildkite.source import Buildkite
from tests.sources.buildkite.rig import NOW, PIPELINE, opened
from tests.sources.buildkite.simulator import BuildkiteSimulator
from tests.sources.buildkite.world import World


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def simulator(world: World) -> Iterator[BuildkiteSimulator]:
    with BuildkiteSimulator(world).serving() as simulator:
        yield simulator


@pytest.fixture
def source(simulator: BuildkiteSimulator) -> Iterator[Buildkite]:
    with opened(simulator) as source:
        yield source


@pytest.fixture
def listing(source: Buildkite) -> Listing:
    return source.listing(PIPELINE)

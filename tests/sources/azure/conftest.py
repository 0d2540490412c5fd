"""A simulated Azure DevOps, and a source that asks it."""

from collections.abc import Iterator

import pytest

from runsync.config import PipelineConfig
from runsync.sources.azure.source import Azure
from runsync.sources.base import Listing
from tests.sources.azure.rig import ID, NOW, PROJECT, opened
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.world import World


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def simulator(world: World) -> Iterator[AzureSimulator]:
    with AzureSimulator(world).serving() as simulator:
        yield simulator


@pytest.fixture
def source(simulator: AzureSimulator) -> Iterator[Azure]:
    with opened(simulator) as source:
        yield source


@pytest.fixture
def listing(source: Azure) -> Listing:
    return source.listing(PipelineConfig("hub", id=ID))


@pytest.fixture
def whole(source: Azure) -> Listing:
    """The whole project."""
    return source.listing(PipelineConfig("hub", application_id=PROJECT))

"""A simulated Wercker v3 API over real HTTP: an independent reading of the contract."""

from runsync.simulator.history.scenario import Scenario
from runsync.simulator.http.faults import Faults, Rule
from runsync.simulator.http.server import Logged, Simulator
from runsync.simulator.http.wire import Request
from runsync.simulator.world.clock import Clock
from runsync.simulator.world.payloads import ABSENT
from runsync.simulator.world.registry import UnknownIdError
from runsync.simulator.world.world import AlreadyFinishedError, World

__all__ = [
    "ABSENT",
    "AlreadyFinishedError",
    "Clock",
    "Faults",
    "Logged",
    "Request",
    "Rule",
    "Scenario",
    "Simulator",
    "UnknownIdError",
    "World",
]

"""A simulated Wercker v3 API over real HTTP: an independent reading of the contract."""

from runsync.simulator.clock import Clock
from runsync.simulator.faults import Faults, Rule
from runsync.simulator.payloads import ABSENT
from runsync.simulator.registry import UnknownIdError
from runsync.simulator.scenario import Scenario
from runsync.simulator.server import Logged, Simulator
from runsync.simulator.wire import Request
from runsync.simulator.world import AlreadyFinishedError, World

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

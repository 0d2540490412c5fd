"""Moves a simulator in a process of its own: one command a line, one JSON answer a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from runsync.simulator.http.faults import Faults
from runsync.simulator.http.server import Simulator


def run_commands(simulator: Simulator, commands: Iterable[str], answers: TextIO) -> None:
    """Carry out ``commands`` until there are no more; a bad one is answered with ``error``."""
    for line in commands:
        answers.write(json.dumps(_run_command(simulator, line.split())) + "\n")
        answers.flush()


def _run_command(simulator: Simulator, words: list[str]) -> dict[str, Any]:
    name, *arguments = words or [""]
    if name not in COMMANDS:
        return {"error": f"unknown command {name!r}: known are {', '.join(COMMANDS)}"}
    try:
        return {"ok": COMMANDS[name](simulator, *arguments)}
    except (LookupError, TypeError, ValueError) as wrong:
        return {"error": str(wrong)}


def _advance(simulator: Simulator, seconds: str) -> str:
    return simulator.world.clock.advance(float(seconds)).isoformat()


def _arrive(simulator: Simulator, count: str = "1", *pipelines: str) -> list[str]:
    world = simulator.world
    wanted = pipelines or [pipeline.id for pipeline in world.pipelines]
    return [run for pipeline in wanted for run in world.arrive(pipeline, int(count))]


def _faults(simulator: Simulator, text: str = "") -> int:
    simulator.faults = Faults.parse(text)
    return len(simulator.faults.rules)


def _latency(simulator: Simulator, seconds: str) -> float:
    simulator.latency = float(seconds)
    return simulator.latency


def _stats(simulator: Simulator) -> dict[str, int]:
    return {"requests": simulator.request_count, "max_in_flight": simulator.max_in_flight}


def _reset(simulator: Simulator) -> None:
    simulator.reset_log()


COMMANDS: dict[str, Callable[..., Any]] = {
    "advance": _advance,
    "arrive": _arrive,
    "trigger": lambda simulator, pipeline: simulator.world.trigger(pipeline),
    "finish": lambda simulator, run, *result: simulator.world.finish(run, *result),
    "abort": lambda simulator, run: simulator.world.abort(run),
    "delete": lambda simulator, run: simulator.world.delete_run(run),
    "faults": _faults,
    "latency": _latency,
    "stats": _stats,
    "reset": _reset,
}
"""``advance SECONDS``, ``arrive COUNT [PIPELINE...]``, ``faults [SHORT FORM]`` and so on."""

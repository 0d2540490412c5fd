"""Serves a simulated Wercker in a process of its own: ``python -m runsync.simulator``.

Prints one line of JSON with ``url``, ``application`` and ``pipelines`` (ids), then serves until it
is interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from runsync.simulator.history.scenario import Scenario
from runsync.simulator.http.control import run_commands
from runsync.simulator.http.faults import Faults
from runsync.simulator.http.server import Simulator
from runsync.simulator.world.clock import Clock


def main(argv: Sequence[str] | None = None) -> int:
    """Serve what the arguments ask for; the exit code."""
    options = _parser().parse_args(argv)
    world = _scenario(options).build(Clock.running(options.now) if options.now else None)
    simulator = Simulator(
        world,
        port=options.port,
        token=options.token,
        latency=options.latency,
        faults=options.fault,
    )
    simulator.start()
    ready = {
        "url": simulator.url,
        "application": world.application_id if world.pipelines else None,
        "pipelines": [pipeline.id for pipeline in world.pipelines],
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    if options.control:
        run_commands(simulator, sys.stdin, sys.stdout)
        simulator.stop()
    else:
        simulator.serve_forever()
    return 0


def _scenario(options: argparse.Namespace) -> Scenario:
    return Scenario(
        seed=options.seed,
        runs=options.runs[0] if len(options.runs) == 1 else options.runs,
        pipelines=options.pipelines,
        now=options.now,
        days=options.days,
        arrivals_per_hour=options.arrivals,
        steps=options.steps,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runsync.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--runs", type=_numbers, default=[400], help="in all, or per pipeline: 300,80,20"
    )
    parser.add_argument("--pipelines", type=int, default=3)
    parser.add_argument("--steps", type=int, help="exactly so many in each run")
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--token", help="refuse requests without it")
    parser.add_argument("--arrivals", type=float, default=0.0, help="new runs per hour")
    parser.add_argument("--fault", type=Faults.parse, help="such as 500:steps:every=10")
    parser.add_argument(
        "--control", action="store_true", help="read commands from stdin; stop at its end"
    )
    parser.add_argument("--now", type=_time, help="where its clock starts, ISO 8601")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _time(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())

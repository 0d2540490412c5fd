"""What the benchmarks share: a simulated service in a process of its own, and ratios in pairs.

Times differ from machine to machine and from minute to minute; so each benchmark measures what it
compares in turn, within one run, and prints the ratio of the medians.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def service(
    runs: int, *, pipelines: int = 1, steps: int = 8, latency: float = 0.0
) -> Iterator[tuple[str, list[str]]]:
    """The base URL and the pipelines' ids of a simulated service; all runs are long finished."""
    command = [sys.executable, "-m", "runsync.simulator", "--port", "0", "--seed", "1"]
    command += ["--runs", str(runs), "--pipelines", str(pipelines), "--steps", str(steps)]
    command += ["--latency", str(latency), "--now", "2024-05-06T12:00:00Z"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        try:
            yield ready["url"], ready["pipelines"]
        finally:
            process.terminate()


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="runsync-bench-") as name:
        yield Path(name)


def in_turn(
    contenders: Mapping[str, Callable[[], object]], rounds: int = 5
) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after one round that does not count.

    A contender that returns a float has timed itself.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            begin = time.perf_counter()
            own = run()
            if number:
                times[name].append(own if isinstance(own, float) else time.perf_counter() - begin)
    return times


def show(title: str, times: Mapping[str, list[float]], base: str) -> None:
    """Prints each contender's median, its spread, and how many times the base's it is."""
    middle = {name: statistics.median(found) for name, found in times.items()}
    sys.stdout.write(f"\n{title}\n")
    for name, found in times.items():
        ratio = middle[name] / middle[base]
        spread = f"{min(found):.3f} to {max(found):.3f}"
        sys.stdout.write(
            f"  {name:<28} {middle[name]:7.3f} s  ({spread})  {ratio:5.2f} times {base}\n"
        )
    sys.stdout.flush()

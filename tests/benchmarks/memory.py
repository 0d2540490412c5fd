"""The memory that a sync and an audit take at most, for a short history and for a long one.

    python tests/benchmarks/memory.py [runs] [times]

Syncs and verifies `runs`, and `times` as many, each in a process of its own, and prints the ratios
of their greatest resident sizes.
"""

import subprocess
import sys
from pathlib import Path

from common import folder, service

SMALL = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 100

CHILD = """
import resource, sys
from runsync.cli import run
code = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
raise SystemExit(code)
"""


COMMANDS = ("sync", "verify")


def peaks_mib(runs: int, here: Path) -> list[int]:
    """The greatest resident size of each command, in MiB."""
    with service(runs, steps=1) as (url, (pipeline,)):
        config = here / f"{runs}.toml"
        config.write_text(
            f'database_url = "sqlite:///{runs}.db"\n[sources.wercker]\nbase_url = "{url}"\n'
            f'[[pipelines]]\nsource = "wercker"\nid = "{pipeline}"\n'
        )
        return [peak_mib(command, config) for command in COMMANDS]


def peak_mib(command: str, config: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, command, "--config", str(config)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stderr.strip().splitlines()[-1])


def main() -> None:
    with folder() as here:
        small, large = peaks_mib(SMALL, here), peaks_mib(SMALL * TIMES, here)
    for command, few, many in zip(COMMANDS, small, large, strict=True):
        sys.stdout.write(
            f"{command}: {SMALL} runs: {few} MiB at most; {SMALL * TIMES} runs: {many} MiB; "
            f"{many / few:.2f} times\n"
        )


if __name__ == "__main__":
    main()

"""The memory that a sync takes at most, for a short history and for a long one.

    python tests/benchmarks/memory.py [runs] [times]

Syncs `runs`, and `times` as many, each in a process of its own, and prints the ratio of their
greatest resident sizes.
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


def peak_mib(runs: int, here: Path) -> int:
    with service(runs, steps=1) as (url, (pipeline,)):
        config = here / f"{runs}.toml"
        config.write_text(
            f'database_url = "sqlite:///{runs}.db"\n[sources.wercker]\nbase_url = "{url}"\n'
            f'[[pipelines]]\nsource = "wercker"\nid = "{pipeline}"\n'
        )
        done = subprocess.run(
            [sys.executable, "-c", CHILD, "sync", "--config", str(config)],
            check=True,
            capture_output=True,
            text=True,
        )
    return int(done.stderr.strip().splitlines()[-1])


def main() -> None:
    with folder() as here:
        small, large = peak_mib(SMALL, here), peak_mib(SMALL * TIMES, here)
    sys.stdout.write(
        f"{SMALL} runs: {small} MiB at most; {SMALL * TIMES} runs: {large} MiB; "
        f"{large / small:.2f} times\n"
    )


if __name__ == "__main__":
    main()

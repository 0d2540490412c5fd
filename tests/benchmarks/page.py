"""The HTML page of 10,000 runs: its time and the memory that it takes at most.

    python tests/benchmarks/page.py [runs]

Next to it stand the imports that it cannot do without, and plain sqlite3 reading the columns that
the page is made of. Each is a process of its own.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from common import folder, in_turn, show

from runsync.records import Pipeline, Result, Run, RunWithSteps, Status, Step
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore, RunToWrite

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
STEPS, PIPELINES, BATCH = 8, 3, 500
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
IMPORTS = "import pandas, sqlalchemy, jinja2"
READING = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
for view, columns in (
    ("v_steps", "pipeline_id, run_id, name, job, position, result, started_at, duration_ms,"
     " branch, author, run_created_at, commit_hash, ran, in_rate"),
    ("v_runs", "pipeline_id, id, branch, author, created_at, finished_at, result, queued_ms,"
     " duration_ms, is_finished, in_rate"),
):
    database.execute(f"SELECT {columns} FROM {view}").fetchall()
"""
PAGE = "from runsync.cli import main; main()"


def run(number: int, pipeline: Pipeline, rng: Random) -> RunToWrite:
    """A run of the last 120 days; most pass, on one of some hundred branches."""
    at = NOW - timedelta(days=120) * (1 - number / RUNS)
    result = rng.choices((Result.PASSED, Result.FAILED, Result.ABORTED), (85, 11, 4))[0]
    begin = at + timedelta(seconds=rng.randrange(1, 90))
    steps, when = [], begin
    for place in range(STEPS):
        end = when + timedelta(seconds=rng.lognormvariate(3, 0.4))
        last = result is not Result.PASSED and place == STEPS - 1
        steps.append(
            Step(
                id=f"{number:016x}{place:08x}", position=place, name=f"step {place}",
                status=Status.FINISHED, result=result if last else Result.PASSED,
                created_at=at, started_at=when, finished_at=end,
            )
        )  # fmt: skip
        when = end
    made = Run(
        pipeline=pipeline, id=f"{number:024x}", created_at=at, started_at=begin, finished_at=when,
        status=Status.FINISHED, result=result, commit_hash=f"{number // 2:040x}",
        branch="master" if rng.random() < 0.6 else f"feature/{number // 50}",
        author=rng.choice(("tonnu", "mokaf", "liwei")),
    )  # fmt: skip
    return RunToWrite(RunWithSteps(made, tuple(steps), NOW), settled=True)


def runs(pipelines: list[Pipeline]) -> Iterator[list[RunToWrite]]:
    rng = Random(1)
    for first in range(0, RUNS, BATCH):
        numbers = range(first, min(first + BATCH, RUNS))
        yield [run(n, rng.choice(pipelines), rng) for n in numbers]


def filled(path: Path) -> str:
    """The URL of a new database that holds the runs."""
    database = Database(f"sqlite:///{path}")
    schema.ready(database)
    store = ListingStore(database, "wercker", "l")
    pipelines = [Pipeline(f"{n:024x}", f"pipeline {n}") for n in range(PIPELINES)]
    store.save(Batch(pipelines=pipelines))
    for batch in runs(pipelines):
        store.save(Batch(batch))
    database.close()
    return f"sqlite:///{path}"


def python(*args: str, env: dict[str, str] | None = None) -> float:
    """The processor's seconds that a Python took, which other work on the machine moves less."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", *args], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with folder() as here:
        file = here / "history.db"
        page = (PAGE, "report", "html", "--output", str(here / "page.html"))
        env = {"RUNSYNC_DATABASE_URL": filled(file), "PATH": "/usr/bin:/bin"}
        times = in_turn(
            {
                "imports": lambda: python(IMPORTS),
                "sqlite3 reading": lambda: python(READING, str(file)),
                "the page": lambda: python(*page, env=env),
            }
        )
        size = (here / "page.html").stat().st_size // 1024
    show(f"The page of {RUNS:,} runs x {STEPS} steps ({size:,} KiB)", times, "imports")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    sys.stdout.write(f"  at most {peak} MiB\n")


if __name__ == "__main__":
    main()

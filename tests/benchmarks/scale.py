"""Reports on a long history in SQLite: time and memory, next to plain sqlite3 reading the columns.

    python tests/benchmarks/scale.py [--steps 1e6] [--workers N] [--file FILE] [REPORT]...

Builds a history of three years (20 pipelines, 10 steps a run), or takes the one in FILE that an
earlier call left there. Each measurement is a process of its own: seconds without the imports,
the processor's seconds, and the greatest resident size. What is compared is measured in turn.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from common import folder

from runsync.storage import schema
from runsync.storage.database import Database

PIPELINES, STEPS, DAYS = 20, 10, 1095
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
RECENT = (NOW - timedelta(days=28)).isoformat(timespec="microseconds")[:26] + "Z"
STEP_COLUMNS = {
    "step_durations": "pipeline_id, name, job, duration_ms FROM v_steps WHERE ran = 1",
    "step_failures": "pipeline_id, run_id, name, job FROM v_steps WHERE in_rate = 1",
    "flaky_steps": "pipeline_id, run_id, name, job, commit_hash, run_created_at, is_failed "
    "FROM v_steps WHERE in_rate = 1 AND commit_hash IS NOT NULL",
    "time_spent": "pipeline_id, run_id, runner, duration_ms FROM v_steps WHERE ran = 1",
    "change_points": "pipeline_id, name, job, run_created_at, is_passed, in_rate, ran, "
    "duration_ms FROM v_steps WHERE is_finished = 1",
}
RUN_COLUMNS = {
    "pass_rates": "pipeline_id, is_finished, is_passed, is_failed, is_aborted, is_skipped, "
    "in_rate, is_error FROM v_runs WHERE is_finished = 1",
    "run_durations": "pipeline_id, duration_ms FROM v_runs WHERE is_finished = 1",
    "queue_times": "pipeline_id, queued_ms FROM v_runs WHERE queued_ms IS NOT NULL",
    "recoveries": "pipeline_id, branch, created_at, finished_at, is_passed FROM v_runs "
    "WHERE in_rate = 1",
    "abort_frequencies": "pipeline_id, is_finished, is_aborted, never_started, duration_ms "
    "FROM v_runs WHERE is_finished = 1",
}
ABORTED = (
    "pipeline_id, run_id, position, name FROM v_steps "
    "WHERE run_result = 'aborted' AND run_is_aborted = 1 AND started_at IS NOT NULL"
)
PLAIN = """
import collections, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
begin()
for select in sys.argv[2:]:
    collections.deque(database.execute(select), maxlen=0)
"""
REPORT = """
import sys
import numpy, pandas, scipy.special, sqlalchemy
from runsync import reports
from runsync.reports import comparison, gather, load, parts, plan
from runsync.reports.page import render
asked = {"since": sys.argv[3]} if sys.argv[3] else {}
begin()
getattr(reports, sys.argv[2])(f"sqlite:///{sys.argv[1]}", workers=int(sys.argv[4]), **asked)
"""
MEASURED = """
import json, resource, time
def begin():
    global wall, cpu
    wall, cpu = time.perf_counter(), time.process_time()
if __name__ == "__main__":
    {code}
    took = time.perf_counter() - wall
    used = time.process_time() - cpu
    # Not ru_maxrss, which holds what the parent had before this program began.
    with open("/proc/self/status") as status:
        own = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    used += others.ru_utime + others.ru_stime
    print(json.dumps([took, used, own, others.ru_maxrss // 1024]))
"""


def rows(number: int) -> Iterator[tuple[tuple[Any, ...], list[tuple[Any, ...]]]]:
    """Runs with their steps, oldest first; most pass, one in ten commits is tried again."""
    rng = Random(1)
    begin = NOW - timedelta(days=DAYS)
    commit = [""] * (PIPELINES + 1)
    for n in range(number):
        pipeline = rng.randint(1, PIPELINES)
        created = begin + timedelta(days=DAYS) * (n / number)
        started = created + timedelta(seconds=rng.randint(1, 90))
        result = rng.choices(("passed", "failed", "aborted"), (88, 10, 2))[0]
        if rng.random() > 0.1:
            commit[pipeline] = f"{rng.getrandbits(160):040x}"
        run_id = f"{int(created.timestamp()):08x}{n:016x}"
        at = text(created)
        ends, spent, last = [], 0, STEPS if result == "passed" else rng.randint(2, STEPS)
        for k in range(last):
            word = result if k == last - 1 else "passed"
            took = round(rng.lognormvariate(9, 0.5))
            ends.append(
                (
                    pipeline, run_id, f"{n:016x}{k:08x}", k, None, f"step {k}", "finished", word,
                    OUTCOMES[word], at, at, at, took,
                )
            )  # fmt: skip
            spent += took
        branch = "main" if rng.random() < 0.6 else f"feature/{n // 200}"
        yield (
            pipeline, run_id, 1, branch, commit[pipeline], MESSAGE, rng.choice(AUTHORS),
            "push", "finished", result,
            OUTCOMES[result], at, text(started), text(started + timedelta(milliseconds=spent)),
            (started - created).seconds * 1000, spent, f"https://ci.example.org/runs/{run_id}",
            at, 1, at, at,
        ), ends  # fmt: skip


MESSAGE = "a message of usual length, as people write them"
AUTHORS = ("ann", "bob", "cid")
OUTCOMES = {"passed": "success", "failed": "failure", "aborted": "cancellation"}
RUN = (
    "pipeline_id, id, attempt, branch, commit_hash, message, author, event, status, result, "
    "outcome, created_at, started_at, finished_at, queued_ms, duration_ms, web_url, "
    "steps_synced_at, settled, first_seen_at, last_seen_at"
)
STEP = (
    "pipeline_id, run_id, id, position, job, name, status, result, outcome, created_at, "
    "started_at, finished_at, duration_ms"
)


def text(when: datetime) -> str:
    return when.isoformat(timespec="microseconds")[:26] + "Z"


def build(file: Path, steps: int) -> None:
    """The history, in the real schema."""
    database = Database(f"sqlite:///{file}")
    schema.upgrade(database)
    database.close()
    raw = sqlite3.connect(file)
    raw.execute("PRAGMA synchronous = OFF")
    named = [(n, "wercker", f"{n:024x}", f"pipeline {n}") for n in range(1, PIPELINES + 1)]
    insert(raw, "pipelines", "id, source, external_id, name", named)
    made = rows(steps // STEPS)
    while batch := list(islice(made, 20_000)):
        insert(raw, "runs", RUN, [run for run, _ in batch])
        insert(raw, "steps", STEP, sorted(step for _, of_run in batch for step in of_run))
        raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def insert(raw: sqlite3.Connection, table: str, columns: str, values: list[Any]) -> None:
    places = ", ".join("?" * len(values[0]))
    raw.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)


def measured(code: str, *args: str) -> tuple[float, float, int, int]:
    """Seconds, the processor's seconds, and the greatest size in MiB, own and of a worker."""
    with folder() as here:
        # Workers import the main module again, so it must be a file.
        script = here / "measured.py"
        script.write_text(MEASURED.format(code=code.strip().replace("\n", "\n    ")))
        done = subprocess.run(
            [sys.executable, str(script), *args], check=True, stdout=subprocess.PIPE, text=True
        )
    took, used, own, others = json.loads(done.stdout)
    return took, used, own, others


def line(name: str, found: tuple[float, float, int, int], base: float | None = None) -> None:
    took, used, own, others = found
    ratio = f"{took / base:6.2f} times" if base else " " * 12
    workers = f", a worker {others}" if others else ""
    print(f"  {name:<34} {took:7.2f} s  {used:7.2f} s CPU {ratio} {own:5} MiB{workers}", flush=True)


def compare(file: Path, names: list[str], workers: int) -> None:
    """Each report of all time and of 28 days, next to the columns it is made of; the page next to
    those of step durations."""
    for name in names:
        columns = (STEP_COLUMNS | RUN_COLUMNS).get(name, STEP_COLUMNS["step_durations"])
        created = "created_at" if name in RUN_COLUMNS else "run_created_at"
        for title, since in (("all time", ""), ("28 days", RECENT)):
            window = f" AND {created} >= '{since}'" if since else ""
            selects = [f"SELECT {columns}{window}"]
            if name == "abort_frequencies":
                selects.append(f"SELECT {ABORTED}{window.replace('created', 'run_created')}")
            plain = measured(PLAIN, str(file), *selects)
            line(f"sqlite3 for {name}, {title}", plain)
            base = plain[0]
            line(f"{name}, {title}", measured(REPORT, str(file), name, since, "1"), base)
            if workers > 1 and not since:
                found = measured(REPORT, str(file), name, since, str(workers))
                line(f"{name}, {workers} workers", found, base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=float, default=1e6)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--file", type=Path)
    parser.add_argument("reports", nargs="*")
    asked = parser.parse_args()
    names = asked.reports or [*STEP_COLUMNS, *RUN_COLUMNS, "html"]
    with folder() as here:
        file = asked.file or here / "history.db"
        if not file.exists():
            build(file, int(asked.steps))
        print(f"{asked.steps:,.0f} steps, {file.stat().st_size / 2**20:,.0f} MiB", flush=True)
        compare(file, names, asked.workers)


if __name__ == "__main__":
    main()

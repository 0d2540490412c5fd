"""Reports over an archive against DuckDB's own query on the same files, and the memory of each.

    python tests/benchmarks/archive.py [million steps] [rounds]

Makes an archive of 20 pipelines and 36 months, with 10 steps a run, without any database. Each
contender is a process of its own, which times itself without its imports; ratios within one run.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from common import folder

from runsync.archive.location import located
from runsync.archive.manifest import ArchivedFile, ArchivedMonth, Manifest, MonthKey
from runsync.archive.parquet_files import StemWriter
from runsync.archive.rows import Month, arrow_schema, with_runs
from runsync.storage import schema

STEPS = round(float(sys.argv[1] if len(sys.argv) > 1 else 10) * 1_000_000)
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
PIPELINES, PER_RUN = 20, 10
NAMES = "checkout cache install lint compile unit-tests package e2e report clean-up".split()

CHILD = """
import resource, sys, time
place, what = sys.argv[1:]
if what.startswith("own"):
    import duckdb
    settings = {"memory_limit": "256MB", "preserve_insertion_order": False}
    connection = duckdb.connect(config=settings)
    connection.execute("SET enable_progress_bar = false")
    files = f"read_parquet('{place}/steps/*.parquet')"
    queries = {
        "own durations": "SELECT pipeline_id, name, count(*), avg(duration_ms), sum(duration_ms), "
        "max(duration_ms), quantile_cont(duration_ms, [0.5, 0.9, 0.95]) FROM {files} "
        "WHERE status = 'finished' AND result <> 'skipped' AND duration_ms IS NOT NULL "
        "GROUP BY ALL",
        "own failures": "SELECT pipeline_id, name, count(*), count(*) FILTER (result = 'failed') "
        "FROM {files} WHERE status = 'finished' AND result IN ('passed', 'failed') GROUP BY ALL",
        "own flaky": "SELECT pipeline_id, name, count(*), sum(bad) FROM (SELECT pipeline_id, name, "
        "commit_hash, count(DISTINCT result) - 1 AS bad FROM {files} WHERE result IN "
        "('passed', 'failed') GROUP BY ALL) GROUP BY ALL",
        "own aborts": "SELECT pipeline_id, name, count(*) FROM {files} "
        "WHERE run_result = 'aborted' GROUP BY ALL",
    }
    query = queries[what].replace("{files}", files)
    begin = time.perf_counter()
    connection.execute(query).fetchall()
else:
    import duckdb, pandas, pyarrow
    from runsync import reports
    from runsync.reports import load
    begin = time.perf_counter()
    getattr(reports, what)(f"archive:{place}")
took = time.perf_counter() - begin
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
PAIRS = {
    "step_durations": "own durations",
    "step_failures": "own failures",
    "flaky_steps": "own flaky",
    "abort_frequencies": "own aborts",
}
ALONE = ("time_spent", "change_points", "html")
"""What no single query of DuckDB's own answers; ``html`` is the page."""


def make(place: Path) -> None:
    """An archive of runs and steps that look like those of a CI."""
    rng = np.random.default_rng(1)
    location = located(place)
    manifest = Manifest(schema.HEAD)
    names = [f"{2023 + n // 12}-{n % 12 + 1:02}" for n in range(36)]
    each = STEPS // PER_RUN // PIPELINES // len(names)
    for name in names:
        writer = StemWriter(location, f"{name}-0")
        with writer.filling():
            for number in range(1, PIPELINES + 1):
                runs = some_runs(rng, (number, name), each)
                writer.add("runs", runs)
                for steps in some_steps(rng, number, runs):
                    writer.add("steps", steps)
                manifest.months[number, name] = ArchivedMonth(
                    number, name, f"{name}-0", each, each * PER_RUN, "v", "", sealed=True
                )
        manifest.files[f"{name}-0"] = ArchivedFile(
            f"{name}-0", writer.sizes["runs"], writer.sizes["steps"], schema.HEAD
        )
    manifest.tables = {
        "pipelines": [
            {"id": n, "source": "wercker", "external_id": f"p{n}", "name": f"pipeline {n}"}
            for n in range(1, PIPELINES + 1)
        ]
    }
    manifest.save(location)


def some_runs(rng: np.random.Generator, key: MonthKey, number: int) -> pa.Table:
    first = Month.named(key[1]).first
    offsets = np.sort(rng.integers(0, 27 * 86_400_000_000, number))
    at = int(datetime.timestamp(first)) * 1_000_000 + offsets
    results = rng.choice(["passed", "failed", "aborted"], number, p=[0.85, 0.12, 0.03])
    values: dict[str, Any] = {
        "pipeline_id": np.full(number, key[0]),
        "id": [f"{key[1]}-{key[0]}-{n:07}" for n in range(number)],
        "attempt": np.ones(number, np.int32),
        "branch": rng.choice(["main", *(f"feature-{n}" for n in range(50))], number),
        "commit_hash": [f"{n // 2:040x}" for n in range(number)],
        "author": rng.choice([f"author {n}" for n in range(40)], number),
        "status": ["finished"] * number,
        "result": results,
        "created_at": at,
        "started_at": at + 1_000_000,
        "finished_at": at + 600_000_000,
        "duration_ms": rng.integers(60_000, 900_000, number),
        "settled": np.ones(number, bool),
        "steps_synced_at": at + 700_000_000,
    }
    return table("runs", values, number)


def some_steps(rng: np.random.Generator, number: int, runs: pa.Table) -> Iterator[pa.Table]:
    rows = runs.num_rows * PER_RUN
    places = np.tile(np.arange(PER_RUN), runs.num_rows)
    ids = np.repeat(np.arange(runs.num_rows), PER_RUN)
    took = (rng.lognormal(9, 1, rows) * (1 + places)).astype(np.int64)
    values: dict[str, Any] = {
        "pipeline_id": np.full(rows, number),
        "run_id": runs.column("id").take(pa.array(ids)),
        "id": pa.array(places).cast(pa.string()),
        "position": places,
        "name": pa.DictionaryArray.from_arrays(places.astype(np.int32), NAMES).cast(pa.string()),
        "status": ["finished"] * rows,
        "result": rng.choice(["passed", "failed", "skipped"], rows, p=[0.95, 0.02, 0.03]),
        "started_at": runs.column("started_at").take(pa.array(ids)),
        "finished_at": runs.column("finished_at").take(pa.array(ids)),
        "duration_ms": took,
    }
    steps = table("steps", values, rows)
    yield with_runs(steps, runs)


def table(name: str, values: dict[str, Any], rows: int) -> pa.Table:
    """The values with the columns of a table; what is not given is null."""
    own = arrow_schema(name)
    arrays = [
        pa.array(values[field.name]).cast(field.type)
        if field.name in values and not isinstance(values[field.name], pa.ChunkedArray)
        else values.get(field.name, pa.nulls(rows, field.type))
        for field in own
    ]
    return pa.table(arrays, schema=own)


def measured(place: Path, what: str) -> tuple[float, int]:
    """Seconds, and the greatest resident size in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(place), what], check=True, capture_output=True, text=True
    )
    took, size = done.stdout.split()
    return float(took), int(size)


def main() -> None:
    with folder() as here:
        make(here)
        stored = sum(path.stat().st_size for path in here.rglob("*.parquet")) / 1e6
        sys.stdout.write(f"{STEPS / 1e6:g} million steps in {stored:.0f} MB\n")
        for ours, own in PAIRS.items():
            rounds = [(measured(here, ours), measured(here, own)) for _ in range(ROUNDS)]
            ratio = statistics.median(a[0] / b[0] for a, b in rounds)
            took = statistics.median(a[0] for a, _ in rounds)
            sys.stdout.write(
                f"{ours}: {took:.2f} s, {ratio:.2f} times DuckDB's own query, "
                f"{max(a[1] for a, _ in rounds)} MiB (its own {max(b[1] for _, b in rounds)})\n"
            )
            sys.stdout.flush()
        for ours in ALONE:
            took, size = measured(here, ours)
            sys.stdout.write(f"{ours}: {took:.2f} s, {size} MiB\n")


if __name__ == "__main__":
    main()

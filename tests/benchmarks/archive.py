"""Reports over an archive against DuckDB's own query for the same figures on the same files, and
the memory of each.

    python tests/benchmarks/archive.py [million steps] [rounds]

Makes an archive of 20 pipelines and 36 months, with 10 steps a run, without any database. Each
contender is a process of its own, which times itself without its imports; ratios within one run.
The counts of both must be the same.
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
import sys, time
place, what, query, *columns = sys.argv[1:]
if query:
    import duckdb
    settings = {"memory_limit": "256MB", "preserve_insertion_order": False}
    connection = duckdb.connect(config=settings)
    connection.execute("SET enable_progress_bar = false")
    begin = time.perf_counter()
    rows = connection.execute(query).fetchall()
else:
    import duckdb, pandas, pyarrow
    from runsync import reports
    from runsync.reports import archive_backend, columns as _, load, profiles, series, value_lists
    from runsync.reports.page import render
    begin = time.perf_counter()
    found = getattr(reports, what)(f"archive:{place}")
    rows = found[columns].itertuples(index=False, name=None) if columns else ()
took = time.perf_counter() - begin
told = sorted(tuple(map(int, row[:len(columns)])) for row in rows)
# Not ru_maxrss, which holds what the parent had before this program began.
with open("/proc/self/status") as status:
    size = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
print(took, size, hash(tuple(told)))
"""
OWN = {
    "step_durations": (
        ("count",),
        """
        SELECT count(*), avg(duration_ms), sum(duration_ms), max(duration_ms),
            quantile_cont(duration_ms, [0.5, 0.9, 0.95]), pipeline_id, name, job
        FROM {steps}
        WHERE status = 'finished' AND result <> 'skipped' AND duration_ms IS NOT NULL
        GROUP BY ALL
        """,
    ),
    "step_failures": (
        ("runs", "failed", "first_failures", "errors"),
        """
        WITH verdicts AS (
            SELECT pipeline_id, run_id, name, job, bool_or(result = 'failed') AS failed,
                min(position) FILTER (result = 'failed') AS place,
                max(coalesce(finished_at, run_created_at)) FILTER (result = 'failed') AS failed_at,
                bool_and(outcome = 'error') FILTER (result = 'failed') AS is_error,
                max(web_url) AS web_url
            FROM {steps} WHERE status = 'finished' AND result IN ('passed', 'failed') GROUP BY ALL
        ), places AS (
            SELECT *, failed AND 1 = row_number() OVER (
                PARTITION BY pipeline_id, run_id ORDER BY place NULLS LAST, name, job
            ) AS is_first FROM verdicts
        )
        SELECT count(*), count(*) FILTER (failed), count(*) FILTER (is_first),
            count(*) FILTER (is_error), max(failed_at), arg_max(run_id, failed_at),
            arg_max(web_url, failed_at), pipeline_id, name, job
        FROM places GROUP BY ALL
        """,
    ),
    "flaky_steps": (
        ("commits", "retried_commits", "flaky_commits"),
        """
        WITH verdicts AS (
            SELECT pipeline_id, run_id, commit_hash, name, job, bool_or(result = 'failed') AS failed
            FROM {steps} WHERE status = 'finished' AND result IN ('passed', 'failed')
                AND commit_hash IS NOT NULL GROUP BY ALL
        ), tried AS (
            SELECT pipeline_id, commit_hash, name, job, count(*) AS tries,
                count(*) FILTER (failed) AS failed
            FROM verdicts GROUP BY ALL
        )
        SELECT count(*), count(*) FILTER (tries > 1),
            count(*) FILTER (failed > 0 AND failed < tries), pipeline_id, name, job
        FROM tried GROUP BY ALL
        """,
    ),
    "abort_frequencies": (
        ("finished", "aborted", "last_step_aborts"),
        """
        WITH ends AS (
            SELECT pipeline_id, run_id, arg_max(name, position) AS step FROM {steps}
            WHERE run_status = 'finished' AND run_result = 'aborted' AND started_at IS NOT NULL
            GROUP BY ALL
        ), often AS (
            SELECT pipeline_id, step, count(*) AS times FROM ends GROUP BY ALL
        ), most AS (
            SELECT pipeline_id, max(times) AS times, arg_max(step, times) AS step FROM often
            GROUP BY ALL
        ), runs AS (
            SELECT pipeline_id, count(*) AS finished,
                count(*) FILTER (result = 'aborted') AS aborted,
                count(*) FILTER (result = 'aborted' AND started_at IS NULL) AS never_started,
                median(duration_ms) FILTER (result = 'aborted') AS median_time
            FROM {runs} WHERE status = 'finished' GROUP BY ALL
        )
        SELECT finished, aborted, times, step, never_started, median_time, pipeline_id
        FROM runs LEFT JOIN most USING (pipeline_id)
        """,
    ),
}
"""Of each report the counts that must be the same, and a query that answers what it does."""
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


def measured(place: Path, what: str, query: str = "", *columns: str) -> tuple[float, int, str]:
    """Seconds, the greatest resident size in MiB, and a hash of the counts in these columns."""
    command = [sys.executable, "-c", CHILD, str(place), what, query, *columns]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took, size, counts = done.stdout.split()
    return float(took), int(size), counts


def compared(place: Path, what: str) -> None:
    """Prints how many times DuckDB's own time a report takes.

    Raises:
        SystemExit: they do not count the same.
    """
    columns, query = OWN[what]
    files = {name: f"read_parquet('{place}/{name}/*.parquet')" for name in ("runs", "steps")}
    asked = query.format(**files)
    rounds = [
        (measured(place, what, "", *columns), measured(place, what, asked, *columns))
        for _ in range(ROUNDS)
    ]
    if any(ours[2] != own[2] for ours, own in rounds):
        raise SystemExit(f"{what} does not count what DuckDB's own query counts")
    ratio = statistics.median(ours[0] / own[0] for ours, own in rounds)
    took = statistics.median(ours[0] for ours, _ in rounds)
    sizes = [max(one[1] for one in side) for side in zip(*rounds, strict=True)]
    sys.stdout.write(
        f"{what}: {took:.2f} s, {ratio:.2f} times DuckDB's own query, "
        f"{sizes[0]} MiB (its own {sizes[1]})\n"
    )
    sys.stdout.flush()


def main() -> None:
    with folder() as here:
        make(here)
        stored = sum(path.stat().st_size for path in here.rglob("*.parquet")) / 1e6
        sys.stdout.write(f"{STEPS / 1e6:g} million steps in {stored:.0f} MB\n")
        for what in OWN:
            compared(here, what)
        for what in ALONE:
            took, size, _ = measured(here, what)
            sys.stdout.write(f"{what}: {took:.2f} s, {size} MiB\n")


if __name__ == "__main__":
    main()

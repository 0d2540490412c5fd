"""Writing runs and steps as a sync does, next to raw `sqlite3.executemany` of the same rows.

python tests/benchmarks/upserts.py [runs]
"""

import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import folder, in_turn, show

from runsync.records import Pipeline, Result, Run, RunWithSteps, Status, Step
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore, RunToWrite
from runsync.storage.upserts import RowEncoder

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
STEPS, PAGE = 8, 20
PIPELINE = Pipeline("5751377e7e1bd5f17f050bc4", "build")
START = datetime(2024, 1, 1, tzinfo=UTC)


def fetched(number: int) -> RunToWrite:
    at = START + timedelta(minutes=number)
    run = Run(
        pipeline=PIPELINE,
        id=f"{number:024x}",
        created_at=at,
        started_at=at + timedelta(seconds=5),
        finished_at=at + timedelta(seconds=95),
        status=Status.FINISHED,
        result=Result.PASSED,
        branch="master",
        commit_hash="cd74a9994712960f19b4b563491f860f98fa7bb5",
        message="A message of some length, as people write them",
        author="tonnu",
        extra={"user": {"type": "wercker"}},
    )
    steps = tuple(
        Step(
            id=f"{number:016x}{n:08x}",
            position=n,
            name=f"step {n}",
            status=Status.FINISHED,
            result=Result.PASSED,
            created_at=at,
            started_at=at + timedelta(seconds=5 + n),
            finished_at=at + timedelta(seconds=6 + n),
            log_url=f"https://app.wercker.com/api/v3/runsteps/{number:016x}{n:08x}/log",
        )
        for n in range(STEPS)
    )
    return RunToWrite(RunWithSteps(run, steps, at + timedelta(days=1)), settled=True)


def pages() -> Iterator[list[RunToWrite]]:
    for first in range(0, RUNS, PAGE):
        yield [fetched(n) for n in range(first, min(first + PAGE, RUNS))]


def fresh(path: Path) -> Database:
    for file in path.parent.glob(f"{path.name}*"):
        if file.is_file():
            file.unlink()
    database = Database(f"sqlite:///{path}")
    schema.ready(database)
    return database


def main() -> None:
    with folder() as here:
        batches = list(pages())
        prepared = fresh(here / "rows.db")
        store = ListingStore(prepared, "wercker", "l")
        store.save(Batch(pipelines=[PIPELINE]))
        rows = RowEncoder(prepared.engine.dialect)
        made = [
            (
                [
                    rows.run((1, f.details.run.id), f.details, settled=True, with_steps=True)
                    for f in b
                ],
                [rows.step((1, f.details.run.id), s) for f in b for s in f.details.steps],
            )
            for b in batches
        ]
        raw = [tuple([tuple(row.values()) for row in part] for part in page) for page in made]
        inserts = [
            f"INSERT INTO {table} ({', '.join(part[0])}) VALUES ({', '.join('?' * len(part[0]))})"
            for table, part in zip(("runs", "steps"), made[0], strict=True)
        ]

        def by_runsync() -> float:
            database = fresh(here / "runsync.db")
            store = ListingStore(database, "wercker", "l")
            begin = time.perf_counter()
            for batch in batches:
                store.save(Batch(batch))
            seconds = time.perf_counter() - begin
            database.close()
            return seconds

        def by_hand() -> float:
            fresh(here / "raw.db").close()
            connection = sqlite3.connect(here / "raw.db", isolation_level=None)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "INSERT INTO pipelines (id, source, external_id, name) VALUES (1, 'w', 'p', 'p')"
            )
            begin = time.perf_counter()
            for values in raw:
                connection.execute("BEGIN IMMEDIATE")
                for sql, found in zip(inserts, values, strict=True):
                    connection.executemany(sql, found)
                connection.execute("COMMIT")
            seconds = time.perf_counter() - begin
            connection.close()
            return seconds

        times = in_turn({"raw executemany": by_hand, "runsync": by_runsync}, 9)
    show(f"{RUNS} runs x {STEPS} steps into SQLite", times, "raw executemany")


if __name__ == "__main__":
    main()

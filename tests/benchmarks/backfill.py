"""A first sync next to a bare loop of the same requests, and a second sync next to its imports.

    python tests/benchmarks/backfill.py [runs]

The bare loops ask for the same pages and steps with as many threads, parse the JSON, and keep
nothing. One asks with `requests.Session`, as most scripts do; one through runsync's own client.
"""

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from common import folder, in_turn, service, show

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Client
from runsync.sources.wercker.source import Wercker
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.sync.engine import Options, Task, sync

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000


def bare_loop(url: str, pipeline: str, threads: int, *, through_session: bool) -> None:
    client = Client(url, concurrency=threads)
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=threads))

    def ask(path: str, **params: str) -> list[dict[str, str]]:
        if through_session:
            return session.get(url + path, params=params, timeout=30).json()  # type: ignore[no-any-return]
        return client.get(path, params).data  # type: ignore[no-any-return]

    with ThreadPoolExecutor(threads) as pool:
        pending = []
        for skip in itertools.count(0, 19):
            where = {"skip": str(skip)} if skip else {}
            page = ask("/api/v3/runs", pipelineId=pipeline, limit="20", **where)
            fresh = page if not skip else page[1:]
            pending += [pool.submit(ask, f"/api/v3/runs/{run['id']}/steps") for run in fresh]
            if len(page) < 2:
                break
        for future in pending:
            future.result()
    client.close()
    session.close()


def first_sync(url: str, pipeline: str, threads: int, path: Path) -> None:
    path.unlink(missing_ok=True)
    database = Database(f"sqlite:///{path}")
    schema.ready(database)
    source = Wercker(SourceConfig("wercker", "wercker", url), concurrency=threads)
    listing = source.listing(PipelineConfig("wercker", id=pipeline))
    (outcome,) = sync(database, [Task(source, listing)], Options(concurrency=threads))
    assert outcome.outcome == "ok", outcome.error
    assert outcome.counts.runs_new == RUNS
    source.close()
    database.close()


def compare_backfill(latency: float, threads: int, rounds: int) -> None:
    with service(RUNS, latency=latency) as (url, (pipeline,)), folder() as here:
        path = here / "bench.db"
        times = in_turn(
            {
                "bare loop, runsync's client": lambda: bare_loop(
                    url, pipeline, threads, through_session=False
                ),
                "bare loop, requests.Session": lambda: bare_loop(
                    url, pipeline, threads, through_session=True
                ),
                "runsync": lambda: first_sync(url, pipeline, threads, path),
            },
            rounds,
        )
    title = f"{RUNS} runs x 8 steps, {threads} threads, {latency * 1000:.0f} ms latency"
    show(title, times, "runsync")


def compare_second_sync() -> None:
    imports = "import typer, requests, sqlalchemy.orm, filelock, tomllib"
    with service(RUNS) as (url, (pipeline,)), folder() as here:
        first_sync(url, pipeline, 8, here / "bench.db")
        (here / "runsync.toml").write_text(
            f'database_url = "sqlite:///bench.db"\n[sources.wercker]\nbase_url = "{url}"\n'
            f'[[pipelines]]\nsource = "wercker"\nid = "{pipeline}"\n'
        )
        command = [sys.executable, "-m", "runsync", "sync", "--config", str(here / "runsync.toml")]
        times = in_turn(
            {
                "python -c pass": lambda: subprocess.run(
                    [sys.executable, "-c", "pass"], check=True
                ),
                "its imports alone": lambda: subprocess.run(
                    [sys.executable, "-c", imports], check=True
                ),
                "a sync with nothing new": lambda: subprocess.run(
                    command, check=True, capture_output=True
                ),
                "runsync --help": lambda: subprocess.run(
                    [sys.executable, "-m", "runsync", "--help"], check=True, capture_output=True
                ),
            },
            5,
        )
    show("a second sync, as a process", times, "its imports alone")


if __name__ == "__main__":
    compare_backfill(0.0, 8, 5)
    compare_backfill(0.1, 16, 1)
    compare_second_sync()

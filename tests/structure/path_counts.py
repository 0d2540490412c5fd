"""How many files and functions of the package one task passes through.

    python tests/structure/path_counts.py [-v]

The tasks are: a sync of one run, called as a library; one ``pass_rates``; the same sync as
``runsync sync``. The simulator is not counted, nor are module bodies and comprehensions.
"""

import contextlib
import gc
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import runsync
from runsync import reports
from runsync.cli import run
from runsync.config import PipelineConfig, SourceConfig
from runsync.simulator import Scenario, Simulator, World
from runsync.sources import open_source
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.sync.engine import Options, Task, sync

PACKAGE = Path(runsync.__file__).parent
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)

Called = Counter[str]
"""How many functions of each file were called."""


def counted(act: Callable[[], object]) -> Called:
    """What of the package is called while ``act`` runs, in all threads."""
    seen: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and not code.co_name.startswith("<"):
            seen.add((code.co_filename, code.co_firstlineno))

    gc.collect()  # what else was left open would be closed, and counted, somewhere on the way
    gc.disable()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        gc.enable()
    files = [Path(name) for name, _ in list(seen)]
    ours = [file.relative_to(PACKAGE) for file in files if file.is_relative_to(PACKAGE)]
    return Counter(str(file) for file in ours if file.parts[0] != "simulator")


@contextlib.contextmanager
def one_run() -> Iterator[tuple[World, Simulator, str]]:
    """A service with one run of one pipeline, and the URL of a migrated, empty database."""
    world = Scenario(seed=1, runs=1, pipelines=1, now=NOW).build()
    with tempfile.TemporaryDirectory() as folder, Simulator(world) as service:
        url = f"sqlite:///{folder}/runsync.db"
        database = Database(url)
        schema.upgrade(database)
        database.close()
        yield world, service, url


def sync_path() -> Called:
    with one_run() as (world, service, url):
        return _synced(world, service, url)


def _synced(world: World, service: Simulator, url: str) -> Called:
    database = Database(url)
    source = open_source(SourceConfig("wercker", "wercker", service.url))
    task = Task(source, source.listing(PipelineConfig("wercker", id=world.pipelines[0].id)))
    called = counted(lambda: _assert_ok(sync(database, [task], Options())))
    source.close()
    database.close()
    return called


def report_path() -> Called:
    with one_run() as (world, service, url):
        _synced(world, service, url)
        reports.pass_rates(url)  # so that nothing is counted that only a first call loads
        return counted(lambda: reports.pass_rates(url))


def command_path() -> Called:
    with one_run() as (world, service, url):
        config = Path(url.removeprefix("sqlite:///")).with_name("runsync.toml")
        config.write_text(
            f'database_url = "{url}"\n[sources.wercker]\nbase_url = "{service.url}"\n'
            f'[[pipelines]]\nsource = "wercker"\nid = "{world.pipelines[0].id}"\n'
        )
        command = ["sync", "--quiet", "--config", str(config)]
        return counted(lambda: _assert_done(run(command)))


def _assert_ok(outcomes: list[Any]) -> None:
    assert [outcome.outcome for outcome in outcomes] == ["ok"], outcomes


def _assert_done(code: int) -> None:
    assert code == 0


PATHS = {
    "a sync of one run": sync_path,
    "one pass_rates": report_path,
    "`runsync sync` of one run": command_path,
}


def main() -> None:
    for name, path in PATHS.items():
        files = path()
        print(f"{name}: {len(files)} files, {files.total()} functions")
        if "-v" in sys.argv[1:]:
            for file, functions in sorted(files.items()):
                print(f"  {functions:4} {file}")


if __name__ == "__main__":
    main()

"""Where the parts of a long history are loaded: here, one after the other, or by workers.

A worker is told the database's URL and which runs a part holds; it opens a connection of its own
and gives back a part. What it does not give back, because it died or cannot be reached any more,
is loaded here.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from runsync import __version__
from runsync.errors import ConfigError, RunsyncError, UnavailableError
from runsync.reports.definitions import REPORTS
from runsync.reports.kept_reader import KeptReader
from runsync.reports.load import open_reader
from runsync.reports.query_spec import Query
from runsync.reports.report import Frames, Report

if TYPE_CHECKING:
    from runsync.reports.load import Reader

PartQueries: TypeAlias = Mapping[Report, Query]
"""What reports are to read of one part of a history."""
_WORTH_IT = 20
"""From how many parts on the time that processes take to start is little."""
_MOST_WORKERS = 4
_PATIENCE = "10s"


@dataclass(frozen=True, slots=True)
class Errand:
    """What a worker is sent for: a part of each of some reports, by names alone, from a history by
    its URL.

    Attributes:
        queries: for each report what it is to read.
    """

    url: str
    reports: tuple[str, ...]
    queries: tuple[Query, ...]
    version: str = __version__


def gathered(reader: "Reader", parts: Sequence[PartQueries]) -> Iterator[tuple[Frames, ...]]:
    """What the reports of each part load of it, part by part."""
    with _executor(reader, len(parts)) as executor:
        if executor is None or reader.backend.url is None:
            yield from (_loaded(reader, part) for part in parts)
            return
        errands = [
            Errand(reader.backend.url, tuple(report.name for report in part), tuple(part.values()))
            for part in parts
        ]
        futures = [executor.submit(run_errand, errand) for errand in errands]
        try:
            for part in parts:
                yield _result(futures.pop(0)) or _loaded(reader, part)
        finally:
            for future in futures:
                future.cancel()


def run_errand(errand: Errand) -> tuple[Frames, ...]:
    """Loads a part of each report, in whatever process it is called.

    Raises:
        ConfigError: this is another version of runsync.
        DatabaseError: the database cannot be read from here.
    """
    if errand.version != __version__:
        raise ConfigError(
            f"a worker has runsync {__version__} and this is runsync {errand.version}; "
            "install the same version on both"
        )
    with open_reader(errand.url) as reader:
        reports = [REPORTS[name] for name in errand.reports]
        return _loaded(reader, dict(zip(reports, errand.queries, strict=True)))


def _loaded(reader: "Reader", part: PartQueries) -> tuple[Frames, ...]:
    """A part of each report; what several want of it is read once."""
    if len(part) > 1:
        reader = KeptReader(reader, of_one_part=True)
    return tuple(report.load(reader, query) for report, query in part.items())


@contextmanager
def scheduler(address: str) -> Iterator[Executor]:
    """The workers of a Dask cluster.

    Args:
        address: of its scheduler, such as ``tcp://host:8786``.

    Raises:
        ConfigError: Dask is not installed, or no scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "a scheduler needs Dask; install it with: pip install 'runsync[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no scheduler answers at {address}; start one with `dask scheduler`, "
            "or name another address"
        ) from error
    with client:
        yield client.get_executor()  # type: ignore[no-untyped-call]


@contextmanager
def _executor(reader: "Reader", parts: int) -> Iterator[Executor | None]:
    """Who loads the parts; None: this process alone."""
    crew = reader.crew
    if crew.executor is not None:
        yield crew.executor  # its owner closes it
        return
    workers = _suited(reader, parts) if crew.workers == "auto" else crew.workers
    if workers == 1:
        yield None
        return
    # A forked child would share this process's connections.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, parts), mp_context=spawn) as pool:
        yield pool


def _suited(reader: "Reader", parts: int) -> int:
    if reader.is_archive or parts < _WORTH_IT:  # of an archive one process keeps all cores busy
        return 1
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def _result(future: "Future[tuple[Frames, ...]]") -> tuple[Frames, ...] | None:
    """What a worker brought; None where it was lost on the way.

    Whatever else goes wrong there shows as well where the part is loaded once more, here.

    Raises:
        RunsyncError: what the worker says of the database or of its version.
    """
    try:
        return future.result()
    except UnavailableError:
        return None
    except RunsyncError:
        raise
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"a worker has no runsync {__version__} ({error}); install the same version there"
        ) from error
    except Exception:  # noqa: BLE001 - a broken pool, a killed worker, a lost connection …
        return None

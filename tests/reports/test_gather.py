"""Workers: the same figures as alone, whoever reads, and also where one of them dies."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runsync import reports
from runsync.archive.export import export
from runsync.errors import ConfigError, DatabaseError
from runsync.reports.definitions import REPORTS
from runsync.reports.gather import Errand, scheduler
from runsync.storage.database import Database
from tests.reports.database_rows import Row, at, fill, run, step


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runsync.reports.load.PART_RUNS", 7)
    monkeypatch.setattr("runsync.reports.load.RUNS_ALONE", 1)


def filled(database: Database) -> list[Row]:
    words = ["passed", "failed", "aborted", "passed", "passed"]
    runs = [
        run(f"r{n:02}", at(n / 2), words[n % 5], took=n % 7, commit_hash=f"c{n // 3}")
        for n in range(40)
    ]
    fill(database, runs, [step(r, k, f"s{k}", k + 1) for r in runs for k in range(3)])
    return runs


class Spoilt(ProcessPoolExecutor):
    """A pool of two processes in which something is done to every errand."""

    def __init__(self, spoil: Callable[["Spoilt", Errand], Errand]) -> None:
        super().__init__(2, mp_context=get_context("spawn"))
        self.spoil, self.sent = spoil, 0

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> "Future[Any]":
        self.sent += 1
        return super().submit(fn, *(self.spoil(self, one) for one in args), **named)

    def kill_one(self, errand: Errand) -> Errand:
        if self.sent == 3:
            super().submit(os._exit, 1)
        return errand


def same(database: Database, **crew: Any) -> None:
    for name in REPORTS:
        alone = getattr(reports, name)(database)
        pd.testing.assert_frame_equal(getattr(reports, name)(database, **crew), alone)


def test_two_processes_make_the_same_frames(database: Database) -> None:
    filled(database)
    with Spoilt(lambda _, errand: errand) as pool:
        same(database, executor=pool)
        assert pool.sent > 40
        window = {"since": at(10), "until": at(20)}
        alone = reports.compare(database, **window)  # type: ignore[arg-type]
        sent = pool.sent
        side_by_side = reports.compare(database, **window, executor=pool)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(side_by_side, alone)
        assert pool.sent > sent
        assert reports.html(database, executor=pool).startswith("<!DOCTYPE html>")


def test_workers_are_processes_of_ones_own(sqlite: Database) -> None:
    runs = filled(sqlite)
    found = reports.pass_rates(sqlite, by=(), workers=2)
    assert found["finished"].tolist() == [len(runs)]


def test_a_worker_that_dies_costs_time_not_figures(sqlite: Database) -> None:
    filled(sqlite)
    alone = reports.step_durations(sqlite)
    with Spoilt(Spoilt.kill_one) as pool:
        found = reports.step_durations(sqlite, executor=pool)
    pd.testing.assert_frame_equal(found, alone)


def test_a_worker_of_another_version_is_refused(sqlite: Database) -> None:
    filled(sqlite)
    with (
        Spoilt(lambda _, errand: replace(errand, version="0.0")) as pool,
        pytest.raises(ConfigError, match=r"this is runsync 0\.0; install the same version on both"),
    ):
        reports.pass_rates(sqlite, executor=pool)


def test_a_worker_that_cannot_see_the_database_says_so(sqlite: Database) -> None:
    filled(sqlite)
    with (
        Spoilt(lambda _, errand: replace(errand, url="sqlite:////nowhere/at.db")) as pool,
        pytest.raises(DatabaseError, match=r"there is no database /nowhere/at\.db"),
    ):
        reports.pass_rates(sqlite, executor=pool)


def test_a_database_in_memory_takes_no_workers() -> None:
    from runsync.storage import schema

    database = Database("sqlite://")
    schema.upgrade(database)
    assert reports.pass_rates(database).empty
    with pytest.raises(ConfigError, match="in this process's memory, where no worker can read it"):
        reports.pass_rates(database, workers=2)
    database.close()


@pytest.mark.parametrize("workers", [0, -1, "many", 1.5])
def test_a_number_of_workers_that_is_none_is_refused(sqlite: Database, workers: Any) -> None:
    with pytest.raises(ConfigError, match=r"is no number of processes; write one from 1 on"):
        reports.pass_rates(sqlite, workers=workers)


def test_a_scheduler_that_does_not_answer_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runsync.reports.gather._PATIENCE", "1s")
    for address in ("tcp://127.0.0.1:1", "nonsense"):
        with pytest.raises(ConfigError, match=f"no scheduler answers at {address}; "):
            scheduler(address).__enter__()


@pytest.fixture
def address() -> Iterator[str]:
    """The scheduler of a Dask cluster of two worker processes."""
    from distributed import LocalCluster

    cluster = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    yield cluster.scheduler_address
    cluster.close()


@pytest.mark.proof
def test_a_cluster_makes_the_same_frames(database: Database, address: str) -> None:
    filled(database)
    with scheduler(address) as executor:
        same(database, executor=executor)


@pytest.mark.parametrize("before", ["", "+"])
def test_two_processes_read_an_archive_with_or_without_its_database(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr("runsync.reports.load.PART_RUNS_OF_ARCHIVE", 7)
    filled(sqlite)
    export(sqlite, tmp_path / "archive")
    url = sqlite.engine.url.render_as_string(hide_password=False) + before if before else ""
    with Spoilt(lambda _, errand: errand) as pool:
        for name in ("step_durations", "flaky_steps", "step_failures", "abort_frequencies"):
            report = getattr(reports, name)
            sent = pool.sent
            found = report(f"{url}archive:{tmp_path / 'archive'}", executor=pool)
            assert pool.sent > sent + 2
            pd.testing.assert_frame_equal(found, report(sqlite), check_exact=True)

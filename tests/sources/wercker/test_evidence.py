"""What an answer of Wercker's proves, and what it leaves open."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import RefusedError, SourceError
from runsync.records import Pipeline
from runsync.simulator import Clock, Faults, Simulator, World
from runsync.simulator.http.wire import Request, Response
from runsync.sources import open_source
from runsync.sources.base import Source
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, RunRow, StepRow
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from tests.sources.contract import QUICK
from tests.sources.wercker.test_contract import NOW

DETAIL_KEYS = ("sourceRun", "commits", "pullRequest", "envVars")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(World(Clock(NOW))) as started:
        yield started


@pytest.fixture
def pipeline(simulator: Simulator) -> str:
    return simulator.world.add_pipeline("build").id


@contextmanager
def source_of(simulator: Simulator, *, details: bool = False) -> Iterator[Source]:
    source = open_source(
        SourceConfig("wercker", "wercker", simulator.url, details=details), limits=QUICK
    )
    yield source
    source.close()


def run_sync(
    database: Database,
    simulator: Simulator,
    pipeline: str,
    *,
    details: bool = False,
    full: bool = False,
) -> SyncOutcome:
    with source_of(simulator, details=details) as source:
        listing = source.listing(PipelineConfig("wercker", id=pipeline))
        (outcome,) = sync(database, [Task(source, listing)], Options(concurrency=4, full=full))
    return outcome


def add_runs(simulator: Simulator, pipeline: str, count: int, **given: Any) -> list[str]:
    world = simulator.world
    made = []
    for _ in range(count):
        world.clock.advance(60)
        made.append(world.add_run(pipeline, status="finished", result="passed", steps=3, **given))
    world.clock.advance(timedelta(days=2))
    return made


def steps_of(database: Database, run_id: str) -> int:
    with database.read() as connection:
        return len(connection.execute(select(StepRow.id).where(StepRow.run_id == run_id)).all())


def run_row(database: Database, run_id: str) -> dict[str, Any]:
    with database.read() as connection:
        row = connection.execute(select(RunRow.__table__).where(RunRow.id == run_id))
        return dict(row.mappings().one())


# Another run than the one that was asked for.


@pytest.mark.parametrize("details", [False, True])
def test_another_run_is_no_answer(
    simulator: Simulator,
    pipeline: str,
    sqlite: Database,
    monkeypatch: pytest.MonkeyPatch,
    details: bool,
) -> None:
    first, second = add_runs(simulator, pipeline, 2)
    with source_of(simulator, details=details) as source:
        listing = source.listing(PipelineConfig("wercker", id=pipeline))
        assert isinstance(source, Wercker)
        one = source._one
        monkeypatch.setattr(
            source,
            "_one",
            lambda *args, **kw: replace(one(*args, **kw), id=second),
        )
        with pytest.raises(SourceError, match=f"run {first} was asked for, and run {second} came"):
            source.reread(Pipeline(pipeline), first)
        (outcome,) = sync(sqlite, [Task(source, listing)])
    assert outcome.outcome == ("partial" if details else "ok")
    with sqlite.read() as connection:
        assert set(connection.execute(select(RunRow.id)).scalars()) == {first, second}


# Steps that are not found.


def test_a_passing_404_for_steps_settles_nothing(
    simulator: Simulator, pipeline: str, database: Database
) -> None:
    first, second = add_runs(simulator, pipeline, 2)
    simulator.faults = Faults.parse(f"404:steps:first=1:run={first}")
    outcome = run_sync(database, simulator, pipeline)
    assert outcome.outcome == "partial"
    assert outcome.problems == (f"run {first}: its steps are not found, though the run is there",)
    row = run_row(database, first)
    assert (row["settled"], row["steps_synced_at"], row["vanished_at"]) == (False, None, None)
    assert run_row(database, second)["settled"]
    assert run_sync(database, simulator, pipeline).outcome == "ok"
    assert run_row(database, first)["settled"]
    assert steps_of(database, first) == 3


def test_steps_that_many_runs_lack_stop_no_walk(
    simulator: Simulator, pipeline: str, sqlite: Database
) -> None:
    runs = add_runs(simulator, pipeline, 50)
    simulator.faults = Faults.parse("404:steps")
    outcome = run_sync(sqlite, simulator, pipeline)
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 50)
    simulator.faults = Faults()
    assert run_sync(sqlite, simulator, pipeline).outcome == "ok"
    assert {steps_of(sqlite, run) for run in runs} == {3}


def test_a_run_that_goes_while_it_is_listed_has_vanished(
    simulator: Simulator, pipeline: str, database: Database
) -> None:
    first, second = add_runs(simulator, pipeline, 2)
    simulator.faults = Faults.parse(f"404:steps:run={first},404:run:run={first}")
    outcome = run_sync(database, simulator, pipeline)
    assert outcome.outcome == "partial"  # until a second such answer
    assert first in str(outcome.problems)
    row = run_row(database, first)
    assert row["vanished_at"] == simulator.world.clock.now().replace(microsecond=0)
    assert not row["settled"]
    assert run_row(database, second)["vanished_at"] is None


def test_a_settled_run_that_is_not_found_once_is_asked_for_again(
    simulator: Simulator, pipeline: str, database: Database
) -> None:
    first, _ = add_runs(simulator, pipeline, 2)
    assert run_sync(database, simulator, pipeline, details=True).outcome == "ok"
    simulator.faults = Faults.parse(f"404:run:run={first}")
    outcome = run_sync(database, simulator, pipeline, details=True, full=True)
    assert outcome.outcome == "partial"
    simulator.faults = Faults()
    add_runs(simulator, pipeline, 40)  # so that the top of the listing no longer shows it
    assert run_sync(database, simulator, pipeline, details=True).outcome == "ok"
    row = run_row(database, first)
    assert (row["settled"], row["vanished_at"]) == (True, None)


# Empty answers.


@pytest.mark.parametrize("empty_answers", [1, 2, 3])
def test_empty_answers_within_a_list_end_nothing(
    simulator: Simulator, pipeline: str, sqlite: Database, empty_answers: int
) -> None:
    runs = add_runs(simulator, pipeline, 60)
    simulator.faults = Faults.parse(f"empty-page:runs:after=1:first={empty_answers}")
    outcome = run_sync(sqlite, simulator, pipeline)
    with sqlite.read() as connection:
        stored = set(connection.execute(select(RunRow.id)).scalars())
        claims = connection.execute(select(CoverageRow.reaches_start)).scalars().all()
    assert stored == set(runs) or (outcome.outcome == "failed" and not any(claims))
    simulator.faults = Faults()
    assert run_sync(sqlite, simulator, pipeline).outcome == "ok"
    with sqlite.read() as connection:
        assert set(connection.execute(select(RunRow.id)).scalars()) == set(runs)


# Rows of another pipeline.


class Misfiling(Simulator):
    """Shows a run in listings as one of another pipeline."""

    misfiled: str | None = None

    def _answer(self, request: Request) -> Response:
        answer = super()._answer(request)
        if request.path != "/api/v3/runs":
            return answer
        rows = json.loads(answer.body)
        for row in rows:
            row["pipeline"]["id"] = (
                "f" * 24 if row["id"] == self.misfiled else row["pipeline"]["id"]
            )
        return replace(answer, body=json.dumps(rows).encode())


def test_a_run_that_only_its_listing_calls_foreign_is_asked_for_again(sqlite: Database) -> None:
    with Misfiling(World(Clock(NOW))) as simulator:
        pipeline = simulator.world.add_pipeline("build").id
        runs = add_runs(simulator, pipeline, 50)
        simulator.misfiled = runs[10]
        for _ in range(2):
            outcome = run_sync(sqlite, simulator, pipeline)
            assert outcome.outcome == "partial"
            assert outcome.problems == (
                f"run {runs[10]} is of pipeline {'f' * 24}, not of {pipeline}",
            )
        simulator.misfiled = None
        assert run_sync(sqlite, simulator, pipeline).outcome == "ok"
        assert steps_of(sqlite, runs[10]) == 3


def test_a_run_that_is_foreign_by_itself_leaves_no_hole(
    simulator: Simulator, pipeline: str, sqlite: Database
) -> None:
    add_runs(simulator, simulator.world.add_pipeline("other").id, 1)
    add_runs(simulator, pipeline, 50)
    simulator.faults = Faults.parse("foreign:runs:after=1:first=1")
    assert run_sync(sqlite, simulator, pipeline).outcome == "partial"
    assert run_sync(sqlite, simulator, pipeline).outcome == "ok"
    simulator.reset_log()
    assert run_sync(sqlite, simulator, pipeline).requests == 1


# What only the detail tells.


def test_without_details_no_run_is_stored_with_them(
    simulator: Simulator, pipeline: str, database: Database
) -> None:
    """Whether a run was listed or, since it was unfinished, read by its id."""
    (origin,) = add_runs(simulator, pipeline, 1)
    (listed,) = add_runs(
        simulator, pipeline, 1, source_run_id=origin, env_vars=[("SECRET", "canary")]
    )
    read_by_id = simulator.world.add_run(
        pipeline, status="running", source_run_id=origin, env_vars=[("SECRET", "canary")]
    )
    run_sync(database, simulator, pipeline)
    simulator.world.finish(read_by_id)
    simulator.world.clock.advance(timedelta(days=1))
    add_runs(simulator, pipeline, 25)
    run_sync(database, simulator, pipeline)
    for run_id in (listed, read_by_id):
        row = run_row(database, run_id)
        assert row["settled"]
        assert row["source_run_id"] is None
        assert not set(DETAIL_KEYS) & set(row["extra"] or {})


def test_with_details_every_run_has_them(
    simulator: Simulator, pipeline: str, database: Database
) -> None:
    (origin,) = add_runs(simulator, pipeline, 1)
    run_sync(database, simulator, pipeline)
    runs = add_runs(simulator, pipeline, 30, source_run_id=origin, env_vars=[("SECRET", "canary")])
    outcome = run_sync(database, simulator, pipeline, details=True)
    assert outcome.requests <= 2 * 30 + 30 // 19 + 2
    for run_id in runs:
        row = run_row(database, run_id)
        assert row["source_run_id"] == origin
        assert row["extra"]["envVars"] == ["SECRET"]
        assert "canary" not in str(row)
    # A quiet sync costs no more than without.
    assert run_sync(database, simulator, pipeline, details=True).requests == 1


def test_details_that_are_wanted_later_come_with_a_full_sync(
    simulator: Simulator, pipeline: str, sqlite: Database
) -> None:
    (origin,) = add_runs(simulator, pipeline, 1)
    runs = add_runs(simulator, pipeline, 25, source_run_id=origin)
    run_sync(sqlite, simulator, pipeline)
    assert run_sync(sqlite, simulator, pipeline, details=True, full=True).outcome == "ok"
    assert {run_row(sqlite, run)["source_run_id"] for run in runs} == {origin}


def test_a_person_sees_all_of_a_run(simulator: Simulator, pipeline: str) -> None:
    (origin,) = add_runs(simulator, pipeline, 1)
    (run,) = add_runs(simulator, pipeline, 1, source_run_id=origin, env_vars=[("NAME", "value")])
    with source_of(simulator) as source:
        found = source.find_run(Pipeline(pipeline), run).run
    assert (found.source_run_id, found.env) == (origin, (("NAME", "value"),))


# What is asked for.


@pytest.mark.parametrize("text", ["../../etc", "..", "", "5751377E7E1BD5F17F050BC4", "12"])
def test_what_is_no_id_is_refused_unasked(simulator: Simulator, text: str) -> None:
    simulator.reset_log()
    with source_of(simulator) as source:
        for ask in (source.find_run, source.abort):
            with pytest.raises(RefusedError, match="no id of a Wercker run"):
                ask(Pipeline(""), text)
    assert simulator.request_count == 0


def test_the_clock_of_the_service_is_its_own(simulator: Simulator) -> None:
    """It is years behind this machine's."""
    with source_of(simulator) as source:
        assert source.access().clock == simulator.world.clock.now().replace(microsecond=0)

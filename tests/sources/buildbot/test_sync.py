"""The real master is synced into a database, and the rows are held against its own tables."""

from typing import Any

import pytest
from sqlalchemy import select

from runsync.errors import HistoryRestartedError
from runsync.sources.buildbot.source import Buildbot
from runsync.storage.database import Database
from runsync.storage.models import PipelineRow
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from runsync.sync.verify import verify
from tests.sources.buildbot.farm import AWKWARD, RETRY, Farm, listing
from tests.sources.buildbot.truth import stored, truth


def run(database: Database, source: Buildbot, *builders: str, **options: Any) -> list[SyncOutcome]:
    tasks = [Task(source, listing(source, builder)) for builder in builders]
    return sync(database, tasks, Options(concurrency=4, **options))


def test_real_builds_are_stored_exactly_and_twice_the_same(
    farm: Farm, source: Buildbot, sqlite: Database
) -> None:
    requests = [farm.force(AWKWARD, outcome=o, branch="main") for o in ("success", "failure")]
    for request in requests:
        farm.wait(request)
    builders = (AWKWARD, "slow", "merging", "lossy")
    outcomes = run(sqlite, source, *builders)
    assert [outcome.outcome for outcome in outcomes] == ["ok"] * 4
    once = {builder: stored(sqlite, builder) for builder in builders}
    assert once == {builder: truth(farm, builder) for builder in builders}
    again = run(sqlite, source, *builders)
    assert [(o.counts.runs_new, o.counts.runs_updated) for o in again] == [(0, 0)] * 4
    assert {builder: stored(sqlite, builder) for builder in builders} == once


def test_a_run_is_followed_from_the_queue_through_a_lost_worker_to_its_end(
    farm: Farm, source: Buildbot, sqlite: Database
) -> None:
    farm.lose_worker()
    request = farm.force("lossy", reason="followed", branch="main")
    states = []

    def look() -> None:
        (outcome,) = run(sqlite, source, "lossy")
        assert outcome.outcome == "ok"
        rows = stored(sqlite, "lossy")
        assert rows == truth(farm, "lossy")
        mine = {k: row["status"] for k, row in rows.items() if k.partition(".")[0] == str(request)}
        states.append(mine)

    look()
    farm.start_worker()
    farm.wait_for_step(request)
    look()
    farm.lose_build(request, "followed")
    look()
    farm.start_worker()
    farm.wait(request)
    look()
    one, two = f"{request}", f"{request}.2"
    assert states == [
        {one: "notstarted"},
        {one: "running"},
        {one: "finished", two: "notstarted"},
        {one: "finished", two: "finished"},
    ]
    (verdict,) = verify(sqlite, [Task(source, listing(source, "lossy"))])
    assert verdict.well


def test_requests_are_few(
    farm: Farm, source: Buildbot, sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "runsync.http")
    name = farm.fresh_builder()
    farm.history(name, *[(0,)] * 99, (RETRY, 0), ())
    (outcome,) = run(sqlite, source, name)
    # A master on a busy machine may not answer in time, and is asked again.
    again = sum(": try " in record.getMessage() for record in caplog.records)
    # The builders; three pages, of which the last is empty; the builds of two; the properties of
    # what was never built; and for each run its steps, or what it was to build.
    assert (outcome.counts.runs_new, outcome.requests - again) == (102, 1 + 3 + 2 + 2 + 102)
    assert stored(sqlite, name) == truth(farm, name)
    (outcome,) = run(sqlite, source, name)
    assert outcome.requests == 1
    farm.history(name, (0,))
    (outcome,) = run(sqlite, source, name)
    assert (outcome.counts.runs_new, outcome.requests) == (1, 4)


def test_two_ways_to_name_a_builder_give_one_pipeline(
    farm: Farm, source: Buildbot, sqlite: Database
) -> None:
    name = farm.fresh_builder()
    farm.history(name, (0,), (2,))
    run(sqlite, source, name)
    (outcome,) = run(sqlite, source, str(farm.builder(name)))
    assert (outcome.counts.runs_new, outcome.counts.runs_updated) == (0, 0)
    assert stored(sqlite, name) == truth(farm, name)
    with sqlite.read() as connection:
        assert connection.execute(select(PipelineRow.external_id)).all() == [(name,)]


def test_since_leaves_out_what_is_older(farm: Farm, source: Buildbot, sqlite: Database) -> None:
    name = farm.fresh_builder()
    farm.history(name, *[(0,)] * 6)
    every = truth(farm, name)
    times = sorted(row["created_at"] for row in every.values())
    for since in (times[4], times[2]):
        run(sqlite, source, name, since=since)
        due = {k: row for k, row in every.items() if row["created_at"] >= since}
        assert stored(sqlite, name) == due
    run(sqlite, source, name)
    assert stored(sqlite, name) == every


def test_numbers_that_begin_again_are_refused(
    farm: Farm, source: Buildbot, sqlite: Database
) -> None:
    """A master with a new database: nothing that is stored is overwritten."""
    name = farm.fresh_builder()
    farm.history(name, (0,), (2,))
    run(sqlite, source, name)
    before = stored(sqlite, name)
    farm.execute(
        "UPDATE buildrequests SET submitted_at = submitted_at + 86400 WHERE builderid = ?",
        farm.builder(name),
    )
    # Its requests are shown again where another has come.
    (new,) = farm.history(name, (0,))
    (outcome,) = run(sqlite, source, name)
    assert isinstance(outcome.cause, HistoryRestartedError)
    after = stored(sqlite, name)
    after.pop(str(new), None)
    assert after == before

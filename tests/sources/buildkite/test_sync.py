"""Buildkite's builds in a database: exact rows, changes in place, few requests, any history."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from runsync.errors import HistoryRestartedError
from runsync.http.client import Limits, Response
from runsync.sources.buildkite.source import Buildkite
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, PipelineRow, RunRow
from runsync.sync.engine import Task
from runsync.sync.verify import verify
from tests.effort import effort
from tests.sources.buildkite.rig import NOW, ORGANIZATION, PIPELINE, opened, run
from tests.sources.buildkite.simulator import Asked, BuildkiteSimulator
from tests.sources.buildkite.truth import stored, truth
from tests.sources.buildkite.world import Build, World


class KilledError(BaseException):
    """Nothing catches it."""


@pytest.fixture(params=[True, False], ids=["blocks-end", "blocks-do-not-end"])
def blocking(world: World, request: pytest.FixtureRequest) -> World:
    """A world in which a build that blocks has an end, or has none."""
    world.stamps_blocks = request.param
    return world


def assert_equal(database: Database, world: World, simulator: BuildkiteSimulator) -> None:
    """The rows of all builds that are there; those that are gone may stay."""
    due, rows = truth(world), stored(database)
    web = simulator.url
    for build in world.builds:
        row = due[str(build.number)]
        row["web_url"] = f"{web}/{world.org}/{build.pipeline}/builds/{build.number}"
    assert {run_id: rows.get(run_id) for run_id in due} == due


def test_every_row_is_exact(
    blocking: World, source: Buildkite, simulator: BuildkiteSimulator, database: Database
) -> None:
    world = blocking
    world.history(30)
    world.create("unit", state="skipped", source="schedule", creator=None)
    world.create("unit", state="not_run", source="ui", commit="HEAD")
    world.create("unit", "!Deploy?", "deploy>", source="trigger_job")
    world.start(world.builds[-1])
    world.end(world.builds[-1])
    request = {"id": "7", "base": "main"}
    for word in ("timed_out", "expired", "agent_stop", "lost", "broken", "canceled"):
        build = world.create("unit", "lint", pull_request=request, rebuilt_from=1)
        world.start(build)
        world.end(build, unit=word)
    world.start(world.create("unit", source="api"))
    world.create("unit")
    world.pass_time(minutes=20)
    outcome = run(database, source)
    assert (outcome.outcome, outcome.counts.runs_new) == ("ok", 41)
    assert_equal(database, world, simulator)
    assert len(world.builds) == 41


def test_a_run_takes_no_request_and_a_hundred_one(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    world.history(250)
    world.pass_time(minutes=20)
    outcome = run(sqlite, source)
    # Three pages, and one that shows that there is no more.
    assert outcome.requests == len(simulator.asked) == 4
    assert_equal(sqlite, world, simulator)


def test_nothing_new_takes_three_requests_whatever_waits_for_people(
    blocking: World, source: Buildkite, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    world = blocking
    for _ in range(7):
        build = world.create("unit", "!Deploy?", "deploy")
        world.start(build)
        world.end(build)
    world.history(120)
    world.pass_time(minutes=30)
    run(sqlite, source)
    run(sqlite, source)
    for _ in range(3):
        world.pass_time(minutes=5)
        simulator.asked.clear()
        outcome = run(sqlite, source)
        assert (outcome.requests, outcome.counts.runs_updated) == (3, 0)
    assert_equal(sqlite, world, simulator)


@pytest.mark.parametrize("days", [0, 3, 400])
def test_a_job_of_an_old_build_is_run_again(
    world: World,
    source: Buildkite,
    simulator: BuildkiteSimulator,
    database: Database,
    days: int,
) -> None:
    old = world.history(130)[1]
    world.pass_time(days=1)
    run(database, source)
    world.pass_time(days=days)
    world.retry(old, next(j for j in old.jobs if j.state == "failed" and not j.retried_in))
    assert run(database, source).counts.runs_updated >= 1
    assert stored(database)[str(old.number)]["status"] == "running"
    world.pass_time(minutes=4)
    while old.state == "running":
        world.end(old)
    world.pass_time(days=days)
    run(database, source)
    world.pass_time(minutes=11)
    run(database, source)
    assert_equal(database, world, simulator)
    assert len(stored(database)[str(old.number)]["steps"]) > 3


def test_a_blocked_build_goes_on_years_later_and_ends_between_two_syncs(
    blocking: World, source: Buildkite, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    world = blocking
    build = world.create("unit", "!Deploy?", "deploy")
    world.start(build)
    world.end(build)
    world.history(150)
    world.pass_time(minutes=20)
    run(sqlite, source)
    row = stored(sqlite)[str(build.number)]
    assert (row["status"], row["raw_status"], row["outcome"]) == ("running", "blocked", None)
    world.pass_time(days=800)
    run(sqlite, source)
    world.unblock(build)
    world.pass_time(minutes=3)
    world.end(build)
    world.pass_time(minutes=11)
    run(sqlite, source)
    assert_equal(sqlite, world, simulator)
    assert stored(sqlite)[str(build.number)]["status"] == "finished"


def test_a_blocked_build_is_canceled(
    blocking: World, source: Buildkite, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    world = blocking
    build = world.create("unit", "!Deploy?", "deploy")
    world.start(build)
    world.end(build)
    world.pass_time(minutes=20)
    run(sqlite, source)
    world.cancel(build)
    world.pass_time(minutes=20)
    run(sqlite, source)
    assert stored(sqlite)[str(build.number)]["result"] == "aborted"
    assert_equal(sqlite, world, simulator)


def test_a_change_that_one_answer_lacks_is_in_the_next(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    old = world.history(130)[1]
    world.pass_time(days=1)
    run(sqlite, source)
    world.retry(old, next(j for j in old.jobs if j.state == "failed" and not j.retried_in))
    world.pass_time(minutes=4)
    world.end(old)
    world.pass_time(days=1)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str) -> Any:
        found = honest(asked, body, token)
        return (200, [], {}) if "finished_from" in asked.query else found

    simulator.answer = answer  # type: ignore[method-assign]
    run(sqlite, source)
    simulator.answer = honest  # type: ignore[method-assign]
    run(sqlite, source)
    assert_equal(sqlite, world, simulator)


@pytest.mark.parametrize(("after", "again"), [(1, None), (2, None), (3, None), (3, 2)])
def test_what_changes_before_a_first_sync_is_whole_is_brought(
    world: World,
    simulator: BuildkiteSimulator,
    sqlite: Database,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    again: int | None,
) -> None:
    monkeypatch.setattr(Buildkite, "page_size", 10)
    made = world.history(60)
    world.pass_time(hours=1)
    with opened(simulator) as first, pytest.raises(KilledError):
        run(sqlite, dying(first, after + 4))
    done = set(stored(sqlite))
    assert 0 < len(done) < 60
    changed = next(b for b in made if str(b.number) in done and b.state == "failed")
    world.retry(changed, next(j for j in changed.jobs if j.state == "failed" and not j.retried_in))
    world.pass_time(minutes=4)
    while changed.state == "running":
        world.end(changed)
    world.pass_time(days=90)
    if again:
        with opened(simulator) as second, pytest.raises(KilledError):
            run(sqlite, dying(second, again))
    with opened(simulator) as last:
        assert run(sqlite, last).outcome == "ok"
        assert_equal(sqlite, world, simulator)


def dying(source: Buildkite, after: int) -> Buildkite:
    """The same source, which is killed at its next request but so many."""
    left, ask = count(after, -1), source.client.get

    def ask_or_die(*args: Any, **kwargs: Any) -> Response:
        if next(left) <= 0:
            raise KilledError
        return ask(*args, **kwargs)

    source.client.get = ask_or_die  # type: ignore[method-assign]
    return source


def test_a_backfill_that_is_killed_goes_on_where_it_was(
    world: World, simulator: BuildkiteSimulator, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Buildkite, "page_size", 10)
    world.history(100, gap=3600)
    with opened(simulator) as first, pytest.raises(KilledError):
        run(sqlite, dying(first, 8))
    done = len(stored(sqlite))
    simulator.asked.clear()
    with opened(simulator) as second:
        assert run(sqlite, second).outcome == "ok"
    assert_equal(sqlite, world, simulator)
    # A page at the top, one of those that go on, those that have ended since, and the rest.
    assert len(simulator.asked) <= 3 + (100 - done) / 9 + 3


def test_an_organisation_is_one_listing_and_finds_new_pipelines(
    simulator: BuildkiteSimulator, world: World, source: Buildkite, sqlite: Database
) -> None:
    world.pipelines |= {"api": "trunk", "docs": "main"}
    for slug in ("web", "api", "web", "api"):
        world.history(3, pipeline=slug)
    world.pass_time(hours=1)
    assert run(sqlite, source, ORGANIZATION).requests == 2
    world.history(2, pipeline="docs")
    world.pass_time(hours=1)
    assert run(sqlite, source, ORGANIZATION).requests == 3
    with sqlite.read() as connection:
        found = connection.execute(
            select(PipelineRow.external_id, PipelineRow.name, PipelineRow.default_branch)
        ).all()
        keys = connection.execute(select(RunRow.pipeline_id, RunRow.id)).all()
    assert sorted(map(tuple, found)) == [
        ("acme-inc/api", "Api", "trunk"),
        ("acme-inc/docs", "Docs", "main"),
        ("acme-inc/web", "Web", "main"),
    ]
    assert len(keys) == 14


def test_a_listing_whose_jobs_are_too_many_for_an_answer_is_asked_for_in_less(
    world: World, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    world.history(40)
    world.pass_time(hours=1)
    with opened(simulator, Limits(body=60_000, tries=2, first_pause=0.01)) as source:
        assert run(sqlite, source).outcome == "ok"
        assert 1 <= source.page_size < 40
    assert_equal(sqlite, world, simulator)


def test_a_build_that_shows_up_late_is_brought(
    world: World,
    source: Buildkite,
    simulator: BuildkiteSimulator,
    sqlite: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Buildkite, "page_size", 3)
    world.history(5, gap=5)
    late_at = world.now + timedelta(seconds=500)
    # Neither under way nor ended: only the listing shows it.
    late = world.create("unit", state="skipped", visible_from=late_at)
    world.pass_time(seconds=1)
    world.history(7, gap=5)
    run(sqlite, source)
    assert str(late.number) not in stored(sqlite)
    world.pass_time(days=9)
    run(sqlite, source)
    assert_equal(sqlite, world, simulator)


def test_a_build_that_lists_pass_over_is_read_by_its_number(
    world: World,
    source: Buildkite,
    simulator: BuildkiteSimulator,
    sqlite: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Buildkite, "page_size", 3)
    simulator.numbers_lag = False
    for _ in range(3):
        world.history(4, gap=5)
        world.create("unit", state="skipped", visible_from=world.now + timedelta(days=30))
        world.pass_time(seconds=1)
    world.history(1, gap=5)
    run(sqlite, source)
    assert_equal(sqlite, world, simulator)


def test_a_deleted_build_stays_and_verify_says_so(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(minutes=11)
    run(sqlite, source)
    before = stored(sqlite)
    world.forget(made[2])
    run(sqlite, source)
    assert stored(sqlite) == before
    (verdict,) = verify(sqlite, [Task(source, source.listing(PIPELINE))])
    assert [(d.id, d.kind) for d in verdict.differences] == [(str(made[2].number), "extra")]


def test_history_that_is_not_wanted_is_not_asked_for(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, sqlite: Database
) -> None:
    world.history(250)
    since = world.now.replace(microsecond=0)
    new = world.history(4)
    run(sqlite, source, since=since)
    assert set(stored(sqlite)) == {str(b.number) for b in new}
    assert len(simulator.asked) == 1


def test_numbers_that_begin_again_are_refused(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    """A pipeline that was deleted and made again under its old name."""
    world.history(3)
    world.pass_time(minutes=20)
    run(sqlite, source)
    before = stored(sqlite)
    world.builds.clear()
    world._numbers.clear()
    world.pass_time(days=9)
    world.history(2)
    outcome = run(sqlite, source)
    assert isinstance(outcome.cause, HistoryRestartedError)
    assert stored(sqlite) == before


def test_a_limit_is_waited_for(
    world: World, simulator: BuildkiteSimulator, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Buildkite, "page_size", 10)
    world.history(40)
    world.pass_time(hours=1)
    simulator.quota = 3
    with opened(simulator) as source:
        assert run(sqlite, source).outcome == "ok"
    assert_equal(sqlite, world, simulator)
    # Once for each window of a second, and no more.
    assert len(simulator.asked) < 12


Happening = tuple[float, str, int]
SPANS = [0, 0.4, 2, 700, 86_400, 40 * 86_400]
KINDS = "create create start end fail retry block unblock cancel delete sync".split()
Steps = st.tuples(st.sampled_from(SPANS), st.sampled_from(KINDS), st.integers(0, 30))


@effort(20)
@given(
    steps=st.lists(Steps, max_size=30),
    during=st.lists(Steps, max_size=6),
    size=st.integers(2, 4),
    stamps=st.booleans(),
    quota=st.sampled_from([None, None, 40]),
)
def test_any_history_is_exact_after_one_quiet_sync(
    sqlite: Database,
    steps: list[Happening],
    during: list[Happening],
    size: int,
    stamps: bool,
    quota: int | None,
) -> None:
    """Arrivals, retries, people, deletions, limits, and outages of weeks."""
    with sqlite.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))
    world, left = World(NOW), list(during)
    world.stamps_blocks = stamps
    for _ in range(4):
        happen(world, (3, "create", 0))
    for simulator, source in served(world):
        source.page_size = size
        simulator.quota = quota

        def happen_next(_: object) -> None:
            if left:
                happen(world, left.pop(0))

        simulator.before = happen_next
        for step in steps:
            if step[1] == "sync":
                run(sqlite, source)
            else:
                happen(world, step)
        run(sqlite, source)
        simulator.before = lambda asked: None
        world.pass_time(minutes=11)
        assert run(sqlite, source).cause is None
        due = [build for build in world.builds if build.state != "running"]
        assert_over_is_equal(sqlite, world, simulator, due)
        world.pass_time(minutes=11)
        outcome = run(sqlite, source)  # what was deleted is not found a second time
        assert (outcome.outcome, outcome.problems) == ("ok", ())
        assert_over_is_equal(sqlite, world, simulator, due)
    with sqlite.read() as connection:
        assert connection.execute(select(CoverageRow.reaches_start)).scalars().all() in ([], [True])
        settled = dict(connection.execute(select(RunRow.id, RunRow.settled)).all())
    rows = stored(sqlite)
    over = [run_id for run_id, row in rows.items() if row["status"] == "finished"]
    assert all(settled[run_id] for run_id in over if run_id in truth(world))


def served(world: World) -> Iterator[tuple[BuildkiteSimulator, Buildkite]]:
    with BuildkiteSimulator(world).serving() as simulator, opened(simulator) as source:
        yield simulator, source


def assert_over_is_equal(
    database: Database, world: World, simulator: BuildkiteSimulator, due: list[Build]
) -> None:
    """All rows; of a build that is under way again the steps that wait again are still as they were
    before, since a step that has finished stays so until the run has settled."""
    under_way = {str(b.number) for b in world.builds if b not in due}
    rows, wanted = stored(database), truth(world)
    for run_id, row in wanted.items():
        row["web_url"] = f"{simulator.url}/{world.org}/web/builds/{run_id}"
        assert run_id in rows
        if run_id in under_way:
            assert rows[run_id] | {"steps": []} == row | {"steps": []}
            assert [s["id"] for s in rows[run_id]["steps"]] == [s["id"] for s in row["steps"]]
        else:
            assert rows[run_id] == row


def happen(world: World, step: Happening) -> None:
    span, kind, which = step
    world.now += timedelta(seconds=span, microseconds=which)
    if kind in ("create", "sync") or not world.builds:
        world.create("unit", "lint", "-", "deploy")
    elif kind == "block":
        world.create("unit", "!Deploy?", "deploy>")
    else:
        change(world, kind, world.builds[which % len(world.builds)])


def change(world: World, kind: str, build: Build) -> None:
    over = {"passed", "failed", "canceled"}
    failed = [j for j in build.jobs if j.state == "failed" and not j.retried_in]
    if kind == "delete":
        world.forget(build)
    elif kind == "start" and build.state == "scheduled":
        world.start(build)
    elif kind in ("end", "fail") and build.state == "running":
        world.end(build, unit="failed" if kind == "fail" else "passed")
    elif kind == "retry" and build.state == "failed" and failed:
        world.retry(build, failed[0])
    elif kind == "unblock" and build.blocked:
        world.unblock(build)
    elif kind == "cancel" and (build.blocked or build.state not in over):
        world.cancel(build)

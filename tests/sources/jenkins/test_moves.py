"""Jobs that come into a folder or leave it, also while a sync of the folder is under way.

What is covered of a folder's history says something of some jobs alone, and which those are has to
be known after every end that a sync may have.
"""

import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from runsync.sources.jenkins import source as jenkins
from runsync.sources.jenkins import walk
from runsync.sources.jenkins.source import Jenkins
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow
from runsync.storage.store import ListingStore
from tests.sources.jenkins.rig import FOLDER, JOB, NOW, opened, run
from tests.sources.jenkins.simulator import Asked, JenkinsSimulator
from tests.sources.jenkins.test_sync import happen
from tests.sources.jenkins.truth import stored, truth, without_pages
from tests.sources.jenkins.world import FREESTYLE, Item, World

OTHER = "team/other"


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "PAGE_SIZE", 4)
    monkeypatch.setattr(jenkins, "FIRST_BUILDS", 2)


@pytest.fixture
def other(world: World, job: Item) -> Item:
    """A job beside the other one, whose builds all stand below the other's."""
    other = world.add(OTHER, FREESTYLE)
    world.history(other, 12)
    world.history(job, 12)
    return other


def assert_whole(database: Database, world: World) -> None:
    """All that the folder has is stored as it is, and status shows no gap."""
    rows = without_pages(stored(database))
    due = truth(world, FOLDER)
    assert {key: rows.get(key) for key in due} == due
    with database.read() as connection:
        assert connection.execute(select(CoverageRow.reaches_start)).scalars().all() == [True]


def back(world: World, item: Item) -> None:
    folder = world.find(FOLDER)
    assert folder
    folder.children[item.name] = item


def once(pattern: str, act: Callable[[], Any]) -> Callable[[Asked], None]:
    """Acts before the first request for a path like this is answered."""
    waiting = [act]

    def before(asked: Asked) -> None:
        if waiting and re.search(pattern, asked.path):
            waiting.pop()()

    return before


def kill_at_save(patch: pytest.MonkeyPatch, number: int) -> None:
    """Has the sync killed instead of writing its batch of that number."""
    save, left = ListingStore.save, [number]

    def save_or_die(store: ListingStore, batch: Any) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise KilledError
        return save(store, batch)

    patch.setattr(ListingStore, "save", save_or_die)


def sync_killed(database: Database, source: Jenkins) -> None:
    """A sync that is killed after the walk."""

    def die(*_: object, **__: object) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ListingStore, "unsettled", die)
        with pytest.raises(KilledError):
            run(database, source, folder=FOLDER)


@pytest.mark.parametrize("name", [JOB, OTHER])
@pytest.mark.parametrize("is_back", [False, True])
def test_a_job_that_leaves_while_all_is_read(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    other: Item,
    database: Database,
    name: str,
    is_back: bool,
) -> None:
    left: list[Item] = []
    end = name.rpartition("/")[2]
    simulator.before = once(f"/{end}/api/json", lambda: left.append(world.remove(name)))
    outcome = run(database, source, folder=FOLDER)
    assert outcome.outcome == "partial"
    assert any(end in problem for problem in outcome.problems)
    world.pass_time(hours=1)
    if is_back:
        back(world, left.pop())
    run(database, source, folder=FOLDER)
    assert_whole(database, world)
    for item in left:
        back(world, item)
    world.pass_time(hours=1)
    assert run(database, source, folder=FOLDER).outcome == "ok"
    assert_whole(database, world)
    assert run(database, source, folder=FOLDER).requests == 1


def test_what_lies_below_a_job_that_left_is_stored_at_once(
    world: World, source: Jenkins, simulator: JenkinsSimulator, other: Item, sqlite: Database
) -> None:
    simulator.before = once("/app/api/json", lambda: world.remove(JOB))
    run(sqlite, source, folder=FOLDER)
    assert sum(name == OTHER for name, _ in stored(sqlite)) == 12
    with sqlite.read() as connection:
        assert connection.execute(select(CoverageRow.reaches_start)).scalars().all() == [False]


def test_a_job_that_comes_after_a_sync_was_killed(
    world: World, source: Jenkins, job: Item, other: Item, sqlite: Database
) -> None:
    hidden = world.remove(OTHER)
    sync_killed(sqlite, source)
    back(world, hidden)
    world.pass_time(hours=1)
    run(sqlite, source, folder=FOLDER)
    assert_whole(sqlite, world)


def test_a_job_that_was_away_during_a_sync_that_was_killed(
    world: World, source: Jenkins, job: Item, other: Item, sqlite: Database
) -> None:
    run(sqlite, source, folder=FOLDER)
    hidden = world.remove(OTHER)
    world.history(hidden, 6)
    world.history(job, 9)
    world.pass_time(hours=1)
    sync_killed(sqlite, source)
    back(world, hidden)
    run(sqlite, source, folder=FOLDER)
    assert_whole(sqlite, world)


def test_a_job_that_comes_back_in_a_sync_of_the_newest_history_is_read_whole(
    world: World, source: Jenkins, job: Item, other: Item, sqlite: Database
) -> None:
    """What is covered without `since` would else speak of builds that nobody has read."""
    hidden = world.remove(OTHER)
    run(sqlite, source, folder=FOLDER)
    back(world, hidden)
    newest = max(row["created_at"] for row in truth(world, FOLDER).values())
    run(sqlite, source, folder=FOLDER, since=newest)
    world.pass_time(hours=1)
    run(sqlite, source, folder=FOLDER)
    assert_whole(sqlite, world)


def test_a_job_that_comes_while_there_is_a_gap(
    world: World, source: Jenkins, job: Item, other: Item, sqlite: Database
) -> None:
    hidden = world.remove(OTHER)
    world.spoilt[JOB, 9] = lambda raw: raw | {"timestamp": None}
    assert run(sqlite, source, folder=FOLDER).outcome == "partial"
    world.spoilt.clear()
    back(world, hidden)
    run(sqlite, source, folder=FOLDER)
    world.pass_time(hours=1)
    run(sqlite, source, folder=FOLDER)
    assert_whole(sqlite, world)


def test_a_row_that_could_not_be_read_is_looked_for_down_to_the_next_build_of_its_job(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    busy = world.add("team/busy", FREESTYLE)
    world.history(job, 2)
    world.history(busy, 20)
    bad = world.start(job, "Build")
    world.end(bad)
    world.history(busy, 20)
    world.history(job, 1)
    world.pass_time(hours=1)
    world.spoilt[JOB, bad.number] = lambda raw: raw | {"timestamp": None}
    assert run(sqlite, source, folder=FOLDER).outcome == "partial"
    assert len(stored(sqlite)) == 43
    world.spoilt.clear()
    assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    assert_whole(sqlite, world)


def test_a_job_that_comes_and_cannot_be_read_keeps_no_other_from_being_so(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 12)
    run(sqlite, source, folder=FOLDER)
    world.history(world.add(OTHER, FREESTYLE), 12)
    world.history(job, 6)
    world.pass_time(hours=1)
    simulator.override = lambda asked: (200, []) if "/other/api" in asked.path else None
    for _ in range(2):
        outcome = run(sqlite, source, folder=FOLDER)
        assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
        assert sum(name == JOB for name, _ in stored(sqlite)) == 18
    simulator.override = lambda asked: None
    assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    assert_whole(sqlite, world)


@pytest.mark.parametrize("folder", [None, FOLDER])
def test_a_backfill_that_is_killed_where_a_clock_was_ahead(
    world: World, source: Jenkins, job: Item, sqlite: Database, folder: str | None
) -> None:
    world.history(job, 20)
    ahead = world.start(job, "Build")
    ahead.timestamp += 90 * 86_400_000
    world.end(ahead)
    ahead.duration = 1000
    with pytest.MonkeyPatch.context() as patch:
        kill_at_save(patch, 4)
        with pytest.raises(KilledError):
            run(sqlite, source, folder=folder)
    world.pass_time(hours=1)
    assert run(sqlite, source, folder=folder).outcome == "ok"
    assert_whole(sqlite, world)


@pytest.mark.parametrize("new", range(1, 9))
def test_a_build_that_is_told_later_than_one_that_began_after_it(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    new: int,
) -> None:
    deep = world.add("team/a/b/c/d/deep", FREESTYLE)
    world.history(deep, 2)
    world.history(job, 2)

    def begin_both() -> None:
        # The answer that tells of the one is given already, that of the other is to come.
        world.end(world.start(job, "Build"))
        world.pass_time(seconds=5)
        world.end(world.start(deep))

    simulator.before = once("/job/d?/api/json|/job/c/api/json", begin_both)
    run(sqlite, source, folder=FOLDER)
    world.pass_time(hours=3)
    world.history(deep, new)
    run(sqlite, source, folder=FOLDER)
    assert_whole(sqlite, world)


def test_a_job_that_leaves_does_not_make_a_server_without_stages(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 1)
    missed = [(404, ""), (404, "")]
    simulator.override = lambda asked: (
        missed.pop() if missed and re.search("/wfapi/describe|/stages/tree", asked.path) else None
    )
    left: list[Item] = []
    simulator.before = once("/app/wfapi/describe", lambda: left.append(world.remove(JOB)))
    with opened(simulator) as source:
        run(sqlite, source, folder=FOLDER)
        back(world, left.pop())
        world.pass_time(hours=1)
        run(sqlite, source, folder=FOLDER)
    assert_whole(sqlite, world)


@pytest.mark.parametrize("ends", [False, True])
def test_a_job_that_is_away_for_two_syncs_is_as_it_is_once_it_is_back(
    world: World, source: Jenkins, job: Item, other: Item, database: Database, ends: bool
) -> None:
    build = world.start(job, "Build")
    run(database, source, folder=FOLDER)
    hidden = world.remove(JOB)
    for _ in range(2):
        world.pass_time(minutes=11)
        run(database, source, folder=FOLDER)
    back(world, hidden)
    if ends:
        world.end(build)
    run(database, source, folder=FOLDER)
    assert_whole(database, world)
    world.pass_time(minutes=11)
    if not ends:
        world.end(build)
        world.pass_time(minutes=11)
    run(database, source, folder=FOLDER)
    assert_whole(database, world)


@pytest.mark.parametrize("folder", [None, FOLDER])
@pytest.mark.parametrize("between", [False, True])
def test_the_newest_builds_go_above_a_row_that_could_not_be_read(
    world: World, source: Jenkins, job: Item, sqlite: Database, folder: str | None, between: bool
) -> None:
    world.history(job, 6)
    world.pass_time(hours=1)
    world.spoilt[JOB, 4] = lambda raw: raw | {"timestamp": None}
    assert run(sqlite, source, folder=folder).outcome == "partial"
    del job.builds[5], job.builds[6]
    if between:
        assert run(sqlite, source, folder=folder).outcome == "partial"
    world.spoilt.clear()
    run(sqlite, source, folder=folder)
    assert_whole(sqlite, world)


def test_a_job_that_is_away_now_and_then_gives_a_running_build_no_step_of_its_own(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    """It is there for each request for the build, and away for each that tells of the views."""
    world.start(job, "Build")
    simulator.override = lambda asked: (
        (404, "") if re.search("/wfapi/|/stages/|/multi-pipeline-graph/", asked.path) else None
    )
    with opened(simulator) as other:
        run(sqlite, other)
    assert [row["steps"] for row in stored(sqlite).values()] == [[]]


@pytest.mark.parametrize("seed", range(12))
def test_any_moves_leave_no_gap(sqlite: Database, seed: int) -> None:
    live(sqlite, seed)


@pytest.mark.proof
def test_many_moves_leave_no_gap(sqlite: Database) -> None:
    for seed in range(100, 400):
        live(sqlite, seed)


MOVES = "move back move back move back start end discard".split()
BETWEEN = "move back start end end".split()


def live(sqlite: Database, seed: int) -> None:
    """Syncs while jobs come and go and rows cannot be read, some killed; then a quiet one."""
    draw = random.Random(seed)
    with sqlite.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))
    world, spare = World(NOW), dict[str, Item]()
    jobs = [world.add("team/app")]
    jobs += [world.add(name, FREESTYLE) for name in ("team/sub/night", "team/third")]
    for _ in range(draw.randrange(1, 5)):
        for job in jobs:
            gap = draw.choice([1, 100, 3000])
            world.history(job, draw.randrange(0, 5), seed=draw.randrange(99), gap=gap)
    with (
        JenkinsSimulator(world).serving() as simulator,
        opened(simulator) as source,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(walk, "PAGE_SIZE", draw.randrange(2, 5))
        patch.setattr(jenkins, "FIRST_BUILDS", draw.randrange(1, 4))

        def happen_perhaps(_: object) -> None:
            if draw.random() < 0.3:
                step = draw.choice([0, 1, 999, 400_000]), draw.choice(MOVES), draw.randrange(31)
                happen(world, spare, step)

        for _ in range(draw.randrange(1, 4)):
            spoil(world, draw)
            simulator.before = happen_perhaps
            sync_perhaps(sqlite, source, draw)
            simulator.before = lambda asked: None
            world.spoilt.clear()
            for _ in range(draw.randrange(4)):
                span = draw.choice([0, 999, 400_000, 86_400_000])
                happen(world, spare, (span, draw.choice(BETWEEN), draw.randrange(31)))
        # What was not found twice is asked for once a day.
        world.pass_time(days=1, minutes=11)
        run(sqlite, source, folder=FOLDER)
    if truth(world, FOLDER):
        assert_whole(sqlite, world)


def spoil(world: World, draw: random.Random) -> None:
    """Makes a few builds unreadable."""
    known = [(name, n) for name, job in world.jobs() for n in job.builds]
    for key in draw.sample(known, min(len(known), draw.choice([0, 0, 1, 2]))):
        bad = draw.choice([{"timestamp": None}, {"number": "x"}])
        world.spoilt[key] = lambda raw, bad=bad: raw | bad  # type: ignore[misc]


def sync_perhaps(database: Database, source: Jenkins, draw: random.Random) -> None:
    """A sync of all or of some of the history, which may be killed."""
    since = NOW + timedelta(minutes=draw.choice([1, 10, 200])) if draw.random() < 0.2 else None
    with pytest.MonkeyPatch.context() as patch:
        kill_at_save(patch, draw.choice([10**6, draw.randrange(1, 12)]))
        try:
            run(database, source, folder=FOLDER, since=since)
        except KilledError:
            return

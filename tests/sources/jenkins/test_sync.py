"""A simulated Jenkins is synced into a database, and the rows are held against the truth."""

import json
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from runsync.config import PipelineConfig
from runsync.errors import HistoryRestartedError
from runsync.http.client import Response
from runsync.sources.jenkins import source as jenkins
from runsync.sources.jenkins import walk
from runsync.sources.jenkins.source import Jenkins
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, RunRow
from runsync.storage.stored_runs import StoredRunFilter, find_runs
from runsync.sync.engine import Task
from runsync.sync.verify import verify
from tests.effort import effort
from tests.sources.jenkins.rig import FOLDER, JOB, NOW, opened, run
from tests.sources.jenkins.simulator import Asked, JenkinsSimulator
from tests.sources.jenkins.truth import stored, truth, without_pages
from tests.sources.jenkins.world import (
    FREESTYLE,
    MULTIBRANCH,
    PIPELINE,
    Item,
    World,
)


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "PAGE_SIZE", 20)


def assert_exact(database: Database, world: World, within: str = JOB) -> None:
    assert without_pages(stored(database)) == truth(world, within)


def ids(database: Database, job: str) -> set[str]:
    return {run_id for name, run_id in stored(database) if name == job}


def requests_for(simulator: JenkinsSimulator, end: str) -> int:
    return sum(path.endswith(end) for path in simulator.paths())


def test_every_row_is_exact(world: World, source: Jenkins, database: Database) -> None:
    app = world.add("team/app")
    freestyle = world.add("team/nightly", FREESTYLE)
    for one in (app, freestyle):
        world.history(one, 12)
        for result in ("ABORTED", "NOT_BUILT", "UNSTABLE"):
            world.end(world.start(one, "Build"), result)
        world.start(one, "Build", queued=1500)
    world.start(app, "Approve").stages[0].status = "PAUSED_PENDING_INPUT"
    outcome = run(database, source, folder=FOLDER)
    assert (outcome.outcome, outcome.counts.runs_new) == ("ok", 33)
    assert_exact(database, world, FOLDER)


def test_a_first_sync_takes_a_request_a_run_and_one_for_each_page(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 50)
    world.pass_time(hours=1)
    outcome = run(sqlite, source)
    assert outcome.requests == len(simulator.asked) == 50 + 3
    assert_exact(sqlite, world)


def test_builds_without_stages_take_no_request_but_the_lists(
    world: World, source: Jenkins, simulator: JenkinsSimulator, sqlite: Database
) -> None:
    world.history(world.add(JOB, FREESTYLE), 50)
    assert run(sqlite, source).requests == len(simulator.asked) == 3
    assert_exact(sqlite, world)


@pytest.mark.parametrize("folder", [None, FOLDER])
def test_nothing_new_takes_one_request(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    folder: str | None,
) -> None:
    world.history(job, 24)
    for n in range(12):
        world.history(world.add(f"team/lib/x{n}"), n % 9)
    world.pass_time(hours=1)
    run(sqlite, source, folder=folder)
    for _ in range(3):
        world.pass_time(minutes=5)
        outcome = run(sqlite, source, folder=folder)
        assert (outcome.requests, outcome.counts.runs_updated) == (1, 0)
    assert_exact(sqlite, world, folder or JOB)


def test_a_running_build_is_read_again_until_it_has_settled(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    build = world.start(job, "Build", "Test")
    world.history(job, 30, gap=20)
    for sync_number in range(3):
        if sync_number == 1:
            world.end(build)
        world.pass_time(minutes=11)
        run(sqlite, source)
        assert_exact(sqlite, world)
    simulator.asked.clear()
    world.pass_time(minutes=11)
    assert run(sqlite, source).requests == 1


def test_what_runs_on_after_the_build_is_no_end(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    build = world.start(job, "Build")
    build.building, build.result, build.duration = False, "SUCCESS", 1000
    run(sqlite, source)
    assert stored(sqlite)[JOB, "1"]["status"] == "running"
    assert stored(sqlite)[JOB, "1"]["result"] == "unknown"


@pytest.mark.parametrize("folder", [None, FOLDER])
def test_builds_that_come_and_go_while_all_are_read(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    folder: str | None,
) -> None:
    world.history(job, 66, gap=60)

    def disturb(asked: Asked) -> None:
        if asked.path.endswith("/api/json") and len(job.builds) > 50:
            world.start(job, "Build")
            for number in sorted(job.builds)[::7]:
                if job.builds[number].result:
                    del job.builds[number]

    simulator.before = disturb
    run(sqlite, source, folder=folder)
    simulator.before = lambda asked: None
    world.pass_time(minutes=15)
    run(sqlite, source, folder=folder)
    rows, due = without_pages(stored(sqlite)), truth(world)
    assert {key: rows.get(key) for key in due} == due


@pytest.mark.parametrize("after", [1, 2, 30, 60])
@pytest.mark.parametrize("folder", [None, FOLDER])
def test_a_backfill_that_is_killed_goes_on_where_it_was(
    world: World,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    after: int,
    folder: str | None,
) -> None:
    world.history(job, 64, gap=60)
    world.pass_time(minutes=20)
    left = count(after, -1)
    with opened(simulator) as first:
        ask = first.client.get

        def ask_or_die(*args: Any, **kwargs: Any) -> Response:
            if next(left) <= 0:
                raise KilledError
            return ask(*args, **kwargs)

        first.client.get = ask_or_die  # type: ignore[method-assign]
        with pytest.raises(KilledError):
            run(sqlite, first, folder=folder)
    done = len(stored(sqlite))
    simulator.asked.clear()
    with opened(simulator) as second:
        assert run(sqlite, second, folder=folder).outcome == "ok"
    assert_exact(sqlite, world)
    # What is stored is not asked for again. Of a job the walk goes back for a page at most; a
    # folder is listed again from its top.
    assert len(simulator.asked) <= 64 - done + (9 if folder else 6)
    with sqlite.read() as connection:
        assert connection.execute(select(CoverageRow.reaches_start)).scalars().all() == [True]


def test_history_that_is_not_wanted_is_not_asked_for(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 30)
    world.pass_time(days=30)
    since = world.now
    new = world.history(job, 4)
    run(sqlite, source, since=since)
    assert ids(sqlite, JOB) == {str(build.number) for build in new}
    assert len(simulator.asked) == 1 + 4
    run(sqlite, source)
    assert_exact(sqlite, world)


def test_new_branches_are_found_and_old_ones_stay(
    world: World, source: Jenkins, simulator: JenkinsSimulator, database: Database
) -> None:
    project = world.add("team/site", MULTIBRANCH)
    main = world.add("team/site/main")
    gone = world.add("team/site/PR-7")
    for branch in (main, gone):
        world.history(branch, 8)
    world.pass_time(hours=1)
    run(database, source, folder="team/site")
    feature = world.add("team/site/feature%2Flogin")
    world.history(feature, 2)
    world.remove("team/site/PR-7")
    world.pass_time(hours=1)
    simulator.asked.clear()
    outcome = run(database, source, folder="team/site")
    assert (outcome.outcome, outcome.counts.runs_new) == ("ok", 2)
    assert len(simulator.asked) == 1 + 2
    rows = stored(database)
    assert len(rows) == 18
    assert {row["branch"] for (name, _), row in rows.items() if "feature" in name} == {
        "feature/login"
    }
    assert rows["team/site/feature%2Flogin", "1"]["web_url"] == (
        f"{simulator.url}/job/team/job/site/job/feature%252Flogin/1/"
    )
    assert project.children.keys() == {"main", "feature%2Flogin"}


def test_a_job_that_comes_with_a_history_is_read_whole(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    world.history(job, 12)
    old = world.add("attic/old")
    world.history(old, 46, gap=30)
    world.history(job, 30)
    world.pass_time(days=1)
    run(sqlite, source, folder=FOLDER)
    world.find(FOLDER).children["old"] = world.remove("attic/old")  # type: ignore[union-attr]
    assert run(sqlite, source, folder=FOLDER).counts.runs_new == 46
    assert_exact(sqlite, world, FOLDER)
    assert run(sqlite, source, folder=FOLDER).requests == 1


def test_a_run_that_stays_unreadable_makes_no_job_forgotten(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    old = world.add("attic/old")
    world.history(old, 46, gap=30)
    world.history(job, 40)
    world.pass_time(days=1)
    simulator.override = lambda asked: (403, "") if "/app/30/wfapi" in asked.path else None
    assert run(sqlite, source, folder=FOLDER).outcome == "partial"
    world.find(FOLDER).children["old"] = world.remove("attic/old")  # type: ignore[union-attr]
    assert run(sqlite, source, folder=FOLDER).counts.runs_new == 46
    simulator.override = lambda asked: None
    world.pass_time(hours=1)
    assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    assert_exact(sqlite, world, FOLDER)


def test_stored_runs_tell_the_queue_as_it_was_told(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    for queued in (1500, None):
        world.end(world.start(job, "Build", queued=queued))
    run(sqlite, source)
    found = find_runs(sqlite, StoredRunFilter(source="ci"), oldest_first=True)
    assert [one.run.queued_ms for one in found] == [1500, None]


def test_a_job_that_could_not_be_seen_for_a_while_lacks_nothing(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    other = world.add("team/other")
    for one in (job, other):
        world.history(one, 20)
    world.pass_time(hours=1)
    run(sqlite, source, folder=FOLDER)
    hidden = world.remove("team/other")
    world.history(hidden, 30, gap=10)
    world.history(job, 20)
    world.pass_time(hours=1)
    run(sqlite, source, folder=FOLDER)
    world.find(FOLDER).children["other"] = hidden  # type: ignore[union-attr]
    world.history(job, 24)
    world.pass_time(hours=1)
    assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    assert_exact(sqlite, world, FOLDER)


@pytest.mark.parametrize("new", [1, 3, 9])
def test_numbers_that_begin_again_are_refused(
    world: World, source: Jenkins, sqlite: Database, new: int
) -> None:
    world.history(world.add(JOB), 3)
    world.pass_time(minutes=20)
    run(sqlite, source)
    before = stored(sqlite)
    world.history(world.add(JOB), new)
    world.pass_time(minutes=20)
    for _ in range(2):
        outcome = run(sqlite, source)
        assert isinstance(outcome.cause, HistoryRestartedError)
        assert stored(sqlite) == before


@pytest.mark.parametrize("new", [1, 3, 9, 26])
def test_a_folder_goes_on_without_the_job_whose_numbers_begin_again(
    world: World, source: Jenkins, job: Item, sqlite: Database, new: int
) -> None:
    world.history(job, 5)
    world.history(world.add("team/again"), 3)
    world.pass_time(hours=1)
    run(sqlite, source, folder=FOLDER)
    before = stored(sqlite)
    world.history(world.add("team/again"), new)
    later = world.history(job, 2)
    for _ in range(2):
        outcome = run(sqlite, source, folder=FOLDER)
        assert outcome.outcome == "partial"
        assert "job team/again was deleted and made again" in outcome.problems[0]
    rows = stored(sqlite)
    assert {key: rows[key] for key in before} == before
    assert rows.keys() - before.keys() == {(JOB, str(build.number)) for build in later}


@pytest.mark.parametrize("folder", [None, FOLDER])
def test_a_clock_that_was_ahead_hides_nothing(
    world: World, source: Jenkins, job: Item, sqlite: Database, folder: str | None
) -> None:
    other = world.add("team/other", FREESTYLE)
    for one in (job, other):
        world.history(one, 4)
    ahead = world.start(job, "Build")
    ahead.timestamp += 90 * 86_400_000
    world.end(ahead)
    ahead.duration = 1000
    world.pass_time(hours=1)
    run(sqlite, source, folder=folder)
    for _ in range(2):
        for one in (job, other):
            world.history(one, 50, gap=1200)
        world.pass_time(hours=1)
        assert run(sqlite, source, folder=folder).outcome == "ok"
        assert_exact(sqlite, world, folder or JOB)


def test_a_row_that_cannot_be_read_is_no_new_beginning(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)
    world.pass_time(hours=1)
    run(sqlite, source)
    world.spoilt[JOB, 3] = lambda raw: raw | {"timestamp": None}
    assert run(sqlite, source).outcome == "partial"
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"


def test_a_job_of_a_folder_whose_list_is_none_is_a_hole(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    bad = world.add("team/bad")
    for one in (job, bad):
        world.history(one, 30)
    world.pass_time(hours=1)
    for number in range(2, 31):
        world.spoilt["team/bad", number] = lambda raw: raw | {"number": "x"}
    outcome = run(sqlite, source, folder=FOLDER)
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
    assert "job team/bad does not list its builds by their numbers" in outcome.problems[0]
    assert len(stored(sqlite)) == 30
    world.spoilt.clear()
    assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    assert_exact(sqlite, world, FOLDER)


def test_builds_that_somebody_deletes_from_the_top_are_no_new_numbers(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    world.history(job, 6)
    world.pass_time(hours=1)
    run(sqlite, source)
    for number in (5, 6):
        del job.builds[number]
    assert run(sqlite, source).outcome == "ok"
    world.history(job, 1)
    assert run(sqlite, source).outcome == "ok"
    assert ids(sqlite, JOB) == set("1234567")


def test_a_discarded_build_stays_and_verify_says_so(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    world.history(job, 6)
    world.pass_time(minutes=11)
    run(sqlite, source)
    before = stored(sqlite)
    del job.builds[2]
    run(sqlite, source)
    assert stored(sqlite) == before
    (verdict,) = verify(sqlite, [Task(source, source.listing(PipelineConfig("ci", id=JOB)))])
    assert [(d.id, d.kind) for d in verdict.differences] == [("2", "extra")]


def test_bad_rows_are_named_and_the_rest_is_stored(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    made = world.history(job, 6)
    world.pass_time(minutes=11)
    world.spoilt[JOB, 2] = lambda raw: raw | {"timestamp": None}
    world.spoilt[JOB, -5] = lambda raw: raw | {"stages": [{"name": "x"}, *raw["stages"]]}
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert sorted(outcome.problems) == [
        "build 2 of team/app: `timestamp` is missing",
        "run 5: stage (no id): `id` is missing",
    ]
    assert ids(sqlite, JOB) == {str(b.number) for b in made} - {"2"}
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert_exact(sqlite, world)


def test_values_of_parameters_are_neither_asked_for_nor_stored(
    world: World, source: Jenkins, simulator: JenkinsSimulator, sqlite: Database
) -> None:
    canary = "s3cret-of-a-parameter"
    for kind, name in ((PIPELINE, "a"), (FREESTYLE, "b")):
        job = world.add(f"team/{name}", kind)
        queued = world.enqueue(f"team/{name}", job, {"TOKEN": canary, "FLAG": "x"})
        world.end(world.dequeue(queued))
    run(sqlite, source, folder=FOLDER)
    with sqlite.read() as connection:
        extras = connection.execute(select(RunRow.extra)).scalars().all()
        everything = [
            str(connection.execute(select(table)).all()) for table in tables.METADATA.sorted_tables
        ]
    assert [extra["parameters"] for extra in extras] == [["TOKEN", "FLAG"]] * 2
    assert canary not in json.dumps(extras) + "".join(everything)
    assert all("value" not in asked.query.get("tree", "") for asked in simulator.asked)
    assert simulator.token not in "".join(everything)


Life = st.tuples(
    st.sampled_from([0, 1, 999, 400_000, 700_000, 86_400_000 * 20]),
    st.sampled_from("start start end end discard rotate branch move back sync".split()),
    st.integers(0, 30),
)


# While a sync is under way no weeks pass.
Meanwhile = st.tuples(
    st.sampled_from([0, 1, 999, 400_000, 700_000]),
    st.sampled_from("start start end end discard rotate branch move back".split()),
    st.integers(0, 30),
)
LIVES: dict[str, Any] = {
    "steps": st.lists(Life, max_size=30),
    "during": st.lists(Meanwhile, max_size=6),
    "size": st.integers(2, 4),
    "view": st.sampled_from(["wfapi", "graph"]),
}


@effort(16)
@given(**LIVES)
def test_any_history_is_exact_after_a_quiet_sync(
    sqlite: Database, steps: list[Any], during: list[Any], size: int, view: str
) -> None:
    live(sqlite, steps, during, size, view)


@pytest.mark.proof
@effort(250)
@given(**LIVES)
def test_many_histories_are_exact_after_a_quiet_sync(
    sqlite: Database, steps: list[Any], during: list[Any], size: int, view: str
) -> None:
    live(sqlite, steps, during, size, view)


def live(sqlite: Database, steps: list[Any], during: list[Any], size: int, view: str) -> None:
    """A life of the service with syncs in between, and what happens while one is under way."""
    with sqlite.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))
    world, left, spare = World(NOW), list(during), dict[str, Item]()
    world.add("team/app")
    world.add("team/sub/night", FREESTYLE)
    with (
        JenkinsSimulator(world).serving() as simulator,
        opened(simulator) as source,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(walk, "PAGE_SIZE", size)
        patch.setattr(jenkins, "FIRST_BUILDS", size - 1)
        simulator.plugins = {view}

        def happen_next(_: object) -> None:
            if left:
                happen(world, spare, left.pop(0))

        simulator.before = happen_next
        for step in steps:
            if step[1] == "sync":
                run(sqlite, source, folder=FOLDER)
            else:
                happen(world, spare, step)
        run(sqlite, source, folder=FOLDER)
        simulator.before = lambda asked: None
        world.pass_time(minutes=11)
        run(sqlite, source, folder=FOLDER)
        world.pass_time(minutes=11)
        outcome = run(sqlite, source, folder=FOLDER)
        assert outcome.outcome == "ok", outcome
        assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    rows, due = without_pages(stored(sqlite)), truth(world, FOLDER)
    for row in (*rows.values(), *due.values()):
        for step in row["steps"]:
            # The two views have words of their own.
            step |= {"raw_status": None, "raw_result": None}
    assert {key: rows.get(key) for key in due} == due
    # A folder that shows no build any more does not prove that there were no older ones; and where
    # the newest builds have gone, what is below them stays open until the next one.
    if due:
        with sqlite.read() as connection:
            found = connection.execute(select(CoverageRow.reaches_start)).scalars().all()
        assert any(found)


def happen(world: World, spare: dict[str, Item], step: tuple[int, str, int]) -> None:
    span, kind, which = step
    world.now += timedelta(milliseconds=span)
    jobs = sorted(name for name, _ in world.jobs(world.find(FOLDER), FOLDER))
    if kind == "branch" or not jobs:
        world.add(f"team/site/b{which}") if f"team/site/b{which}" not in jobs else None
        return
    name = jobs[which % len(jobs)]
    job = world.find(name)
    assert job is not None
    open_builds = [build for build in job.builds.values() if build.building]
    done = [number for number, build in job.builds.items() if not build.building]
    if kind == "start":
        world.start(job, "Build", "Test", queued=which)
    elif kind == "end" and open_builds:
        build = open_builds[which % len(open_builds)]
        world.end(build, "FAILURE" if which % 3 else "SUCCESS", "Build" if which % 3 else None)
    elif kind == "discard" and done:
        del job.builds[done[which % len(done)]]
    elif kind == "rotate":
        for number in sorted(done)[:-2]:
            del job.builds[number]
    elif kind == "move":
        spare[name] = world.remove(name)
    elif kind == "back" and spare:
        name, item = spare.popitem()
        above = world.find(name.rpartition("/")[0])
        if above and item.name not in above.children:
            above.children[item.name] = item

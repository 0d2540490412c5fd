"""A simulated Azure DevOps is synced into a database, and the rows are held against the truth."""

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from runsync.config import PipelineConfig
from runsync.sources.azure import source as azure
from runsync.sources.azure.source import Azure
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from runsync.sync.verify import verify
from tests.effort import effort
from tests.sources.azure.rig import ID, NOW, PROJECT, opened
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.truth import pipelines, stored, truth
from tests.sources.azure.world import World

WHOLE = PipelineConfig("hub", application_id=PROJECT)


def run(
    database: Database, source: Azure, wanted: PipelineConfig | None = None, **options: Any
) -> SyncOutcome:
    task = Task(source, source.listing(wanted or PipelineConfig("hub", id=ID)))
    (outcome,) = sync(database, [task], Options(concurrency=4, **options))
    return outcome


def one_of_each(world: World) -> None:
    """Builds of every kind."""
    world.history(6)
    world.cancel(world.queue({}))
    skipping = world.start(world.queue())
    world.skip_stage(skipping, "Deploy")
    world.pass_time(minutes=1)
    world.end(skipping, result="partiallySucceeded")
    world.end(world.queue({}, invalid="/azure-pipelines.yml: bad indentation"), result="failed")
    pull = {"pr.number": "7", "pr.sourceBranch": "refs/heads/feature", "pr.title": "Better"}
    world.queue(branch="refs/pull/7/merge", reason="pullRequest", trigger=pull)
    world.queue(branch="refs/tags/v1", reason="resourceTrigger", upstream=401)
    world.queue(status="postponed", trigger={"ci.message": "Mend it\n\nBadly."})
    twice = world.end(
        world.start(world.queue({"Build": ["compile", "test"], "Ship": ["up"]})), "test"
    )
    world.pass_time(minutes=1)
    world.end(world.retry(twice), "test")
    world.pass_time(minutes=1)
    world.retry(twice)
    world.start(world.queue())


def expected(world: World) -> dict[str, Any]:
    rows = truth(world)
    for row in rows.values():
        if row["branch"] == "feature":
            row["message"] = "Better"
    return rows


def test_every_row_is_exact(world: World, source: Azure, database: Database) -> None:
    one_of_each(world)
    world.pass_time(minutes=5)
    outcome = run(database, source)
    assert (outcome.outcome, outcome.problems) == ("ok", ())
    assert stored(database) == expected(world)
    (row,) = pipelines(database)
    assert (row["external_id"], row["name"], row["default_branch"]) == (ID, "fiber-ci", "main")
    assert row["extra"] == {"path": "\\team"}
    assert row["url"].endswith("/fabrikam/fiber%20git/_build?definitionId=12")


def test_a_project_with_all_its_definitions(world: World, source: Azure, sqlite: Database) -> None:
    world.history(5)
    world.history(4, definition=13)
    world.pass_time(minutes=5)
    assert run(sqlite, source, WHOLE).outcome == "ok"
    assert stored(sqlite) == truth(world, None)
    names = {row["external_id"]: (row["name"], row["default_branch"]) for row in pipelines(sqlite)}
    assert names == {
        "fiber git/12": ("fiber-ci", "main"),
        "fiber git/13": ("nightly", "trunk"),
    }


def test_a_first_sync_takes_one_request_a_run(
    world: World, source: Azure, simulator: AzureSimulator, sqlite: Database
) -> None:
    world.history(150)
    world.pass_time(minutes=5)
    outcome = run(sqlite, source)
    # One for those that are not over, two for two pages, one for the default branch, one for the
    # oldest build of all.
    assert outcome.requests == len(simulator.asked) == 150 + 1 + 2 + 1 + 1
    assert stored(sqlite) == truth(world)


def test_nothing_new_takes_two_requests(
    world: World, source: Azure, simulator: AzureSimulator, sqlite: Database
) -> None:
    world.history(120)
    world.pass_time(minutes=11)
    run(sqlite, source)
    simulator.asked.clear()
    for _ in range(3):
        world.pass_time(minutes=5)
        outcome = run(sqlite, source)
        assert (outcome.requests, outcome.counts.runs_updated) == (2, 0)
    assert simulator.paths() == ["build/builds"] * 6


def test_what_waits_for_an_agent_takes_no_request_of_its_own(
    world: World, source: Azure, simulator: AzureSimulator, sqlite: Database
) -> None:
    for _ in range(3):
        world.queue()
    under_way = world.start(world.queue())
    for _ in range(2):
        simulator.asked.clear()
        run(sqlite, source)
        timelines = [path for path in simulator.paths() if path.endswith("timeline")]
        assert timelines == [f"build/builds/{under_way.id}/timeline"]
        assert stored(sqlite) == truth(world)
    for build in world.present():
        if build.status == "notStarted":
            world.start(build)
    world.pass_time(minutes=1)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_each_earlier_attempt_takes_one_request_more(
    world: World, source: Azure, simulator: AzureSimulator, sqlite: Database
) -> None:
    build = world.end(world.start(world.queue()), "test")
    for _ in range(2):
        world.pass_time(minutes=3)
        world.end(world.retry(build), "test")
    world.pass_time(minutes=5)
    assert run(sqlite, source).requests == 1 + 1 + 1 + 1 + 3
    assert stored(sqlite) == truth(world)
    steps = stored(sqlite)[str(build.id)]["steps"]
    tries = [
        (s["told"].get("attempt"), s["told"].get("retried")) for s in steps if s["name"] == "test"
    ]
    assert tries == [(None, True), (2, True), (3, None)]


def test_a_stage_of_an_old_build_is_run_again(
    world: World, source: Azure, simulator: AzureSimulator, database: Database
) -> None:
    old = world.end(world.start(world.queue()), "test")
    world.history(130, gap=60)
    world.pass_time(days=400)
    run(database, source)
    assert stored(database) == truth(world)
    simulator.asked.clear()
    world.retry(old)
    assert run(database, source).counts.runs_updated == 1
    assert stored(database) == truth(world)
    assert stored(database)[str(old.id)]["status"] == "running"
    world.pass_time(minutes=4)
    world.end(old)
    world.pass_time(minutes=4)
    run(database, source)
    assert stored(database) == truth(world)
    assert len(simulator.asked) == 2 * (2 + 2)


def test_a_rerun_within_an_outage_of_weeks_is_brought(
    world: World, source: Azure, sqlite: Database
) -> None:
    made = world.history(8)
    failed = next(b for b in made if b.result == "failed")
    world.pass_time(days=1)
    run(sqlite, source)
    for _ in range(3):
        world.pass_time(days=9)
        world.retry(failed)
        world.pass_time(minutes=3)
        world.end(failed, "test")
        world.history(3)
    world.pass_time(days=2)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_an_unfinished_build_that_is_deleted_vanishes(
    world: World, source: Azure, sqlite: Database
) -> None:
    build = world.start(world.queue())
    world.history(3)
    run(sqlite, source)
    world.delete(build)
    world.pass_time(minutes=5)
    run(sqlite, source)
    assert str(build.id) not in stored(sqlite)
    world.pass_time(minutes=15)
    run(sqlite, source)
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_what_is_shown_late_is_brought_after_an_outage_too(
    world: World, source: Azure, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure, "PAGE_SIZE", 3)
    world.history(5, gap=5)
    late = world.queue()
    world.end(world.start(late))
    late.visible_from = world.now + timedelta(seconds=200)
    world.pass_time(seconds=1)
    world.history(2, gap=5)
    run(sqlite, source)
    assert str(late.id) not in stored(sqlite)
    world.pass_time(days=20)
    world.history(7)
    world.pass_time(minutes=5)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_verify_says_that_all_is_well(world: World, source: Azure, sqlite: Database) -> None:
    one_of_each(world)
    world.pass_time(minutes=5)
    run(sqlite, source)
    task = Task(source, source.listing(PipelineConfig("hub", id=ID)))
    (verdict,) = verify(sqlite, [task])
    assert (verdict.differences, verdict.cause) == ([], None)
    for build in world.present():
        world.tag(build, "released")  # what moves no build is not stored, so it differs in nothing
    (verdict,) = verify(sqlite, [task])
    assert (verdict.differences, verdict.cause) == ([], None)


# Random lives.

DEEDS = st.sampled_from(
    "queue start end end fail retry retry cancel delete delete tag sync sync wait days weeks "
    "throttle outage".split()
)


def live(world: World, simulator: AzureSimulator, deed: str, draw: random.Random) -> None:
    """One thing that happens to one build, if there is one that it can happen to."""
    builds = world.present()
    idle = [b for b in builds if b.status == "notStarted"]
    running = [b for b in builds if b.status == "inProgress"]
    failed = [b for b in builds if b.status == "completed" and b.result == "failed"]
    if deed == "queue" or not builds:
        world.queue(draw.choice([None, {"A": ["x"], "B": ["y", "z"]}, {"A": ["test"]}]))
    elif deed == "start" and idle:
        world.start(draw.choice(idle))
    elif deed in ("end", "fail") and running:
        build = draw.choice(running)
        world.end(build, *(j for jobs in build.plan.values() for j in jobs[-1:] if deed == "fail"))
    elif deed == "retry" and failed:
        world.retry(draw.choice(failed))
    elif deed == "cancel" and [*idle, *running]:
        world.cancel(draw.choice([*idle, *running]))
    elif deed == "delete":
        world.delete(draw.choice(builds))
    elif deed == "tag":
        world.tag(draw.choice(builds), "x")
    elif deed == "throttle":
        simulator.refusals.append((429, {"Retry-After": "0"}, ""))
    elif deed == "outage":
        simulator.refusals += [(503, {}, "")] * 5
    spans = {"days": {"days": 1.3}, "weeks": {"weeks": 5.0}}
    world.pass_time(**spans.get(deed, {"seconds": draw.random() * 90}))


LIFE = {
    "deeds": st.lists(DEEDS, min_size=5, max_size=60),
    "during": st.lists(DEEDS, max_size=8),
    "seed": st.integers(0, 99),
    "inclusive": st.booleans(),
}


@effort(20)
@given(**LIFE)
def test_any_life_is_mirrored(sqlite: Database, **life: Any) -> None:
    mirror(sqlite, **life)


@pytest.mark.proof
@effort(300)
@given(**LIFE)
def test_many_lives_are_mirrored(sqlite: Database, **life: Any) -> None:
    mirror(sqlite, **life)


def mirror(
    database: Database, deeds: list[str], during: list[str], seed: int, inclusive: bool
) -> None:
    """After a quiet sync the database holds what the service does, whatever happened before.

    Args:
        during: what happens between the requests of a sync.
    """
    with database.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))
    draw, world, left = random.Random(seed), World(NOW), list(during)
    with (
        AzureSimulator(world, inclusive=inclusive).serving() as simulator,
        opened(simulator) as source,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(azure, "PAGE_SIZE", 3)
        patch.setattr(azure, "_MOST_UNFINISHED", 3)

        def happen_next(_: object) -> None:
            if left:
                live(world, simulator, left.pop(0), draw)

        simulator.before = happen_next
        for deed in deeds:
            if deed == "sync":
                run(database, source)
            else:
                live(world, simulator, deed, draw)
        left.clear()
        simulator.refusals.clear()
        # A new process: the last one may still wait for a limit.
        with opened(simulator) as renewed:
            for _ in range(2):
                world.pass_time(minutes=20)
                run(database, renewed)
    held, known = stored(database), truth(world)
    # What was deleted after it had settled is kept until `verify --repair` hears of it.
    gone = held.keys() - known.keys()
    assert all(world.builds[int(k)].deleted and held[k]["status"] == "finished" for k in gone)
    assert {k: v for k, v in held.items() if k not in gone} == known

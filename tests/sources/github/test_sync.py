"""Whole syncs into a database, held against what the simulated GitHub holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select, update

from runsync.config import PipelineConfig
from runsync.errors import HistoryRestartedError
from runsync.sources.github.source import GitHub
from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow
from runsync.sync.engine import Task, sync
from runsync.sync.verify import verify
from tests.effort import effort
from tests.sources.github.rig import repository, small_pages, workflow
from tests.sources.github.server import Refusal, Server, Service
from tests.sources.github.story import DAY, Story, events
from tests.sources.github.truth import run_sync, stored, truth
from tests.sources.github.world import NOW, SECOND, Workflow, World

AT = NOW - 5 * DAY


def test_attempts_jobs_and_steps_are_exact(
    github: GitHub, world: World, database: Database
) -> None:
    for n in range(20):
        run = world.add_run(AT + n * 90 * SECOND, "failure" if n % 3 else "success")
        if n % 3 == 1:
            world.rerun(run, AT + DAY + n * SECOND, "cancelled")
            world.rerun(run, AT + 2 * DAY + n * SECOND, failed_only=True)
    world.add_run(NOW - 60 * SECOND, status="in_progress")
    assert run_sync(database, github).outcome == "ok"
    assert stored(database) == truth(world)
    assert len(stored(database)) == 35


def test_a_run_again_weeks_later_is_found_where_it_stands(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    world = service.world
    runs = [world.add_run(NOW - 29 * DAY + n * 7000 * SECOND, "failure") for n in range(320)]
    run_sync(sqlite, github)
    run_sync(sqlite, github)
    world.rerun(runs[5], NOW - 3600 * SECOND, failed_only=True)
    outcome = run_sync(sqlite, github)
    assert (outcome.counts.runs_new, outcome.counts.runs_updated) == (1, 0)
    assert stored(sqlite) == truth(world)
    # Three windows unchanged, one changed, and the jobs of the one new attempt.
    assert outcome.requests == 5


def test_a_run_again_at_once_keeps_the_first_attempt(
    github: GitHub, world: World, sqlite: Database
) -> None:
    """The first attempt had not settled when the second began."""
    run = world.add_run(NOW - 100 * SECOND, "failure")
    run_sync(sqlite, github)
    world.now += 30 * SECOND
    world.rerun(run, NOW, status="in_progress")
    run_sync(sqlite, github)
    assert stored(sqlite) == truth(world)
    world.now += 3600 * SECOND
    world.finish(run, NOW + 600 * SECOND)
    run_sync(sqlite, github)
    assert stored(sqlite) == truth(world)
    assert stored(sqlite, "settled") == {str(run.id): (True,), f"{run.id}.2": (True,)}


def test_nothing_new_in_fifty_workflows_is_fifty_free_requests(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    world = service.world
    for n in range(49):
        world.add_workflow(f"W{n}", f".github/workflows/w{n}.yml")
    for n, of in enumerate(world.workflows.values()):
        for k in range(3):
            world.add_run(AT + (n + 60 * k) * SECOND, workflow=of)
    names = [of.path.rpartition("/")[2] for of in world.workflows.values()]
    tasks = [Task(github, workflow(github, name)) for name in names]
    assert {one.outcome for one in sync(sqlite, tasks)} == {"ok"}
    assert {one.requests for one in sync(sqlite, tasks)} == {1}
    service.asked.clear()
    spent = service.used
    assert {one.outcome for one in sync(sqlite, tasks)} == {"ok"}
    assert [asked.status for asked in service.asked] == [304] * 50
    assert service.used == spent
    assert len(stored(sqlite)) == 150


def test_what_github_forgets_stays(github: GitHub, world: World, sqlite: Database) -> None:
    runs = [world.add_run(AT + n * 90 * SECOND) for n in range(3)]
    run_sync(sqlite, github)
    before = truth(world)
    world.forget_steps(NOW)
    for run in runs:
        run.newest.updated = NOW - SECOND
    world.delete(runs[0])
    assert run_sync(sqlite, github).outcome == "ok"
    after = stored(sqlite)
    for run_id, told in before.items():
        steps = after[run_id]["steps"]
        assert set(told["steps"]) <= set(steps)
        assert {**after[run_id], "steps": told["steps"]} == told


def test_what_is_forgotten_beforehand_is_stored_by_job(
    github: GitHub, world: World, sqlite: Database
) -> None:
    run = world.add_run(NOW - 100 * DAY)
    world.forget_steps(NOW)
    run_sync(sqlite, github)
    steps = stored(sqlite)[str(run.id)]["steps"]
    assert [(name, job) for _, job, name, *_ in steps] == [("build", "build"), ("test", "test")]
    assert stored(sqlite, "settled") == {str(run.id): (True,)}


def test_both_kinds_of_listing_share_one_pipeline(
    github: GitHub, world: World, sqlite: Database
) -> None:
    first = world.add_run(AT)
    run_sync(sqlite, github)
    nightly = world.add_workflow("Nightly", ".github/workflows/nightly.yml")
    world.add_run(AT + SECOND, workflow=nightly)
    outcome = run_sync(sqlite, github, repository(github))
    assert outcome.counts.runs_new == 1
    # The list, the default branch, the names of the workflows, and the one new run's jobs.
    assert outcome.requests == 4
    assert stored(sqlite) == truth(world)
    with sqlite.read() as connection:
        names = connection.execute(select(PipelineRow.external_id, PipelineRow.name)).all()
    assert sorted(map(tuple, names)) == [
        ("octo-org/hello.world/101", "CI"),
        ("octo-org/hello.world/102", "Nightly"),
    ]
    world.rerun(first, NOW - DAY)
    assert run_sync(sqlite, github).counts.runs_new == 1
    assert run_sync(sqlite, github, repository(github)).counts.runs_new == 0


def test_a_row_that_cannot_be_read_is_read_when_it_can(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    world = service.world
    for n in range(5):
        world.add_run(AT + n * 90 * SECOND)

    def spoil(path: str, body: Any) -> Any:
        if path.endswith("/runs"):
            body["workflow_runs"][2]["head_sha"] = 7
        return body

    service.mangle = spoil
    outcome = run_sync(sqlite, github)
    assert outcome.outcome == "partial"
    assert outcome.problems == ("run 5003: `head_sha` must be text, not 7",)
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_full_reads_all_again(github: GitHub, world: World, sqlite: Database) -> None:
    runs = [world.add_run(NOW - 200 * DAY + n * 3600 * SECOND) for n in range(150)]
    run_sync(sqlite, github)
    with sqlite.write() as connection:
        connection.execute(
            update(RunRow).where(RunRow.id == str(runs[7].id)).values(vanished_at=NOW)
        )
    run_sync(sqlite, github)
    assert stored(sqlite, "vanished_at")[str(runs[7].id)] == (NOW,)
    assert run_sync(sqlite, github, full=True).outcome == "ok"
    assert stored(sqlite, "vanished_at")[str(runs[7].id)] == (None,)


def test_verify_finds_nothing_in_what_was_synced(
    github: GitHub, world: World, sqlite: Database
) -> None:
    for n in range(8):
        world.add_run(AT + n * 90 * SECOND, "failure" if n % 2 else "neutral", actor="mona")
    run_sync(sqlite, github)
    (verdict,) = verify(sqlite, [Task(github, workflow(github))])
    assert (verdict.checked, verdict.differences) == (8, [])


def test_verify_finds_a_pipeline_that_is_called_otherwise(
    github: GitHub, world: World, sqlite: Database
) -> None:
    """Though a sync goes by what it was told a while ago. A repair lasts."""
    world.add_run(AT, "success")
    run_sync(sqlite, github)
    world.workflows[101].name, world.default_branch = "Renamed", "trunk"
    task = Task(github, workflow(github))
    for repair in (False, True):
        (verdict,) = verify(sqlite, [task], repair=repair)
        (found,) = verdict.differences
        told = (found.pipeline, found.id, found.kind, found.fields, found.repaired)
        assert told == ("Renamed", "", "different", ("name", "default_branch"), repair)
        assert verdict.well is repair
    world.add_run(AT + DAY, "success")
    run_sync(sqlite, github)
    (verdict,) = verify(sqlite, [task])
    assert verdict.differences == []


def test_more_history_may_be_wanted_later(github: GitHub, world: World, sqlite: Database) -> None:
    for n in range(150):
        world.add_run(NOW - 20 * DAY + n * 3 * 3600 * SECOND)
    run_sync(sqlite, github, since=NOW - 5 * DAY)
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_an_attempt_that_cannot_be_read_now_stays_as_it_was(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = service.world.add_run(NOW - 100 * SECOND, "failure")
    run_sync(sqlite, github)
    before = stored(sqlite)[str(run.id)]
    service.world.now += 30 * SECOND
    service.world.rerun(run, NOW)
    _fail(service, f"/runs/{run.id}/attempts/1")
    assert run_sync(sqlite, github).outcome == "partial"
    assert stored(sqlite)[str(run.id)] == before


def test_a_run_again_before_a_long_pause_is_found(
    github: GitHub, world: World, sqlite: Database
) -> None:
    runs = [world.add_run(NOW - 20 * DAY + n * 3600 * SECOND, "failure") for n in range(120)]
    run_sync(sqlite, github)
    world.rerun(runs[0], NOW + 5 * DAY)
    world.rerun(runs[-1], NOW + 9 * DAY)
    world.now = NOW + 40 * DAY
    run_sync(sqlite, github)
    assert stored(sqlite) == truth(world)


def _fail(service: Service, path: str) -> None:
    """Lets every question for that path fail."""

    def mangle(asked: str, body: Any) -> Any:
        if path in asked:
            return None
        return body

    service.mangle = mangle


# Each example is a database of its own.
@effort(20)
@example(syncs=[(["arrive"], ["arrive"]), ([], ["delete"])], seed=0)
@given(syncs=st.lists(st.tuples(events, events), min_size=1, max_size=2), seed=st.integers(0, 999))
def test_any_history_is_stored_exactly(
    server: Server,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    syncs: list[tuple[list[str], list[str]]],
    seed: int,
) -> None:
    """Things happen before and during a sync; a quiet one afterwards leaves nothing untold."""
    world = World(page=4, cap=40)
    story = Story(world, seed, pauses=False)
    with (
        small_pages(server, world) as (service, source),
        _copied(sqlite_template, tmp_path_factory.mktemp("db")) as database,
    ):
        for before, during in syncs:
            for event in before:
                story.tell(event)
            pending = iter(during)
            service.before = lambda _, pending=pending: story.tell_next(pending)  # type: ignore[misc]
            run_sync(database, source)
        service.before = lambda _: None
        run_sync(database, source)
        # What was deleted under a sync's hands is named until it is not found a second time.
        world.now += 660 * SECOND
        run_sync(database, source)
        assert run_sync(database, source).outcome == "ok"
        found = stored(database)
    assert {run_id: found.get(run_id) for run_id in truth(world)} == truth(world)


@contextmanager
def _copied(template: Path, folder: Path) -> Iterator[Database]:
    shutil.copyfile(template, folder / "runsync.db")
    opened = Database(f"sqlite:///{folder / 'runsync.db'}")
    yield opened
    opened.close()


# What an answer proves.


def test_jobs_that_are_not_found_settle_nothing(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = service.world.add_run(NOW - DAY)
    passing = [True]

    def lose(path: str, body: Any) -> Any:
        if path.endswith("/jobs") and passing:
            passing.pop()
            raise Refusal(404, "Not Found")
        return body

    service.mangle = lose
    outcome = run_sync(sqlite, github)
    what = f"run {run.id}: its jobs are not found, though the run is there"
    assert (outcome.outcome, outcome.problems) == ("partial", (what,))
    assert stored(sqlite, "settled", "steps_synced_at") == {str(run.id): (False, None)}
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


def test_a_run_that_goes_while_it_is_listed_has_vanished(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    world = service.world
    run = world.add_run(NOW - DAY)

    def delete(path: str, body: Any) -> Any:
        if path.endswith("/ci.yml/runs") and run.id in world.runs:
            world.delete(run)
        return body

    service.mangle = delete
    # It is named until it is not found a second time.
    assert run_sync(sqlite, github).outcome == "partial"
    assert stored(sqlite, "vanished_at") == {str(run.id): (NOW,)}


@pytest.mark.parametrize("shown", [0, 1])
def test_jobs_that_are_listed_in_part_settle_nothing(
    github: GitHub, service: Service, sqlite: Database, shown: int
) -> None:
    run = service.world.add_run(NOW - DAY)

    def cut(path: str, body: Any) -> Any:
        return {**body, "jobs": body["jobs"][:shown]} if path.endswith("/jobs") else body

    service.mangle = cut
    outcome = run_sync(sqlite, github)
    assert outcome.problems == (f"run {run.id}: {shown} of its 2 jobs are listed",)
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


def test_a_403_for_one_run_is_a_problem_of_that_run(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    runs = [service.world.add_run(NOW - DAY + n * SECOND) for n in range(30)]

    def forbid(path: str, body: Any) -> Any:
        if path.endswith(f"/{runs[7].id}/attempts/1/jobs"):
            raise Refusal(403, "Resource not accessible by personal access token")
        return body

    service.mangle = forbid
    outcome = run_sync(sqlite, github)
    assert outcome.outcome == "partial"
    assert len(outcome.problems) == 1
    assert sum(settled for (settled,) in stored(sqlite, "settled").values()) == 29


# What a workflow is called.


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(select(PipelineRow.name)).scalars())


def test_a_pipeline_is_called_as_its_workflow_is(
    github: GitHub, world: World, sqlite: Database
) -> None:
    """A run whose workflow file is broken is called by the file's path."""
    world.add_run(NOW - 3 * DAY)
    run_sync(sqlite, github)
    world.add_run(NOW - DAY).name = ".github/workflows/ci.yml"
    run_sync(sqlite, github)
    run_sync(sqlite, github, repository(github))
    assert names(sqlite) == ["CI"]


def test_a_new_name_of_a_workflow_is_found(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    world = service.world
    nightly = world.add_workflow("Nightly", ".github/workflows/nightly.yml")
    world.add_run(NOW - 3 * DAY)
    world.add_run(NOW - 3 * DAY + SECOND, workflow=nightly)
    run_sync(sqlite, github, repository(github))
    nightly.name = "Every night"
    world.add_run(NOW - 2 * DAY, workflow=nightly)
    run_sync(sqlite, github, repository(github))
    assert names(sqlite) == ["CI", "Every night"]
    service.asked.clear()
    world.add_run(NOW - DAY, workflow=nightly)
    run_sync(sqlite, github, repository(github))
    assert not [asked for asked in service.asked if asked.path.endswith("/workflows")]


def test_a_workflow_that_is_gone_keeps_the_name_of_its_runs(
    github: GitHub, world: World, sqlite: Database
) -> None:
    world.add_run(NOW - DAY, workflow=Workflow(77, "Old", ".github/workflows/old.yml"))
    run_sync(sqlite, github, repository(github))
    assert names(sqlite) == ["Old"]


def test_a_workflow_that_is_gone_keeps_its_own_name(
    github: GitHub, world: World, sqlite: Database
) -> None:
    """A later run of it may say only the path of its file."""
    old = world.add_workflow("Old", ".github/workflows/old.yml")
    world.add_run(NOW - 3 * DAY, workflow=old)
    run_sync(sqlite, github, repository(github))
    del world.workflows[old.id]
    world.add_run(NOW - DAY, workflow=old).name = old.path
    for _ in range(3):
        run_sync(sqlite, github, repository(github))
        assert names(sqlite) == ["Old"]


def test_a_label_stays_beside_the_listing_of_the_repository(
    github: GitHub, world: World, sqlite: Database
) -> None:
    wanted = PipelineConfig("gh", id="Octo-Org/Hello.World/ci.yml", name="mine")
    for n in range(3):
        world.add_run(NOW - DAY + n * SECOND).name = ".github/workflows/ci.yml"
        for listing in (github.listing(wanted), repository(github)):
            run_sync(sqlite, github, listing)
            assert names(sqlite) == ["mine"]


def test_numbers_that_begin_again_are_refused(
    github: GitHub, world: World, sqlite: Database
) -> None:
    """A server that was set up anew: nothing that is stored is overwritten."""
    runs = [world.add_run(NOW - 9 * DAY + n * 60 * SECOND) for n in range(3)]
    run_sync(sqlite, github)
    before = stored(sqlite)
    for run in runs:
        run.created += 2 * DAY
        run.newest.started = run.newest.updated = run.created
    outcome = run_sync(sqlite, github)
    assert isinstance(outcome.cause, HistoryRestartedError)
    assert stored(sqlite) == before

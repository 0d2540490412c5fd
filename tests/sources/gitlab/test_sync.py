"""A simulated GitLab is synced into a database, and the rows are held against the truth."""

import threading
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from runsync.config import PipelineConfig
from runsync.errors import HistoryRestartedError, SourceError
from runsync.http.client import Response
from runsync.sources.gitlab import source as gitlab
from runsync.sources.gitlab.source import GitLab
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, RunRow
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from runsync.sync.verify import verify
from tests.effort import effort
from tests.sources.gitlab.rig import NOW, opened
from tests.sources.gitlab.simulator import Asked, GitLabSimulator, World
from tests.sources.gitlab.truth import pipelines, stored, truth


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def run(database: Database, source: GitLab, name: str = World.path, **options: Any) -> SyncOutcome:
    task = Task(source, source.listing(PipelineConfig("hub", id=name)))
    (outcome,) = sync(database, [task], Options(concurrency=4, **options))
    return outcome


def test_every_row_is_exact(world: World, source: GitLab, database: Database) -> None:
    world.history(30)
    world.create("build", status="skipped", user=None)
    world.hold(world.create("build", "deploy"), "deploy")
    world.cancel(world.create("build"))
    world.create(yaml_errors="jobs config should contain at least one visible job", status="failed")
    world.start(world.create("build"))
    world.pass_time(minutes=2)
    outcome = run(database, source)
    assert (outcome.outcome, outcome.counts.runs_new) == ("ok", 35)
    assert stored(database) == truth(world)
    assert pipelines(database) == [World.path]


def test_a_first_sync_takes_two_requests_a_run_and_one_for_the_default_branch(
    world: World, source: GitLab, simulator: GitLabSimulator, sqlite: Database
) -> None:
    world.history(150)
    world.pass_time(minutes=2)
    outcome = run(sqlite, source)
    assert outcome.requests == len(simulator.asked) == 2 * 150 + 2 + 1
    assert stored(sqlite) == truth(world)


def test_nothing_new_takes_one_request(
    world: World, source: GitLab, simulator: GitLabSimulator, sqlite: Database
) -> None:
    world.history(120)
    # What rests for ever costs nothing for ever.
    for _ in range(5):
        world.hold(world.create("build", "deploy"), "deploy")
    world.start(world.create("build"))
    world.pass_time(minutes=11)
    run(sqlite, source)
    simulator.asked.clear()
    for _ in range(3):
        world.pass_time(minutes=5)
        outcome = run(sqlite, source)
        assert (outcome.requests, outcome.counts.runs_updated) == (1, 0)
    assert stored(sqlite) == truth(world)


def test_a_blocked_pipeline_is_seen_when_it_goes_on_years_later(
    world: World, source: GitLab, sqlite: Database
) -> None:
    pipeline = world.create("build", "deploy")
    world.hold(pipeline, "deploy")
    world.history(150)
    run(sqlite, source)
    world.pass_time(days=800)
    pipeline.jobs[1].status = "pending"
    world.start(pipeline)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)
    world.pass_time(minutes=3)
    world.end(pipeline)
    world.pass_time(minutes=2)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_a_job_of_an_old_pipeline_is_run_again(
    world: World, source: GitLab, simulator: GitLabSimulator, database: Database
) -> None:
    old = world.history(130, gap=60)[0]
    world.pass_time(days=400)
    run(database, source)
    simulator.asked.clear()
    world.retry(old, old.jobs[3])
    assert run(database, source).counts.runs_updated == 1
    assert stored(database) == truth(world)
    assert stored(database)[str(old.id)]["status"] == "running"
    world.pass_time(minutes=4)
    world.end(old)
    world.pass_time(minutes=4)
    run(database, source)
    assert stored(database) == truth(world)
    assert len(stored(database)[str(old.id)]["steps"]) == 5
    assert len(simulator.asked) == 2 * (1 + 2)


def test_what_is_told_after_the_end_is_brought(
    world: World, source: GitLab, simulator: GitLabSimulator, sqlite: Database
) -> None:
    pipeline = world.create("build")
    world.start(pipeline)
    world.pass_time(minutes=1)
    world.end(pipeline)
    run(sqlite, source)
    assert "coverage" not in stored(sqlite)[str(pipeline.id)]["steps"][0]["told"]
    world.pass_time(minutes=5)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)
    simulator.asked.clear()
    run(sqlite, source)
    assert len(simulator.asked) == 1


def test_a_change_that_shows_up_late_below_known_ones_is_brought(
    world: World, source: GitLab, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitlab, "PAGE_SIZE", 3)
    world.history(5, gap=5)
    late = world.create("build", visible_from=world.now + timedelta(seconds=200))
    world.pass_time(seconds=1)
    world.history(6, gap=5)
    run(sqlite, source)
    assert str(late.id) not in stored(sqlite)
    world.pass_time(seconds=200)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize("pages", [[7], [7, 1]])
def test_what_shows_up_late_after_a_first_sync_failed_is_brought(
    world: World,
    simulator: GitLabSimulator,
    sqlite: Database,
    monkeypatch: pytest.MonkeyPatch,
    pages: list[int],
) -> None:
    """However late the next sync is: the history is read again from when the first one began."""
    monkeypatch.setattr(gitlab, "PAGE_SIZE", 3)
    world.history(20, gap=5)
    late = world.create("build", visible_from=world.now + timedelta(seconds=200))
    world.pass_time(seconds=1)
    world.history(6, gap=5)
    for answered in pages:
        with opened(simulator) as source:
            assert run(sqlite, failing(source, answered)).outcome == "failed"
        world.pass_time(days=30)
    assert 6 < len(stored(sqlite)) < 26
    assert str(late.id) not in stored(sqlite)
    with opened(simulator) as source:
        assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def failing(source: GitLab, after: int) -> GitLab:
    """The same source, whose listing cannot be read after so many pages."""
    left, ask = count(after, -1), source.client.get

    def ask_or_fail(path: str, *args: Any, **kwargs: Any) -> Response:
        if path.endswith("/pipelines") and next(left) <= 0:
            raise SourceError("no answer")
        return ask(path, *args, **kwargs)

    source.client.get = ask_or_fail  # type: ignore[method-assign]
    return source


def test_pipelines_that_move_while_all_are_read(
    world: World, source: GitLab, simulator: GitLabSimulator, sqlite: Database
) -> None:
    made = world.history(230, gap=60)
    world.pass_time(minutes=2)

    def disturb(asked: Asked) -> None:
        if asked.path.endswith("/pipelines") and len(made) > 200:
            world.pass_time(seconds=1)
            for pipeline in (made.pop(), made.pop(120), made.pop(3)):
                world.retry(pipeline, pipeline.jobs[0])
            del world.pipelines[made.pop(40).id]
            world.create("build")

    simulator.before = disturb
    run(sqlite, source)
    simulator.before = lambda asked: None
    world.pass_time(minutes=15)
    assert run(sqlite, source).outcome == "ok"
    rows = stored(sqlite)
    assert {run_id: rows.get(run_id) for run_id in truth(world)} == truth(world)


@pytest.mark.parametrize("after", [1, 2, 150, 299])
def test_a_backfill_that_is_killed_goes_on_where_it_was(
    world: World, simulator: GitLabSimulator, sqlite: Database, after: int
) -> None:
    world.history(150, gap=60)
    world.pass_time(minutes=20)
    with opened(simulator) as first, pytest.raises(KilledError):
        run(sqlite, dying(first, after))
    # What was in flight when it was killed is still asked, and none of the next sync's.
    for thread in threading.enumerate():
        if thread.name.startswith("runsync-"):
            thread.join(10)
    done = len(stored(sqlite))
    simulator.asked.clear()
    with opened(simulator) as second:
        assert run(sqlite, second).outcome == "ok"
    assert stored(sqlite) == truth(world)
    # What is stored is not asked for again; the walk goes back for a page at most.
    assert len(simulator.asked) <= 2 * (150 - done) + 4


def dying(source: GitLab, after: int) -> GitLab:
    """The same source, which is killed at its next request but so many."""
    left, ask = count(after, -1), source.client.get

    def ask_or_die(*args: Any, **kwargs: Any) -> Response:
        if next(left) <= 0:
            raise KilledError
        return ask(*args, **kwargs)

    source.client.get = ask_or_die  # type: ignore[method-assign]
    return source


def test_history_that_is_not_wanted_is_not_asked_for(
    world: World, source: GitLab, simulator: GitLabSimulator, sqlite: Database
) -> None:
    old = world.history(5)
    world.pass_time(days=30)
    since = world.now.replace(microsecond=0)
    new = world.history(4)
    world.retry(old[1], old[1].jobs[0])
    run(sqlite, source, since=since)
    assert set(stored(sqlite)) == {str(p.id) for p in new}
    assert len(simulator.asked) == 2 + 2 * 4


def test_a_deleted_pipeline_stays_and_verify_says_so(
    world: World, source: GitLab, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(minutes=11)
    run(sqlite, source)
    before = stored(sqlite)
    del world.pipelines[made[2].id]
    run(sqlite, source)
    assert stored(sqlite) == before
    task = Task(source, source.listing(PipelineConfig("hub", id=World.path)))
    (verdict,) = verify(sqlite, [task])
    assert [(d.id, d.kind) for d in verdict.differences] == [(str(made[2].id), "extra")]


def test_a_pipeline_deleted_between_the_list_and_its_detail_is_named_until_that_is_certain(
    world: World, source: GitLab, simulator: GitLabSimulator, sqlite: Database
) -> None:
    gone = world.history(3)[1]

    def forget(asked: Asked) -> None:
        if asked.path.endswith(f"/pipelines/{gone.id}"):
            world.pipelines.pop(gone.id, None)

    simulator.before = forget
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert [p.partition(":")[0] for p in outcome.problems] == [f"run {gone.id}"]
    assert stored(sqlite)[str(gone.id)]["steps"] == []
    world.pass_time(minutes=11)
    assert run(sqlite, source).outcome == "ok"


def test_bad_rows_are_named_and_the_rest_is_stored(
    world: World, source: GitLab, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(minutes=11)
    world.spoilt[made[1].id] = lambda raw: raw | {"created_at": None}
    world.spoilt[made[4].jobs[0].id] = lambda raw: raw | {"name": None}
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert sorted(outcome.problems) == sorted(
        [
            f"run {made[1].id}: `created_at` is missing",
            f"run {made[4].id}: job {made[4].jobs[0].id}: `name` is missing",
        ]
    )
    rows = stored(sqlite)
    assert set(rows) == {str(p.id) for p in made} - {str(made[1].id)}
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert str(made[1].id) in stored(sqlite)


def test_child_pipelines_are_a_pipeline_of_their_own(
    world: World, source: GitLab, sqlite: Database
) -> None:
    world.create("build")
    child = world.create("inner", source="parent_pipeline")
    run(sqlite, source)
    assert str(child.id) not in stored(sqlite)
    run(sqlite, source, f"{World.path}?source=parent_pipeline")
    assert str(child.id) in stored(sqlite)
    assert pipelines(sqlite) == [World.path, f"{World.path}?source=parent_pipeline"]


Step = st.tuples(
    st.sampled_from([0, 300, 999, 1000, 70_000_000, 120_000_000]),
    st.sampled_from("create start end retry hold cancel delete sync".split()),
    st.integers(0, 30),
)


@effort(40)
@given(steps=st.lists(Step, max_size=25), during=st.lists(Step, max_size=6), size=st.integers(2, 4))
def test_any_history_is_exact_after_one_more_sync(
    sqlite: Database,
    steps: list[tuple[int, str, int]],
    during: list[tuple[int, str, int]],
    size: int,
) -> None:
    with sqlite.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))
    world, left = World(NOW), list(during)
    for _ in range(4):
        happen(world, (1000, "create", 0))
    with (
        GitLabSimulator(world).serving() as simulator,
        opened(simulator) as source,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(gitlab, "PAGE_SIZE", size)

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
        run(sqlite, source)  # what was deleted under a sync's hands is not found a second time
        assert run(sqlite, source).outcome == "ok"
        assert run(sqlite, source).requests >= 1
    rows = stored(sqlite)
    assert {run_id: rows.get(run_id) for run_id in truth(world)} == truth(world)
    with sqlite.read() as connection:
        assert connection.execute(select(CoverageRow.reaches_start)).scalars().all() in ([], [True])
        settled = dict(connection.execute(select(RunRow.id, RunRow.settled)).all())
    over = [run_id for run_id in truth(world) if rows[run_id]["status"] == "finished"]
    assert all(settled[run_id] for run_id in over)


def happen(world: World, step: tuple[int, str, int]) -> None:
    span, kind, which = step
    world.now += timedelta(microseconds=span)
    if kind in ("create", "sync") or not world.pipelines:
        world.create("build", "unit?")
        return
    pipeline = list(world.pipelines.values())[which % len(world.pipelines)]
    if kind == "delete":
        del world.pipelines[pipeline.id]
    elif kind == "retry":
        if pipeline.status in ("success", "failed"):
            world.retry(pipeline, next(job for job in pipeline.jobs if not job.retried))
    elif kind == "hold":
        if pipeline.status == "created":
            world.hold(pipeline, "unit")
    elif kind == "start":
        if pipeline.status == "created":
            world.start(pipeline)
    elif pipeline.status == "running":
        {"end": world.end, "cancel": world.cancel}[kind](pipeline)


def test_numbers_that_begin_again_are_refused(
    world: World, source: GitLab, sqlite: Database
) -> None:
    """A server that was set up anew: nothing that is stored is overwritten."""
    world.history(3)
    world.pass_time(minutes=2)
    run(sqlite, source)
    before = stored(sqlite)
    for pipeline in world.pipelines.values():
        pipeline.created_at += timedelta(days=2)
        pipeline.updated_at = pipeline.created_at
    world.pass_time(days=9)
    outcome = run(sqlite, source)
    assert isinstance(outcome.cause, HistoryRestartedError)
    assert stored(sqlite) == before

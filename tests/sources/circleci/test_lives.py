"""Any life of a project, with syncs and outages in it, ends exact after one quiet sync."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, RunRow
from tests.effort import effort
from tests.sources.circleci.rig import NOW, opened, run
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.truth import stored, truth
from tests.sources.circleci.world import WORKFLOW_OVER, World

NAMES = ("build-and-test", "nightly", "")
HOURS = [0, 0.01, 0.5, 3, 30, 24 * 20, 24 * 60]
KINDS = "push push end end cancel rerun rerun late forget sync sync outage limit".split()
Event = st.tuples(st.sampled_from(HOURS), st.sampled_from(KINDS), st.integers(0, 40))


def emptied(database: Database) -> None:
    with database.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))


def happen(world: World, kind: str, which: int) -> None:
    """Something that may happen while nobody looks."""
    every = list(world.workflows())
    if kind == "push" or not every:
        world.push(*filter(None, sorted({NAMES[which % 3], NAMES[which // 3 % 3]})))
        return
    pipeline, workflow = every[which % len(every)]
    if kind == "forget":
        world.forget(pipeline)
    elif kind == "late":
        # What a setup workflow leads to. What is older gets workflows by re-runs alone.
        if world.now - pipeline.created_at < timedelta(hours=6):
            world.begin(pipeline, NAMES[which % 2])
    elif workflow.status not in WORKFLOW_OVER:
        # What is under way cannot be run again.
        if kind in ("end", "cancel"):
            world.end(workflow) if kind == "end" else world.cancel(workflow)
    elif kind == "rerun":
        world.rerun(pipeline, workflow, by=f"user-{which % 2}")


@pytest.mark.proof
@effort(150)
@given(
    events=st.lists(Event, max_size=30),
    during=st.lists(Event, max_size=8),
    size=st.integers(2, 5),
    name=st.sampled_from([None, NAMES[0]]),
)
def test_any_life(sqlite: Database, **life: Any) -> None:
    play(sqlite, **life)


@effort(20)
@given(
    events=st.lists(Event, max_size=14),
    during=st.lists(Event, max_size=3),
    size=st.integers(2, 5),
    name=st.sampled_from([None, NAMES[0]]),
)
def test_some_lives(sqlite: Database, **life: Any) -> None:
    play(sqlite, **life)


def play(
    database: Database,
    events: list[tuple[float, str, int]],
    during: list[tuple[float, str, int]],
    size: int,
    name: str | None,
) -> None:
    emptied(database)
    world, left = World(NOW), [one for one in during if one[1] not in ("sync", "limit")]
    for _ in range(6):
        happen(world, "push", 1)
    with CircleSimulator(world).serving() as simulator:
        simulator.page_size = size

        def sync_once() -> str:
            # A source asks nothing more after a spent limit, so each sync has its own.
            with opened(simulator) as source:
                return run(database, source, name).outcome

        def happen_next(_: object) -> None:
            if left and len(simulator.asked) % 2:
                hours, kind, which = left.pop(0)
                world.pass_time(seconds=min(hours, 1))
                happen(world, kind, which)

        simulator.before = happen_next
        for hours, kind, which in events:
            world.pass_time(hours=hours)
            if kind == "sync":
                sync_once()
            elif kind in ("limit", "outage"):
                status = {"limit": 429, "outage": 503}[kind]
                good = len(simulator.asked) + which % 9
                simulator.before = after(simulator, good, status)
                sync_once()
                simulator.before, simulator.refusals = happen_next, []
            else:
                happen(world, kind, which)
        simulator.before = lambda asked: None
        # A day later all that may have been run again is due to be looked at.
        world.pass_time(hours=25)
        sync_once()
        # What was deleted under a sync's hands is not found a second time.
        world.pass_time(hours=25)
        assert sync_once() == "ok"
    rows, known = stored(database), truth(world)
    known = {i: row for i, row in known.items() if not name or row["pipeline"].endswith(name)}
    assert {run_id: rows.get(run_id) for run_id in known} == known
    with database.read() as connection:
        reached = connection.execute(select(CoverageRow.reaches_start)).scalars().all()
        settled = dict(connection.execute(select(RunRow.id, RunRow.settled)).all())
    assert reached in ([], [True])
    assert all(settled[i] for i, row in known.items() if row["status"] == "finished")


def after(simulator: CircleSimulator, good: int, status: int) -> Any:
    """Refuses all requests from some number on."""

    def refuse(_: object) -> None:
        if len(simulator.asked) > good:
            simulator.refusals = [(status, {"Retry-After": "900"}, "{}")]

    return refuse

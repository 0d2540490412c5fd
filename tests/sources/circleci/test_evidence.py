"""What an answer of CircleCI's proves, and what it leaves open."""

from typing import Any

import pytest
from sqlalchemy import select

from runsync.errors import RefusedError, SourceError
from runsync.records import Pipeline
from runsync.sources.base import Listing
from runsync.sources.circleci.source import CircleCI
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from tests.sources.circleci.rig import run
from tests.sources.circleci.simulator import Asked, CircleSimulator, RefusalError
from tests.sources.circleci.truth import stored, truth
from tests.sources.circleci.world import World

PIPELINE = Pipeline(f"{World.slug}/build-and-test")


def refuse(simulator: CircleSimulator, status: int, end: str, times: int = 1000) -> None:
    """Lets requests for a path with that end be refused."""
    left, honest = [times], simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        if asked.path.endswith(end) and left[0] > 0:
            left[0] -= 1
            raise RefusalError(status, f"{status} on order")
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]


def test_a_passing_404_for_jobs_settles_nothing(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database
) -> None:
    made = world.history(3)
    refuse(simulator, 404, f"/{made[1].id}/job", 1)
    outcome = run(sqlite, source)
    what = f"run {made[1].id}: its jobs are not found, though the run is there"
    assert (outcome.outcome, outcome.problems) == ("partial", (what,))
    world.pass_time(hours=1)
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_jobs_of_a_young_workflow_that_are_not_found_are_asked_for_in_every_sync(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database
) -> None:
    made = world.history(3)
    world.pass_time(days=10)
    refuse(simulator, 404, f"/{made[1].id}/job")
    for _ in range(3):
        assert run(sqlite, source).outcome == "partial"
        with sqlite.read() as connection:
            read = dict(connection.execute(select(RunRow.id, RunRow.steps_synced_at)).all())
        assert [read[str(w.id)] is None for w in made] == [False, True, False]


def test_jobs_that_circleci_has_forgotten_are_said_and_asked_for_no_more(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database
) -> None:
    made = world.history(3)
    world.pass_time(days=300)
    refuse(simulator, 404, f"/{made[1].id}/job")
    for _ in range(2):
        outcome = run(sqlite, source)
        assert outcome.outcome == "partial"
        assert "CircleCI has forgotten its jobs" in outcome.problems[0]
    assert run(sqlite, source).outcome == "ok"
    simulator.asked.clear()
    assert run(sqlite, source).outcome == "ok"
    assert simulator.kinds() == ["list"]
    assert stored(sqlite)[str(made[1].id)]["steps"] == []


def test_a_workflow_that_goes_between_the_list_and_its_jobs_is_named_until_that_is_certain(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database
) -> None:
    gone = world.history(3)[1]

    def forget(asked: Asked) -> None:
        if asked.path.endswith(f"/{gone.id}/job") and len(world.pipelines) == 3:
            world.forget(world.pipelines[1])

    simulator.before = forget
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert [p.partition(":")[0] for p in outcome.problems] == [f"run {gone.id}"]
    world.pass_time(minutes=11)
    assert run(sqlite, source).outcome == "ok"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_404_for_workflows_proves_nothing_unless_the_pipeline_is_gone_too(
    world: World,
    simulator: CircleSimulator,
    source: CircleCI,
    sqlite: Database,
    is_there: bool,
) -> None:
    world.history(3)
    pipeline = world.pipelines[1]
    refuse(simulator, 404, f"/{pipeline.id}/workflow")
    if not is_there:
        refuse(simulator, 404, f"/pipeline/{pipeline.id}")
    outcome = run(sqlite, source)
    what = "pipeline 2: its workflows are not found, though it is there"
    assert outcome.problems == ((what,) if is_there else ())
    assert len(stored(sqlite)) == 2


@pytest.mark.parametrize("status", [403, 500, 400])
def test_workflows_that_cannot_be_read_are_a_hole_and_the_rest_is_stored(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database, status: int
) -> None:
    world.history(12)
    # Of these only a 500 is asked for again at once.
    refuse(simulator, status, f"/{world.pipelines[7].id}/workflow", 6 if status == 500 else 2)
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert [what.partition(":")[0] for what in outcome.problems] == ["pipeline 8"]
    for _ in range(3):
        outcome = run(sqlite, source)
    assert outcome.outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_where_no_workflows_can_be_read_nothing_more_is_asked(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database
) -> None:
    world.history(70)
    refuse(simulator, 403, "/workflow")
    outcome = run(sqlite, source)
    assert outcome.outcome == "failed"
    assert "not one of 20 rows can be read; " in str(outcome.cause)
    assert "the last: pipeline 51: " in str(outcome.cause)
    assert simulator.kinds().count("workflows") == 20


def test_a_403_for_the_list_is_a_refused_token(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database
) -> None:
    world.history(2)
    refuse(simulator, 403, "/pipeline")
    cause = run(sqlite, source).cause
    assert cause is not None
    assert cause.exit_code == 3


def test_an_unreadable_workflow_is_a_hole_and_the_rest_is_stored(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    made = world.history(5)
    world.spoilt[str(made[1].id)] = lambda raw: raw | {"status": None}
    world.spoilt[str(made[3].id)] = lambda raw: raw | {"pipeline_id": str(world.uuid())}
    world.spoilt[made[4].jobs[0].id] = lambda raw: raw | {"name": None}
    outcome = run(sqlite, source)
    assert sorted(outcome.problems) == sorted(
        [
            f"pipeline 2: run {made[1].id}: `status` is missing",
            f"pipeline 4: run {made[3].id}: it is of another pipeline",
            f"run {made[4].id}: job {made[4].jobs[0].id}: `name` is missing",
        ]
    )
    assert len(stored(sqlite)) == 3
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize("is_same", [True, False])
def test_a_workflow_that_is_shown_twice_is_one(
    world: World,
    simulator: CircleSimulator,
    source: CircleCI,
    sqlite: Database,
    is_same: bool,
) -> None:
    (workflow,) = world.history(1)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        status, data = honest(asked, body, token)
        if asked.path.endswith("/workflow"):
            again = [row if is_same else row | {"status": "running"} for row in data["items"]]
            data = data | {"items": [*data["items"], *again]}
        return status, data

    simulator.answer = answer  # type: ignore[method-assign]
    outcome = run(sqlite, source)
    what = f"pipeline 1: run {workflow.id}: it is shown twice, and not the same"
    assert outcome.problems == (() if is_same else (what,))
    assert stored(sqlite) == truth(world)


def test_of_another_workflow_an_unreadable_row_is_no_hole(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    world.history(3, "build-and-test", "nightly")
    for pipeline in world.pipelines:
        world.spoilt[str(pipeline.workflows[1].id)] = lambda raw: raw | {"created_at": None}
    assert run(sqlite, source, "build-and-test").outcome == "ok"
    assert run(sqlite, source, "nightly").outcome == "partial"


def test_two_jobs_of_one_id_are_named(world: World, source: CircleCI) -> None:
    (workflow,) = world.history(1)
    first = workflow.jobs[0].id
    world.spoilt[workflow.jobs[1].id] = lambda raw: raw | {"id": first}
    (problem,) = source.reread(PIPELINE, str(workflow.id)).problems
    assert problem.what == f"run {workflow.id}: different steps have the same id"


def test_a_run_whose_pipeline_does_not_show_it_is_an_error(
    world: World, simulator: CircleSimulator, source: CircleCI
) -> None:
    (workflow,) = world.history(1)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        status, data = honest(asked, body, token)
        is_list = asked.path.endswith(f"{world.pipelines[0].id}/workflow")
        return status, {"items": [], "next_page_token": None} if is_list else data

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="its pipeline does not show it"):
        source.reread(PIPELINE, str(workflow.id))
    refuse(simulator, 404, f"/pipeline/{world.pipelines[0].id}")
    with pytest.raises(SourceError, match="is there, but not its pipeline") as caught:
        source.reread(PIPELINE, str(workflow.id))
    assert type(caught.value) is SourceError


@pytest.mark.parametrize(
    "data", [[], None, {}, {"items": None}, {"items": {}}, {"items": [], "next_page_token": 7}, "x"]
)
def test_what_is_no_page_is_refused(
    simulator: CircleSimulator, source: CircleCI, listing: Listing, data: Any
) -> None:
    simulator.answer = lambda *_: (200, data)  # type: ignore[method-assign]
    with pytest.raises(SourceError):
        list(source.pages(listing, None, {}))


def test_a_page_of_html_is_refused(
    simulator: CircleSimulator, source: CircleCI, listing: Listing
) -> None:
    simulator.answer = lambda *_: (200, "<!DOCTYPE html><title>Log in</title>")  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="no JSON"):
        list(source.pages(listing, None, {}))


def test_a_list_of_jobs_without_an_end_is_refused(
    world: World, simulator: CircleSimulator, source: CircleCI
) -> None:
    (workflow,) = world.history(1)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        is_jobs = asked.path.endswith("/job")
        asked.query.pop("page-token", None)
        status, data = honest(asked, body, token)
        return status, data | {"next_page_token": "again"} if is_jobs else data

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="without an end"):
        source.reread(PIPELINE, str(workflow.id))


def test_jobs_on_several_pages(world: World, simulator: CircleSimulator, source: CircleCI) -> None:
    pipeline = world.push()
    workflow = world.begin(pipeline, "build-and-test", jobs=" ".join(map(str, range(50))))
    assert len(source.reread(PIPELINE, str(workflow.id)).steps) == 50
    assert simulator.kinds().count("jobs") == 3


@pytest.mark.parametrize("text", ["../../etc", "", "12", "x" * 36, "1234"])
def test_what_is_no_id_is_refused_unasked(
    simulator: CircleSimulator, source: CircleCI, text: str
) -> None:
    for ask in (source.find_run, source.abort):
        with pytest.raises(RefusedError, match="no id of a CircleCI workflow"):
            ask(PIPELINE, text)
    assert simulator.asked == []


def test_a_clock_that_goes_wrong_here_changes_nothing(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    """All times are the provider's: its clock stands in 2024, this machine's does not."""
    world.push("build-and-test")
    run(sqlite, source)
    world.pass_time(minutes=1)
    world.end(world.pipelines[0].workflows[0])
    run(sqlite, source)
    world.pass_time(minutes=11)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize("kind", ["cut", "before its end"])
def test_a_list_of_jobs_that_belies_its_run_is_asked_for_again(
    world: World, simulator: CircleSimulator, source: CircleCI, sqlite: Database, kind: str
) -> None:
    workflow = world.history(3)[1]
    world.pass_time(hours=3)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        status, data = honest(asked, body, token)
        if asked.path.endswith(f"{workflow.id}/job") and kind == "cut":
            data = data | {"items": data["items"][1:]}
        elif asked.path.endswith(f"{workflow.id}/job"):
            data = data | {"items": [one | {"status": "running"} for one in data["items"]]}
        return status, data

    simulator.answer = answer  # type: ignore[method-assign]
    outcome = run(sqlite, source)
    said = f"job {workflow.jobs[0].id} is not shown"
    said = said if kind == "cut" else "it has ended, and no job is shown that did so"
    assert (outcome.outcome, outcome.problems) == ("partial", (f"run {workflow.id}: {said}",))
    simulator.answer = honest  # type: ignore[method-assign]
    assert run(sqlite, source).outcome == "ok"
    assert [len(row["steps"]) for row in stored(sqlite).values()] == [len(workflow.jobs)] * 3

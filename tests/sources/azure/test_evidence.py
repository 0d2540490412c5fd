"""What an answer of Azure DevOps proves, and what it leaves open."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, SourceError, TokenRefusedError
from runsync.records import Pipeline
from runsync.sources.azure.source import Azure
from runsync.sources.base import Listing
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, RunRow
from tests.sources.azure.rig import ID, QUICK, opened
from tests.sources.azure.simulator import Asked, AzureSimulator, RefusalError
from tests.sources.azure.test_sync import run
from tests.sources.azure.truth import stored, truth
from tests.sources.azure.world import MAIL, SECRET, World


def instead(simulator: AzureSimulator, end: str, said: tuple[int, Any], times: int = 1000) -> None:
    """Answers requests for a path with that end otherwise."""
    left, honest = [times], simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        if asked.path.endswith(end) and left[0] > 0:
            left[0] -= 1
            if said[0] >= 400:
                raise RefusalError(said[0], "on order")
            return *said, {}
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("how", [203, 302, 401])
def test_a_refused_token_is_no_empty_list(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database, how: int
) -> None:
    world.history(3)
    simulator.refuses_by, simulator.token = how, "another"
    outcome = run(sqlite, source)
    assert isinstance(outcome.cause, TokenRefusedError)
    assert outcome.cause.exit_code == 3
    assert "token of source 'hub'" in str(outcome.cause)
    assert len(simulator.asked) == 1


def test_a_page_for_people_is_no_list(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    world.history(3)
    instead(simulator, "/builds", (200, "<html>Back soon</html>"))
    assert run(sqlite, source).outcome == "failed"
    assert stored(sqlite) == {}


def test_a_definition_that_there_is_not_is_said_to_be_none(
    world: World, source: Azure, sqlite: Database
) -> None:
    outcome = run(sqlite, source, PipelineConfig("hub", id="fiber git/99"))
    assert isinstance(outcome.cause, NotFoundError)
    world.definitions[99] = "new"
    assert run(sqlite, source, PipelineConfig("hub", id="fiber git/99")).outcome == "ok"


def test_a_definition_that_is_no_object_is_an_error(
    simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    instead(simulator, "/definitions/12", (200, []))
    outcome = run(sqlite, source)
    assert isinstance(outcome.cause, SourceError)
    assert "the definition fiber git/12" in str(outcome.cause)


def test_a_passing_404_for_a_timeline_settles_nothing(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    made = world.history(3)
    world.pass_time(minutes=5)
    instead(simulator, f"/{made[1].id}/timeline", (404, ""), 1)
    outcome = run(sqlite, source)
    what = f"run {made[1].id}: its timeline is not found, though the run is there"
    assert (outcome.outcome, outcome.problems) == ("partial", (what,))
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize("said", [(204, ""), (200, None), (200, {"records": []})])
def test_a_timeline_that_is_empty_once_settles_nothing(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database, said: tuple[int, Any]
) -> None:
    made = world.history(3)
    world.pass_time(days=5)
    instead(simulator, f"/{made[1].id}/timeline", said, 1)
    run(sqlite, source)
    with sqlite.read() as connection:
        settled = connection.execute(
            select(RunRow.settled).where(RunRow.id == str(made[1].id))
        ).scalar_one()
    assert not settled
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_an_earlier_attempt_that_is_gone_is_named_and_set_aside(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    build = world.end(world.start(world.queue()), "test")
    world.pass_time(minutes=3)
    world.end(world.retry(build))
    build.earlier.clear()
    world.pass_time(minutes=5)
    outcome = run(sqlite, source)
    assert outcome.problems == (f"run {build.id}: the steps of attempt 1 are gone",)
    assert run(sqlite, source).outcome == "partial"
    assert run(sqlite, source).outcome == "ok"
    assert len(stored(sqlite)[str(build.id)]["steps"]) == 6


def test_a_403_for_one_timeline_is_a_problem_of_that_run(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    made = world.history(12)
    world.pass_time(minutes=5)
    instead(simulator, f"/{made[7].id}/timeline", (403, ""))
    outcome = run(sqlite, source)
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
    assert sum(bool(row["steps"]) for row in stored(sqlite).values()) == 11


@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_ends_early_is_no_end(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database, page: int
) -> None:
    """Shorter than was asked for, and no token: that looks like the last one."""
    world.history(250)
    world.pass_time(minutes=20)
    honest, pages = simulator.answer, [0]

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        told = honest(asked, body, token)
        if asked.query.get("statusFilter") != "completed" or asked.query["$top"] == "1":
            return told
        pages[0] += 1
        if pages[0] != page:
            return told
        rows = told[1]["value"][:60]
        return told[0], {"count": len(rows), "value": rows}, {}

    simulator.answer = answer  # type: ignore[method-assign]
    assert run(sqlite, source).outcome == "failed"
    assert run(sqlite, source).outcome == "ok"
    assert len(stored(sqlite)) == 250
    assert run(sqlite, source).requests == 2


def test_fewer_rows_than_are_counted_are_no_page(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    world.history(3)
    instead(simulator, "/builds", (200, {"count": 3, "value": []}))
    with pytest.raises(SourceError, match="0 rows came where 3 are due"):
        list(source.pages(listing, None, {}))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: {**raw, "definition": {**raw["definition"], "id": 13}},
        lambda raw: {**raw, "project": {**raw["project"], "id": "other"}},
    ],
)
def test_foreign_builds_are_refused(
    world: World, source: Azure, listing: Listing, change: Any
) -> None:
    made = world.history(3)
    world.spoilt[made[1].id] = change
    with pytest.raises(SourceError, match="builds of other pipelines"):
        list(source.pages(listing, None, {}))


def test_a_deleted_build_that_is_shown_is_none(
    world: World, source: Azure, sqlite: Database
) -> None:
    made = world.history(3)
    for key in (made[1].id, -made[1].id):
        world.spoilt[key] = lambda raw: {**raw, "deleted": True}
    run(sqlite, source)
    assert set(stored(sqlite)) == {str(made[0].id), str(made[2].id)}
    with pytest.raises(NotFoundError, match="is deleted"):
        source.reread(Pipeline(ID), str(made[1].id))


@pytest.mark.parametrize("empty_answers", [1, 2, 5])
@pytest.mark.parametrize("waiting", [0, 2])
def test_empty_answers_lose_nothing(
    world: World,
    simulator: AzureSimulator,
    source: Azure,
    sqlite: Database,
    empty_answers: int,
    waiting: int,
) -> None:
    world.history(5)
    for _ in range(waiting):
        world.queue()
    world.pass_time(minutes=5)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        found = honest(asked, body, token)
        is_list = asked.query.get("statusFilter") == "completed"
        is_spoilt = is_list and 1 < len(simulator.asked) <= 1 + empty_answers
        return (200, {"count": 0, "value": []}, {}) if is_spoilt else found

    simulator.answer = answer  # type: ignore[method-assign]
    with contextlib.suppress(SourceError):
        run(sqlite, source)
    with sqlite.read() as connection:
        claims = connection.execute(select(CoverageRow.reaches_start)).scalars().all()
    assert not any(claims)
    run(sqlite, source)
    run(sqlite, source)
    assert stored(sqlite) == truth(world)


def test_no_secret_is_stored_or_shown(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    build = world.end(world.start(world.queue()), "test")
    assert any(SECRET in repr(record.issues) for record in build.records)
    world.pass_time(minutes=5)
    run(sqlite, source)
    refused = world.history(1)[0]
    instead(simulator, f"/{refused.id}/timeline", (400, ""))
    outcome = run(sqlite, source)
    assert outcome.problems
    with sqlite.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    content = Path(str(sqlite.engine.url.database)).read_bytes()
    assert b"exit code 1 in test" in content
    for secret in (SECRET, MAIL, simulator.token):
        assert secret.encode() not in content
        assert secret not in repr(outcome)


def test_a_spent_limit_and_a_failure_are_waited_for(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database
) -> None:
    world.history(2)
    simulator.refusals += [(429, {"Retry-After": "0"}, ""), (503, {}, "")]
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_a_limit_is_known_by_its_words_too(
    world: World, simulator: AzureSimulator, sqlite: Database
) -> None:
    world.history(1)
    blocked = '{"message": "TF400733: The request has been canceled: Request was blocked"}'
    simulator.refusals += [(403, {}, blocked)]
    with opened(simulator, replace(QUICK, first_limit_pause=0.02)) as source:
        assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize(
    ("cut", "what"),
    [
        (
            lambda rows: [r for r in rows if r["type"] != "Stage"],
            "record {} is not shown",
        ),
        (
            lambda rows: [one | {"state": "pending", "result": None} for one in rows],
            "it has ended, and no task is shown that did so",
        ),
    ],
)
def test_a_timeline_that_belies_its_build_is_asked_for_again(
    world: World, simulator: AzureSimulator, source: Azure, sqlite: Database, cut: Any, what: str
) -> None:
    made = world.history(3)
    world.pass_time(hours=1)
    key = f"timeline {made[1].id}"
    world.spoilt[key] = lambda told: told | {"records": cut(told["records"])}
    outcome = run(sqlite, source)
    what = what.format(next(one.id for one in made[1].records if one.kind == "Stage"))
    assert (outcome.outcome, outcome.problems) == ("partial", (f"run {made[1].id}: {what}",))
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)

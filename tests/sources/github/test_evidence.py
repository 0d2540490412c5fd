"""What an answer of GitHub's proves, and what it leaves open."""

from __future__ import annotations

from typing import Any

import pytest

from runsync.sources.github.source import GitHub
from runsync.storage.database import Database
from tests.sources.github.rig import run_ids, small_pages, walked
from tests.sources.github.server import Refusal, Server, Service
from tests.sources.github.story import DAY
from tests.sources.github.truth import run_sync, stored, truth
from tests.sources.github.world import NOW, SECOND, World

AT = NOW - 60 * DAY


def fill(world: World, count: int) -> None:
    for n in range(count):
        world.add_run(AT + n * 60 * SECOND)


def twice_instead_of_another(rows: list[Any]) -> list[Any]:
    return [rows[0], *rows[:-2], rows[-1]] if len(rows) > 2 else [rows[0]] * len(rows)


@pytest.mark.parametrize("times", [1, 99])
def test_a_job_that_is_listed_twice_hides_another(
    github: GitHub, service: Service, sqlite: Database, times: int
) -> None:
    run = service.world.add_run(NOW - DAY)
    left = [None] * times

    def double(path: str, body: Any) -> Any:
        if path.endswith("/jobs") and body["jobs"] and left:
            left.pop()
            return {**body, "jobs": twice_instead_of_another(body["jobs"])}
        return body

    service.mangle = double
    outcome = run_sync(sqlite, github)
    if times > 1:
        assert outcome.problems == (f"run {run.id}: 1 of its 2 jobs are listed",)
        assert stored(sqlite, "settled") == {str(run.id): (False,)}
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


def test_a_run_that_passed_has_had_jobs(github: GitHub, service: Service, sqlite: Database) -> None:
    run = service.world.add_run(NOW - DAY)
    none = {"total_count": 0, "jobs": []}
    service.mangle = lambda path, body: none if path.endswith("/jobs") else body
    outcome = run_sync(sqlite, github)
    assert outcome.problems == (f"run {run.id}: it passed, but no job of it is listed",)
    assert stored(sqlite, "settled") == {str(run.id): (False,)}
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


def test_a_row_that_does_not_tell_its_attempt_is_not_taken_for_the_first(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    run = service.world.add_run(NOW - 5 * DAY)
    run_sync(sqlite, github)
    service.world.rerun(run, NOW - DAY, "failure")

    def blank(path: str, body: Any) -> Any:
        for row in body.get("workflow_runs", ()):
            del row["run_attempt"]
        return body

    service.mangle = blank
    outcome = run_sync(sqlite, github)
    assert outcome.problems == (f"run {run.id}: `run_attempt` is missing",)
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


@pytest.mark.parametrize("size", [30, 130])
@pytest.mark.parametrize("times", [1, 2, 99])
def test_a_run_that_is_listed_twice_hides_another(
    github: GitHub, service: Service, sqlite: Database, size: int, times: int
) -> None:
    fill(service.world, size)
    left = [None] * times

    def double(path: str, body: Any) -> Any:
        if path.endswith("/runs") and len(body["workflow_runs"]) > 5 and left:
            left.pop()
            return {**body, "workflow_runs": twice_instead_of_another(body["workflow_runs"])}
        return body

    service.mangle = double
    outcome = run_sync(sqlite, github).outcome
    assert outcome == ("failed" if times == 99 else "ok")
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


@pytest.mark.parametrize("size", [30, 130])
def test_a_page_that_shows_less_than_it_counts_is_asked_for_again(
    github: GitHub, service: Service, sqlite: Database, size: int
) -> None:
    fill(service.world, size)
    left = [None]

    def lose(path: str, body: Any) -> Any:
        if path.endswith("/runs") and left:
            left.pop()
            del body["workflow_runs"][7]
        return body

    service.mangle = lose
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(service.world)


def test_more_of_a_second_than_a_page_that_is_shorter_than_asked_for(server: Server) -> None:
    world = World(page=10, cap=100)
    fill(world, 3)
    for _ in range(35):
        world.add_run(AT + DAY)
    with small_pages(server, world) as (_, source):
        world.page = 4
        assert set(run_ids(walked(source))) == {str(run) for run in world.runs}


def test_a_run_is_not_gone_because_all_is_hidden(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    """A token that may not read a private repository is answered 404, for the listing as well."""
    world = service.world
    run = world.add_run(AT)

    def refuse(path: str, body: Any) -> Any:
        if path.endswith("/jobs"):
            raise Refusal(403, "Resource not accessible")
        return body

    def hide(path: str, body: Any) -> Any:
        raise Refusal(404, "Not Found")

    for mangle in (refuse, hide, hide):
        service.mangle = mangle
        assert run_sync(sqlite, github).outcome in ("partial", "failed")
        assert stored(sqlite, "settled", "vanished_at") == {str(run.id): (False, None)}
        world.now += 30 * DAY
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_a_page_of_another_repository_is_not_taken(
    github: GitHub, service: Service, sqlite: Database
) -> None:
    """A cache may answer with what it keeps of another one."""
    fill(service.world, 3)

    def mix_up(path: str, body: Any) -> Any:
        for row in body.get("workflow_runs", ()):
            row["repository"] = row["repository"] | {"id": 5}
        return body

    service.mangle = mix_up
    outcome = run_sync(sqlite, github)
    assert "and not of" in (outcome.error or "")
    assert stored(sqlite) == {}
    service.mangle = lambda _, body: body
    assert run_sync(sqlite, github).outcome == "ok"
    service.mangle = mix_up
    service.world.add_run(NOW - DAY)
    assert run_sync(sqlite, github).outcome == "failed"
    assert len(stored(sqlite)) == 3

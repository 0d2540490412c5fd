"""What an answer of GitLab's proves, and what it leaves open."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runsync.errors import RefusedError, SourceError
from runsync.records import Pipeline
from runsync.sources.base import Listed, Listing, Page
from runsync.sources.gitlab.source import GitLab
from runsync.storage import tables
from runsync.storage.database import Database
from tests.sources.gitlab.simulator import Asked, GitLabSimulator, RefusalError, World
from tests.sources.gitlab.test_sync import run
from tests.sources.gitlab.truth import stored, truth


def refuse(simulator: GitLabSimulator, status: int, end: str, times: int = 1000) -> None:
    """Lets requests for a path with that end be refused."""
    left, honest = [times], simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        if asked.path.endswith(end) and left[0] > 0:
            left[0] -= 1
            raise RefusalError(status, {"message": f"{status} on order"})
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]


def without_updated_at(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "updated_at": None}


def test_a_passing_404_for_jobs_settles_nothing(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    made = world.history(3)
    world.pass_time(minutes=2)
    refuse(simulator, 404, f"/{made[1].id}/jobs", 1)
    outcome = run(sqlite, source)
    what = f"run {made[1].id}: its jobs are not found, though the run is there"
    assert (outcome.outcome, outcome.problems) == ("partial", (what,))
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_one_answer_that_cannot_be_read_sets_no_run_aside_that_was_read_before(
    world: World, source: GitLab, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(minutes=11)
    assert run(sqlite, source).outcome == "ok"
    world.retry(made[4], made[4].jobs[0])
    world.pass_time(minutes=11)
    world.end(made[4])
    world.pass_time(minutes=11)
    world.spoilt[made[4].jobs[0].id] = lambda raw: raw | {"name": None}
    outcome = run(sqlite, source)
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_what_cannot_be_read_twice_is_set_aside_and_asked_for_once_a_day(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(minutes=11)
    world.spoilt[made[4].jobs[0].id] = lambda raw: raw | {"name": None}
    for outcome, hours in (("partial", 0), ("partial", 1), ("ok", 22), ("ok", 2)):
        assert run(sqlite, source).outcome == outcome
        world.pass_time(hours=hours)
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_a_pipeline_without_a_job_settles(world: World, source: GitLab, sqlite: Database) -> None:
    empty = world.create(status="canceled", started_at=world.now, finished_at=world.now)
    world.pass_time(minutes=11)
    assert run(sqlite, source).outcome == "ok"
    with sqlite.read() as connection:
        rows = connection.execute(select(tables.runs)).mappings().all()
    assert [(row["id"], row["settled"]) for row in rows] == [(str(empty.id), True)]
    assert rows[0]["started_at"] is not None


def test_a_403_for_one_runs_jobs_is_a_problem_of_that_run(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    made = world.history(30)
    world.pass_time(minutes=2)
    refuse(simulator, 403, f"/{made[7].id}/jobs")
    outcome = run(sqlite, source)
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
    rows = stored(sqlite)
    assert len(rows) == 30
    assert sum(bool(row["steps"]) for row in rows.values()) == 29


def test_a_403_for_the_listing_is_a_refused_token(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    world.history(2)
    refuse(simulator, 403, "/pipelines")
    outcome = run(sqlite, source)
    assert outcome.outcome == "failed"
    assert outcome.cause is not None
    assert outcome.cause.exit_code == 3


@pytest.mark.parametrize("size", [5, 130])
@pytest.mark.parametrize("every", [1, 2])
def test_rows_without_a_time_of_change_are_stored(
    world: World, source: GitLab, sqlite: Database, size: int, every: int
) -> None:
    made = world.history(size)
    world.spoilt |= {p.id: without_updated_at for p in made[::every]}
    world.pass_time(minutes=2)
    assert run(sqlite, source).outcome == "ok"
    assert set(stored(sqlite)) == {str(p.id) for p in made}
    assert run(sqlite, source).outcome == "ok"


def test_a_run_without_a_time_of_change_is_followed_to_its_end(
    world: World, source: GitLab, sqlite: Database
) -> None:
    pipeline = world.create("build")
    world.spoilt |= {pipeline.id: without_updated_at, -pipeline.id: without_updated_at}
    world.start(pipeline)
    world.pass_time(minutes=5)
    run(sqlite, source)
    assert stored(sqlite)[str(pipeline.id)]["status"] == "running"
    world.end(pipeline)
    world.pass_time(minutes=5)
    run(sqlite, source)
    assert stored(sqlite)[str(pipeline.id)]["status"] == "finished"


def test_a_list_that_ignores_paging_is_refused(
    world: World, simulator: GitLabSimulator, source: GitLab
) -> None:
    pipeline = world.create(*(f"job {n}" for n in range(150)))
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        asked.query.pop("page", None)
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="the same rows on page after page"):
        source.reread(Pipeline(World.path), str(pipeline.id))
    assert len(simulator.asked) < 10


def test_a_listing_that_ignores_its_bound_is_refused(
    world: World, simulator: GitLabSimulator, source: GitLab, listing: Listing
) -> None:
    world.history(150)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        asked.query.pop("updated_before", None)
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="does not come by the time of change"):
        list(source.pages(listing, None, {}))


@pytest.mark.parametrize("text", ["../../etc", "", "12x", "-1"])
def test_what_is_no_id_is_refused_unasked(
    simulator: GitLabSimulator, source: GitLab, text: str
) -> None:
    for ask in (source.find_run, source.abort):
        with pytest.raises(RefusedError, match="no id of a GitLab pipeline"):
            ask(Pipeline(World.path), text)
    assert simulator.asked == []


@pytest.mark.parametrize("empty_answers", [1, 2, 5])
def test_empty_answers_end_no_listing(
    world: World,
    simulator: GitLabSimulator,
    source: GitLab,
    listing: Listing,
    empty_answers: int,
) -> None:
    made = world.history(250)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        found = honest(asked, body, token)
        return (200, [], {}) if 1 < len(simulator.asked) <= 1 + empty_answers else found

    simulator.answer = answer  # type: ignore[method-assign]
    pages: list[Page] = []
    with contextlib.suppress(SourceError):
        pages += source.pages(listing, None, {})
    found = {i.run.id for page in pages for i in page.items if isinstance(i, Listed)}
    assert found == {str(p.id) for p in made} or not any(page.at_start for page in pages)


def test_an_end_whose_last_run_has_moved_is_proven(
    world: World, simulator: GitLabSimulator, source: GitLab, listing: Listing
) -> None:
    made = world.history(101)

    def move(asked: Asked) -> None:
        if len(simulator.asked) == 2:
            for pipeline in made[:3]:
                world.move(pipeline, "running")

    simulator.before = move
    assert list(source.pages(listing, None, {}))[-1].at_start


# What a sync could not see yet is found by the next one, however long that is in coming.


def test_a_change_that_a_sync_could_not_see_is_found_by_a_late_next_one(
    world: World, source: GitLab, sqlite: Database
) -> None:
    world.history(5)
    late = world.create("build")
    world.start(late)
    world.end(late)
    late.visible_from = world.now + timedelta(hours=1)
    world.history(40, gap=30)
    run(sqlite, source)
    assert str(late.id) not in stored(sqlite)
    world.pass_time(hours=2)
    world.history(170, gap=1)
    world.pass_time(hours=5)
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_one_that_may_not_stay_so_is_read_again_by_a_late_next_sync(
    world: World, source: GitLab, sqlite: Database
) -> None:
    world.history(5)
    pipeline = world.create("build", "lint")
    for one in (pipeline, *(world.create("build") for _ in range(40))):
        world.pass_time(milliseconds=5)
        world.start(one)
        world.end(one)
    run(sqlite, source)
    pipeline.jobs[0].allow_failure = True
    world.pass_time(hours=2)
    world.history(170, gap=1)
    world.pass_time(hours=5)
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_what_stays_unreadable_does_not_make_the_listing_longer_to_read(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    made = world.history(3)
    refuse(simulator, 403, f"/{made[1].id}/jobs")
    for _ in range(3):
        world.pass_time(hours=5)
        world.history(110, gap=60)
        simulator.asked.clear()
        assert run(sqlite, source).outcome == "partial"
    assert simulator.paths().count("pipelines") == 2


def test_nothing_new_writes_nothing(world: World, source: GitLab, sqlite: Database) -> None:
    world.history(3)
    for _ in range(2):
        world.pass_time(minutes=5)
        run(sqlite, source)
    before = memory(sqlite)
    assert "changed" in before
    world.pass_time(minutes=5)
    run(sqlite, source)
    assert memory(sqlite) == before


def memory(database: Database) -> Any:
    with database.read() as connection:
        return connection.execute(select(tables.listings.c.memory)).scalar_one()


def test_a_detail_that_is_older_than_the_listing_is_not_the_run(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    pipeline = world.create("build")
    world.start(pipeline)
    running = world.detail(pipeline)
    world.pass_time(minutes=5)
    world.end(pipeline)
    world.pass_time(minutes=5)
    world.spoilt[-pipeline.id] = lambda raw: running
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert "older than its last change" in outcome.problems[0]
    world.spoilt.clear()
    world.history(150)
    world.pass_time(hours=9)
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


# Answers that contradict themselves.


def test_a_run_that_passed_has_had_jobs(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    made = world.history(3)
    world.pass_time(minutes=5)
    passed = next(one for one in made if one.status == "success")
    hide(simulator, f"/{passed.id}/jobs", lambda rows, headers: ([], {"X-Next-Page": ""}))
    outcome = run(sqlite, source)
    assert outcome.problems == (f"run {passed.id}: it passed, but no job of it is listed",)
    del simulator.answer
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize("path", ["/jobs", "/pipelines"])
def test_a_row_that_comes_twice_hides_another(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database, path: str
) -> None:
    world.history(4)
    world.pass_time(minutes=5)
    hide(simulator, path, lambda rows, headers: ([rows[0], *rows[:-2], rows[-1]], headers))
    outcome = run(sqlite, source)
    assert "a row came twice, perhaps instead of another" in (outcome.error or "")
    del simulator.answer
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


@pytest.mark.parametrize("size", [20, 100])
def test_a_short_page_that_does_not_tell_what_follows_is_no_end(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database, size: int
) -> None:
    """Perhaps a proxy took the headers away, and fewer rows are listed than were asked for."""
    world.history(50)
    many = world.create(*(f"job {n}" for n in range(45)))
    world.start(many)
    world.end(many)
    world.pass_time(minutes=5)

    def smaller(asked: Asked) -> None:
        if "per_page" in asked.query:
            asked.query["per_page"] = str(min(size, int(asked.query["per_page"])))

    simulator.before = smaller
    hide(simulator, "s", lambda rows, headers: (rows, {}))
    assert run(sqlite, source).outcome == "ok"
    assert stored(sqlite) == truth(world)


def test_a_page_of_another_project_is_not_taken(
    world: World, simulator: GitLabSimulator, source: GitLab, sqlite: Database
) -> None:
    world.history(3)
    world.pass_time(minutes=5)
    other = {"project_id": World.number + 1}
    hide(simulator, "/pipelines", lambda rows, headers: ([row | other for row in rows], headers))
    assert "and not of" in (run(sqlite, source).error or "")
    assert stored(sqlite) == {}
    world.number += 1
    assert run(sqlite, source).outcome == "ok"


def hide(simulator: GitLabSimulator, end: str, change: Callable[[Any, Any], Any]) -> None:
    """Changes rows and headers of answers for a path with that end."""
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        status, rows, headers = honest(asked, body, token)
        return (
            (status, *change(rows, headers))
            if asked.path.endswith(end)
            else (status, rows, headers)
        )

    simulator.answer = answer  # type: ignore[method-assign]

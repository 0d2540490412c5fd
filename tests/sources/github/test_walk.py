"""The walk finds every run, whatever arrives or is deleted meanwhile, and however low the caps."""

from __future__ import annotations

import contextlib
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.errors import SourceError
from runsync.records import Cursor
from runsync.sources.base import Page
from runsync.sources.github.source import GitHub
from tests.sources.github.rig import (
    listed,
    problems,
    repository,
    run_ids,
    small_pages,
    walked,
    workflow,
)
from tests.sources.github.server import Server, Service
from tests.sources.github.world import NOW, SECOND, World, shown

AT = NOW - timedelta(days=3)
PAGE, CAP = 4, 12


def fill(world: World, count: int, gap: float = 60.0, start: datetime = AT) -> list[str]:
    """Runs at equal distances; their ids, newest first."""
    return [str(world.add_run(start + n * gap * SECOND).id) for n in range(count)][::-1]


def test_an_empty_listing(github: GitHub, service: Service) -> None:
    (page,) = walked(github)
    assert (page.items, page.at_start, page.unchanged) == ((), True, False)
    assert page.as_of == NOW
    assert len(service.listed) == 1


def test_a_listing_of_one_page_takes_one_request(github: GitHub, service: Service) -> None:
    ids = fill(service.world, 99)
    pages = walked(github)
    assert run_ids(pages) == ids
    assert [page.at_start for page in pages] == [True]
    assert len(service.listed) == 1


def test_the_end_of_a_full_page_is_not_the_end_of_the_list(
    github: GitHub, service: Service
) -> None:
    """GitHub's count may lag behind: a hundred of a hundred may be a hundred of more."""
    ids = fill(service.world, 100)
    pages = walked(github)
    assert run_ids(pages) == ids
    assert [page.at_start for page in pages] == [False, True]


def test_a_long_listing_is_walked_window_by_window(github: GitHub, service: Service) -> None:
    ids = fill(service.world, 450)
    pages = walked(github)
    assert run_ids(pages) == ids
    assert [page.at_start for page in pages][-1]
    assert not any(page.at_start for page in pages[:-1])
    first, second, *_ = service.listed
    assert first.query == {"per_page": "100", "exclude_pull_requests": "true"}
    oldest = AT + 350 * 60 * SECOND
    assert second.query == {**first.query, "created": f"<{shown(oldest + SECOND)}"}
    assert len(service.listed) == 5


def test_a_short_page_in_the_midst_is_no_end(github: GitHub, service: Service) -> None:
    ids = fill(service.world, 150)

    def hide(path: str, body: dict[str, list[object]]) -> object:
        if path.endswith("/runs") and len(body["workflow_runs"]) == 100:
            del body["workflow_runs"][50:]
        return body

    service.mangle = hide
    assert run_ids(walked(github)) == ids


def test_a_window_that_does_not_join_is_a_reason_to_step_back(
    github: GitHub, service: Service
) -> None:
    """GitHub's search may leave something out, up to finding nothing at all."""
    ids = fill(service.world, 250)

    def lose(path: str, body: dict[str, Any]) -> Any:
        if len(service.listed) == 1:
            return {"total_count": 0, "workflow_runs": []}
        return body

    service.mangle = lose
    assert run_ids(walked(github)) == ids
    assert ["created" in asked.query for asked in service.listed][:4] == [False, True, False, True]


def test_a_search_that_never_finds_is_an_error(github: GitHub, service: Service) -> None:
    fill(service.world, 250)
    nothing = {"total_count": 0, "workflow_runs": []}
    service.mangle = lambda _, body: nothing if body["total_count"] < 250 else body
    with pytest.raises(SourceError, match="moves faster than it can be read"):
        walked(github)


def test_a_service_that_does_not_filter_is_none_of_github_s(
    github: GitHub, service: Service
) -> None:
    fill(service.world, 150)
    first: list[Any] = []

    def repeat(path: str, body: Any) -> Any:
        first.append(body)
        return first[0]

    service.mangle = repeat
    with pytest.raises(SourceError, match="check that base_url is GitHub's"):
        walked(github)


def test_from_a_place_down(github: GitHub, service: Service) -> None:
    ids = fill(service.world, 30)
    cursor = Cursor(AT + 12 * 60 * SECOND, ids[17].zfill(19))
    pages = walked(github, resume_point=cursor)
    assert run_ids(pages) == ids[17:]
    assert service.listed[0].query["created"] == f"<{shown(cursor.at + SECOND)}"


def test_from_a_place_whose_run_is_gone(github: GitHub, service: Service) -> None:
    """A page that does not hold it is asked for twice."""
    ids = fill(service.world, 30)
    cursor = Cursor(AT + 12 * 60 * SECOND, ids[17].zfill(19))
    service.world.delete(service.world.runs[int(ids[17])])
    assert run_ids(walked(github, resume_point=cursor)) == ids[18:]
    assert len(service.listed) == 2


def test_from_a_place_down_where_nothing_is_left(github: GitHub, service: Service) -> None:
    cursor = Cursor(AT, "5001".zfill(19))
    with pytest.raises(SourceError, match="moves faster than it can be read"):
        walked(github, resume_point=cursor)
    assert len(service.listed) == 6
    assert "2023" not in service.listed[-1].query["created"]


def test_from_a_place_where_nothing_is_left_below(github: GitHub, service: Service) -> None:
    """What lies above shows that nothing follows it."""
    ids = fill(service.world, 30)
    cursor = Cursor(AT - timedelta(days=9), "5000".zfill(19))
    pages = walked(github, resume_point=cursor)
    assert run_ids(pages) == ids
    assert pages[-1].at_start


@pytest.mark.parametrize("empty_answers", [1, 2, 3, 9])
def test_empty_answers_end_no_listing(github: GitHub, service: Service, empty_answers: int) -> None:
    ids = fill(service.world, 250)

    def lose(path: str, body: dict[str, Any]) -> Any:
        if 1 <= len(service.listed) <= empty_answers:
            return {"total_count": 0, "workflow_runs": []}
        return body

    service.mangle = lose
    pages: list[Page] = []
    with contextlib.suppress(SourceError):
        pages += github.pages(workflow(github), None, {})
    assert run_ids(pages) == ids or not any(page.at_start for page in pages)


def test_rows_that_look_the_same_are_a_hole_each(github: GitHub, service: Service) -> None:
    fill(service.world, 30)
    service.mangle = lambda _, body: {
        **body,
        "workflow_runs": [
            None if n in (3, 4, 9) else r for n, r in enumerate(body["workflow_runs"])
        ],
    }
    pages = walked(github)
    assert len(problems(pages)) == 3
    assert len(run_ids(pages)) == 27


def test_a_search_that_once_finds_nothing_is_no_start(github: GitHub, service: Service) -> None:
    ids = fill(service.world, 30)
    cursor = Cursor(AT + 12 * 60 * SECOND, "")

    def lose(path: str, body: dict[str, Any]) -> Any:
        return body if service.listed else {"total_count": 0, "workflow_runs": []}

    service.mangle = lose
    assert set(run_ids(walked(github, resume_point=cursor))) >= set(ids[17:])


def test_a_repository_lists_all_its_workflows(github: GitHub, world: World) -> None:
    other = world.add_workflow("Nightly", ".github/workflows/nightly.yml")
    world.add_run(AT)
    world.add_run(AT + SECOND, workflow=other)
    found = {
        item.run.pipeline.external_id: item.run.pipeline.name
        for item in listed(walked(github, repository(github)))
    }
    assert found == {"octo-org/hello.world/101": "CI", "octo-org/hello.world/102": "Nightly"}
    assert len(listed(walked(github, workflow(github, "nightly.yml")))) == 1


def test_more_of_a_second_than_a_page(server: Server) -> None:
    world = World(page=10, cap=100)
    fill(world, 3, start=AT - timedelta(hours=1))
    fill(world, 3, gap=0.4, start=AT - SECOND)
    fill(world, 95, gap=0)
    fill(world, 3, start=AT + timedelta(hours=1))
    with small_pages(server, world) as (service, source):
        found = run_ids(walked(source))
    assert len(found) == 104
    assert set(found) == {str(run) for run in world.runs}
    # The top; the second as a window, and by its ten pages; what is older.
    assert len(service.listed) == 13


@pytest.mark.parametrize("counts", ["true", "capped", "none"])
def test_more_of_a_second_than_github_lists(github: GitHub, service: Service, counts: str) -> None:
    service.world.counts = counts
    fill(service.world, 3, start=AT - timedelta(hours=1))
    fill(service.world, 1000, gap=0)
    pages = github.pages(workflow(github), None, {})
    assert len(next(iter(pages)).items) == 100
    with pytest.raises(SourceError, match=f"1000 runs or more .* the second {shown(AT)}") as caught:
        list(pages)
    assert "gh/workflow/octo-org/hello.world/ci.yml" in str(caught.value)


def test_a_page_of_rows_that_all_are_unreadable(github: GitHub, service: Service) -> None:
    fill(service.world, 150)
    service.mangle = lambda _, body: {**body, "workflow_runs": [{"id": 1}] * 100}
    with pytest.raises(SourceError, match="not one of 100 rows can be read"):
        walked(github)


@pytest.mark.parametrize(
    "body", [[], {"message": "hello"}, {"workflow_runs": []}, {"total_count": 0}]
)
def test_an_answer_that_is_no_listing(github: GitHub, service: Service, body: object) -> None:
    service.mangle = lambda _, __: body
    with pytest.raises(SourceError, match="check that base_url is GitHub's"):
        walked(github)


def test_what_is_deleted_from_a_full_second_hides_nothing(github: GitHub, service: Service) -> None:
    world = service.world
    ids = fill(world, 250, gap=0)
    gone = [world.runs[int(ids[10])], world.runs[int(ids[20])]]

    def delete(page: int) -> None:
        # Pages: the top, the same second as a window, then its pages 1, 2, …
        if page == 4:
            world.delete(gone.pop())

    service.before = delete
    assert set(run_ids(walked(github))) >= {str(run) for run in world.runs}


def test_a_second_that_never_stands_still(server: Server) -> None:
    world = World(page=10, cap=100)
    ids = fill(world, 95, gap=0)
    with small_pages(server, world) as (service, source):
        service.before = lambda _: world.delete(world.runs[int(ids.pop())])
        with pytest.raises(SourceError, match="moves faster than it can be read"):
            walked(source)


gaps = st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 3.0, 700.0]), max_size=40)
moves = st.lists(st.sampled_from(["arrive", "arrive at once", "delete", "nothing"]), max_size=30)


@given(
    gaps=gaps,
    moves=moves,
    counts=st.sampled_from(["true", "capped", "none", "lagging"]),
    seed=st.integers(0, 2**16),
)
def test_any_history_is_found_whole(
    server: Server, gaps: list[float], moves: list[str], counts: str, seed: int
) -> None:
    world = World(page=PAGE, cap=CAP)
    world.counts = counts
    at = NOW - timedelta(days=1)
    for gap in gaps:
        at += gap * SECOND
        if _in_second(world, at) < CAP - 2:
            world.add_run(at)
    chance, there = random.Random(seed), {str(run) for run in world.runs}

    def move(page: int) -> None:
        what = moves[page] if page < len(moves) else "nothing"
        if what == "delete" and world.runs:
            gone = chance.choice(list(world.runs.values()))
            world.delete(gone)
            there.discard(str(gone.id))
        elif what != "nothing":
            newest = max((run.created for run in world.runs.values()), default=at)
            late = 0.0 if what == "arrive at once" else 1.0
            if _in_second(world, newest) < CAP - 2:
                world.add_run(newest + late * SECOND)

    with small_pages(server, world) as (service, source):
        service.before = move
        pages: list[Page] = []
        try:
            pages += source.pages(workflow(source), None, {})
        except SourceError:
            # A full second at the very end, a count that is wrong, and below it an empty answer,
            # or all were deleted: that proves no end.
            assert counts == "lagging" or not world.runs
            assert not any(page.at_start for page in pages)
            return
    found = run_ids(pages)
    assert len(found) == len(set(found))
    assert there <= set(found)
    assert [page.at_start for page in pages].count(True) == 1
    assert pages[-1].at_start


def _in_second(world: World, at: datetime) -> int:
    """How many runs a span of that second can show: GitHub is asked for one more second."""
    return sum(abs(run.created - at) < 2 * SECOND for run in world.runs.values())

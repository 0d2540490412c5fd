"""No origin is missed, however the listing moves, and history is asked for no more than needed."""

from typing import Any

import pytest

from runsync.errors import NotFoundError, SourceError
from runsync.records import Problem
from runsync.sources.base import Listed, Listing, Page, ResumePoint
from runsync.sources.circleci.source import CircleCI
from runsync.storage.database import Database
from tests.sources.circleci.rig import opened, run
from tests.sources.circleci.simulator import Asked, CircleSimulator
from tests.sources.circleci.truth import stored, truth
from tests.sources.circleci.world import World


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def numbers(pages: list[Page]) -> list[int]:
    found = [i for page in pages for i in page.items if isinstance(i, Listed)]
    return [int(one.run.number or 0) for one in found]


def walked(source: CircleCI, listing: Listing) -> list[Page]:
    return list(source.pages(listing, None, {}))


def altered(simulator: CircleSimulator, change: Any) -> None:
    """Changes what the list answers: ``change(page, data)``, pages numbered from 1."""
    honest, seen = simulator.answer, [0]

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        status, data = honest(asked, body, token)
        if asked.path.endswith("/shop/pipeline"):
            seen[0] += 1
            data = change(seen[0], data)
        return status, data

    simulator.answer = answer  # type: ignore[method-assign]


def test_newest_first_with_one_request_an_origin(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(45)
    pages = walked(source, listing)
    assert numbers(pages) == list(range(45, 0, -1))
    assert [page.at_start for page in pages] == [False, False, True]
    kinds = simulator.kinds()
    assert (kinds.count("list"), kinds.count("workflows"), kinds.count("project")) == (3, 45, 1)
    # The lowest number is 1, so nothing can stand below.
    assert kinds.count("number") == 0


def test_deletions_pull_none_across_the_edge_of_a_page(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(60)
    lists = [0]

    def disturb(asked: Asked) -> None:
        if asked.path.endswith("/shop/pipeline"):
            lists[0] += 1
            for _ in range(2 if lists[0] == 2 else 0):
                world.forget(world.pipelines[-3])

    simulator.before = disturb
    pages = walked(source, listing)
    assert sorted(numbers(pages), reverse=True) == list(range(60, 0, -1))
    assert simulator.kinds().count("number") == 2


def test_arrivals_are_not_shown_twice(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(60)

    def disturb(asked: Asked) -> None:
        if asked.path.endswith("/shop/pipeline") and len(world.pipelines) < 66:
            world.push("build-and-test")

    simulator.before = disturb
    found = numbers(walked(source, listing))
    assert found[:1] == [61]
    assert sorted(found, reverse=True) == list(range(61, 0, -1))


def test_numbers_that_were_never_listed_are_asked_for_at_the_edges_alone(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(50)
    for place in (39, 29, 10, 0):
        world.forget(world.pipelines[place])
    assert len(numbers(walked(source, listing))) == 46
    # One below the lowest; perhaps one between the first two pages.
    assert simulator.kinds().count("number") <= 2


@pytest.mark.parametrize("page", [2, 3])
def test_an_empty_page_is_no_end(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator, page: int
) -> None:
    world.history(50)
    altered(
        simulator,
        lambda n, data: {"items": [], "next_page_token": None} if n == page else data,
    )
    pages = walked(source, listing)
    assert numbers(pages) == list(range(50, 0, -1))
    assert pages[-1].at_start


def test_a_list_cut_short_is_no_end(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(30)
    altered(simulator, lambda n, data: data | {"items": data["items"][:7], "next_page_token": None})
    assert numbers(walked(source, listing)) == list(range(30, 0, -1))


def test_a_page_token_that_is_not_found_is_gone_round_by_numbers(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(50)
    world.forget(world.pipelines[12])
    simulator.dead_tokens = True
    pages = walked(source, listing)
    assert numbers(pages) == [n for n in range(50, 0, -1) if n != 13]
    assert pages[-1].at_start


def test_by_numbers_a_list_ends_where_a_page_of_them_is_unknown(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(100)
    del world.pipelines[:60]
    simulator.dead_tokens = True
    pages = walked(source, listing)
    assert numbers(pages) == list(range(100, 60, -1))
    assert pages[-1].at_start
    assert simulator.kinds().count("number") <= 41


def test_a_listing_that_is_not_found_is_an_error(
    source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    simulator.world.slug = "gh/acme/renamed"
    with pytest.raises(NotFoundError, match="404"):
        walked(source, listing)


def test_a_list_that_goes_in_a_circle_is_refused(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(45)
    altered(simulator, lambda n, data: data | {"next_page_token": "AARLwwV000000="})
    with pytest.raises(SourceError, match="on page after page"):
        walked(source, listing)
    assert simulator.kinds().count("list") < 12


def test_a_list_that_ignores_its_tokens_is_refused(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(45)
    first: list[Any] = []

    def change(n: int, data: Any) -> Any:
        first[:] = first or [data]
        return first[0] | {"next_page_token": f"token {n}"}

    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        asked.query.pop("page-token", None)
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]
    altered(simulator, change)
    with pytest.raises(SourceError, match="on page after page"):
        walked(source, listing)
    assert simulator.kinds().count("list") < 12


def test_a_list_that_jumps_is_refused(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(25)
    for pipeline in world.pipelines[:5]:
        pipeline.number, world.pipelines[-1].number = pipeline.number, 90_000
    for place, pipeline in enumerate(world.pipelines[5:]):
        pipeline.number = 80_000 + place
    with pytest.raises(SourceError, match="jumps from number 80000 to 5"):
        walked(source, listing)
    assert simulator.kinds().count("number") == 0


def test_from_a_place_what_lies_above_is_passed_over(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    world.history(100)
    (some, *_) = [i for i in walked(source, listing)[3].items if isinstance(i, Listed)]
    simulator.asked.clear()
    pages = list(source.pages(listing, ResumePoint(some.cursor, 3), {}))
    assert numbers(pages) == list(range(40, 0, -1))
    # Its workflows are not asked for, but its pages are: one request for 20 origins.
    assert simulator.kinds().count("list") == 5
    assert simulator.kinds().count("workflows") == 40


@pytest.mark.parametrize("after", [1, 30, 130])
def test_a_backfill_that_is_killed_goes_on(
    world: World, simulator: CircleSimulator, sqlite: Database, after: int
) -> None:
    world.history(70)
    world.pass_time(days=1)
    with opened(simulator) as first:
        ask, left = first.client.get, [after]

        def ask_or_die(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            return ask(*args, **kwargs)

        first.client.get = ask_or_die  # type: ignore[method-assign]
        with pytest.raises(KilledError):
            run(sqlite, first)
    done = len(stored(sqlite))
    simulator.asked.clear()
    with opened(simulator) as second:
        assert run(sqlite, second).outcome == "ok"
    assert stored(sqlite) == truth(world)
    assert simulator.kinds().count("jobs") == 70 - done


def test_rows_that_cannot_be_read_are_as_many_holes(
    world: World, source: CircleCI, listing: Listing
) -> None:
    world.history(25)
    for place in (10, 11, 20):
        world.spoilt[world.pipelines[place].id] = lambda raw: dict.fromkeys(raw)
    pages = walked(source, listing)
    problems = [i for page in pages for i in page.items if isinstance(i, Problem)]
    assert [p.what for p in problems] == ["pipeline (no id): `number` is missing"] * 3
    assert len(numbers(pages)) == 22


def test_pipelines_of_another_project_are_refused(
    world: World, source: CircleCI, listing: Listing
) -> None:
    world.history(3)
    key = world.pipelines[1].id
    world.spoilt[key] = lambda raw: raw | {"project_slug": "gh/evil/shop"}
    with pytest.raises(SourceError, match="mixes projects"):
        walked(source, listing)

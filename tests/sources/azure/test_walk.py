"""The walk through a listing that moves: no build is missed, none is asked for by its number."""

from datetime import timedelta
from typing import Any

import pytest

from runsync.config import PipelineConfig
from runsync.errors import SourceError
from runsync.records import Problem
from runsync.sources.azure import source as azure
from runsync.sources.azure.source import Azure
from runsync.sources.base import Listed, Listing, Page, ResumePoint
from tests.sources.azure.rig import ID, NOW, opened
from tests.sources.azure.simulator import Asked, AzureSimulator
from tests.sources.azure.world import Build, World


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "PAGE_SIZE", 4)
    monkeypatch.setattr(azure, "_MOST_UNFINISHED", 3)


def walked(source: Azure, listing: Listing, at: ResumePoint | None = None) -> list[Page]:
    return list(source.pages(listing, at, {}))


def ids(pages: list[Page]) -> list[int]:
    return [int(i.run.id) for page in pages for i in page.items if isinstance(i, Listed)]


def by_end(builds: list[Build]) -> list[int]:
    ended = [b for b in builds if b.finished]
    return [b.id for b in sorted(ended, key=lambda b: b.finished or NOW, reverse=True)]


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 13])
def test_each_build_once_newest_end_first(world: World, inclusive: bool, count: int) -> None:
    made = world.history(count)
    with AzureSimulator(world, inclusive=inclusive).serving() as sim, opened(sim) as source:
        pages = walked(source, source.listing(PipelineConfig("hub", id=ID)))
    assert ids(pages) == by_end(made)
    assert [page.at_start for page in pages] == [False] * (len(pages) - 1) + [True]


def test_what_is_not_over_comes_first(world: World, source: Azure, listing: Listing) -> None:
    waiting = [world.queue() for _ in range(8)]
    made = world.history(5)
    pages = walked(source, listing)
    assert sorted(ids(pages)[:8]) == [b.id for b in waiting]
    assert ids(pages)[8:] == by_end(made)
    assert pages[-1].at_start


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("same", [2, 4, 5, 9])
def test_builds_that_end_at_one_time(world: World, inclusive: bool, same: int) -> None:
    world.history(3)
    together = [world.start(world.queue()) for _ in range(same)]
    world.pass_time(seconds=5)
    for build in together:
        world.end(build)
    world.history(2)
    with AzureSimulator(world, inclusive=inclusive).serving() as sim, opened(sim) as source:
        pages = walked(source, source.listing(PipelineConfig("hub", id=ID)))
    assert sorted(ids(pages)) == sorted(world.builds)
    assert pages[-1].at_start


def test_more_of_one_time_than_an_answer_holds_are_refused(
    world: World, source: Azure, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure, "_MOST", 5)
    for build in [world.start(world.queue()) for _ in range(6)]:
        world.end(build)
    with pytest.raises(SourceError, match="too many builds of one time"):
        walked(source, listing)


def test_builds_that_come_end_and_go_meanwhile_leave_no_gap(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    made = world.history(24, gap=30)
    steady = {b.id for b in made[::3]}

    def happen(asked: Asked) -> None:
        number = len(simulator.asked)
        world.pass_time(seconds=3)
        world.end(world.start(world.queue()))
        moved = made[number * 3 + 1] if number < 7 else None
        if moved and moved.result == "failed":
            world.retry(moved)
        elif moved:
            world.delete(moved)

    simulator.before = happen
    pages = walked(source, listing)
    assert steady <= set(ids(pages))
    assert pages[-1].at_start


def test_it_goes_on_from_a_place_in_one_request(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    world.history(40)
    every = [i for page in walked(source, listing) for i in page.items if isinstance(i, Listed)]
    place = every[25]
    simulator.asked.clear()
    first = next(source.pages(listing, ResumePoint(place.cursor, 3), {"definitions": {}}))
    builds = [a for a in simulator.asked if a.path.endswith("/builds")]
    assert len(builds) == 1
    assert next(i.run.id for i in first.items if isinstance(i, Listed)) == place.run.id


def test_an_empty_page_is_no_end_unless_the_oldest_build_was_seen(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    world.history(9)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        status, found, headers = honest(asked, body, token)
        if "maxTime" in asked.query:
            found, headers = {"count": 0, "value": []}, {}
        return status, found, headers

    simulator.answer = answer  # type: ignore[method-assign]
    pages: list[Page] = []
    with pytest.raises(SourceError, match="moves faster than it can be read"):
        pages.extend(source.pages(listing, None, {}))
    assert pages
    assert not any(page.at_start for page in pages)


def test_an_end_whose_last_build_has_gone_is_proven(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    made = sorted(world.history(4), key=lambda b: b.finished or NOW)

    def happen(asked: Asked) -> None:
        if "maxTime" in asked.query:
            world.delete(made[0])

    simulator.before = happen
    simulator.default_top = 4
    pages = walked(source, listing)
    assert pages[-1].at_start
    assert set(ids(pages)) >= {b.id for b in made[1:]}


def test_an_empty_listing_with_builds_under_way_claims_nothing(
    world: World, source: Azure, listing: Listing
) -> None:
    for _ in range(3):
        world.queue()
        world.pass_time(minutes=1)
    (page,) = walked(source, listing)
    assert not page.at_start
    assert len({i.cursor for i in page.items if isinstance(i, Listed)}) == 1


def test_pages_of_which_the_token_may_see_nothing_are_passed_over(
    world: World, simulator: AzureSimulator, source: Azure, whole: Listing
) -> None:
    made = world.history(20)
    simulator.hidden = {b.id for b in made[5:15]}
    pages = walked(source, whole)
    assert ids(pages) == [i for i in by_end(made) if i not in simulator.hidden]
    assert pages[-1].at_start


def test_a_listing_that_is_shown_again_and_again_is_refused(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    world.history(20)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        asked.query.pop("maxTime", None)
        return honest(asked, body, token)

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="does not come by time"):
        walked(source, listing)
    assert len(simulator.asked) < 10


def test_empty_pages_without_an_end_are_refused(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(azure, "_MOST_EMPTY_PAGES", 6)
    tokens = iter(range(1000))

    def answer(asked: Asked, body: Any, token: str | None) -> Any:
        more = {"x-ms-continuationtoken": f"t{next(tokens)}"}
        return 200, {"count": 0, "value": []}, more

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="empty pages without an end"):
        walked(source, listing)
    assert len(simulator.asked) == 6


def test_a_row_that_cannot_be_read_is_a_hole_in_its_place(
    world: World, source: Azure, listing: Listing
) -> None:
    made = world.history(9)
    order = by_end(made)
    for number in (order[0], order[4]):
        world.spoilt[number] = lambda raw: {**raw, "definition": {"id": 12}, "queueTime": None}
    world.spoilt[order[8]] = lambda raw: None
    items = [i for page in walked(source, listing) for i in page.items]
    places = [place for place, item in enumerate(items) if isinstance(item, Problem)]
    assert places == [0, 4, 8]


def test_a_page_of_which_nothing_can_be_read_is_refused(
    world: World, simulator: AzureSimulator, source: Azure, listing: Listing
) -> None:
    for build in world.history(9):
        world.spoilt[build.id] = lambda raw: None
    with pytest.raises(SourceError, match="does not come by time"):
        walked(source, listing)
    assert len(simulator.asked) == 2


def test_the_window_that_is_read_again_goes_by_the_last_whole_sync(source: Azure) -> None:
    now = NOW + timedelta(days=60)
    assert source.recheck_since({}, now) == now - timedelta(minutes=10)
    last = {"seen": (now - timedelta(days=3)).isoformat()}
    assert source.recheck_since(last, now) == now - timedelta(days=3, minutes=10)
    # However long ago that was, a listing with a row that stays unreadable is not read whole.
    assert source.recheck_since({"seen": NOW.isoformat()}, now) == now - timedelta(days=30)
    ahead = {"seen": (now + timedelta(days=1)).isoformat()}
    assert source.recheck_since(ahead, now) == now - timedelta(minutes=10)

"""The walk down a list that moves: no build is missed, no loop is walked, no end is guessed."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from runsync.errors import SourceError
from runsync.records import Problem
from runsync.sources.base import Listed, Listing, Page, ResumePoint
from runsync.sources.buildkite.source import Buildkite
from tests.sources.buildkite.simulator import Asked, BuildkiteSimulator
from tests.sources.buildkite.world import Build, World

Answer = tuple[int, Any, dict[str, Any]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pages of three builds."""
    monkeypatch.setattr(Buildkite, "page_size", 3)
    return 3


def spoil(simulator: BuildkiteSimulator, change: Callable[[Asked, Answer], Answer]) -> None:
    """Has every answer changed."""
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str) -> Answer:
        return change(asked, honest(asked, body, token))

    simulator.answer = answer  # type: ignore[method-assign]


def numbers(pages: list[Page]) -> list[int]:
    items = [item for page in pages for item in page.items]
    return [int(item.run.id) for item in items if isinstance(item, Listed)]


def walked(source: Buildkite, listing: Listing) -> list[Page]:
    """The pages, as far as they come."""
    pages: list[Page] = []
    with contextlib.suppress(SourceError):
        pages += source.pages(listing, None, {})
    return pages


def test_newest_first_and_each_once(
    world: World, source: Buildkite, listing: Listing, small: int
) -> None:
    made = world.history(20, gap=5)
    pages = list(source.pages(listing, None, {}))
    assert numbers(pages) == [build.number for build in reversed(made)]
    assert [page.at_start for page in pages] == [False] * (len(pages) - 1) + [True]
    assert pages[0].as_of == world.now.replace(microsecond=0)


@pytest.mark.parametrize("apart", [0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("count", [3, 4, 11])
def test_more_builds_than_a_page_in_a_second(
    world: World, source: Buildkite, listing: Listing, small: int, apart: float, count: int
) -> None:
    world.history(4)
    for _ in range(count):
        world.create("unit")
        world.pass_time(seconds=apart)
    world.history(4)
    assert sorted(numbers(walked(source, listing))) == [build.number for build in world.builds]


def test_builds_that_go_while_their_second_is_read_by_number(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing, small: int
) -> None:
    for _ in range(9):
        world.create("unit")
    gone = list(world.builds[:2])

    def forget(asked: Asked) -> None:
        if asked.query.get("page") == ["2"] and gone:
            world.forget(gone.pop())

    simulator.before = forget
    pages = list(source.pages(listing, None, {}))
    assert {build.number for build in world.builds} <= set(numbers(pages))


def test_builds_a_little_out_of_order_are_all_found(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing, small: int
) -> None:
    for n in range(30):
        world.create("unit")
        world.pass_time(seconds=0.9 if n % 4 else 0.2)

    honest = world.listed

    def listed(asked: dict[str, list[str]], pipeline: str | None) -> list[Build]:
        rows = honest(asked, pipeline)
        for place in range(0, len(rows) - 1, 2):
            if rows[place].created_at - rows[place + 1].created_at < timedelta(seconds=1):
                rows[place : place + 2] = rows[place + 1], rows[place]
        return rows

    world.listed = listed  # type: ignore[method-assign]
    assert sorted(numbers(walked(source, listing))) == [build.number for build in world.builds]


def test_builds_that_come_and_go_meanwhile(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing, small: int
) -> None:
    made = world.history(40, gap=5)
    stays = {build.number for build in made[::2]}

    def disturb(asked: Asked) -> None:
        world.create("unit")
        gone = [build for build in made if build.number not in stays]
        if gone:
            made.remove(gone[-1])
            world.forget(gone[-1])

    simulator.before = disturb
    pages = list(source.pages(listing, None, {}))
    assert stays <= set(numbers(pages))
    assert pages[-1].at_start


@pytest.mark.parametrize("left", [0, 1, 2, 7, 150])
def test_a_place_whose_build_is_gone_with_all_below(
    world: World, source: Buildkite, listing: Listing, left: int
) -> None:
    """What retention leaves: the builds above the place, however many and far."""
    made = world.history(5)
    found = next(iter(source.pages(listing, None, {}))).items[-1]
    assert isinstance(found, Listed)
    for build in made:
        world.forget(build)
    world.pass_time(days=90)
    world.history(left, gap=1)
    pages: list[Page] = []
    with contextlib.suppress(SourceError):
        pages += source.pages(listing, ResumePoint(found.cursor, 4), {})
    assert [page.at_start for page in pages] == ([True] if left else [])
    assert numbers(pages) == []


@pytest.mark.parametrize("which", range(1, 9))
@pytest.mark.parametrize("lasting", [False, True])
def test_an_empty_answer_ends_no_listing(
    world: World,
    source: Buildkite,
    simulator: BuildkiteSimulator,
    listing: Listing,
    small: int,
    which: int,
    lasting: bool,
) -> None:
    made = world.history(14)

    def empty(asked: Asked, found: Answer) -> Answer:
        asked_so_far = len(simulator.asked)
        due = asked_so_far == which or (lasting and asked_so_far > which)
        return (200, [], {}) if due and which > 1 else found

    spoil(simulator, empty)
    pages = walked(source, listing)
    whole = set(numbers(pages)) == {build.number for build in made}
    assert whole or not any(page.at_start for page in pages)


@pytest.mark.parametrize("which", range(1, 9))
def test_a_page_that_is_cut_short_ends_no_listing(
    world: World,
    source: Buildkite,
    simulator: BuildkiteSimulator,
    listing: Listing,
    small: int,
    which: int,
) -> None:
    made = world.history(14)

    def cut(asked: Asked, found: Answer) -> Answer:
        return (200, found[1][:1], {}) if len(simulator.asked) == which else found

    spoil(simulator, cut)
    assert set(numbers(walked(source, listing))) == {build.number for build in made}


@pytest.mark.parametrize("ignored", ["created_to", "created_from", "page"])
def test_a_list_that_ignores_what_is_asked_for_is_refused(
    world: World,
    source: Buildkite,
    simulator: BuildkiteSimulator,
    listing: Listing,
    small: int,
    ignored: str,
) -> None:
    world.history(9)
    for _ in range(9):
        world.create("unit")
    world.history(2)
    honest = simulator.answer

    def answer(asked: Asked, body: Any, token: str) -> Answer:
        query = {key: value for key, value in asked.query.items() if key != ignored}
        return honest(Asked(asked.method, asked.path, query), body, token)

    simulator.answer = answer  # type: ignore[method-assign]
    with pytest.raises(SourceError, match=r"newest first|ignores what is asked for"):
        list(source.pages(listing, None, {}))
    assert len(simulator.asked) < 20


def test_a_list_in_another_order_is_refused(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing
) -> None:
    world.history(9)
    spoil(simulator, lambda asked, found: (200, found[1][::-1], found[2]))
    with pytest.raises(SourceError, match="does not come newest first"):
        list(source.pages(listing, None, {}))


@pytest.mark.parametrize("place", [0, 1, 5, 13])
def test_a_row_that_cannot_be_read_is_a_hole(
    world: World, source: Buildkite, listing: Listing, small: int, place: int
) -> None:
    made = world.history(14)
    world.spoilt[made[place].id] = lambda raw: None
    pages = walked(source, listing)
    assert set(numbers(pages)) == {b.number for b in made} - {made[place].number}
    problems = [item for page in pages for item in page.items if isinstance(item, Problem)]
    assert problems
    assert all(problem.lost for problem in problems)
    if place == 0:
        # Nobody knows that it is the last.
        assert pages[-1].items


def test_a_page_of_nothing_that_can_be_read_is_an_error(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing, small: int
) -> None:
    world.history(9)
    spoil(simulator, lambda asked, found: (200, [None] * len(found[1]), found[2]))
    with pytest.raises(SourceError, match="no row of a whole page can be read"):
        list(source.pages(listing, None, {}))


def test_builds_of_another_pipeline_are_refused(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing
) -> None:
    world.history(3)
    world.pipelines["other"] = "main"
    world.builds[1].pipeline = "other"
    honest = world.listed
    world.listed = lambda asked, pipeline: honest(asked, None)  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="of acme-inc/other came where those of acme-inc/web"):
        list(source.pages(listing, None, {}))


def test_a_listing_that_is_suddenly_empty_is_an_error(
    world: World, source: Buildkite, simulator: BuildkiteSimulator, listing: Listing
) -> None:
    world.history(3)
    memory: dict[str, Any] = {}
    list(source.pages(listing, None, memory))

    def empty(asked: Asked, found: Answer) -> Answer:
        return found if "finished_from" in asked.query else (200, [], {})

    spoil(simulator, empty)
    with pytest.raises(SourceError, match="is suddenly empty"):
        list(source.pages(listing, None, memory))

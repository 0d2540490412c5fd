"""A listing ordered by change is walked without a gap, whatever changes meanwhile."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runsync.config import PipelineConfig
from runsync.errors import SourceError
from runsync.records import Cursor, Problem
from runsync.sources.base import Listed, Listing, Page, ResumePoint
from runsync.sources.gitlab import source as gitlab
from runsync.sources.gitlab.source import GitLab
from tests.sources.gitlab.rig import NOW, opened
from tests.sources.gitlab.simulator import Asked, CiPipeline, GitLabSimulator, World

TICK = timedelta(milliseconds=1)


def versions(pages: list[Page]) -> dict[str, str]:
    """The last version that the pages showed of each run."""
    return {
        item.run.id: item.run.version or ""
        for page in pages
        for item in page.items
        if isinstance(item, Listed)
    }


def truth(world: World) -> dict[str, str]:
    return {
        str(p.id): f"{p.updated_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        for p in world.pipelines.values()
    }


def cursors(pages: list[Page]) -> list[Cursor]:
    return [item.cursor for page in pages for item in page.items if isinstance(item, Listed)]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(gitlab, "PAGE_SIZE", 5)
    return 5


def spread(world: World, count: int, step: timedelta = timedelta(seconds=7)) -> list[CiPipeline]:
    made = []
    for _ in range(count):
        made.append(world.create("build"))
        world.now += step
    return made


def tie(world: World, count: int) -> list[CiPipeline]:
    """Pipelines that changed in one statement, as when an owner is blocked."""
    made = [world.create("build") for _ in range(count)]
    world.pass_time(seconds=1)
    return made


def test_an_empty_project_takes_one_request(
    source: GitLab, listing: Listing, simulator: GitLabSimulator
) -> None:
    (page,) = source.pages(listing, None, {})
    assert (page.items, page.at_start) == ((), True)
    assert len(simulator.asked) == 1


@pytest.mark.parametrize(("count", "requests"), [(100, 1), (101, 2), (199, 2), (1000, 11)])
def test_a_request_brings_ninety_nine_runs_of_a_hundred(
    world: World,
    source: GitLab,
    listing: Listing,
    simulator: GitLabSimulator,
    count: int,
    requests: int,
) -> None:
    spread(world, count)
    pages = list(source.pages(listing, None, {}))
    assert versions(pages) == truth(world)
    assert len(cursors(pages)) == count
    assert cursors(pages) == sorted(cursors(pages), reverse=True)
    assert [page.at_start for page in pages] == [False] * (len(pages) - 1) + [True]
    assert simulator.paths().count("pipelines") == requests
    assert pages[0].as_of == world.now.replace(microsecond=0)


def test_the_request_as_gitlab_documents_it(
    world: World, source: GitLab, listing: Listing, simulator: GitLabSimulator
) -> None:
    world.create("build")
    cursor = Cursor(datetime.fromisoformat("2024-05-06T12:00:00.999+00:00"), "1")
    list(source.pages(listing, ResumePoint(cursor, 50), {}))
    asked = simulator.asked[0]
    assert asked.path == "/api/v4/projects/group%2Fsub%2Fproject/pipelines"
    assert asked.query == {
        "order_by": "updated_at",
        "sort": "desc",
        "per_page": "100",
        "updated_before": "2024-05-06T12:00:01.000Z",
    }


def test_it_goes_on_below_a_mark_and_takes_it_along(
    world: World, source: GitLab, listing: Listing, small_pages: int
) -> None:
    made = spread(world, 23)
    whole = cursors(list(source.pages(listing, None, {})))
    for place in (0, 4, 11, 22):
        rest = list(source.pages(listing, ResumePoint(whole[place], 999), {}))
        assert cursors(rest) == whole[place:]
    assert len(whole) == len(made)


def test_runs_of_one_microsecond_that_a_page_cannot_hold(
    world: World, source: GitLab, listing: Listing, simulator: GitLabSimulator
) -> None:
    spread(world, 30)
    tie(world, 450)
    spread(world, 30)
    pages = list(source.pages(listing, None, {}))
    assert versions(pages) == truth(world)
    assert len(cursors(pages)) == 510
    assert len(simulator.asked) < 20


def test_ties_in_neighbouring_milliseconds(
    world: World, source: GitLab, listing: Listing, small_pages: int
) -> None:
    for _ in range(4):
        for _ in range(7):
            world.create("build")
        world.now += TICK
    # At the very edge of a millisecond, where it matters whether a bound is within.
    world.now = world.now.replace(microsecond=200_000)
    for _ in range(7):
        world.create("build")
    for _ in range(15):
        pages = list(source.pages(listing, None, {}))
        assert versions(pages) == truth(world)
        assert len(cursors(pages)) == 35


@pytest.mark.parametrize("within", [True, False])
def test_whether_a_bound_is_within_does_not_matter(
    world: World,
    source: GitLab,
    listing: Listing,
    small_pages: int,
    monkeypatch: pytest.MonkeyPatch,
    within: bool,
) -> None:
    world.now = NOW.replace(microsecond=0)
    for count in (7, 1, 2, 6, 1):
        for _ in range(count):
            world.create("build")
        world.now += TICK
    if not within:
        listed = World.listed

        def outside(self: World, asked: dict[str, str]) -> list[CiPipeline]:
            bounds = {asked.get(key) for key in ("updated_before", "updated_after")}
            rows = listed(self, asked)
            return [
                p for p in rows if f"{p.updated_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" not in bounds
            ]

        monkeypatch.setattr(World, "listed", outside)
    for _ in range(10):
        pages = list(source.pages(listing, None, {}))
        assert versions(pages) == truth(world)
        assert len(cursors(pages)) == len(world.pipelines)


def test_what_a_page_shows_in_part_is_left_to_the_next(
    world: World, source: GitLab, listing: Listing, small_pages: int
) -> None:
    spread(world, 3)
    tie(world, 4)
    spread(world, 3)
    whole = truth(world)
    for _ in range(20):
        walk = source.pages(listing, None, {})
        first = next(walk)
        lowest = cursors([first])[-1]
        assert versions([first]) == {i: v for i, v in whole.items() if v >= str(_text(lowest))}
        # A walk that was stopped here and goes on below this mark misses nothing.
        rest = list(source.pages(listing, ResumePoint(lowest, 0), {}))
        assert versions([first, *rest]) == whole


def _text(cursor: Cursor) -> str:
    return f"{cursor.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def test_runs_that_leave_a_tie_while_it_is_read(
    world: World, source: GitLab, listing: Listing, simulator: GitLabSimulator, small_pages: int
) -> None:
    spread(world, 4)
    tied = tie(world, 23)
    stay = {str(p.id) for p in world.pipelines.values()}

    def leave(asked: Asked) -> None:
        if asked.query.get("page", "1") != "1" and len(tied) > 15:
            gone = tied.pop()
            stay.discard(str(gone.id))
            world.pass_time(seconds=1)
            world.move(gone, "running")

    simulator.before = leave
    pages = list(source.pages(listing, None, {}))
    assert len(tied) == 15
    assert stay <= set(versions(pages))


def test_a_tie_that_does_not_come_to_rest_is_an_error(
    world: World,
    source: GitLab,
    listing: Listing,
    small_pages: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spread(world, 2)
    tie(world, 30)
    listed = World.listed

    def restless(self: World, asked: dict[str, str]) -> list[CiPipeline]:
        return listed(self, asked | {"order_by": "updated_at"})

    monkeypatch.setattr(World, "listed", restless)
    with pytest.raises(SourceError, match="moves faster than it can be read"):
        list(source.pages(listing, None, {}))


def test_a_millisecond_is_asked_for_by_id_in_whole_pages(
    world: World, source: GitLab, listing: Listing, simulator: GitLabSimulator
) -> None:
    tie(world, 150)
    list(source.pages(listing, None, {}))
    paged = [asked.query for asked in simulator.asked if "page" in asked.query]
    assert {q["order_by"] for q in paged} == {"id"}
    assert [q["page"] for q in paged] == ["1", "2", "1", "2"]


def test_each_bad_row_is_set_aside_where_it_stood(
    world: World, source: GitLab, listing: Listing, small_pages: int
) -> None:
    made = spread(world, 13)
    world.spoilt[made[12].id] = lambda raw: raw | {"updated_at": 7}
    world.spoilt[made[8].id] = lambda raw: raw | {"created_at": "noon"}
    world.spoilt[made[4].id] = lambda raw: "nonsense"
    world.spoilt[made[0].id] = lambda raw: raw | {"id": None}
    pages = list(source.pages(listing, None, {}))
    items = [item for page in pages for item in page.items]
    expected = [made[n] for n in reversed(range(13))]
    assert [
        item.run.id if isinstance(item, Listed) else None for item in items
    ] == [None if p.id in world.spoilt else str(p.id) for p in expected]  # fmt: skip
    said = [item.what for item in items if isinstance(item, Problem)]
    assert said[0] == f"run {made[12].id}: `updated_at` must be text, not 7"
    assert said[1].startswith(f"run {made[8].id}: `created_at` must be a time")
    assert said[2] == "run (no id): an object is due, 'nonsense' came"
    assert said[3] == "run (no id): `id` is missing"
    assert all(item.lost for item in items if isinstance(item, Problem))


def test_a_page_of_nothing_but_bad_rows_ends_the_walk(
    world: World, source: GitLab, listing: Listing, small_pages: int
) -> None:
    for pipeline in spread(world, 12)[:7]:
        world.spoilt[pipeline.id] = lambda raw: raw | {"updated_at": "?"}
    walk = source.pages(listing, None, {})
    with pytest.raises(SourceError, match="does not come by the time of change"):
        list(walk)


@pytest.mark.parametrize("passed_over", ["updated_before", "order_by"])
def test_a_server_that_passes_over_what_was_asked_is_found_out(
    world: World,
    source: GitLab,
    listing: Listing,
    small_pages: int,
    monkeypatch: pytest.MonkeyPatch,
    passed_over: str,
) -> None:
    made = spread(world, 12)
    world.move(made[9], "running")
    listed = World.listed

    def deaf(self: World, asked: dict[str, str]) -> list[CiPipeline]:
        return listed(self, {k: v for k, v in asked.items() if k != passed_over})

    monkeypatch.setattr(World, "listed", deaf)
    with pytest.raises(SourceError, match="see whether base_url is a GitLab"):
        list(source.pages(listing, None, {}))


def test_no_list_where_one_is_due(
    source: GitLab, listing: Listing, simulator: GitLabSimulator
) -> None:
    simulator.refusals = [(200, {}, '{"message": "hello"}')]
    with pytest.raises(SourceError, match="a list is due and an object came"):
        list(source.pages(listing, None, {}))


# Any history, and anything that happens to it during a walk.

Span = st.sampled_from([0, 1, 400, 999, 1000, 1001, 5_000_000])
"""Microseconds between two events: within a millisecond, at its edge, or apart."""
Event = st.tuples(Span, st.sampled_from(["create", "move", "delete"]), st.integers(0, 40))


def happen(world: World, event: tuple[int, str, int]) -> None:
    span, kind, which = event
    world.now += timedelta(microseconds=span)
    if kind == "create" or not world.pipelines:
        world.create("build")
        return
    pipeline = list(world.pipelines.values())[which % len(world.pipelines)]
    if kind == "move":
        world.move(pipeline, "running")
    else:
        del world.pipelines[pipeline.id]


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[GitLabSimulator, GitLab]]:
    with GitLabSimulator(World(NOW)).serving() as simulator, opened(simulator) as source:
        yield simulator, source


@given(
    spans=st.lists(Span, max_size=25),
    events=st.lists(Event, max_size=12),
    size=st.integers(2, 6),
    every=st.integers(1, 3),
)
@example(spans=[0] * 9, events=[(0, "move", 2)] * 3, size=2, every=1)
@example(spans=[1] * 12, events=[(1000, "delete", 0)] * 4, size=3, every=1)
def test_what_two_walks_show_is_all_that_is_there_in_its_last_version(
    shared: tuple[GitLabSimulator, GitLab],
    spans: list[int],
    events: list[tuple[int, str, int]],
    size: int,
    every: int,
) -> None:
    simulator, source = shared
    world = simulator.world = World(NOW)
    simulator.asked.clear()
    for span in spans:
        world.create("build")
        world.now += timedelta(microseconds=span)
    listing, left = source.listing(PipelineConfig("hub", id=World.path)), list(events)

    def disturb(asked: Asked) -> None:
        if len(simulator.asked) % every == 0 and left:
            happen(world, left.pop(0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gitlab, "PAGE_SIZE", size)
        simulator.before = disturb
        first = list(source.pages(listing, None, {}))
        simulator.before = lambda asked: None
        newest = max(cursors(first), default=None)
        second: list[Page] = []
        for page in source.pages(listing, None, {}):
            second.append(page)
            # As the engine does: no further than to what was there at the first walk.
            if newest and cursors(second) and cursors(second)[-1].at < newest.at:
                break
    known = versions(first) | versions(second)
    assert {run: known.get(run) for run in truth(world)} == truth(world)
    assert first[-1].at_start

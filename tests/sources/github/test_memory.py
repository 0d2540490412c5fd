"""What is remembered of a listing: a sync with nothing new costs no rate limit, and is exact."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runsync.records import Cursor
from runsync.sources.base import Page
from runsync.sources.github.source import GitHub
from tests.sources.github.rig import listed, run_ids, small_pages, walked, workflow
from tests.sources.github.server import Server, Service
from tests.sources.github.story import DAY, Story, events
from tests.sources.github.world import NOW, SECOND, Run, World

AT = NOW - 2 * DAY


def fill(world: World, count: int, start: datetime = AT) -> list[Run]:
    return [world.add_run(start + n * 60 * SECOND) for n in range(count)]


def statuses(service: Service) -> list[int]:
    """How the requests since the last look were answered."""
    found = [asked.status for asked in service.asked]
    service.asked.clear()
    return found


def test_nothing_new_is_one_conditional_request(github: GitHub, service: Service) -> None:
    fill(service.world, 60)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    before, spent = copy.deepcopy(memory), service.used
    statuses(service)
    (page,) = walked(github, memory=memory)
    assert (page.items, page.unchanged, page.at_start) == ((), True, False)
    assert page.as_of == NOW
    assert statuses(service) == [304]
    assert service.used == spent
    assert memory == before


def test_every_window_of_the_last_32_days_is_looked_at(github: GitHub, service: Service) -> None:
    fill(service.world, 150, NOW - 90 * DAY)
    fill(service.world, 250)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    assert len(memory["windows"]) == 3
    statuses(service)
    assert [page.unchanged for page in walked(github, memory=memory)] == [True]
    assert statuses(service) == [304, 304, 304]


def test_a_run_again_is_found_where_it_stands(github: GitHub, service: Service) -> None:
    runs = fill(service.world, 350)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    service.world.rerun(runs[30], NOW, "failure")
    statuses(service)
    pages = walked(github, memory=memory)
    assert statuses(service) == [304, 304, 304, 200]
    assert {f"{runs[30].id}.2", str(runs[30].id)} <= set(run_ids(pages))
    assert len(run_ids(pages)) <= 101
    assert walked(github, memory=memory)[-1].unchanged
    assert statuses(service) == [304] * 4


def test_a_change_above_leaves_the_rest_unread(github: GitHub, service: Service) -> None:
    runs = fill(service.world, 350)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    service.world.rerun(runs[-1], NOW)
    statuses(service)
    pages = walked(github, memory=memory)
    assert [page.unchanged for page in pages] == [False, True]
    assert statuses(service) == [200, 304, 304, 304]


def test_arrivals_leave_the_windows_as_they_are(github: GitHub, service: Service) -> None:
    fill(service.world, 350)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    statuses(service)
    for n in range(3):
        new = service.world.add_run(NOW - 600 * SECOND + n * SECOND)
        pages = walked(github, memory=memory)
        assert str(new.id) in run_ids(pages)
        # Once, a window is put where the top was; then it holds for a hundred arrivals.
        assert statuses(service) == [200, 200 if n == 0 else 304, 304, 304, 304]
    assert len(memory["windows"]) == 5


def test_more_arrivals_than_a_page(github: GitHub, service: Service) -> None:
    fill(service.world, 350)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    new = fill(service.world, 250, NOW - DAY)
    statuses(service)
    pages = walked(github, memory=memory)
    assert {str(run.id) for run in new} <= set(run_ids(pages))
    answered = statuses(service)
    assert answered[-3:] == [304, 304, 304]
    assert answered.count(200) <= 4
    assert pages[-1].unchanged


def test_windows_older_than_the_recheck_are_forgotten(github: GitHub, service: Service) -> None:
    fill(service.world, 350, NOW - 30 * DAY)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    service.world.now = NOW + 20 * DAY
    service.world.add_run(NOW + 19 * DAY)
    walk = iter(github.pages(workflow(github), None, memory))
    next(walk)
    next(walk)
    assert [window[0] for window in memory["windows"]] == [None]


def test_below_a_place_nothing_is_passed_over(github: GitHub, service: Service) -> None:
    runs = fill(service.world, 250)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    before = copy.deepcopy(memory["windows"])
    place = Cursor(AT + 149 * 60 * SECOND, str(runs[149].id).zfill(19))
    assert len(run_ids(walked(github, resume_point=place, memory=memory))) == 150
    assert memory["windows"] == before


def test_what_was_seen_and_changes_meanwhile_is_seen_again(
    github: GitHub, service: Service
) -> None:
    """Else the ETag of the second window would vouch for a change that nobody has seen."""
    runs = fill(service.world, 150)
    memory: dict[str, Any] = {}
    walked(github, memory=memory)
    service.world.add_run(NOW - SECOND)
    statuses(service)

    def run_again(page: int) -> None:
        # The top is read, and the window that repeats it is asked for.
        if page == 4:
            service.world.rerun(runs[140], NOW)

    service.before = run_again
    pages = walked(github, memory=memory)
    assert f"{runs[140].id}.2" in run_ids(pages)


@dataclass
class Mirror:
    """What a reader knows who does as the engine does: stops where all is known, and that is where
    no run may have changed since the last sync."""

    versions: dict[str, str | None] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    last: datetime | None = None

    def sync(self, source: GitHub) -> None:
        memory, began = copy.deepcopy(self.memory), None
        for page in source.pages(workflow(source), None, memory):
            for item in listed([page]):
                if item.run.version is not None or item.run.id not in self.versions:
                    self.versions[item.run.id] = item.run.version
            began = began or page.as_of
            if page.unchanged or page.at_start or (self.last and self._is_past(source, page)):
                break
        self.memory, self.last = memory, began

    def _is_past(self, source: GitHub, page: Page) -> bool:
        oldest = min(item.cursor.at for item in listed([page]))
        return oldest < min(page.as_of, self.last or page.as_of) - source.recheck


@given(
    syncs=st.lists(st.tuples(events, events, st.booleans()), min_size=1, max_size=4),
    seed=st.integers(0, 2**16),
)
# The top page is read twice: the first time it reaches what was known, then no longer.
@example(
    syncs=[([], ["arrive", "arrive"], False), ([], ["arrive", "delete", "several"], False)],
    seed=1,
)
def test_any_history_is_mirrored(
    server: Server, syncs: list[tuple[list[str], list[str], bool]], seed: int
) -> None:
    """Whatever happens before and during syncs, one in which nothing happens knows all of it."""
    world = World(page=4, cap=40)
    story, mirror = Story(world, seed), Mirror()
    with small_pages(server, world) as (service, source):
        for before, during, settle in syncs:
            for event in before:
                story.tell(event)
            pending = iter(during)
            service.before = lambda _, pending=pending: story.tell_next(pending)  # type: ignore[misc]
            mirror.sync(source)
            if settle:
                service.before = lambda _: None
                mirror.sync(source)
                _assert_knows(mirror, world)
                service.asked.clear()
                mirror.sync(source)
                assert {asked.status for asked in service.asked} <= {304} or _is_crowded(world)


def _is_crowded(world: World) -> bool:
    """Whether a second has more runs than a page: those are read anew each time."""
    times = sorted(run.created for run in world.runs.values())
    return any(
        later - earlier <= 2 * SECOND
        for earlier, later in zip(times, times[world.page - 1 :], strict=False)
    )


def _assert_knows(mirror: Mirror, world: World) -> None:
    for run, attempt in world.attempts():
        name = str(run.id) if attempt.number == 1 else f"{run.id}.{attempt.number}"
        assert name in mirror.versions, f"{name} was missed"
        # What ends later than that is read again by its id, not found in the listing.
        if attempt is run.newest and attempt.updated - run.created < 30 * DAY + 60 * SECOND:
            version = f"{attempt.updated:%Y-%m-%dT%H:%M:%S}+00:00"
            assert mirror.versions[name] == version, f"{name} is out of date"


@pytest.mark.parametrize("memory", [{}, {"windows": []}, {"newest": None, "windows": []}])
def test_an_empty_memory_is_one(github: GitHub, service: Service, memory: dict[str, Any]) -> None:
    fill(service.world, 3)
    assert len(run_ids(walked(github, memory=memory))) == 3

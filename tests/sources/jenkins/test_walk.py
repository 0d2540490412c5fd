"""How the builds of a job are walked: positions shift, numbers do not."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from runsync.errors import SourceError
from runsync.records import Cursor, Pipeline, Problem, Run, Status
from runsync.sources.base import Listed, Page, ResumePoint
from runsync.sources.jenkins import walk
from runsync.sources.jenkins.walk import JobAnswer, JobList, walked
from runsync.sources.merged import merged
from tests.sources.jenkins.rig import NOW

SIZE = 5


class Listing:
    """A list of numbers that can change before each answer."""

    def __init__(self, *numbers: int, name: str = "app") -> None:
        self.name = name
        self.rows: list[Any] = [row(number) for number in sorted(numbers, reverse=True)]
        self.asked: list[int] = []
        self.before: Callable[[], None] = lambda: None
        self.first: Callable[[], int | None] = lambda: (
            self.rows[-1]["number"] if self.rows else None
        )

    def ask(self, position: int) -> JobAnswer:
        self.before()
        self.asked.append(position)
        return JobAnswer(self.rows[position : position + SIZE], self.first(), 10**6, NOW)

    def read(self, raw: Any, _: object) -> Listed | Problem:
        if not isinstance(raw, dict):
            return Problem(f"bad {raw}")
        at = NOW + timedelta(seconds=raw["timestamp"])
        run = Run(pipeline=Pipeline(self.name), id=str(raw["number"]), created_at=at,
                  status=Status.RUNNING)  # fmt: skip
        return Listed(Cursor(at, f"{self.name}#{run.id:0>10}"), run)

    def of_job(self) -> JobList:
        return JobList(self.name, self.ask(0), self.ask, self.read, lambda _: None)

    def walked(self, resume_point: ResumePoint | None = None) -> list[Any]:
        job = self.of_job()
        self.asked = [] if resume_point else self.asked
        return taken(walked(job, resume_point, is_folder=False))


def row(number: int, at: int | None = None) -> dict[str, int]:
    return {"number": number, "timestamp": number * 60 if at is None else at}


def taken(pages: Iterator[Page]) -> list[Any]:
    return [
        int(item.run.id) if isinstance(item, Listed) else item
        for page in pages
        for item in page.items
    ]


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "PAGE_SIZE", SIZE)


def test_a_quiet_list_takes_a_request_for_each_page() -> None:
    listing = Listing(*range(3, 31))
    assert listing.walked() == [*range(30, 2, -1)]
    assert listing.asked == [0, 4, 8, 12, 16, 20, 24]


@pytest.mark.parametrize("numbers", [(), (1,), (7,), (1, 9, 11, 40), tuple(range(1, 6))])
def test_short_lists_end_at_once(numbers: tuple[int, ...]) -> None:
    listing = Listing(*numbers)
    assert listing.walked() == sorted(numbers, reverse=True)
    assert listing.asked == [0]


@pytest.mark.parametrize("seed", range(30))
def test_builds_that_come_and_go_hide_none_that_stays(seed: int) -> None:
    draw = random.Random(seed)
    listing = Listing(*draw.sample(range(1, 200), 60))
    there = {one["number"] for one in listing.rows}
    numbers, gone = iter(range(200, 400)), set[int]()

    def shift() -> None:
        for _ in range(draw.randrange(4)):
            listing.rows.insert(0, row(next(numbers)))
        for _ in range(draw.randrange(4)):
            if len(listing.rows) > 10:
                gone.add(listing.rows.pop(draw.randrange(len(listing.rows) - 1))["number"])

    listing.before = shift
    found = listing.walked()
    assert there - gone <= set(found)
    assert len(found) == len(set(found))
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("rank", [0, 3, 20, 30, 49, 80, 5000])
@pytest.mark.parametrize("missing", [False, True])
def test_from_a_place_down_however_wrong_its_rank_is(rank: int, missing: bool) -> None:
    listing = Listing(*range(1, 61))
    if missing:
        listing.rows = [one for one in listing.rows if one["number"] != 30]
    cursor = Cursor(NOW + timedelta(seconds=1800), "app#0000000030")
    found = listing.walked(ResumePoint(cursor, rank))
    below = [*range(29 if missing else 30, 0, -1)]
    assert found[-len(below) :] == below
    if rank == 30:
        assert listing.asked[0] == 28


def test_a_bound_that_is_no_build_is_walked_to_from_the_top() -> None:
    listing = Listing(*range(1, 13))
    assert listing.walked(ResumePoint(Cursor(NOW, ""), 9)) == [*range(12, 0, -1)]


@pytest.mark.parametrize("place", range(12))
def test_a_row_that_cannot_be_read_is_a_hole_and_no_end(place: int) -> None:
    listing = Listing(*range(1, 13))
    last = listing.rows[-1]["number"]
    listing.first = lambda: last
    listing.rows[place] = None
    found = listing.walked()
    assert [one for one in found if isinstance(one, int)] == [
        number for number in range(12, 0, -1) if number != 12 - place
    ]
    assert "bad None" in [one.what for one in found if isinstance(one, Problem)]
    assert len(listing.asked) < 8


def broken(listing: Listing, kind: str) -> None:
    if kind == "rising":
        listing.rows.reverse()
    elif kind == "twice":
        listing.rows[1] = listing.rows[0]
    elif kind == "nothing but bad rows":
        listing.rows, listing.first = [None] * 30, lambda: 1
    elif kind == "empty":
        listing.rows, listing.first = [], lambda: 3


@pytest.mark.parametrize("kind", ["rising", "twice", "nothing but bad rows", "empty"])
def test_what_is_no_list_of_builds_is_refused(kind: str) -> None:
    listing = Listing(*range(1, 31))
    broken(listing, kind)
    with pytest.raises(SourceError, match=r"job app .*sync again"):
        listing.walked()
    assert len(listing.asked) < 100


def test_a_list_that_ignores_positions_is_refused() -> None:
    listing = Listing(*range(1, 31))
    honest = listing.ask
    job = JobList("app", honest(0), lambda _: honest(0), listing.read, lambda _: None)
    with pytest.raises(SourceError, match="same runs on page after page"):
        taken(walked(job, is_folder=False))
    assert len(listing.asked) < 100


def test_a_list_that_is_suddenly_empty_has_no_end() -> None:
    listing = Listing(*range(1, 31))

    def clear() -> None:
        if listing.asked:
            listing.rows = []

    listing.before = clear
    with pytest.raises(SourceError, match="is suddenly empty"):
        listing.walked()


def test_jobs_are_merged_by_time_each_in_its_order() -> None:
    one, two = Listing(1, 2, 3, name="one"), Listing(name="two")
    # A clock that ran back by an hour does not make an order.
    two.rows = [row(9, 150), row(8, 100), row(7, 5000), row(6, 30)]
    lists = [walked(each.of_job(), is_folder=True) for each in (one, two)]
    pages = list(merged(lists, NOW, SIZE))
    order = [(i.run.pipeline.external_id, i.run.id) for page in pages for i in page.items
             if isinstance(i, Listed)]  # fmt: skip
    assert order == [
        ("one", "3"), ("two", "9"), ("one", "2"), ("two", "8"), ("two", "7"), ("one", "1"),
        ("two", "6"),
    ]  # fmt: skip
    assert [page.at_start for page in pages][-1]
    assert not any(page.at_start for page in pages[:-1])


def test_a_page_ends_before_a_job_is_asked_for_more() -> None:
    busy, quiet = Listing(*range(1, 40), name="busy"), Listing(1, name="quiet")
    lists = [walked(each.of_job(), is_folder=True) for each in (busy, quiet)]
    pages = merged(lists, NOW, SIZE)
    assert len(next(pages).items) == SIZE
    assert len(busy.asked) + len(quiet.asked) == 2

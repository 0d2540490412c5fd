"""A listing that pages by number is walked without a gap, whatever happens to it meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.errors import SourceError
from runsync.records import Cursor, Pipeline, Problem, Run, Status
from runsync.sources.base import Listed, ResumePoint
from runsync.sources.pagination import Entry, Slice, page_of, walk

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
PIPELINE = Pipeline("p")


def entry(number: int) -> Entry:
    at = EPOCH + timedelta(seconds=number // 2)
    run = Run(pipeline=PIPELINE, id=f"r{number}", created_at=at, status=Status.FINISHED)
    return Entry(run.id, Listed(Cursor(at, run.id), run))


class MovingList:
    """Newest first. Each page that is asked for is followed by the next of the ``moves``."""

    def __init__(self, size: int, moves: list[tuple[int, list[int]]], page: int = 20) -> None:
        self.numbers = list(range(size, 0, -1))
        self.always = set(self.numbers)
        self.next = size + 1
        self.moves = iter(moves)
        self.page = page
        self.asked: list[int] = []

    def fetch(self, skip: int) -> Slice:
        self.asked.append(skip)
        found = [entry(n) for n in self.numbers[skip : skip + self.page]]
        arrived, deleted = next(self.moves, (0, []))
        for place in deleted:
            if self.numbers:
                self.always.discard(self.numbers.pop(place % len(self.numbers)))
        for _ in range(arrived):
            self.numbers.insert(0, self.next)
            self.next += 1
        return Slice(found, EPOCH)


def seen(moving: MovingList, resume_point: ResumePoint | None = None) -> tuple[list[str], bool]:
    pages = list(walk(moving.fetch, resume_point, name="the list"))
    items = [item for page in pages for item in page.items if isinstance(item, Listed)]
    return [item.run.id for item in items], pages[-1].at_start


MOVES = st.lists(
    st.tuples(st.integers(0, 30), st.lists(st.integers(0, 10_000), max_size=30)), max_size=30
)


@given(size=st.integers(0, 150), moves=MOVES, page=st.integers(2, 20))
def test_whatever_stays_is_seen(size: int, moves: list[tuple[int, list[int]]], page: int) -> None:
    moving = MovingList(size, moves, page)
    ids, at_start = seen(moving)
    assert at_start
    assert {f"r{n}" for n in moving.always} <= set(ids)


@given(
    size=st.integers(1, 150),
    moves=MOVES,
    place=st.integers(0, 10_000),
    guess=st.integers(0, 400),
)
def test_whatever_stays_below_a_place_is_seen(
    size: int, moves: list[tuple[int, list[int]]], place: int, guess: int
) -> None:
    moving = MovingList(size, moves)
    start = entry(moving.numbers[place % size]).item
    assert isinstance(start, Listed)
    wanted = {n for n in moving.always if entry(n).at <= start.cursor.at}  # type: ignore[operator]
    ids, at_start = seen(moving, ResumePoint(start.cursor, guess))
    assert at_start
    # Runs of the same instant stand above or below the place; those were seen before.
    resume_point = {n for n in wanted & moving.always if entry(n).at < start.cursor.at}  # type: ignore[operator]
    assert {f"r{n}" for n in resume_point} <= set(ids)


def test_a_quiet_list_takes_the_fewest_requests() -> None:
    moving = MovingList(100, [])
    ids, _ = seen(moving)
    assert len(ids) == len(set(ids)) == 100
    assert moving.asked == [0, 19, 38, 57, 76, 95, 99]


def test_a_place_is_found_at_once_where_the_guess_is_right() -> None:
    moving = MovingList(1000, [])
    cursor = Cursor(EPOCH + timedelta(seconds=250), "r500")
    pages = walk(moving.fetch, ResumePoint(cursor, 499), name="the list")
    next(pages)
    assert len(moving.asked) == 1


@pytest.mark.parametrize("guess", [0, 100, 900, 100_000])
def test_a_place_is_found_soon_where_the_guess_is_wrong(guess: int) -> None:
    moving = MovingList(10_000, [])
    cursor = Cursor(EPOCH + timedelta(seconds=2500), "r5000")
    next(walk(moving.fetch, ResumePoint(cursor, guess), name="the list"))
    last = moving.asked[-1]
    assert last <= 5000 < last + 20
    assert len(moving.asked) < 25


@given(size=st.integers(0, 150), moves=MOVES, most=st.integers(25, 60))
def test_whole_pages_will_do(size: int, moves: list[tuple[int, list[int]]], most: int) -> None:
    moving = MovingList(size, moves, page=most)

    def fetch(skip: int) -> Slice:
        number, length, cut = page_of(skip, most)
        first = (number - 1) * length
        rows = moving.fetch(first).entries[:length]
        assert first + cut == skip
        return Slice(rows[cut:], EPOCH)

    pages = list(walk(fetch, None, name="the list"))
    ids = {i.run.id for page in pages for i in page.items if isinstance(i, Listed)}
    assert pages[-1].at_start
    assert {f"r{n}" for n in moving.always} <= ids


def test_rows_that_cannot_be_read_stop_no_walk() -> None:
    moving = MovingList(60, [])

    def fetch(skip: int) -> Slice:
        part = moving.fetch(skip)
        spoilt = [
            Entry(e.key, Problem(e.key)) if e.key in {"r20", "r1"} else e for e in part.entries
        ]
        return Slice(spoilt, part.as_of)

    pages = list(walk(fetch, None, name="the list"))
    problems = [i.what for page in pages for i in page.items if isinstance(i, Problem)]
    assert problems == ["r20", "r1"]
    assert sum(isinstance(i, Listed) for page in pages for i in page.items) == 58


def test_a_list_that_answers_at_random_is_given_up() -> None:
    calls = iter(range(1, 10_000))

    def fetch(skip: int) -> Slice:
        number = next(calls)
        return Slice([entry(100_000 - 10 * number * 20 - n) for n in range(20)], EPOCH)

    with pytest.raises(SourceError, match="faster than it can be read"):
        for _ in zip(
            range(200),
            walk(fetch, ResumePoint(Cursor(EPOCH, "x"), 5), name="the list"),
            strict=False,
        ):
            pass

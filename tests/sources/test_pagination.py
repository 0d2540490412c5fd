"""A listing that pages by number is walked without a gap, whatever happens to it meanwhile."""

import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.coverage import CoverageTracker
from runsync.errors import SourceError
from runsync.records import Cursor, Pipeline, Problem, Run, Status
from runsync.sources.base import Listed, Page, ResumePoint
from runsync.sources.pagination import Entry, Fetch, Slice, page_of, walk
from runsync.sync.walk import cursors_of

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NOW = EPOCH + timedelta(days=1)
PIPELINE = Pipeline("p")


def created(number: int) -> datetime:
    return EPOCH + timedelta(seconds=number // 2)


def entry(number: int) -> Entry:
    at = created(number)
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
        self.was_empty = False

    def fetch(self, skip: int) -> Slice:
        self.asked.append(skip)
        self.was_empty = self.was_empty or not self.numbers
        found = [entry(n) for n in self.numbers[skip : skip + self.page]]
        arrived, deleted = next(self.moves, (0, []))
        for place in deleted:
            if self.numbers:
                self.always.discard(self.numbers.pop(place % len(self.numbers)))
        for _ in range(arrived):
            self.numbers.insert(0, self.next)
            self.next += 1
        return Slice(found, NOW)


def walked(
    moving: MovingList, fetch: Fetch | None = None, resume_point: ResumePoint | None = None
) -> tuple[list[Page], bool]:
    """The pages, and whether the walk ended by itself; it may stop where all runs were deleted."""
    pages: list[Page] = []
    try:
        pages += walk(fetch or moving.fetch, resume_point, name="the list")
    except SourceError:
        assert moving.was_empty
        assert not any(page.at_start for page in pages)
        return pages, False
    assert pages[-1].at_start
    assert all(page.as_of == NOW for page in pages)
    return pages, True


def ids_in(pages: list[Page]) -> list[str]:
    return [item.run.id for page in pages for item in page.items if isinstance(item, Listed)]


MOVES = st.lists(
    st.tuples(st.integers(0, 30), st.lists(st.integers(0, 10_000), max_size=30)), max_size=30
)


@given(size=st.integers(0, 150), moves=MOVES, page=st.integers(2, 20))
def test_whatever_stays_is_seen(size: int, moves: list[tuple[int, list[int]]], page: int) -> None:
    moving = MovingList(size, moves, page)
    pages, ended = walked(moving)
    if ended:
        assert {f"r{n}" for n in moving.always} <= set(ids_in(pages))


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
    # Runs of the same instant stand above or below the place; those were seen before.
    below = {n for n in moving.always if created(n) < start.cursor.at}
    pages, ended = walked(moving, resume_point=ResumePoint(start.cursor, guess))
    if ended:
        assert {f"r{n}" for n in below & moving.always} <= set(ids_in(pages))


def test_a_quiet_list_takes_the_fewest_requests() -> None:
    moving = MovingList(100, [])
    ids = ids_in(walked(moving)[0])
    assert len(ids) == len(set(ids)) == 100
    # Two runs share each second, and a page may end between them; the last request shows the end.
    assert moving.asked == [0, 19, 37, 55, 73, 91, 99, 100]


def test_a_place_is_found_at_once_where_the_guess_is_right() -> None:
    moving = MovingList(1000, [])
    cursor = Cursor(EPOCH + timedelta(seconds=250), "r500")
    pages = walk(moving.fetch, ResumePoint(cursor, 499), name="the list")
    next(pages)
    assert len(moving.asked) == 1


@pytest.mark.parametrize(
    ("guess", "asked"),
    [
        (0, [0, 19, 58, 157, 496]),
        (3, [1, 20, 59, 158, 497]),
        (100, [98, 117, 156, 255, 594, 434, 523, 488]),
        (450, [448, 467, 506, 496]),
        (510, [508, 488]),
        (900, [898, 878, 858, 778, 458, 627, 552, 514, 495]),
        (1100, [1098, 1078, 1058, 978, 658, 329, 503, 425, 473, 497]),
    ],
)
def test_a_place_is_found_soon_where_the_guess_is_wrong(guess: int, asked: list[int]) -> None:
    """In jumps of 20, 100, 420 and so on until the place lies between two pages, then by halves."""
    moving = MovingList(1000, [])
    cursor = Cursor(created(500), "r500")
    next(walk(moving.fetch, ResumePoint(cursor, guess), name="the list"))
    assert moving.asked == asked


def test_a_place_is_found_soon_where_the_guess_is_beyond_all_runs() -> None:
    moving = MovingList(10_000, [])
    next(walk(moving.fetch, ResumePoint(Cursor(created(5000), "r5000"), 100_000), name="the list"))
    assert moving.asked[-1] <= 5000 < moving.asked[-1] + 20
    assert len(moving.asked) < 25


@pytest.mark.parametrize(
    ("cursor", "guess", "asked"),
    [
        # The page runs over the instant of the place.
        (500, 480, [478, 497]),
        (500, 499, [497]),
        # The page ends in that instant: nothing newer stands below it.
        (502, 480, [478]),
        # The page begins in that instant: a run of it may stand above.
        (501, 501, [499, 479]),
    ],
)
def test_a_place_whose_run_was_deleted_is_found_by_its_time(
    cursor: int, guess: int, asked: list[int]
) -> None:
    moving = MovingList(1000, [])
    moving.numbers.remove(cursor)
    pages = walk(moving.fetch, ResumePoint(Cursor(created(cursor), "x"), guess), name="the list")
    next(pages)
    assert moving.asked == asked


@pytest.mark.parametrize(
    ("moves", "asked"),
    [
        # 30 runs above are deleted, so that the next page shows none that was seen: up again.
        ([(0, [0] * 30)], [0, 19, 0, 19, 37, 55, 69, 70]),
        # Further than one page: 19 up, 38, 76.
        ([*[(0, [])] * 3, (0, [0] * 66)], [0, 19, 37, 55, 73, 54, 16, 0, 19, 33, 34]),
        # 50 arrive: runs newer than one that was seen are no reason to look further up.
        ([(50, [])], [0, 19, 37, 55, 73, 91, 109, 127, 145, 149, 150]),
    ],
)
def test_a_list_that_moves_is_followed(
    moves: list[tuple[int, list[int]]], asked: list[int]
) -> None:
    moving = MovingList(100, moves)
    pages, ended = walked(moving)
    assert ended
    assert {f"r{n}" for n in moving.always} <= set(ids_in(pages))
    assert moving.asked == asked


def test_ties_at_the_end_of_a_page_are_left_behind_though_runs_arrive() -> None:
    """A page ends in 19 runs of one instant, and one run arrives with each request."""
    moving = MovingList(60, [(1, [])] * 60)

    def fetch(skip: int) -> Slice:
        page = moving.fetch(skip)
        return Slice([tied(e) if isinstance(e.item, Listed) else e for e in page.entries], NOW)

    def tied(row: Entry) -> Entry:
        assert isinstance(row.item, Listed)
        number = int(row.item.run.id[1:])
        cursor = Cursor(EPOCH + timedelta(seconds=number // 19), row.item.run.id)
        return Entry(row.id, Listed(cursor, row.item.run))

    pages = walk(fetch, None, name="the list")
    next(page for page in pages if "r1" in ids_in([page]))
    assert len(moving.asked) < 12


@given(skip=st.integers(0, 400), most=st.integers(25, 60))
def test_of_a_whole_page_as_much_as_can_be_is_left(skip: int, most: int) -> None:
    _, size, cut = page_of(skip, most)
    assert size - cut == max(length - skip % length for length in range(1, most + 1))


@given(size=st.integers(0, 150), moves=MOVES, most=st.integers(25, 60))
def test_whole_pages_will_do(size: int, moves: list[tuple[int, list[int]]], most: int) -> None:
    moving = MovingList(size, moves, page=most)

    def fetch(skip: int) -> Slice:
        number, length, cut = page_of(skip, most)
        first = (number - 1) * length
        rows = moving.fetch(first).entries[:length]
        assert first + cut == skip
        return Slice(rows[cut:], NOW)

    pages, ended = walked(moving, fetch)
    if ended:
        assert {f"r{n}" for n in moving.always} <= set(ids_in(pages))


def test_rows_that_cannot_be_read_stop_no_walk() -> None:
    moving = MovingList(60, [])

    def fetch(skip: int) -> Slice:
        part = moving.fetch(skip)
        spoilt = [Entry(e.id, Problem(e.id)) if e.id in {"r20", "r1"} else e for e in part.entries]
        return Slice(spoilt, part.as_of)

    pages = list(walk(fetch, None, name="the list"))
    problems = [i.what for page in pages for i in page.items if isinstance(i, Problem)]
    assert problems == ["r20", "r1"]
    assert sum(isinstance(i, Listed) for page in pages for i in page.items) == 58


@pytest.mark.parametrize("odd", [5, 19])
def test_a_row_out_of_order_hides_no_page_that_was_jumped_over(odd: int) -> None:
    moving = MovingList(150, [*[(0, [])] * 3, (0, [30] * 25)])
    old = f"r{moving.numbers[odd]}"

    def fetch(skip: int) -> Slice:
        part = moving.fetch(skip)
        rows = [
            Entry(e.id, replace(e.item, cursor=Cursor(created(-1000), old)))
            if e.id == old and isinstance(e.item, Listed)
            else e
            for e in part.entries
        ]
        return Slice(rows, part.as_of)

    pages, ended = walked(moving, fetch)
    assert ended
    assert {f"r{n}" for n in moving.always} <= set(ids_in(pages))


def test_rows_of_one_id_that_tell_different_things_are_unreadable() -> None:
    moving = MovingList(30, [])

    def fetch(skip: int) -> Slice:
        part = moving.fetch(skip)
        rows = list(part.entries)
        if skip == 0:
            rows[4] = Entry(rows[3].id, rows[4].item)
            rows[7] = rows[6]
        return Slice(rows, part.as_of)

    first = next(walk(fetch, None, name="the list"))
    shown = [i.what if isinstance(i, Problem) else i for i in first.items]
    assert shown.count(f"run r{moving.numbers[3]}: the listing shows it in two ways") == 2
    assert len(first.items) == 19


def test_a_list_that_answers_at_random_is_given_up() -> None:
    calls = iter(range(1, 10_000))

    def fetch(skip: int) -> Slice:
        number = next(calls)
        return Slice([entry(100_000 - 10 * number * 20 - n) for n in range(20)], NOW)

    with pytest.raises(SourceError, match="faster than it can be read"):
        for _ in zip(
            range(200),
            walk(fetch, ResumePoint(Cursor(EPOCH, "x"), 5), name="the list"),
            strict=False,
        ):
            pass


@pytest.mark.parametrize("empty_answers", [1, 2, 5])
@pytest.mark.parametrize("first", [1, 2, 4])
def test_empty_answers_end_no_list(first: int, empty_answers: int) -> None:
    """The list has 70 runs, and some answers in a row are empty, which a service may let happen."""
    moving = MovingList(70, [])

    def fetch(skip: int) -> Slice:
        page = moving.fetch(skip)
        number = len(moving.asked)
        return Slice([], NOW) if first < number <= first + empty_answers else page

    pages: list[Page] = []
    with contextlib.suppress(SourceError):
        pages += walk(fetch, None, name="the list")
    assert len(ids_in(pages)) == 70 or not any(page.at_start for page in pages)


def test_a_list_that_is_suddenly_empty_is_named() -> None:
    moving = MovingList(70, [(0, [0] * 70)])
    pages = walk(moving.fetch, None, name="the list")
    assert len(next(pages).items) == 20
    with pytest.raises(SourceError, match="the list is suddenly empty"):
        list(pages)


def test_an_empty_answer_is_no_end_below_a_place() -> None:
    moving = MovingList(0, [])
    with pytest.raises(SourceError, match="suddenly empty"):
        list(walk(moving.fetch, ResumePoint(Cursor(EPOCH, "r5"), 30), name="the list"))


@pytest.mark.parametrize("unreadable", [{59, 50, 7}, {60, 59, 58}, {42, 41, 40}, {3, 2, 1}])
def test_rows_that_look_the_same_are_a_hole_each(unreadable: set[int]) -> None:
    moving = MovingList(60, [])
    broken = {f"r{n}" for n in unreadable}

    def fetch(skip: int) -> Slice:
        page = moving.fetch(skip)
        rows = [Entry(None, Problem("no object")) if e.id in broken else e for e in page.entries]
        return Slice(rows, page.as_of)

    pages, ended = walked(moving, fetch)
    assert ended
    # One at the end of a page is shown by the next page again.
    holes = sum(isinstance(item, Problem) for page in pages for item in page.items)
    assert len(unreadable) <= holes <= len(unreadable) + 1
    assert len(ids_in(pages)) == 57


@given(size=st.integers(1, 90), moves=MOVES, spoilt=st.sets(st.integers(0, 90)))
def test_nothing_is_claimed_that_was_not_seen(
    size: int, moves: list[tuple[int, list[int]]], spoilt: set[int]
) -> None:
    """Rows that tell no id, in a list that moves: what is covered holds no run that was missed."""
    moving = MovingList(size, moves, 5)
    broken = {f"r{n}" for n in spoilt}

    def fetch(skip: int) -> Slice:
        page = moving.fetch(skip)
        rows = [Entry(None, Problem("no object")) if e.id in broken else e for e in page.entries]
        return Slice(rows, page.as_of)

    tracker = CoverageTracker(None)
    pages, _ = walked(moving, fetch)
    for page in pages:
        tracker.add_page(cursors_of(page), at_start=page.at_start)
    found = set(ids_in(pages))
    for number in moving.always:
        covered = any(i.newest.at > created(number) > i.oldest.at for i in tracker.intervals)
        assert f"r{number}" in found or not covered


def test_a_service_that_ignores_paging_is_refused() -> None:
    first_page = [entry(n) for n in range(100, 80, -1)]
    asked: list[int] = []

    def fetch(skip: int) -> Slice:
        asked.append(skip)
        assert len(asked) < 500
        return Slice(first_page, NOW)

    with pytest.raises(SourceError, match="the same runs on page after page"):
        list(walk(fetch, None, name="the list"))
    assert len(asked) < 100


@pytest.mark.parametrize("size", [2, 4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_runs_of_one_instant_may_change_their_order_from_page_to_page(size: int, seed: int) -> None:
    rng = random.Random(seed)
    instants = [[n * size + i for i in range(size)] for n in range(60 // size)]

    def fetch(skip: int) -> Slice:
        order = [number for ties in instants for number in rng.sample(ties, size)]
        return Slice([row(number) for number in order[skip : skip + 20]], NOW)

    def row(number: int) -> Entry:
        at = EPOCH - timedelta(seconds=number // size)
        run = Run(pipeline=Pipeline("p"), id=f"r{number}", created_at=at, status=Status.FINISHED)
        return Entry(run.id, Listed(Cursor(at, run.id), run))

    ids = ids_in(list(walk(fetch, None, name="the list")))
    assert sorted(ids) == sorted(f"r{number}" for ties in instants for number in ties)


@pytest.mark.parametrize("readable", [[], [entry(5), entry(4)]])
def test_a_list_that_ignores_paging_is_given_up_also_where_rows_cannot_be_read(
    readable: list[Entry],
) -> None:
    """Such rows are known by their positions, at which nothing was seen before."""
    page = [*readable, *(Entry(None, Problem("a row that is no object")) for _ in range(3))]
    pages = walk(lambda _skip: Slice(page, NOW), None, name="the list")
    with pytest.raises(SourceError, match="the same runs on page after page"):
        list(islice(pages, 1000))


@pytest.mark.parametrize(
    ("asked", "shown", "then"),
    [
        (3, [20], []),  # one row alone that was never seen, and nothing below it
        (2, [20, 3, 2, 1], None),  # one new row above those that were jumped to
    ],
)
def test_a_newer_row_proves_neither_an_end_nor_that_nothing_was_jumped_over(
    asked: int, shown: list[int], then: list[int] | None
) -> None:
    moving = MovingList(10, [], page=4)
    lies = iter([shown] if then is None else [shown, then])
    calls = 0
    below = -1

    def fetch(skip: int) -> Slice:
        nonlocal calls, below
        calls += 1
        if calls == asked or skip == below:
            below = skip + 1
            return Slice([entry(n) for n in next(lies, [])], NOW)
        below = -1
        return moving.fetch(skip)

    pages, _ = walked(moving, fetch)
    assert set(ids_in(pages)) >= {f"r{n}" for n in moving.numbers}


def test_where_an_answer_tells_that_it_is_the_last_nothing_more_is_asked() -> None:
    moving = MovingList(9, [], page=4)

    def fetch(skip: int) -> Slice:
        return replace(moving.fetch(skip), at_start=skip + 4 >= 9)

    pages, _ = walked(moving, fetch)
    assert moving.asked == [0, 2, 4, 6]
    assert [page.at_start for page in pages] == [False, False, False, True]

"""What a page proves, and where a walk goes on."""

from datetime import UTC, datetime, timedelta

import pytest

from runsync.coverage import Interval
from runsync.records import Cursor, Pipeline, Problem, Run, Status
from runsync.sources.base import Listed, Page
from runsync.sync.walk import Turn, Walk

NOW = datetime(2024, 5, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
LONG_AGO = NOW - timedelta(days=1000)


def place(hour: int) -> Cursor:
    return Cursor(NOW + timedelta(hours=hour), f"{hour:03}")


def run(hour: int) -> Listed:
    at = place(hour)
    made = Run(pipeline=Pipeline("p"), id=at.id, created_at=at.at, status=Status.FINISHED)
    return Listed(at, made)


def test_a_place_without_a_run_is_covered() -> None:
    walk = Walk([])
    proven, turn = walk.take(Page((place(9), run(8), place(7)), LATER))
    assert (proven, turn) == ([Interval(place(9), place(7))], Turn.NEXT_PAGE)


def test_a_hole_between_places_stays_one() -> None:
    proven, _ = Walk([]).take(Page((place(9), Problem("bad"), place(7)), LATER))
    assert proven == [Interval(place(9), place(9)), Interval(place(7), place(7))]


def test_a_page_of_places_alone_leads_to_what_is_covered() -> None:
    walk = Walk([Interval(place(8), place(1), reaches_start=True)])
    assert walk.take(Page((place(9), place(8), place(7)), NOW + timedelta(days=1)))[1] is Turn.END


def test_a_page_aside_says_nothing_of_how_far_the_walk_has_come() -> None:
    walk = Walk([Interval(place(8), place(1), reaches_start=True)])
    assert walk.take(Page((run(5), run(3)), LATER, aside=True)) == ([], Turn.NEXT_PAGE)
    assert walk.take(Page((run(9), run(8)), LATER)) == (
        [Interval(place(9), place(8))],
        Turn.END,
    )


def page(*hours: int) -> Page:
    return Page(tuple(run(hour) for hour in hours), LATER)


def covered(newest: int, oldest: int, *, reaches_start: bool = False) -> Interval:
    return Interval(place(newest), place(oldest), reaches_start)


def test_the_last_page_ends_a_walk_that_is_to_read_all_again() -> None:
    walk = Walk([], recheck_since=lambda _: LONG_AGO)
    proven, turn = walk.take(Page((run(5), run(4)), LATER, at_start=True))
    assert (proven, turn) == ([covered(5, 4, reaches_start=True)], Turn.END)


def test_a_walk_ends_at_since_also_below_a_row_that_cannot_be_read() -> None:
    walk = Walk([], since=place(3).at)
    read = Page((run(5), Problem("bad"), run(2)), LATER)
    assert walk.take(read) == ([covered(5, 5)], Turn.END)


def test_a_first_page_of_which_nothing_can_be_read_ends_no_walk() -> None:
    walk = Walk([], since=place(3).at)
    assert walk.take(Page((Problem("bad"), Problem("worse")), LATER)) == ([], Turn.NEXT_PAGE)
    assert walk.take(Page((run(5), run(2)), LATER))[1] is Turn.END


def test_a_walk_that_is_to_read_all_again_ends_at_since() -> None:
    walk = Walk([], since=place(3).at, recheck_since=lambda _: LONG_AGO)
    assert walk.take(page(9, 4))[1] is Turn.NEXT_PAGE
    assert walk.take(page(4, 2))[1] is Turn.END


def test_an_unchanged_top_is_gone_past_to_below_the_newest_interval() -> None:
    walk = Walk([covered(8, 5), covered(3, 2)])
    assert walk.take(Page((), NOW, unchanged=True)) == ([], Turn.JUMP)
    assert walk.start == place(5)


def test_an_unchanged_top_of_all_history_ends_a_walk() -> None:
    walk = Walk([covered(8, 1, reaches_start=True)])
    assert walk.take(Page((), NOW, unchanged=True)) == ([], Turn.END)
    assert walk.start is None


def test_an_unchanged_top_below_which_nothing_is_covered_leads_on() -> None:
    assert Walk([]).take(Page((), NOW, unchanged=True))[1] is Turn.NEXT_PAGE


def test_what_is_new_is_walked_down_to_what_is_covered_and_on_below_it() -> None:
    walk = Walk([covered(8, 4)])
    assert walk.take(page(12, 10)) == ([covered(12, 10)], Turn.NEXT_PAGE)
    assert walk.take(page(10, 8)) == ([covered(10, 8)], Turn.JUMP)
    assert walk.start == place(4)
    assert walk.take(page(4, 3)) == ([covered(4, 3)], Turn.NEXT_PAGE)
    last = Page((run(3), run(2)), LATER, at_start=True)
    assert walk.take(last) == ([covered(3, 2, reaches_start=True)], Turn.END)


def test_a_walk_below_what_is_covered_still_ends_at_since() -> None:
    walk = Walk([covered(8, 5)], since=place(3).at)
    assert walk.take(page(9, 8))[1] is Turn.JUMP
    assert walk.take(page(5, 4, 2))[1] is Turn.END


def test_nothing_is_jumped_over_where_the_page_ends_with_the_interval() -> None:
    assert Walk([covered(8, 4)]).take(page(8, 4))[1] is Turn.NEXT_PAGE


def test_the_first_run_of_all_ends_a_walk_where_history_is_covered_down_to_it() -> None:
    walk = Walk([covered(8, 1, reaches_start=True)])
    assert walk.take(page(8, 4, 1))[1] is Turn.END


def test_covered_history_is_read_down_to_where_it_is_to_be_read_again() -> None:
    walk = Walk(
        [covered(30, 1, reaches_start=True)], recheck_since=lambda now: now - timedelta(hours=20)
    )
    assert walk.take(page(30, 5))[1] is Turn.NEXT_PAGE
    assert walk.take(page(5, 4))[1] is Turn.END  # a page is as of hour 24


def test_runs_of_one_instant_count_each_as_itself() -> None:
    upper, lower = Cursor(NOW, "b"), Cursor(NOW, "a")
    assert Walk([]).take(Page((upper, lower), NOW))[0] == [Interval(upper, lower)]


def test_a_run_above_a_newer_one_counts_as_standing_there() -> None:
    assert Walk([]).take(page(2, 9, 8))[0] == [covered(9, 8)]


def test_a_run_of_the_future_covers_nothing_beyond_the_providers_clock() -> None:
    now = Cursor(LATER, "")
    assert Walk([]).take(page(30, 8)) == ([Interval(now, place(8))], Turn.NEXT_PAGE)
    assert Walk([]).take(page(31, 30)) == ([Interval(now, now)], Turn.NEXT_PAGE)


def test_a_problem_that_loses_nothing_leaves_no_hole() -> None:
    read = Page((run(9), Problem("named", lost=False), run(7)), LATER)
    assert Walk([]).take(read)[0] == [covered(9, 7)]


@pytest.mark.parametrize(
    ("floor", "depth"), [(1, 0.5), (5, 1.0), (7, 1.0), (9, 1.0), (10, 1.0), (None, None)]
)
def test_how_deep_a_walk_has_come(floor: int | None, depth: float | None) -> None:
    walk = Walk([])
    walk.take(page(9, 5))
    assert walk.depth(None if floor is None else place(floor).at) == depth


def test_a_walk_is_deeper_for_what_it_goes_past() -> None:
    walk = Walk([covered(10, 4)])
    walk.take(page(11, 10))
    assert walk.depth(place(1).at) == pytest.approx(0.7)
    walk.take(page(4, 2))
    assert walk.depth(place(1).at) == pytest.approx(0.9)


def test_how_deep_a_walk_is_cannot_be_known_before_a_run() -> None:
    fresh = Walk([covered(8, 4)])
    fresh.take(Page((Problem("bad"),), NOW))
    assert fresh.depth(place(1).at) is None
    below = Walk([], since=place(5).at)
    below.take(page(3))
    assert below.depth(place(1).at) is None

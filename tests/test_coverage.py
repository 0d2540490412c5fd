"""What is said to be covered was walked: whatever the pages, holes, bounds and times.

The model is a list of runs, newest first; of runs created in the same instant the order says
nothing. A stretch claims every run between its ends, and at its ends itself.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runsync.coverage import CoverageTracker, Interval, interval_containing, union
from runsync.records import Cursor

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def cursor(second: int, name: str = "r") -> Cursor:
    return Cursor(at(second), name)


def claims(interval: Interval, one: Cursor) -> bool:
    """Whether a stretch says that this run was walked."""
    if one in (interval.newest, interval.oldest):
        return True
    if one.at >= interval.newest.at:
        return False
    below = interval.oldest
    return interval.reaches_start or one.at > below.at or (one.at == below.at and not below.id)


def claimed(intervals: list[Interval], marks: list[Cursor]) -> set[Cursor]:
    return {one for one in marks if any(claims(interval, one) for interval in intervals)}


@st.composite
def listings(draw: st.DrawFn) -> list[Cursor]:
    """A listing, newest first; many of its runs share a time, in no order of ids."""
    seconds = draw(st.lists(st.integers(0, 12), min_size=1, max_size=25))
    names = draw(st.permutations(range(len(seconds))))
    pairs = sorted(zip(seconds, names, strict=True), key=lambda pair: -pair[0])
    return [cursor(second, f"r{name:02}") for second, name in pairs]


SINCE = st.none() | st.integers(-2, 14).map(at)


@st.composite
def walks(
    draw: st.DrawFn, listing: list[Cursor]
) -> tuple[CoverageTracker, set[Cursor], set[Cursor]]:
    """A descent through a listing: its tracker, what it read, and where it found holes."""
    since = draw(SINCE)
    start = draw(st.none() | st.integers(0, len(listing) - 1))
    tracker = CoverageTracker(None if start is None else listing[start], since)
    walked = set() if start is None else {listing[start]}
    holes: set[Cursor] = set()
    place = start or 0
    for _ in range(draw(st.integers(0, 8))):
        page = listing[place : place + draw(st.integers(1, 5))]
        bad = {one for one in page if draw(st.integers(0, 9)) == 0 and one not in walked}
        place += len(page)
        tracker.add_page(
            [None if one in bad else one for one in page], at_start=place >= len(listing)
        )
        walked |= {one for one in page if one not in bad and (not since or one.at >= since)}
        holes |= bad
        if tracker.done or place >= len(listing):
            break
    return tracker, walked, holes


@given(st.data())
def test_a_trail_claims_what_was_walked_and_no_more(data: st.DataObject) -> None:
    listing = data.draw(listings())
    tracker, walked, _ = data.draw(walks(listing))
    assert claimed(tracker.intervals, listing) <= walked


@given(st.data())
def test_several_trails_together_claim_no_more_than_was_walked(data: st.DataObject) -> None:
    listing = data.draw(listings())
    found = [data.draw(walks(listing)) for _ in range(data.draw(st.integers(1, 5)))]
    intervals = union(interval for tracker, _, _ in found for interval in tracker.intervals)
    walked = set().union(*(walked for _, walked, _ in found))
    assert claimed(intervals, listing) <= walked


@given(st.data())
def test_a_trail_that_is_done_has_all_that_is_wanted(data: st.DataObject) -> None:
    listing = data.draw(listings())
    tracker, walked, holes = data.draw(walks(listing))
    since = tracker._bound.at if tracker._bound else None
    if tracker.done and since and walked | holes:
        top = min(listing.index(one) for one in walked | holes)
        assert {one for one in listing[top:] if one.at >= since} <= walked | holes


@given(st.data())
def test_what_reaches_back_far_enough_has_all_that_is_wanted(data: st.DataObject) -> None:
    listing, since = data.draw(listings()), data.draw(SINCE)
    found = [data.draw(walks(listing)) for _ in range(data.draw(st.integers(1, 4)))]
    walked = set().union(*(walked for _, walked, _ in found))
    for interval in union(s for tracker, _, _ in found for s in tracker.intervals):
        if interval.reaches(since):
            assert {
                one
                for one in listing
                if one.at < interval.newest.at and (since is None or one.at >= since)
            } <= walked


@given(st.data())
def test_what_lies_below_a_place_in_a_stretch_was_walked(data: st.DataObject) -> None:
    """A walk that has come to a place in a stretch goes on below it: nothing may lie between."""
    listing = data.draw(listings())
    found = [data.draw(walks(listing)) for _ in range(data.draw(st.integers(1, 4)))]
    walked = set().union(*(walked for _, walked, _ in found))
    intervals = union(s for tracker, _, _ in found for s in tracker.intervals)
    for place, one in enumerate(listing):
        reach = interval_containing(intervals, one)
        if reach is not None and reach.oldest in listing and reach.oldest < one:
            assert set(listing[place + 1 : listing.index(reach.oldest)]) <= walked


def test_a_walk_without_holes_is_one_stretch() -> None:
    tracker = CoverageTracker(None)
    for begin in range(20, 0, -5):
        tracker.add_page([cursor(n) for n in range(begin, begin - 5, -1)], at_start=begin == 5)
    assert tracker.intervals == [Interval(cursor(20), cursor(1), reaches_start=True)]
    assert not tracker.done


def test_a_hole_parts_what_is_above_from_what_is_below() -> None:
    tracker = CoverageTracker(None)
    covered = tracker.add_page([cursor(5), cursor(4), None, cursor(2), cursor(1)], at_start=True)
    assert covered == [
        Interval(cursor(5), cursor(4)),
        Interval(cursor(2), cursor(1), reaches_start=True),
    ]
    assert tracker.lowest == cursor(1)


def test_a_hole_at_the_end_of_a_page_is_not_bridged_by_the_next() -> None:
    tracker = CoverageTracker(None)
    tracker.add_page([cursor(5), None])
    tracker.add_page([cursor(3)], at_start=True)
    assert tracker.intervals == [
        Interval(cursor(5), cursor(5)),
        Interval(cursor(3), cursor(3), reaches_start=True),
    ]


def test_what_was_passed_over_as_too_old_is_not_covered() -> None:
    """Some sources know with the last runs that they are the last; those may not be wanted."""
    tracker = CoverageTracker(None, since=at(3))
    tracker.add_page([cursor(5), cursor(4), cursor(2), cursor(1)], at_start=True)
    (interval,) = tracker.intervals
    assert not interval.reaches_start
    assert interval.reaches(at(3))
    assert not interval.reaches(at(2))
    assert not interval.reaches(None)


def test_a_run_of_the_very_time_that_is_wanted_may_not_be_the_last() -> None:
    tracker = CoverageTracker(None, since=at(3))
    tracker.add_page([cursor(5), cursor(3, "a")])
    assert not tracker.done
    assert not any(interval.reaches(at(3)) for interval in tracker.intervals)
    tracker.add_page([cursor(3, "b"), cursor(2)])
    assert tracker.intervals[0].reaches(at(3))
    assert tracker.done


def test_a_run_that_arrived_meanwhile_does_not_bridge_a_hole() -> None:
    """The list has moved: above the hole stands a run that the page before did not show."""
    tracker = CoverageTracker(None)
    tracker.add_page([cursor(9), cursor(7)])
    tracker.add_page([None, cursor(12), cursor(6), cursor(5)])
    assert tracker.intervals == [Interval(cursor(9), cursor(7)), Interval(cursor(6), cursor(5))]


def test_where_all_runs_are_too_old_nothing_is_covered() -> None:
    """Else each `sync --since 1d` of a quiet pipeline would leave a stretch of its own."""
    tracker = CoverageTracker(None, since=at(7))
    assert tracker.add_page([cursor(5), cursor(4)]) == []
    assert tracker.done
    after_a_hole = CoverageTracker(None, since=at(7))
    assert after_a_hole.add_page([cursor(8), None, cursor(4)]) == [Interval(cursor(8), cursor(8))]


def test_an_empty_listing_covers_nothing() -> None:
    tracker = CoverageTracker(None)
    assert tracker.add_page([], at_start=True) == []
    assert tracker.lowest is None


def stretches_of(names: str) -> st.SearchStrategy[list[Interval]]:
    ends = st.builds(cursor, st.integers(0, 30), st.sampled_from(names))
    return st.lists(
        st.builds(
            lambda one, other, start: Interval(max(one, other), min(one, other), start),
            ends,
            ends,
            st.integers(0, 9).map(lambda n: n == 0),
        ),
        max_size=8,
    )


STRETCHES = stretches_of("abc")
OF_DIFFERENT_TIMES = stretches_of("a")


@given(STRETCHES)
def test_a_union_is_in_order_and_apart(intervals: list[Interval]) -> None:
    joined = union(intervals)
    for upper, lower in pairwise(joined):
        assert upper.newest > lower.newest
        assert upper.oldest.at >= lower.newest.at
        assert not upper.reaches_start


@given(STRETCHES)
def test_a_union_of_a_union_is_the_same(intervals: list[Interval]) -> None:
    joined = union(intervals)
    assert union(joined) == joined
    assert union([*joined, *joined]) == joined


@given(OF_DIFFERENT_TIMES, st.randoms(use_true_random=False))
def test_a_union_is_the_same_in_any_order(intervals: list[Interval], random: object) -> None:
    other = list(intervals)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert union(other) == union(intervals)


@given(OF_DIFFERENT_TIMES, OF_DIFFERENT_TIMES)
def test_a_union_may_be_made_bit_by_bit(first: list[Interval], second: list[Interval]) -> None:
    bit_by_bit: list[Interval] = []
    for interval in [*first, *second]:
        bit_by_bit = union([*bit_by_bit, interval])
    assert bit_by_bit == union([*first, *second])


@given(STRETCHES)
def test_a_union_takes_nothing_away(intervals: list[Interval]) -> None:
    joined = union(intervals)
    # In the very instant of an end a run may be forgotten; it is walked once more.
    ends = {end.at for interval in joined for end in (interval.newest, interval.oldest)}
    marks = [cursor(n, name) for n in range(31) for name in "abc" if at(n) not in ends]
    assert claimed(intervals, marks) <= claimed(joined, marks)


def test_the_start_is_kept_when_stretches_join() -> None:
    upper, lower = (
        Interval(cursor(9), cursor(5)),
        Interval(cursor(6), cursor(1), reaches_start=True),
    )
    assert union([lower, upper]) == [Interval(cursor(9), cursor(1), reaches_start=True)]
    assert union([upper, replace(lower, newest=cursor(5))]) == [
        Interval(cursor(9), cursor(1), reaches_start=True)
    ]
    assert len(union([upper, replace(lower, newest=cursor(5, "another"))])) == 2


def test_what_was_found_within_one_instant_parts_no_stretches() -> None:
    upper, lower = Interval(cursor(9), cursor(5, "a")), Interval(cursor(5, "a"), cursor(1))
    between = Interval(cursor(5, "b"), cursor(5, "b"))
    assert union([upper, lower, between]) == [Interval(cursor(9), cursor(1))]


def test_stretches_that_meet_in_an_instant_join_once_it_was_walked() -> None:
    upper, lower = Interval(cursor(9), cursor(5, "a")), Interval(cursor(5, "b"), cursor(1))
    assert union([upper, lower]) == [upper, lower]
    assert union([upper, lower, Interval(cursor(5, "a"), cursor(1))]) == [
        Interval(cursor(9), cursor(1))
    ]


def test_a_run_of_the_wanted_time_may_have_others_below_it() -> None:
    """Whatever its id: what is below it in its instant is wanted too."""
    assert not Interval(cursor(9), cursor(3, "0")).reaches(at(3))
    assert not Interval(cursor(9), cursor(3, "z")).reaches(at(3))


def test_runs_of_one_instant_join_nothing_that_begins_within_it() -> None:
    upper, lower = Interval(cursor(9), cursor(5, "b")), Interval(cursor(5, "z"), cursor(1))
    alone = Interval(cursor(5, "b"), cursor(5, "b"))
    assert union([upper, lower, alone]) == [upper, lower]


def test_an_interval_contains_what_lies_between_its_ends_and_the_ends_themselves() -> None:
    interval = Interval(cursor(9, "m"), cursor(5, "m"))
    for inside in (cursor(7), cursor(9, "m"), cursor(5, "m")):
        assert interval_containing([interval], inside) is interval
    for outside in (cursor(10), cursor(9, "a"), cursor(9, "z"), cursor(5, "a"), cursor(5, "z")):
        assert interval_containing([interval], outside) is None


def test_a_descent_from_a_run_covers_from_there() -> None:
    tracker = CoverageTracker(cursor(8))
    assert tracker.lowest == cursor(8)
    tracker.add_page([cursor(8), cursor(7), cursor(5)])
    assert tracker.intervals == [Interval(cursor(8), cursor(5))]
    assert CoverageTracker(cursor(8)).add_page([cursor(7)]) == [Interval(cursor(8), cursor(7))]


def test_a_run_above_the_start_does_not_begin_an_interval() -> None:
    tracker = CoverageTracker(cursor(5))
    tracker.add_page([None, cursor(9), cursor(3)])
    assert tracker.intervals == [Interval(cursor(5), cursor(5)), Interval(cursor(3), cursor(3))]


def test_the_run_above_a_hole_that_shows_up_again_does_not_close_it() -> None:
    tracker = CoverageTracker(None)
    tracker.add_page([cursor(9), cursor(7), None])
    tracker.add_page([cursor(7), cursor(5)])
    assert tracker.intervals == [Interval(cursor(9), cursor(7)), Interval(cursor(5), cursor(5))]

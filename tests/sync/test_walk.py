"""What a page says of where history is covered."""

from datetime import UTC, datetime, timedelta

from runsync.coverage import Interval
from runsync.records import Cursor, Pipeline, Problem, Run, Status
from runsync.sources.base import Listed, Page
from runsync.sync.walk import Turn, Walk

NOW = datetime(2024, 5, 6, tzinfo=UTC)


def place(hour: int) -> Cursor:
    return Cursor(NOW + timedelta(hours=hour), f"{hour:03}")


def run(hour: int) -> Listed:
    at = place(hour)
    made = Run(pipeline=Pipeline("p"), id=at.id, created_at=at.at, status=Status.FINISHED)
    return Listed(at, made)


def test_a_place_without_a_run_is_covered() -> None:
    walk = Walk([])
    proven, turn = walk.take(Page((place(9), run(8), place(7)), NOW))
    assert (proven, turn) == ([Interval(place(9), place(7))], Turn.NEXT_PAGE)


def test_a_hole_between_places_stays_one() -> None:
    proven, _ = Walk([]).take(Page((place(9), Problem("bad"), place(7)), NOW))
    assert proven == [Interval(place(9), place(9)), Interval(place(7), place(7))]


def test_a_page_of_places_alone_leads_to_what_is_covered() -> None:
    walk = Walk([Interval(place(8), place(1), reaches_start=True)])
    assert walk.take(Page((place(9), place(8), place(7)), NOW + timedelta(days=1)))[1] is Turn.END


def test_a_page_aside_says_nothing_of_how_far_the_walk_has_come() -> None:
    walk = Walk([Interval(place(8), place(1), reaches_start=True)])
    later = NOW + timedelta(days=1)
    assert walk.take(Page((run(5), run(3)), later, aside=True)) == ([], Turn.NEXT_PAGE)
    assert walk.take(Page((run(9), run(8)), later)) == (
        [Interval(place(9), place(8))],
        Turn.END,
    )

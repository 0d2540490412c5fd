"""What a dry run tells, from what is stored."""

from datetime import timedelta
from typing import Any

from runsync.coverage import Interval
from runsync.records import Cursor, Pipeline, Result, Run, RunWithSteps, Status
from runsync.sources.wercker.source import Wercker
from runsync.storage.store import Batch, ListingStore, RunToWrite
from runsync.sync.engine import Options
from runsync.sync.plan import plan
from tests.sync.rig import NOW, MakeRig, Rig

DAY = timedelta(days=1)


class ListsChanges(Wercker):
    """As GitLab, whose listing shows a run again when it has changed."""

    lists_changes = True
    page_runs = 100


def planned(rig: Rig, kind: type[Wercker] = Wercker, **options: Any) -> dict[str, Any]:
    (row,) = plan(rig.database, rig.tasks(rig.source(kind)), Options(**options))
    return row


def stored(rig: Rig, days: list[int], *intervals: tuple[int, int], whole: bool = False) -> None:
    """Stores a run of each day, the first of which goes on, and that these days are covered."""
    pipeline = Pipeline(rig.world.pipelines[0].id, "build")
    (task,) = rig.tasks()
    runs = [
        Run(
            pipeline=pipeline,
            id=f"{day:024x}",
            created_at=NOW + day * DAY,
            status=Status.FINISHED if number else Status.RUNNING,
            result=Result.PASSED if number else Result.UNKNOWN,
        )
        for number, day in enumerate(days)
    ]
    covered = [
        Interval(Cursor(NOW + newest * DAY, "x"), Cursor(NOW + oldest * DAY, "x"), whole)
        for newest, oldest in intervals
    ]
    ListingStore(rig.database, "wercker", task.listing.key).save(
        Batch(
            [
                RunToWrite(RunWithSteps(one, (), NOW + 99 * DAY), bool(number))
                for number, one in enumerate(runs)
            ],
            covered,
        )
    )


def test_what_is_covered_and_where_runs_may_be_missing(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[0], pipelines=1)
    stored(rig, [1], (9, 7), (5, 3), (2, 1))
    row = planned(rig)
    assert (row["covered_to"], row["covered_from"]) == (NOW + 9 * DAY, NOW + 7 * DAY)
    assert (row["gaps"], row["requests"]) == (2, None)
    (task,) = rig.tasks()
    assert (row["pipeline"], row["listing"]) == (task.title, task.listing.key)
    assert planned(rig, since=NOW + 8 * DAY)["requests"] is not None
    assert planned(rig, since=NOW + 6 * DAY)["requests"] is None


def test_a_whole_walk_asks_for_the_pages_of_the_runs_that_are_wanted(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[0], pipelines=1)
    pages = 3
    stored(rig, [*range(pages * Wercker.page_runs)], (99, 0), whole=True)
    again = 1 + Wercker.requests_per_run
    assert planned(rig)["requests"] == 1 + again
    assert planned(rig, full=True)["requests"] == pages + 1 + again
    assert planned(rig, full=True, since=NOW + Wercker.page_runs * DAY)["requests"] == pages + again
    assert planned(rig, ListsChanges)["unsettled"] == 0
    assert planned(rig)["unsettled"] == 1


# Of each run the steps, and a page for each 19.
UNKNOWN = "; about 106 requests for each 100 runs, whose number is known only to the service"
AGAIN = "; read 1 unsettled runs again"


def test_the_words_say_what_a_sync_would_do(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[0], pipelines=1)
    first = "walk the listing back to the first run, and read each run" + UNKNOWN
    since: dict[str, Any] = {"since": NOW + 6 * DAY}
    assert planned(rig)["plan"] == first
    assert planned(rig, ListsChanges)["plan"] == first.replace("106", "101")
    assert planned(rig, **since)["plan"] == first.replace("the first run", "2024-05-12")
    stored(rig, [8], (9, 7), (5, 3))
    top, below = "look for new runs at the top", ", and go on below what is covered, back to "
    assert planned(rig)["plan"] == top + below + "the first run" + AGAIN + UNKNOWN
    assert planned(rig, **since)["plan"] == top + below + "2024-05-12" + AGAIN + UNKNOWN
    assert planned(rig, since=NOW + 8 * DAY)["plan"] == top + AGAIN
    assert planned(rig, ListsChanges, since=NOW + 8 * DAY)["plan"] == top
    whole = "walk the whole listing back to 2024-05-14"
    assert planned(rig, since=NOW + 8 * DAY, full=True)["plan"] == whole + AGAIN


def test_without_a_database_all_is_to_be_read(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[0], pipelines=1)
    (row,) = plan(None, rig.tasks(), Options())
    assert row == planned(rig)
    assert (row["covered_from"], row["covered_to"], row["requests"]) == (None, None, None)
    assert (row["gaps"], row["unsettled"]) == (0, 0)


def test_each_unsettled_run_is_asked_for_with_its_steps(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[0], pipelines=1)
    for day in (1, 2, 3):
        stored(rig, [day], (99, 0), whole=True)
    row = planned(rig)
    assert (row["unsettled"], row["requests"]) == (3, 1 + 3 * (1 + Wercker.requests_per_run))

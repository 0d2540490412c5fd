"""Nothing is claimed that an answer does not prove, and what came is kept.

Each of these lost rows, or work, with the first version.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runsync.records import Cursor, Pipeline, Run, RunWithSteps
from runsync.sources.base import Listed, Page
from runsync.sources.pagination import Entry, Slice
from runsync.sources.wercker.source import Wercker
from runsync.storage.store import Batch, ListingStore
from runsync.sync.engine import SyncOutcome
from tests.sync.rig import MakeRig, Rig, empty_world

HOUR = 3600.0
Change = Callable[[list[Entry], int], list[Entry]]


def only(outcomes: list[SyncOutcome]) -> SyncOutcome:
    (outcome,) = outcomes
    return outcome


def settled_rig(make_rig: MakeRig, runs: int, **options: Any) -> Rig:
    rig = make_rig(runs=[runs], pipelines=1, **options)
    rig.world.clock.advance(timedelta(days=60))
    return rig


@pytest.mark.parametrize("empty", [1, 2, 3])
@pytest.mark.parametrize("after", [0, 1, 2, 7])
def test_empty_pages_are_no_end_of_a_list(make_rig: MakeRig, empty: int, after: int) -> None:
    rig = settled_rig(make_rig, 150)
    rig.simulator.faults.add("empty-page", "runs", after=after, first=empty)
    rig.sync()
    rig.simulator.faults.clear()
    assert only(rig.sync()).outcome == "ok"
    rig.assert_exact()


def test_rows_that_look_the_same_are_as_many_holes(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 60)
    ids = rig.world.run_ids(rig.world.pipelines[0].id)
    bad = [ids[20], ids[21], ids[22], ids[40]]
    good = {run: dict(rig.world.run_payload(run)) for run in bad}
    for run in bad:
        rig.world.set_fields(run, **dict.fromkeys(good[run]))
    assert only(rig.sync()).outcome == "partial"
    assert only(rig.sync()).outcome == "partial"
    for run in bad:
        rig.world.set_fields(run, **good[run])
    assert only(rig.sync()).outcome == "ok"
    rig.assert_exact()


def test_a_passing_404_for_steps_settles_nothing(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    run = rig.world.run_ids(rig.world.pipelines[0].id)[5]
    rig.simulator.faults.add("404", "steps", run=run, first=1)
    outcome = only(rig.sync())
    assert outcome.outcome == "partial"
    assert run in (outcome.error or "")
    rig.simulator.faults.clear()
    assert only(rig.sync()).outcome == "ok"
    rig.assert_exact()


def test_a_quota_in_the_middle_of_re_reads_keeps_what_came(make_rig: MakeRig) -> None:
    world = empty_world()
    (pipeline,) = world.pipelines
    runs = [world.add_run(pipeline.id, status="running") for _ in range(30)]
    rig = make_rig(world)
    rig.sync()
    for run in runs:
        world.finish(run, "passed")
    world.clock.advance(timedelta(days=3))
    left = []
    for _ in range(5):
        rig.simulator.faults.clear()
        # A page and two requests for each run that is read again, 25 in all.
        rig.simulator.faults.add("429", after=25, seconds=HOUR)
        rig.sync()
        left.append(list(rig.column("settled").values()).count(False))
    assert left == sorted(left, reverse=True)
    assert left[0] < 30
    assert left[-1] == 0


def test_a_quota_smaller_than_a_page_gets_there(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 60)
    stored = []
    for _ in range(12):
        rig.simulator.faults.clear()
        rig.simulator.faults.add("429", after=10, seconds=HOUR)
        rig.sync()
        stored.append(len(rig.column("id")))
    assert stored[0] > 0
    assert stored == sorted(stored)
    assert stored[-1] == 60
    rig.simulator.faults.clear()
    rig.sync()
    rig.assert_exact()


def test_a_walk_that_fails_keeps_no_run_from_being_read_again(make_rig: MakeRig) -> None:
    world = empty_world()
    run = world.add_run(world.pipelines[0].id, status="running")
    rig = make_rig(world)
    rig.sync()
    world.finish(run, "failed")
    rig.simulator.faults.add("500", "runs")
    assert only(rig.sync()).outcome == "failed"
    assert rig.column("result")[run] == "failed"


@pytest.mark.parametrize(("fault", "is_gone"), [("404", False), ("500", True)])
def test_a_run_is_not_gone_where_its_listing_is_not_found_either(
    make_rig: MakeRig, fault: str, is_gone: bool
) -> None:
    world = empty_world()
    run = world.add_run(world.pipelines[0].id, status="running")
    rig = make_rig(world)
    rig.limits = replace(rig.limits, tries=1)
    rig.sync()
    rig.simulator.faults.add(fault, "runs")
    rig.simulator.faults.add("404", "run", run=run)
    outcome = only(rig.sync())
    assert outcome.outcome == "failed"
    assert any(run in problem for problem in outcome.problems)
    assert (rig.column("vanished_at")[run] is not None) is is_gone


class Broken(Wercker):
    """A source with a bug."""

    def complete(self, run: Run) -> RunWithSteps:
        raise ZeroDivisionError("one too many")


def test_a_bug_in_one_source_hides_no_other_outcome(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[20, 20], pipelines=2)
    good, bad = rig.source(), rig.source(Broken)
    tasks = [rig.tasks(good)[0], rig.tasks(bad)[1]]
    from runsync.sync.engine import Options, sync

    first, second = sync(rig.database, tasks, Options(concurrency=4))
    assert first.outcome == "ok"
    assert second.outcome == "failed"
    assert "ZeroDivisionError: one too many" in (second.error or "")
    with rig.database.read() as connection:
        said = connection.exec_driver_sql(
            "SELECT error FROM syncs WHERE outcome = 'failed'"
        ).scalar()
    assert "ZeroDivisionError" in str(said)


def test_coverage_alone_makes_memory_count(make_rig: MakeRig) -> None:
    """What a source remembers says that the top is unchanged, not that all below is stored."""
    rig = settled_rig(make_rig, 30)
    rig.sync()
    with rig.database.write() as connection:
        for table in ("steps", "runs", "coverage"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    rig.sync()
    rig.assert_exact()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_page_that_is_cut_to_one_row_is_no_end(make_rig: MakeRig, after: int) -> None:
    rig = settled_rig(make_rig, 100)

    def cut(rows: list[Entry], number: int) -> list[Entry]:
        return rows[:1] if number == after else rows

    assert only(rig.sync(rig.source(cutting_pages(cut)))).outcome == "ok"
    rig.assert_exact()


def test_an_empty_listing_is_doubted_while_its_newest_run_is_there(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    rig.sync()
    rig.simulator.faults.add("empty-page", "runs")
    outcome = only(rig.sync())
    assert outcome.outcome == "failed"
    assert "the listing shows no run" in (outcome.error or "")


def test_nothing_below_what_is_covered_is_no_empty_listing(make_rig: MakeRig) -> None:
    """All that was older may have been deleted."""
    rig = settled_rig(make_rig, 60)

    class Ending(Wercker):
        def pages(self, listing: Any, resume_point: Any, memory: Any) -> Iterator[Page]:
            for page in super().pages(listing, resume_point, memory):
                yield replace(page, items=(), at_start=True) if resume_point else page

    since = sorted(run["created_at"] for run in rig.truth(rig.world.pipelines[0].id))[-30]
    rig.sync(since=since)
    assert only(rig.sync(rig.source(Ending))).outcome == "ok"
    assert len(rig.column("id")) == 30


def test_a_run_that_is_set_aside_is_asked_for_when_its_version_changes(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    run = rig.world.run_ids(rig.world.pipelines[0].id)[7]
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    store = ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key)
    for version, outcome in (("1", "partial"), ("1", "partial"), ("1", "ok"), ("2", "partial")):
        assert only(rig.sync(rig.source(of_version(version)))).outcome == outcome
    assert [one.run_id for one in store.set_aside_runs()] == [run]
    rig.simulator.faults.clear()
    assert only(rig.sync(rig.source(of_version("3")))).outcome == "ok"
    assert store.set_aside_runs() == []
    rig.assert_exact()


def test_where_all_runs_are_gone_the_newest_is_found_gone_by_its_id(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    rig.sync()
    ids = rig.world.run_ids(rig.world.pipelines[0].id)
    for run in ids:
        rig.world.delete_run(run)
    for number in (1, 2):
        assert only(rig.sync()).outcome == "ok"
        gone = {run: at for run, at in rig.column("vanished_at").items() if at is not None}
        assert gone.keys() == set(ids[:number])
        # By the provider's clock.
        assert abs(rig.world.clock.now() - gone[ids[number - 1]]) < timedelta(seconds=2)


class Changing(Wercker):
    """A source that lists a run at the top again when it changes."""

    lists_changes = True


@pytest.mark.parametrize("kind", [Wercker, Changing])
def test_a_run_that_counted_as_gone_and_is_listed_is_there(
    make_rig: MakeRig, kind: type[Wercker]
) -> None:
    rig = settled_rig(make_rig, 3)
    rig.sync(rig.source(kind))
    pipeline, now = rig.world.pipelines[0].id, rig.world.clock.now()
    run = rig.world.run_ids(pipeline)[1]
    gone = [(Pipeline(pipeline), run, now - timedelta(hours=hours)) for hours in (2, 1)]
    store = ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key)
    store.save(Batch(vanished=gone))
    assert rig.column("vanished_at")[run] is not None
    assert only(rig.sync(rig.source(kind))).outcome == "ok"
    assert set(rig.column("vanished_at").values()) == {None}


def test_another_run_of_a_settled_id_is_refused(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    rig.sync()
    run = rig.world.run_ids(rig.world.pipelines[0].id)[0]
    before = rig.rows(rig.world.pipelines[0].id)
    rig.world.set_fields(run, createdAt="2024-05-07T00:00:00.000Z")
    outcome = only(rig.sync())
    assert outcome.outcome == "failed"
    assert run in (outcome.error or "")
    assert rig.rows(rig.world.pipelines[0].id) == before


def test_no_steps_of_a_run_that_ran_are_asked_for_twice(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    run = next(r["id"] for r in rig.truth(rig.world.pipelines[0].id) if r["steps"])
    rig.simulator.faults.add("empty-page", "steps", run=run, first=1)
    rig.sync()
    assert not rig.column("settled")[run]
    rig.sync()
    rig.assert_exact()


def test_no_steps_of_a_run_that_ran_are_believed_ten_minutes_later(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    run = next(r["id"] for r in rig.truth(rig.world.pipelines[0].id) if r["steps"])
    rig.simulator.faults.add("empty-page", "steps", run=run)
    for minutes, is_settled in ((0, False), (9, False), (1, True)):
        rig.world.clock.advance(60 * minutes)
        rig.sync()
        assert rig.column("settled")[run] is is_settled


def test_steps_that_could_not_be_had_are_no_empty_answer(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 3)
    run = rig.world.run_ids(rig.world.pipelines[0].id)[1]
    for fault in ("418", "empty-page"):
        rig.simulator.faults.add(fault, "steps", run=run)
        rig.sync()
        rig.simulator.faults.clear()
        rig.world.clock.advance(HOUR)
    rig.sync()
    rig.assert_exact()


@pytest.mark.parametrize("before", ["418", "unfinished"])
def test_one_answer_that_cannot_be_read_sets_no_run_aside(make_rig: MakeRig, before: str) -> None:
    rig = settled_rig(make_rig, 3)
    run = rig.world.run_ids(rig.world.pipelines[0].id)[1]
    if before == "unfinished":
        run = rig.world.add_run(rig.world.pipelines[0].id, status="running")
    else:
        rig.simulator.faults.add(before, "steps", run=run)
    rig.sync()
    if before == "unfinished":
        rig.world.finish(run)
    rig.world.clock.advance(HOUR)
    rig.simulator.faults.clear()
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    assert only(rig.sync()).outcome == "partial"
    rig.simulator.faults.clear()
    assert only(rig.sync()).outcome == "ok"
    rig.assert_exact()


@pytest.mark.parametrize("status", ["running", "finished"])
def test_stored_steps_that_do_not_come_are_asked_for_again(make_rig: MakeRig, status: str) -> None:
    rig = make_rig(empty_world())
    pipeline, clock = rig.world.pipelines[0].id, rig.world.clock
    run = rig.world.add_run(pipeline, status=status, steps=3, finished_at=clock.now())
    clock.advance(60)
    rig.sync()
    if status == "running":
        rig.world.finish(run)
    rig.world.set_step_fields(run, 3, displayName="late")
    clock.advance(900)
    rig.simulator.faults.add("empty-page", "steps", first=1)
    outcome = only(rig.sync())
    assert outcome.problems == (
        f"run {run}: no steps came, though some are stored; they are asked for again",
    )
    assert not rig.column("settled")[run]
    assert only(rig.sync()).outcome == "ok"
    rig.assert_exact()


def test_steps_that_do_not_come_of_a_run_that_goes_on_are_no_fault(make_rig: MakeRig) -> None:
    rig = make_rig(empty_world())
    run = rig.world.add_run(rig.world.pipelines[0].id, status="running", steps=3)
    rig.sync()
    rig.simulator.faults.add("empty-page", "steps", first=1)
    assert [(one.outcome, one.problems) for one in rig.sync()] == [("ok", ())]
    rig.world.finish(run)
    rig.sync()
    rig.assert_exact()


def test_stored_steps_that_do_not_come_for_a_day_are_forgotten(make_rig: MakeRig) -> None:
    rig = make_rig(empty_world())
    pipeline, clock = rig.world.pipelines[0].id, rig.world.clock
    run = rig.world.add_run(pipeline, status="finished", steps=3, finished_at=clock.now())
    rig.sync()
    rig.simulator.faults.add("empty-page", "steps")
    clock.advance(timedelta(days=2))
    for hours, outcome in ((0, "partial"), (1, "ok")):
        clock.advance(timedelta(hours=hours))
        assert only(rig.sync()).outcome == outcome
    assert rig.column("settled")[run]
    assert len(rig.rows(pipeline)[0]["steps"]) == 3


def test_a_run_is_no_newer_than_the_listing_that_told_it(make_rig: MakeRig) -> None:
    """A cache kept the listing: what it tells of the run may have changed since."""
    rig = make_rig(empty_world())
    run = rig.world.add_run(
        rig.world.pipelines[0].id,
        status="finished",
        result="aborted",
        steps=2,
        finished_at=rig.world.clock.now(),
    )
    rig.world.clock.advance(3600)

    class Cached(Wercker):
        def _slice(self, *args: Any) -> Slice:
            page = super()._slice(*args)
            return replace(page, as_of=page.as_of - timedelta(minutes=55))

    rig.sync(rig.source(Cached))
    assert not rig.column("settled")[run]
    rig.sync()
    assert rig.column("settled")[run]


def test_a_time_at_the_end_of_the_calendar_stops_no_sync(make_rig: MakeRig) -> None:
    rig = settled_rig(make_rig, 30)
    run = rig.world.run_ids(rig.world.pipelines[0].id)[5]
    rig.world.set_fields(run, finishedAt="9999-12-31T23:59:59Z")
    assert only(rig.sync()).outcome == "ok"
    assert len(rig.column("id")) == 30
    assert not rig.column("settled")[run]


def test_a_backdated_run_hides_none_below_it(make_rig: MakeRig) -> None:
    """Under `since` the walk ends at the first run that is too old; an old one at the top of a
    page, above newer ones, is none."""
    rig = settled_rig(make_rig, 60)
    since = rig.world.clock.now() - timedelta(days=400)

    def backdate(rows: list[Entry], number: int) -> list[Entry]:
        if number > 1 or not isinstance(rows[0].item, Listed):
            return rows
        item = rows[0].item
        old = replace(item, cursor=Cursor(since - timedelta(days=1), item.cursor.id))
        return [Entry(rows[0].id, old), *rows[1:]]

    rig.sync(rig.source(cutting_pages(backdate)), since=since)
    assert len(rig.column("id")) == 60


def test_runs_that_arrive_below_a_run_of_the_future_are_not_missed(make_rig: MakeRig) -> None:
    """The clock of the machine that created it was ahead: it stands above younger runs."""
    rig = make_rig(empty_world())
    pipeline, clock = rig.world.pipelines[0].id, rig.world.clock
    rig.world.add_run(pipeline, status="finished", created_at=clock.now() - timedelta(days=1))
    ahead = clock.now() + timedelta(hours=2)
    rig.world.add_run(pipeline, status="finished", created_at=ahead, finished_at=ahead)
    rig.sync()
    for _ in range(45):
        clock.advance(60)
        rig.world.add_run(pipeline, status="finished", created_at=clock.now())
    rig.sync()
    clock.advance(timedelta(days=2))
    assert only(rig.sync()).outcome == "ok"
    rig.assert_exact()


def of_version(version: str) -> type[Wercker]:
    """A Wercker source that lists all runs with a version."""

    def with_version(rows: list[Entry], _number: int) -> list[Entry]:
        items = [row.item for row in rows]
        runs = [one for one in items if isinstance(one, Listed)]
        assert len(runs) == len(items)
        return [
            replace(row, item=replace(one, run=replace(one.run, version=version)))
            for row, one in zip(rows, runs, strict=True)
        ]

    return cutting_pages(with_version)


def cutting_pages(change: Change) -> type[Wercker]:
    """A Wercker source whose listing pages are changed on their way."""

    class Changed(Wercker):
        pages_read = 0

        def _slice(self, *args: Any) -> Slice:
            page = super()._slice(*args)
            type(self).pages_read += 1
            return Slice(change(list(page.entries), self.pages_read), page.as_of)

    return Changed

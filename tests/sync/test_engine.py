"""The promises of a sync, held over a real socket and a real database."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runsync.records import Run, RunWithSteps
from runsync.simulator import Faults
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, ListingPipelineRow, SyncRow
from runsync.storage.store import ListingStore
from tests.sync.rig import NOW, MakeRig, Rig, empty_world

pytestmark = pytest.mark.usefixtures("make_rig")


def test_a_first_sync_is_exact(make_rig: MakeRig, database: Database) -> None:
    rig = make_rig(database=database)
    outcomes = rig.sync()
    assert [o.outcome for o in outcomes] == ["ok", "ok"]
    assert sum(o.counts.runs_new for o in outcomes) == 60
    rig.assert_exact()


def test_an_application_brings_all_its_pipelines(make_rig: MakeRig) -> None:
    rig = make_rig()
    assert [o.outcome for o in rig.sync(application=True)] == ["ok"]
    rig.assert_exact()


def test_a_listing_knows_its_pipelines_also_where_another_listing_brought_their_runs(
    make_rig: MakeRig, database: Database
) -> None:
    rig = make_rig(database=database, runs=5)
    let_all_finish(rig)
    rig.sync()
    (outcome,) = rig.sync(application=True)
    with database.read() as connection:
        query = select(ListingPipelineRow.pipeline_id).where(
            ListingPipelineRow.listing == outcome.listing
        )
        assert len(connection.execute(query).all()) == len(rig.world.pipelines) > 1


def test_a_first_sync_asks_for_no_more_than_it_must(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[200], pipelines=1)
    (outcome,) = rig.sync()
    # Each run's steps, a page for each 19 runs, and two that show the end.
    assert outcome.requests == rig.simulator.request_count <= 200 + 200 // 19 + 3


def test_nothing_new_takes_one_request_a_pipeline(make_rig: MakeRig) -> None:
    rig = make_rig(runs=100)
    let_all_finish(rig)
    rig.sync()
    rig.simulator.reset_log()
    outcomes = rig.sync()
    assert rig.simulator.request_count == len(rig.world.pipelines)
    assert [o.counts.runs_new + o.counts.runs_updated for o in outcomes] == [0, 0]


def test_a_moving_history_stays_exact(make_rig: MakeRig, database: Database) -> None:
    rig = make_rig(database=database, arrivals_per_hour=40.0, runs=30)
    for minutes in (0, 1, 2, 3, 5, 8, 13, 21, 34):
        rig.world.clock.advance(timedelta(minutes=minutes))
        assert {o.outcome for o in rig.sync()} == {"ok"}
        rig.assert_exact()


def test_runs_that_come_and_go_while_the_list_is_read(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[150], pipelines=1, seed=3)
    (pipeline,) = rig.world.pipelines
    ids = rig.world.run_ids(pipeline.id)

    def disturb(request: Any) -> None:
        if request.path.endswith("/runs") and request.index % 2:
            if ids:
                rig.world.delete_run(ids.pop())
            rig.world.arrive(pipeline.id, 3)

    rig.simulator.before_response(disturb)
    rig.sync()
    stored = {row["id"] for row in rig.rows(pipeline.id)}
    # Whatever was there from the first request to the last is stored.
    assert set(ids) & set(rig.world.run_ids(pipeline.id)) <= stored


@pytest.mark.parametrize("killed_at", [1, 2, 7, 20, 45, 61, 90])
def test_killed_anywhere_and_run_again(make_rig: MakeRig, killed_at: int) -> None:
    rig = make_rig(runs=[90], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    with pytest.raises(Killed):
        rig.sync(dying_after(killed_at)(rig.source()._config, limits=rig.limits))
    rig.sync()
    rig.assert_exact()
    rig.simulator.reset_log()
    rig.sync()
    assert rig.simulator.request_count == 1


def test_a_killed_backfill_goes_on_where_it_was(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[400], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    with pytest.raises(Killed):
        rig.sync(dying_after(300)(rig.source()._config, limits=rig.limits))
    stored = len(rig.rows(rig.world.pipelines[0].id))
    assert 200 < stored < 400
    rig.simulator.reset_log()
    rig.sync()
    rig.assert_exact()
    rest = 400 - stored
    assert rig.simulator.request_count <= rest + rest // 19 + 5


def test_what_arrived_meanwhile_is_walked_down_to_what_is_covered(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[120], pipelines=1)
    with pytest.raises(Killed):
        rig.sync(dying_after(60)(rig.source()._config, limits=rig.limits))
    rig.world.arrive(rig.world.pipelines[0].id, 45)
    rig.world.clock.advance(timedelta(days=2))
    rig.sync()
    rig.assert_exact()
    with rig.database.read() as connection:
        (interval,) = connection.execute(select(CoverageRow.__table__)).mappings().all()
    assert interval["reaches_start"]


def test_an_unfinished_run_is_read_until_it_has_settled(make_rig: MakeRig) -> None:
    world = empty_world()
    (pipeline,) = world.pipelines
    slow = world.add_run(pipeline.id, status="running")
    for _ in range(50):
        world.add_run(pipeline.id, status="finished", created_at=NOW - timedelta(days=2))
        world.clock.advance(1)
    rig = make_rig(world)
    rig.sync()
    assert rig.column("status")[slow] == "running"
    world.clock.advance(timedelta(days=40))
    for _ in range(60):
        world.add_run(pipeline.id, status="finished")
        world.clock.advance(1)
    world.finish(slow, "failed")
    rig.sync()
    assert rig.column("result")[slow] == "failed"
    assert not rig.column("settled")[slow]
    world.clock.advance(timedelta(minutes=11))
    rig.sync()
    assert rig.column("settled")[slow]
    rig.assert_exact()


def test_the_last_steps_of_an_aborted_run_are_not_missed(make_rig: MakeRig) -> None:
    world = empty_world()
    run = world.add_run(world.pipelines[0].id, status="running")
    rig = make_rig(world)
    rig.sync()
    world.abort(run)
    rig.sync()
    world.clock.advance(timedelta(minutes=12))
    rig.sync()
    rig.assert_exact()


def test_a_run_that_is_gone_is_marked_and_kept(make_rig: MakeRig) -> None:
    world = empty_world()
    run = world.add_run(world.pipelines[0].id, status="running")
    rig = make_rig(world)
    rig.sync()
    world.delete_run(run)
    world.add_run(world.pipelines[0].id, status="finished")
    for _ in range(2):  # a 404 may pass, so it is named, and asked for once more
        (outcome,) = rig.sync()
        assert outcome.outcome == "partial"
        assert f"run {run}: the provider does not know it any more" in str(outcome.error)
    vanished_at = rig.column("vanished_at")[run]
    assert vanished_at is not None
    world.clock.advance(timedelta(minutes=11))
    assert [one.outcome for one in rig.sync()] == ["ok"]
    rig.simulator.reset_log()
    assert [one.outcome for one in rig.sync()] == ["ok"]
    assert rig.simulator.request_count == 1
    assert rig.column("vanished_at")[run] == vanished_at


def test_a_passing_404_for_a_run_is_no_end(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[30], pipelines=1)
    world, (pipeline,) = rig.world, rig.world.pipelines
    run = world.add_run(pipeline.id, status="running")
    rig.sync()
    for _ in range(30):
        world.clock.advance(timedelta(hours=1))
        world.arrive(pipeline.id, 1)
    rig.sync()
    rig.simulator.faults.add("404", run=run)
    assert [one.outcome for one in rig.sync()] == ["partial"]
    assert rig.column("vanished_at")[run] is not None
    rig.simulator.faults.clear()
    world.finish(run, "failed")
    let_all_finish(rig)
    rig.sync()
    assert rig.column("vanished_at")[run] is None
    rig.assert_exact()


def test_since_brings_no_older_run_and_can_be_widened(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[150], pipelines=1, days=100)
    rig.world.clock.advance(timedelta(days=2))
    since = NOW - timedelta(days=30)
    rig.sync(since=since)
    stored = rig.column("created_at")
    assert 0 < len(stored) < 150
    assert min(stored.values()) >= since
    rig.simulator.reset_log()
    rig.sync(since=since)
    assert rig.simulator.request_count == 1
    rig.sync()
    rig.assert_exact()


def test_a_run_of_the_instant_that_history_is_wanted_from_is_wanted(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[30], pipelines=1)
    since = sorted(run["created_at"] for run in rig.truth(rig.world.pipelines[0].id))[10]
    rig.sync(since=since)
    assert min(rig.column("created_at").values()) == since


def test_full_walks_all_again(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[100], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    rig.sync()
    rig.simulator.reset_log()
    rig.sync(full=True)
    assert rig.simulator.request_count == 100 // 19 + 3


def test_one_bad_pipeline_stops_no_other(make_rig: MakeRig) -> None:
    rig = make_rig()
    good, bad = rig.world.pipelines
    rig.simulator.faults.add("500", "runs", pipeline=bad.id)
    outcomes = {o.listing.rpartition("/")[2]: o for o in rig.sync()}
    assert outcomes[good.id].outcome == "ok"
    assert outcomes[bad.id].outcome == "failed"
    assert "500" in (outcomes[bad.id].error or "")
    assert rig.rows(good.id) == rig.truth(good.id)
    rig.simulator.faults.clear()
    rig.sync()
    rig.assert_exact()


def test_a_run_whose_steps_do_not_come_is_named_and_read_later(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[40], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    run = rig.world.run_ids(rig.world.pipelines[0].id)[7]
    rig.simulator.faults.add("500", "steps", run=run)
    (outcome,) = rig.sync()
    assert outcome.outcome == "partial"
    assert run in (outcome.error or "")
    assert len(rig.column("id")) == 40
    rig.simulator.faults.clear()
    rig.sync()
    rig.assert_exact()


def test_after_five_runs_in_a_row_that_cannot_be_read_no_more_are_asked_for(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(runs=[100], pipelines=1)
    rig.limits = replace(rig.limits, tries=1)
    rig.simulator.latency = 0.01
    rig.simulator.faults.add("500", "steps")
    (outcome,) = rig.sync()
    assert outcome.outcome == "failed"
    assert "runs in a row could not be read" in str(outcome.cause)
    asked = [path for path, _ in rig.requests() if path.endswith("/steps")]
    assert 5 <= len(asked) < 90
    rig.simulator.faults.clear()
    assert [one.outcome for one in rig.sync()] == ["ok"]
    rig.assert_exact()


def test_runs_that_cannot_be_read_again_are_not_all_asked_for(make_rig: MakeRig) -> None:
    world = empty_world()
    (pipeline,) = world.pipelines
    for status, number in (("running", 40), ("finished", 25)):
        for _ in range(number):
            world.clock.advance(60)
            world.add_run(pipeline.id, status=status, created_at=world.clock.now())
    rig = make_rig(world)
    world.clock.advance(timedelta(days=1))
    rig.sync()
    rig.limits = replace(rig.limits, tries=1)
    rig.simulator.faults.add("500", "run")
    rig.simulator.reset_log()
    (outcome,) = rig.sync()
    assert outcome.outcome == "failed"
    assert "runs in a row could not be read again" in str(outcome.cause)
    assert rig.simulator.request_count < 40


def test_a_service_that_stumbles_is_asked_again(make_rig: MakeRig) -> None:
    faults = Faults.parse("503:steps:every=7,reset:runs:every=3,bad-json:steps:every=11")
    rig = make_rig(faults=faults)
    assert {o.outcome for o in rig.sync()} == {"ok"}
    rig.assert_exact()


def test_a_refused_token_writes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(token="right")
    outcomes = rig.sync()
    assert {type(o.cause).__name__ for o in outcomes} == {"TokenRefusedError"}
    assert rig.column("id") == {}


BAD_ROWS: dict[str, dict[str, Any]] = {
    "number for text": {"branch": 5},
    "no status": {"status": None},
    "no time": {"createdAt": "yesterday"},
    "user is a list": {"user": []},
}


@pytest.mark.parametrize("fields", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_is_set_aside_by_name(make_rig: MakeRig, fields: dict[str, Any]) -> None:
    rig = make_rig(runs=[70], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    (pipeline,) = rig.world.pipelines
    run = rig.world.run_ids(pipeline.id)[30]
    good = {key: rig.world.run_payload(run).get(key) for key in fields}
    rig.world.set_fields(run, **fields)
    (outcome,) = rig.sync()
    assert outcome.outcome == "partial"
    assert run in (outcome.error or "")
    assert len(rig.column("id")) == 69
    with rig.database.read() as connection:
        assert len(connection.execute(select(CoverageRow.__table__)).all()) == 2
    rig.simulator.reset_log()
    (again,) = rig.sync()
    assert again.outcome == "partial"
    assert rig.simulator.request_count <= 3
    rig.world.set_fields(run, **good)
    assert [o.outcome for o in rig.sync()] == ["ok"]
    rig.assert_exact()


KINDS = "null-entries number-for-string duplicates foreign short-page empty-page shuffled".split()


@pytest.mark.parametrize("fault", KINDS)
def test_a_bad_page_loses_no_run(make_rig: MakeRig, fault: str) -> None:
    rig = make_rig(runs=[70], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    rig.simulator.faults.add(fault, "runs", after=1, first=1)
    rig.sync()
    rig.simulator.faults.clear()
    rig.sync()
    rig.assert_exact()


def test_hostile_text_is_stored(make_rig: MakeRig, database: Database) -> None:
    world = empty_world()
    (pipeline,) = world.pipelines
    texts = {"nul": "a\x00b", "surrogate": "a\ud800b", "long": "x" * 2**20, "escape": "\x1b[31m"}
    runs = {
        name: world.add_run(pipeline.id, status="finished", message=text)
        for name, text in texts.items()
    }
    rig = make_rig(world, database=database)
    assert [o.outcome for o in rig.sync()] == ["ok"]
    stored = rig.column("message")
    assert stored[runs["nul"]] == "a\ufffdb"
    assert stored[runs["surrogate"]] == "a\ufffdb"
    assert stored[runs["long"]] == texts["long"]
    assert stored[runs["escape"]] == texts["escape"]


def test_words_nobody_has_seen_are_kept(make_rig: MakeRig) -> None:
    world = empty_world()
    run = world.add_run(world.pipelines[0].id, status="finished")
    world.set_fields(run, status="hibernating", result="splendid")
    rig = make_rig(world)
    rig.sync()
    assert rig.column("status")[run] == "finished"
    assert rig.column("raw_status")[run] == "hibernating"
    assert rig.column("result")[run] == "unknown"
    assert rig.column("raw_result")[run] == "splendid"


def test_two_at_once_do_no_harm(make_rig: MakeRig, database: Database) -> None:
    rig = make_rig(database=database)
    with database.lock(rig.tasks()[0].listing.key):
        outcomes = rig.sync()
    assert [o.outcome for o in outcomes] == ["locked", "ok"]
    rig.sync()
    rig.assert_exact()


def test_a_sync_that_was_killed_is_noted_as_such(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[30], pipelines=1)
    with pytest.raises(Killed):
        rig.sync(dying_after(5)(rig.source()._config, limits=rig.limits))
    rig.sync()
    with rig.database.read() as connection:
        outcomes = connection.execute(select(SyncRow.outcome).order_by(SyncRow.id)).scalars().all()
    assert outcomes == ["interrupted", "ok"]


def let_all_finish(rig: Rig) -> None:
    for pipeline in rig.world.pipelines:
        for run in rig.world.truth(pipeline.id):
            if run["raw_status"] == "pendingapproval":
                rig.world.release(run["id"])
    rig.world.clock.advance(timedelta(days=3))


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def dying_after(requests: int) -> type[Wercker]:
    """A Wercker source that is killed when it has completed so many runs."""

    class Dying(Wercker):
        left = requests

        def complete(self, run: Run) -> RunWithSteps:
            type(self).left -= 1
            if type(self).left <= 0:
                raise Killed
            return super().complete(run)

    return Dying


def test_a_run_with_a_bad_step_is_set_aside_by_name(make_rig: MakeRig, database: Database) -> None:
    rig = make_rig(database=database, runs=[40], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    (pipeline,) = rig.world.pipelines
    run = rig.world.run_ids(pipeline.id)[7]
    good = rig.truth(pipeline.id)
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    store = ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key)
    for aside in ([], [run]):  # the first time it may be a passing fault
        (outcome,) = rig.sync()
        assert outcome.outcome == "partial"
        assert run in (outcome.error or "")
        assert [one.run_id for one in store.set_aside_runs()] == aside
    assert [one.run_id for one in store.set_aside_runs()] == [run]
    rig.simulator.reset_log()
    assert [one.outcome for one in rig.sync()] == ["ok"]
    assert rig.simulator.request_count == 1
    rig.simulator.faults.clear()
    assert [one.outcome for one in rig.sync(full=True)] == ["ok"]
    assert store.set_aside_runs() == []
    assert rig.rows(pipeline.id) == good


def test_a_run_that_is_set_aside_is_asked_for_once_a_day(make_rig: MakeRig) -> None:
    """Two passing faults in a row may have made it unreadable."""
    rig = make_rig(runs=[40], pipelines=1)
    rig.world.clock.advance(timedelta(days=2))
    (pipeline,) = rig.world.pipelines
    run = rig.world.run_ids(pipeline.id)[7]
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    assert [one.outcome for _ in range(2) for one in rig.sync()] == ["partial"] * 2
    store = ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key)
    (aside,) = store.set_aside_runs()
    for hours, is_due in ((12, False), (13, True), (1, False), (24, True)):
        rig.world.clock.advance(timedelta(hours=hours))
        rig.simulator.reset_log()
        assert [one.outcome for one in rig.sync()] == ["ok"]  # it is named already
        assert any(run in path for path, _ in rig.requests()) == is_due
    assert store.set_aside_runs()[0].at > aside.at
    rig.world.clock.advance(timedelta(days=1))
    rig.simulator.faults.clear()
    assert [one.outcome for one in rig.sync()] == ["ok"]
    assert store.set_aside_runs() == []
    rig.assert_exact()


def test_a_run_with_a_bad_step_that_may_still_change_is_not_set_aside(make_rig: MakeRig) -> None:
    """Its next answer may be a good one."""
    world = empty_world()
    run = world.add_run(world.pipelines[0].id, status="running")
    world.clock.advance(60)
    world.finish(run)
    rig = make_rig(world)
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    store = ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key)
    for _ in range(3):
        assert [one.outcome for one in rig.sync()] == ["partial"]
        assert store.set_aside_runs() == []
    rig.simulator.faults.clear()
    assert [one.outcome for one in rig.sync()] == ["ok"]
    rig.assert_exact()

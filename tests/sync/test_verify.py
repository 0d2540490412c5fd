"""The audit: says equal of an exact copy, names each kind of damage, and mends it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from sqlalchemy import text

from runsync.records import Problem, Run, RunWithSteps
from runsync.simulator import World
from runsync.sources.base import Page
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from runsync.sync.verify import Verdict, estimated_requests, verify
from tests.sync.rig import NOW, MakeRig, Rig

BOOKKEEPING = frozenset("steps_synced_at last_seen_at".split())


@pytest.fixture
def rig(make_rig: MakeRig, database: Database) -> Rig:
    """A settled history, synced."""
    made = make_rig(database=database, runs=[50], pipelines=1)
    made.world.clock.advance(timedelta(days=60))
    made.sync()
    made.world.clock.advance(timedelta(days=1))
    made.sync()
    return made


def audit(rig: Rig, **options: Any) -> Verdict:
    (verdict,) = verify(rig.database, rig.tasks(), concurrency=4, **options)
    return verdict


def dump(rig: Rig) -> dict[str, list[dict[str, Any]]]:
    """Every row of runs and steps, without when they were read."""
    found = {}
    with rig.database.read() as connection:
        for table, order in (("runs", "id"), ("steps", "run_id, id")):
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()
            found[table] = [
                {key: value for key, value in row.items() if key not in BOOKKEEPING} for row in rows
            ]
    return found


def change(rig: Rig, *statements: str) -> None:
    with rig.database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_an_exact_copy_is_equal(rig: Rig) -> None:
    verdict = audit(rig)
    assert (verdict.well, verdict.differences, verdict.checked) == (True, [], 50)


def test_it_reads_every_step_again_and_says_how_many_requests_that_takes(rig: Rig) -> None:
    rig.simulator.reset_log()
    expected = estimated_requests(rig.database, rig.tasks())
    verdict = audit(rig)
    assert verdict.requests == rig.simulator.request_count
    assert abs(expected - verdict.requests) <= 2
    quick = audit(rig, quick=True)
    assert quick.requests <= 50 // 19 + 3


def test_the_estimate_is_of_the_pages_and_of_each_run(rig: Rig) -> None:
    runs = rig.world.run_ids(rig.world.pipelines[0].id)
    pages = ceil(50 / Wercker.page_runs) + 1
    tasks, each = rig.tasks(), Wercker.requests_per_run
    assert estimated_requests(rig.database, tasks) == pages + 50 * each
    assert estimated_requests(rig.database, tasks, quick=True) == pages
    since = max(rig.column("created_at").values())
    assert len(runs) == 50
    assert estimated_requests(rig.database, tasks, since=since) == 2 + each
    assert estimated_requests(rig.database, [*tasks, *tasks]) == 2 * (pages + 50 * each)
    costly = rig.tasks(rig.source(Costly))
    assert estimated_requests(rig.database, costly) == 50 // 25 + 1 + 50 * 3


class Costly(Wercker):
    page_runs, requests_per_run = 25, 3


# Each changes the run `chosen` (finished, with several steps) or the other one.
DAMAGE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "run deleted": (
        "missing",
        "",
        ("DELETE FROM steps WHERE run_id = '{run}'", "DELETE FROM runs WHERE id = '{run}'"),
    ),
    "result altered": (
        "different",
        "result",
        ("UPDATE runs SET result = 'skipped' WHERE id = '{run}'",),
    ),
    "branch altered": (
        "different",
        "branch",
        ("UPDATE runs SET branch = 'elsewhere' WHERE id = '{run}'",),
    ),
    "duration altered": (
        "different",
        "duration_ms",
        ("UPDATE runs SET duration_ms = 1 WHERE id = '{run}'",),
    ),
    "queue altered": (
        "different",
        "queued_ms",
        ("UPDATE runs SET queued_ms = 1 WHERE id = '{run}'",),
    ),
    "progress altered": (
        "different",
        "progress",
        ("UPDATE runs SET progress = 7 WHERE id = '{run}'",),
    ),
    "creation altered": (
        "different",
        "created_at",
        ("UPDATE runs SET created_at = '2001-01-01T00:00:00.000000Z' WHERE id = '{run}'",),
    ),
    "extra emptied": ("different", "extra", ("UPDATE runs SET extra = NULL WHERE id = '{run}'",)),
    "run marked vanished": (
        "missing",
        "",
        ("UPDATE runs SET vanished_at = created_at WHERE id = '{run}'",),
    ),
    "all steps deleted": (
        "different",
        "steps are missing",
        ("DELETE FROM steps WHERE run_id = '{run}'",),
    ),
    "one step deleted": (
        "different",
        "is missing",
        ("DELETE FROM steps WHERE run_id = '{run}' AND position = 1",),
    ),
    "steps altered": (
        "different",
        ": result",
        ("UPDATE steps SET result = 'skipped' WHERE run_id = '{run}'",),
    ),
    "step names swapped": (
        "different",
        ": name",
        (
            (
                "UPDATE steps SET name = CASE position WHEN 1 THEN 'setup environment' "
                "ELSE 'get code' END WHERE run_id = '{run}' AND position IN (1, 2)"
            ),
        ),
    ),
    "steps of another run": (
        "different",
        "is extra",
        (
            "UPDATE steps SET id = 'x' || id WHERE run_id = '{other}'",
            "UPDATE steps SET run_id = '{run}' WHERE run_id = '{other}'",
        ),
    ),
    "step added": (
        "different",
        "is extra",
        (
            (
                "INSERT INTO steps (pipeline_id, run_id, id, position, name, status, result) "
                "SELECT pipeline_id, run_id, 'made-up', 99, 'made up', 'finished', 'passed' "
                "FROM steps WHERE run_id = '{run}' AND position = 1"
            ),
        ),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_and_mended(rig: Rig, damage: tuple[str, str, tuple[str, ...]]) -> None:
    kind, field, statements = damage
    before = dump(rig)
    chosen, other = well_run(rig, 0), well_run(rig, 1)
    change(rig, *(s.format(run=chosen, other=other) for s in statements))
    damaged = dump(rig)
    assert damaged != before
    verdict = audit(rig)
    assert not verdict.well
    assert dump(rig) == damaged
    (found,) = [one for one in verdict.differences if one.id == chosen]
    assert found.kind == kind
    assert any(name.endswith(field) for name in found.fields) or not field
    assert audit(rig, repair=True).well
    assert audit(rig).differences == []
    after = dump(rig)
    for row in [*after["runs"], *before["runs"]]:
        if row["id"] == chosen and kind == "missing":
            row.pop("first_seen_at")  # a run that was deleted is seen for the first time
    assert after == before


def test_a_pipelines_name_is_compared_unless_the_config_has_another(rig: Rig) -> None:
    change(rig, "UPDATE pipelines SET name = 'elsewhere'")
    for repair in (False, False, True):
        verdict = audit(rig, repair=repair)
        assert [d.fields for d in verdict.differences] == [("name",)]
        assert verdict.well is repair
    assert audit(rig).differences == []
    change(rig, "UPDATE listing_pipelines SET label = 'mine'", "UPDATE pipelines SET name = 'mine'")
    assert audit(rig).differences == []


def test_a_run_that_the_provider_does_not_know_is_extra(rig: Rig) -> None:
    change(
        rig,
        "INSERT INTO runs (pipeline_id, id, attempt, status, result, created_at, settled, "
        "first_seen_at, last_seen_at) SELECT pipeline_id, 'ffffffffffffffffffffffff', 1, status, "
        "result, created_at, settled, first_seen_at, last_seen_at FROM runs "
        f"WHERE id = '{well_run(rig)}'",
    )
    for repair in (False, False, True):
        verdict = audit(rig, repair=repair)
        assert [(d.kind, d.id) for d in verdict.differences] == [("extra", "f" * 24)]
        assert verdict.well is repair
    assert audit(rig).differences == []
    # By the provider's clock.
    gone_for = rig.world.clock.now() - rig.column("vanished_at")["f" * 24]
    assert timedelta(0) <= gone_for < timedelta(seconds=2)


def test_coverage_that_lies_is_found_out(rig: Rig) -> None:
    """All is claimed, and the older half is not there."""
    old = sorted(rig.world.run_ids(rig.world.pipelines[0].id))[:25]
    listed = ", ".join(f"'{run}'" for run in old)
    change(
        rig,
        f"DELETE FROM steps WHERE run_id IN ({listed})",
        f"DELETE FROM runs WHERE id IN ({listed})",
    )
    rig.sync()
    verdict = audit(rig, repair=True)
    assert (verdict.count("missing"), verdict.well) == (25, True)
    rig.assert_exact()


def test_a_settled_flag_that_lies_is_found_out(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[5], pipelines=1)
    run = rig.world.add_run(rig.world.pipelines[0].id, status="running")
    rig.sync()
    change(rig, f"UPDATE runs SET settled = true WHERE id = '{run}'")
    verdict = audit(rig)
    assert [(d.id, d.fields) for d in verdict.differences if d.id == run] == [(run, ("settled",))]
    audit(rig, repair=True)
    rig.world.finish(run, "failed")
    rig.world.clock.advance(timedelta(days=2))
    rig.sync()
    assert rig.column("result")[run] == "failed"


def test_a_settled_run_whose_steps_count_as_never_read_is_found_out(rig: Rig) -> None:
    chosen = well_run(rig)
    change(rig, f"UPDATE runs SET steps_synced_at = NULL WHERE id = '{chosen}'")
    assert [(d.id, d.fields) for d in audit(rig).differences] == [(chosen, ("steps_synced_at",))]
    assert audit(rig, repair=True).well
    assert rig.column("steps_synced_at")[chosen]


def test_a_run_that_came_after_the_last_sync_is_new_and_no_fault(rig: Rig) -> None:
    rig.world.arrive(rig.world.pipelines[0].id, 2)
    verdict = audit(rig)
    assert (verdict.count("new"), verdict.well) == (2, True)
    assert len(audit(rig, repair=True).differences) == 2


class Versioned(Wercker):
    """Says of each run when the provider last changed it."""

    version = f"{NOW + timedelta(days=60):%FT%TZ}"

    def complete(self, run: Run) -> RunWithSteps:
        told = super().complete(run)
        return replace(told, run=replace(told.run, version=self.version))


class ChangedLately(Versioned):
    version = f"{NOW + timedelta(days=60, seconds=1):%FT%TZ}"


class Numbered(Versioned):
    version = "7"


@pytest.mark.parametrize(
    ("kind", "found"), [(Versioned, "different"), (ChangedLately, "new"), (Numbered, "different")]
)
def test_a_run_that_changed_after_it_was_read_is_new_and_no_fault(
    rig: Rig, kind: type[Versioned], found: str
) -> None:
    (verdict,) = verify(rig.database, rig.tasks(rig.source(kind)))
    assert {one.kind for one in verdict.differences} == {found}
    assert verdict.well is (found == "new")


def test_rows_that_cannot_be_read_are_named(rig: Rig) -> None:
    rig.world.set_fields(well_run(rig), createdAt="yesterday")
    verdict = audit(rig)
    assert not verdict.well
    # Where it stands in the listing, and by its id.
    assert [one.kind for one in verdict.differences] == ["unreadable"] * 2


def test_a_quick_audit_sees_runs_and_no_steps(rig: Rig) -> None:
    change(rig, f"UPDATE runs SET result = 'skipped' WHERE id = '{well_run(rig, 0)}'")
    change(rig, f"DELETE FROM steps WHERE run_id = '{well_run(rig, 1)}'")
    assert [d.fields for d in audit(rig, quick=True).differences] == [("result",)]
    assert audit(rig, quick=True, repair=True).well


def test_since_bounds_it(rig: Rig) -> None:
    rig.simulator.reset_log()
    since = NOW + timedelta(days=50)
    assert audit(rig, since=since).checked == 0
    assert rig.simulator.request_count == 1


def test_since_ends_it_within_a_page(rig: Rig) -> None:
    since = sorted(rig.column("created_at").values())[-5]
    rig.simulator.reset_log()
    assert audit(rig, since=since, quick=True).checked == 5
    assert rig.simulator.request_count == 1


class Twice(Wercker):
    """Shows each page again, and a row that hides no run."""

    def pages(self, *args: Any) -> Iterator[Page]:
        for page in super().pages(*args):
            yield page
            yield replace(page, items=(*page.items, Problem("a remark", lost=False)))


def test_a_run_that_is_shown_twice_is_one_run(rig: Rig) -> None:
    (verdict,) = verify(rig.database, rig.tasks(rig.source(Twice)))
    assert (verdict.checked, verdict.differences) == (50, [])


def test_the_newest_run_of_the_last_sync_is_missing_and_not_new(rig: Rig) -> None:
    created = rig.column("created_at")
    newest = max(created, key=lambda run: created[run])
    change(rig, *(s.format(run=newest) for s in DAMAGE["run deleted"][2]))
    assert [(d.id, d.kind) for d in audit(rig).differences] == [(newest, "missing")]


def test_what_has_not_settled_is_compared_only_where_it_is_set_aside(rig: Rig) -> None:
    run = well_run(rig)
    change(rig, f"UPDATE runs SET settled = false, branch = 'elsewhere' WHERE id = '{run}'")
    assert audit(rig).differences == []
    change(
        rig,
        "INSERT INTO set_aside (listing, pipeline_id, run_id, reason, at) "
        "SELECT listing, pipeline_id, id, 'bad', runs.created_at FROM runs, coverage "
        f"WHERE id = '{run}'",
    )
    assert [d.fields for d in audit(rig).differences] == [("branch",)]


def test_another_run_of_the_same_id_is_not_overwritten(rig: Rig) -> None:
    run = well_run(rig)
    change(
        rig,
        "UPDATE runs SET created_at = '2001-01-01T00:00:00.000000Z', "
        "started_at = '2001-01-01T00:00:01.000000Z', finished_at = '2001-01-01T00:00:02.000000Z', "
        f"queued_ms = 1000, duration_ms = 1000 WHERE id = '{run}'",
    )
    before = dump(rig)
    verdict = audit(rig, repair=True)
    assert not verdict.well
    assert "another run has this id" in " ".join(verdict.differences[0].fields)
    assert dump(rig) == before


def well_run(rig: Rig, place: int = 0) -> str:
    """A run that passed, with steps."""
    truth = rig.truth(rig.world.pipelines[0].id)
    found = [run for run in truth if run["result"] == "passed" and len(run["steps"]) > 2]
    return str(found[place]["id"])


def test_runs_that_the_listing_leaves_out_are_compared_all_the_same(rig: Rig) -> None:
    pipeline = rig.world.pipelines[0]
    stepless = rig.world.add_run(pipeline.id, status="finished", steps=0)
    rig.sync()
    rig.world.clock.advance(timedelta(days=1))
    rig.sync()
    assert rig.column("settled")[stepless]
    change(rig, "UPDATE runs SET branch = 'elsewhere'")
    rig.simulator.faults.add("empty-page", "runs")
    verdict = audit(rig)
    assert (verdict.checked, verdict.count("different"), verdict.well) == (51, 51, False)
    key = rig.tasks()[0].listing.key
    found = {(d.listing, d.pipeline, d.fields) for d in verdict.differences}
    assert found == {(key, pipeline.name, ("branch",))}


def test_a_run_under_another_pipeline_is_extra(rig: Rig) -> None:
    run = well_run(rig)
    columns = "id, attempt, status, result, created_at, settled, first_seen_at, last_seen_at"
    change(
        rig,
        "INSERT INTO pipelines (id, source, external_id, name) VALUES (99, 'wercker', 'x', 'x')",
        "INSERT INTO listing_pipelines (listing, pipeline_id) SELECT listing, 99 FROM coverage",
        f"INSERT INTO runs (pipeline_id, {columns}) SELECT 99, {columns} FROM runs "
        f"WHERE id = '{run}'",
    )
    assert [(d.kind, d.id) for d in audit(rig).differences] == [("extra", run)]


def test_a_quick_repair_writes_no_answer_that_cannot_be_read_whole(rig: Rig) -> None:
    run = well_run(rig)
    before = dump(rig)["steps"]
    change(rig, f"UPDATE runs SET branch = 'elsewhere' WHERE id = '{run}'")
    rig.simulator.faults.add("number-for-string", "steps", run=run)
    verdict = audit(rig, quick=True, repair=True)
    assert not verdict.well
    assert dump(rig)["steps"] == before


def test_a_repair_keeps_what_only_a_detail_told(rig: Rig) -> None:
    run = well_run(rig)
    extra = '{"commits":["a"]}'
    change(rig, f"UPDATE runs SET branch = 'elsewhere', extra = '{extra}' WHERE id = '{run}'")
    audit(rig, repair=True)
    (row,) = [row for row in dump(rig)["runs"] if row["id"] == run]
    assert "commits" in str(row["extra"])
    assert row["branch"] != "elsewhere"


class Slow(Wercker):
    """Takes an hour between a listing and a run of it."""

    world: World

    def complete(self, run: Run) -> RunWithSteps:
        self.world.clock.advance(timedelta(hours=1))
        return super().complete(run)


def test_what_is_mended_is_of_the_time_of_the_listing(rig: Rig) -> None:
    """Which tells a part of it: another sync may have written the run since."""
    run = rig.world.run_ids(rig.world.pipelines[0].id)[0]  # the newest: of the first page
    change(rig, f"UPDATE runs SET branch = 'elsewhere' WHERE id = '{run}'")
    source, began = rig.source(Slow), rig.world.clock.now()
    assert isinstance(source, Slow)
    source.world = rig.world
    verify(rig.database, rig.tasks(source), repair=True)
    assert rig.column("branch")[run] != "elsewhere"
    assert rig.column("last_seen_at")[run] - began < timedelta(minutes=1)

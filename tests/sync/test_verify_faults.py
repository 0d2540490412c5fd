"""The audit where answers do not come, cannot be read, or say less than before."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from runsync.config import PipelineConfig
from runsync.records import Problem
from runsync.sources.base import Listed, Page
from runsync.sources.wercker.source import Wercker
from runsync.sync.engine import Progress, Task
from runsync.sync.verify import Verdict, verify
from tests.sync.rig import NOW, MakeRig, Rig, empty_world

RUNS = 45


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """A settled history of a few pages, synced; what is asked for is asked for once."""
    made = make_rig(runs=[RUNS], pipelines=1)
    made.world.clock.advance(timedelta(days=60))
    for _ in range(2):
        made.sync()
    made.limits = replace(made.limits, tries=1)
    return made


def audit(rig: Rig, **options: Any) -> Verdict:
    (verdict,) = verify(rig.database, rig.tasks(), concurrency=1, **options)
    return verdict


def change(rig: Rig, statement: str) -> None:
    with rig.database.write() as connection:
        connection.execute(text(statement))


def newest(rig: Rig) -> str:
    return rig.world.run_ids(rig.world.pipelines[0].id)[0]


@pytest.mark.parametrize(
    ("fault", "said"), [("500", "500"), ("404", "not found"), ("number-for-string", "")]
)
def test_a_run_whose_steps_cannot_be_read_is_named_with_the_reason(
    rig: Rig, fault: str, said: str
) -> None:
    rig.simulator.faults.add(fault, "steps", run=newest(rig))
    verdict = audit(rig, repair=True)
    (found,) = verdict.differences
    assert (found.id, found.kind) == (newest(rig), "unreadable")
    assert found.pipeline == rig.world.pipelines[0].name
    assert said in "".join(found.fields) != ""
    assert (verdict.cause, verdict.checked, verdict.faults) == (None, RUNS, 1)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(("fault", "seconds"), [("401", None), ("429", 3600)])
def test_after_a_refusal_it_ends_and_blames_no_run(
    rig: Rig, fault: str, seconds: float | None, hidden: bool
) -> None:
    if hidden:  # so that all runs are asked for by their ids
        rig.simulator.faults.add("empty-page", "runs")
    rig.simulator.faults.add(fault, "run" if hidden else "steps", after=3, seconds=seconds)
    rig.simulator.reset_log()
    verdict = audit(rig)
    assert fault in str(verdict.cause)
    assert (verdict.differences, verdict.well) == ([], False)
    assert rig.simulator.request_count < RUNS


def test_a_run_that_is_asked_for_by_its_id_and_does_not_come_is_named(rig: Rig) -> None:
    rig.simulator.faults.add("empty-page", "runs")
    rig.simulator.faults.add("500", "run", run=newest(rig))
    verdict = audit(rig)
    assert [(one.id, one.kind) for one in verdict.differences] == [(newest(rig), "unreadable")]
    assert "500" in "".join(verdict.differences[0].fields)
    assert verdict.checked == RUNS - 1


def test_a_listing_that_cannot_be_read_stops_no_other(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[5, 5], pipelines=2)
    rig.world.clock.advance(timedelta(days=60))
    rig.sync()
    rig.limits = replace(rig.limits, tries=1)
    bad, _ = rig.world.pipelines
    rig.simulator.faults.add("500", "runs", pipeline=bad.id)
    first, second = verify(rig.database, rig.tasks())
    assert "500" in str(first.cause)
    assert (first.well, first.faults, first.requests) == (False, 0, 1)
    assert (second.well, second.checked) == (True, 5)


def test_a_quick_repair_goes_on_where_a_run_does_not_come(rig: Rig) -> None:
    change(rig, "UPDATE runs SET branch = 'elsewhere'")
    rig.simulator.faults.add("500", "steps", run=newest(rig))
    verdict = audit(rig, quick=True, repair=True)
    assert [one.id for one in verdict.differences if not one.repaired] == [newest(rig)]
    assert len(verdict.differences) == RUNS


def test_a_quick_repair_says_what_it_could_not_read(rig: Rig) -> None:
    change(rig, f"UPDATE runs SET branch = 'elsewhere' WHERE id = '{newest(rig)}'")
    rig.simulator.faults.add("number-for-string", "steps", run=newest(rig))
    (found,) = audit(rig, quick=True, repair=True).differences
    assert found.fields[0] == "branch"
    assert len(found.fields) > 1


def test_steps_that_the_provider_has_forgotten_stay_and_go_on_differing(rig: Rig) -> None:
    truth = rig.truth(rig.world.pipelines[0].id)
    run, steps = next((one["id"], one["steps"]) for one in truth if one["steps"])
    rig.simulator.faults.add("empty-page", "steps", run=run)
    verdict = audit(rig, repair=True)
    (found,) = verdict.differences
    assert (found.id, found.kind, found.repaired) == (run, "different", False)
    assert sorted(found.fields) == sorted(f"step {step['id']} is extra" for step in steps)
    rig.simulator.faults.clear()
    assert audit(rig).well


class TwicePages(Wercker):
    """Shows each page again, with a row that hides a run."""

    def pages(self, *args: Any) -> Iterator[Page]:
        for page in super().pages(*args):
            bad = replace(page, items=(*page.items, Problem("row 9: it has no id")))
            yield from (bad, bad)


def test_a_row_that_cannot_be_read_is_named_once(rig: Rig) -> None:
    (verdict,) = verify(rig.database, rig.tasks(rig.source(TwicePages)))
    assert [(one.pipeline, one.id, one.kind, one.fields) for one in verdict.differences] == [
        ("", "", "unreadable", ("row 9: it has no id",))
    ]


def test_a_listing_that_was_never_synced_lacks_all_runs(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[25], pipelines=1)
    verdict = audit(rig)
    assert (verdict.count("missing"), verdict.faults, verdict.well) == (25, 25, False)
    assert audit(rig, repair=True).well
    rig.assert_exact()


def test_a_pipeline_without_runs_is_well_however_far_back_is_looked(make_rig: MakeRig) -> None:
    rig = make_rig(empty_world())
    rig.sync()
    assert audit(rig, since=NOW - timedelta(days=1)).well


def test_it_tells_how_far_it_has_come(rig: Rig) -> None:
    told: list[Progress] = []
    audit(rig, watch=told.append)
    (listing,) = {one.listing for one in told}
    assert listing == rig.tasks()[0].listing.key
    runs, depths = [one.runs for one in told], [one.depth or 0 for one in told]
    assert (runs[0], runs[-1], runs) == (20, RUNS, sorted(runs))
    assert (depths[0], depths[-1]) == (20 / RUNS, 1)
    assert told[0].reached == sorted(rig.column("created_at").values())[-20]


def test_how_far_it_has_come_is_told_of_the_runs_that_are_wanted(rig: Rig) -> None:
    told: list[Progress] = []
    since = sorted(rig.column("created_at").values())[-10]
    audit(rig, since=since, quick=True, watch=told.append)
    assert [(one.runs, one.depth) for one in told] == [(10, 1)]


def test_no_run_of_the_instant_where_it_is_to_end_is_left_out(make_rig: MakeRig) -> None:
    world = empty_world()
    for _ in range(RUNS):
        world.add_run(world.pipelines[0].id, status="finished", created_at=NOW)
    assert audit(make_rig(world), since=NOW, quick=True).count("missing") == RUNS


def test_a_run_with_very_many_differences_names_the_first_of_them(rig: Rig) -> None:
    truth = rig.truth(rig.world.pipelines[0].id)
    run = next(one["id"] for one in truth if len(one["steps"]) > 2)
    twelve = (
        "branch = 'x', message = 'x', commit_hash = 'x', attempt = 9, progress = 7, "
        "result = 'x', outcome = 'x', raw_status = 'x', raw_result = 'x', status = 'running', "
        "queued_ms = 1, duration_ms = 1"
    )
    change(rig, f"UPDATE runs SET {twelve} WHERE id = '{run}'")
    (found,) = audit(rig).differences
    assert len(found.fields) == 12
    assert "duration_ms" in found.fields
    for steps in (1, 3):
        change(rig, f"UPDATE steps SET name = 'x' WHERE run_id = '{run}' AND position <= {steps}")
        (some,) = audit(rig).differences
        assert some.fields == (*found.fields, f"and {steps} more")


LISTED = "attempt branch commit_hash message author author_id status result".split()
TIMES = "created_at started_at finished_at".split()


@pytest.mark.parametrize("columns", [LISTED, [*TIMES, "url"]])
def test_a_quick_audit_compares_what_a_listing_tells(rig: Rig, columns: list[str]) -> None:
    run = next(
        one["id"]
        for one in rig.truth(rig.world.pipelines[0].id)
        if all(one[name] is not None for name in ("branch", "author_id", "started_at"))
    )
    other = {"attempt": "9", "status": "'running'", "result": "'unknown'"}
    other |= dict.fromkeys(TIMES, f"'{NOW:%Y-%m-%dT%X}.5Z'")
    values = ", ".join(f"{name} = {other.get(name, repr('x'))}" for name in columns)
    change(rig, f"UPDATE runs SET {values} WHERE id = '{run}'")
    (found,) = audit(rig, quick=True).differences
    assert sorted(found.fields) == sorted(columns)


def test_a_quick_audit_compares_words_that_nobody_has_seen(rig: Rig) -> None:
    rig.world.set_fields(newest(rig), status="hibernating", result="splendid")
    (found,) = audit(rig, quick=True).differences
    assert {"raw_status", "raw_result"} <= set(found.fields)


class Telling(Wercker):
    """Tells of the pipeline with its runs, of the newest run first; then nothing."""

    told: tuple[dict[str, Any], ...] = ()

    def pages(self, *args: Any) -> Iterator[Page]:
        left = list(self.told)
        for page in super().pages(*args):
            items = [self._telling(item, left) for item in page.items]
            yield replace(page, items=(*items,))

    def _telling(self, item: Any, left: list[dict[str, Any]]) -> Any:
        if not isinstance(item, Listed):
            return item
        told: dict[str, Any] = left.pop(0) if left else {"name": None}
        return replace(item, run=replace(item.run, pipeline=replace(item.run.pipeline, **told)))


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        ([{"name": "build"}], ()),
        ([{"name": "new"}, {"name": "build"}], ("name",)),
        ([{"name": "build"}, {"name": "old"}], ()),
        ([{"name": None}, {"name": "new"}], ("name",)),
        ([{"name": "new", "named_by_run": True}], ()),
        (
            [{"name": "build"}, {"default_branch": "main"}, {"default_branch": "x"}],
            ("default_branch",),
        ),
        ([{"name": "new", "default_branch": "main"}], ("name", "default_branch")),
    ],
)
def test_what_the_newest_run_tells_of_its_pipeline_is_compared(
    rig: Rig, told: list[dict[str, Any]], fields: tuple[str, ...]
) -> None:
    change(rig, "UPDATE listing_pipelines SET label = NULL")
    change(rig, "UPDATE pipelines SET name = 'build'")
    source = rig.source(Telling)
    assert isinstance(source, Telling)
    source.told = tuple(told)
    wanted = PipelineConfig("wercker", id=rig.world.pipelines[0].id)  # without a name
    for repair in (False, True):
        (verdict,) = verify(rig.database, [Task(source, source.listing(wanted))], repair=repair)
        found = [(one.id, one.kind, one.fields) for one in verdict.differences]
        assert found == ([("", "different", fields)] if fields else [])
        assert verdict.well is (repair or not fields)
    with rig.database.read() as connection:
        stored = connection.execute(text("SELECT name, default_branch FROM pipelines")).one()
    assert stored.name == ("new" if "name" in fields else "build")
    assert stored.default_branch == ("main" if "default_branch" in fields else None)

"""Comparing an archive with its database, and leaving rows to it alone."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from runsync import reports
from runsync.archive.differences import compare_archive
from runsync.archive.export import export
from runsync.archive.location import located
from runsync.archive.manifest import read_manifest
from runsync.archive.prune import months_to_prune, prune
from runsync.archive.summary import Summary
from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import ArchiveError
from runsync.simulator import Scenario, Simulator
from runsync.sources import open_source
from runsync.sources.base import Listed, Page
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from runsync.storage.models import MonthRow, RunRow, StepRow
from runsync.sync.engine import Options, Task, sync
from runsync.sync.verify import verify
from tests.reports.database_rows import at, cover, fill, pipeline, run, step

BEFORE = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def filled(database: Database) -> Database:
    """A run a day of two pipelines, from 4 March on for 160 days, all of it covered."""
    runs = [
        run(f"r{n}", at(n), "failed" if n % 3 else "passed", pipeline=1 + n % 2) for n in range(160)
    ]
    steps = [step(r, k, name) for r in runs for k, name in enumerate(["build", "test"])]
    fill(database, runs, steps, pipelines=[pipeline(1), pipeline(2, "deploy")])
    span = (at(0), at(159))
    cover(database, span, pipelines=[1, 2], synced=at(160), reaches_start=True)
    return database


def change(database: Database, statement: Any) -> None:
    with database.write() as connection:
        connection.execute(statement)


def count(database: Database, model: Any = RunRow) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(model)).scalar_one())


def pruned(
    database: Database, place: Path, before: datetime = BEFORE
) -> list[tuple[int, str, str]]:
    done = prune(database, place, months_to_prune(database, place, before))
    return [(one.pipeline_id, one.month, one.kept) for one in done]


# Comparing.


def test_an_export_is_equal_to_what_it_was_made_of(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    found = compare_archive(filled, tmp_path)
    assert (found.months, found.runs, found.steps, found.differences) == (12, 160, 320, [])


@pytest.mark.parametrize(
    ("statement", "runs"),
    [
        (update(StepRow).where(StepRow.run_id == "r40").values(result="aborted"), ("r40",)),
        (delete(StepRow).where(StepRow.run_id == "r40", StepRow.id == "s0"), ("r40",)),
        (
            insert(StepRow).values(step(run("r42", at(42)), 9, "new") | {"pipeline_id": 1}),
            ("r42",),
        ),
    ],
)
def test_rows_that_nobody_said_were_written_are_named(
    filled: Database, tmp_path: Path, statement: Any, runs: tuple[str, ...]
) -> None:
    export(filled, tmp_path)
    change(filled, statement)
    (found,) = compare_archive(filled, tmp_path).faults
    assert (found.pipeline_id, found.month, found.kind, found.runs) == (
        1,
        "2024-04",
        "different",
        runs,
    )


def test_what_an_export_would_bring_is_no_fault(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    change(filled, update(RunRow).where(RunRow.id == "r40").values(message="new"))
    found = compare_archive(filled, tmp_path)
    assert [(one.month, one.kind, one.runs) for one in found.differences] == [
        ("2024-04", "behind", ("r40",))
    ]
    assert found.faults == []
    export(filled, tmp_path)
    assert compare_archive(filled, tmp_path).differences == []


def test_a_damaged_file_is_named_month_by_month(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    file = read_manifest(located(tmp_path)).months[1, "2024-04"].file
    path = tmp_path / "steps" / f"{file}.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    found = compare_archive(filled, tmp_path).faults
    assert [(one.pipeline_id, one.month, one.kind) for one in found] == [
        (1, "2024-04", "damaged"),
        (2, "2024-04", "damaged"),
    ]
    assert str(path) in found[0].why


# Pruning.


def test_rows_that_the_archive_holds_leave_the_database(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    before = reports.pass_rates(f"archive:{tmp_path}", every="month")
    assert pruned(filled, tmp_path) == [
        (1, "2024-03", ""),
        (2, "2024-03", ""),
        (1, "2024-04", ""),
        (2, "2024-04", ""),
    ]
    assert (count(filled), count(filled, StepRow)) == (160 - 58, 2 * (160 - 58))
    assert compare_archive(filled, tmp_path).differences == []
    assert export(filled, tmp_path) == Summary(unchanged=12)
    after = reports.pass_rates(f"archive:{tmp_path}", every="month")
    assert after.equals(before)
    assert pruned(filled, tmp_path) == []


def test_a_database_without_its_pruned_months_says_so(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    assert reports.lacking(filled, until=at(160)) == []
    pruned(filled, tmp_path)
    assert reports.lacking(filled, until=at(160)) == [
        f"{name}: 2 months up to 2024-04 are in the archive alone; add --archive"
        for name in ("build", "deploy")
    ]
    frame = reports.pass_rates(filled, by=(), every="month", until=at(160))
    months = dict(zip(frame["period"].dt.strftime("%Y-%m"), frame["partial"], strict=True))
    assert months == {"2024-05": False, "2024-06": False, "2024-07": False, "2024-08": True}
    weeks = reports.pass_rates(filled, by=(), every="week", until=at(160))
    partial = dict(zip(weeks["period"].dt.strftime("%m-%d"), weeks["partial"], strict=True))
    assert (partial["04-29"], partial["05-06"]) == (True, False)  # of the first April is gone
    assert reports.lacking(filled, since=at(60), until=at(160)) == []


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        (update(RunRow).where(RunRow.id == "r40").values(message="x"), "not exported since"),
        (update(StepRow).where(StepRow.run_id == "r40").values(result="x"), "not the same as in"),
        (delete(StepRow).where(StepRow.run_id == "r40"), "not the same as in"),
    ],
)
def test_what_the_archive_holds_otherwise_stays(
    filled: Database, tmp_path: Path, statement: Any, kept: str
) -> None:
    export(filled, tmp_path)
    change(filled, statement)
    found = pruned(filled, tmp_path)
    stayed = [(number, month) for number, month, why in found if why]
    assert stayed == [(1, "2024-04")]
    assert next(why for *_, why in found if why).startswith(kept)
    with filled.read() as connection:
        left = connection.execute(select(RunRow.id).where(RunRow.created_at < BEFORE)).scalars()
        assert "r40" in set(left)


def test_what_may_still_change_stays(filled: Database, tmp_path: Path) -> None:
    change(filled, update(RunRow).where(RunRow.id == "r40").values(settled=False))
    export(filled, tmp_path)
    found = pruned(filled, tmp_path, at(160))
    kept = {(number, month): why.split(":")[0] for number, month, why in found}
    assert kept[1, "2024-04"] == "not sealed"
    assert kept[2, "2024-04"] == ""
    assert kept[1, "2024-07"] == "too young"
    assert (1, "2024-08") not in kept


def test_nothing_goes_by_a_damaged_archive(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    for path in (tmp_path / "steps").iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:4] + b"\xff" * (len(content) - 40) + content[-36:])
    assert all(why for *_, why in pruned(filled, tmp_path))
    assert count(filled) == 160
    for path in (tmp_path / "runs").iterdir():
        path.unlink()
    assert all("is missing" in why for *_, why in pruned(filled, tmp_path))
    assert count(filled) == 160


def test_nothing_goes_by_the_archive_of_another_database(
    filled: Database, tmp_path: Path, sqlite_template: Path
) -> None:
    import shutil

    shutil.copyfile(sqlite_template, tmp_path / "other.db")
    with closing(Database(f"sqlite:///{tmp_path}/other.db")) as other:
        fill(other, [run("r1", at(0))], pipelines=[pipeline(1) | {"external_id": "another"}])
        export(other, tmp_path / "archive")
    with pytest.raises(ArchiveError, match="is of another database"):
        pruned(filled, tmp_path / "archive")
    with pytest.raises(ArchiveError, match="is of another database"):
        compare_archive(filled, tmp_path / "archive")


def test_a_run_that_comes_back_stands_in_the_place_of_the_archive_s(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    pruned(filled, tmp_path)
    again = run("r40", at(40), "passed", message="run again")
    with filled.write() as connection:
        connection.execute(insert(RunRow), [again])
        connection.execute(insert(StepRow), [step(again, 0, "build"), step(again, 7, "more")])
    assert [one.kind for one in compare_archive(filled, tmp_path).differences] == ["behind"]
    assert export(filled, tmp_path) == Summary(written=1, unchanged=11, runs=15, steps=30)
    assert compare_archive(filled, tmp_path).differences == []
    assert reports.pass_rates(f"archive:{tmp_path}", by=())["finished"].tolist() == [160]
    assert pruned(filled, tmp_path) == [(1, "2024-04", "")]
    assert count(filled) == 160 - 58


# Syncs.


@pytest.fixture
def service() -> Iterator[Simulator]:
    now = datetime(2024, 5, 6, 12, tzinfo=UTC)
    with Simulator(Scenario(seed=3, runs=60, pipelines=1, now=now).build()) as service:
        yield service


def test_a_sync_fetches_no_pruned_run_again_and_verify_misses_none(
    sqlite: Database, service: Simulator, tmp_path: Path
) -> None:
    source = open_source(SourceConfig("wercker", "wercker", service.url))
    listing = source.listing(PipelineConfig("wercker", id=service.world.pipelines[0].id))
    task = Task(source, listing)

    def synced(**options: Any) -> tuple[str, int, int]:
        (done,) = sync(sqlite, [task], Options(**options))
        return done.outcome, done.counts.runs_new, done.requests

    assert synced()[:2] == ("ok", 60)
    quiet = synced()
    export(sqlite, tmp_path)
    before = datetime(2024, 3, 1, tzinfo=UTC)
    done = prune(sqlite, tmp_path, months_to_prune(sqlite, tmp_path, before))
    assert done
    assert not any(one.kept for one in done)
    left = count(sqlite)
    assert 0 < left < 60
    assert synced() == quiet
    outcome, new, requests = synced(full=True)
    assert (outcome, new, count(sqlite)) == ("ok", 0, left)
    assert requests < quiet[2] + 10
    (verdict,) = verify(sqlite, [task])
    assert (verdict.well, verdict.checked, verdict.differences) == (True, left, [])
    with sqlite.read() as connection:
        told = connection.execute(select(func.sum(MonthRow.pruned_runs))).scalar_one()
    assert told == 60 - left
    service.world.add_run(service.world.pipelines[0].id, status="finished")
    assert synced()[:2] == ("ok", 1)
    source.close()


class Changing(Wercker):
    """A source that lists a run at the top again when it changes."""

    lists_changes = True


def test_a_pruned_run_that_is_listed_as_changed_is_read_unless_all_are_listed(
    sqlite: Database, service: Simulator, tmp_path: Path
) -> None:
    source = Changing(SourceConfig("wercker", "wercker", service.url))
    task = Task(source, source.listing(PipelineConfig("wercker", id=service.world.pipelines[0].id)))
    sync(sqlite, [task])
    export(sqlite, tmp_path)
    before = datetime(2024, 5, 1, tzinfo=UTC)
    assert prune(sqlite, tmp_path, months_to_prune(sqlite, tmp_path, before))
    left = count(sqlite)
    sync(sqlite, [task], Options(full=True))
    assert count(sqlite) == left
    sync(sqlite, [task])
    assert count(sqlite) > left
    source.close()


class Rechecking(Wercker):
    """A source whose listing is read again at every sync."""

    recheck = timedelta(days=1000)


class Guessing(Rechecking):
    """Of the runs that it lists only the ids are sure: when they were made is a guess."""

    def pages(self, *args: Any) -> Iterator[Page]:
        for page in super().pages(*args):
            listed = [one for one in page.items if isinstance(one, Listed)]
            yield replace(page, items=tuple(replace(one, stub=True) for one in listed))


@pytest.mark.parametrize("kind", [Rechecking, Guessing])
def test_a_sync_that_reads_its_listing_again_fetches_no_run_that_is_surely_pruned(
    sqlite: Database, service: Simulator, tmp_path: Path, kind: type[Wercker]
) -> None:
    source = kind(SourceConfig("wercker", "wercker", service.url))
    task = Task(source, source.listing(PipelineConfig("wercker", id=service.world.pipelines[0].id)))
    sync(sqlite, [task])
    export(sqlite, tmp_path)
    before = datetime(2024, 3, 1, tzinfo=UTC)
    assert prune(sqlite, tmp_path, months_to_prune(sqlite, tmp_path, before))
    left = count(sqlite)
    (again,) = sync(sqlite, [task])
    brought = 60 - left if kind is Guessing else 0
    assert (again.outcome, again.counts.runs_new, count(sqlite)) == ("ok", brought, left + brought)
    assert again.requests > 3
    source.close()

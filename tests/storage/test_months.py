"""The months of runs: each change of a run, or of its steps, gives its month another version."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, select, update

from runsync.records import Pipeline, Run, RunWithSteps, Status, Step
from runsync.storage.database import Database
from runsync.storage.models import MonthRow, PipelineRow, RunRow
from runsync.storage.store import Batch, ListingStore, RunToWrite

JANUARY, MARCH = datetime(2024, 1, 31, 23, 59, 59, 999_000, UTC), datetime(2024, 3, 1, tzinfo=UTC)
BUILD = Pipeline("p1", "build")


@pytest.fixture
def store(database: Database) -> ListingStore:
    made = ListingStore(database, "wercker", "wercker/pipeline/p1")
    made.save(Batch(runs=[run("a", JANUARY), run("b", MARCH)]))
    return made


def run(
    id: str, at: datetime, *, seen: int = 1, step: str = "compile", settled: bool = True
) -> RunToWrite:
    """A finished run with one step, as an answer gave it ``seen`` days after its creation."""
    told = Run(pipeline=BUILD, id=id, created_at=at, status=Status.FINISHED, finished_at=at)
    steps = (Step(id="s", position=1, name=step, status=Status.FINISHED),)
    return RunToWrite(RunWithSteps(told, steps, at + timedelta(days=seen)), settled)


def versions(database: Database) -> dict[str, str]:
    with database.read() as connection:
        found = connection.execute(select(MonthRow.month, MonthRow.version))
        return {row.month: row.version for row in found}


def changed(store: ListingStore, act: Callable[[], object]) -> list[str]:
    """The months whose version ``act`` changes."""
    before = versions(store.database)
    act()
    after = versions(store.database)
    return sorted(month for month in after if after[month] != before.get(month))


def test_a_month_is_that_of_the_creation_in_utc(store: ListingStore) -> None:
    assert set(versions(store.database)) == {"2024-01", "2024-03"}
    assert len(set(versions(store.database).values())) == 2


def test_a_sync_that_finds_the_same_changes_none(store: ListingStore) -> None:
    assert changed(store, lambda: store.save(Batch(runs=[run("a", JANUARY)]))) == []


def test_a_month_is_pruned_for_its_own_pipeline_alone(store: ListingStore) -> None:
    other = ListingStore(store.database, "other", "other/p1")
    other.save(Batch(runs=[run("a", JANUARY)]))
    of_store = select(PipelineRow.id).where(PipelineRow.source == store.source)
    with store.database.write() as connection:
        connection.execute(
            update(MonthRow)
            .where(MonthRow.pipeline_id.in_(of_store), MonthRow.month == "2024-01")
            .values(pruned_at=MARCH)
        )
    assert store.pruned() == {("p1", "2024-01")}
    assert other.pruned() == set()


@pytest.mark.parametrize(
    "written",
    [
        run("c", JANUARY),  # new
        run("a", JANUARY, step="link", seen=2),  # nothing of the run but its step
    ],
)
def test_a_sync_that_changes_a_run_or_its_steps_changes_its_month(
    store: ListingStore, written: RunToWrite
) -> None:
    assert changed(store, lambda: store.save(Batch(runs=[written]))) == ["2024-01"]


def test_a_run_that_is_seen_again_settled_or_gone_changes_its_month(store: ListingStore) -> None:
    at = MARCH + timedelta(days=3)
    store.save(Batch(runs=[run("u", MARCH, settled=False)]))
    assert changed(
        store, lambda: store.save(Batch(runs=[run("u", MARCH, seen=2, settled=False)]))
    ) == ["2024-03"]
    assert changed(store, lambda: store.settle((BUILD, "u"), MARCH + timedelta(days=2), at)) == [
        "2024-03"
    ]
    assert changed(store, lambda: store.save(Batch(vanished=[(BUILD, "a", at)]))) == ["2024-01"]


@pytest.mark.parametrize(
    ("statement", "months"),
    [
        (update(RunRow).where(RunRow.id == "a").values(result="failed"), ["2024-01"]),
        (update(RunRow).where(RunRow.id == "a").values(created_at=MARCH), ["2024-01", "2024-03"]),
        (update(RunRow).values(message="x"), ["2024-01", "2024-03"]),
    ],
)
def test_who_writes_a_run_by_hand_changes_its_month(
    store: ListingStore, statement: object, months: list[str]
) -> None:
    def write(connection: Connection) -> object:
        return connection.execute(statement)  # type: ignore[call-overload]

    assert changed(store, lambda: store.database.transact(write)) == months


def test_a_run_that_is_deleted_changes_its_month(database: Database, store: ListingStore) -> None:
    from runsync.storage.models import StepRow

    def write(connection: Connection) -> None:
        connection.execute(delete(StepRow))
        connection.execute(delete(RunRow).where(RunRow.id == "b"))

    assert changed(store, lambda: database.transact(write)) == ["2024-03"]

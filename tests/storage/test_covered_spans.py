"""What is known to be complete: each listing's spans, pruned months, and runs without steps."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from runsync.coverage import Interval
from runsync.records import Cursor, Pipeline, Run, RunWithSteps, Status
from runsync.storage.covered_spans import (
    CoveredSpan,
    covered_spans,
    pruned_spans,
    runs_without_steps,
)
from runsync.storage.database import Database
from runsync.storage.models import MonthRow
from runsync.storage.store import Batch, Counts, ListingStore, RunToWrite

MONTHS = ("2024-12", "2025-01", "2025-02")
BEGIN, HOUR = datetime(2024, 12, 31, 22, tzinfo=UTC), timedelta(hours=1)


def at(hours: int) -> Cursor:
    return Cursor(BEGIN + hours * HOUR, "1")


def a_listing(database: Database, name: str, synced: int, *spans: Interval) -> ListingStore:
    """One with these spans, and a good sync so many hours after the beginning."""
    store = ListingStore(database, "ci", f"ci/{name}")
    store.save(Batch(intervals=spans, pipelines=[Pipeline(name)]))
    number = store.begin(BEGIN + synced * HOUR)
    store.end(number, "ok", Counts(), 1, None)
    return store


def test_the_newest_span_of_each_listing_goes_on_to_its_last_good_sync(sqlite: Database) -> None:
    a_listing(sqlite, "young", 20, Interval(at(9), at(8)), Interval(at(2), at(1), True))
    a_listing(sqlite, "old", 10, Interval(at(4), at(3)))
    a_listing(sqlite, "later", 5, Interval(at(7), at(6)))
    assert set(covered_spans(sqlite.rows)) == {
        CoveredSpan(1, at(8).at, at(20).at),
        CoveredSpan(1, None, at(2).at),
        CoveredSpan(2, at(3).at, at(10).at),
        CoveredSpan(3, at(6).at, at(7).at),
    }


def test_runs_without_steps_come_oldest_first_and_a_pruned_month_ends_with_its_last_day(
    sqlite: Database,
) -> None:
    for name, hours in (("one", (3, 1)), ("two", (2, 0))):
        pipeline = Pipeline(name)
        runs = [
            Run(pipeline=pipeline, id=f"{n}", created_at=at(n).at, status=Status.RUNNING)
            for n in hours
        ]
        told = [RunWithSteps(run, (), at(9).at) for run in runs]
        batch = Batch([RunToWrite(one, settled=False, with_steps=False) for one in told])
        ListingStore(sqlite, "ci", f"ci/{name}").save(batch)
    found = runs_without_steps(sqlite.rows)
    assert [(one.pipeline_id, one.id) for one in found] == [(2, "0"), (1, "1"), (2, "2"), (1, "3")]
    with sqlite.write() as connection:
        connection.execute(
            update(MonthRow).where(MonthRow.pipeline_id == 1).values(pruned_at=at(9).at)
        )
    first, second, end = (datetime.fromisoformat(f"{one}-01T00Z") for one in MONTHS)
    assert pruned_spans(sqlite.rows) == [(1, (first, second)), (1, (second, end))]

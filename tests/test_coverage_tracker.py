"""The engine over a listing that moves, with runs of the same instant, holes, and kills anywhere.

The source is a real one that serves a list in memory; the engine, the walk by number and the
database are the real ones.
"""

import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import NotFoundError
from runsync.records import Cursor, Pipeline, Problem, Result, Run, RunWithSteps, Status
from runsync.sources import pagination
from runsync.sources.base import Listed, Listing, Page, ResumePoint, Source
from runsync.storage.database import Database
from runsync.storage.models import CoverageRow, PipelineRow, RunRow
from runsync.storage.store import ListingStore
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from tests.effort import effort

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
LATER = EPOCH + timedelta(days=400)
_pipelines = itertools.count()


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@dataclass
class Listing0:
    """Runs by number, newest first. ``instant`` runs share a time."""

    pipeline: Pipeline
    instant: int
    page: int
    numbers: list[int] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    highest: int = 0

    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.highest += 1
            self.numbers.insert(0, self.highest)

    def delete(self, place: int) -> None:
        if self.numbers:
            self.numbers.pop(place % len(self.numbers))

    def run(self, number: int) -> Run:
        at = EPOCH + timedelta(seconds=number // self.instant)
        # The ids of an instant are in no order.
        name = random.Random(number).randrange(1000) * 1_000_000 + number
        return Run(
            pipeline=self.pipeline,
            id=f"{name:09}",
            created_at=at,
            finished_at=at,
            status=Status.FINISHED,
            result=Result.PASSED,
        )

    def ids(self) -> dict[str, Run]:
        good = [self.run(number) for number in self.numbers if number not in self.bad]
        return {run.id: run for run in good}


class InMemory(Source):
    """A source whose provider is a list; ``disturb`` is called with each request."""

    def __init__(self, runs: Listing0) -> None:
        super().__init__(SourceConfig("memory", "wercker", "http://127.0.0.1:9"))
        self.runs = runs
        self.moves: Iterator[tuple[int, list[int]]] = iter(())
        self.left = 1_000_000
        self.asked = 0
        self.was_empty = False

    def listing(self, wanted: PipelineConfig) -> Listing:
        raise NotImplementedError

    def pages(
        self, listing: Listing, below: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        yield from pagination.walk(self._slice, below, name="the list")

    def _slice(self, skip: int) -> pagination.Slice:
        self._request()
        entries = [self._entry(n) for n in self.runs.numbers[skip : skip + self.runs.page]]
        self.was_empty |= not entries
        arrived, deleted = next(self.moves, (0, []))
        for place in deleted:
            self.runs.delete(place)
        self.runs.arrive(arrived)
        return pagination.Slice(entries, LATER)

    def _entry(self, number: int) -> pagination.Entry:
        run = self.runs.run(number)
        if number in self.runs.bad:
            return pagination.Entry(run.id, Problem(f"run {run.id}: bad"))
        return pagination.Entry(run.id, Listed(Cursor(run.created_at, run.id), run))

    def complete(self, run: Run) -> RunWithSteps:
        self._request()
        return RunWithSteps(run, (), LATER)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        if run_id in self.runs.ids():
            return self.complete(self.runs.ids()[run_id])
        raise NotFoundError("404", LATER)

    def _request(self) -> None:
        self.asked += 1
        self.left -= 1
        if self.left <= 0:
            raise KilledError


@dataclass
class Bench:
    """A moving list, its source and its rows."""

    database: Database
    source: InMemory
    listing: Listing

    def sync(self, since: datetime | None = None, **options: Any) -> SyncOutcome:
        task = Task(self.source, self.listing)
        (outcome,) = sync(self.database, [task], Options(concurrency=2, since=since, **options))
        return outcome

    def stored(self) -> set[str]:
        query = select(RunRow.id).join(PipelineRow).where(PipelineRow.source == self.source.name)
        with self.database.read() as connection:
            rows = connection.execute(query)
            return set(rows.scalars())

    def claimed(self) -> set[str]:
        """The runs of the listing that surely lie in what is said to be covered."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(CoverageRow).where(CoverageRow.listing == self.listing.key)
            ).all()
        intervals = ListingStore(self.database, "memory", self.listing.key).coverage()
        assert len(intervals) == len(rows)
        return {
            run.id
            for run in self.source.runs.ids().values()
            if any(
                run.created_at < s.newest.at and (s.reaches_start or run.created_at > s.oldest.at)
                for s in intervals
            )
        }


def bench(database: Database, size: int, instant: int, page: int) -> Bench:
    pipeline = Pipeline(f"p{next(_pipelines)}")
    runs = Listing0(pipeline, instant, page)
    runs.arrive(size)
    listing = Listing(f"memory/{pipeline.external_id}", "", None, (pipeline,))
    return Bench(database, InMemory(runs), listing)


MOVES = st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 60), max_size=4)), max_size=6)
SYNCS = st.lists(
    st.fixed_dictionaries(
        {
            "moves": MOVES,
            "left": st.integers(1, 60),
            "since": st.none() | st.integers(0, 30),
            "bad": st.sets(st.integers(1, 60), max_size=3),
            "full": st.booleans(),
        }
    ),
    max_size=5,
)


@effort(30)
@given(
    syncs=SYNCS,
    last=MOVES,
    size=st.integers(0, 40),
    instant=st.integers(1, 6),
    page=st.integers(2, 6),
)
def test_whatever_happens_nothing_is_missed_and_nothing_is_claimed_wrongly(
    sqlite: Database,
    syncs: list[dict[str, Any]],
    last: list[tuple[int, list[int]]],
    size: int,
    instant: int,
    page: int,
) -> None:
    made = bench(sqlite, size, instant, page)
    source, runs = made.source, made.source.runs
    for one in syncs:
        source.moves, source.left, runs.bad = iter(one["moves"]), one["left"], one["bad"]
        since = None if one["since"] is None else EPOCH + timedelta(seconds=one["since"])
        with suppress(KilledError):
            made.sync(since, full=one["full"])
        assert made.claimed() <= made.stored()
    runs.bad, source.left, source.moves = set(), 1_000_000, iter(last)
    before, source.was_empty = set(runs.ids()), False
    # An empty answer after runs were seen may be an outage: it proves nothing.
    assert made.sync().outcome == "ok" or source.was_empty
    # Whatever was there from the first request to the last is stored.
    assert before & set(runs.ids()) <= made.stored()
    assert made.claimed() <= made.stored()
    source.moves = iter(())
    assert made.sync().outcome == "ok"
    assert set(runs.ids()) <= made.stored()
    source.asked = 0
    made.sync()
    assert source.asked <= 2 + 2 * instant  # a page may lie within an instant, at both ends

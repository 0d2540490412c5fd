"""The engine without I/O: a provider and a database in memory, and requests that are made at once.

The engine, the walk and the paging are the real ones. The provider's clock is its own, and each of
its answers can be lost, late, empty or unreadable.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runsync.config import PipelineConfig, SourceConfig
from runsync.coverage import Interval, union
from runsync.errors import LockedError, NotFoundError, RateLimitedError, SourceError
from runsync.records import (
    GRACE,
    Cursor,
    Pipeline,
    Problem,
    Result,
    Run,
    RunWithSteps,
    Status,
    Step,
)
from runsync.sources import pagination
from runsync.sources.base import Listed, Listing, Page, ResumePoint, Source
from runsync.storage.database import Database
from runsync.storage.store import Batch, Counts, ListingStore, RunToWrite, StoredState
from runsync.sync.listing import ListingSync
from runsync.sync.outcome import Options, SyncOutcome, Task

START = datetime(2024, 1, 1, tzinfo=UTC)
PIPELINE = Pipeline("p", "build")
LISTING = Listing("model/pipeline/p", "p", None, (PIPELINE,))
STEPS = 3


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@dataclass
class ModelRun:
    """A run at the provider."""

    number: int
    created: datetime
    status: Status = Status.RUNNING
    result: Result = Result.UNKNOWN
    finished: datetime | None = None
    attempt: int = 1
    readable: bool = True
    good_steps: bool = True

    @property
    def id(self) -> str:
        return f"{self.number:06}"


@dataclass
class Provider:
    """A CI service: its runs, newest first, its clock, and what goes wrong next."""

    page: int = 4
    runs: list[ModelRun] = field(default_factory=list)
    now: datetime = START
    faults: list[str] = field(default_factory=list)
    highest: int = 0
    last_page: list[ModelRun] = field(default_factory=list)
    requests: int = 0
    lied_of: set[str] = field(default_factory=set)
    last_lie: str = ""
    told_at: dict[str, datetime] = field(default_factory=dict)
    """When each run was last told whole."""

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def arrive(self, count: int, *, same_instant: bool = False) -> None:
        for _ in range(count):
            self.highest += 1
            if not same_instant:
                self.pass_time(1)
            self.runs.insert(0, ModelRun(self.highest, self.now))

    def end(self, place: int, result: Result) -> None:
        unfinished = [run for run in self.runs if run.status is not Status.FINISHED]
        if unfinished:
            run = unfinished[place % len(unfinished)]
            run.status, run.result, run.finished = Status.FINISHED, result, self.now

    def fault(self) -> str:
        """What goes wrong with this request."""
        self.requests += 1
        kind = self.faults.pop(0) if self.faults else ""
        if kind == "kill":
            raise KilledError
        if kind == "error":
            raise SourceError("the service answers 500")
        if kind == "quota":
            raise RateLimitedError("the service asks to wait for an hour")
        return kind

    def slice(self, skip: int) -> tuple[list[ModelRun], datetime]:
        kind = self.fault()
        found = self.runs[skip : skip + self.page]
        # A page cut to one row is an answer that an empty one, or another such, agrees with: two
        # in a row are believed.
        if (self.last_lie == "one" and kind in ("one", "empty", "again")) or (
            self.last_lie == "empty" and kind == "one"
        ):
            kind = ""
        if kind != "again":
            self.last_lie = kind if kind in ("one", "empty") else ""
        if kind == "one":
            found = found[:1]
        if kind == "empty":
            found = []
        if kind == "again":
            found = list(self.last_page)
        if kind == "short":
            found = found[: max(len(found) // 2, 2)]
        self.last_page = found
        return found, self.now

    def find(self, run_id: str) -> ModelRun:
        if self.fault() == "gone" and run_id not in self.lied_of:
            self.lied_of.add(run_id)  # the same lie twice is believed
            raise NotFoundError("404", self.now)
        for run in self.runs:
            if run.id == run_id:
                if not run.readable:
                    raise SourceError("the answer cannot be read")
                return run
        raise NotFoundError("404", self.now)

    def steps(self, run: ModelRun) -> list[Step]:
        """Steps that still change for five minutes after an abort: they end, and of some runs
        one more turns up then, or one goes."""
        late = run.result is Result.ABORTED and self.now - (run.finished or self.now) < MINUTES_5
        over = run.status is Status.FINISHED and not late
        number = STEPS if over else STEPS + run.number % 3 - 1
        status = Status.FINISHED if over else Status.RUNNING
        result = run.result if over else Result.UNKNOWN
        return [
            Step(id=f"s{n}", position=n, name=f"step {n}", status=status, result=result)
            for n in range(number)
        ]

    def told(self, run: ModelRun, *, details: bool = False) -> Run:
        return Run(
            pipeline=PIPELINE,
            id=run.id,
            created_at=run.created,
            status=run.status,
            result=run.result,
            attempt=run.attempt,
            finished_at=run.finished,
            source_run_id=f"origin of {run.id}" if details else None,
        )


MINUTES_5 = timedelta(minutes=5)


class ModelSource(Source):
    """Asks a provider in memory."""

    type = "model"
    title = "The model"

    def __init__(self, provider: Provider, *, details: bool = False) -> None:
        super().__init__(SourceConfig("model", "wercker", "http://127.0.0.1:9", details=details))
        self.provider = provider

    def listing(self, wanted: PipelineConfig) -> Listing:
        return LISTING

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        yield from pagination.walk(self._slice, resume_point, name="the list")

    def _slice(self, skip: int) -> pagination.Slice:
        runs, as_of = self.provider.slice(skip)
        return pagination.Slice([self._entry(run) for run in runs], as_of)

    def _entry(self, run: ModelRun) -> pagination.Entry:
        if not run.readable:
            return pagination.Entry(None, Problem(f"run {run.id}: unreadable"))
        told = self.provider.told(run)
        return pagination.Entry(run.id, Listed(Cursor(run.created, run.id), told))

    def complete(self, run: Run) -> RunWithSteps:
        found = self.provider.find(run.id)
        told = self.provider.told(found, details=self.has_details)
        steps = self.provider.steps(found)
        self.provider.told_at[run.id] = self.provider.now
        problems: tuple[Problem, ...] = ()
        if not found.good_steps:
            steps, problems = steps[1:], (Problem(f"run {run.id}: a step cannot be read"),)
        return RunWithSteps(told, tuple(steps), self.provider.now, problems)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self.complete(replace(self.provider.told(ModelRun(int(run_id), START))))


class LockInMemory(Database):
    """Has the lock of one listing, and nothing else."""

    def __init__(self) -> None:
        self.locked = False

    @contextmanager
    def lock(self, listing: str, *, wait: bool = False) -> Iterator[None]:
        if self.locked:
            raise LockedError("another sync holds the lock")
        self.locked = True
        try:
            yield
        finally:
            self.locked = False


class MemoryStore(ListingStore):
    """Rows in memory, under the rules of the statements."""

    database: LockInMemory

    def __init__(self) -> None:
        self.rows: dict[str, RunToWrite] = {}
        self.vanished: dict[str, datetime] = {}
        self.aside: dict[str, datetime] = {}
        self.intervals: list[Interval] = []
        self.remembered: dict[str, Any] = {}
        self.database = LockInMemory()
        self.label, self.listing, self.source = None, LISTING.key, "model"

    def coverage(self) -> list[Interval]:
        return list(self.intervals)

    def pruned(self) -> set[tuple[str, str]]:
        return set()

    def memory(self) -> dict[str, Any]:
        return dict(self.remembered)

    def save_memory(self, memory: dict[str, Any]) -> None:
        self.remembered = dict(memory)

    def begin(self, now: datetime | None = None) -> int:
        return 1

    def end(self, *_: Any, **__: Any) -> None:
        pass

    def rank(self, cursor: Cursor) -> int:
        return sum(
            row.details.run.created_at > cursor.at and key not in self.vanished
            for key, row in self.rows.items()
        )

    def newest(self) -> tuple[Pipeline, str] | None:
        found = [row.details.run for key, row in self.rows.items() if key not in self.vanished]
        run = max(found, key=lambda run: run.created_at, default=None)
        return None if run is None else (PIPELINE, run.id)

    def known(self, runs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], StoredState]:
        found = {}
        for _, run_id in runs:
            if run_id in self.rows:
                row = self.rows[run_id]
                synced = row.details.as_of if row.with_steps else None
                found["p", run_id] = StoredState(
                    settled=row.settled and run_id not in self.vanished,
                    version=None,
                    vanished=run_id in self.vanished,
                    created_at=row.details.run.created_at,
                    first_seen_at=row.details.as_of,
                    finished=row.details.run.status is Status.FINISHED,
                    has_steps=bool(row.details.steps),
                    set_aside=run_id in self.aside.keys() - self.vanished.keys(),
                    steps_synced_at=synced,
                    last_seen_at=row.details.as_of,
                )
        return found

    def unsettled(
        self, *, incomplete_only: bool = False, but_set_aside_after: datetime | None = None
    ) -> list[tuple[Pipeline, str]]:
        after = but_set_aside_after
        left_out = {key for key, at in self.aside.items() if after and at > after}
        return [
            (PIPELINE, key)
            for key, row in self.rows.items()
            if not row.settled and key not in left_out
        ]

    def not_found_once(self) -> set[str]:
        unsettled = {key for key in self.vanished if not self.rows[key].settled}
        return unsettled - self.aside.keys()

    def save(self, batch: Batch) -> Counts:
        for run in batch.runs:
            key = run.details.run.id
            old = self.rows.get(key)
            was_gone = self.vanished.pop(key, None) is not None
            if old is None or not old.settled or run.settled or was_gone:
                if old is not None and not run.with_steps:
                    kept = replace(run.details, steps=old.details.steps)
                    run = RunToWrite(kept, run.settled, with_steps=old.with_steps)
                if old is not None and run.details.run.source_run_id is None:
                    run = _with_origin(run, old.details.run.source_run_id)
                self.rows[key] = run
            if run.is_whole or was_gone:
                self.aside.pop(key, None)
        for _, run_id, at in [*batch.vanished, *batch.vanished_though_listed]:
            gone_for = at - self.vanished.get(run_id, at)
            if gone_for >= GRACE and not self.rows[run_id].settled:
                self.aside[run_id] = at
            if gone_for >= timedelta(days=30):
                self.rows[run_id] = replace(self.rows[run_id], settled=True)
                self.aside.pop(run_id, None)
            self.vanished.setdefault(run_id, at)
        self.aside |= {one.run_id: one.at for one in batch.set_aside}
        if batch.intervals:
            self.intervals = union([*self.intervals, *batch.intervals])
        return Counts()


def _with_origin(run: RunToWrite, origin: str | None) -> RunToWrite:
    """What an answer leaves out is taken from the one before it."""
    told = replace(run.details.run, source_run_id=origin)
    return replace(run, details=replace(run.details, run=told))


class AtOnce(Executor):
    """Makes each request when it is submitted; a kill ends the process there."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)
        return future


def run_sync(
    store: MemoryStore, provider: Provider, *, details: bool = False, **options: Any
) -> SyncOutcome:
    """One sync by the real engine."""
    source = ModelSource(provider, details=details)
    provider.told_at.clear()
    with nullcontext():
        return ListingSync(store, Task(source, LISTING), AtOnce(), Options(**options), None).run()

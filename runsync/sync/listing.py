"""The sync of one listing: down from its top to what is covered, past that, and so to its start.

One run's way: a source's page lists it; unless it is stored and settled, a thread of the source's
pool completes it with its steps; when all runs of the page are in, the runs, the steps and the
stretch of history that the page covers are written as one transaction. At last the runs that had
not settled are read again by their ids.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from runsync.coverage import CoverageTracker, Interval, interval_containing, union
from runsync.errors import (
    CancelledError,
    LockedError,
    NotFoundError,
    RateLimitedError,
    RunsyncError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import RequestCounter
from runsync.records import Cursor, Pipeline, Problem, Run, RunWithSteps
from runsync.sources.base import Listed, Listing, Page, ResumePoint, Source
from runsync.storage.database import Database
from runsync.storage.store import Batch, Counts, ListingStore, RunToWrite, StoredState

_PAGES_AHEAD = 4
_REREAD_AT_ONCE = 32
_FAILURES_IN_A_ROW = 5
_FATAL = (CancelledError, TokenRefusedError, RateLimitedError)

Watch = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Task:
    """One listing to be synced."""

    source: Source
    listing: Listing


@dataclass(frozen=True, slots=True)
class Options:
    """How to sync. ``full`` walks all history again, ``wait`` waits for another sync's lock."""

    concurrency: int = 8
    since: datetime | None = None
    full: bool = False
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one listing has come: runs looked at, and how deep into the wanted history from
    0 to 1 (None while nobody can know)."""

    listing: str
    runs: int
    depth: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the sync of one listing ended; ``outcome`` is ok, partial, failed, interrupted, locked.

    ``problems`` name what was set aside; ``cause`` is why it failed.
    """

    listing: str
    label: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    requests: int = 0
    counts: Counts = field(default_factory=Counts)
    problems: tuple[str, ...] = ()
    cause: RunsyncError | None = None

    @property
    def error(self) -> str | None:
        """What went wrong, in a line or a few."""
        return str(self.cause) if self.cause else "; ".join(self.problems) or None


@dataclass(slots=True)
class _Pending:
    """A page whose runs are being completed."""

    batch: Batch
    futures: list[Future[RunToWrite]]
    looked_at: int
    depth: float | None


class ListingSync:
    """The sync of one listing, in one thread; only requests for details go to the pool."""

    def __init__(
        self,
        database: Database,
        task: Task,
        pool: ThreadPoolExecutor,
        options: Options,
        watch: Watch | None,
        stop: threading.Event,
    ) -> None:
        self._source, self._listing = task.source, task.listing
        self._store = ListingStore(database, task.source.name, task.listing.key, task.listing.label)
        self._database, self._pool, self._options = database, pool, options
        self._watch, self._stop = watch or (lambda _: None), stop
        self._tally, self._counts = RequestCounter(), Counts()
        self._pending: deque[_Pending] = deque()
        self._problems: dict[str, None] = {}
        self._read_now: set[tuple[str, str]] = set()
        self._failures = self._looked_at = 0

    def run(self) -> Outcome:
        """Syncs the listing, and says how that ended."""
        started = datetime.now(UTC)
        label = self._listing.label or self._listing.key
        try:
            with self._database.lock(self._listing.key, wait=self._options.wait):
                outcome, cause = self._run_locked()
        except LockedError as error:
            outcome, cause = "locked", error
        return Outcome(
            self._listing.key,
            label,
            started,
            datetime.now(UTC),
            outcome,
            self._tally.requests,
            self._counts,
            tuple(self._problems),
            cause,
        )

    def _run_locked(self) -> tuple[str, RunsyncError | None]:
        number = self._store.begin()
        outcome, cause = "interrupted", None
        try:
            outcome, cause = self._run_noted()
        finally:
            error = str(cause) if cause else "; ".join(self._problems) or None
            self._store.end(number, outcome, self._counts, self._tally.requests, error)
        return outcome, cause

    def _run_noted(self) -> tuple[str, RunsyncError | None]:
        try:
            with self._source.client.counting(self._tally):
                self._store.ensure_pipelines(self._listing.pipelines)
                memory = {} if self._options.full else self._store.memory()
                self._walk(memory)
                self._read_unsettled()
                if not self._problems:
                    self._store.save_memory(memory)
        except CancelledError as error:
            return "interrupted", error
        except SourceError as error:
            self._keep_what_is_in()
            return "failed", error
        except TokenRefusedError as error:
            self._keep_what_is_in()
            return "failed", error
        return ("partial" if self._problems else "ok"), None

    # The walk.

    def _walk(self, memory: dict[str, object]) -> None:
        """Goes down the listing, and past what is covered, until all that is wanted is."""
        resume_point: ResumePoint | None = None
        while True:
            resume_point = self._descend(resume_point, memory)
            self._commit(until=0)
            if resume_point is None:
                return
            resume_point = replace(resume_point, rank=self._store.rank(resume_point.cursor))

    def _descend(
        self, resume_point: ResumePoint | None, memory: dict[str, object]
    ) -> ResumePoint | None:
        """Walks until what follows is covered; where to go on then, or None if that is all."""
        trail = CoverageTracker(resume_point.cursor if resume_point else None, self._options.since)
        covered = [] if self._options.full else self._store.coverage()
        for page in self._source.pages(self._listing, resume_point, memory):
            intervals = trail.follow(_cursors(page), at_start=page.at_start)
            self._take(page, Batch(intervals=intervals), self._depth(trail))
            if page.at_start or trail.done:
                return None
            if page.unchanged and covered:
                return self._past(covered[0])
            if trail.lowest is None or self._is_rechecked(trail.lowest.at, page.as_of):
                continue
            reach = interval_containing(union([*covered, *trail.intervals]), trail.lowest)
            if reach is not None and (
                reach.reaches(self._options.since) or reach.oldest < trail.lowest
            ):
                return self._past(reach)
        return None

    def _past(self, reach: Interval) -> ResumePoint | None:
        return None if reach.reaches(self._options.since) else ResumePoint(reach.oldest, 0)

    def _is_rechecked(self, at: datetime, now: datetime) -> bool:
        return now - at < self._source.recheck

    def _depth(self, trail: CoverageTracker) -> float | None:
        """How deep the walk has come, by time: from the top to the start that is wanted."""
        starts = [p.created_at for p in self._listing.pipelines if p.created_at]
        floor = self._options.since or min(starts, default=None)
        if floor is None or not trail.intervals or trail.lowest is None:
            return None
        top = trail.intervals[0].newest.at
        return min((top - trail.lowest.at) / (top - floor), 1.0) if top > floor else 1.0

    # A page: complete its runs, then write it.

    def _take(self, page: Page, batch: Batch, depth: float | None) -> None:
        """Has the page's runs completed, and meanwhile writes the pages before it."""
        listed = [item.run for item in page.items if isinstance(item, Listed)]
        since = self._options.since
        runs = [run for run in listed if since is None or run.created_at >= since]
        self._note(item for item in page.items if isinstance(item, Problem))
        known = self._store.known(runs) if runs else {}
        futures = [
            self._pool.submit(self._complete, run, page.as_of)
            for run in runs
            if self._wants_reading(run, known.get(_key(run)))
        ]
        self._pending.append(_Pending(batch, futures, len(runs), depth))
        self._commit(until=_PAGES_AHEAD)

    def _commit(self, until: int) -> None:
        """Writes pages in their order, until only so many are still waiting for their runs."""
        while len(self._pending) > until:
            page = self._pending[0]
            fetched = [future.result() for future in page.futures]
            self._save(replace(page.batch, runs=fetched))
            self._pending.popleft()
            self._looked_at += page.looked_at
            self._watch(Progress(self._listing.key, self._looked_at, page.depth))
            self._check_on(fetched)

    def _save(self, batch: Batch) -> None:
        for fetched in batch.runs:
            self._note(fetched.details.problems)
            if not fetched.settled:
                self._read_now.add(_key(fetched.details.run))
        if batch.runs or batch.intervals or batch.vanished:
            self._counts.add(self._store.save(batch))

    def _keep_what_is_in(self) -> None:
        """After a failure: writes the pages whose runs all came in, and gives up the others."""
        while self._pending:
            page = self._pending.popleft()
            if any(future.cancel() for future in page.futures):
                break
            wait(page.futures)
            if any(future.exception() for future in page.futures):
                break
            self._save(replace(page.batch, runs=[future.result() for future in page.futures]))
        for page in self._pending:
            for future in page.futures:
                future.cancel()
        self._pending.clear()

    def _check_on(self, fetched: Sequence[RunToWrite]) -> None:
        """Gives up where run after run cannot be read: then it is not the run's fault."""
        for one in fetched:
            self._failures = 0 if one.with_steps else self._failures + 1
            if self._failures >= _FAILURES_IN_A_ROW:
                raise SourceError(
                    f"{self._failures} runs in a row could not be read; the last: "
                    + "; ".join(problem.what for problem in one.details.problems)
                )

    def _complete(self, run: Run, as_of: datetime) -> RunToWrite:
        """In a thread of the pool: a listed run with its steps, or without if they do not come."""
        if self._stop.is_set():
            raise CancelledError("given up")
        with self._source.client.counting(self._tally):
            try:
                return self._judged(self._source.complete(run))
            except _FATAL:
                raise
            except SourceError as error:
                problem = Problem(f"run {run.id}: {error}")
                return RunToWrite(RunWithSteps(run, (), as_of, (problem,)), False, with_steps=False)

    def _wants_reading(self, run: Run, known: StoredState | None) -> bool:
        """Whether a listed run is to be asked for: it is new, may have changed, or seemed gone."""
        if known is None or known.vanished or known.steps_synced_at is None:
            return True
        if self._source.lists_changes:
            return run.version != known.version
        return not known.settled or (run.version is not None and run.version != known.version)

    def _judged(self, details: RunWithSteps) -> RunToWrite:
        return RunToWrite(details, self._source.settles(details))

    def _note(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self._problems[problem.what] = None

    # The runs that had not settled.

    def _read_unsettled(self) -> None:
        targets = [
            target
            for target in self._store.unsettled(incomplete_only=self._source.lists_changes)
            if (target[0].external_id, target[1]) not in self._read_now
        ]
        for first in range(0, len(targets), _REREAD_AT_ONCE):
            self._reread(targets[first : first + _REREAD_AT_ONCE])

    def _reread(self, targets: Sequence[tuple[Pipeline, str]]) -> None:
        futures = [self._pool.submit(self._read_again, *target) for target in targets]
        fetched: list[RunToWrite] = []
        vanished: list[tuple[Pipeline, str, datetime]] = []
        for future, (pipeline, run_id) in zip(futures, targets, strict=True):
            try:
                fetched.append(future.result())
            except NotFoundError:
                vanished.append((pipeline, run_id, datetime.now(UTC)))
            except _FATAL:
                raise
            except SourceError as error:
                self._note([Problem(f"run {run_id}: {error}")])
        self._save(Batch(fetched, vanished=vanished))

    def _read_again(self, pipeline: Pipeline, run_id: str) -> RunToWrite:
        if self._stop.is_set():
            raise CancelledError("given up")
        with self._source.client.counting(self._tally):
            return self._judged(self._source.reread(pipeline, run_id))


def _cursors(page: Page) -> list[Cursor | None]:
    """Where a page's runs stand; None where a row that could not be read leaves a hole."""
    return [
        item.cursor if isinstance(item, Listed) else None
        for item in page.items
        if isinstance(item, Listed) or item.lost
    ]


def _key(run: Run) -> tuple[str, str]:
    return run.pipeline.external_id, run.id

"""The sync of one listing, one run's way through it read from top to bottom.

A source's page lists a run; unless the run is stored and settled, a thread of the source's pool
reads it with its steps; when all runs of the page are in, the runs, their steps and the interval
of history that the page proves are written as one transaction. ``walk`` decides which page comes
next and what is proven. At the end the runs that have not settled are read again by their ids,
also where the walk failed.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any

from runsync.coverage import Interval
from runsync.errors import (
    NOTHING_MORE_TO_ASK,
    STOPS,
    BugError,
    CancelledError,
    ForbiddenError,
    LockedError,
    NotFoundError,
    RunsyncError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import RequestCounter
from runsync.records import Pipeline, Problem, RunWithSteps
from runsync.sources.base import BEGUN, Listed, Page, ResumePoint, Unchanged
from runsync.storage.runs import ROUNDING, lacks_proof, without_known_steps
from runsync.storage.store import (
    Batch,
    Counts,
    ListingStore,
    RunKey,
    RunToWrite,
    SetAside,
    StoredState,
)
from runsync.sync import validators
from runsync.sync.outcome import Options, Progress, SyncOutcome, Task, Watch
from runsync.sync.validators import UnchangedRun, Validator
from runsync.sync.walk import Turn, Walk

log = logging.getLogger(__name__)

_PAGES_AHEAD = 4
_REREAD_AT_ONCE = 32
_FAILURES_IN_A_ROW = 5
ReadRun = Callable[[], RunWithSteps | Unchanged]
_NOT_FOUND = (
    "run {}: the provider does not know it any more; it is asked for again, and counts as gone "
    "if it is not found after ten minutes either"
)
_ASIDE = timedelta(days=1)
"""How long after a run was found unreadable or gone, and set aside, it is asked for again."""
_BEFORE_ALL = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(slots=True)
class _PendingPage:
    """A page whose runs are being read."""

    batch: Batch
    futures: list[Future[RunToWrite | UnchangedRun]]
    runs: int
    depth: float | None
    reached: datetime | None


class ListingSync:
    """The sync of one listing, in one thread; only requests for runs go to the pool."""

    def __init__(
        self,
        store: ListingStore,
        task: Task,
        pool: Executor,
        options: Options,
        watch: Watch | None,
    ) -> None:
        self._source, self._listing, self._title = task.source, task.listing, task.title
        self._store, self._pool, self._options = store, pool, options
        self._watch = watch or (lambda _: None)
        self._requests, self._counts = RequestCounter(), Counts()
        self._pending: deque[_PendingPage] = deque()
        self._problems: dict[str, None] = {}
        self._unsettled_now: set[RunKey] = set()
        self._unreadable: set[RunKey] = set()
        self._unreadable_once: set[RunKey] = set()
        self._aside: set[RunKey] = set()
        self._as_of = _BEFORE_ALL
        self._vanished: dict[RunKey, tuple[Pipeline, str, datetime]] = {}
        self._validators: dict[RunKey, Validator] = {}
        self._pruned: set[tuple[str, str]] = set()
        self._failures = self._looked_at = 0
        self._is_hidden = False

    def run(self) -> SyncOutcome:
        """Syncs the listing, and says how that ended; it raises nothing but what ends a process."""
        started, cause = datetime.now(UTC), None
        try:
            lock = self._store.database.lock
            with lock(self._listing.key, wait=self._options.wait):
                outcome, cause = self._run_locked()
        except LockedError as error:
            outcome, cause = "locked", error
        except RunsyncError as error:
            outcome, cause = "failed", error
        done = SyncOutcome(
            self._listing.key,
            self._title,
            started,
            datetime.now(UTC),
            outcome,
            self._requests.requests,
            self._counts,
            tuple(self._problems),
            cause,
        )
        log.info("%s: %s, %s, %d requests", done.label, outcome, done.counts, done.requests)
        return done

    def _run_locked(self) -> tuple[str, RunsyncError | None]:
        number = self._store.begin()
        outcome = "interrupted"
        cause: RunsyncError | None = None
        try:
            with self._source.client.counting(self._requests):
                cause = self._sync()
            outcome = "failed" if cause else "partial" if self._problems else "ok"
            outcome = "interrupted" if isinstance(cause, CancelledError) else outcome
        except RunsyncError as error:
            outcome, cause = "failed", error
        except Exception as error:  # noqa: BLE001 - a bug in one source must not stop the others
            outcome, cause = "failed", BugError.of(error)
        finally:
            why = [*([str(cause)] if cause else []), *self._problems]
            requests = self._requests.requests
            self._store.end(number, outcome, self._counts, requests, "; ".join(why))
        return outcome, cause

    def _sync(self) -> SourceError | TokenRefusedError | None:
        """Walks the listing, then reads again what has not settled; returns what failed."""
        failed: SourceError | TokenRefusedError | None = None
        self._save(Batch(pipelines=self._listing.pipelines))
        covered = [] if self._options.full else self._store.coverage()
        if covered or self._options.full:  # nothing else is ever pruned
            self._pruned = self._store.pruned()
        before = self._store.memory()
        if validators.MEMORY_KEY in before and not self._options.full:
            self._validators = validators.load(before)
        recheck_since = partial(self._source.recheck_since, before)
        # What the source remembers says that the listing is unchanged, not that it is all stored.
        whole = bool(covered) and covered[0].reaches(self._options.since)
        memory = deepcopy(before) if whole else {}
        if self._source.lasting_memory and not self._options.full:
            memory |= deepcopy(self._lasting(before))
        if self._source.needs_begin and BEGUN in before and not self._options.full:
            memory[BEGUN] = before[BEGUN]
        try:
            self._walk(Walk(covered, self._options.since, recheck_since), memory, before)
        except (SourceError, TokenRefusedError) as error:
            self._keep_what_came()
            failed = error
        self._is_hidden = isinstance(failed, NotFoundError)
        if not isinstance(failed, NOTHING_MORE_TO_ASK):
            try:
                self._reread_unsettled()
            except (SourceError, TokenRefusedError) as error:
                failed = error
        # Runs vouch for themselves, but what else is remembered for all of the listing.
        if failed:
            memory = before
        elif self._problems:
            of_walk = {key: memory[key] for key in self._source.walk_memory if key in memory}
            memory = before | of_walk
        if self._validators or validators.MEMORY_KEY in memory:
            memory = validators.save(memory, self._validators)
        self._store.save_memory(memory)
        return failed

    def _begin(self, before: dict[str, Any], as_of: datetime) -> None:
        """Notes when the listing was first asked for: what a first sync stores may change before
        another one, after a kill, has read the listing whole."""
        before[BEGUN] = as_of.isoformat()
        self._store.save_memory(before)

    def _lasting(self, memory: dict[str, Any]) -> dict[str, Any]:
        return {key: memory[key] for key in self._source.lasting_memory if key in memory}

    def _keep_lasting(self, memory: dict[str, Any], before: dict[str, Any]) -> None:
        """Saves what the covered intervals stand for, if that has changed, before one is stored."""
        lasting = self._lasting(memory)
        if lasting != self._lasting(before):
            self._commit_pages(leave=0)  # what was read aside is among it
            before |= deepcopy(lasting)
            self._store.save_memory(before)

    def _walk(self, walk: Walk, memory: dict[str, Any], before: dict[str, Any]) -> None:
        resume_point, turn = None, Turn.JUMP
        begins = self._source.needs_begin and BEGUN not in before
        starts = [p.created_at for p in self._listing.pipelines if p.created_at]
        floor = self._options.since or min(starts, default=None)
        while turn is Turn.JUMP:
            pages = self._source.pages(self._listing, resume_point, memory)
            for number, page in enumerate(pages):
                self._as_of = page.as_of
                if begins:
                    self._begin(before, page.as_of)
                    begins = False
                if self._source.lasting_memory and not page.aside:
                    self._keep_lasting(memory, before)
                intervals, turn = walk.take(page)
                if not (number or resume_point or page.items) and page.at_start:
                    self._check_empty()
                self._take_page(page, intervals, walk.depth(floor))
                if turn is not Turn.NEXT_PAGE:
                    break
            else:
                turn = Turn.END
            self._commit_pages(leave=0)
            if turn is Turn.JUMP and walk.start:
                resume_point = ResumePoint(walk.start, self._store.rank(walk.start))

    def _check_empty(self) -> None:
        """An empty listing proves nothing while a run of it is there: asks for the newest one.

        Raises:
            SourceError: the provider has it.
        """
        newest = self._store.newest()
        if newest is None:
            return
        try:
            self._save(Batch(), [self._read_again(newest, self._states([newest]))])
        except NotFoundError as error:
            self._save(Batch(vanished=[(*newest, error.as_of or datetime.now(UTC))]))
            return
        raise SourceError(
            f"the listing shows no run, though run {newest[1]} is there; what is stored is kept: "
            "sync again"
        )

    # A page: have its runs read, then write it.

    def _take_page(self, page: Page, intervals: Sequence[Interval], depth: float | None) -> None:
        """Has the page's runs read, and meanwhile writes the pages before it."""
        self._note(item for item in page.items if isinstance(item, Problem))
        # What is read aside has to hold all that the covered history speaks of, also below `since`.
        since = None if page.aside else self._options.since
        listed = [
            item
            for item in page.items
            if isinstance(item, Listed) and (since is None or item.run.created_at >= since)
        ]
        runs = [item.run for item in listed]
        stored = self._store.known(map(attrgetter("key"), runs)) if runs else {}
        futures = [
            self._pool.submit(self._read_listed, item, page.as_of, state)
            for item in listed
            for state in [stored.get(item.run.key)]
            if self._is_to_be_read(item, state)
        ]
        # Also where another listing has brought all the runs: they belong to this one too.
        pipelines = {run.pipeline.external_id: run.pipeline for run in runs}
        batch = Batch(intervals=intervals, pipelines=[*pipelines.values()])
        reached = min((run.created_at for run in runs), default=None)
        self._pending.append(_PendingPage(batch, futures, len(runs), depth, reached))
        self._commit_pages(leave=_PAGES_AHEAD)

    def _is_to_be_read(self, item: Listed, stored: StoredState | None) -> bool:
        """Whether a listed run is to be asked for: it is new, may have changed, seemed gone, or is
        another run of the same id, which the store refuses."""
        run = item.run
        if self._pruned and stored is None and run.month_key in self._pruned:
            # It is in the archive. What has changed since, where only changes are listed, is not.
            return item.stub or (self._source.lists_changes and not self._options.full)
        if self._options.full and self._source.has_details:
            return True  # settled runs were perhaps read without their details
        if stored is None or stored.vanished or stored.steps_synced_at is None:
            return True
        if not item.stub and abs(run.created_at - stored.created_at) >= ROUNDING:
            return True
        if stored.set_aside and run.version == stored.version:
            return self._options.full
        if self._source.lists_changes:
            return run.version != stored.version
        return not stored.settled or (run.version is not None and run.version != stored.version)

    def _read_listed(
        self, item: Listed, as_of: datetime, stored: StoredState | None
    ) -> RunToWrite | UnchangedRun:
        """In a thread of the pool: a listed run with its steps, or without if they do not come."""
        run, details = item.run, item.details
        known = self._validators.get(run.key)
        ask: ReadRun = (lambda: details) if details else partial(self._source.complete, run)
        if known:
            ask = partial(self._source.complete_if_changed, run, known.text)
        try:
            return self._read((run.pipeline, run.id), ask, known, stored, as_of)
        except STOPS:
            raise
        except NotFoundError as error:
            self._vanished[run.key] = (run.pipeline, run.id, error.as_of or as_of)
            return RunToWrite(RunWithSteps(run, (), as_of), False, with_steps=False)
        except (SourceError, ForbiddenError) as error:
            self._unreadable.add(run.key)
            problem = Problem(f"run {run.id}: {error}")
            return RunToWrite(RunWithSteps(run, (), as_of, (problem,)), False, with_steps=False)

    def _read(
        self,
        run: tuple[Pipeline, str],
        ask: ReadRun,
        known: Validator | None,
        stored: StoredState | None,
        listed_at: datetime | None = None,
    ) -> RunToWrite | UnchangedRun:
        """Reads a run. An answer that may be a passing fault settles nothing the first time.

        Args:
            listed_at: of when the listing is that tells a part of the run: the whole is no newer.
        """
        with self._source.client.counting(self._requests):
            found = ask()
        if isinstance(found, Unchanged):
            return UnchangedRun.of(run, known, found)
        if listed_at:
            found = replace(found, as_of=min(found.as_of, listed_at))
        is_passing = bool(found.problems) and not self._was_unreadable(found, stored)
        if is_passing:
            self._unreadable_once.add(found.run.key)
        settled = self._source.settles(found)
        # Where only changes are listed, it is read again by its id if its steps count as missing.
        with_steps = found.steps_read and not (is_passing and self._source.lists_changes)
        doubtful = settled and not found.steps and not self._source.lists_changes
        if doubtful and lacks_proof(found, stored):
            settled = False
            if stored and stored.has_steps:
                found, with_steps = without_known_steps(found), False
        return RunToWrite(found, settled, with_steps)

    def _was_unreadable(self, found: RunWithSteps, stored: StoredState | None) -> bool:
        """Whether the answer before this one could not be read either: had it been good, the run
        would have settled by it, or, where only changes are listed, its steps were in."""
        if stored is None or stored.set_aside:
            return stored is not None
        read_at = stored.steps_synced_at
        if read_at is None or read_at < stored.last_seen_at:  # its steps did not come
            return self._source.lists_changes
        if stored.settled or self._source.lists_changes:
            return False
        return self._source.settles(replace(found, problems=(), as_of=read_at))

    def _commit_pages(self, leave: int) -> None:
        """Writes pages in their order, until only so many still wait for their runs."""
        while len(self._pending) > leave:
            page = self._pending[0]
            runs = [future.result() for future in page.futures]
            self._save(page.batch, runs)
            self._pending.popleft()
            self._looked_at += page.runs
            self._watch(Progress(self._listing.key, self._looked_at, page.depth, page.reached))
            self._check_failures(runs)

    def _keep_what_came(self) -> None:
        """After a failure: writes the runs that came in, and the intervals of the pages that are
        whole, down to the first that is not."""
        whole = True
        for page in self._pending:
            for future in page.futures:
                future.cancel()
        for page in self._pending:
            runs = [f.result() for f in page.futures if not f.cancelled() and not f.exception()]
            whole = whole and len(runs) == len(page.futures)
            self._save(page.batch if whole else replace(page.batch, intervals=()), runs)
        self._pending.clear()

    def _save(self, batch: Batch, read: Sequence[RunToWrite | UnchangedRun] = ()) -> None:
        """Writes runs as they were read, and what else is in ``batch``."""
        batch = replace(batch, runs=[one for one in read if isinstance(one, RunToWrite)])
        keys = [run.key for run in batch.runs]
        gone = [self._vanished.pop(key) for key in keys if key in self._vanished]
        aside = [
            SetAside(run.details.run.pipeline, run.details.run.id, _text(run), run.details.as_of)
            for run in batch.runs
            if self._stays_unreadable(run)
        ]
        batch = replace(batch, vanished_though_listed=gone, set_aside=aside)
        for key, run in zip(keys, batch.runs, strict=True):
            if key not in self._aside:
                self._note(run.details.problems)
            if not run.settled:
                self._unsettled_now.add(key)
        if batch.runs or batch.intervals or batch.vanished or batch.pipelines:
            self._counts.add(self._store.save(batch))
        if batch.vanished or gone:
            # Of those alone: others may be asked for again later in this sync.
            asked = {run_id for _, run_id, _ in (*batch.vanished, *gone)}
            once = asked.intersection(self._store.not_found_once())
            self._note(Problem(_NOT_FOUND.format(run)) for run in sorted(once))
        for key, run in zip(keys, batch.runs, strict=True):
            self._validators.pop(key, None)
            if run.details.validator and not run.settled:
                self._validators |= validators.given(run.details, self._source)
        for one in read:
            if isinstance(one, UnchangedRun):
                self._take_unchanged(one)

    def _take_unchanged(self, run: UnchangedRun) -> None:
        """Settles a run that is still as it was, once it is time, or keeps it in mind."""
        self._unsettled_now.add(run.key)
        self._validators[run.key] = run.validator
        if run.settled:
            # Where somebody else has written it since, it is read whole the next time.
            del self._validators[run.key]
            self._store.settle((run.pipeline, run.id), run.validator.read_at, run.as_of)

    def _stays_unreadable(self, run: RunToWrite) -> bool:
        """Whether the run is over and its answer came twice, but holds what cannot be read: asked
        again, the provider would say the same. It is set aside by name and asked for once a day."""
        read = run.details
        return (
            run.with_steps
            and bool(read.problems)
            and run.key not in self._unreadable_once
            and self._source.settles(replace(read, problems=()))
        )

    def _check_failures(self, runs: Sequence[RunToWrite | UnchangedRun]) -> None:
        """Gives up where run after run cannot be read: then it is not the run's fault."""
        for one in runs:
            if isinstance(one, UnchangedRun) or one.key not in self._unreadable:
                self._failures = 0
                continue
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                raise SourceError(
                    f"{self._failures} runs in a row could not be read; the last: " + _text(one)
                )

    def _note(self, problems: Iterable[Problem]) -> None:
        self._problems |= dict.fromkeys(problem.what for problem in problems)

    # The runs that had not settled before this sync, or could not be read in it.

    def _reread_unsettled(self) -> None:
        runs = self._store.unsettled(
            incomplete_only=self._source.lists_changes,
            but_set_aside_after=None if self._options.full else self._as_of - _ASIDE,
        )
        by_key = {(pipeline.external_id, run_id): (pipeline, run_id) for pipeline, run_id in runs}
        # What another sync has settled is not asked for again.
        self._validators = {k: one for k, one in self._validators.items() if k in by_key}
        unsettled = [run for key, run in by_key.items() if key not in self._unsettled_now]
        for first in range(0, len(unsettled), _REREAD_AT_ONCE):
            self._reread(unsettled[first : first + _REREAD_AT_ONCE])

    def _reread(self, unsettled: Sequence[tuple[Pipeline, str]]) -> None:
        """Reads these runs again, and keeps what came also where nothing more can be asked for."""
        stored = self._states(unsettled)
        if not self._options.full:
            self._aside |= {key for key, state in stored.items() if state.set_aside}
        futures = [self._pool.submit(self._read_again, run, stored) for run in unsettled]
        runs: list[RunToWrite | UnchangedRun] = []
        vanished: list[tuple[Pipeline, str, datetime]] = []
        ended: Exception | None = None
        for future, (pipeline, run_id) in zip(futures, unsettled, strict=True):
            try:
                runs.append(future.result())
                self._failures = 0
            except NotFoundError as error:
                if self._is_hidden:
                    # Its listing is not found either: that says nothing of the run.
                    self._note([Problem(f"run {run_id}: {error}")])
                    continue
                vanished.append((pipeline, run_id, error.as_of or datetime.now(UTC)))
                self._validators.pop((pipeline.external_id, run_id), None)
            except STOPS as error:
                ended = ended or error
            except (SourceError, ForbiddenError) as error:
                self._note([Problem(f"run {run_id}: {error}")])
                self._failures += 1
            except TokenRefusedError as error:
                ended = ended or error
        self._save(Batch(vanished=vanished), runs)
        if ended:
            raise ended
        if self._failures >= _FAILURES_IN_A_ROW:
            raise SourceError(f"{self._failures} runs in a row could not be read again")

    def _states(self, runs: Iterable[tuple[Pipeline, str]]) -> dict[RunKey, StoredState]:
        return self._store.known([(pipeline.external_id, run_id) for pipeline, run_id in runs])

    def _read_again(
        self, run: tuple[Pipeline, str], stored: Mapping[RunKey, StoredState]
    ) -> RunToWrite | UnchangedRun:
        """In a thread of the pool: a run by its id."""
        key = run[0].external_id, run[1]
        known = self._validators.get(key)
        ask: ReadRun = partial(self._source.reread, *run)
        if known:
            ask = partial(self._source.reread_if_changed, *run, known.text)
        return self._read(run, ask, known, stored.get(key))


def _text(run: RunToWrite) -> str:
    return "; ".join(problem.what for problem in run.details.problems)

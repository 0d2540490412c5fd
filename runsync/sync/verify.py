"""The audit: reads the history again from the provider, run by run, and compares it with what is
stored; mends it on request.

A whole audit reads every run with its steps and compares every column that the provider tells. A
quick one reads the listing alone. A run that has not settled claims nothing, so it is not
compared: the next sync reads it again. What is told of the runs' pipelines, their names and
default branches, is compared too.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from runsync.errors import (
    NOTHING_MORE_TO_ASK,
    NotFoundError,
    RunsyncError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import RequestCounter
from runsync.records import Cursor, Pipeline, Problem, Run, RunWithSteps, Step, parse_time
from runsync.sources.base import Listed, Page
from runsync.storage.audit import AuditStore
from runsync.storage.database import Database
from runsync.storage.store import RunToWrite
from runsync.storage.upserts import RUN_FACTS, RUN_STATE, STEP_FACTS, STEP_STATE, VERSION_KEY
from runsync.sync.outcome import Progress, Task, Watch
from runsync.sync.pipeline_audit import PipelineAudit
from runsync.sync.walk import cursors_of

StoredSteps = Mapping[str, Mapping[str, Any]]
KINDS = ("missing", "extra", "different", "unreadable", "new")

_LISTED = (
    "attempt branch commit_hash message author author_id number event status result raw_status "
    "raw_result created_at started_at finished_at url web_url"
).split()
_LIFE = frozenset("started_at finished_at queued_ms duration_ms".split())
_MOST_FIELDS = 12


@dataclass(frozen=True, slots=True)
class Difference:
    """One run that is not stored as the provider tells it, or with an empty ``id`` a pipeline.

    ``kind`` is missing (not stored), extra (stored, gone upstream), different, unreadable (the
    provider's answer cannot be read) or new (created or changed since the last sync: no fault).
    ``fields`` names what differs, ``step 5a…: result`` for a step, or why it cannot be read.
    """

    listing: str
    pipeline: str
    id: str
    kind: str
    fields: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(slots=True)
class Verdict:
    """What the audit of one listing found.

    ``checked`` counts the runs that were read; ``new`` those that no sync could have brought.
    """

    listing: str
    label: str
    checked: int = 0
    requests: int = 0
    differences: list[Difference] = field(default_factory=list)
    cause: RunsyncError | None = None

    def count(self, kind: str) -> int:
        """How many runs differ in that way."""
        return sum(one.kind == kind for one in self.differences)

    @property
    def faults(self) -> int:
        """How many differences are faults that were not mended."""
        return sum(one.kind != "new" and not one.repaired for one in self.differences)

    @property
    def well(self) -> bool:
        """Whether the listing was read whole, and what is stored equals it."""
        return self.cause is None and not self.faults


def estimated_requests(
    database: Database, tasks: Sequence[Task], *, since: datetime | None = None, quick: bool = False
) -> int:
    """About how many requests an audit takes, reckoned from what is stored."""
    total = 0
    for task in tasks:
        source = task.source
        store = AuditStore(database, source.name, task.listing.key)
        runs = store.count_present(since)
        total += math.ceil(runs / source.page_runs) + 1
        total += 0 if quick else runs * source.requests_per_run
    return total


def verify(
    database: Database,
    tasks: Sequence[Task],
    *,
    since: datetime | None = None,
    repair: bool = False,
    quick: bool = False,
    concurrency: int = 8,
    watch: Watch | None = None,
) -> list[Verdict]:
    """Audits each listing; one that cannot be read stops no other.

    Args:
        since: how far back to look.
        repair: store missing and different runs as the provider tells them, settled ones too, and
            mark those that are gone as vanished.
        quick: read the listing alone, and no steps.
        concurrency: how many runs are read at once.
        watch: told of progress.

    Raises:
        DatabaseError: the database cannot be read, or for a repair written.
    """
    with ThreadPoolExecutor(concurrency, thread_name_prefix="runsync-verify") as pool:
        return [
            _Audit(database, task, pool, since, watch, repair=repair, quick=quick).run()
            for task in tasks
        ]


class _Audit:
    """The audit of one listing. Of all its runs it holds a number each, and no more."""

    def __init__(
        self,
        database: Database,
        task: Task,
        pool: ThreadPoolExecutor,
        since: datetime | None,
        watch: Watch | None,
        *,
        repair: bool,
        quick: bool,
    ) -> None:
        self._source, self._listing, self._since = task.source, task.listing, since
        self._store = AuditStore(database, task.source.name, task.listing.key, task.listing.label)
        self._pool, self._repair, self._quick = pool, repair, quick
        self._watch = watch or (lambda _: None)
        self._expected = max(self._store.count_present(since), 1)
        self._listed: set[int] = set()
        self._requests = RequestCounter()
        self._pipelines = PipelineAudit(self._store)
        self._aside = {
            (one.pipeline.external_id, one.run_id) for one in self._store.set_aside_runs()
        }
        self._pruned = self._store.pruned()
        covered = self._store.coverage()
        self._covered_to = covered[0].newest.at if covered else None
        self._verdict = Verdict(task.listing.key, task.title)

    def run(self) -> Verdict:
        try:
            with self._source.client.counting(self._requests):
                for page in self._source.pages(self._listing, None, {}):
                    self._check_page(page)
                    if self._is_below_since(page):
                        break
                self._check_unlisted()
                self._check_pipelines()
        except (SourceError, TokenRefusedError) as error:
            self._verdict.cause = error
        self._verdict.requests = self._requests.requests
        return self._verdict

    def _is_below_since(self, page: Page) -> bool:
        cursors = [cursor for cursor in cursors_of(page) if cursor]
        return self._since is not None and bool(cursors) and min(cursors).at < self._since

    # The runs that the provider lists.

    def _check_page(self, page: Page) -> None:
        fresh = self._fresh(page)
        stored = self._store.stored([item.run for item in fresh])
        # What was pruned is compared with the archive, not with the provider.
        fresh = [
            item
            for item in fresh
            if item.run.key in stored or item.run.month_key not in self._pruned
        ]
        self._verdict.checked += len(fresh)
        read = [
            (item, self._pool.submit(self._read, item, page.as_of) if self._is_read(item) else None)
            for item in fresh
        ]
        steps = self._store.stored_steps([item.run for item in fresh]) if not self._quick else {}
        for item, future in read:
            key = item.run.key
            told = _told(item, future)
            self._judge(item.run, item.cursor, told, stored.get(key), steps.get(key, {}))
        checked = self._verdict.checked
        depth = min(checked / self._expected, 1.0)
        reached = min((item.run.created_at for item in fresh), default=None)
        self._watch(Progress(self._listing.key, checked, depth, reached))

    def _fresh(self, page: Page) -> list[Listed]:
        """The page's wanted runs that were on no page before; names unreadable rows."""
        fresh = []
        for item in page.items:
            if isinstance(item, Problem):
                if item.lost and all(d.fields != (item.what,) for d in self._verdict.differences):
                    self._add("", "", "unreadable", (item.what,))
            elif isinstance(item, Listed) and hash(item.run.key) not in self._listed:
                self._pipelines.note(item.run.pipeline)
                self._listed.add(hash(item.run.key))
                if self._since is None or item.run.created_at >= self._since:
                    fresh.append(item)
        return fresh

    def _is_read(self, item: Listed) -> bool:
        return not self._quick or item.stub

    def _read(self, item: Listed, listed_at: datetime) -> RunWithSteps:
        with self._source.client.counting(self._requests):
            told = item.details or self._source.complete(item.run)
        return replace(told, as_of=min(told.as_of, listed_at))

    def _judge(
        self,
        run: Run,
        cursor: Cursor | None,
        told: RunWithSteps | SourceError,
        row: Mapping[str, Any] | None,
        steps: StoredSteps,
    ) -> None:
        if isinstance(told, SourceError):
            self._add(_name(run.pipeline), run.id, "unreadable", (str(told),))
        elif told.problems:
            what = tuple(problem.what for problem in told.problems)
            self._add(_name(run.pipeline), run.id, "unreadable", what)
        elif row is None or row["vanished_at"] is not None:
            is_new = cursor and self._covered_to and cursor.at > self._covered_to
            self._add(_name(run.pipeline), run.id, "new" if is_new else "missing", told=told)
        elif (row["settled"] or run.key in self._aside) and (
            fields := self._differing(told, row, steps)
        ):
            kind = "new" if _changed_since(told.run, row) else "different"
            self._add(_name(run.pipeline), run.id, kind, fields, told=told)

    def _differing(
        self, told: RunWithSteps, row: Mapping[str, Any], steps: StoredSteps
    ) -> tuple[str, ...]:
        """The names of what differs between what the provider tells and what is stored."""
        if self._quick:
            return tuple(_differing(told.run, row, _LISTED, ()))
        names = [*_differing(told.run, row, RUN_FACTS, (*RUN_STATE, "extra"))]
        if row["settled"] and not self._source.settles(told):
            names.append("settled")
        if row["settled"] and row["steps_synced_at"] is None:
            names.append("steps_synced_at")
        known = {step.id: step for step in told.steps}
        if known and not steps:
            return (*names, f"all {len(known)} steps are missing")
        names += [f"step {i} is missing" for i in known if i not in steps]
        names += [f"step {i} is extra" for i in steps if i not in known]
        for step_id in known.keys() & steps.keys():
            state = (*STEP_STATE, "extra")
            differing = _differing(known[step_id], steps[step_id], STEP_FACTS, state)
            names += [f"step {step_id}: {name}" for name in differing]
        return tuple(sorted(names))

    # The runs that are stored and were not listed.

    def _check_unlisted(self) -> None:
        """Reads them by their ids: one that is there was left out of the listing."""
        for pipeline, run_id in self._store.present(self._since):
            if hash((pipeline.external_id, run_id)) in self._listed:
                continue
            try:
                told = self._source.reread(pipeline, run_id)
            except NotFoundError as error:
                if self._repair:
                    self._store.mark_vanished(pipeline, run_id, error.as_of or datetime.now(UTC))
                self._add(_name(pipeline), run_id, "extra", repaired=self._repair)
                continue
            except NOTHING_MORE_TO_ASK:
                raise
            except SourceError as error:
                self._add(_name(pipeline), run_id, "unreadable", (str(error),))
                continue
            self._verdict.checked += 1
            if told.run.pipeline.external_id != pipeline.external_id:
                of = told.run.pipeline.external_id
                self._add(_name(pipeline), run_id, "extra", (f"it is a run of pipeline {of}",))
            else:
                self._judge(told.run, None, told, *self._stored(told.run))

    def _stored(self, run: Run) -> tuple[Mapping[str, Any] | None, StoredSteps]:
        row = self._store.stored([run]).get(run.key)
        return row, self._store.stored_steps([run]).get(run.key, {})

    def _check_pipelines(self) -> None:
        for pipeline, fields in self._pipelines.differing():
            if self._repair:
                self._pipelines.mend(pipeline)
            self._add(_name(pipeline), "", "different", fields, repaired=self._repair)

    def _add(
        self,
        pipeline: str,
        run_id: str,
        kind: str,
        fields: tuple[str, ...] = (),
        *,
        told: RunWithSteps | None = None,
        repaired: bool = False,
    ) -> None:
        """Notes a difference, and mends it where that is wanted and can be done."""
        if len(fields) > _MOST_FIELDS:
            fields = (*fields[:_MOST_FIELDS], f"and {len(fields) - _MOST_FIELDS} more")
        found = Difference(self._listing.key, pipeline, run_id, kind, fields, repaired)
        if self._repair and told and kind in ("missing", "different"):
            found = self._mended(found, told)
        self._verdict.differences.append(found)

    def _mended(self, found: Difference, told: RunWithSteps) -> Difference:
        if self._quick:
            try:
                told = self._source.complete(told.run)
            except SourceError:
                return found
        if told.problems or not told.steps_read:
            return replace(found, fields=(*found.fields, *(one.what for one in told.problems)))
        if _is_another_run(found.fields):
            why = "another run has this id: the provider's database began anew, or the row is wrong"
            return replace(found, fields=(*found.fields, why))
        self._store.overwrite(RunToWrite(told, self._source.settles(told)))
        # Steps that the provider has forgotten stay, and go on differing.
        forgotten = not told.steps and any("is extra" in name for name in found.fields)
        return replace(found, repaired=not forgotten)


def _told(item: Listed, future: "Future[RunWithSteps] | None") -> RunWithSteps | SourceError:
    """What the provider tells of a run, or why it cannot be read."""
    if future is None:
        return RunWithSteps(item.run, (), item.run.created_at)
    try:
        return future.result()
    except NOTHING_MORE_TO_ASK:
        raise
    except SourceError as error:
        return error


def _differing(
    told: Run | Step, row: Mapping[str, Any], facts: Collection[str], state: Collection[str]
) -> Iterator[str]:
    """The columns that differ. A fact that the provider does not tell (None) is not compared,
    since what an earlier answer told of it is kept."""
    for name in facts:
        value = getattr(told, name)
        if value is not None and value != row[name]:
            yield name
    for name in state:
        if name == "extra":
            stored = row["extra"] or {}
            version = getattr(told, "version", None)
            extra = dict(told.extra) | ({VERSION_KEY: version} if version else {})
            if any(key not in stored or stored[key] != value for key, value in extra.items()):
                yield name
        elif name != "settled" and getattr(told, name) != row[name]:
            yield name


def _changed_since(run: Run, row: Mapping[str, Any]) -> bool:
    """Whether the provider says that it changed the run after it was last read."""
    if run.version is None:
        return False
    try:
        return bool(parse_time(run.version) > row["last_seen_at"])
    except ValueError:
        return False


def _is_another_run(fields: Iterable[str]) -> bool:
    """Whether not only the creation time differs, but the times of its life too."""
    return "created_at" in fields and bool(_LIFE & set(fields))


def _name(pipeline: Pipeline) -> str:
    return pipeline.name or pipeline.external_id

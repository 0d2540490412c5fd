"""Holds what is stored against the provider's own listing, run by run, and mends it on request."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from runsync.errors import NotFoundError, RunsyncError, SourceError, TokenRefusedError
from runsync.http.client import RequestCounter
from runsync.records import Pipeline, Run
from runsync.sources.base import Listed, Page
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore, RunToWrite
from runsync.sync.outcome import Task

# What a listing tells of a run. What it leaves out (None) is not compared.
_COMPARED = (
    "attempt branch commit_hash message author author_id status result raw_status raw_result "
    "created_at started_at finished_at url"
).split()
_REPAIRED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One run that is not stored as the provider lists it.

    ``kind`` is missing (listed, not stored), extra (stored, no longer listed) or different;
    ``fields`` names what differs. ``repaired`` tells whether that was mended.
    """

    listing: str
    pipeline: str
    id: str
    kind: str
    fields: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(slots=True)
class Verdict:
    """What the comparison of one listing found."""

    listing: str
    label: str
    checked: int = 0
    requests: int = 0
    differences: list[Difference] = field(default_factory=list)
    cause: RunsyncError | None = None

    def count(self, kind: str) -> int:
        return sum(one.kind == kind for one in self.differences)

    @property
    def well(self) -> bool:
        """Whether the listing was read whole, and nothing differs that was not mended."""
        return self.cause is None and all(one.repaired for one in self.differences)


def verify(
    database: Database,
    tasks: Sequence[Task],
    *,
    since: datetime | None = None,
    repair: bool = False,
) -> list[Verdict]:
    """Walks each listing again and compares; a listing that cannot be read stops no other.

    A run that had not settled is not compared: the next sync reads it anyway.

    Args:
        since: how far back to look.
        repair: fetch what is missing or different, and mark what is gone as vanished.

    Raises:
        DatabaseError: the database cannot be read, or on repair written.
    """
    return [_Check(database, task, since).run(repair=repair) for task in tasks]


class _Check:
    """The comparison of one listing. It holds the ids of its runs, and no more of them."""

    def __init__(self, database: Database, task: Task, since: datetime | None) -> None:
        self._source, self._listing, self._since = task.source, task.listing, since
        self._store = ListingStore(database, task.source.name, task.listing.key, task.listing.label)
        self._listed: set[tuple[str, str]] = set()
        self._tally = RequestCounter()

    def run(self, *, repair: bool) -> Verdict:
        label = self._listing.label or self._listing.key
        verdict = Verdict(self._listing.key, label)
        try:
            with self._source.client.counting(self._tally):
                self._compare(verdict, repair=repair)
        except (SourceError, TokenRefusedError) as error:
            verdict.cause = error
        verdict.requests = self._tally.requests
        return verdict

    def _compare(self, verdict: Verdict, *, repair: bool) -> None:
        for page in self._source.pages(self._listing, None, {}):
            runs = self._runs(page)
            stubs = {_key(i.run) for i in page.items if isinstance(i, Listed) and i.stub}
            verdict.checked += len(runs)
            found = list(self._page_differences(runs, stubs))
            if repair:
                found = self._fetch(found)
            verdict.differences += [difference for difference, _ in found]
            if self._is_enough(page):
                break
        verdict.differences += self._extra(repair=repair)

    def _runs(self, page: Page) -> list[Run]:
        """The page's runs that are wanted and were not on a page before."""
        runs = [
            item.run
            for item in page.items
            if isinstance(item, Listed) and _key(item.run) not in self._listed
        ]
        self._listed.update(_key(run) for run in runs)
        return [run for run in runs if self._since is None or run.created_at >= self._since]

    def _is_enough(self, page: Page) -> bool:
        cursors = [item.cursor for item in page.items if isinstance(item, Listed)]
        return self._since is not None and bool(cursors) and min(cursors).at < self._since

    def _page_differences(
        self, runs: Sequence[Run], stubs: Collection[tuple[str, str]]
    ) -> Iterator[tuple[Difference, Run]]:
        stored = self._store.stored(runs)
        for run in runs:
            row = stored.get(_key(run))
            if row is None or row["vanished_at"] is not None:
                yield self._difference(run, "missing"), run
            elif row["settled"] and _key(run) not in stubs and (fields := _differing(run, row)):
                yield self._difference(run, "different", fields), run

    def _difference(self, run: Run, kind: str, fields: tuple[str, ...] = ()) -> Difference:
        pipeline = run.pipeline.name or run.pipeline.external_id
        return Difference(self._listing.key, pipeline, run.id, kind, fields)

    def _fetch(self, found: list[tuple[Difference, Run]]) -> list[tuple[Difference, Run]]:
        """Fetches runs anew; a run that cannot be had stays unrepaired."""
        fetched: list[RunToWrite] = []
        mended: list[tuple[Difference, Run]] = []
        for difference, run in found:
            try:
                details = self._source.complete(run)
            except SourceError:
                mended.append((difference, run))
                continue
            fetched.append(RunToWrite(details, self._source.settles(details)))
            mended.append((_repaired(difference), run))
        if fetched:
            self._store.save(Batch(fetched))
        return mended

    def _extra(self, *, repair: bool) -> Iterator[Difference]:
        """Stored runs that were not listed; those that arrived or left meanwhile are asked for."""
        for pipeline, run_id in self._store.present(self._since):
            if (pipeline.external_id, run_id) in self._listed:
                continue
            if self._is_gone(pipeline, run_id):
                difference = Difference(
                    self._listing.key, pipeline.name or pipeline.external_id, run_id, "extra"
                )
                if repair:
                    now = datetime.now(UTC)
                    self._store.save(Batch(vanished=[(pipeline, run_id, now)]))
                    difference = _repaired(difference)
                yield difference

    def _is_gone(self, pipeline: Pipeline, run_id: str) -> bool:
        try:
            self._source.reread(pipeline, run_id)
        except NotFoundError:
            return True
        return False


def _repaired(difference: Difference) -> Difference:
    return replace(difference, repaired=True)


def _differing(run: Run, row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        name for name in _COMPARED if (told := getattr(run, name)) is not None and told != row[name]
    )


def _key(run: Run) -> tuple[str, str]:
    return run.pipeline.external_id, run.id


def totals(verdicts: Iterable[Verdict]) -> int:
    """How many differences were found and not mended."""
    return sum(not one.repaired for verdict in verdicts for one in verdict.differences)

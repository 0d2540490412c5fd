"""Two and four syncs of one listing at once, with and without its lock: the rows come out right."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import pytest

from runsync.sources.base import Listing, Page
from runsync.sources.wercker.source import Wercker
from runsync.storage.database import Database
from runsync.storage.store import ListingStore
from runsync.sync.listing import ListingSync
from runsync.sync.outcome import Options, SyncOutcome
from tests.sync.rig import MakeRig, Rig


class WithoutLock(Database):
    """Its locks hold nobody off, as where a file system ignores them."""

    def lock(self, listing: str, *, wait: bool = False) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture
def readers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def sync_at_once(
    rig: Rig, count: int, kind: type[Database], readers: ThreadPoolExecutor
) -> list[SyncOutcome]:
    """So many syncs of the first listing, each with a database and a source of its own."""
    url = rig.database.engine.url.render_as_string(hide_password=False)
    databases = [kind(url) for _ in range(count)]
    begin = threading.Barrier(count)

    def one(database: Database) -> SyncOutcome:
        task = rig.tasks()[0]
        store = ListingStore(database, task.source.name, task.listing.key, task.listing.label)
        begin.wait()
        return ListingSync(store, task, readers, Options(), None).run()

    with ThreadPoolExecutor(count) as pool:
        outcomes = list(pool.map(one, databases))
    for database in databases:
        database.close()
    return outcomes


@pytest.mark.parametrize("kind", [Database, WithoutLock])
@pytest.mark.parametrize("count", [2, 4])
def test_the_rows_come_out_right(
    make_rig: MakeRig,
    database: Database,
    readers: ThreadPoolExecutor,
    count: int,
    kind: type[Database],
) -> None:
    rig = make_rig(database=database, runs=[70], pipelines=1, arrivals_per_hour=30.0)
    for _ in range(3):
        outcomes = sync_at_once(rig, count, kind, readers)
        ended = {one.outcome for one in outcomes}
        assert ended == {"ok"} if kind is WithoutLock else {"ok"} <= ended <= {"ok", "locked"}
        rig.world.clock.advance(timedelta(minutes=40))
    rig.sync()
    rig.assert_exact()


def test_all_listings_are_walked_at_once(make_rig: MakeRig) -> None:
    rig = make_rig(runs=[3, 3], pipelines=2)
    begun, both, met = set[str](), threading.Event(), list[bool]()

    class Meeting(Wercker):
        def pages(self, listing: Listing, *args: Any) -> Iterator[Page]:
            begun.add(listing.key)
            if len(begun) == 2:
                both.set()
            met.append(both.wait(5))
            yield from super().pages(listing, *args)

    rig.sync(rig.source(Meeting))
    assert met == [True, True]

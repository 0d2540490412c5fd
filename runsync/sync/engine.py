"""The engine: brings listings into the database, complete and exact, from any provider.

Each listing is synced in a thread of its own (``listing``), so that they wait for their providers
at the same time; the requests for runs go to one pool for each source.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack

from runsync.storage.database import Database
from runsync.storage.store import ListingStore
from runsync.sync.listing import ListingSync
from runsync.sync.outcome import Options, Progress, SyncOutcome, Task, Watch

_STOP_SECONDS = 0.7
"""How long after an interruption syncs may take to note it; a command ends soon after that."""


def sync(
    database: Database,
    tasks: Sequence[Task],
    options: Options | None = None,
    watch: Watch | None = None,
) -> list[SyncOutcome]:
    """Syncs each listing; one that fails stops no other.

    Args:
        watch: told of progress, from the threads that make it.

    Raises:
        KeyboardInterrupt: what was committed until then stays.
    """
    options = options or Options()
    with ExitStack() as stack:

        def pool(size: int, name: str) -> ThreadPoolExecutor:
            made = ThreadPoolExecutor(max_workers=size, thread_name_prefix=f"runsync-{name}")
            # At the end nothing is under way, and after an interruption nobody waits for it.
            stack.callback(made.shutdown, wait=False, cancel_futures=True)
            return made

        readers = {
            # One request less than may be in flight: a listing's next page never waits for steps.
            id(source): pool(max(options.concurrency - 1, 1), f"read-{source.name}")
            for source in {id(t.source): t.source for t in tasks}.values()
        }
        walkers = pool(min(len(tasks), 4 * options.concurrency) or 1, "walk")
        futures: list[Future[SyncOutcome]] = []
        try:
            for task in tasks:
                key, label = task.listing.key, task.listing.label
                store = ListingStore(database, task.source.name, key, label)
                one = ListingSync(store, task, readers[id(task.source)], options, watch)
                futures.append(walkers.submit(one.run))
            wait(futures)
        except BaseException:
            for task in tasks:
                task.source.client.cancel()
            for future in futures:
                future.cancel()
            wait(futures, timeout=_STOP_SECONDS)
            raise
        return [future.result() for future in futures]


__all__ = ["Options", "Progress", "SyncOutcome", "Task", "Watch", "sync"]

"""The engine: brings listings into the database, complete and exact, whatever the provider.

Each listing is synced in a thread of its own (``listing_sync``), so that they wait for their
providers side by side; the requests for runs' steps go to one pool for each source.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack

from runsync.storage.database import Database
from runsync.sync.listing import ListingSync, Options, Outcome, Progress, Task, Watch

_STOP_SECONDS = 0.7


def sync(
    database: Database,
    tasks: Sequence[Task],
    options: Options | None = None,
    watch: Watch | None = None,
) -> list[Outcome]:
    """Syncs each listing; one that fails stops no other.

    Args:
        watch: told of progress, from the threads that make it.

    Raises:
        DatabaseError: the database cannot be written to.
        KeyboardInterrupt: what was committed until then stays.
    """
    options = options or Options()
    stop = threading.Event()
    with ExitStack() as stack:
        pools = {
            # One request less than may be in flight: a listing's next page never waits for steps.
            id(source): _pool(stack, max(options.concurrency - 1, 1), f"ask-{source.name}")
            for source in {id(t.source): t.source for t in tasks}.values()
        }
        walkers = _pool(stack, min(len(tasks), 4 * options.concurrency) or 1, "walk")
        syncs = [
            ListingSync(database, task, pools[id(task.source)], options, watch, stop)
            for task in tasks
        ]
        futures = [walkers.submit(one.run) for one in syncs]
        try:
            wait(futures)
        except BaseException:
            _stop(tasks, stop, futures)
            raise
        return [future.result() for future in futures]


def _pool(stack: ExitStack, size: int, name: str) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix=f"runsync-{name}")
    # At the end nothing is under way, and after an interruption nobody waits for what is.
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    return pool


def _stop(tasks: Iterable[Task], stop: threading.Event, futures: Sequence[Future[Outcome]]) -> None:
    stop.set()
    for task in tasks:
        task.source.client.cancel()
    for future in futures:
        future.cancel()
    wait(futures, timeout=_STOP_SECONDS)


__all__ = ["Options", "Outcome", "Progress", "Task", "Watch", "sync"]

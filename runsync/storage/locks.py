"""One lock per listing, held by the process that syncs it and released when that ends or dies.

Beside a SQLite database it is a locked file. In PostgreSQL it is an advisory lock, so that many
machines can share one database.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from runsync.errors import DatabaseError, LockedError

POLL_SECONDS = 0.5
_ENDING_SECONDS = 1.0
"""How long a server may take to end a connection that broke, and to drop its locks."""
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK = text("SELECT pg_advisory_unlock(:key)")
_BACKEND = text("SELECT pg_backend_pid()")


@contextmanager
def file_lock(database: Path | None, listing: str, *, wait: bool) -> Iterator[None]:
    """Holds the lock of a listing in a SQLite file; one in memory needs none.

    Raises:
        LockedError: another sync holds it, and ``wait`` is off.
        DatabaseError: the folder of the locks cannot be made or written to.
    """
    from filelock import FileLock, Timeout

    if database is None:
        yield
        return
    file = database.resolve()  # a symbolic link has the lock of what it points to
    folder = file.with_name(file.name + ".locks")
    name = hashlib.sha256(listing.encode()).hexdigest()[:16]
    lock = FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0, thread_local=False)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock.acquire(poll_interval=POLL_SECONDS)
    except Timeout:
        raise taken(listing) from None
    except OSError as error:
        raise DatabaseError(f"cannot use the lock folder {folder}: {error}") from error
    try:
        yield
    finally:
        lock.release()


class AdvisoryLocks:
    """The advisory locks of this process, all held by one connection, however many there are.

    A server has few connections, and many machines may share it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._held: dict[str, bool] = {}
        """The listings that this process locked, and whether the lock is still its own."""
        self._mutex = threading.Lock()

    def take(self, listing: str) -> bool:
        """Takes the lock of a listing; returns whether nobody else holds it.

        Raises:
            DatabaseError: the server is behind a pooler that cannot keep locks.
            DBAPIError: the connection broke; the lock is not held.
        """
        with self._mutex:
            if listing in self._held:
                return False
            if self._ask(_TRY_LOCK, listing):
                self._held[listing] = True
            self._close_if_idle()
            return listing in self._held

    def release(self, listing: str) -> None:
        """Gives the lock of a listing back."""
        with self._mutex:
            try:
                if self._held.pop(listing) and self._connection:
                    self._ask(_UNLOCK, listing)
            except DBAPIError:
                pass  # the connection broke, and the server has released its locks
            self._close_if_idle()

    def confirm(self, listing: str) -> None:
        """Makes sure that a lock that this process took is still its own.

        The server drops the locks of a connection that breaks, in a moment. They are taken again
        then, where nobody else has taken them meanwhile.

        Raises:
            LockedError: another sync has taken it.
            DBAPIError: the connection broke; ask again.
        """
        with self._mutex:
            if listing not in self._held:
                return
            self._ask(_BACKEND)
            if not self._held[listing]:
                raise LockedError(
                    f"the connection that held the lock of {listing} broke, and another sync has "
                    "taken the lock; what was written stays, and that sync goes on from there"
                )

    def _ask(self, question: object, listing: str = "") -> int:
        """Asks over the connection of the locks, which is made where there is none."""
        try:
            if self._connection is None:
                self._connect()
            return self._answer(question, listing)
        except BaseException:
            self._disconnect()
            raise

    def _answer(self, question: object, listing: str = "") -> int:
        assert self._connection is not None  # noqa: S101 - for the type checker
        digest = hashlib.sha256(listing.encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        return int(self._connection.execute(question, {"key": key}).scalar_one())  # type: ignore[call-overload]

    def _disconnect(self) -> None:
        """With the connection, whatever state it is in, go its locks."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _connect(self) -> None:
        connection = self._engine.connect()
        self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        if self._is_pooled_by_transaction():
            raise DatabaseError(
                "database_url leads to a pooler in transaction mode (such as PgBouncer), which "
                "cannot keep the locks of a sync; name the PostgreSQL server itself, or a pool in "
                "session mode"
            )
        self._take_all_again()

    def _take_all_again(self) -> None:
        """Another connection holds none of the locks of the one before it."""
        deadline = time.monotonic() + _ENDING_SECONDS
        for listing, was_own in self._held.items():
            self._held[listing] = was_own and self._take_by(deadline, listing)

    def _take_by(self, deadline: float, listing: str) -> bool:
        while not self._answer(_TRY_LOCK, listing):
            if time.monotonic() > deadline:
                return False
            time.sleep(_ENDING_SECONDS / 20)
        return True

    def _is_pooled_by_transaction(self) -> bool:
        """Whether this idle connection gets now one server process and now another, or an open
        transaction gets its own. A server itself gives each connection its own."""
        own = {self._answer(_BACKEND), self._answer(_BACKEND)}
        with self._engine.begin() as other:
            # Where a pooler has one process and no more, a third question would wait for ever.
            foreign = other.execute(_BACKEND).scalar_one()
            return len(own) > 1 or foreign in own or self._answer(_BACKEND) not in own

    def _close_if_idle(self) -> None:
        if self._connection is not None and not self._held:
            self._connection.close()
            self._connection = None


def taken(listing: str) -> LockedError:
    return LockedError(f"another sync holds the lock of {listing}; wait for it, or pass --wait")

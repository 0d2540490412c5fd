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

_POLL_SECONDS = 0.5
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
        lock.acquire(poll_interval=_POLL_SECONDS)
    except Timeout:
        raise _taken(listing) from None
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
        self._backend = 0
        self._held: dict[str, bool] = {}
        """The listings that this process locked, and whether the lock is still its own."""
        self._mutex = threading.Lock()

    @contextmanager
    def hold(self, listing: str, *, wait: bool) -> Iterator[None]:
        """Holds the lock of a listing.

        Raises:
            LockedError: another sync holds it, and ``wait`` is off.
            DatabaseError: the server is behind a pooler that cannot keep locks.
        """
        while not self._take(listing):
            if not wait:
                raise _taken(listing)
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self._release(listing)

    def confirm(self, listing: str) -> None:
        """Makes sure that a lock that this process took is still its own.

        The server drops the locks of a connection that breaks. They are taken again at once, where
        nobody else has taken them meanwhile.

        Raises:
            LockedError: another sync has taken it.
        """
        with self._mutex:
            if listing not in self._held:
                return
            if (backend := self._ask_again(_BACKEND)) != self._backend:
                self._backend = backend
                self._take_all_again()
            if not self._held[listing]:
                raise LockedError(
                    f"the connection that held the lock of {listing} broke, and another sync has "
                    "taken the lock; what was written stays, and that sync goes on from there"
                )

    def _take(self, listing: str) -> bool:
        with self._mutex:
            if listing in self._held:
                return False
            if self._ask_again(_TRY_LOCK, listing):
                self._held[listing] = True
            self._close_if_idle()
            return listing in self._held

    def _release(self, listing: str) -> None:
        with self._mutex:
            try:
                if self._held.pop(listing) and self._connection:
                    self._ask(_UNLOCK, listing)
            except DBAPIError:
                pass  # the connection broke, and the server has released its locks
            self._close_if_idle()

    def _ask_again(self, question: object, listing: str = "") -> int:
        """Asks, and where the connection proves broken once more, over a new one."""
        was_connected = self._connection is not None
        try:
            return self._ask(question, listing)
        except DBAPIError:
            if not was_connected:
                raise
            return self._ask(question, listing)

    def _ask(self, question: object, listing: str = "") -> int:
        """Asks over the connection of the locks, which is made where there is none."""
        if self._connection is None:
            self._connect()
        assert self._connection is not None  # noqa: S101 - for the type checker
        digest = hashlib.sha256(listing.encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        try:
            return int(self._connection.execute(question, {"key": key}).scalar_one())  # type: ignore[call-overload]
        except BaseException:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
            raise

    def _connect(self) -> None:
        connection = self._engine.connect()
        self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        self._backend = self._ask(_BACKEND)
        if self._is_pooled_by_transaction():
            self._connection.close()
            self._connection = None
            raise DatabaseError(
                "database_url leads to a pooler in transaction mode (such as PgBouncer), which "
                "cannot keep the locks of a sync; name the PostgreSQL server itself, or a pool in "
                "session mode"
            )
        self._take_all_again()

    def _take_all_again(self) -> None:
        """Another connection holds none of the locks of the one before it."""
        for listing, was_own in self._held.items():
            self._held[listing] = was_own and bool(self._ask(_TRY_LOCK, listing))

    def _is_pooled_by_transaction(self) -> bool:
        """Whether an open transaction gets the server process of this idle connection, or this
        connection another process meanwhile. A server itself gives each connection its own."""
        with self._engine.begin() as other:
            return (
                other.execute(_BACKEND).scalar_one() == self._backend
                or self._ask(_BACKEND) != self._backend
            )

    def _close_if_idle(self) -> None:
        if self._connection is not None and not self._held:
            self._connection.close()
            self._connection = None


def _taken(listing: str) -> LockedError:
    return LockedError(f"another sync holds the lock of {listing}; wait for it, or pass --wait")

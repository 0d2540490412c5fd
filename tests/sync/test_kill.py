"""A sync that is killed by SIGKILL anywhere, then run again, gives the rows of an undisturbed one.

The child process counts every answer, statement and commit, and kills itself at the k-th.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from runsync.storage.database import Database
from tests.sync.rig import MakeRig, Rig

IN_FLIGHT = 4
SECOND = timedelta(seconds=1)
READ_AT = frozenset("steps_synced_at first_seen_at last_seen_at".split())


class Failpoint(logging.Handler):
    """Counts what happens, and kills the process at the ``k``-th event; ``k`` 0 only counts."""

    def __init__(self, k: int) -> None:
        super().__init__(logging.DEBUG)
        self.k, self.events = k, 0

    def emit(self, record: logging.LogRecord) -> None:
        self.hit()

    def hit(self, *_: Any) -> None:
        self.events += 1
        if self.events == self.k:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, database: Database) -> None:
        for name in ("before_cursor_execute", "after_cursor_execute", "begin", "commit"):
            event.listen(database.engine, name, self.hit)
        logger = logging.getLogger("runsync.http")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)


def synced_in_a_child(rig: Rig, k: int) -> int:
    """Syncs in a process that is killed at the ``k``-th event.

    Returns:
        0 where it was killed, else how many events there were.
    """
    reader, writer = os.pipe()
    url = rig.database.engine.url
    rig.database.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the simulator's threads stay here
        child = os.fork()
    if child == 0:
        failpoint = Failpoint(k)
        rig.database = Database(url.render_as_string(hide_password=False))
        failpoint.watch(rig.database)
        rig.sync()
        os.write(writer, str(failpoint.events).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or said, "the child ended otherwise"
    return int(said or b"0")


def canonical(database: Database) -> dict[str, list[dict[str, Any]]]:
    """What is stored, without when it was read."""
    orders = {"runs": "id", "steps": "run_id, id", "coverage": "listing, newest_created_at"}
    found = {}
    with database.read() as connection:
        for table, order in orders.items():
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()
            found[table] = [{k: v for k, v in row.items() if k not in READ_AT} for row in rows]
    return found


def prepared(make_rig: MakeRig, database: Database) -> Rig:
    rig = make_rig(database=database, runs=[45], pipelines=1)
    rig.world.clock.advance(timedelta(days=60))
    return rig


def emptied(database: Database) -> None:
    with database.write() as connection:
        for table in ("steps", "runs", "coverage", "listings", "syncs"):
            connection.execute(text(f"DELETE FROM {table}"))


def check(rig: Rig, ks: Callable[[int], list[int]]) -> None:
    events = synced_in_a_child(rig, 0)
    assert events > 100
    undisturbed = canonical(rig.database)
    requests = rig.simulator.request_count
    for k in ks(events):
        emptied(rig.database)
        rig.simulator.reset_log()
        killed = synced_in_a_child(rig, k)
        # A server lets go of the lock of one that was killed when it notices that.
        assert [one.outcome for one in rig.sync(wait=True)] == ["ok"], f"killed at event {k}"
        assert canonical(rig.database) == undisturbed, f"killed at event {k}"
        if not killed:
            # It resumes: what was in flight, the pages of uncommitted runs, and the first page.
            lost = rig.simulator.request_count - requests
            assert lost <= 5 * 20 + IN_FLIGHT + 3, f"killed at event {k}"


def test_killed_at_a_few_places(make_rig: MakeRig, database: Database) -> None:
    check(prepared(make_rig, database), lambda events: [1, 9, events // 3, events - 9, events - 1])


@pytest.mark.proof
def test_killed_anywhere(make_rig: MakeRig, database: Database) -> None:
    check(prepared(make_rig, database), lambda events: list(range(1, events)))

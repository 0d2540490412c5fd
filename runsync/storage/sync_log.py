"""How each sync of a listing went: the table ``syncs``.

It keeps every sync of 30 days, and before that the last of each day and outcome.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from runsync.storage.database import Database
from runsync.storage.tables import syncs
from runsync.text import visible

_LONGEST_ERROR = 10_000
_KEPT = timedelta(days=30)
_AT_ONCE = 500


@dataclass(slots=True)
class Counts:
    """What a sync has written."""

    runs_new: int = 0
    runs_updated: int = 0
    steps_written: int = 0

    def add(self, other: "Counts") -> None:
        self.runs_new += other.runs_new
        self.runs_updated += other.runs_updated
        self.steps_written += other.steps_written


@dataclass(slots=True)
class SyncLog:
    """The syncs of one listing of one source."""

    database: Database
    source: str
    listing: str

    def begin(self, now: datetime | None = None) -> int:
        """Notes that a sync begins; its number. The caller holds the listing's lock, so a
        sync that still counts as running was killed."""
        now = now or datetime.now(UTC)
        killed = (
            update(syncs)
            .where(syncs.c.listing == self.listing, syncs.c.outcome == "running")
            .values(outcome="interrupted", finished_at=now, error="it was stopped from outside")
        )
        row = {"listing": self.listing, "started_at": now, "outcome": "running"}
        none_yet = dict.fromkeys(("requests", "runs_new", "runs_updated", "steps_written"), 0)
        begun = insert(syncs).values(row | none_yet).returning(syncs.c.id)

        def write(connection: Connection) -> int:
            connection.execute(killed)
            self._prune(connection, now)
            return int(connection.execute(begun).scalar_one())

        return self.database.transact(write)

    def end(
        self, number: int, outcome: str, counts: Counts, requests: int, error: str | None
    ) -> None:
        """Notes how a sync ended."""
        values = {
            "finished_at": datetime.now(UTC),
            "outcome": outcome,
            "requests": requests,
            "runs_new": counts.runs_new,
            "runs_updated": counts.runs_updated,
            "steps_written": counts.steps_written,
            "error": visible(error, _LONGEST_ERROR) if error else None,
        }
        ended = update(syncs).where(syncs.c.id == number).values(values)
        self.database.transact(lambda connection: connection.execute(ended))

    def _prune(self, connection: Connection, now: datetime) -> None:
        """Deletes what is no longer kept of the days that have become older than 30 days since
        the last sync began; most syncs find none. Each day is looked at once."""
        of_listing = syncs.c.listing == self.listing
        last = select(func.max(syncs.c.started_at)).where(of_listing)
        begun = connection.execute(last).scalar()
        if begun is None or begun.date() == now.date():
            return
        aged = select(syncs.c.id, syncs.c.started_at, syncs.c.outcome).where(
            of_listing,
            syncs.c.started_at >= _midnight(begun) - _KEPT,
            syncs.c.started_at < _midnight(now) - _KEPT,
        )
        kept: set[tuple[object, str]] = set()
        surplus: list[int] = []
        for number, at, outcome in connection.execute(aged.order_by(syncs.c.started_at.desc())):
            if (at.date(), outcome) in kept:
                surplus.append(number)
            kept.add((at.date(), outcome))
        for first in range(0, len(surplus), _AT_ONCE):
            part = surplus[first : first + _AT_ONCE]
            connection.execute(delete(syncs).where(syncs.c.id.in_(part)))


@dataclass(frozen=True, slots=True)
class LastSync:
    """How a listing's last ended sync went, and when its last good one began."""

    outcome: str
    error: str | None
    good_at: datetime | None


def last_syncs(connection: Connection, listings: Iterable[str]) -> dict[str, LastSync]:
    """The last syncs of listings, where any has ended. Reads a few rows of each, by an index."""
    found = {}
    for listing in listings:
        ended = select(syncs.c.outcome, syncs.c.error).where(
            syncs.c.listing == listing, syncs.c.finished_at.is_not(None)
        )
        latest = ended.order_by(syncs.c.started_at.desc(), syncs.c.id.desc()).limit(1)
        good = select(func.max(syncs.c.started_at)).where(
            syncs.c.listing == listing, syncs.c.outcome == "ok"
        )
        for outcome, error in connection.execute(latest):
            found[listing] = LastSync(outcome, error, connection.execute(good).scalar())
    return found


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)

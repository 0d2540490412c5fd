"""How each sync of a listing went: the table ``syncs``."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, update

from runsync.storage.database import Database
from runsync.storage.tables import syncs
from runsync.text import visible

_LONGEST_ERROR = 10_000


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

    def begin(self) -> int:
        """Notes that a sync begins; its number. The caller holds the listing's lock, so whatever
        sync still counts as running was killed."""
        now = datetime.now(UTC)
        s = syncs.c
        killed = (
            update(syncs)
            .where(s.listing == self.listing, s.outcome == "running")
            .values(outcome="interrupted", finished_at=now, error="it was stopped from outside")
        )
        row = {"listing": self.listing, "started_at": now, "outcome": "running"}
        none_yet = dict.fromkeys(("requests", "runs_new", "runs_updated", "steps_written"), 0)
        number = 0
        for attempt in self.database.attempts():
            with attempt as connection:
                connection.execute(killed)
                begun = insert(syncs).values(row | none_yet).returning(s.id)
                number = connection.execute(begun).scalar_one()
        return number

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
        for attempt in self.database.attempts():
            with attempt as connection:
                this = syncs.c.id == number
                connection.execute(update(syncs).where(this).values(values))

"""What a sync is told to do, and what it says of how it went."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from runsync.errors import RunsyncError
from runsync.sources.base import Listing, Source
from runsync.storage.store import Counts


@dataclass(frozen=True, slots=True)
class Task:
    """One listing to be synced or verified; ``name`` is what people call it."""

    source: Source
    listing: Listing
    name: str | None = None

    @property
    def title(self) -> str:
        """What to call the listing in a text."""
        return self.name or self.listing.label or self.listing.key


@dataclass(frozen=True, slots=True)
class Options:
    """How to sync. ``full`` walks all history again, ``wait`` waits for another sync's lock."""

    concurrency: int = 8
    since: datetime | None = None
    full: bool = False
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sync of one listing has come.

    ``runs`` were looked at; ``depth`` is how deep into the wanted history, from 0 to 1 (None
    where that cannot be known); ``reached`` is when the oldest of the last page was created (UTC).
    """

    listing: str
    runs: int
    depth: float | None
    reached: datetime | None = None


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """How the sync of one listing ended.

    ``outcome`` is ok, partial, failed, interrupted or locked; ``problems`` name what was set
    aside; ``cause`` is why it failed.
    """

    listing: str
    label: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    requests: int = 0
    counts: Counts = field(default_factory=Counts)
    problems: tuple[str, ...] = ()
    cause: RunsyncError | None = None

    @property
    def error(self) -> str | None:
        """What went wrong, in a line or a few."""
        return "; ".join([*([str(self.cause)] if self.cause else []), *self.problems]) or None

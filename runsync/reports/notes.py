"""What a reader of a report must know: how much of the window the database is known to hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runsync.reports.frames import Interval
from runsync.reports.partial import START, Coverage
from runsync.reports.pipelines import Pipeline
from runsync.reports.window import Window


@dataclass(frozen=True, slots=True)
class Held:
    """What is known to be complete of a pipeline's history within a window.

    Attributes:
        since: from when on; None: from the pipeline's first run, or the window's begin.
        until: the last sync that saw everything; None: there was none.
        gaps: stretches in between that were never walked.
    """

    pipeline: Pipeline
    since: datetime | None
    until: datetime | None
    gaps: tuple[tuple[datetime, datetime], ...] = ()

    def notes(self) -> list[str]:
        """What is lacking, in sentences; nothing where nothing is."""
        name = self.pipeline.label
        if self.until is None:
            return [f"{name}: no sync has covered any of this window"]
        found = [f"{name}: not synced from {minute(a)} to {minute(b)}" for a, b in self.gaps]
        if self.since is not None:
            found.insert(0, f"{name}: not synced before {minute(self.since)}")
        return found


def held(
    window: Window, pipelines: Sequence[Pipeline], intervals: Iterable[Interval]
) -> list[Held]:
    """What the database is known to hold of each pipeline in the window."""
    covered, begin = Coverage(intervals), window.since or START
    return [_held(p, covered.within(p.id, begin, window.end), begin) for p in pipelines]


def minute(when: datetime) -> str:
    """``2024-01-31 10:05 UTC``."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _held(pipeline: Pipeline, spans: list[tuple[datetime, datetime]], begin: datetime) -> Held:
    if not spans:
        return Held(pipeline, None, None)
    gaps = zip([high for _, high in spans], [low for low, _ in spans[1:]], strict=False)
    first, last = spans[0][0], spans[-1][1]
    return Held(pipeline, first if first > begin else None, last, tuple(gaps))

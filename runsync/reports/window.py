"""What a report is asked for: from when, until when, in which zone, and in which periods.

A window is half-open: ``since`` belongs to it, ``until`` does not, so that windows side by side
share no run. A date means its midnight in the report's zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, available_timezones

from runsync import timespan
from runsync.errors import ConfigError

Moment: TypeAlias = datetime | date | str
Every: TypeAlias = Literal["day", "week", "month"]
EVERY: tuple[str, ...] = get_args(Every)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, ``[since, until)``, in UTC; an open end is None.

    ``zone`` says where days begin, ``now`` which periods are over.
    """

    since: datetime | None
    until: datetime | None
    zone: tzinfo
    now: datetime

    @property
    def end(self) -> datetime:
        """Where the window ends: ``until``, or now where that is open or still to come."""
        return self.now if self.until is None else min(self.until, self.now)

    def before(self) -> "Window":
        """The window of the same length that ends where this one begins.

        Raises:
            ConfigError: this window has no beginning, or that one would have none.
        """
        if self.since is None:
            raise ConfigError("a comparison needs since: where the window begins")
        try:
            return replace(self, since=self.since - (self.end - self.since), until=self.since)
        except OverflowError:
            raise ConfigError(f"there is no window of that length before {self.since}") from None


def window(
    since: Moment | None = None,
    until: Moment | None = None,
    tz: str | tzinfo | None = None,
) -> Window:
    """Reads what the user typed.

    Raises:
        ConfigError: a time or zone cannot be read, or the window ends before it begins.
    """
    zone, now = zone_of(tz), _now()
    made = Window(_moment("since", since, zone, now), _moment("until", until, zone, now), zone, now)
    if made.since is not None and made.since >= made.end:
        raise ConfigError(
            f"the window begins at {made.since:%Y-%m-%d %H:%M} UTC and ends at "
            f"{made.end:%Y-%m-%d %H:%M} UTC; choose a since before its until, and before now"
        )
    return made


def zone_of(tz: str | tzinfo | None) -> tzinfo:
    """The zone of that name; UTC for None.

    Raises:
        ConfigError: there is no such zone; the text names the nearest.
    """
    if tz is None or isinstance(tz, tzinfo):
        return tz or UTC
    try:
        return ZoneInfo(tz)
    except (LookupError, ValueError, OSError):
        raise ConfigError(f"there is no time zone {tz!r}{nearest(tz, _zones())}") from None


def nearest(word: str, known: Sequence[str]) -> str:
    """The end of a sentence that says an unknown word: the nearest known one, or all."""
    folded = {name.casefold(): name for name in known}
    if near := get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.5):
        return f"; did you mean {folded[near[0]]!r}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""


def checked_every(every: str | None) -> str | None:
    """``every``, where it is one of day, week and month.

    Raises:
        ConfigError: it is another word; the text names the nearest.
    """
    if every is None or every in EVERY:
        return every
    raise ConfigError(f"every={every!r} is no period{nearest(every, EVERY)}")


def next_period(first: date, every: str) -> date:
    """The first day of the period after the one that begins on ``first``."""
    if every == "month":
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=7 if every == "week" else 1)


def midnight(day: date, zone: tzinfo) -> datetime:
    """When that day begins in that zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _moment(name: str, value: Moment | None, zone: tzinfo, now: datetime) -> datetime | None:
    try:
        return None if value is None else _read(value, zone, now)
    except (ValueError, OverflowError):
        raise ConfigError(f"{name}={value!r} is no time; {timespan.EXAMPLES}") from None


def _read(value: Moment, zone: tzinfo, now: datetime) -> datetime:
    if isinstance(value, str):
        return timespan.moment(value, now=now, zone=zone)
    if not isinstance(value, datetime):
        return midnight(value, zone)
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def _zones() -> list[str]:
    return sorted(available_timezones())


def _now() -> datetime:
    return datetime.now(UTC)

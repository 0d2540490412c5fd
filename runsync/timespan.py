"""Times and spans of time as people type them: ``30d``, ``12h``, ``2024-01-31``."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

EXAMPLES = "write a date (2024-01-31), a time (2024-01-31T10:00Z) or an age (12h, 30d, 8w)"

_SPAN = re.compile(r"\s*([0-9]{1,7})\s*(s|m|min|h|d|w)\s*")
_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta | None:
    """The span that the text names, such as ``90s``, ``15m``, ``12h``, ``30d``, ``8w``; else None.

    Raises:
        OverflowError: it is longer than Python can count.
    """
    found = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def moment(text: str, *, now: datetime | None = None, zone: tzinfo = UTC) -> datetime:
    """The UTC time that the text names: an ISO date or time, or an age before ``now``.

    A date means its midnight, and a time without a zone its hour, in ``zone``.

    Raises:
        ValueError: it names none.
        OverflowError: it lies before the year 1 or after 9999.
    """
    age = span(text)
    if age is not None:
        return (now or datetime.now(UTC)) - age
    found = datetime.fromisoformat(text.strip())
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)

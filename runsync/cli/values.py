"""Values as JSON holds them: times in ISO 8601 and UTC, durations in seconds, nothing as null."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from runsync.text import escaped_json

Row = Mapping[str, object]


def iso(when: datetime) -> str:
    """``2016-07-04T11:51:24.851Z``: milliseconds, unless there are microseconds to tell."""
    when = when.astimezone(UTC) if when.tzinfo else when
    digits = "microseconds" if when.microsecond % 1000 else "milliseconds"
    return when.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def is_missing(value: object) -> bool:
    """Whether it is one of the many nothings: None, NaN, NaT, NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float) and math.isnan(value)


def plain(value: object) -> Any:
    """A value as JSON can hold it."""
    if is_missing(value):
        return None
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if callable(item := getattr(value, "item", None)):  # numpy's scalars
        return plain(item())
    return str(value)


def dumped(value: object, indent: int | None = None) -> str:
    """JSON, readable in any script, and inert on a terminal."""
    return escaped_json(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent))


def is_number(value: object) -> bool:
    """Whether a column of such values stands to the right; what is missing does not matter."""
    return is_missing(value) or isinstance(plain(value), (int, float))

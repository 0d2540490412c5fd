"""Which times make the same keys of a query, in SQL: so a database can add up by weekday, hour and
period, whatever it knows of time zones itself."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from runsync.reports.query_spec import Query
from runsync.storage.tables import UTCDateTime

_STEP = timedelta(hours=6)
"""How far apart a zone's offset is looked at: it changes a few times a year."""
_INSTANT = timedelta(seconds=1)


def time_keys(
    column: sa.ColumnElement[Any], query: Query, first: datetime, last: datetime
) -> list[sa.ColumnElement[Any]]:
    """Equal for times that make the same keys, of which no period is a piece of the window; for
    PostgreSQL and DuckDB.

    Args:
        column: times, none of them before ``first`` or after ``last``.
    """
    local = sa.func.timezone("UTC", column) + _offset(column, query.window.zone, first, last)
    made: list[sa.ColumnElement[Any]] = []
    if "weekday" in query.keys:
        made.append(sa.extract("isodow", local))
    if "hour" in query.keys:
        made.append(sa.extract("hour", local))
    if query.every:
        made.append(sa.func.date_trunc(query.every, local))
    return made


def _offset(
    column: sa.ColumnElement[Any], zone: tzinfo, first: datetime, last: datetime
) -> sa.ColumnElement[Any]:
    """What a zone's clocks are ahead of UTC."""
    *earlier, (latest, _) = _offsets(zone, first, last)
    whens = [(column < sa.literal(end, UTCDateTime()), _interval(one)) for one, end in earlier]
    return sa.case(*whens, else_=_interval(latest)) if whens else _interval(latest)


@lru_cache
def _offsets(zone: tzinfo, first: datetime, last: datetime) -> Sequence[tuple[timedelta, datetime]]:
    """The zone's offsets from UTC between two times, each with when it ends; the last with that."""
    begin, offset = first, _offset_at(zone, first)
    found = []
    while begin < last:
        end = begin + _STEP
        if (after := _offset_at(zone, end)) != offset:
            while end - begin > _INSTANT:
                middle = begin + (end - begin) // 2
                if _offset_at(zone, middle) == offset:
                    begin = middle
                else:
                    end = middle
            end = end.replace(microsecond=0)
            found.append((offset, end))
            offset = after
        begin = end
    return (*found, (offset, last))


def _offset_at(zone: tzinfo, when: datetime) -> timedelta:
    return when.astimezone(UTC).astimezone(zone).utcoffset() or timedelta()


def _interval(length: timedelta) -> sa.ColumnElement[Any]:
    seconds = length.total_seconds()
    return sa.literal_column(f"INTERVAL '{seconds:.6f} seconds'")

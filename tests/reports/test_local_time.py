"""Which times make the same keys, in SQL: never two that a frame tells apart, in any zone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runsync.archive.duck import DuckDialect, connected
from runsync.reports.columns import with_keys
from runsync.reports.local_time import time_keys
from runsync.reports.query_spec import Query, QuerySpec
from runsync.storage.tables import UTCDateTime

ZONES: list[tzinfo] = [
    *map(ZoneInfo, ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu")),
    *map(ZoneInfo, ("Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca")),
    timezone(timedelta(minutes=-7, seconds=13)),
]
TURN = datetime(2024, 10, 27, 1, tzinfo=UTC)
"""When clocks in Berlin go back."""
TIMES = st.lists(
    st.builds(
        lambda day, second: TURN + timedelta(days=day, seconds=second),
        st.integers(-400, 400),
        st.integers(-7200, 7200),
    ),
    min_size=1,
    max_size=20,
)
AT = sa.table("times", sa.column("at", UTCDateTime()))


class Asked:
    """Two databases that are asked which times make the same keys."""

    def __init__(self, postgres: sa.Connection, duck: Any) -> None:
        self._postgres, self._duck = postgres, duck
        postgres.execute(sa.text("CREATE TEMPORARY TABLE times (at timestamptz)"))
        duck.execute('CREATE TABLE times ("at" TIMESTAMPTZ)')

    def groups(self, times: list[datetime], query: Query) -> Iterator[list[tuple[Any, ...]]]:
        """From each database for every time what it and those that are alike share."""
        keys = time_keys(AT.c.at, query, min(times), max(times))
        select = sa.select(*keys).select_from(AT).order_by(AT.c.at)
        self._postgres.execute(sa.text("DELETE FROM times"))
        self._postgres.execute(AT.insert(), [{"at": one} for one in times])
        yield [tuple(row) for row in self._postgres.execute(select)]
        self._duck.execute("DELETE FROM times")
        self._duck.executemany("INSERT INTO times VALUES (?)", [(one,) for one in times])
        compiled = select.compile(dialect=DuckDialect(), compile_kwargs={"literal_binds": True})
        yield self._duck.execute(str(compiled)).fetchall()


@pytest.fixture
def asked(postgres_url: str, tmp_path: Any) -> Iterator[Asked]:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as postgres, connected(str(tmp_path)) as duck:
        postgres.execute(sa.text("SET TIME ZONE 'UTC'"))
        yield Asked(postgres, duck)
    engine.dispose()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([TURN - timedelta(seconds=1), TURN, TURN + timedelta(hours=1)], ZONES[1], ["hour"], "day")
@given(
    TIMES,
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(["weekday", "hour"]), unique=True),
    st.sampled_from(["day", "week", "month"]),
)
def test_they_are_those_of_frames(
    asked: Asked, times: list[datetime], zone: tzinfo, by: list[Any], every: Any
) -> None:
    query = replace(QuerySpec(every=every, tz=zone).query([]), by=tuple(by), every=every)
    frame = with_keys(pd.DataFrame({"run_created_at": pd.to_datetime(sorted(times))}), query)
    wanted = frame[[*query.keys]].astype(str).agg(tuple, axis=1)
    for found in asked.groups(times, query):
        pairs = set(zip(found, wanted, strict=True))
        assert len(pairs) == len({one for one, _ in pairs}) == len({one for _, one in pairs})

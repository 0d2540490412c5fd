"""The clock of the reports stands still at a known time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from runsync.storage.database import Database
from tests.reports.database_rows import at


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """100 days after the first Monday of the tests; the reports take it for the present."""
    when = at(100)
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: when)
    return when


@pytest.fixture
def statement_plans(sqlite: Database) -> Iterator[list[str]]:
    """SQLite's plan of each SELECT that is executed on the database while the test runs."""
    plans: list[str] = []

    def explain(conn: sa.Connection, _c: object, statement: str, params: Any, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            cursor = conn.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", params)
            plans.append("; ".join(row[3] for row in cursor.fetchall()))

    sa.event.listen(sqlite.engine, "before_cursor_execute", explain)
    yield plans
    sa.event.remove(sqlite.engine, "before_cursor_execute", explain)

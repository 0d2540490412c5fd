"""PostgreSQL finds the steps of the few runs that count by their key, and the verdicts before a
window by their index, as its statistics are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, run, step

RUNS = 6000
COLUMNS = "status, result, started_at, finished_at, duration_ms"
MORE = f"""
INSERT INTO steps (pipeline_id, run_id, id, position, name, {COLUMNS})
SELECT pipeline_id, run_id, id || '-' || n, position + 10 * n, name || n, {COLUMNS}
FROM steps, generate_series(1, 4) AS n
"""

OF_RUNS = "pipeline_id, attempt, branch, status, result, settled, first_seen_at, last_seen_at"
MORE_RUNS = f"""
INSERT INTO runs (id, created_at, finished_at, {OF_RUNS})
SELECT id || '-' || n, created_at - n * interval '1 minute', finished_at, {OF_RUNS}
FROM runs, generate_series(1, 9) AS n
"""


@pytest.fixture(scope="module")
def long_history(postgres_url_of_module: str) -> Iterator[Database]:
    """Six thousand runs of 1000 days, with twenty steps each."""
    begin, postgres = at(0), Database(postgres_url_of_module)
    runs = [
        run(
            f"r{n:05}",
            begin + timedelta(hours=4 * n),
            "aborted" if n % 50 == 7 else "failed" if n % 10 == 3 or n > RUNS - 5 else "passed",
            commit_hash=f"c{n}",
            branch="main" if n % 5 < 3 else f"feature/{n // 30}",
        )
        for n in range(RUNS)
    ]
    fill(postgres, runs, [step(one, k, f"s{k}") for one in runs for k in range(4)])
    with postgres.engine.connect() as connection:
        connection.exec_driver_sql(MORE)
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def longer_history(long_history: Database) -> Database:
    """The same with nine more runs, without steps, for each."""
    with long_history.engine.connect() as connection:
        connection.exec_driver_sql(MORE_RUNS)
        connection.exec_driver_sql("ANALYZE runs")
        connection.commit()
    return long_history


@contextmanager
def plans_of(database: Database, what: str) -> Iterator[list[str]]:
    """PostgreSQL's plans of the SELECTs that name something, as they are executed."""
    plans: list[str] = []

    def explain(conn: sa.Connection, _c: object, statement: str, params: Any, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")) and what in statement:
            cursor = conn.connection.cursor()
            cursor.execute(f"EXPLAIN {statement}", params)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
            cursor.close()

    sa.event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", explain)


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The present is when the history ends."""
    moment = at(0) + timedelta(hours=4 * RUNS)
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: moment)


@pytest.mark.parametrize("name", ["abort_frequencies", "broken_branches"])
def test_the_steps_of_few_runs_are_not_looked_for_in_all(
    long_history: Database, end: None, name: str
) -> None:
    with plans_of(long_history, "v_steps") as plans:
        getattr(reports, name)(long_history, since="28d")
    assert plans
    for plan in plans:
        assert "Seq Scan on steps" not in plan, plan
        assert "Index Scan" in plan, plan


@pytest.mark.parametrize("name", ["recoveries", "broken_branches"])
def test_how_branches_entered_a_window_is_found_by_the_index_of_verdicts(
    longer_history: Database, end: None, name: str
) -> None:
    with plans_of(longer_history, "last_verdict") as plans:
        getattr(reports, name)(longer_history, since="28d")
    (plan,) = plans
    # The ends of all branches may be of all runs; what is told of them is found by the index.
    assert not re.search(r"Seq Scan on runs r(_\d+)? ", plan), plan
    assert "ix_runs_verdicts" in plan, plan

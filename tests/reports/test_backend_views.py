"""The views without their joins tell of their own table's rows what the views themselves tell."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.backend import OWN, without_joins
from runsync.storage.database import Database
from runsync.storage.tables import v_runs, v_steps
from tests.reports.database_rows import at, fill, run, step

WORDS = ["passed", "failed", "aborted", "skipped", "unknown", "running"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(WORDS),
        st.sampled_from(WORDS),
        st.sampled_from([None, 0, 1, 2.5]),
        st.sampled_from([None, "error", "failure", "success"]),
        st.booleans(),
        st.sampled_from(["finished", "running"]),
    ),
    max_size=6,
)


def told(database: Database, select: Any) -> list[Any]:
    with database.read() as connection:
        return sorted(map(repr, connection.execute(select).all()))


@given(rows=ROWS)
def test_every_column_is_that_of_the_view(sqlite: Database, rows: list[Any]) -> None:
    with sqlite.write() as connection:
        for table in ("steps", "runs", "pipelines"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    runs, steps = [], []
    for n, (of_run, of_step, took, outcome, started, status) in enumerate(rows):
        when: dict[str, Any] = {"status": status} | ({} if started else {"started_at": None})
        runs.append(run(f"r{n}", at(n), of_run, outcome=outcome, **when))
        steps.append(step(runs[-1], 1, "test", took, result=of_step, outcome=outcome, **when))
    fill(sqlite, runs, steps)
    for view, own in OWN.items():
        columns = [view.c[name] for name in own]
        lean = without_joins(sa.select(*columns))
        assert "WITH" in str(lean)
        assert told(sqlite, lean) == told(sqlite, sa.select(*columns))
        flags: Any = sa.select(sa.func.sum(view.c.is_finished), sa.func.count())
        assert told(sqlite, without_joins(flags)) == told(sqlite, flags)


@pytest.mark.parametrize(
    "select",
    [
        sa.select(v_steps.c.name, v_steps.c.branch),
        sa.select(v_steps.c.name).where(v_steps.c.run_created_at > at(0)),
        sa.select(v_steps.c.name).order_by(v_steps.c.source),
        sa.select(sa.func.count()).group_by(v_runs.c.pipeline),
        sa.select(v_runs.c.id).where(v_runs.c.id.in_(sa.select(v_runs.c.id))),
        sa.union_all(sa.select(v_runs.c.id), sa.select(v_runs.c.id)),
    ],
)
def test_what_needs_the_joins_or_reads_a_view_twice_has_them(select: Any) -> None:
    assert without_joins(select) is select


def test_a_view_is_read_alone_beside_one_that_is_not() -> None:
    aborted = sa.select(v_runs.c.id).where(v_runs.c.is_aborted == 1)
    lean = str(without_joins(sa.select(v_steps.c.branch).where(v_steps.c.run_id.in_(aborted))))
    assert "v_runs AS" in lean
    assert "v_steps AS" not in lean

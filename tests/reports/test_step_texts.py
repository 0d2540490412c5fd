"""Steps that are read as one text for each run are the steps that are read one by one."""

from itertools import combinations
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.reports.load import open_reader
from runsync.reports.query_spec import QuerySpec
from runsync.reports.step_texts import is_quicker, read_step_texts
from runsync.storage.database import Database
from runsync.storage.tables import v_steps
from tests.reports.database_rows import at, fill, run, step

COLUMNS = (
    *("pipeline_id", "run_id", "run_created_at", "branch", "commit_hash", "author", "event"),
    *("name", "job", "runner", "result", "duration_ms", "position"),
    *("is_finished", "is_passed", "is_failed", "in_rate", "ran", "is_error", "was_retried"),
)
TEXT = st.text(max_size=4).filter(lambda text: "\0" not in text) | st.sampled_from(
    ["|", "[]", '"', "\\", ",", "null", "]|[1,2", "ü\u2028😀", "-", "3:abc"]
)
WORDS = ["passed", "failed", "aborted", "skipped"]
STEPS = st.lists(
    st.tuples(
        TEXT,
        st.none() | TEXT,
        st.sampled_from(WORDS),
        st.sampled_from([None, 0, 2.5, 3e9]),
        st.booleans(),
    ),
    max_size=3,
)


def history(found: list[tuple[Any, ...]]) -> tuple[list[Any], list[Any]]:
    runs, steps = [], []
    for n, (branch, result, of_run) in enumerate(found):
        runs.append(run(f"r{n}", at(n), result, branch=branch, commit_hash=branch and "c"))
        for k, (name, job, word, took, retried) in enumerate(of_run):
            extra = {"retried": True} if retried else None
            steps.append(
                step(runs[-1], k, name, took, result=word, job=job, runner=job, extra=extra)
            )
    return runs, steps


def alike(frame: pd.DataFrame) -> pd.DataFrame:
    """Whatever order rows have, and with which categories they are told."""
    plain = frame.astype(dict.fromkeys(frame.select_dtypes("category"), object))
    return plain.sort_values(["run_id", "position"], ignore_index=True)


@given(found=st.lists(st.tuples(st.none() | TEXT, st.sampled_from(WORDS), STEPS), max_size=4))
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_column_is_the_same(
    request: pytest.FixtureRequest, kind: str, found: list[tuple[Any, ...]]
) -> None:
    database = Database(request.getfixturevalue(f"{kind}_url"))
    with database.write() as connection:
        for table in ("steps", "runs", "pipelines"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    fill(database, *history(found))
    with open_reader(database) as reader:
        for asked in ({}, {"since": at(1)}, {"until": at(2)}, {"branches": [""]}):
            if asked == {"branches": [""]} and all(branch for branch, *_ in found):
                continue
            query = reader.query(QuerySpec(**asked))
            wanted = reader.wanted(v_steps, query, COLUMNS)
            for where, known in (
                ((), ()),
                (("in_rate",), ("commit_hash",)),
                (("ran",), ("duration_ms", "job")),
            ):
                select = reader.select(v_steps, query, wanted, where, known)
                rows = reader.backend.fetch(select, wanted)
                whole = read_step_texts(reader, query, wanted, (), ())
                narrowed = whole.narrowed(where, [n for n in known if n != "duration_ms"])
                told = narrowed.rows(COLUMNS)
                told = told[told[list(known)].notna().all(axis=1)] if known else told
                pd.testing.assert_frame_equal(alike(told), alike(rows), check_exact=True)
                read = read_step_texts(reader, query, wanted, where, known).rows(COLUMNS)
                assert dict(read.dtypes.map(str)) == dict(rows.dtypes.map(str))
                pd.testing.assert_frame_equal(alike(read), alike(rows), check_exact=True)
                for name in read.select_dtypes("category"):
                    assert list(read[name].cat.categories) == list(rows[name].cat.categories)
    database.close()


def test_any_of_the_columns_can_be_read_alone_or_with_another(sqlite: Database) -> None:
    made = [("main", "passed", [("a", None, "passed", 1, False), ("b", "j", "failed", None, True)])]
    fill(sqlite, *history([*made, (None, "failed", [])]))
    with open_reader(sqlite) as reader:
        query = reader.query(QuerySpec())
        for names in [*combinations(COLUMNS, 1), *combinations(COLUMNS, 2)]:
            wanted = reader.wanted(v_steps, query, names)
            rows = reader.backend.fetch(reader.select(v_steps, query, wanted), wanted)
            read = read_step_texts(reader, query, wanted, (), ()).rows(names)
            pd.testing.assert_frame_equal(read, rows, check_exact=True)


def test_what_is_of_few_runs_or_needs_more_columns_is_read_row_by_row() -> None:
    assert is_quicker(COLUMNS, ["in_rate"])
    assert not is_quicker([*COLUMNS, "finished_at"], ())
    assert not is_quicker(["name"], ["is_failed"])
    assert not is_quicker(["name"], ["run_is_aborted"])


def test_a_duration_that_is_no_integer_is_read_all_the_same(sqlite: Database) -> None:
    """SQLite takes it from whoever writes rows by hand."""
    runs, steps = history([("main", "passed", [("a", None, "passed", 1, False)] * 3)])
    fill(sqlite, runs, steps)
    with sqlite.write() as connection:
        connection.exec_driver_sql("UPDATE steps SET duration_ms = 2500.5 WHERE position = 1")
        connection.exec_driver_sql("UPDATE runs SET duration_ms = 1500.5")
    (row,) = reports.run_durations(sqlite).to_dict("records")
    assert row["max"] == pd.Timedelta(seconds=1.5)
    (row,) = reports.step_durations(sqlite, until=at(9)).to_dict("records")
    assert (row["count"], row["max"]) == (3, pd.Timedelta(seconds=2.5))

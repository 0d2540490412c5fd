"""What a page keeps of what it has read: the same rows, read once."""

import re
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from runsync import reports
from runsync.errors import DatabaseError
from runsync.reports.definitions import REPORTS
from runsync.reports.kept_reader import KeptReader
from runsync.reports.load import open_reader
from runsync.reports.page.part_file import PartFile
from runsync.reports.query_spec import QuerySpec
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, run, step

RESULTS = ["passed", "failed", "passed", "aborted", "skipped", "unknown", "passed"]


@pytest.fixture
def history(sqlite: Database, now: datetime) -> Database:
    """Forty days of two pipelines, of which some runs have no commit, no branch or no end."""
    runs = [
        run(
            f"{p}-{n}", at(n / 2), RESULTS[(n * p) % 7], pipeline=p, queued=n % 9, took=30 + n % 50,
            commit_hash=f"c{n // 2}" if n % 5 else None, branch="main" if n % 3 else "side",
        )
        for p in (1, 2) for n in range(80)
    ]  # fmt: skip
    steps = [
        step(r, k, f"step {k}", 1 + k, r["result"] if k == 2 else "passed")
        for r in runs
        for k in (1, 2)
    ]
    fill(sqlite, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    return sqlite


@contextmanager
def readings_of_all_steps(database: Database) -> Iterator[list[str]]:
    """The statements that read all steps, whatever window they are in."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: Any) -> None:
        is_limited = re.search(r"v_steps\.\w+ = [?%]|created_at (>=|<) [?%]", statement)
        if "FROM v_steps" in statement and not is_limited:
            seen.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("asked", [{}, {"since": "20d"}, {"branches": "main"}, {"pipelines": 1}])
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_the_same(history: Database, name: str, asked: dict[str, Any]) -> None:
    report = REPORTS[name]
    with open_reader(history) as reader:
        query = reader.query(QuerySpec(**asked, by=report.by), report)
        own = report.figures(query, *report.gather(reader, query))
        kept_reader = KeptReader(reader)
        for _ in range(2):
            kept = report.figures(query, *report.gather(kept_reader, query))
            pd.testing.assert_frame_equal(kept, own, check_categorical=False)


def test_a_page_reads_all_steps_once(history: Database) -> None:
    with readings_of_all_steps(history) as seen:
        reports.html(history)
    assert len(seen) == 1


@pytest.mark.parametrize("little", [0, 1 << 20])
def test_of_a_long_history_each_part_is_read_once(
    history: Database, monkeypatch: pytest.MonkeyPatch, little: int
) -> None:
    page = reports.html(history)
    monkeypatch.setattr("runsync.reports.load.PART_RUNS", 30)
    monkeypatch.setattr("runsync.reports.load.RUNS_ALONE", 1)
    monkeypatch.setattr("runsync.reports.page.part_file._LITTLE", little)
    with open_reader(history) as reader:
        parts = reader.parts(reader.query(QuerySpec()), whole_pipelines=False)
    assert len(parts) > 4
    with readings_of_all_steps(history) as seen:
        assert reports.html(history) == page
    assert len(seen) == len(parts)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond this many bytes."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_where_no_room_is_left_for_parts_a_sentence_says_so(
    history: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runsync.reports.load.PART_RUNS", 30)
    message = r"File too large.*TMPDIR"
    with room_for(10_000), pytest.raises(DatabaseError, match=message):
        reports.html(history)
    with closing(PartFile()) as file, room_for(10), pytest.raises(DatabaseError, match=message):
        file.add("a report", None, (pd.DataFrame({"small": [1]}),))


def test_what_ran_has_a_duration_and_of_other_steps_those_with_one_are_read(
    history: Database,
) -> None:
    with open_reader(history) as reader:
        kept = KeptReader(reader)
        query = reader.query(QuerySpec(), REPORTS["step_durations"])
        for where in (["ran"], ["is_finished"], []):
            asked: dict[str, Any] = {"where": where, "known": ["duration_ms", "commit_hash"]}
            found = [one.steps(query, ["duration_ms"], **asked) for one in (reader, kept)]
            pd.testing.assert_frame_equal(found[0], found[1], check_categorical=False)

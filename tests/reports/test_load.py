"""The reader: every row, only the columns asked for, by the index that the window needs."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from runsync import reports
from runsync.errors import ConfigError, DatabaseError
from runsync.reports.definitions import REPORTS
from runsync.reports.load import open_reader
from runsync.reports.query_spec import QuerySpec
from runsync.storage.database import Database
from runsync.storage.models import RunRow, StepRow
from tests.reports.database_rows import at, fill, pipeline, run, step

LOOKED_UP = (
    "SEARCH r USING INDEX sqlite_autoindex_runs_1 (pipeline_id=? AND id=?)",
    "SEARCH s USING PRIMARY KEY (pipeline_id=? AND run_id=?)",
)
VERDICTS = "ix_runs_verdicts"
EVERY = [getattr(reports, name) for name in REPORTS]


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """The SELECTs that are executed while the test runs."""
    seen: list[str] = []

    def remember(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            seen.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", remember)
    yield seen
    sa.event.remove(database.engine, "before_cursor_execute", remember)


@pytest.mark.parametrize("rows", [1, 499, 500, 501, 1200])
def test_no_row_is_lost_between_chunks(database: Database, rows: int) -> None:
    runs = [run(f"r{n}", at(hours=n)) for n in range(rows)]
    fill(database, runs, [step(r, 1, "test") for r in runs])
    assert list(reports.pass_rates(database)["finished"]) == [rows]
    assert list(reports.step_durations(database)["count"]) == [rows]
    with open_reader(database) as reader:
        query = QuerySpec().query(reader.pipelines)
        created = reader.runs(query, ["run_created_at"])["run_created_at"]
    assert sorted(created) == [pd.Timestamp(r["created_at"]) for r in runs]


def test_no_more_columns_are_read_than_needed(database: Database, statements: list[str]) -> None:
    fill(database, [one := run("a", at(0))], [step(one, 1, "test")])
    wide = re.compile(r"[ ,]v_\w+\.(message|extra|url|log_url|artifacts_url)\b|\.\*|SELECT \*")
    for report in EVERY:
        report(database, since=at(-1), every="day")
    read = [s for s in statements if "v_runs" in s or "v_steps" in s]
    assert len(read) >= len(EVERY)
    assert [s for s in read if wide.search(s)] == []
    statements.clear()
    reports.step_durations(database)
    (told,) = [s for s in statements if "v_steps" in s]
    columns = told[told.index("SELECT v_steps") : told.index("FROM v_steps")]
    assert {*re.findall(r"v_steps\.(\w+)", columns)} == {
        *("pipeline_id", "name", "job", "duration_ms")
    }


def test_a_window_is_read_by_the_index_of_creation(
    sqlite: Database, now: datetime, statement_plans: list[str]
) -> None:
    runs = [run(f"r{n}", at(n), "passed" if n < 99 else "failed") for n in range(100)]
    fill(sqlite, runs, [step(r, 1, "test") for r in runs])
    for report in EVERY:
        statement_plans.clear()
        report(sqlite, since="30d", pipelines=["build"], branches=["main"])
        plans = [plan for plan in statement_plans if "runs" in plan or "steps" in plan]
        assert plans, report.__name__
        # A look back for what had broken before the window goes by the index of verdicts, and
        # what broke it is looked up by its key.
        bounded = [p for p in plans if VERDICTS not in p and not p.startswith(LOOKED_UP)]
        assert all("ix_runs_created_at (created_at>" in plan for plan in bounded), (report, bounded)
        assert not any("SCAN" in plan for plan in bounded), (report, bounded)


@pytest.mark.parametrize("part_runs", [9999, 120])
@pytest.mark.parametrize("report", [reports.recoveries, reports.broken_branches])
def test_how_branches_entered_a_window_is_found_by_the_index_of_verdicts(
    sqlite: Database,
    now: datetime,
    statement_plans: list[str],
    monkeypatch: pytest.MonkeyPatch,
    report: Any,
    part_runs: int,
) -> None:
    """Also for a part of a long history, which is of some of its pipelines."""
    monkeypatch.setattr("runsync.reports.load.PART_RUNS", part_runs)
    monkeypatch.setattr("runsync.reports.load.RUNS_ALONE", 1)
    runs = [
        run(f"r{n}", at(n), "failed" if n % 9 == 2 else "passed", pipeline=number)
        for number in range(1, 7)
        for n in range(50 if number < 6 else 100)
    ]
    fill(sqlite, runs, pipelines=[pipeline(n, f"p{n}") for n in range(1, 7)])
    report(sqlite, since="90d")
    plans = [plan for plan in statement_plans if VERDICTS in plan]
    assert (len(plans) > 1) == (part_runs < len(runs))
    assert not [plan for plan in statement_plans if re.search(r"SCAN r\b", plan)]
    found_by = re.compile(r"SEARCH .*(ix_runs_verdicts|ix_runs_created_at) \((?!pipeline_id=\?\))")
    for plan in plans:
        read = re.findall(r"(?:SEARCH|SCAN) r(?:uns_\d+)?\b[^;]*", plan)
        assert len(read) > 4
        every = re.compile(r"(SCAN|SEARCH) runs_1 USING INDEX ix_runs_verdicts")
        other = [one for one in read if not every.match(one)]  # than the ends of all branches
        assert [one for one in other if not found_by.match(one)] == []


def test_the_steps_of_aborted_runs_are_found_by_their_runs(
    sqlite: Database, statement_plans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run(f"r{n}", at(n), "aborted" if n == 5 else "passed") for n in range(50)]
    runs += [run(f"s{n}", at(n), pipeline=2) for n in range(50)]
    pipelines = [pipeline(1), pipeline(2, "test"), pipeline(3, "deploy")]
    fill(sqlite, runs, [step(r, 1, "test") for r in runs], pipelines=pipelines)
    by_key = "SEARCH s USING PRIMARY KEY (pipeline_id=? AND run_id=?)"
    for part_runs, first in ((999, f"SCAN r; {by_key}"), (60, by_key)):
        monkeypatch.setattr("runsync.reports.load.PART_RUNS", part_runs)
        monkeypatch.setattr("runsync.reports.load.RUNS_ALONE", 1)
        statement_plans.clear()
        assert list(reports.abort_frequencies(sqlite)["last_step_aborts"]) == [1, 0]
        plans = [plan for plan in statement_plans if "SEARCH s" in plan or "SCAN s" in plan]
        assert len(plans) == 1 + (part_runs < 100)
        assert [plan for plan in plans if not plan.startswith(first)] == []


def test_an_empty_database_gives_empty_frames_of_the_same_form(database: Database) -> None:
    forms = {}
    for report in EVERY:
        for asked in ({}, {"by": (), "every": "week"}, {"by": ["hour", "weekday", "branch"]}):
            empty = report(database, **asked)
            assert empty.empty
            forms[report, str(asked)] = report, asked, empty
    one = run("a", at(0), "aborted")
    fill(database, [one], [step(one, 1, "test")])
    for report, asked, empty in forms.values():
        full = report(database, **asked)
        assert list(full) == list(empty), report.__name__
        assert full.dtypes.tolist() == empty.dtypes.tolist(), report.__name__


def test_the_dtypes_are_what_they_are_said_to_be(sqlite: Database) -> None:
    frame = reports.abort_frequencies(sqlite, by=["pipeline", "weekday", "hour"], every="day")
    assert {name: dtype.name for name, dtype in frame.dtypes.items() if name != "pipeline"} == {
        "weekday": "category",
        "hour": "int64",
        "period": "datetime64[us]",
        "partial": "bool",
        "finished": "int64",
        "aborted": "int64",
        "abort_rate": "float64",
        "abort_rate_low": "float64",
        "abort_rate_high": "float64",
        "never_started": "int64",
        "median_time_to_abort": "timedelta64[us]",
        "last_step": frame["pipeline"].dtype.name,
        "last_step_aborts": "int64",
    }
    assert frame["pipeline"].dtype == pd.Series(["text"]).dtype
    assert frame["weekday"].cat.categories[0] == "Monday"
    assert frame["weekday"].cat.ordered


def test_takes_a_url_an_engine_and_a_database(database_url: str) -> None:
    opened = Database(database_url)
    fill(opened, [run("a", at(0))])
    for db in (database_url, sa.make_url(database_url), opened.engine, opened):
        assert list(reports.pass_rates(db)["finished"]) == [1]
    opened.close()


def test_a_plain_engine_of_the_readers_own_will_do(database_url: str) -> None:
    opened = Database(database_url)
    fill(opened, [run("a", at(0))])
    opened.close()
    engine = sa.create_engine(database_url)
    assert list(reports.pass_rates(engine, every="day", by=())["finished"]) == [1]
    engine.dispose()


def test_a_mistyped_file_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "no.db"
    with pytest.raises(DatabaseError, match=r"there is no database .*no\.db; `runsync sync` makes"):
        reports.pass_rates(f"sqlite:///{missing}")
    assert not missing.exists()


def test_a_database_without_a_schema_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(DatabaseError, match="runsync sync"):
        reports.pass_rates(f"sqlite:///{tmp_path / 'empty.db'}")


def test_a_url_that_is_none_is_said_plainly() -> None:
    with pytest.raises((DatabaseError, ConfigError)):
        reports.pass_rates("not a url")


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("pipline", "cannot be grouped by 'pipline'; did you mean 'pipeline'? Known: "),
        ("step", "queue_times counts whole runs, which cannot be grouped by 'step'"),
        ("runner", "cannot be grouped by 'runner'"),
        ("", "by (--by): queue_times cannot be grouped by ''; known: pipeline, source"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(sqlite: Database, by: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        reports.queue_times(sqlite, by=by)  # type: ignore[arg-type]


def test_an_unknown_pipeline_is_named_with_the_nearest(sqlite: Database) -> None:
    fill(
        sqlite, pipelines=[{**p, "external_id": f"5751{p['id']}"} for p in _named("build", "ship")]
    )
    with pytest.raises(ConfigError, match="there is no pipeline 'biuld'; did you mean 'build'"):
        reports.pass_rates(sqlite, pipelines=["biuld"])
    with pytest.raises(ConfigError, match=r"beginning of several pipelines: build .*ship"):
        reports.pass_rates(sqlite, pipelines=["5751"])
    with pytest.raises(ConfigError, match="there is no pipeline ''"):
        reports.pass_rates(sqlite, pipelines=[""])


def _named(*names: str) -> list[dict[str, object]]:
    return [{"id": n, "source": "w", "name": name} for n, name in enumerate(names, 1)]


def test_the_deepest_join_is_left_out_where_nothing_of_it_is_asked(sqlite: Database) -> None:
    select = "EXPLAIN QUERY PLAN SELECT name, duration_ms FROM v_steps WHERE ran = 1"
    with sqlite.read() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(select)]
    assert len(plan) == 1


def test_the_tables_rows_are_what_the_frames_hold(database: Database) -> None:
    runs = [run(f"r{n}", at(n), branch=None if n % 2 else "main") for n in range(5)]
    runs[3] |= {"started_at": None, "queued_ms": None, "finished_at": None}
    fill(database, runs)
    with open_reader(database) as reader:
        query = QuerySpec().query(reader.pipelines)
        frame = reader.runs(query, ["branch", "queued_ms", "started_at", "run_created_at"])
    columns = (RunRow.branch, RunRow.queued_ms, RunRow.started_at, RunRow.created_at)
    with database.read() as connection:
        told = connection.execute(sa.select(*columns).order_by(RunRow.created_at)).all()
    frame = frame.sort_values("run_created_at").astype(object)
    assert [tuple(row) for row in told] == [
        tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False)
    ]
    assert StepRow.__table__.name == "steps"


def test_the_default_branch_is_main_where_the_provider_tells_none(database: Database) -> None:
    fill(database, [run("a", at(1), branch="main"), run("b", at(2), branch="topic")])
    assert reports.pass_rates(database, branches="default")["finished"].tolist() == [1]


def test_the_default_branch_is_found_by_the_index_of_creation(
    sqlite: Database, statement_plans: list[str]
) -> None:
    """Reading all of a pipeline's history is for those that were not on a usual branch of late."""
    fill(sqlite, [run(f"r{n}", at(n), branch="main") for n in range(100)])
    reports.pass_rates(sqlite, since=at(90), branches="default")
    assert "SEARCH runs USING INDEX ix_runs_created_at (created_at>?)" in " ".join(statement_plans)
    assert not any("(pipeline_id=?)" in plan for plan in statement_plans), statement_plans


def test_an_unknown_default_branch_is_an_error_that_says_what_to_name(database: Database) -> None:
    fill(database, [run("a", at(1), branch="topic")])
    with pytest.raises(ConfigError, match="no pipeline's default branch is known; name a branch"):
        reports.pass_rates(database, branches="default")

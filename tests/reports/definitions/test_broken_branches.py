"""What is red now, against histories made by hand."""

from datetime import datetime
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from runsync import reports
from runsync.errors import ConfigError
from runsync.storage.database import Database
from runsync.storage.tables import pipelines
from tests.reports.database_rows import Row, at, fill, pipeline, records, run, step


def a_break(branch: str | None, day: float, **more: Any) -> list[Row]:
    """A pass, then two failures by ann and bob."""
    return [
        run(f"{branch}-{day}-{n}", at(day + n), word, branch=branch, author=who, **more)
        for n, (word, who) in enumerate(
            (("passed", "zoe"), ("failed", "ann"), ("failed", "bob")), start=0
        )
    ]


def test_what_is_red_since_when_by_whom_and_where_to_look(
    database: Database, now: datetime
) -> None:
    runs = a_break("main", 90)
    steps = [
        step(runs[1], 1, "build", 1, "passed"),
        step(runs[1], 3, "tidy", 1, "failed"),
        step(runs[1], 2, "unit tests", 1, "failed"),
        step(runs[2], 1, "build", 1, "failed"),
    ]
    fill(database, runs, steps)
    assert records(reports.broken_branches(database)) == [
        {
            "pipeline": "build",
            "branch": "main",
            "since": pd.Timestamp(at(91, seconds=11)),
            "run": "main-90-1",
            "commit_hash": "c-main-90-1",
            "author": "ann",
            "step": "unit tests",
            "web_url": "https://ci.example.org/main-90-1",
            "runs_since": 1,
        }
    ]


def test_a_pass_of_an_empty_branch_mends_none_without_a_name(
    database: Database, now: datetime
) -> None:
    runs = [
        run("broke", at(50), "failed", branch=None),
        run("mended", at(55), "passed", branch=""),
        run("alive", at(99), "aborted", branch=None),
    ]
    fill(database, runs)
    (row,) = records(reports.broken_branches(database))
    assert (row["run"], row["runs_since"]) == ("broke", 0)


def test_default_branches_come_first_and_sound_or_dead_ones_not_at_all(
    database: Database, now: datetime
) -> None:
    runs = [
        *a_break("trunk", 80),
        *a_break("newer", 95),
        *a_break("dead for long", 60),
        *a_break("mended", 90),
        run("mend", at(99), branch="mended"),
        run("alive", at(99), "aborted", branch="only aborted of late"),
        *a_break("only aborted of late", 40),
        run("never", at(85), "failed", branch=None),
        *a_break("main", 96, pipeline=2),
        *a_break("other", 97, pipeline=2),
    ]
    fill(database, runs, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    with database.write() as connection:
        connection.execute(
            sa.update(pipelines).where(pipelines.c.id == 1).values(default_branch="trunk")
        )
    frame = reports.broken_branches(database)
    assert [(r["pipeline"], r["branch"]) for r in records(frame)] == [
        ("deploy", "main"),
        ("build", "trunk"),
        ("deploy", "other"),
        ("build", "newer"),
        ("build", None),
        ("build", "only aborted of late"),
    ]
    assert records(frame)[-1]["since"] == pd.Timestamp(at(41, seconds=11))
    of_late = records(reports.broken_branches(database, since=at(98.5)))
    assert [r["branch"] for r in of_late] == ["other", "only aborted of late"]
    then = records(reports.broken_branches(database, until=at(62)))
    assert [r["branch"] for r in then] == ["dead for long", "only aborted of late"]
    assert reports.broken_branches(database, pipelines="deploy", branches="other")["run"].tolist()


def test_runs_of_one_id_in_two_pipelines_are_told_apart(database: Database, now: datetime) -> None:
    runs = [
        run("1", at(95), "failed", pipeline=p, author=who, web_url=f"https://ci/{who}")
        for p, who in ((1, "ann"), (2, "bob"))
    ]
    steps = [step(r, 1, f"step of {r['author']}", 1, "failed") for r in runs]
    fill(database, runs, steps, pipelines=[pipeline(1, "build"), pipeline(2, "deploy")])
    rows = records(reports.broken_branches(database, by="author"))
    assert [(r["author"], r["pipeline"], r["step"], r["web_url"]) for r in rows] == [
        ("ann", "build", "step of ann", "https://ci/ann"),
        ("bob", "deploy", "step of bob", "https://ci/bob"),
    ]


def test_there_is_nothing_to_compare(sqlite: Database) -> None:
    with pytest.raises(ConfigError, match="broken_branches has no figure that two windows could"):
        reports.compare(sqlite, "broken")

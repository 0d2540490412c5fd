"""Each pipeline's default branch: what its provider tells, else the usual one that ran last."""

import sqlalchemy as sa

from runsync.storage.database import Database
from runsync.storage.default_branches import ReadRows, default_branches
from tests.reports.database_rows import at, fill, pipeline, run


def reading(connection: sa.Connection) -> ReadRows:
    return lambda select: connection.execute(select).all()


def test_what_the_provider_tells_wins_and_else_the_usual_branch_that_ran_last(
    database: Database,
) -> None:
    runs = [
        run("a", at(9), pipeline=1, branch="main"),
        # It was renamed: there is more of the old one.
        *(run(f"b{n}", at(n), pipeline=2, branch="master") for n in range(5)),
        run("b", at(6), pipeline=2, branch="main"),
        run("b-topic", at(7), pipeline=2, branch="topic"),
        run("c", at(1), pipeline=3, branch="topic"),
        run("c-none", at(2), pipeline=3, branch=None),
    ]
    named = [pipeline(1) | {"default_branch": "develop"}]
    untold = [pipeline(n) | {"default_branch": None} for n in (2, 3, 4)]
    fill(database, runs, pipelines=[*named, *untold])
    with database.read() as connection:
        found = default_branches(reading(connection))
    assert found == {1: "develop", 2: "main", 3: None, 4: None}


def test_without_pipelines_there_is_none(database: Database) -> None:
    with database.read() as connection:
        assert default_branches(reading(connection)) == {}

"""Which runs a report is about: pipelines, branches, windows."""

from typing import Any

from runsync import reports
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, run


def test_a_window_holds_its_begin_and_not_its_end(database: Database) -> None:
    fill(database, [run("a", at(1)), run("b", at(2)), run("c", at(3))])
    for report in (reports.pass_rates, reports.run_durations):
        frame = report(database, since=at(1), until=at(3))
        assert frame.iloc[0, 1] == 2


def test_pipelines_are_chosen_by_name_id_and_beginning(database: Database) -> None:
    pipelines = [pipeline(1, "build"), pipeline(2, "deploy"), pipeline(0x33, "lint")]
    fill(
        database,
        [run("a", at(0)), run("b", at(0), pipeline=2), run("c", at(0), pipeline=0x33)],
        pipelines=pipelines,
    )

    def chosen(*words: Any, **more: Any) -> list[str]:
        return list(reports.pass_rates(database, pipelines=words, **more)["pipeline"])

    assert chosen("deploy") == ["deploy"]
    assert chosen("build", 2) == ["build", "deploy"]
    assert chosen("00000033") == ["lint"]
    assert chosen("0000003", since=at(-1)) == ["lint"]
    assert list(reports.pass_rates(database, pipelines="lint")["pipeline"]) == ["lint"]
    assert chosen() == []


def test_branches_are_chosen_by_name(database: Database) -> None:
    fill(database, [run("a", at(0)), run("b", at(1), branch="dev"), run("c", at(2), branch=None)])
    assert list(reports.pass_rates(database, branches="dev")["finished"]) == [1]
    assert list(reports.pass_rates(database, branches=["dev", "main"])["finished"]) == [2]
    assert reports.pass_rates(database, branches=["nowhere"]).empty


def test_pipelines_of_one_name_are_counted_apart(database: Database) -> None:
    fill(
        database,
        [run("a", at(0)), run("b", at(0), "failed", pipeline=2), run("c", at(0), pipeline=3)],
        pipelines=[pipeline(1, "build"), pipeline(2, "build"), pipeline(3, "deploy")],
    )
    frame = reports.pass_rates(database, pipelines=["build"])
    assert list(frame["pipeline"]) == ["build (00000001)", "build (00000002)"]
    assert list(frame["pass_rate"]) == [1.0, 0.0]
    assert list(reports.pass_rates(database, pipelines=["build (00000002)"])["failed"]) == [1]

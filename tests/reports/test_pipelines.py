"""Which runs a report is about: pipelines, branches, windows."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.errors import ConfigError
from runsync.storage.database import Database
from runsync.storage.pipelines import chosen, labelled, labels_by_id
from runsync.storage.tables import pipelines
from tests.reports.database_rows import at, fill, pipeline, run


def test_a_window_holds_its_begin_and_not_its_end(database: Database) -> None:
    fill(database, [run("a", at(1)), run("b", at(2)), run("c", at(3))])
    for report in (reports.pass_rates, reports.run_durations):
        frame = report(database, since=at(1), until=at(3))
        assert frame.iloc[0, 1] == 2


def test_pipelines_are_chosen_by_name_id_and_beginning(database: Database) -> None:
    known = [pipeline(1, "build"), pipeline(2, "deploy"), pipeline(0x33, "lint")]
    fill(
        database,
        [run("a", at(0)), run("b", at(0), pipeline=2), run("c", at(0), pipeline=0x33)],
        pipelines=known,
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
    assert list(reports.pass_rates(database, branches=["dev", ""])["finished"]) == [2]
    assert list(reports.pass_rates(database, branches=[None])["finished"]) == [1]


def test_an_unknown_branch_is_an_error_that_names_the_nearest(database: Database) -> None:
    fill(database, [run("a", at(0)), run("b", at(50), branch="develop")])
    for asked in ({}, {"since": at(40)}, {"pipelines": "build"}):
        with pytest.raises(ConfigError, match="no run on the branch 'devlop'; did you mean 'deve"):
            reports.pass_rates(database, branches=["main", "devlop"], **asked)
    with pytest.raises(ConfigError, match="no run on the branch 'x'; known: develop, main"):
        reports.html(database, branches="x")
    with pytest.raises(ConfigError, match="no run on the branch ''"):
        reports.compare(database, since=at(40), branches="")
    # A branch that is known, but not in the window, is no mistake.
    assert reports.pass_rates(database, branches="develop", until=at(40)).empty


def test_default_means_each_pipelines_default_branch(database: Database) -> None:
    runs = [
        run(f"{p}-{branch}", at(0), pipeline=p, branch=branch)
        for p in (1, 2, 3)
        for branch in ("develop", "trunk-2", None)
    ]
    known = [pipeline(1, "one"), pipeline(2, "two"), pipeline(3, "three")]
    fill(database, runs, pipelines=known)
    with pytest.raises(ConfigError, match="no run on the branch 'default'"):
        reports.pass_rates(database, branches="default")
    with database.write() as connection:
        for number, name in ((1, "develop"), (2, "trunk-2")):
            told = sa.update(pipelines).values(default_branch=name)
            connection.execute(told.where(pipelines.c.id == number))
    frame = reports.pass_rates(database, branches="default", by=["pipeline", "branch"])
    assert list(zip(frame["pipeline"], frame["branch"], strict=True)) == [
        ("one", "develop"),
        ("two", "trunk-2"),
    ]
    both = reports.pass_rates(database, branches=["default", ""], by=["pipeline"])
    assert list(both["finished"]) == [2, 1, 2]


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


NAMES = st.sampled_from(["build", "build (aaaaaaaa)", "build (b)", "build (aaaaaaaab)"])
IDS = st.sampled_from(["aaaaaaaa", "aaaaaaaab", "aaaaaaaabb", "aaaaaaaac", "b"])


@given(
    st.lists(st.tuples(st.sampled_from("wx"), IDS, NAMES), max_size=7, unique_by=lambda t: t[:2])
)
def test_no_two_pipelines_have_one_label(rows: list[tuple[str, str, str]]) -> None:
    known = labelled((n, *row) for n, row in enumerate(rows, 1))
    assert len({p.label for p in known}) == len(rows)
    names = [row[2] for row in rows]
    assert all(p.label == p.name for p in known if names.count(p.name) == 1)


LABELS = {
    # As much of the id as tells it from the others of that name, and eight characters at least.
    (1, "w", "aaaaaaaab1", "build"): "build (aaaaaaaab)",
    (2, "w", "aaaaaaaac1", "build"): "build (aaaaaaaac)",
    (3, "w", "zzzzzzzzz1", "build"): "build (zzzzzzzz)",
    (4, "w", "zzzzzzzzz2", "lint"): "lint",
    # The source too, where two have one id there.
    (5, "w", "1", "test"): "test (w 1)",
    (6, "x", "1", "test"): "test (x 1 #1)",
    (7, "w", "7", "test (x 1)"): "test (x 1)",
    # A name and an id that read as another name and its id.
    (8, "w", "b) (cccc...", "odd"): "odd (b) (cccc)",
    (9, "w", "9", "odd"): "odd (9)",
    (10, "w", "cccc", "odd (b)"): "odd (b) (w cccc)",
    (11, "w", "d", "odd (b)"): "odd (b) (d)",
}


def test_a_label_is_as_short_as_it_can_be(sqlite: Database) -> None:
    with sqlite.write() as connection:
        for id, source, external_id, name in LABELS:
            row = {"id": id, "source": source, "external_id": external_id, "name": name}
            connection.execute(sa.insert(pipelines).values(row))
    assert labels_by_id(sqlite.rows) == {row[0]: label for row, label in LABELS.items()}


def test_a_name_that_looks_like_a_label_does_not_merge_two_pipelines(sqlite: Database) -> None:
    known = [pipeline(1, "build"), pipeline(2, "build"), pipeline(3, "build (00000001)")]
    runs = [run(f"r{n}", at(0), pipeline=n) for n in (1, 2, 3)]
    fill(sqlite, runs, pipelines=known)
    assert list(reports.pass_rates(sqlite)["finished"]) == [1, 1, 1]


def test_a_unique_beginning_of_a_name_chooses_a_pipeline(sqlite: Database) -> None:
    fill(sqlite, pipelines=[pipeline(1, "build"), pipeline(2, "deploy"), pipeline(3, "demo")])
    known = labelled([(1, "w", "1", "build"), (2, "w", "2", "deploy"), (3, "w", "3", "demo")])
    assert [p.name for p in chosen(known, "dep") or ()] == ["deploy"]
    with pytest.raises(
        ConfigError, match=r"'de' is the beginning of several pipelines: demo \(3\)"
    ):
        chosen(known, "de")


def test_an_unknown_pipeline_is_told_what_is_known() -> None:
    for number, end in (
        (12, "build 11, build 12"),
        (13, "build 12 and 1 more; `runsync pipelines` lists all"),
        (30, "build 12 and 18 more; `runsync pipelines` lists all"),
    ):
        known = labelled([(n, "w", f"id{n}", f"build {n:02}") for n in range(1, number + 1)])
        with pytest.raises(ConfigError, match=rf"known: build 01, .*, {end}$"):
            chosen(known, "zzz")
    assert [p.name for p in chosen(known, 7) or ()] == ["build 07"]  # one alone, by its number
    one = known[:1]
    for word, said in (("bild 01", "; did you mean 'build 01'?"), (7, "; known: build 01, id1")):
        with pytest.raises(ConfigError) as caught:
            chosen(one, word)
        assert str(caught.value) == f"there is no pipeline {word!r}{said}"
    with pytest.raises(ConfigError, match=r"^there is no pipeline ''; known: build 01, id1$"):
        chosen(one, "")  # which every name begins with
    with pytest.raises(ConfigError, match=r"^there is no pipeline 'x'$"):
        chosen((), "x")

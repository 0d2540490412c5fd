"""What the steps of runs say together: one value for each run, and the steps of one run of each."""

from pathlib import Path

import pandas as pd
import pytest

from runsync.archive.export import export
from runsync.reports.load import open_reader
from runsync.reports.profiles import profiles_of
from runsync.reports.query_spec import QuerySpec
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, run, step

SAID: dict[str, list[tuple[str, str | None]]] = {
    "a": [("x", None), ("y", None)],
    "b": [("x", None), ("y", None)],
    "c": [("xy", None)],
    "d": [("x", "y")],
    "e": [("1:x", None)],
    "f": [("x", None), ("x", None)],
    "g": [("x", None)],
    "h": [("x1:y", None)],
}
"""Names of steps and of their jobs, which put together may look alike; by their run."""


def told(db: Database | str) -> dict[str, int]:
    """The profile of each run, in the order of a run of its own for each."""
    with open_reader(db) as reader:
        query = reader.query(QuerySpec())
        runs, steps = profiles_of(reader, query, ["commit_hash"], ["name", "job"])
    assert sorted(steps["profile"].unique()) == sorted(runs["profile"].unique())
    of_each = steps.astype(object).groupby("profile")
    for commit, profile in zip(runs["commit_hash"], runs["profile"], strict=True):
        found = of_each.get_group(profile)[["name", "job"]].itertuples(index=False, name=None)
        plain = [(name, None if pd.isna(job) else job) for name, job in found]
        assert sorted(plain, key=str) == sorted(SAID[commit], key=str)
    return dict(zip(runs["commit_hash"], runs["profile"], strict=True))


@pytest.fixture
def filled(database: Database) -> Database:
    runs = {name: run(name, at(n), commit_hash=name) for n, name in enumerate(SAID)}
    steps = [
        step(runs[one], k, name, job=job)
        for one, said in SAID.items()
        for k, (name, job) in enumerate(said)
    ]
    fill(database, [*runs.values()], steps)
    return database


def test_runs_that_say_the_same_have_one_profile_and_no_others_have(filled: Database) -> None:
    found = told(filled)
    assert found["a"] == found["b"]
    assert len(set(found.values())) == len(SAID) - 1


def test_it_is_so_in_an_archive_too(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path / "archive")
    found = told(f"archive:{tmp_path / 'archive'}")
    assert found["a"] == found["b"]
    assert len(set(found.values())) == len(SAID) - 1

"""One part or many, cut anywhere and merged in any order: the same frame, to the last digit."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.archive.export import export
from runsync.reports.columns import finished
from runsync.reports.coverage_notes import Coverage
from runsync.reports.definitions import REPORTS
from runsync.reports.load import Reader, open_reader
from runsync.reports.parts import merged_parts
from runsync.reports.query_spec import By, Query, QuerySpec
from runsync.reports.report import Frames, Report, Workers
from runsync.storage.database import Database
from tests.reports.database_rows import at, fill, pipeline, run, step
from tests.reports.test_oracles import FEWER, PERIODS, ZONES, History, histories, stored

SINCE = st.none() | st.integers(0, 40).map(at)


def in_parts(reader: Reader, report: Report, asked: QuerySpec, rng: Random) -> pd.DataFrame:
    """The report made of many small parts, merged in a random order, some of them beforehand."""
    query = reader.query(asked, report)
    parts = reader.parts(query, whole_pipelines=report.whole_pipelines)
    loaded = [report.load(reader, part) for part in parts]
    rng.shuffle(loaded)
    cut = rng.randint(0, len(loaded))
    if 0 < cut < len(loaded):
        loaded = [merged_parts(loaded[:cut]), *loaded[cut:]]
    table = report.figures(query, *merged_parts(loaded))
    return finished(table, report, query, Coverage(reader))


@FEWER
@given(
    history=histories(), size=st.integers(2, 12), seed=st.integers(0, 999), since=SINCE,
    every=PERIODS, zone=st.sampled_from(ZONES),
)  # fmt: skip
def test_many_parts_make_the_frame_of_one(
    sqlite: Database, history: History, size: int, seed: int, since: Any, every: Any, zone: str
) -> None:
    stored(sqlite, history)
    rng = Random(seed)
    for name, report in REPORTS.items():
        keys = rng.sample(report.keys, rng.randint(0, 4))
        keys = [*keys, "pipeline"] if rng.random() < 0.3 and "pipeline" not in keys else keys
        ask: dict[str, Any] = {"by": keys, "every": every, "tz": zone, "since": since}
        prices = {"ubuntu*": 0.3, "mac*": 0.7}
        ask |= {"prices": prices} if "prices" in report.takes else {}
        whole = getattr(reports, name)(sqlite, **ask)
        with open_reader(sqlite) as reader:
            reader.part_runs = size
            found = in_parts(reader, report, QuerySpec(**ask), rng)
        pd.testing.assert_frame_equal(found, whole, check_exact=True, obj=name)
        with pytest.MonkeyPatch.context() as patch:  # where some are finished by pipeline
            patch.setattr("runsync.reports.load.PART_RUNS", size)
            patch.setattr("runsync.reports.load.RUNS_ALONE", 1)
            found = getattr(reports, name)(sqlite, **ask)
        pd.testing.assert_frame_equal(found, whole, check_exact=True, obj=name)


@pytest.mark.parametrize("since", [None, at(-1), at(3)])
@pytest.mark.parametrize("size", [1, 3, 10])
def test_parts_hold_every_run_once_and_no_more_than_they_may(
    database: Database, since: Any, size: int
) -> None:
    times = Counter({1: 17, 2: 2, 3: 1, 5: 4})
    runs = [
        run(f"{n}-{k}", at(k // 3), pipeline=n)
        for n, number in times.items()
        for k in range(number)
    ]
    fill(database, runs, pipelines=[pipeline(n, f"p{n}") for n in range(1, 6)])
    for chosen in (None, [1, 5], [4]):
        spec = QuerySpec(since=since, pipelines=chosen and [f"p{n}" for n in chosen])
        with open_reader(database) as reader:
            reader.part_runs = size
            query = reader.query(spec)
            wanted = reader.runs(query, ["pipeline_id", "id"])
            for whole in (False, True):
                parts = reader.parts(query, whole_pipelines=whole)
                held = [reader.runs(part, ["pipeline_id", "id"]) for part in parts]
                together = pd.concat([frame.astype(object) for frame in held])
                assert sorted(together.itertuples(index=False, name=None)) == sorted(
                    wanted.astype(object).itertuples(index=False, name=None)
                )
                of = [set(frame["pipeline_id"]) for frame in held]
                if whole:
                    assert sum(map(len, of)) == len(set().union(*of))
                elif since != at(-1):  # runs of one moment stay together
                    assert all(len(frame) <= max(size, 9) for frame in held)
                if size == 3 and chosen is None and since is None:
                    assert len(parts) > 3 - whole


def test_a_small_window_is_one_part(sqlite: Database) -> None:
    fill(sqlite, [run("a", at(0)), run("b", at(1))])
    with open_reader(sqlite) as reader:
        query = reader.query(QuerySpec())
        assert reader.parts(query, whole_pipelines=False) == [query]


def test_parts_of_all_history_are_read_by_the_key_and_those_of_a_window_by_creation(
    sqlite: Database, statement_plans: list[str]
) -> None:
    """Of all history, what asks nothing of runs does not look at them."""
    runs = [run(f"r{n:02}", at(n)) for n in range(20)]
    fill(sqlite, runs, [step(one, 1, "test") for one in runs])
    report = REPORTS["step_durations"]
    for since, told in (
        (None, "SEARCH s USING PRIMARY KEY (pipeline_id=? AND run_id>? AND run_id<?)"),
        (
            at(2),
            "SEARCH r USING INDEX ix_runs_created_at (created_at>? AND created_at<?); SEARCH s",
        ),
    ):
        with open_reader(sqlite) as reader:
            reader.part_runs = 5
            query = reader.query(QuerySpec(since=since), report)
            part = reader.parts(query, whole_pipelines=False)[1]
            statement_plans.clear()
            report.load(reader, part)
        (plan,) = statement_plans
        assert plan.startswith(told), plan


def test_a_pipeline_without_a_run_in_the_window_is_in_a_part_all_the_same(
    sqlite: Database,
) -> None:
    """What had broken there before the window is broken still."""
    runs = [run("ok", at(0), "passed"), run("no", at(1), "failed")]
    runs += [run(f"r{n}", at(10 + n), pipeline=2) for n in range(5)]
    fill(sqlite, runs, pipelines=[pipeline(1, "quiet"), pipeline(2, "busy")])
    report = REPORTS["recoveries"]
    asked = QuerySpec(since=at(5))
    with open_reader(sqlite) as reader:
        reader.part_runs = 2
        found = in_parts(reader, report, asked, Random(1))
    assert found["pipeline"].tolist() == ["quiet"]


@pytest.mark.parametrize("by", [("pipeline",), ("branch", "pipeline")])
@pytest.mark.parametrize("name", ["step_durations", "step_failures", "flaky_steps"])
@pytest.mark.parametrize("workers", [1, "auto"])
def test_pipelines_that_are_finished_apart_are_in_order(
    sqlite: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    by: tuple[By, ...],
    workers: Workers,
) -> None:
    """By their names, whatever their numbers; and so are what stands before them."""
    runs = [
        run(f"r{n}-{k}", at(k), pipeline=n, branch="ba"[k % 2], commit_hash="c")
        for n in (1, 2, 3)
        for k in range(4)
    ]
    steps = [step(r, k, f"s{k}", 9 - k) for r in runs for k in range(3)]
    names = {1: "zeta", 2: "alpha", 3: "mu"}
    fill(sqlite, runs, steps, pipelines=[pipeline(*one) for one in names.items()])
    whole = getattr(reports, name)(sqlite, by=by)
    database: Any = sqlite
    if workers == "auto":  # of an archive that is one process too
        export(sqlite, tmp_path / "archive")
        database = f"archive:{tmp_path}/archive"
    monkeypatch.setattr("runsync.reports.load.PART_RUNS", 4)
    monkeypatch.setattr("runsync.reports.load.RUNS_ALONE", 1)
    monkeypatch.setattr("runsync.reports.load.PART_RUNS_IN_GROUPS", 4)
    asked: list[Query] = []
    gather = Report.gather

    def watched(report: Report, reader: Reader, query: Query) -> Frames:
        asked.append(query)
        return gather(report, reader, query)

    monkeypatch.setattr(Report, "gather", watched)
    found = getattr(reports, name)(database, by=by, workers=workers)
    assert [one.pipeline_ids for one in asked] == [(1,), (2,), (3,)]
    pd.testing.assert_frame_equal(found, whole, check_exact=True)

"""Reports over an archive: the same figures as over the database that it was exported from."""

import itertools
import re
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.archive.duck import open_archive
from runsync.archive.export import export
from runsync.errors import ArchiveError, ConfigError, DatabaseError
from runsync.reports.definitions import REPORTS
from runsync.reports.load import open_reader
from runsync.reports.query_spec import QuerySpec
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.storage.schema import HEAD
from runsync.storage.tables import v_runs, v_steps
from tests.effort import effort
from tests.reports.database_rows import at, cover, empty, fill, pipeline, run, step
from tests.reports.test_parts import in_parts

MONTHS = 5e6
"""Seconds whose milliseconds do not fit in 32 bits."""
RESULTS = ("passed", "failed", "aborted", "skipped", "unknown")
ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"by": ("branch",), "branches": ["", "a\\b'c%d:e", "main"]},
    {"by": ("weekday", "hour"), "every": "month", "tz": "Asia/Kathmandu"},
    {"since": at(20), "until": at(65), "every": "week", "pipelines": [2]},
    {"branches": ["default"]},
    {"busy": True},
    {"result": "passed", "by": ("pipeline", "source")},
    {"prices": {"ubuntu-*": 2.0}, "by": ("event", "author")},
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Runs of two pipelines in three months, with their steps."""
    words = st.none() | st.sampled_from(["main", "", "Zeta", "ä", "a\\b'c%d:e"])
    some = st.none() | st.floats(0, 99) | st.just(MONTHS)
    runs = []
    for number in range(draw(st.integers(1, 10))):
        first = f"r{number}"
        for attempt in range(1, draw(st.integers(1, 2)) + 1):
            created = at(draw(st.floats(0, 80)))
            runs.append(
                run(
                    first if attempt == 1 else f"{first}.{attempt}", created,
                    draw(st.sampled_from(RESULTS)), pipeline=draw(st.integers(1, 2)),
                    attempt=attempt, queued=draw(some), took=draw(some), branch=draw(words),
                    author=draw(words), commit_hash=draw(words), event=draw(words),
                    status=draw(st.sampled_from(["finished", "finished", "finished", "running"])),
                    outcome=draw(st.sampled_from([None, "error", "failure"])),
                    extra=draw(st.sampled_from([None, {"duration": 1.5}, {"duration": "x"}, {}])),
                )
            )  # fmt: skip
    runs = list({(r["pipeline_id"], r["id"]): r for r in runs}.values())
    steps = [
        step(
            r, place, draw(st.sampled_from(["Build", "apt", "Übung"])), draw(some),
            draw(st.sampled_from(RESULTS)), job=draw(words),
            runner=draw(st.sampled_from([None, "ubuntu-1", "mac"])),
            extra=draw(st.sampled_from([None, {"retried": True}, {"retried": False}])),
            created_at=draw(st.sampled_from([None, r["created_at"]])),
        )
        for r in runs
        for place in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    return runs, steps


def stored(database: Database, history: tuple[list[Any], list[Any]]) -> None:
    empty(database)
    with database.write() as connection:
        connection.execute(sa.text("DELETE FROM months"))
    fill(database, *history, pipelines=[pipeline(1), pipeline(2, "o'x\\y", source="other")])
    cover(database, (at(10), at(40)), (at(45), at(60)), pipelines=[1, 2], synced=at(81))


def answer(name: str, db: Any, asked: dict[str, Any]) -> Any:
    """The report's frame, or what it says where there is none."""
    try:
        return getattr(reports, name)(db, **asked)
    except ConfigError as error:
        return str(error).replace("database", "archive")


def assert_same(name: str, one: Any, other: Any, asked: dict[str, Any]) -> None:
    ours, theirs = answer(name, one, asked), answer(name, other, asked)
    if isinstance(ours, str):
        assert ours == theirs
    else:
        pd.testing.assert_frame_equal(ours, theirs)


@effort(4)
@given(history=histories())
def test_every_report_is_the_same(
    sqlite: Database, tmp_path_factory: pytest.TempPathFactory, history: Any
) -> None:
    stored(sqlite, history)
    place = tmp_path_factory.mktemp("archive")
    export(sqlite, place)
    archive = f"archive:{place}"
    for (name, report), asked in itertools.product(REPORTS.items(), ASKED):
        if {"busy", "result", "prices"} & set(asked) <= set(report.takes):
            assert_same(name, sqlite, archive, asked)
    for window in ({}, {"since": at(30), "until": at(70), "compared": True}):
        assert reports.lacking(sqlite, **window) == reports.lacking(archive, **window)  # type: ignore[arg-type]
    assert_same("compare", sqlite, archive, {"since": at(20), "until": at(60)})


@pytest.mark.parametrize(("longest", "size"), [(9, 9), (MONTHS, 99)])
def test_parts_of_any_size_and_durations_of_any_length_are_the_same(
    sqlite: Database, tmp_path: Path, longest: float, size: int
) -> None:
    """An archive's values come in lists, of 32 bits where all of them fit."""
    runs = [
        run(f"r{n}", at(n), RESULTS[n % 3], took=n, pipeline=1 + n % 2, branch="ab"[n % 3 == 0])
        for n in range(30)
    ]
    steps = [
        step(one, place, name, took, RESULTS[(n + place) % 4], runner=name)
        for n, one in enumerate(runs)
        for place, (name, took) in enumerate([("Build", n), ("apt", longest), ("ä", None)])
    ]
    stored(sqlite, (runs, steps))
    export(sqlite, tmp_path)
    for report in REPORTS.values():
        asked = QuerySpec(by=("pipeline", "branch"))
        whole = report.frame(sqlite, asked)
        with open_reader(f"archive:{tmp_path}") as reader:
            reader.part_runs = size
            found = in_parts(reader, report, asked, Random(size))
        pd.testing.assert_frame_equal(found, whole, check_exact=True, obj=report.name)


@effort(16)
@given(history=histories())
def test_the_views_hold_the_same(
    sqlite: Database, tmp_path_factory: pytest.TempPathFactory, history: Any
) -> None:
    """Every column of every row: what counts as what is said twice, and must be one."""
    stored(sqlite, history)
    place = tmp_path_factory.mktemp("archive")
    export(sqlite, place)
    with open_archive(place) as archive, sqlite.read() as connection:
        for view in (v_runs, v_steps):
            columns = [c for c in view.c if c.name != "extra"]
            order = [view.c.pipeline_id, view.c.id if view is v_runs else view.c.run_id, view.c.id]
            query = sa.select(*columns).order_by(*order)
            ours = [tuple(row) for row in connection.execute(query)]
            theirs = [tuple(row) for row in archive.rows(query)]
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                assert rounded(one) == rounded(other)


def rounded(row: tuple[Any, ...]) -> list[Any]:
    """Seconds to the millisecond, as SQLite's own view has a step's wait."""
    return [round(value, 3) if isinstance(value, float) else value for value in row]


@pytest.fixture
def archive(sqlite: Database, tmp_path: Path) -> Path:
    runs = [run(f"r{n}", at(n), "failed" if n % 3 else "passed") for n in range(80)]
    stored(sqlite, (runs, [step(r, 1, "build") for r in runs]))
    export(sqlite, tmp_path / "history")
    return tmp_path / "history"


def test_an_archive_at_a_url_tells_the_same(sqlite: Database, archive: Path, bucket: str) -> None:
    export(sqlite, f"{bucket}/ci")
    for name in ("pass_rates", "step_durations", "broken_branches"):
        assert_same(
            name,
            f"archive:{archive}",
            f"archive:{bucket}/ci",
            {"every": "month"} if name != "broken_branches" else {},
        )


def test_an_empty_archive_is_an_empty_history(sqlite: Database, tmp_path: Path) -> None:
    export(sqlite, tmp_path)
    for name in REPORTS:
        assert getattr(reports, name)(f"archive:{tmp_path}").empty, name


def test_its_page_is_the_database_s(sqlite: Database, archive: Path) -> None:
    pages = [reports.html(one, until=at(81)) for one in (f"archive:{archive}", sqlite)]
    archived, stored = (re.sub(r"[-\d]+ \d\d:\d\d UTC</p>", "made now", page) for page in pages)
    assert archived == stored
    assert "made now" in stored


def test_files_of_an_older_schema_lack_its_columns(
    sqlite: Database, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that a revision has brought since are null, until the rows are exported again."""
    import json

    import pyarrow.parquet as pq

    state = json.loads((archive / "_runsync.json").read_text())
    for number, (stem, *_, revision) in enumerate(state["files"]):
        path = archive / "runs" / f"{stem}.parquet"
        assert revision == HEAD
        if number == 0:
            pq.write_table(pq.read_table(path).drop_columns(["event"]), path)
            state["files"][0][1:] = [path.stat().st_size, state["files"][0][2], "0003"]
    (archive / "_runsync.json").write_text(json.dumps(state))
    found = reports.pass_rates(f"archive:{archive}", by=("event",))
    assert found["event"].isna().tolist() == [False, True]
    assert found["finished"].sum() == 80


@pytest.mark.parametrize("asked", ["pass_rates", "step_durations"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "another"])
def test_of_a_damaged_archive_nothing_is_told(archive: Path, asked: str, damage: str) -> None:
    for table in ("runs", "steps"):
        path = sorted((archive / table).iterdir())[0]
        content = path.read_bytes()
        path.write_bytes(
            content[:-9]
            if damage == "cut"
            else content[:4] + b"\xff" * (len(content) - 40) + content[-36:]
        )
        if damage == "missing":
            path.unlink()
        if damage == "another":  # whole, but of another month
            path.write_bytes(sorted((archive / table).iterdir())[-1].read_bytes())
    with pytest.raises(ArchiveError) as raised:
        getattr(reports, asked)(f"archive:{archive}")
    assert str(archive) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_archive_that_is_written_to_meanwhile_is_said(sqlite: Database, archive: Path) -> None:
    with open_archive(archive) as opened:
        with sqlite.write() as connection:
            connection.execute(sa.update(RunRow).values(message="new"))
        export(sqlite, archive)
        with pytest.raises(ArchiveError, match="was written to while it was read; try again"):
            opened.rows(sa.select(sa.func.count(v_runs.c.message)))


def test_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"there is no archive at .*nowhere; `runsync export"):
        reports.pass_rates(f"archive:{tmp_path}/nowhere")


def test_without_duckdb_the_extra_is_named(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"pip install 'runsync\[archive\]'"):
        reports.pass_rates(f"archive:{archive}")


def test_memory_is_limited(archive: Path) -> None:
    """To 64 MB for each processor."""
    with open_archive(archive) as opened:
        found = opened.connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads')"
        ).fetchone()
    assert found is not None
    limit, threads = found
    assert float(limit.removesuffix(" MiB")) == pytest.approx(64e6 * max(2, threads) / 2**20, 1e-2)

"""``runsync export``: every row, once, and again only where something has changed."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update

from runsync.archive.export import export
from runsync.archive.location import FolderLocation
from runsync.archive.manifest import read_manifest
from runsync.archive.rows import OF_RUN
from runsync.archive.summary import Summary
from runsync.errors import ConfigError
from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from tests.cli.rows_by_hand import add_pipeline, add_runs

pytest.importorskip("pyarrow")

JANUARY, MARCH = datetime(2024, 1, 31, 23, 59, 59, 999_000, UTC), datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database)
    return database


def fill(database: Database) -> None:
    build = add_pipeline(database, "p1", "build")
    add_runs(database, build, [JANUARY, JANUARY, MARCH], message="=1+1\n\x1b[31mred")
    add_runs(database, add_pipeline(database, "p2", "a/b ../ü"), [MARCH], steps=0)


def files(folder: Path, suffix: str = "parquet") -> list[str]:
    """The paths of the files; without the part of a name that says its content."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob(f"*.{suffix}"))
    return sorted(re.sub(r"-[0-9a-f]{10}(?=\.)", "", name) for name in found)


def parquet(folder: Path, table: str) -> list[dict[str, Any]]:
    """Every row of a table, as any reader of a folder of Parquet files sees them."""
    import pyarrow.dataset as ds

    rows: list[dict[str, Any]] = ds.dataset(folder / table).to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["pipeline_id"], row.get("run_id", ""), row["id"]))


def stored(database: Database, model: Any) -> list[dict[str, Any]]:
    with database.read() as connection:
        rows = [dict(r) for r in connection.execute(select(model.__table__)).mappings()]
    return sorted(rows, key=lambda row: (row["pipeline_id"], row.get("run_id", ""), row["id"]))


def test_every_row_is_in_the_files(filled: Database, tmp_path: Path) -> None:
    summary = export(filled, tmp_path / "out")
    assert summary == Summary(written=3, unchanged=0, runs=4, steps=6)
    for table, model in {"runs": RunRow, "steps": StepRow}.items():
        found, expected = parquet(tmp_path / "out", table), stored(filled, model)
        assert len(found) == len(expected)
        for row, wanted in zip(found, expected, strict=True):
            row["extra"] = json.loads(row["extra"]) if row["extra"] else None
            assert {name: row[name] for name in wanted} == wanted


def test_a_step_tells_what_its_run_is_grouped_by(filled: Database, tmp_path: Path) -> None:
    with filled.write() as connection:
        connection.execute(update(RunRow).values(branch=RunRow.id, event="push", number="7"))
    export(filled, tmp_path)
    runs = {(r["pipeline_id"], r["id"]): r for r in parquet(tmp_path, "runs")}
    steps = parquet(tmp_path, "steps")
    assert len(steps) == 6
    for step in steps:
        run = runs[step["pipeline_id"], step["run_id"]]
        for name, column in OF_RUN.items():
            assert step[name] == run[column], name
    assert {step["branch"] for step in steps} == {"r0", "r1", "r2"}


def test_the_pipelines_of_a_month_of_creation_in_utc_share_a_file(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    assert files(tmp_path) == [
        "pipelines.parquet",
        "runs/2024-01-0.parquet",
        "runs/2024-03-0.parquet",
        "steps/2024-01-0.parquet",
        "steps/2024-03-0.parquet",
    ]
    import pyarrow.parquet as pq

    names = pq.read_table(tmp_path / "pipelines.parquet").to_pylist()
    assert [row["name"] for row in names] == ["build", "a/b ../ü"]


def test_rows_are_in_the_order_of_their_keys(filled: Database, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    add_runs(filled, 1, [MARCH + timedelta(days=9, hours=-n) for n in range(5)], prefix="x")
    export(filled, tmp_path)
    orders = {
        "runs": ("pipeline_id", "created_at", "id"),
        "steps": ("pipeline_id", "run_created_at", "run_id", "position", "id"),
    }
    for table, order in orders.items():
        for path in (tmp_path / table).iterdir():
            keys = [tuple(row[n] for n in order) for row in pq.read_table(path).to_pylist()]
            assert keys == sorted(keys)


def test_only_what_has_changed_is_written_again(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert export(filled, tmp_path) == Summary(unchanged=3)
    later = MARCH + timedelta(days=5)
    with filled.write() as connection:
        change = update(RunRow).where(RunRow.created_at == JANUARY, RunRow.id == "r1")
        connection.execute(change.values(last_seen_at=later, result="failed"))
    assert export(filled, tmp_path) == Summary(written=1, unchanged=2, runs=2, steps=4)
    touched = {p for p, at in before.items() if not p.exists() or p.stat().st_mtime_ns != at}
    assert {path.name[:7] for path in touched} == {"2024-01", "pipelin"}
    assert [row["result"] for row in parquet(tmp_path, "runs")] == [
        "passed", "failed", "passed", "passed",
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["last_seen_at", "steps_synced_at", "vanished_at"])
def test_each_way_to_change_is_noticed(filled: Database, tmp_path: Path, column: str) -> None:
    """Also a change that moves no maximum: the newest run of the month stays the newest."""
    export(filled, tmp_path)
    with filled.write() as connection:
        change = update(RunRow).where(RunRow.created_at == JANUARY, RunRow.id == "r0")
        connection.execute(change.values({column: JANUARY + timedelta(hours=1)}))
    assert export(filled, tmp_path).written == 1


def test_what_the_database_lost_stays_in_the_files(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    before = parquet(tmp_path, "runs")
    with filled.write() as connection:
        connection.execute(delete(StepRow))
        connection.execute(delete(RunRow))
    assert export(filled, tmp_path) == Summary()
    assert parquet(tmp_path, "runs") == before


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_runs_of_a_month_that_another_copy_of_the_database_lacks_stay(
    filled: Database, tmp_path: Path, format: str
) -> None:
    """A copy that was put back, or a new file that was synced with a later ``since``."""
    export(filled, tmp_path, format=format)
    with filled.write() as connection:
        mine = (RunRow.created_at == JANUARY, RunRow.id == "r0")
        connection.execute(delete(StepRow).where(StepRow.run_id == "r0"))
        connection.execute(delete(RunRow).where(*mine))
        connection.execute(update(RunRow).where(RunRow.id == "r1").values(message="new"))
    assert export(filled, tmp_path, format=format).written == 1
    read = parquet if format == "parquet" else csv_rows
    found = [(row["id"], row["message"][-3:]) for row in read(tmp_path, "runs")]
    assert found == [("r0", "red"), ("r1", "new"), ("r2", "red"), ("r0", "age")]
    assert len(read(tmp_path, "steps")) == 6


def csv_rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """Every row of a table of an export as CSV."""
    rows = []
    for path in sorted((folder / table).rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return sorted(rows, key=lambda row: (int(row["pipeline_id"]), row.get("run_id", ""), row["id"]))


def test_a_renamed_pipeline_costs_no_rows(filled: Database, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    export(filled, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*-*.parquet")}
    with filled.write() as connection:
        change = update(PipelineRow).where(PipelineRow.external_id == "p1")
        connection.execute(change.values(name="compile"))
    assert export(filled, tmp_path) == Summary(unchanged=3)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*-*.parquet")}
    names = pq.read_table(tmp_path / "pipelines.parquet").to_pylist()
    assert names[0]["name"] == "compile"


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4, 5])
def test_an_export_that_was_killed_is_made_good(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    fill(sqlite)
    folder = tmp_path / "out"
    export(sqlite, folder)
    before = parquet_by_manifest(folder)
    with sqlite.write() as connection:
        connection.execute(update(RunRow).values(message="new"))
    real, calls = Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == kill_at:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            export(sqlite, folder)
    assert parquet_by_manifest(folder) == before  # as if nothing had been begun
    export(sqlite, folder)
    assert {row["message"] for row in parquet(folder, "runs")} == {"new"}
    assert len(parquet(folder, "runs")) == 4
    assert len(parquet(folder, "steps")) == 6
    assert [path.name for path in folder.rglob(".*")] == ["._runsync.lock"]


def parquet_by_manifest(folder: Path) -> list[dict[str, Any]]:
    """The runs of the files that the manifest names, and no others."""
    import pyarrow.parquet as pq

    manifest = read_manifest(FolderLocation(folder))
    paths = [folder / path for path in sorted(manifest.paths()) if path.startswith("runs")]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_csv(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path, format="csv")
    text = (tmp_path / "runs/pipeline=build/month=2024-01/runs.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == ["r0", "r1"]
    assert rows[0]["pipeline"] == "build"
    assert rows[0]["message"] == "'=1+1\n\\x1b[31mred"
    assert rows[0]["created_at"] == "2024-01-31T23:59:59.999Z"
    assert json.loads(rows[0]["extra"]) == {"a": [1, "ü"]}
    assert (rows[0]["settled"], rows[0]["branch"]) == ("true", "")


def test_a_folder_holds_one_format(sqlite: Database, tmp_path: Path) -> None:
    fill(sqlite)
    export(sqlite, tmp_path, format="csv")
    with pytest.raises(ConfigError, match="holds an export as csv"):
        export(sqlite, tmp_path)


def test_parts_of_a_month_make_one_file(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runsync.archive.rows.AT_ONCE", 2)
    monkeypatch.setattr("runsync.archive.parquet_files.ROW_GROUP", 3)
    assert export(filled, tmp_path) == Summary(written=3, runs=4, steps=6)
    assert len(parquet(tmp_path, "steps")) == 6


@pytest.fixture
def no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    return iter(())


@pytest.mark.usefixtures("no_pyarrow")
def test_without_pyarrow_the_extra_is_named(sqlite: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'runsync\[parquet\]'"):
        export(sqlite, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(sqlite, tmp_path / "out", format="csv")


firsts = st.builds(lambda y, m: datetime(y, m, 1, tzinfo=UTC), st.just(2024), st.integers(1, 4))
months = firsts | st.datetimes(datetime(1999, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(times=st.lists(months, max_size=8))
def test_whatever_the_months_each_run_is_in_its_own(
    sqlite: Database, tmp_path_factory: pytest.TempPathFactory, times: list[datetime]
) -> None:
    with sqlite.write() as connection:
        for table in ("steps", "runs", "pipelines"):
            connection.execute(text(f"DELETE FROM {table}"))
    if times:
        add_runs(sqlite, add_pipeline(sqlite, "p", "p"), times, steps=1)
    folder = tmp_path_factory.mktemp("export")
    assert export(sqlite, folder, format="csv").runs == len(times)
    found = []
    for path in (folder / "runs").rglob("runs.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["created_at"][:7] for row in rows} == {path.parent.name.removeprefix("month=")}
        found += rows
    assert len(found) == len(times)

"""An archive's files: what stays, what is replaced, who may write, and what is said of damage."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from runsync.archive.checksums import RunChecksums, as_text
from runsync.archive.export import export
from runsync.archive.location import FolderLocation, located
from runsync.archive.manifest import ArchivedMonth, read_manifest
from runsync.archive.parquet_files import ArchivedRows
from runsync.archive.rows import COLUMN_NAMES, arrow_rows
from runsync.archive.summary import Summary
from runsync.errors import ArchiveError, ConfigError, LockedError
from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, SetAsideRow, StepRow
from tests.reports.database_rows import at, cover, fill, pipeline, run, step

MONTHS = ["2022-05", "2022-11", "2024-03", "2024-04"]


def days_of(month: str) -> datetime:
    return datetime.fromisoformat(f"{month}-02").replace(tzinfo=UTC)


@pytest.fixture
def filled(sqlite: Database) -> Database:
    """Two pipelines with runs in the same four months, of which a small year is over."""
    runs = [
        run(f"r{n}-{month}", days_of(month) + timedelta(hours=n), pipeline=1 + n % 2)
        for month in MONTHS
        for n in range(4)
    ]
    steps = [step(r, k, name) for r in runs for k, name in enumerate(["build", "test"])]
    fill(sqlite, runs, steps, pipelines=[pipeline(1), pipeline(2, "deploy")])
    return sqlite


def months(place: str | Path) -> dict[tuple[int, str], ArchivedMonth]:
    return read_manifest(located(place)).months


def rows(place: str | Path, table: str) -> list[dict[str, Any]]:
    """All rows by the manifest."""
    location = located(place)
    manifest = read_manifest(location)
    reader = ArchivedRows(location, manifest)
    return [
        row
        for month in manifest.months.values()
        for part in reader.tables(table, month, COLUMN_NAMES[table])
        for row in part.to_pylist()
    ]


def change(database: Database, statement: Any) -> None:
    with database.write() as connection:
        connection.execute(statement)


# What is written.


def test_a_small_year_shares_a_file_and_its_other_months_are_copied(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    files = {key: one.file for key, one in months(tmp_path).items()}
    assert len({file for (_, month), file in files.items() if month.startswith("2022")}) == 1
    before = rows(tmp_path, "steps")
    one = RunRow.id == "r1-2022-05"
    change(filled, update(RunRow).where(one).values(message="changed"))
    assert export(filled, tmp_path) == Summary(written=1, unchanged=7, runs=2, steps=4)
    after = {key: one.file for key, one in months(tmp_path).items()}
    assert {key[1][:4] for key in after if after[key] != files[key]} == {"2022"}
    assert rows(tmp_path, "steps") == before
    assert [r["id"] for r in rows(tmp_path, "runs") if r["message"]] == ["r1-2022-05"]


def test_the_checksum_is_that_of_the_database_s_rows(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    found = months(tmp_path)
    with filled.read() as connection:
        for key, month in found.items():
            sums = RunChecksums()
            for table in ("runs", "steps"):
                for _, part in arrow_rows(connection, table, [key]):
                    sums.add(part, table, COLUMN_NAMES[table])
            assert as_text(sums.total) == month.checksum
            assert (sums.runs, sums.steps) == (month.runs, month.steps)
    assert len({month.checksum for month in found.values()}) == len(found)


def test_what_the_database_lost_is_copied_into_new_files(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    before = rows(tmp_path, "runs"), rows(tmp_path, "steps")
    gone = RunRow.id.like("%2022-05")
    with filled.write() as connection:
        ids = select(RunRow.id).where(gone)
        connection.execute(delete(StepRow).where(StepRow.run_id.in_(ids)))
        connection.execute(delete(RunRow).where(gone))
        connection.execute(update(RunRow).where(RunRow.id == "r0-2022-11").values(message=None))
    assert export(filled, tmp_path).written == 1
    assert (rows(tmp_path, "runs"), rows(tmp_path, "steps")) == before


def test_a_month_is_sealed_once_it_is_covered_and_all_its_runs_have_settled(
    filled: Database, tmp_path: Path
) -> None:
    def sealed() -> set[tuple[int, str]]:
        export(filled, tmp_path)
        return {key for key, month in months(tmp_path).items() if month.sealed}

    assert sealed() == set()
    until = days_of("2024-04") + timedelta(days=1)
    cover(filled, (days_of("2022-06"), until), pipelines=[1])
    assert sealed() == {(1, "2022-11"), (1, "2024-03")}
    one = RunRow.id == "r0-2022-11"
    change(filled, update(RunRow).where(one).values(settled=False))
    assert sealed() == {(1, "2024-03")}
    change(filled, update(RunRow).where(one).values(settled=True))
    aside = {"listing": "x", "pipeline_id": 1, "run_id": "r0-2022-11", "reason": "?", "at": at()}
    change(filled, insert(SetAsideRow).values(aside))
    assert sealed() == {(1, "2024-03")}
    change(filled, delete(SetAsideRow))
    assert sealed() == {(1, "2022-11"), (1, "2024-03")}


def test_an_export_that_finds_nothing_new_writes_nothing(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert export(filled, tmp_path) == Summary(unchanged=8)
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert {p for p in after if after[p] != before.get(p)} <= {tmp_path / "._runsync.lock"}


def test_what_a_killed_export_left_is_taken_away(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    for name in ("2024-03-0-0123456789.parquet", ".2024-03-0-0123456789.parquet.77"):
        (tmp_path / "runs" / name).write_text("half")
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    export(filled, tmp_path)
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    assert "notes.txt" in names
    assert not [name for name in names if "0123456789" in name]


# Layout 1.


def test_an_archive_of_layout_1_is_written_anew_with_what_only_it_holds(
    filled: Database, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with filled.read() as connection:
        key = (2, "2022-05")
        for table in ("runs", "steps"):
            folder = tmp_path / table / "pipeline=deploy" / "month=2022-05"
            folder.mkdir(parents=True)
            parts = [part for _, part in arrow_rows(connection, table, [key])]
            pq.write_table(pa.concat_tables(parts), folder / f"{table}.parquet")
    key_of = f"wercker/{pipeline(2)['external_id']}"
    entry = {"folder": "pipeline=deploy", "months": {"2022-05": "0" * 32}}
    state = {"format": "parquet", "layout": 1, "pipelines": {key_of: entry}}
    (tmp_path / "_runsync.json").write_text(json.dumps(state))
    with pytest.raises(ArchiveError, match=r"has layout 1 .* `runsync export .*` writes it anew"):
        read_manifest(located(tmp_path))
    expected = [r["id"] for r in rows_in(filled) if r["pipeline_id"] == 2]
    with filled.write() as connection:
        ids = select(RunRow.id).where(RunRow.id.like("%2022-05"), RunRow.pipeline_id == 2)
        connection.execute(delete(StepRow).where(StepRow.run_id.in_(ids)))
        connection.execute(delete(RunRow).where(RunRow.id.in_(ids)))
    export(filled, tmp_path)
    assert sorted(r["id"] for r in rows(tmp_path, "runs") if r["pipeline_id"] == 2) == expected
    assert len([r for r in rows(tmp_path, "steps") if r["pipeline_id"] == 2]) == 16
    assert not list(tmp_path.glob("*/pipeline=*"))
    assert months(tmp_path)[key].sealed is False


def rows_in(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        found = connection.execute(select(RunRow.__table__).order_by(RunRow.id)).mappings()
        return [dict(row) for row in found]


# What is refused.


def test_an_archive_of_another_database_is_refused(
    filled: Database, tmp_path: Path, postgres_url: str
) -> None:
    export(filled, tmp_path)
    other = Database(postgres_url)
    fill(other, [run("x", at(), pipeline=7)], pipelines=[pipeline(2), pipeline(7, "deploy")])
    before = (tmp_path / "_runsync.json").read_bytes()
    swapped = {"external_id": pipeline(1)["external_id"]}
    change(other, update(PipelineRow).where(PipelineRow.id == 7).values(swapped))
    with pytest.raises(
        ArchiveError, match=r"is of another database: pipeline 7 is wercker/.* there"
    ):
        export(other, tmp_path)
    change(other, update(PipelineRow).where(PipelineRow.id == 7).values(external_id="new"))
    change(other, update(PipelineRow).where(PipelineRow.id == 2).values(external_id="other"))
    with pytest.raises(ArchiveError, match="is of another database: pipeline 2 is wercker/other"):
        export(other, tmp_path)
    other.close()
    assert (tmp_path / "_runsync.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": "parquet", "layout": 2}'])
def test_a_manifest_that_is_none_is_refused_and_stays(
    filled: Database, tmp_path: Path, content: str
) -> None:
    export(filled, tmp_path)
    (tmp_path / "_runsync.json").write_text(content)
    for act in (lambda: export(filled, tmp_path), lambda: read_manifest(located(tmp_path))):
        with pytest.raises(ArchiveError, match=r"_runsync\.json (cannot be read|is not what)"):
            act()
    assert (tmp_path / "_runsync.json").read_text() == content


def test_a_later_layout_and_another_format_are_refused(filled: Database, tmp_path: Path) -> None:
    later = {"format": "parquet", "layout": 3}
    (tmp_path / "_runsync.json").write_text(json.dumps(later))
    for act in (lambda: export(filled, tmp_path), lambda: read_manifest(located(tmp_path))):
        with pytest.raises(ArchiveError, match="a newer runsync wrote it"):
            act()
    export(filled, tmp_path / "csv", format="csv")
    with pytest.raises(ArchiveError, match="holds an export as csv"):
        read_manifest(located(tmp_path / "csv"))
    with pytest.raises(ArchiveError, match="there is no archive at"):
        read_manifest(located(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="CSV goes to a folder"):
        export(filled, "s3://bucket/ci", format="csv")


def damage_missing(path: Path) -> None:
    path.unlink()


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def damage_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_missing, "is missing"),
        (damage_cut, "is cut off or was changed"),
        (damage_flipped, "is damaged|are not those that were exported"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_made_of_it(
    filled: Database, tmp_path: Path, damage: Any, said: str
) -> None:
    export(filled, tmp_path)
    before = (tmp_path / "_runsync.json").read_bytes()
    file = months(tmp_path)[1, "2022-05"].file
    damage(tmp_path / "runs" / f"{file}.parquet")
    change(filled, update(RunRow).where(RunRow.id == "r0-2022-11").values(message="x"))
    with pytest.raises(ArchiveError, match=said):
        export(filled, tmp_path)
    assert (tmp_path / "_runsync.json").read_bytes() == before


def test_rows_that_are_not_those_that_were_exported_are_not_copied(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    path = tmp_path / "_runsync.json"
    checksum = months(tmp_path)[1, "2022-05"].checksum
    path.write_text(path.read_text().replace(checksum, "0" * 16))
    change(filled, update(RunRow).where(RunRow.id == "r0-2022-11").values(message="x"))
    with pytest.raises(ArchiveError, match="rows of 2022-05 of pipeline 1 are not those that were"):
        export(filled, tmp_path)


def test_a_file_with_fewer_rows_than_it_should_have_is_damaged(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    location = located(tmp_path)
    manifest = read_manifest(location)
    month = replace(manifest.months[1, "2024-03"], steps=99)
    with pytest.raises(ArchiveError, match=r"is damaged \(4 rows of 99\)"):
        list(ArchivedRows(location, manifest).tables("steps", month, COLUMN_NAMES["steps"]))


def test_two_exports_at_once_are_refused(filled: Database, tmp_path: Path) -> None:
    with (
        FolderLocation(tmp_path / "out").lock(),
        pytest.raises(LockedError, match="another export is writing to"),
    ):
        export(filled, tmp_path / "out")
    export(filled, tmp_path / "out")


def test_a_manifest_that_somebody_else_has_replaced_is_not_overwritten(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    ours = read_manifest(located(tmp_path))
    theirs = read_manifest(located(tmp_path))
    theirs.save(located(tmp_path))
    with pytest.raises(ArchiveError, match=r"another export has written to .* meanwhile"):
        ours.save(located(tmp_path))


def test_a_full_disk_is_said_and_leaves_the_archive_as_it_was(
    filled: Database, tmp_path: Path
) -> None:
    """The disk says that it is full when a file is to be written down."""
    out = tmp_path / "out"
    export(filled, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    change(filled, update(RunRow).values(message="x" * 100))
    script = """
import errno, os, sys
from pathlib import Path
from runsync.archive.export import export
from runsync.storage.database import Database

def full(_):
    raise OSError(errno.ENOSPC, "No space left on device", sys.argv[2])

os.fsync = full
export(Database(sys.argv[1]), Path(sys.argv[2]))
"""
    url = filled.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", script, url, str(out)],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert "ArchiveError: cannot write to" in done.stderr
    assert "No space left on device; make room, then export again" in done.stderr
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_file_in_the_place_of_the_folder_is_said(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(ConfigError, match=r"cannot write to .*out.*; name a folder that you may"):
        export(filled, tmp_path / "out")


# A URL.


@pytest.fixture(params=["s3", "memory"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where nobody's files lie on this machine."""
    if request.param == "s3":
        yield request.getfixturevalue("bucket") + "/ci/history"
        return
    import fsspec

    yield "memory://ci/history"
    fsspec.filesystem("memory").store.clear()


def test_an_archive_at_a_url_is_the_same(filled: Database, url: str, tmp_path: Path) -> None:
    export(filled, tmp_path)
    assert export(filled, url) == Summary(written=8, runs=16, steps=32)
    for table in ("runs", "steps"):
        assert rows(url, table) == rows(tmp_path, table)
    assert months(url) == months(tmp_path)
    change(filled, update(RunRow).where(RunRow.id == "r1-2024-04").values(message="x"))
    assert export(filled, url) == Summary(written=1, unchanged=7, runs=2, steps=4)
    assert export(filled, url) == Summary(unchanged=8)
    paths = {p for table in ("runs", "steps") for p in located(url).sizes(table)}
    assert paths == read_manifest(located(url)).paths()
    location = located(url)
    path = sorted(paths)[0]
    location.delete(path)
    assert location.size(path) is None
    with (
        location.lock(),
        pytest.raises(LockedError, match=r"another export has been writing to .* delete"),
    ):
        export(filled, url)


def test_a_url_that_nothing_knows_is_said(filled: Database) -> None:
    with pytest.raises(ConfigError, match="nosuch://x is no URL that an archive can be at"):
        export(filled, "nosuch://x")


def test_a_bucket_that_is_not_there_is_said(filled: Database, bucket: str) -> None:
    with pytest.raises((ConfigError, ArchiveError), match=r"cannot (write to|be reached)"):
        export(filled, "s3://no-such-bucket-of-ours/ci")

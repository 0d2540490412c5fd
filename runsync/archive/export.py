"""Runs and steps as Parquet files: what ``runsync export`` writes, and reports read again.

``DIR/runs/…parquet``, ``DIR/steps/…parquet`` and a manifest that says what is in which. What has
changed is found by the versions of the database's months, so an export after each sync costs only
what that changed. A file is never written to again: a new one takes its place once the manifest
names it. What the database does not hold any more stays in the archive.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from runsync.archive.bookkeeping import Seals, month_versions, small_tables
from runsync.archive.checksums import RunChecksums, as_text
from runsync.archive.location import ArchiveLocation, errors_in_sentences, located
from runsync.archive.manifest import (
    CSV,
    PARQUET,
    TABLES,
    ArchivedFile,
    ArchivedMonth,
    Manifest,
    MonthKey,
    manifest_to_extend,
)
from runsync.archive.month_rows import ChangedRows, KeptRows, RowsOfMonth
from runsync.archive.old_layout import OLD_VERSION, old_months
from runsync.archive.packing import packed, stem
from runsync.archive.parquet_files import (
    PIPELINES_FILE,
    StemWriter,
    check_pyarrow,
    pipelines_as_parquet,
)
from runsync.archive.rows import COLUMN_NAMES, Month
from runsync.archive.summary import Summary, Watching
from runsync.errors import ArchiveError
from runsync.storage import schema, tables
from runsync.storage.database import Database

FORMATS = (PARQUET, CSV)
_SAVED_EVERY_SECONDS = 10.0


def export(
    database: Database,
    place: str | Path,
    *,
    format: str = PARQUET,
    watch: Watching = lambda _month, _so_far: None,
) -> Summary:
    """Writes what has changed since the last export to ``place``.

    Memory is that of a pipeline's runs of one month, however long the history is.

    Args:
        place: a folder, or a URL that fsspec knows, such as ``s3://bucket/ci``.
        format: ``parquet`` or ``csv``; a place holds one of them.
        watch: told of each month once it is written.

    Raises:
        ConfigError: the place cannot be written to, holds another format, or pyarrow is missing.
        ArchiveError: what it holds is damaged or of another database, or the disk is full.
        LockedError: another export is writing to it.
    """
    if format == CSV:
        from runsync.archive.csv_export import export_csv

        return export_csv(database, place, watch)
    check_pyarrow()
    location = located(place)
    with errors_in_sentences(location, writing=True), location.lock():
        manifest = manifest_to_extend(location, schema.HEAD)
        with database.read() as connection:
            return _ParquetExport(connection, location, manifest, watch).run()


class _ParquetExport:
    """One export of one state of the database."""

    def __init__(
        self,
        connection: Connection,
        location: ArchiveLocation,
        manifest: Manifest,
        watch: Watching,
    ) -> None:
        self._connection, self._location, self._watch = connection, location, watch
        self._before, self._manifest = manifest.copy(), manifest
        self._tables = small_tables(connection)
        self._seals = Seals(connection)
        self._summary = Summary()
        self._saved_at = time.monotonic()
        check_same_database(location, manifest, self._tables)
        self._old = old_months(location, self._tables["pipelines"])

    def run(self) -> Summary:
        versions = month_versions(self._connection)
        changed = self._changed(versions)
        self._old.months = {k: one for k, one in self._old.months.items() if k not in changed}
        self._with_pipelines()
        files = packed(self._runs_of_months(changed))
        for begin, keys in files.items():
            self._write_file(begin, keys, changed, versions)
        self._summary.unchanged = len(versions) - len(self._empty) - self._summary.written
        self._finish(versions)
        return self._summary

    # What is to be written.

    def _changed(self, versions: Mapping[MonthKey, str]) -> dict[MonthKey, int]:
        """The months whose rows are to be read from the database, and how many runs they have."""
        known = self._manifest.months
        same_columns = self._manifest.revision == schema.HEAD
        wanted = {
            key
            for key, version in versions.items()
            if key not in known or known[key].version != version or not same_columns
        }
        counts = run_counts(self._connection, {month for _, month in wanted})
        self._empty = {key for key in wanted if not counts.get(key)}
        return {key: counts[key] for key in wanted - self._empty}

    def _runs_of_months(self, changed: Mapping[MonthKey, int]) -> dict[MonthKey, int]:
        kept = {key: one.runs for key, one in self._manifest.months.items()}
        return kept | {key: one.runs for key, one in self._old.months.items()} | dict(changed)

    def _write_file(
        self,
        begin: str,
        keys: Sequence[MonthKey],
        changed: Mapping[MonthKey, int],
        versions: Mapping[MonthKey, str],
    ) -> None:
        known = self._manifest.months
        wanted = [(key, versions[key] if key in changed else self._version(key)) for key in keys]
        name = stem(begin, schema.HEAD, wanted)
        is_there = all(key in known and known[key].file == name for key in keys)
        if is_there and name in self._manifest.files:
            return
        if not any(key in changed or key in self._old.months for key in keys) and self._is_one(
            keys
        ):
            return  # nothing but the columns of a new schema, which the file cannot gain
        rows = self._sources(keys, changed)
        writer = StemWriter(self._location, name)
        made = []
        with writer.filling():
            for key, version in wanted:
                made.append(self._write_month(writer, name, key, version, rows[key]))
                if key in changed:
                    self._count(made[-1])
        self._manifest.files[name] = ArchivedFile(name, **writer.sizes, revision=schema.HEAD)
        self._manifest.months |= {one.key: one for one in made}
        self._save_now_and_then()

    def _is_one(self, keys: Sequence[MonthKey]) -> bool:
        """Whether these months are together in one file, which holds nothing else."""
        files = {self._manifest.months[key].file for key in keys}
        others = [k for k, one in self._manifest.months.items() if one.file in files]
        return len(files) == 1 and len(others) == len(keys)

    def _version(self, key: MonthKey) -> str:
        known = self._manifest.months.get(key)
        return known.version if known else OLD_VERSION

    def _sources(
        self, keys: Sequence[MonthKey], changed: Mapping[MonthKey, int]
    ) -> dict[MonthKey, RowsOfMonth]:
        """Where the rows of each month come from: the database, or the archive as it is."""
        kept = KeptRows(self._location, self._before)
        fresh = ChangedRows(self._connection, [key for key in keys if key in changed], kept)
        return {
            key: fresh if key in changed else self._old if key in self._old.months else kept
            for key in keys
        }

    def _write_month(
        self, writer: StemWriter, name: str, key: MonthKey, version: str, rows: RowsOfMonth
    ) -> ArchivedMonth:
        sums = RunChecksums()
        for table, part in rows.of_month(key):
            sums.add(part, table, COLUMN_NAMES[table])
            writer.add(table, part)
        known = self._before.months.get(key)
        made = ArchivedMonth(
            *key, name, sums.runs, sums.steps, version, as_text(sums.total), sealed=False
        )
        if isinstance(rows, KeptRows) and known and known.checksum != made.checksum:
            raise ArchiveError(
                f"{self._location.name}: the rows of {key[1]} of pipeline {key[0]} are not those "
                "that were exported; put a copy of the archive back"
            )
        return made

    def _count(self, month: ArchivedMonth) -> None:
        self._summary.written += 1
        self._summary.runs += month.runs
        self._summary.steps += month.steps
        self._watch(month.month, self._summary)

    # The manifest.

    def _with_pipelines(self) -> None:
        """Makes the names of pipelines known before their months are."""
        self._manifest.tables = {**self._manifest.tables, "pipelines": self._pipelines()}

    def _pipelines(self) -> list[dict[str, Any]]:
        """Those of the database, and those of the archive that it does not hold any more."""
        found = {row["id"]: row for row in self._manifest.tables.get("pipelines", [])}
        found |= {row["id"]: row for row in self._old.pipelines}
        found |= {row["id"]: row for row in self._tables["pipelines"]}
        return [row for _, row in sorted(found.items())]

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at > _SAVED_EVERY_SECONDS:
            self._drop_files()
            self._manifest.save(self._location)
            self._saved_at = time.monotonic()

    def _finish(self, versions: Mapping[MonthKey, str]) -> None:
        months = self._manifest.months
        for key, one in months.items():
            is_gone = key not in versions or key in self._empty
            sealed = self._seals.holds(key) or (is_gone and one.sealed)
            version = versions.get(key, one.version)
            months[key] = replace(one, sealed=sealed, version=version)
        self._manifest.tables = {**self._tables, "pipelines": self._pipelines()}
        self._manifest.revision = schema.HEAD
        self._drop_files()
        if self._manifest != self._before:
            self._manifest.save(self._location)
            self._location.replace(PIPELINES_FILE, pipelines_as_parquet(self._pipelines()))
        self._sweep()

    def _drop_files(self) -> None:
        named = {one.file for one in self._manifest.months.values()}
        files = self._manifest.files
        self._manifest.files = {name: one for name, one in files.items() if name in named}

    def _sweep(self) -> None:
        """Takes away what no manifest names: replaced files, and those of killed exports."""
        counted = self._manifest.paths()
        for table in TABLES:
            for path in self._location.sizes(table):
                is_ours = path.endswith(".parquet") or "/." in path
                if is_ours and path not in counted:
                    self._location.delete(path)


def check_same_database(
    location: ArchiveLocation, manifest: Manifest, found: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Makes sure that an archive and a database mean the same pipelines by the same numbers.

    Args:
        found: the small tables of the database.

    Raises:
        ArchiveError: they do not.
    """
    theirs = manifest.pipelines
    ours = {row["id"]: f"{row['source']}/{row['external_id']}" for row in found["pipelines"]}
    numbers = {key: number for number, key in theirs.items()}
    for number, key in ours.items():
        if theirs.get(number, key) != key or numbers.get(key, number) != number:
            raise ArchiveError(
                f"the archive {location.name} is of another database: pipeline {number} is {key} "
                f"here, and {theirs.get(number, f'number {numbers.get(key)}')} there; name another "
                "folder"
            )


def run_counts(connection: Connection, names: set[str]) -> dict[MonthKey, int]:
    """How many runs each pipeline has in these months; one without any is left out."""
    r = tables.runs.c
    found: dict[MonthKey, int] = {}
    for name in sorted(names):
        month = Month.named(name)
        query = (
            select(r.pipeline_id, func.count())
            .where(r.created_at >= month.first, r.created_at < month.end)
            .group_by(r.pipeline_id)
        )
        found |= {(row[0], name): int(row[1]) for row in connection.execute(query)}
    return found

"""Runs and steps as CSV, for people and spreadsheets: what ``runsync export --format csv`` writes.

``DIR/runs/pipeline=NAME/month=2026-11/runs.csv`` and the same for steps: one folder per pipeline
and month of a run's creation, in UTC. A month is written whole and takes the old one's place at
once; months in which nothing has changed are left alone. What the database does not hold any more
stays in the files, below what it holds.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Column, Connection

from runsync.archive.bookkeeping import month_versions
from runsync.archive.location import FolderLocation, errors_in_sentences, located
from runsync.archive.manifest import CSV, FILE, TABLES, MonthKey, manifest_state
from runsync.archive.rows import COLUMN_NAMES, COLUMNS, raw_rows
from runsync.archive.summary import Summary, Watching
from runsync.errors import ConfigError
from runsync.storage.database import Database
from runsync.storage.default_branches import reads_over
from runsync.storage.pipelines import StoredPipeline, all_labelled
from runsync.storage.tables import UTCDateTime
from runsync.text import csv_cell

_LAYOUT = 1
_RUN_ID = {"runs": "id", "steps": "run_id"}
_LONGEST_CELL = 2**31 - 1


def export_csv(database: Database, place: str | Path, watch: Watching) -> Summary:
    """Writes what has changed since the last export into a folder; see :func:`.export`.

    Raises:
        ConfigError: the folder cannot be written to, is a URL, or holds another format.
    """
    location = located(place)
    if not isinstance(location, FolderLocation):
        raise ConfigError(f"{location.name} is no folder; CSV goes to a folder of this machine")
    with (
        errors_in_sentences(location, writing=True),
        location.lock(),
        database.read() as connection,
    ):
        return _CsvExport(connection, location, watch).run()


class _CsvExport:
    """One export, month by month, in one state of the database."""

    def __init__(self, connection: Connection, location: FolderLocation, watch: Watching) -> None:
        self._connection, self._location, self._watch = connection, location, watch
        found = all_labelled(reads_over(connection))
        self._pipelines = {one.id: one for one in found}
        self._state = _known_state(location)
        self._summary = Summary()

    def run(self) -> Summary:
        for one in self._pipelines.values():
            self._rename(one)
        self._save()
        versions = month_versions(self._connection)
        by_name = sorted(versions, key=lambda key: (key[1], key[0]))
        for name, keys in groupby(by_name, key=lambda key: key[1]):
            self._export(name, list(keys), versions)
        return self._summary

    def _export(
        self, name: str, keys: Sequence[MonthKey], versions: Mapping[MonthKey, str]
    ) -> None:
        changed = [key for key in keys if not self._holds(key, versions[key])]
        self._summary.unchanged += len(keys) - len(changed)
        if not changed:
            return
        ids = self._run_ids(changed)
        written = {table: self._write(table, changed, ids) for table in TABLES}
        self._summary.runs += sum(written["runs"].values())
        self._summary.steps += sum(written["steps"].values())
        self._summary.written += len(written["runs"])
        for key in written["runs"]:
            self._entry(key[0])["months"][name] = versions[key]
        self._save()
        self._watch(name, self._summary)

    def _run_ids(self, keys: Sequence[MonthKey]) -> dict[MonthKey, set[str]]:
        """The runs of each month that the database holds."""
        place = COLUMN_NAMES["runs"].index("id")
        found: dict[MonthKey, set[str]] = {key: set() for key in keys}
        for key, rows in raw_rows(self._connection, "runs", keys):
            found[key].update(row[place] for row in rows)
        return found

    def _write(
        self, table: str, keys: Sequence[MonthKey], ids: Mapping[MonthKey, set[str]]
    ) -> dict[MonthKey, int]:
        """Writes one file per pipeline; of each month how many rows it has."""
        with closing(raw_rows(self._connection, table, keys)) as rows:
            return self._write_rows(table, rows, ids)

    def _write_rows(
        self,
        table: str,
        rows: Iterable[tuple[MonthKey, list[Sequence[Any]]]],
        ids: Mapping[MonthKey, set[str]],
    ) -> dict[MonthKey, int]:
        total = {}
        for key, parts in groupby(rows, key=lambda part: part[0]):
            pipeline = self._pipelines[key[0]]
            path = f"{table}/{pipeline_folder(pipeline.label)}/month={key[1]}/{table}.csv"
            with self._location.writing(path) as file:
                lines = _lines(COLUMNS[table], pipeline.label, (row for _, p in parts for row in p))
                kept = _kept_lines(self._location.folder / path, table, pipeline, ids[key])
                total[key] = -1
                for line in chain(lines, kept):
                    file.write(line.encode())
                    total[key] += 1
        return total

    # What is there.

    def _entry(self, number: int) -> dict[str, Any]:
        pipeline = self._pipelines[number]
        entry: dict[str, Any] = self._state.setdefault(
            f"{pipeline.source}/{pipeline.external_id}",
            {"folder": pipeline_folder(pipeline.label), "months": {}},
        )
        return entry

    def _holds(self, key: MonthKey, version: str) -> bool:
        """Whether that month was written as it is now, or has no runs to be written."""
        if key[0] not in self._pipelines:
            return True
        entry = self._entry(key[0])
        path = self._location.folder / "runs" / entry["folder"] / f"month={key[1]}"
        return bool(entry["months"].get(key[1]) == version) and path.is_dir()

    def _rename(self, pipeline: StoredPipeline) -> None:
        """Moves the folders of a pipeline that has another name than before."""
        entry, name = self._entry(pipeline.id), pipeline_folder(pipeline.label)
        if entry["folder"] == name:
            return
        for table in TABLES:
            folder = self._location.folder / table
            old, new = folder / entry["folder"], folder / name
            if new.exists():  # another pipeline had this name: its months are written anew
                entry["months"] = {}
            elif old.exists():
                old.rename(new)
        entry["folder"] = name

    def _save(self) -> None:
        state = {"format": CSV, "layout": _LAYOUT, "pipelines": self._state}
        self._location.replace(FILE, json.dumps(state, indent=1, sort_keys=True).encode())


def pipeline_folder(label: str) -> str:
    """``pipeline=NAME`` as Hive writes it, so that no name can leave its place."""
    escaped = quote(label, safe=" ()+,@")
    if len(escaped) > 200:
        escaped = f"{escaped[:180]}-{hashlib.sha256(label.encode()).hexdigest()[:16]}"
    return f"pipeline={escaped}"


def _known_state(location: FolderLocation) -> dict[str, Any]:
    """What the last export left, by pipeline.

    Raises:
        ConfigError: the folder holds another format.
    """
    state = manifest_state(location)
    if state is None:
        return {}
    if state.get("format") != CSV:
        raise ConfigError(
            f"{location.name} holds an export as {state.get('format')}; "
            f"name another folder for {CSV}"
        )
    found: dict[str, Any] = state.get("pipelines", {}) if state.get("layout") == _LAYOUT else {}
    return found


class _Line:
    """What a CSV writer writes to: the last line."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _lines(
    columns: Sequence[Column[Any]], label: str, rows: Iterable[Sequence[Any]]
) -> Iterable[str]:
    """The header and a line for each row."""
    line = _Line()
    writer = csv.writer(line, lineterminator="\r\n")
    times = [isinstance(column.type, UTCDateTime) for column in columns]
    writer.writerow(["pipeline", *(column.name for column in columns)])
    yield line.text
    for row in rows:
        cells = [_cell(*one) for one in zip(row, times, strict=True)]
        writer.writerow([csv_cell(label), *cells])
        yield line.text


def _kept_lines(path: Path, table: str, pipeline: StoredPipeline, ids: set[str]) -> Iterator[str]:
    """The lines of an earlier export whose runs are none of these."""
    if not path.is_file():
        return
    csv.field_size_limit(_LONGEST_CELL)
    line = _Line()
    writer = csv.writer(line, lineterminator="\r\n")
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, restval=""):
            if row["pipeline_id"] == str(pipeline.id) and row[_RUN_ID[table]] not in ids:
                cells = [row.get(name, "") for name in COLUMN_NAMES[table]]
                writer.writerow([csv_cell(pipeline.label), *cells])
                yield line.text


def _cell(value: Any, is_time: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value).lower()
    if isinstance(value, datetime):
        value = value.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
    text = str(value)
    if is_time:
        return f"{text[:-4]}Z" if text.endswith("000Z") else text
    return csv_cell(text)

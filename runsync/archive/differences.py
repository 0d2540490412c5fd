"""Whether an archive holds what the database holds, row by row; nothing is asked over the network.

Both sides are reduced to checksums: of each month first, and where those differ of each run.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection

from runsync.archive.bookkeeping import month_versions, pruned_months, small_tables
from runsync.archive.checksums import RunChecksums, as_text
from runsync.archive.export import check_same_database
from runsync.archive.location import ArchiveLocation, errors_in_sentences, located
from runsync.archive.manifest import TABLES, Manifest, MonthKey, read_manifest
from runsync.archive.parquet_files import ArchivedRows, check_pyarrow
from runsync.archive.rows import COLUMN_NAMES, arrow_rows
from runsync.errors import ArchiveError
from runsync.storage import schema
from runsync.storage.database import Database

MONTH_KINDS = ("different", "damaged", "lost", "behind")


@dataclass(frozen=True, slots=True)
class MonthDifference:
    """A month of which archive and database do not hold the same.

    Attributes:
        kind: ``different`` (the rows differ, though nothing was written since the export),
            ``damaged`` (a file has not the rows that were exported), ``lost`` (pruned, and not in
            the archive) or ``behind`` (written since the last export: no fault).
        runs: the ids of the runs that differ.
    """

    pipeline_id: int
    month: str
    kind: str
    runs: tuple[str, ...] = ()
    why: str = ""


@dataclass(slots=True)
class ArchiveVerdict:
    """What was compared, and what differs."""

    months: int = 0
    runs: int = 0
    steps: int = 0
    differences: list[MonthDifference] = field(default_factory=list)

    @property
    def faults(self) -> list[MonthDifference]:
        """The differences that an export does not bring."""
        return [one for one in self.differences if one.kind != "behind"]


def compare_archive(
    database: Database,
    place: str | Path | ArchiveLocation,
    watch: Callable[[str], None] = lambda _month: None,
) -> ArchiveVerdict:
    """Reads every row of both, and compares them month by month.

    Args:
        watch: told of each month.

    Raises:
        ArchiveError: there is no archive, or it is of another database.
    """
    check_pyarrow()
    location = located(place)
    manifest = read_manifest(location)
    with errors_in_sentences(location), database.read() as connection:
        check_same_database(location, manifest, small_tables(connection))
        return _Comparison(connection, location, manifest).run(watch)


class _Comparison:
    def __init__(
        self, connection: Connection, location: ArchiveLocation, manifest: Manifest
    ) -> None:
        self._connection, self._manifest = connection, manifest
        self._rows = ArchivedRows(location, manifest)
        self._versions = month_versions(connection)
        self._pruned = pruned_months(connection)
        self._verdict = ArchiveVerdict()

    def run(self, watch: Callable[[str], None]) -> ArchiveVerdict:
        keys = sorted(self._versions.keys() | self._manifest.months.keys(), key=lambda k: k[::-1])
        for month, of_month in groupby(keys, key=lambda key: key[1]):
            wanted = list(of_month)
            stored = dict(database_checksums(self._connection, wanted))
            for key in wanted:
                self._compare(key, stored.get(key, RunChecksums()))
            watch(month)
        return self._verdict

    def _compare(self, key: MonthKey, stored: RunChecksums) -> None:
        known = self._manifest.months.get(key)
        if known is None:
            if key in self._pruned:
                self._add(key, "lost")
            elif stored.runs:
                self._add(key, "behind")
            return
        self._verdict.months += 1
        self._verdict.runs += known.runs
        self._verdict.steps += known.steps
        try:
            archived = archived_checksums(self._rows, self._manifest, key)
        except ArchiveError as error:
            self._add(key, "damaged", why=str(error))
            return
        differ = different_runs(stored, archived, key in self._pruned or not stored.runs)
        if differ:
            is_behind = self._versions.get(key) != known.version
            self._add(key, "behind" if is_behind else "different", differ)

    def _add(self, key: MonthKey, kind: str, runs: tuple[str, ...] = (), why: str = "") -> None:
        self._verdict.differences.append(MonthDifference(*key, kind, runs, why))


def database_checksums(
    connection: Connection, keys: list[MonthKey]
) -> Iterator[tuple[MonthKey, RunChecksums]]:
    """The checksums of some pipelines' runs of one month; a pipeline without runs has none."""
    found: dict[MonthKey, RunChecksums] = {}
    for table in TABLES:
        for key, part in arrow_rows(connection, table, keys):
            found.setdefault(key, RunChecksums()).add(part, table, COLUMN_NAMES[table])
    yield from found.items()


def archived_checksums(rows: ArchivedRows, manifest: Manifest, key: MonthKey) -> RunChecksums:
    """The checksums of the runs that an archive's files hold of a month.

    Raises:
        ArchiveError: they are not those that were exported.
    """
    month, sums = manifest.months[key], RunChecksums()
    for table in TABLES:
        for part in rows.tables(table, month, COLUMN_NAMES[table]):
            sums.add(part, table, COLUMN_NAMES[table])
    is_old = manifest.files[month.file].revision != schema.HEAD
    if as_text(sums.total) != month.checksum and not is_old:
        raise ArchiveError(
            f"the rows of {month.month} in {month.file}.parquet are not those that were exported; "
            "put a copy of the archive back"
        )
    return sums


def different_runs(stored: RunChecksums, archived: RunChecksums, may_lack: bool) -> tuple[str, ...]:
    """The runs that are not the same in both, sorted.

    Args:
        may_lack: whether the database need not hold all that the archive holds.
    """
    if stored.total == archived.total and len(stored.by_run) == len(archived.by_run):
        return ()
    ours: Mapping[str, int] = stored.by_run
    ids = ours.keys() if may_lack else ours.keys() | archived.by_run.keys()
    return tuple(sorted(id for id in ids if ours.get(id) != archived.by_run.get(id)))

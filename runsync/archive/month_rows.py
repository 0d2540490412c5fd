"""Where an export takes the rows of a month from: the database, or the archive as it is."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection

from runsync.archive.location import ArchiveLocation
from runsync.archive.manifest import TABLES, Manifest, MonthKey
from runsync.archive.parquet_files import ArchivedRows
from runsync.archive.rows import OF_RUN, arrow_rows, file_schema, with_runs

if TYPE_CHECKING:
    import pyarrow as pa

TablePart = tuple[str, "pa.Table"]
"""A table's name, and some of its rows with the columns of a file."""


class RowsOfMonth(Protocol):
    """Gives the rows of one month after another, in the order of their keys."""

    def of_month(self, key: MonthKey) -> Iterator[TablePart]: ...


class KeptRows:
    """Rows that stay as an archive has them."""

    def __init__(self, location: ArchiveLocation, manifest: Manifest) -> None:
        self._rows, self._manifest = ArchivedRows(location, manifest), manifest

    def of_month(self, key: MonthKey) -> Iterator[TablePart]:
        """The month's runs, and then its steps."""
        for table in TABLES:
            for rows in self._rows.tables(
                table, self._manifest.months[key], file_schema(table).names
            ):
                yield table, rows

    def has_others(self, key: MonthKey, ids: set[str]) -> bool:
        """Whether the archive has runs of the month that are none of these."""
        month = self._manifest.months.get(key)
        if month is None:
            return False
        parts = self._rows.tables("runs", month, ["id"])
        return any(not ids.issuperset(part.column("id").to_pylist()) for part in parts)


class ChangedRows:
    """Rows as the database has them, and those of runs that only the archive has any more.

    Args:
        keys: the months that will be asked for, in this order.
    """

    def __init__(self, connection: Connection, keys: Sequence[MonthKey], kept: KeptRows) -> None:
        self._kept = kept
        self._streams = {table: _Groups(connection, table, keys) for table in TABLES}

    def of_month(self, key: MonthKey) -> Iterator[TablePart]:
        """The month's runs, and then its steps with what they tell of their runs."""
        import pyarrow as pa

        parts = [*self._streams["runs"].of(key)]
        runs = pa.concat_tables(parts)
        if self._kept.has_others(key, {*runs.column("id").to_pylist()}):
            yield from self._merged(key, runs)
            return
        yield from (("runs", rows) for rows in parts)
        known = runs.select(list({"id", *OF_RUN.values()})).combine_chunks()
        for rows in self._streams["steps"].of(key):
            yield "steps", with_runs(rows, known)

    def _merged(self, key: MonthKey, runs: "pa.Table") -> Iterator[TablePart]:
        """The archive's rows, and in the place of those that the database has too, its own."""
        import pyarrow as pa
        import pyarrow.compute as pc

        steps = [with_runs(rows, runs) for rows in self._streams["steps"].of(key)]
        fresh = {"runs": [runs], "steps": steps}
        kept: dict[str, list[pa.Table]] = {table: [] for table in TABLES}
        for table, rows in self._kept.of_month(key):
            is_ours = pc.is_in(rows.column(_ID[table]), runs.column("id").combine_chunks())
            kept[table].append(rows.filter(pc.invert(is_ours)))
        for table in TABLES:
            both = [*kept[table], *fresh[table]]
            if both:
                rows = pa.concat_tables(both)
                yield table, rows.sort_by([(name, "ascending") for name in _ORDER[table]])


_ID = {"runs": "id", "steps": "run_id"}
_ORDER = {
    "runs": ("pipeline_id", "created_at", "id"),
    "steps": ("pipeline_id", "run_created_at", "run_id", "position", "id"),
}


class _Groups:
    """The rows of several months, read in one go; each month is asked for in its turn."""

    def __init__(self, connection: Connection, table: str, keys: Sequence[MonthKey]) -> None:
        self._table = table
        self._groups: Any = iter(())
        if keys:
            rows = arrow_rows(connection, table, keys)
            self._groups = groupby(rows, key=lambda part: part[0])
        self._next: tuple[MonthKey, Any] | None = next(self._groups, None)

    def of(self, key: MonthKey) -> Iterator["pa.Table"]:
        while self._next is not None and self._next[0] < key:
            self._next = next(self._groups, None)
        if self._next is not None and self._next[0] == key:
            for _, rows in self._next[1]:
                yield rows
            self._next = next(self._groups, None)

"""An archive as a database: DuckDB over its files, for SELECTs as reports build them.

SQLAlchemy writes the SQL, in PostgreSQL's dialect but for a few words; DuckDB executes it. Nothing
is downloaded: what DuckDB needs is in its wheel, and files at a URL are read through fsspec.
"""

import json
import os
import tempfile
from collections import namedtuple
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float
from sqlalchemy.dialects.postgresql.base import PGDialect, PGIdentifierPreparer, PGTypeCompiler

from runsync.archive.bookkeeping import SMALL_TABLES
from runsync.archive.location import ArchiveLocation, errors_in_sentences, located
from runsync.archive.manifest import (
    TABLES,
    ArchivedMonth,
    Manifest,
    MonthKey,
    file_path,
    read_manifest,
)
from runsync.archive.parquet_files import check_sizes
from runsync.archive.rows import Month, file_schema, schema_of
from runsync.archive.views import quoted_name, sql_text, statements
from runsync.errors import ArchiveError, ConfigError
from runsync.storage.tables import months

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY = f"{64 * max(2, os.cpu_count() or 1)}MB"
"""What DuckDB may hold of a SELECT, on each processor 64 MB; it puts the rest into temporary
files."""
_BATCH = 65_536


class _Quoting(PGIdentifierPreparer):
    """Quotes every name: DuckDB has other keywords than PostgreSQL."""

    def _requires_quotes(self, value: str) -> bool:
        return True


class _Types(PGTypeCompiler):
    """DuckDB's FLOAT has 32 bits."""

    def visit_FLOAT(self, type_: Float[Any], **_: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        return "DOUBLE"


class DuckDialect(PGDialect):
    """What DuckDB reads of PostgreSQL's SQL."""

    name = "duckdb"
    supports_statement_cache = False
    preparer = _Quoting
    type_compiler_cls = _Types
    _backslash_escapes = False

    def __init__(self) -> None:
        super().__init__(paramstyle="named")  # type: ignore[no-untyped-call]


@contextmanager
def open_archive(place: str | Path | ArchiveLocation) -> Iterator["DuckArchive"]:
    """An archive, ready to be asked; its state stays as it was when it was opened.

    Raises:
        ConfigError: DuckDB is not installed.
        ArchiveError: there is no archive, or it cannot be read, or not all of it is there.
    """
    location = located(place)
    with opened_with(location, read_manifest(location)) as archive:
        yield archive


@contextmanager
def opened_with(
    location: ArchiveLocation,
    manifest: Manifest,
    *,
    told: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    only: Collection[MonthKey] | None = None,
) -> Iterator["DuckArchive"]:
    """The same, by a manifest that was read.

    Args:
        told: the small tables, where they are not those of the archive.
        only: the months that count; None: all.
    """
    with errors_in_sentences(location):
        check_sizes(location, manifest)
    with tempfile.TemporaryDirectory(prefix="runsync-") as folder:
        connection = connected(folder)
        try:
            yield DuckArchive(connection, location, manifest, told or manifest.tables, only)
        finally:
            connection.close()


def connected(folder: str, threads: int | None = None) -> "duckdb.DuckDBPyConnection":
    """A DuckDB of its own, in memory.

    Args:
        folder: for what does not fit there.

    Raises:
        ConfigError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise ConfigError(
            "reading an archive needs DuckDB: pip install 'runsync[archive]'"
        ) from None
    settings: dict[str, Any] = {
        "memory_limit": MEMORY,
        "temp_directory": folder,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if threads is not None:
        settings["threads"] = threads
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would go to stdout
    return connection


class DuckArchive:
    """The tables and views of an archive in a DuckDB of its own.

    Attributes:
        connection: for SQL in DuckDB's own words.
    """

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        location: ArchiveLocation,
        manifest: Manifest,
        told: Mapping[str, Sequence[Mapping[str, Any]]],
        only: Collection[MonthKey] | None = None,
    ) -> None:
        self.connection, self.location, self.manifest = connection, location, manifest
        self._dialect, self._only = DuckDialect(), only
        if location.filesystem is not None:
            connection.register_filesystem(location.filesystem)
        with self.errors_in_sentences():
            for name in SMALL_TABLES:
                self.store(name, small_table(name, told.get(name, [])))
            self.store("months", schema_of(months.c).empty_table())  # nothing is lacking here
            for table in TABLES:
                self.store(f"no_{table}", file_schema(table).empty_table())
                connection.execute(f"CREATE VIEW archived_{table} AS {self._files(table)}")
                connection.execute(f"CREATE VIEW {table} AS FROM archived_{table}")
            names = {row["id"]: (row["source"], row["name"]) for row in told.get("pipelines", [])}
            for statement in statements(names):
                connection.execute(statement)

    def store(self, name: str, rows: "pa.Table") -> None:
        """Makes a table of rows, in the place of one of that name."""
        self.connection.register("given", rows)
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM given")
        self.connection.unregister("given")

    def add_fresh(self, table: str, rows: "pa.RecordBatchReader") -> None:
        """Lets ``runs`` or ``steps`` hold these rows too, and no others of a database; the columns
        that they lack are null."""
        name = f"fresh_{table}"
        self.store(name, rows.schema.empty_table())
        for batch in rows:  # in this thread, which the database's connection belongs to
            self.connection.register("given", batch)
            self.connection.execute(f"INSERT INTO {name} FROM given")
            self.connection.unregister("given")
        self.connection.execute(
            f"CREATE OR REPLACE VIEW {table} AS FROM archived_{table} "
            f"UNION ALL BY NAME FROM no_{table} UNION ALL BY NAME FROM {name}"
        )

    def sql(self, select: Any) -> str:
        """A SELECT as DuckDB takes it."""
        compiled = select.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True})
        return str(compiled)

    def batches(self, select: Any) -> Iterator["pa.RecordBatch"]:
        """The rows of a SELECT, some thousands at a time.

        Raises:
            ArchiveError: a file cannot be read.
        """
        with self.errors_in_sentences():
            reader: Any = self.connection.sql(self.sql(select)).to_arrow_reader(_BATCH)
            yield from reader

    def rows(self, select: Any) -> Sequence[Any]:
        """The rows of a small answer, as named tuples; times are aware and in UTC.

        Raises:
            ArchiveError: a file cannot be read.
        """
        row = namedtuple("row", [column.key for column in select.selected_columns], rename=True)  # type: ignore[misc]
        with self.errors_in_sentences():
            found = self.connection.execute(self.sql(select)).fetchall()
        return [row(*map(_plain, one)) for one in found]

    def _files(self, table: str) -> str:
        """The rows of the files of a table, as SQL."""
        kept = [one for one in self.manifest.months.values() if self._counts(one)]
        stems = {one.file for one in kept if getattr(one, table)}
        files = [one for stem, one in self.manifest.files.items() if stem in stems]
        if not files:
            return f"FROM no_{table}"
        paths = [sql_text(self.location.address(file_path(table, one.stem))) for one in files]
        many = len({one.revision for one in files}) > 1
        source = f"read_parquet([{', '.join(paths)}], union_by_name={str(many).lower()})"
        found = {one[0] for one in self.connection.sql(f"FROM {source}").description}
        columns = [
            quoted_name(name) if name in found else f"NULL AS {quoted_name(name)}"
            for name in file_schema(table).names
        ]
        return f"SELECT {', '.join(columns)} FROM {source}{self._without(table, stems)}"  # noqa: S608

    def _counts(self, month: ArchivedMonth) -> bool:
        return self._only is None or month.key in self._only

    def _without(self, table: str, stems: Collection[str]) -> str:
        """A condition that leaves out the months of these files that do not count."""
        at = "created_at" if table == "runs" else "run_created_at"
        others = [
            f"NOT (pipeline_id = {one.pipeline_id} AND {at} >= {_time(span.first)} "
            f"AND {at} < {_time(span.end)})"
            for one in self.manifest.months.values()
            if one.file in stems and not self._counts(one)
            for span in [Month.named(one.month)]
        ]
        return f" WHERE {' AND '.join(others)}" if others else ""

    @contextmanager
    def errors_in_sentences(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            what = str(error).splitlines()[0]
            if read_manifest(self.location).generation != self.manifest.generation:
                raise ArchiveError(
                    f"the archive {self.location.name} was written to while it was read; try again"
                ) from error
            raise ArchiveError(
                f"the archive {self.location.name} cannot be read: {what}; `runsync verify "
                "--archive` says what is damaged"
            ) from error


def small_table(name: str, rows: Sequence[Mapping[str, Any]]) -> "pa.Table":
    """One of the database's small tables as Arrow has it."""
    import pyarrow as pa

    schema = schema_of(SMALL_TABLES[name].c)
    arrays = [
        pa.array([_told(row.get(field.name)) for row in rows], pa.string()).cast(field.type)
        if pa.types.is_string(field.type) or pa.types.is_timestamp(field.type)
        else pa.array([row.get(field.name) for row in rows], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _time(when: datetime) -> str:
    return f"TIMESTAMPTZ '{when.isoformat()}'"


def _told(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value

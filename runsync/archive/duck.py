"""An archive as a database: DuckDB over its files, for SELECTs as reports build them.

SQLAlchemy writes the SQL, in PostgreSQL's dialect but for a few words; DuckDB executes it. Nothing
is downloaded: what DuckDB needs is in its wheel, and files at a URL are read through fsspec.
"""

import json
import tempfile
from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float
from sqlalchemy.dialects.postgresql.base import PGDialect, PGIdentifierPreparer, PGTypeCompiler

from runsync.archive.bookkeeping import SMALL_TABLES
from runsync.archive.location import ArchiveLocation, errors_in_sentences, located
from runsync.archive.manifest import TABLES, Manifest, file_path, read_manifest
from runsync.archive.parquet_files import check_sizes
from runsync.archive.rows import file_schema, schema_of
from runsync.archive.views import quoted_name, sql_text, statements
from runsync.errors import ArchiveError, ConfigError
from runsync.storage.tables import months

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY = "256MB"
"""What DuckDB may hold of a SELECT; it puts the rest into temporary files."""
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
    manifest = read_manifest(location)
    with errors_in_sentences(location):
        check_sizes(location, manifest)
    with tempfile.TemporaryDirectory(prefix="runsync-") as folder:
        connection = connected(folder)
        try:
            yield DuckArchive(connection, location, manifest)
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
    ) -> None:
        self.connection, self.location, self.manifest = connection, location, manifest
        self._dialect = DuckDialect()
        if location.filesystem is not None:
            connection.register_filesystem(location.filesystem)
        with self._errors_in_sentences():
            for name in SMALL_TABLES:
                rows = small_table(name, manifest.tables.get(name, []))
                connection.register(f"told_{name}", rows)
                connection.execute(f"CREATE TABLE {name} AS FROM told_{name}")
                connection.unregister(f"told_{name}")
            connection.register("no_months", schema_of(months.c).empty_table())
            connection.execute("CREATE TABLE months AS FROM no_months")  # it lacks none
            for table in TABLES:
                connection.execute(f"CREATE VIEW {table} AS {self._files(table)}")
            pipelines = manifest.tables.get("pipelines", [])
            names = {row["id"]: (row["source"], row["name"]) for row in pipelines}
            for statement in statements(names):
                connection.execute(statement)

    def sql(self, select: Any) -> str:
        """A SELECT as DuckDB takes it."""
        compiled = select.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True})
        return str(compiled)

    def batches(self, select: Any) -> Iterator["pa.RecordBatch"]:
        """The rows of a SELECT, some thousands at a time.

        Raises:
            ArchiveError: a file cannot be read.
        """
        with self._errors_in_sentences():
            reader: Any = self.connection.sql(self.sql(select)).to_arrow_reader(_BATCH)
            yield from reader

    def rows(self, select: Any) -> Sequence[Any]:
        """The rows of a small answer, as named tuples; times are aware and in UTC.

        Raises:
            ArchiveError: a file cannot be read.
        """
        row = namedtuple("row", [column.key for column in select.selected_columns], rename=True)  # type: ignore[misc]
        with self._errors_in_sentences():
            found = self.connection.execute(self.sql(select)).fetchall()
        return [row(*map(_plain, one)) for one in found]

    def _files(self, table: str) -> str:
        """The rows of all files of a table, as SQL."""
        files = [one for one in self.manifest.files.values() if getattr(one, table)]
        schema = file_schema(table)
        if not files:
            nothing = schema.empty_table()
            self.connection.register(f"no_{table}", nothing)
            return f"FROM no_{table}"
        paths = [sql_text(self.location.address(file_path(table, one.stem))) for one in files]
        many = len({one.revision for one in files}) > 1
        source = f"read_parquet([{', '.join(paths)}], union_by_name={str(many).lower()})"
        found = {one[0] for one in self.connection.sql(f"FROM {source}").description}
        columns = [
            quoted_name(name) if name in found else f"NULL AS {quoted_name(name)}"
            for name in schema.names
        ]
        return f"SELECT {', '.join(columns)} FROM {source}"  # noqa: S608 - our own names

    @contextmanager
    def _errors_in_sentences(self) -> Iterator[None]:
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


def _told(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value

"""How the rows of an archive are written to Parquet files, and read from them again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runsync.archive.location import ArchiveLocation, errors_in_sentences
from runsync.archive.manifest import TABLES, ArchivedMonth, Manifest, file_path
from runsync.archive.rows import Month, file_schema
from runsync.errors import ArchiveError, ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

PIPELINES_FILE = "pipelines.parquet"
ROW_GROUP = 122_880
"""Rows that are compressed together; DuckDB's own number, so that a thread takes one."""


def check_pyarrow() -> None:
    """Raises:
    ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        raise ConfigError(
            "Parquet needs pyarrow: pip install 'runsync[parquet]', or take --format csv"
        ) from None


class StemWriter:
    """The two files of one stem, filled in the order of their keys; a table without rows has none.

    Attributes:
        sizes: the files' lengths once they are closed, by table.
    """

    def __init__(self, location: ArchiveLocation, stem: str) -> None:
        self._location, self._stem = location, stem
        self._waiting: dict[str, list[Any]] = {table: [] for table in TABLES}
        self._open: dict[str, tuple[Any, Any]] = {}
        self.sizes = dict.fromkeys(TABLES, 0)

    def add(self, table: str, rows: "pa.Table") -> None:
        """Takes in rows with the columns of a file."""
        if not rows.num_rows:
            return
        waiting = self._waiting[table]
        waiting.append(rows)
        if sum(one.num_rows for one in waiting) >= ROW_GROUP:
            self._flush(table)

    @contextmanager
    def filling(self) -> Iterator["StemWriter"]:
        """Closes the files at the end; where the block fails they are not there."""
        try:
            yield self
            for table in TABLES:
                self._flush(table)
                self._close(table)
        except BaseException as error:
            for writer, opened in self._open.values():
                opened.__exit__(type(error), error, None)
                del writer
            self._open.clear()
            raise

    def _flush(self, table: str) -> None:
        import pyarrow as pa

        if not self._waiting[table]:
            return
        rows = pa.concat_tables(self._waiting[table]).combine_chunks()
        self._waiting[table] = []
        self._writer(table).write_table(rows, row_group_size=ROW_GROUP)

    def _writer(self, table: str) -> Any:
        import pyarrow.parquet as pq

        if table not in self._open:
            opened = self._location.writing(file_path(table, self._stem))
            file = opened.__enter__()
            writer = pq.ParquetWriter(file, file_schema(table), compression="zstd")
            self._open[table] = writer, opened
        return self._open[table][0]

    def _close(self, table: str) -> None:
        if table not in self._open:
            return
        writer, opened = self._open[table]
        writer.close()
        del self._open[table]
        opened.__exit__(None, None, None)
        self.sizes[table] = self._location.size(file_path(table, self._stem)) or 0


class ArchivedRows:
    """Reads the rows of an archive's months from its files."""

    def __init__(self, location: ArchiveLocation, manifest: Manifest) -> None:
        self._location, self._manifest = location, manifest

    def tables(
        self, table: str, month: ArchivedMonth, columns: Sequence[str]
    ) -> Iterator["pa.Table"]:
        """A month's rows, in their order, some thousands at a time.

        Raises:
            ArchiveError: a file is missing or damaged, or has not the rows that it should.
        """
        found = 0
        if getattr(month, table):
            for rows in self._read(table, month, columns):
                found += rows.num_rows
                yield rows
        if found != getattr(month, table):
            raise self._damaged(table, month.file, f"{found} rows of {getattr(month, table)}")

    def _read(
        self, table: str, month: ArchivedMonth, columns: Sequence[str]
    ) -> Iterator["pa.Table"]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = file_path(table, month.file)
        with errors_in_sentences(self._location):
            self.check(path, getattr(self._manifest.files[month.file], table))
            try:
                with self._location.open(path) as file, pq.ParquetFile(file) as opened:
                    yield from _rows_of(opened, table, month, columns)
            except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
                if isinstance(error, OSError) and error.errno:
                    raise  # the file could not be read, which says nothing of what is in it
                raise self._damaged(table, month.file, str(error).splitlines()[0]) from None

    def check(self, path: str, size: int) -> None:
        """Makes sure that a file has its length.

        Raises:
            ArchiveError: it is missing, or has another one.
        """
        check_file(self._location, path, size)

    def _damaged(self, table: str, stem: str, why: str) -> ArchiveError:
        path = self._location.address(file_path(table, stem))
        return ArchiveError(f"{path} is damaged ({why}); {DAMAGE_MEND}")


DAMAGE_MEND = (
    "put a copy of it back, or delete the archive and export again where the database still "
    "holds all of it"
)


def check_file(location: ArchiveLocation, path: str, size: int) -> None:
    """Makes sure that a file of an archive has its length.

    Raises:
        ArchiveError: it is missing, or has another one.
    """
    found = location.size(path)
    if found is None:
        raise ArchiveError(f"{location.address(path)} is missing; {DAMAGE_MEND}")
    if found != size:
        raise ArchiveError(
            f"{location.address(path)} is cut off or was changed: {found} bytes, not {size}; "
            f"{DAMAGE_MEND}"
        )


def check_sizes(location: ArchiveLocation, manifest: Manifest) -> None:
    """Makes sure that all files of an archive are there, with their lengths.

    Raises:
        ArchiveError: one is missing, or has another length.
    """
    found = {path: size for table in TABLES for path, size in location.sizes(table).items()}
    for one in manifest.files.values():
        for table in TABLES:
            path, size = file_path(table, one.stem), getattr(one, table)
            if size and found.get(path) != size:
                check_file(location, path, size)


def _rows_of(
    opened: Any, table: str, month: ArchivedMonth, columns: Sequence[str]
) -> Iterator["pa.Table"]:
    """The month's rows of a file, of whose row groups only those are read that may hold some."""
    import pyarrow as pa
    import pyarrow.compute as pc

    at = "created_at" if table == "runs" else "run_created_at"
    span = Month.named(month.month)
    here = [name for name in columns if name in opened.schema_arrow.names]
    groups = [
        number
        for number in range(opened.metadata.num_row_groups)
        if _may_hold(opened.metadata.row_group(number), opened, month.pipeline_id)
    ]
    batches = opened.iter_batches(
        row_groups=groups, columns=list({*here, "pipeline_id", at}), batch_size=20_000
    )
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        fits = pc.and_(
            pc.equal(rows.column("pipeline_id"), month.pipeline_id),
            pc.and_(
                pc.greater_equal(rows.column(at), pa.scalar(span.first, rows.column(at).type)),
                pc.less(rows.column(at), pa.scalar(span.end, rows.column(at).type)),
            ),
        )
        rows = rows.filter(fits)
        if rows.num_rows:
            yield _completed(rows, table, columns)


def _may_hold(group: Any, opened: Any, pipeline_id: int) -> bool:
    place = opened.schema_arrow.names.index("pipeline_id")
    known = group.column(place).statistics
    return known is None or not known.has_min_max or known.min <= pipeline_id <= known.max


def _completed(rows: "pa.Table", table: str, columns: Sequence[str]) -> "pa.Table":
    """The rows with these columns; those that an older schema had not are null."""
    import pyarrow as pa

    schema = file_schema(table)
    for name in columns:
        if name not in rows.column_names:
            field = schema.field(name)
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(list(columns))


def pipelines_as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The names of the pipelines by their numbers, for whoever reads the files by other means."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"id": pa.int32()} | dict.fromkeys(("source", "external_id", "name"), pa.string())
    arrays = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    made = io.BytesIO()
    pq.write_table(pa.table(arrays), made)
    return made.getvalue()

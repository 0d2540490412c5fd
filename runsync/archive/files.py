"""How a month of one table is written to a file, as Parquet or CSV."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Column, Integer

from runsync.errors import ConfigError
from runsync.storage.tables import UTCDateTime
from runsync.text import csv_cell

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 20_000
"""How many rows are held at once."""

Rows = Iterable[Sequence[Any]]
Writer = Callable[[Path, list[Column[Any]], str, Rows], int]
"""Writes rows of those columns to a path without its ending, for a pipeline of that label; says
how many there were."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file next to ``path`` to be filled, which then replaces it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield made
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _parts(rows: Rows) -> Iterator[list[Sequence[Any]]]:
    part: list[Sequence[Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def parquet_writer() -> Writer:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ConfigError(
            "Parquet needs pyarrow: pip install 'runsync[parquet]', or take --format csv"
        ) from None

    def write(path: Path, columns: list[Column[Any]], _label: str, rows: Rows) -> int:
        schema = pa.schema([(column.name, _arrow_type(column)) for column in columns])
        total = 0
        with (
            replacing(path.with_suffix(".parquet")) as made,
            pq.ParquetWriter(made, schema, compression="zstd") as file,
        ):
            for part in _parts(rows):
                file.write_table(_arrow_table(schema, part))
                total += len(part)
        return total

    return write


def _arrow_type(column: Column[Any]) -> "pa.DataType":
    import pyarrow as pa

    if isinstance(column.type, UTCDateTime):
        return pa.timestamp("us", tz="UTC")
    if isinstance(column.type, BigInteger):
        return pa.int64()
    if isinstance(column.type, Integer):
        return pa.int32()
    return pa.bool_() if isinstance(column.type, Boolean) else pa.string()


def _arrow_table(schema: "pa.Schema", rows: list[Sequence[Any]]) -> "pa.Table":
    import pyarrow as pa

    arrays = []
    for field, values in zip(schema, zip(*rows, strict=True), strict=True):
        is_text = pa.types.is_timestamp(field.type) and any(isinstance(v, str) for v in values)
        array = pa.array(values, type=pa.string() if is_text else field.type)
        arrays.append(array.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def csv_writer() -> Writer:
    def write(path: Path, columns: list[Column[Any]], label: str, rows: Rows) -> int:
        times = [isinstance(column.type, UTCDateTime) for column in columns]
        total = 0
        with (
            replacing(path.with_suffix(".csv")) as made,
            made.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(["pipeline", *(column.name for column in columns)])
            for row in rows:
                cells = [_csv_value(v, is_time) for v, is_time in zip(row, times, strict=True)]
                writer.writerow([csv_cell(label), *cells])
                total += 1
        return total

    return write


def _csv_value(value: Any, is_time: bool) -> Any:
    if value is None or isinstance(value, int):
        return "" if value is None else str(value).lower()
    if isinstance(value, datetime):
        value = value.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
    text = str(value)
    if is_time:
        return f"{text[:-4]}Z" if text.endswith("000Z") else text
    return csv_cell(text)

"""The rows of a month: how they are read from the database, a few thousand at a time."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    Select,
    Text,
    cast,
    select,
    type_coerce,
)

from runsync.archive.manifest import MonthKey
from runsync.storage import tables
from runsync.storage.tables import JsonObject, UTCDateTime

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 20_000
"""How many rows are held at once."""

_RUNS: Any = tables.runs.c
_STEPS: Any = tables.steps.c
COLUMNS: dict[str, list[Column[Any]]] = {"runs": list(_RUNS), "steps": list(_STEPS)}
COLUMN_NAMES = {name: [column.name for column in columns] for name, columns in COLUMNS.items()}

OF_RUN = {
    "run_created_at": "created_at",
    "run_status": "status",
    "run_result": "result",
    "run_outcome": "outcome",
    **{name: name for name in ("branch", "commit_hash", "author", "event", "number", "web_url")},
}
"""What each step in a file tells of its run, and the run's column: nobody has to join the two."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of runs, by their creation in UTC; ``first`` is when it begins."""

    first: datetime

    @classmethod
    def named(cls, name: str) -> "Month":
        """The month ``2024-05``."""
        year, _, month = name.partition("-")
        return cls(datetime(int(year), int(month), 1, tzinfo=UTC))

    @property
    def end(self) -> datetime:
        """When the next one begins."""
        year, month = divmod(self.first.month, 12)
        try:
            return self.first.replace(year=self.first.year + year, month=month + 1)
        except ValueError:  # the calendar's last month
            return datetime.max.replace(tzinfo=UTC)

    @property
    def name(self) -> str:
        return f"{self.first.year:04}-{self.first.month:02}"


def arrow_rows(
    connection: Connection, table: str, keys: Sequence[MonthKey]
) -> Iterator[tuple[MonthKey, "pa.Table"]]:
    """The same as :func:`raw_rows`, as Arrow has them."""
    schema = arrow_schema(table)
    for key, part in raw_rows(connection, table, keys):
        yield key, _arrow_table(schema, part)


def raw_rows(
    connection: Connection, table: str, keys: Sequence[MonthKey]
) -> Generator[tuple[MonthKey, list[Sequence[Any]]], None, None]:
    """The rows of ``runs`` or ``steps`` of these months, in the order of their keys, some thousands
    at a time, each time with their month. SQLite's times and objects are the texts they are there.

    The months of a pipeline that lie between them are read too.
    """
    query, wanted = _select(table, keys, sqlite=connection.dialect.name == "sqlite"), set(keys)
    with closing(_stream(connection, query)) as rows:
        for key, of_month in groupby(rows, key=lambda row: (int(row[0]), _month_name(row[1]))):
            if key in wanted:
                for part in _in_parts(row[2:] for row in of_month):
                    yield key, part


def _raw_columns(table: str, *, sqlite: bool) -> list[Any]:
    """All columns of a table as the driver has them: SQLite's times and objects as texts."""
    return [_as_text(column, sqlite).label(column.name) for column in COLUMNS[table]]


def _within(query: Select[Any], first: Month, last: Month, pipelines: Iterable[int]) -> Select[Any]:
    """Of a query over runs those of some pipelines from one month to another, both included."""
    # The sum keeps the database from looking the pipelines up by their key, which would read
    # all of their history for each month of it: six times slower over two years.
    query = query.where((_RUNS.pipeline_id + 0).in_(sorted(pipelines)))
    return query.where(_RUNS.created_at >= first.first, _RUNS.created_at < last.end)


def fresh_rows(
    connection: Connection,
    table: str,
    names: Sequence[str],
    spans: Iterable[tuple[datetime, datetime, list[int]]],
) -> "pa.RecordBatchReader":
    """Some columns of ``runs`` or ``steps``, with the names that they have in files.

    Args:
        spans: the times of creation, from one on and before another, and the pipelines.
    """
    import pyarrow as pa

    schema = pa.schema([file_schema(table).field(name) for name in names])
    sqlite = connection.dialect.name == "sqlite"
    columns = [_as_text(_column_of_file(table, n), sqlite).label(n) for n in names]

    def batches() -> Iterator["pa.RecordBatch"]:
        for since, until, pipelines in spans:
            query = select(*columns).select_from(_source(table))
            query = query.where(
                _RUNS.created_at >= since,
                _RUNS.created_at < until,
                (_RUNS.pipeline_id + 0).in_(pipelines),
            )
            with closing(_stream(connection, query)) as rows:
                for part in _in_parts(rows):
                    yield from _arrow_table(schema, part).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _column_of_file(table: str, name: str) -> Any:
    if table == "steps" and name in OF_RUN:
        return _RUNS[OF_RUN[name]]
    return {"runs": _RUNS, "steps": _STEPS}[table][name]


def _source(table: str) -> Any:
    if table == "runs":
        return tables.runs
    of_run = (_RUNS.pipeline_id == _STEPS.pipeline_id) & (_RUNS.id == _STEPS.run_id)
    return tables.runs.join(tables.steps, of_run)


def _select(table: str, keys: Sequence[MonthKey], *, sqlite: bool) -> Select[Any]:
    """Each row behind its pipeline's number and its run's creation."""
    order = [_RUNS.pipeline_id, _RUNS.created_at, _RUNS.id]
    if table == "steps":
        order += [_STEPS.position, _STEPS.id]
    created_at = _as_text(_RUNS.created_at, sqlite).label("month_of")
    leading = [_RUNS.pipeline_id.label("number"), created_at]
    query = select(*leading, *_raw_columns(table, sqlite=sqlite)).select_from(_source(table))
    names = [month for _, month in keys]
    span = Month.named(min(names)), Month.named(max(names))
    return _within(query, *span, {number for number, _ in keys}).order_by(*order)


def _month_name(created_at: Any) -> str:
    text = created_at if isinstance(created_at, str) else created_at.astimezone(UTC).isoformat()
    return text[:7]


def _stream(connection: Connection, query: Select[Any]) -> Generator[Any, None, None]:
    # On the statement: on the connection it would hold for all that comes after.
    result = connection.execute(query.execution_options(yield_per=AT_ONCE))
    with closing(result):
        for part in result.partitions():
            yield from part


def _in_parts(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """The same rows, some thousands at a time."""
    part: list[Sequence[Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def arrow_schema(table: str) -> "pa.Schema":
    """The columns of ``runs`` or ``steps`` as Arrow has them."""
    return schema_of(COLUMNS[table])


def schema_of(columns: Iterable[Column[Any]]) -> "pa.Schema":
    """Columns of a table as Arrow has them."""
    import pyarrow as pa

    return pa.schema([(column.name, _arrow_type(column)) for column in columns])


def file_schema(table: str) -> "pa.Schema":
    """The same and, for steps, what they tell of their run: the columns of a file."""
    schema, of_runs = arrow_schema(table), arrow_schema("runs")
    for name, column in OF_RUN.items() if table == "steps" else ():
        schema = schema.append(of_runs.field(column).with_name(name))
    return schema


def with_runs(steps: "pa.Table", runs: "pa.Table") -> "pa.Table":
    """Steps with what they tell of their runs.

    Args:
        runs: every run of the steps, of one pipeline.
    """
    import pyarrow.compute as pc

    places = pc.index_in(steps.column("run_id"), runs.column("id").combine_chunks())
    for name, column in OF_RUN.items():
        steps = steps.append_column(name, runs.column(column).take(places))
    return steps


def _as_text(column: Column[Any], sqlite: bool) -> Any:
    if sqlite and isinstance(column.type, UTCDateTime):
        return type_coerce(column, Text)
    if isinstance(column.type, JsonObject):
        return type_coerce(column, Text) if sqlite else cast(column, Text)
    return column


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

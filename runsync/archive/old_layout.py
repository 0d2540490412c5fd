"""What only an archive of layout 1 still holds: it goes over into the new layout.

There each pipeline and month had a folder: ``runs/pipeline=build/month=2024-05/runs.parquet``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runsync.archive.location import ArchiveLocation
from runsync.archive.manifest import TABLES, MonthKey, old_state
from runsync.archive.rows import arrow_schema, with_runs

if TYPE_CHECKING:
    import pyarrow as pa

OLD_VERSION = "layout 1"
"""The version of its months: no database has it."""


@dataclass(frozen=True, slots=True)
class OldMonth:
    """A month of an archive of layout 1: where its files are, and how many runs it has."""

    folder: str
    runs: int


class OldMonths:
    """The months of an archive of layout 1; of any other archive none.

    Attributes:
        months: by their keys in the new layout.
        pipelines: what is known of the pipelines that the database does not have.
    """

    def __init__(self, location: ArchiveLocation) -> None:
        self._location = location
        self.months: dict[MonthKey, OldMonth] = {}
        self.pipelines: list[dict[str, Any]] = []

    def add(self, label: str, months: Sequence[str], folder: str, number: int | None) -> None:
        """Takes in a pipeline's months, under its own number where the database knows none.

        Args:
            label: its source and external id.
        """
        for month in months:
            path = f"{folder}/month={month}"
            runs = self._read("runs", path)
            if runs is not None and runs.num_rows:
                own = int(runs.column("pipeline_id")[0].as_py())
                self.months[number or own, month] = OldMonth(path, runs.num_rows)
                if number is None:
                    self._add_pipeline(own, label)

    def of_month(self, key: MonthKey) -> Iterator[tuple[str, "pa.Table"]]:
        """The month's runs and steps, with the columns of a file."""
        runs, steps = (self._read(table, self.months[key].folder) for table in TABLES)
        if runs is not None:
            runs = _completed(runs, "runs", key)
            yield "runs", runs
            if steps is not None:
                yield "steps", with_runs(_completed(steps, "steps", key), runs)

    def _read(self, table: str, folder: str) -> "pa.Table | None":
        import pyarrow.parquet as pq

        path = f"{table}/{folder}/{table}.parquet"
        if self._location.size(path) is None:
            return None
        with self._location.open(path) as file, pq.ParquetFile(file) as opened:
            return opened.read()

    def _add_pipeline(self, number: int, label: str) -> None:
        source, _, external_id = label.partition("/")
        row = {"id": number, "source": source, "external_id": external_id, "name": external_id}
        if row not in self.pipelines:
            self.pipelines.append(row)


def old_months(location: ArchiveLocation, pipelines: Sequence[Mapping[str, Any]]) -> OldMonths:
    """The months of an archive of layout 1.

    Args:
        pipelines: the rows that the database has.
    """
    found = OldMonths(location)
    numbers = {f"{row['source']}/{row['external_id']}": row["id"] for row in pipelines}
    state = old_state(location)
    for label, entry in (state or {}).get("pipelines", {}).items():
        found.add(label, sorted(entry["months"]), entry["folder"], numbers.get(label))
    return found


def _completed(rows: "pa.Table", table: str, key: MonthKey) -> "pa.Table":
    """The rows with the columns of the new layout, in its order of rows."""
    import pyarrow as pa

    schema = arrow_schema(table)
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    number = pa.array([key[0]] * rows.num_rows, schema.field("pipeline_id").type)
    place = rows.column_names.index("pipeline_id")
    return rows.set_column(place, "pipeline_id", number).select(schema.names).cast(schema)

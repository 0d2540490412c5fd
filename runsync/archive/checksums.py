"""Checksums of rows, the same for a database's rows and for those in a file.

A row's checksum is made of its values: 64 bits, whatever file, page or order it stands in. That of
a run is its row's and its steps' together, that of a month the sum of its runs', that of a pipeline
the sum of its months'. So two histories are compared whole first, and only where they differ month
by month, and run by run.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0x7FB5D329728EA185)
_TABLES = {"runs": np.uint64(0x243F6A8885A308D3), "steps": np.uint64(0x13198A2E03707344)}


def row_checksums(table: "pa.Table", name: str, columns: Sequence[str]) -> Hashes:
    """One checksum for each row, of these columns in this order.

    Args:
        name: ``runs`` or ``steps``: rows of the two never have the same one.
    """
    total = np.full(table.num_rows, _TABLES[name], np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            total = _mixed(total * _ODD + _hashed(table.column(column)))
    return total


def checksum(hashes: Hashes) -> int:
    """That of rows together, in any order."""
    with np.errstate(over="ignore"):
        return int(hashes.sum(dtype=np.uint64))


def as_text(value: int) -> str:
    """A checksum as manifests hold it."""
    return f"{value % 2**64:016x}"


def summed(values: Iterable[int]) -> int:
    """The checksum of what has these ones."""
    return sum(values) % 2**64


class RunChecksums:
    """The checksum of each run of a month, filled with tables of runs and of steps."""

    def __init__(self) -> None:
        self.by_run: dict[str, int] = defaultdict(int)
        self.runs = self.steps = 0

    def add(self, table: "pa.Table", name: str, columns: Sequence[str]) -> None:
        """Takes in rows; a step counts for its run."""
        ids = table.column("id" if name == "runs" else "run_id").to_pylist()
        for run_id, value in zip(ids, row_checksums(table, name, columns).tolist(), strict=True):
            self.by_run[run_id] = (self.by_run[run_id] + value) % 2**64
        if name == "runs":
            self.runs += table.num_rows
        else:
            self.steps += table.num_rows

    @property
    def total(self) -> int:
        """The checksum of them all."""
        return summed(self.by_run.values())


def _mixed(values: Hashes) -> Hashes:
    """Spreads each bit over all of them (the end of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hashed(column: "pa.ChunkedArray") -> Hashes:
    """The hash of each value of a column; times count in microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _of_words(column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64())
    whole = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    made = _mixed(whole.view(np.uint64) + _ODD)
    return _with_nulls(made, column)


def _of_words(column: "pa.ChunkedArray") -> Hashes:
    import pandas as pd

    encoded = column.combine_chunks().dictionary_encode()
    if hasattr(encoded, "chunks"):  # of no rows, or of more than one array can hold
        encoded = encoded.unify_dictionaries().combine_chunks()
    words = np.array(encoded.dictionary.to_pylist() or [""], dtype=object)
    hashes = pd.util.hash_array(words, categorize=False)
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return _with_nulls(hashes[codes], encoded)


def _with_nulls(hashes: Hashes, column: Any) -> Hashes:
    if not column.null_count:
        return hashes
    is_null = column.is_null().to_numpy(zero_copy_only=False)
    return np.where(is_null, _NULL, hashes)

"""The backend of an archive: its rows as frames, without a Python object for any of them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from runsync.archive.duck import DuckArchive
from runsync.archive.mixed import MixedArchive
from runsync.reports.backend import AnySelect, Columns
from runsync.reports.columns import categorical
from runsync.storage.tables import UTCDateTime

_NO_TIME = np.iinfo(np.int64).min


class ArchiveBackend:
    """An archive of Parquet files, over one DuckDB; with a database for what is not sealed.

    Args:
        url: what another process opens the same history by; None where none can.
    """

    dialect_name = "duckdb"

    def __init__(
        self, archive: DuckArchive | MixedArchive, name: str, url: str | None = None
    ) -> None:
        self.name, self.url = name, url
        self._archive = archive

    def fetch(self, select: AnySelect, columns: Columns) -> pd.DataFrame:
        """The rows as a frame, read in chunks."""
        builders = [_arrow_builder(column.type) for column in columns.values()]
        for batch in self._archive.batches(select):
            for builder, array in zip(builders, batch.columns, strict=True):
                builder.add(array)
        built = (builder.built() for builder in builders)
        return pd.DataFrame(dict(zip(columns, built, strict=True)), copy=False)

    def rows(self, select: AnySelect) -> Sequence[Any]:
        """The rows of a small answer, as named tuples."""
        return self._archive.rows(select)


class ArrowBuilder(Protocol):
    """Takes the values of one column in Arrow's arrays and gives them back as one small array."""

    def add(self, array: "pa.Array") -> None: ...

    def built(self) -> Any: ...


def _arrow_builder(type_: sa.types.TypeEngine[Any]) -> ArrowBuilder:
    if isinstance(type_, sa.ARRAY):
        return ArrowLists()
    if isinstance(type_, UTCDateTime):
        return ArrowTimes()
    if isinstance(type_, sa.Text):
        return ArrowWords()
    return ArrowNumbers(np.float64 if isinstance(type_, sa.BigInteger) else np.int64)


class ArrowNumbers:
    """Integers; as floats, where null becomes NaN."""

    def __init__(self, dtype: type[np.float64 | np.int64]) -> None:
        self._chunks: list[npt.NDArray[Any]] = [np.empty(0, dtype)]

    def add(self, array: "pa.Array") -> None:
        values = array.to_numpy(zero_copy_only=False)  # where one is null, floats with NaN
        self._chunks.append(values.astype(self._chunks[0].dtype))

    def built(self) -> npt.NDArray[Any]:
        return np.concatenate(self._chunks)


class ArrowLists:
    """Lists of integers, or of structs of integers: for each list its arrays, one for each field;
    of floats with NaN where any is null."""

    def __init__(self) -> None:
        self._lists: list[tuple[npt.NDArray[Any], ...]] = []

    def add(self, array: "pa.Array") -> None:
        values = array.values
        arrays = values.flatten() if pa.types.is_struct(values.type) else [values]
        fields = [one.to_numpy(zero_copy_only=False) for one in arrays]
        for begin, end in pairwise(array.offsets.to_pylist()):
            self._lists.append(tuple(field[begin:end] for field in fields))

    def built(self) -> "pd.Series[Any]":
        return pd.Series(self._lists, dtype=object)


class ArrowTimes:
    """Times, as microseconds since 1970."""

    def __init__(self) -> None:
        self._chunks = [np.empty(0, np.int64)]

    def add(self, array: "pa.Array") -> None:
        whole = array.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        self._chunks.append(whole.fill_null(_NO_TIME).to_numpy())

    def built(self) -> pd.DatetimeIndex:
        micros = np.concatenate(self._chunks)
        return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")


class ArrowWords:
    """Text, as sorted categories: each word is kept once, however many rows hold it."""

    def __init__(self) -> None:
        nothing = pa.array([], pa.string()).dictionary_encode()
        self._chunks: list[pa.DictionaryArray] = [nothing]

    def add(self, array: "pa.Array") -> None:
        self._chunks.append(array.cast(pa.string()).dictionary_encode())

    def built(self) -> "pd.Categorical[str]":
        chunks = pa.chunked_array(self._chunks).unify_dictionaries().chunks
        words = chunks[-1].dictionary  # that of the last holds what all of them hold
        order = pc.sort_indices(words)  # by bytes, which in UTF-8 is by characters
        place = np.empty(len(words) + 1, np.int32)
        place[order.to_numpy()] = np.arange(len(words))
        place[-1] = -1  # what null's code, -1, points at
        codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy() for chunk in chunks])
        return categorical(place[codes], words.take(order).to_pandas())

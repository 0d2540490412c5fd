"""Packs the columns of a long answer, chunk by chunk, into small arrays."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from runsync.reports.categories import categorical
from runsync.storage.tables import UTCDateTime

_NO_TIME = np.iinfo(np.int64).min
# Each reading of times has a cost of its own, of some milliseconds.
_TIMES_AT_ONCE = 20_000


class Packer(Protocol):
    """Takes the values of one column in chunks and gives them back as one."""

    def add(self, values: Sequence[Any]) -> None: ...

    def packed(self) -> Any: ...


def packer_of(column: sa.Column[Any]) -> Packer:
    """The packer for a column's type: times, text, milliseconds (nullable), or other integers."""
    if isinstance(column.type, UTCDateTime):
        return Times()
    if isinstance(column.type, sa.Text):
        return Words()
    return Numbers(np.float64 if isinstance(column.type, sa.BigInteger) else np.int64)


class Numbers:
    """Integers; as floats, where None becomes NaN."""

    def __init__(self, dtype: type[np.float64 | np.int64]) -> None:
        self._dtype = dtype
        self._chunks: list[npt.NDArray[Any]] = []

    def add(self, values: Sequence[int | None]) -> None:
        self._chunks.append(np.array(values, dtype=self._dtype))

    def packed(self) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, self._dtype), *self._chunks])


class Words:
    """Text, as sorted categories: each word is kept once, however many rows hold it."""

    def __init__(self) -> None:
        self._codes = _Codes({None: -1})
        self._chunks: list[npt.NDArray[np.int32]] = []

    def add(self, values: Sequence[str | None]) -> None:
        self._chunks.append(
            np.fromiter(map(self._codes.__getitem__, values), np.int32, len(values))
        )

    def packed(self) -> "pd.Categorical[str]":
        words = [word for word in self._codes if word is not None]
        codes = np.concatenate([np.empty(0, np.int32), *self._chunks])
        order = sorted(range(len(words)), key=words.__getitem__)
        place = np.empty(len(words) + 1, np.int32)
        place[order] = np.arange(len(words))
        place[-1] = -1  # what None's code, -1, points at
        return categorical(place[codes], [words[i] for i in order])


class Times:
    """Times: ISO text of one form (SQLite), or microseconds since 1970 (PostgreSQL)."""

    def __init__(self) -> None:
        self._chunks: list[npt.NDArray[np.int64]] = []
        self._waiting: list[str | int | None] = []

    def add(self, values: Sequence[str | int | None]) -> None:
        self._waiting.extend(values)
        if len(self._waiting) >= _TIMES_AT_ONCE:
            self._read()

    def packed(self) -> pd.DatetimeIndex:
        self._read()
        micros = np.concatenate([np.empty(0, np.int64), *self._chunks])
        return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")

    def _read(self) -> None:
        waiting, self._waiting = self._waiting, []
        if isinstance(next((v for v in waiting if v is not None), 0), int):
            known = [_NO_TIME if v is None else v for v in waiting]
            self._chunks.append(np.array(known, dtype=np.int64))
            return
        texts = np.array(waiting, dtype=object)
        times = pd.to_datetime(texts, format="ISO8601", utc=True, cache=False).as_unit("us")
        self._chunks.append(times.asi8)


class _Codes(dict[str | None, int]):
    """Numbers words in the order in which they are first met; None is -1."""

    def __missing__(self, word: str | None) -> int:
        self[word] = code = len(self) - 1
        return code

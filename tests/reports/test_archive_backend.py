"""How Arrow's columns become a frame's."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.archive_backend import ArrowNumbers, ArrowTimes, ArrowWords

words = st.none() | st.sampled_from(["b", "a", "", "ä", "\uffee", "😀"])


@given(chunks=st.lists(st.lists(words, max_size=5), max_size=4))
def test_words_are_sorted_categories(chunks: list[list[str | None]]) -> None:
    builder = ArrowWords()
    for chunk in chunks:
        builder.add(pa.array(chunk, pa.string()))
    built, flat = builder.built(), [word for chunk in chunks for word in chunk]
    assert [None if pd.isna(word) else word for word in built.tolist()] == flat
    assert list(built.categories) == sorted({word for word in flat if word is not None})
    assert not built.ordered


def test_numbers_are_whole_or_floats_with_what_is_missing() -> None:
    whole, floats = ArrowNumbers(np.int64), ArrowNumbers(np.float64)
    whole.add(pa.array([1, 2], pa.int32()))
    floats.add(pa.array([1, None], pa.int64()))
    floats.add(pa.array([3], pa.int64()))
    assert whole.built().tolist() == [1, 2]
    assert floats.built().tolist() == pytest.approx([1, np.nan, 3], nan_ok=True)
    assert ArrowNumbers(np.int64).built().dtype == np.int64


def test_times_are_microseconds_in_utc() -> None:
    builder = ArrowTimes()
    builder.add(pa.array([1_700_000_000_123_456, None], pa.timestamp("us", tz="UTC")))
    built = builder.built()
    assert str(built.dtype) == "datetime64[us, UTC]"
    assert built[0] == pd.Timestamp("2023-11-14T22:13:20.123456Z")
    assert built.isna().tolist() == [False, True]

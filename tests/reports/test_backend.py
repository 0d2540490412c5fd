"""The columns of a frame: what came from the database comes out as it went in."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.backend import Numbers, Times, Words


@given(st.lists(st.lists(st.none() | st.text(max_size=3), max_size=6), max_size=4))
def test_words_come_out_as_they_went_in(chunks: list[list[str | None]]) -> None:
    builder = Words()
    for chunk in chunks:
        builder.add(chunk)
    built = builder.built()
    whole = [word for chunk in chunks for word in chunk]
    assert [None if pd.isna(word) else word for word in built] == whole
    assert list(built.categories) == sorted({word for word in whole if word is not None})


@given(st.lists(st.none() | st.integers(-(2**50), 2**50), max_size=9))
def test_milliseconds_come_out_as_they_went_in(values: list[int | None]) -> None:
    builder = Numbers(np.float64)
    builder.add(values)
    assert [None if np.isnan(v) else int(v) for v in builder.built()] == values


@given(
    st.lists(st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), max_size=9),  # noqa: DTZ001
    st.booleans(),
)
def test_times_come_out_as_they_went_in(times: list[datetime | None], as_text: bool) -> None:
    aware = [None if t is None else t.replace(tzinfo=UTC) for t in times]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    builder = Times()
    if as_text:
        builder.add([None if t is None else f"{t:%Y-%m-%dT%H:%M:%S.%f}Z" for t in times])
    else:
        builder.add(
            [None if t is None else round((t - epoch).total_seconds() * 1e6) for t in aware]
        )
    built = builder.built()
    assert [None if pd.isna(t) else t.to_pydatetime() for t in built] == aware
    assert str(built.dtype) == "datetime64[us, UTC]"

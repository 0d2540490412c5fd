"""Checksums of rows: the same wherever the rows are, another one whenever a value is."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from runsync.archive.checksums import RunChecksums, as_text, checksum, row_checksums, summed

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("number", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("flag", pa.bool_()),
        ("word", pa.string()),
    ]
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "ä", ""]),
            "number": st.none() | st.integers(-(2**63), 2**63 - 1),
            "at": st.none() | st.datetimes(timezones=st.just(UTC)),
            "flag": st.none() | st.booleans(),
            "word": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        }
    ),
    min_size=1,
    max_size=6,
)


def table(made: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(made, SCHEMA)


def sums(made: pa.Table) -> list[int]:
    return [int(value) for value in row_checksums(made, "runs", SCHEMA.names)]


@given(rows, st.data())
def test_order_chunks_and_dictionaries_change_nothing(
    made: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = sums(table(made))
    cut = data.draw(st.integers(0, len(made)))
    assert sums(pa.concat_tables([table(made[:cut]), table(made[cut:])])) == whole
    assert sums(table(made[::-1])) == whole[::-1]
    words = table(made).column("word").dictionary_encode()
    assert sums(table(made).set_column(4, "word", words)) == whole
    assert checksum(row_checksums(table(made), "runs", SCHEMA.names)) == summed(whole)


@given(rows, rows)
def test_rows_are_equal_where_their_checksums_are(
    ones: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    for one, a in zip(ones, sums(table(ones)), strict=True):
        for other, b in zip(others, sums(table(others)), strict=True):
            assert (one == other) == (a == b)


def test_a_value_counts_in_its_own_column() -> None:
    one = {"id": "a", "number": 1, "at": None, "flag": True, "word": "x"}
    swapped = {"id": "x", "number": 1, "at": None, "flag": True, "word": "a"}
    empty, zero = one | {"word": None, "number": None}, one | {"word": "", "number": 0}
    assert len(set(sums(table([one, swapped, empty, zero])))) == 4


def test_a_step_counts_for_its_run_and_a_run_is_no_step() -> None:
    run = table([{"id": "a", "number": 1}])
    step = pa.table({"run_id": ["a", "b"], "id": ["a", "a"]})
    both = RunChecksums()
    both.add(run, "runs", SCHEMA.names)
    alone = dict(both.by_run)
    both.add(step, "steps", ["run_id", "id"])
    assert set(both.by_run) == {"a", "b"}
    assert both.by_run["a"] != alone["a"]
    assert (both.runs, both.steps, both.total) == (1, 2, summed(both.by_run.values()))
    assert list(row_checksums(run, "runs", ["id"])) != list(row_checksums(run, "steps", ["id"]))


def test_it_is_the_same_tomorrow() -> None:
    """Archives hold it: another way to reckon it would make them all look damaged."""
    at = datetime(2024, 5, 1, 12, 30, 0, 123456, UTC)
    made = table([{"id": "a", "number": -1, "at": at, "flag": True, "word": "ü"}, {"id": ""}])
    assert [as_text(value) for value in sums(made)] == ["19ce6ef3b7a224c3", "ada2c49f13bf2d0f"]

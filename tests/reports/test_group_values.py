"""Values by group: the quantiles of pandas, however the groups were put together."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.group_values import GroupValues

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 2**33) | st.integers(0, 9)
    ),
    max_size=30,
)


def frame(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["one", "two", "ms"])
    return made.astype({"one": "category", "two": "category", "ms": "int64"})


@given(ROWS, st.integers(0, 30))
def test_they_are_the_figures_of_pandas(rows: list[tuple[str, str, int]], cut: int) -> None:
    whole = frame(rows)
    parts = [
        GroupValues.of(whole.iloc[part], ["one", "two"], "ms")
        for part in (slice(cut), slice(cut, None))
    ]
    keys = pd.concat([part.keys for part in parts], ignore_index=True)
    found = GroupValues.together([part.sizes for part in parts], keys, parts)
    for samples, by in ((found, ["one", "two"]), (found.by(["two"]), ["two"])):
        groups = whole.groupby(by, observed=True)["ms"]
        assert samples.counts.tolist() == groups.count().tolist()
        assert samples.totals().tolist() == groups.sum().tolist()
        for share in (0.5, 0.9, 0.95, 1):
            wanted = groups.quantile(share).astype(float).tolist()
            assert samples.quantiles(share)[0].tolist() == wanted
    assert sorted(found.frame()["ms"]) == sorted(whole["ms"])


def test_values_are_as_narrow_as_they_can_be() -> None:
    assert GroupValues.of(frame([("a", "x", 2**32 - 1)]), ["one"], "ms").values.dtype == np.uint32
    assert GroupValues.of(frame([("a", "x", 2**32)]), ["one"], "ms").values.dtype == np.int64

"""Our own distributions against SciPy's, which would take too long to import for a report."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from runsync.reports.distributions import digamma, t_p_values, t_reach, tetragamma, trigamma

DEGREES = st.floats(1, 1e6)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), DEGREES), min_size=1))
def test_p_values_are_those_of_students_t(pairs: list[tuple[float, float]]) -> None:
    t, degrees = np.array(pairs).T
    expected = 2 * special.stdtr(degrees, -np.abs(t))
    assert t_p_values(t, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.lists(DEGREES, min_size=1))
def test_ninety_five_percent_are_within_reach(degrees: list[float]) -> None:
    assert t_reach(degrees) == pytest.approx(special.stdtrit(degrees, 0.975), rel=1e-9)


def test_the_ends_have_their_p_values_and_what_is_not_known_has_none() -> None:
    t = [0, np.inf, np.nan, 2, 2, 2, 2]
    degrees = [5, 5, 5, np.nan, 0.5, 0, -3]
    expected = [1, 0, *[np.nan] * 5]
    assert t_p_values(t, degrees) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(t_reach([np.nan, 0.5, -3])).all()


def test_there_may_be_no_value_at_all() -> None:
    assert t_p_values([], []).size == t_reach([]).size == 0


@given(st.lists(st.floats(1e-9, 1e6), min_size=1))
def test_polygamma_functions_are_scipys(x: list[float]) -> None:
    assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-12, abs=1e-12)
    assert trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-12)
    assert tetragamma(x) == pytest.approx(special.polygamma(2, x), rel=1e-12)

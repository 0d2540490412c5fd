"""A reader who follows one task through the package has only so far to go."""

import pytest

from tests.structure.path_counts import PATHS

MOST = {
    "a sync of one run": (21, 150),
    "one pass_rates": (10, 70),
    "`runsync sync` of one run": (36, 240),
}
"""Files and functions. Lower a limit when its path has become shorter; never raise one."""


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_short(name: str) -> None:
    # What only a machine under load calls, to try again, is not of the path.
    called = PATHS[name]() & PATHS[name]()
    files, functions = MOST[name]
    assert len(called) <= files, sorted(called)
    assert called.total() <= functions, called

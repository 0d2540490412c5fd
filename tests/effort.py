"""How much is tried: RUNSYNC_TEST_EXAMPLES (10 unless told) scales each property of these rooms."""

import os

from hypothesis import settings

_FULL = 40


def effort(examples: int, *, steps: int = 50) -> settings:
    """Settings for that many examples in CI, where the environment wants 40 of each property, and
    for fewer where it wants fewer.

    Args:
        steps: how long a history of a state machine may become.
    """
    wanted = int(os.environ.get("RUNSYNC_TEST_EXAMPLES", "10"))
    return settings(max_examples=max(1, examples * wanted // _FULL), stateful_step_count=steps)

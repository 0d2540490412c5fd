"""How much is tried: RUNSYNC_TEST_EXAMPLES (40 unless told) scales each property of these rooms."""

import os

from hypothesis import settings

_USUAL = 40


def effort(examples: int) -> settings:
    """Settings for that many examples, or for as many more as the environment wants."""
    wanted = int(os.environ.get("RUNSYNC_TEST_EXAMPLES", _USUAL))
    return settings(max_examples=max(1, examples * wanted // _USUAL))

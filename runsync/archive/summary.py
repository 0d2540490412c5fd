"""What an export did."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Summary:
    """What an export did, in months of pipelines and in rows."""

    written: int = 0
    unchanged: int = 0
    runs: int = 0
    steps: int = 0


Watching = Callable[[str, Summary], None]
"""Is told of each month once it is written, and what was done so far."""

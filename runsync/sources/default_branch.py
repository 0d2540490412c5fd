"""The default branch of a repository: asked for when first needed, and then once a week.

It is kept in the memory of a listing, so that a sync which finds nothing new asks for nothing more.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from runsync.records import parse_time

KEY = "default_branch"
"""Under which key of a listing's memory it stands, with the day on which it was asked for."""
_VALID = timedelta(days=7)


class DefaultBranch:
    """What a listing's repository calls its default branch.

    Args:
        memory: of the listing.
        ask: the provider's answer; None where it has or tells none.
    """

    def __init__(self, memory: dict[str, Any], ask: Callable[[], str | None]) -> None:
        self._memory, self._ask = memory, ask

    def at(self, now: datetime) -> str | None:
        """Its name, ``now`` by the provider's clock."""
        known = self._memory.get(KEY)
        if known is None or now >= parse_time(known[1]) + _VALID:
            known = [
                self._ask(),
                now.replace(hour=0, minute=0, second=0, microsecond=0).isoformat(),
            ]
            self._memory[KEY] = known
        name: str | None = known[0]
        return name

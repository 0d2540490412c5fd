"""The default branch of a repository: asked for when first needed, and then once a week.

It is kept in the memory of a listing, so that a sync which finds nothing new asks for nothing more.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from runsync.errors import ForbiddenError, NotFoundError, SourceError
from runsync.records import parse_time
from runsync.sources.fields import BadRowError, storable

KEY = "default_branch"
"""Under which key of a listing's memory it stands, with the day on which it was asked for."""
OWNER = "owner"
"""Under which key stands the number of the repository itself, told by the same answer."""
_VALID = timedelta(days=7)


class DefaultBranch:
    """What a listing's repository calls its default branch.

    Args:
        memory: of the listing.
        ask: the provider's answer; None where it has or tells none. So it counts where this is not
            found, forbidden, or cannot be read.
    """

    def __init__(self, memory: dict[str, Any], ask: Callable[[], str | None]) -> None:
        self._memory, self._ask = memory, ask

    def at(self, now: datetime) -> str | None:
        """Its name, ``now`` by the provider's clock."""
        known = self._memory.get(KEY)
        if known is None or now >= parse_time(known[1]) + _VALID:
            known = [None, now.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()]
            with suppress(NotFoundError, ForbiddenError, BadRowError):
                known[0] = self._ask()
            self._memory[KEY] = known
        name: str | None = known[0]
        return name


def ask_repository(ask: Callable[[], object], memory: dict[str, Any]) -> str | None:
    """The default branch of a repository that tells its ``id`` and ``default_branch``; None where
    they cannot be had. Notes its number.

    Args:
        memory: of the listing.
    """
    with suppress(NotFoundError, ForbiddenError):
        data = ask()
        told = data if isinstance(data, dict) else {}
        memory[OWNER], name = told.get("id"), told.get("default_branch")
        return storable(name) if isinstance(name, str) else None
    return None


def check_owner(
    found: Iterable[object], memory: Mapping[str, Any], ask: Callable[[], object], what: str
) -> None:
    """Refuses the rows of another repository, such as a cache may mix up.

    Args:
        found: the numbers of the repositories that rows are of; what is no number says nothing.
        memory: of the listing.
        ask: asks again and notes the number: a new repository may have taken the old one's name.
        what: what is listed, for the error.

    Raises:
        SourceError: they are of another one.
    """
    numbers = {number for number in found if isinstance(number, int)}

    def is_foreign() -> bool:
        return bool(numbers) and memory.get(OWNER) is not None and numbers != {memory[OWNER]}

    if is_foreign():
        ask()
        if is_foreign():
            raise SourceError(
                f"{what}: they are of number {min(numbers)}, and not of {memory[OWNER]}, which has "
                "this name; sync again, and check base_url if this lasts"
            )

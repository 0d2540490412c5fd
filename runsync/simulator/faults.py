"""What goes wrong, and when."""

from __future__ import annotations

from collections.abc import Callable

from runsync.simulator.wire import Request, Response
from runsync.simulator.world import World


class Faults:
    """Faults on order."""

    def answer(self, request: Request, world: World, honest: Callable[[], Response]) -> Response:
        """The answer to ``request``: the honest one."""
        return honest()

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Faults from their short form."""
        raise ValueError(f"unknown fault {text!r}")

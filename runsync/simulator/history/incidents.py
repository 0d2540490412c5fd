"""What goes wrong in a history that has a story: from a moment on, a step fails or takes longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Incident:
    """From ``begins`` (ms) on a step fails in this share of runs, or takes so many times as long.

    With a ``branch`` only runs on that one are concerned.
    """

    step: str
    begins: int
    failing: float = 0.0
    slower: float = 1.0
    branch: str | None = None

    def concerns(self, created: int, branch: str | None) -> bool:
        """Whether a run of that time and branch may be hit."""
        return created >= self.begins and self.branch in (None, branch)


def failing_step(
    incidents: Sequence[Incident], created: int, branch: str | None, rng: Random
) -> str | None:
    """The step in which an incident makes the run fail; None: none does."""
    for one in incidents:
        if one.failing and one.concerns(created, branch) and rng.random() < one.failing:
            return one.step
    return None


def slowness(incidents: Sequence[Incident], created: int, step: str) -> float:
    """How many times as long as usual the step takes."""
    found = 1.0
    for one in incidents:
        if one.step == step and one.concerns(created, one.branch):
            found *= one.slower
    return found

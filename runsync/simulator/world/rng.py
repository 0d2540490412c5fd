"""Chance that comes out the same each time."""

from __future__ import annotations

import random


def seeded(seed: int | str) -> random.Random:
    """A source of random numbers that the seed determines."""
    return random.Random(seed)  # noqa: S311 -- invented history, no secrets


def new_commit(rng: random.Random) -> str:
    """A commit hash, 40 hex digits."""
    return f"{rng.getrandbits(160):040x}"

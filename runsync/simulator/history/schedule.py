"""When a team works, and on which branches: weekdays, office hours, branches that pass by."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from runsync.simulator.history.profiles import TOPICS
from runsync.simulator.world.clock import DAY_MS, HOUR_MS
from runsync.simulator.world.people import PEOPLE
from runsync.simulator.world.plans import Person
from runsync.simulator.world.rng import new_commit

_OFFICE = (0, 0, 0, 0, 0, 0, 1, 3, 7, 11, 14, 13, 8, 10, 14, 13, 11, 7, 4, 2, 1, 1, 0, 0)


def activity(when: int) -> float:
    """How busy the team is at ``when``, from nearly 0 to 1."""
    weekend = (when // DAY_MS + 3) % 7 >= 5
    hour = when % DAY_MS // HOUR_MS
    return (0.01 + _OFFICE[hour] / max(_OFFICE)) * (0.07 if weekend else 1) / 1.01


def office_times(rng: random.Random, count: int, start: int, end: int) -> list[int]:
    """``count`` moments between ``start`` and ``end``, sorted, most of them in office hours."""
    slots = range(start, max(start + 1, end), HOUR_MS)
    growth = [1 + 0.5 * (slot - start) / max(1, end - start) for slot in slots]
    weights = [activity(slot) * grown for slot, grown in zip(slots, growth, strict=True)]
    chosen = rng.choices(slots, cum_weights=list(accumulate(weights)), k=count)
    return sorted(min(end, slot + rng.randrange(HOUR_MS)) for slot in chosen)


def night_times(rng: random.Random, count: int, start: int, end: int) -> list[int]:
    """``count`` moments soon after two at night, spread evenly over the days, sorted."""
    first_day, days = start // DAY_MS, max(1, (end - start) // DAY_MS)
    nights = [first_day + 1 + index * days // count for index in range(count)]
    times = [
        night * DAY_MS + 2 * HOUR_MS + rng.randrange(240_000) + (index % 3) * 2_400_000
        for index, night in enumerate(nights)
    ]
    return sorted(min(end, when) for when in times)


@dataclass(slots=True)
class Branch:
    """A branch, whose it is (None: everybody's), how long it lives, and its newest commit."""

    name: str
    owner: Person | None
    born: int
    dies: int
    commit: str


class BranchHistory:
    """The branches of a repository over time; master is always there and busiest."""

    def __init__(self, rng: random.Random, start: int, end: int) -> None:
        self._rng = rng
        self.master = Branch("master", None, start, end, new_commit(rng))
        count = max(2, (end - start) // (4 * DAY_MS))
        births = sorted(rng.randrange(start, max(start + 1, end)) for _ in range(count))
        self._features = [self._feature(number, born) for number, born in enumerate(births)]
        self._births = births

    def _feature(self, number: int, born: int) -> Branch:
        rng = self._rng
        kind = rng.choice(("feature", "feature", "fix", "chore"))
        name = f"{kind}/{rng.choice(TOPICS)}-{100 + number}"
        lives = round(rng.uniform(1.5, 14) * DAY_MS)
        return Branch(name, rng.choice(PEOPLE[:-1]), born, born + lives, new_commit(rng))

    def pick(self, when: int) -> Branch:
        """The branch that a push at ``when`` goes to."""
        recent = self._features[: bisect_right(self._births, when)][-8:]
        alive = [branch for branch in recent if when < branch.dies]
        if not alive or self._rng.random() < 0.55:
            return self.master
        return self._rng.choice(alive)

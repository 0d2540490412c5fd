"""Any history, told in a few words: what happens, and when."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

from hypothesis import strategies as st

from tests.sources.github.world import SECOND, Run, World

DAY = timedelta(days=1)
EVENTS = ("arrive", "several", "late", "rerun", "finish", "start", "delete", "hours", "days")
events = st.lists(st.sampled_from(EVENTS), max_size=8)


class Story:
    """Lets things happen in a world, by chance; with ``pauses`` for more than a month."""

    def __init__(self, world: World, seed: int, *, pauses: bool = True) -> None:
        self.world, self.chance, self._pauses = world, random.Random(seed), pauses
        for _ in range(self.chance.randrange(24)):
            self.tell("arrive")

    def tell(self, event: str) -> None:
        world, chance = self.world, self.chance
        runs = sorted(world.runs.values(), key=lambda run: run.created)
        world.now += chance.choice([1, 2, 700]) * SECOND
        if event == "hours":
            world.now += chance.randrange(1, 20) * timedelta(hours=1)
        elif event == "days":
            world.now += chance.randrange(1, 40 if self._pauses else 3) * DAY
        elif event == "several":
            for _ in range(chance.randrange(2, 8)):
                self.tell("arrive")
        elif event == "late" and runs and world.now - runs[-1].created < DAY:
            # It shows up behind one that came after it.
            world.add_run(runs[-1].created - chance.choice([0.5, 1, 3]) * SECOND)
        elif event == "start":
            world.add_run(world.now, status="in_progress")
        elif event == "arrive" or not runs:
            world.add_run(world.now)
        elif event == "delete":
            world.delete(chance.choice(runs))
        else:
            self._change(event, chance.choice(runs))

    def tell_next(self, pending: Iterator[str]) -> None:
        event = next(pending, None)
        if event is not None:
            self.tell(event)

    def _change(self, event: str, run: Run) -> None:
        under_way = run.newest.status != "completed"
        if event == "finish" and under_way:
            self.world.finish(run, self.world.now, self.chance.choice(["success", "failure"]))
        elif event == "rerun" and not under_way and self.world.now - run.created < 30 * DAY:
            self.world.rerun(run, self.world.now)

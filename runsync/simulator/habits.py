"""What the pipelines, people and commits of a believable team look like."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from runsync.simulator.chance import seeded
from runsync.simulator.plans import Person, StepPlan

DAY_MS = 86_400_000

PEOPLE = (
    Person("Toon", "tonnu", "549101f36b3ba8733d88ce96", "bb95c388b227da2ce2f33c0811478095", True),
    Person("Mira Okaf", "mokaf", "56a1f0c2d7be4e1a09c3b7d1", "0d5c9a51e1f2436f8f6a3b7790c6d2ab"),
    Person("José Núñez", "jnunez", "56f3b9d01c2e5a7b83d9f014", "8a1e4c7d92b35f60718293a4b5c6d7e8"),
    Person("Li Wei", "liwei", "5702ce7b45aa90d1e3f8b26c", "3f9d2e8c17b64a05c8d1f2e3a4b59687"),
    Person("Ana Kovač", None, "571b44e08f1c2d3b4a596877", "c4ca4238a0b923820dcc509a6f75849b"),
    Person("release-bot", "release-bot", None, "1679091c5a880faf6fb5e6087eb1b2dc"),
)
"""The last but one has no user name, the last no user id."""

BOT = PEOPLE[-1]

MESSAGES = (
    "Fix flaky login test",
    "Bump requests to 2.31.0",
    "Add retry to the price importer",
    "Refactor order totals, part two",
    'Rename "basket" to "cart"',
    "=SUM() in the export is a formula again: quote it",
    "Größe der Vorschaubilder begrenzen",
    "Speed up search by caching facets 🚀",
    "Remove dead feature flags",
    "Handle empty invoices",
    "Log slow queries\n\nAnything over 300 ms, with the plan.",
    "Update translations",
    "Tighten the content security policy",
    "Make the nightly report idempotent",
)

TOPICS = ("login", "search", "cart", "export", "invoices", "i18n", "csp", "cache", "cleanup", "api")


@dataclass(frozen=True, slots=True)
class StepHabit:
    """A step's usual duration in seconds, how much of it drifts on by the end, and its failures."""

    name: str
    seconds: float
    blame: float = 0.0
    drift: float = 0.0
    final: bool = False


@dataclass(frozen=True, slots=True)
class Habit:
    """How a kind of pipeline behaves. ``share`` is its part of all runs; rates are from 0 to 1."""

    name: str
    pipeline_name: str
    share: float
    pass_rate: float
    abort_rate: float
    steps: tuple[StepHabit, ...]
    flaky_step: int = -1
    flaky_rate: float = 0.0
    approval_rate: float = 0.0


BUILD = Habit(
    name="build-and-test",
    pipeline_name="build",
    share=0.68,
    pass_rate=0.86,
    abort_rate=0.07,
    steps=(
        StepHabit("get code", 0.7, blame=0.02),
        StepHabit("setup environment", 14, blame=0.06),
        StepHabit("install dependencies", 48, blame=0.12),
        StepHabit("lint", 11, blame=0.2),
        StepHabit("unit tests", 65, blame=0.45, drift=0.9),
        StepHabit("browser tests", 88, blame=0.1),
        StepHabit("package", 19, blame=0.05),
        StepHabit("notify slack", 1.2, final=True),
    ),
    flaky_step=5,
    flaky_rate=0.05,
)

DEPLOY = Habit(
    name="deploy-production",
    pipeline_name="deploy",
    share=0.24,
    pass_rate=0.95,
    abort_rate=0.03,
    steps=(
        StepHabit("get code", 0.5, blame=0.02),
        StepHabit("setup environment", 9, blame=0.08),
        StepHabit("push image", 24, blame=0.2),
        StepHabit("migrate database", 6, blame=0.2),
        StepHabit("roll out", 41, blame=0.4),
        StepHabit("smoke tests", 17, blame=0.1),
        StepHabit("notify slack", 1.0, final=True),
    ),
    approval_rate=0.15,
)

NIGHTLY = Habit(
    name="nightly-checks",
    pipeline_name="nightly",
    share=0.08,
    pass_rate=0.72,
    abort_rate=0.02,
    steps=(
        StepHabit("get code", 0.8, blame=0.02),
        StepHabit("setup environment", 16, blame=0.08),
        StepHabit("restore snapshot", 210, blame=0.2),
        StepHabit("integration tests", 940, blame=0.4),
        StepHabit("load test", 620, blame=0.3, drift=0.25),
        StepHabit("mail report", 2.4, final=True),
    ),
)

HABITS = (BUILD, DEPLOY, NIGHTLY)


@dataclass(frozen=True, slots=True)
class HabitRecipe:
    """Draws a run's steps from a habit; drift grows from ``start`` (ms) over ``length`` (ms)."""

    habit: Habit
    start: int
    length: int
    count: int | None = None

    def step_habits(self) -> Sequence[StepHabit]:
        """The steps of this pipeline, cut or repeated to ``count`` where that is given."""
        steps = self.habit.steps
        if self.count is None:
            return steps
        extra = tuple(
            StepHabit(f"{steps[2 + i % 4].name} {i // 4 + 2}", 5, blame=0.01)
            for i in range(self.count - len(steps))
        )
        return (steps + extra)[: self.count]

    def steps(self, seed: int, created: int, failing: int) -> list[StepPlan]:
        """The steps of one run, the same for the same arguments."""
        rng = seeded(seed)
        age = min(1.0, max(0.0, (created - self.start) / self.length))
        habits = self.step_habits()
        return [self._step(rng, habit, order, age, failing) for order, habit in enumerate(habits)]

    def _step(
        self, rng: random.Random, habit: StepHabit, order: int, age: float, failing: int
    ) -> StepPlan:
        usual = habit.seconds * (1 + habit.drift * age)
        seconds = usual * rng.lognormvariate(0, 0.18)
        failed = order == failing
        phase = None if order < 2 else "finalSteps" if habit.final else "mainSteps"
        return StepPlan(
            habit.name,
            max(1, round(1000 * seconds * (rng.uniform(0.2, 1) if failed else 1))),
            "failed" if failed else "passed",
            phase,
            reached=failing < 0 or order <= failing or habit.final,
        )

    def pick_failing(self, rng: random.Random) -> int:
        """Which step is to blame when a run fails; -1 if there are none."""
        habits = self.step_habits()
        if not habits:
            return -1
        return rng.choices(range(len(habits)), [habit.blame + 1e-9 for habit in habits])[0]

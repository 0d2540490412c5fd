"""What the pipelines and commits of a believable team look like."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from runsync.simulator.history.incidents import Incident, slowness
from runsync.simulator.world.plans import StepPlan
from runsync.simulator.world.rng import seeded

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
class StepProfile:
    """A step's usual duration in seconds, how much of it drifts on by the end, and its failures."""

    name: str
    seconds: float
    failure_weight: float = 0.0
    drift: float = 0.0
    final: bool = False


@dataclass(frozen=True, slots=True)
class PipelineProfile:
    """How a kind of pipeline behaves. ``share`` is its part of all runs; rates are from 0 to 1."""

    name: str
    pipeline_name: str
    share: float
    pass_rate: float
    abort_rate: float
    steps: tuple[StepProfile, ...]
    flaky_step: int = -1
    flaky_rate: float = 0.0
    approval_rate: float = 0.0


BUILD = PipelineProfile(
    name="build-and-test",
    pipeline_name="build",
    share=0.68,
    pass_rate=0.86,
    abort_rate=0.07,
    steps=(
        StepProfile("get code", 0.7, failure_weight=0.02),
        StepProfile("setup environment", 14, failure_weight=0.06),
        StepProfile("install dependencies", 48, failure_weight=0.12),
        StepProfile("lint", 11, failure_weight=0.2),
        StepProfile("unit tests", 65, failure_weight=0.45, drift=0.9),
        StepProfile("browser tests", 88, failure_weight=0.1),
        StepProfile("package", 19, failure_weight=0.05),
        StepProfile("notify slack", 1.2, final=True),
    ),
    flaky_step=5,
    flaky_rate=0.05,
)

DEPLOY = PipelineProfile(
    name="deploy-production",
    pipeline_name="deploy",
    share=0.24,
    pass_rate=0.95,
    abort_rate=0.03,
    steps=(
        StepProfile("get code", 0.5, failure_weight=0.02),
        StepProfile("setup environment", 9, failure_weight=0.08),
        StepProfile("push image", 24, failure_weight=0.2),
        StepProfile("migrate database", 6, failure_weight=0.2),
        StepProfile("roll out", 41, failure_weight=0.4),
        StepProfile("smoke tests", 17, failure_weight=0.1),
        StepProfile("notify slack", 1.0, final=True),
    ),
    approval_rate=0.15,
)

NIGHTLY = PipelineProfile(
    name="nightly-checks",
    pipeline_name="nightly",
    share=0.08,
    pass_rate=0.72,
    abort_rate=0.02,
    steps=(
        StepProfile("get code", 0.8, failure_weight=0.02),
        StepProfile("setup environment", 16, failure_weight=0.08),
        StepProfile("restore snapshot", 210, failure_weight=0.2),
        StepProfile("integration tests", 940, failure_weight=0.4),
        StepProfile("load test", 620, failure_weight=0.3, drift=0.25),
        StepProfile("mail report", 2.4, final=True),
    ),
)

PROFILES = (BUILD, DEPLOY, NIGHTLY)


@dataclass(frozen=True, slots=True)
class ProfileSteps:
    """Draws a run's steps from a profile; drift grows from ``start`` (ms) over ``length`` (ms)."""

    profile: PipelineProfile
    start: int
    length: int
    count: int | None = None
    incidents: list[Incident] = field(default_factory=list)

    def step_profiles(self) -> Sequence[StepProfile]:
        """The steps of this pipeline, cut or repeated to ``count`` where that is given."""
        steps = self.profile.steps
        if self.count is None:
            return steps
        extra = tuple(
            StepProfile(f"{steps[2 + i % 4].name} {i // 4 + 2}", 5, failure_weight=0.01)
            for i in range(self.count - len(steps))
        )
        return (steps + extra)[: self.count]

    def steps(self, seed: int, created: int, failing: int) -> list[StepPlan]:
        """The steps of one run, the same for the same arguments."""
        rng = seeded(seed)
        age = min(1.0, max(0.0, (created - self.start) / self.length))
        profiles = self.step_profiles()
        return [
            self._step(
                rng, profile, order, age, failing, slowness(self.incidents, created, profile.name)
            )
            for order, profile in enumerate(profiles)
        ]

    def _step(
        self,
        rng: random.Random,
        profile: StepProfile,
        order: int,
        age: float,
        failing: int,
        slower: float,
    ) -> StepPlan:
        usual = profile.seconds * (1 + profile.drift * age) * slower
        seconds = usual * rng.lognormvariate(0, 0.18)
        failed = order == failing
        phase = None if order < 2 else "finalSteps" if profile.final else "mainSteps"
        return StepPlan(
            profile.name,
            max(1, round(1000 * seconds * (rng.uniform(0.2, 1) if failed else 1))),
            "failed" if failed else "passed",
            phase,
            reached=failing < 0 or order <= failing or profile.final,
        )

    def pick_failing(self, rng: random.Random) -> int:
        """Which step is to failure_weight when a run fails; -1 if there are none."""
        profiles = self.step_profiles()
        if not profiles:
            return -1
        return rng.choices(
            range(len(profiles)), [profile.failure_weight + 1e-9 for profile in profiles]
        )[0]

"""A believable CI history as a step_source: the same seed and time give the same world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, pairwise

from runsync.simulator.history.generator import HistoryGenerator, PipelineState
from runsync.simulator.history.incidents import Incident
from runsync.simulator.history.profiles import (
    BUILD,
    DEPLOY,
    PROFILES,
    PipelineProfile,
    ProfileSteps,
)
from runsync.simulator.world.clock import DAY_MS, Clock, from_ms, to_ms
from runsync.simulator.world.rng import seeded
from runsync.simulator.world.world import World

SERVICES = ("search", "billing", "mobile", "admin", "mailer", "reports")

_FIRST_ID_MS = 1_464_938_366_000  # the time in the ids of pipelines


@dataclass(frozen=True, slots=True)
class Scenario:
    """What history a simulated world holds.

    ``runs`` is the number of runs over all pipelines, or one number per pipeline; ``days`` how far
    back they go. ``steps`` is the exact number of steps of each run (None: as each profile
    says). ``has_incidents`` gives it a story: pushes to the first pipeline fail more for six weeks,
    and its master is broken at the end; deployments take longer for three weeks.
    ``arrivals_per_hour`` new runs then appear as the world's clock moves on. Where ``now``
    is given the clock stands still there until it is advanced; else it shows the real time.
    """

    seed: int = 1
    runs: int | Sequence[int] = 400
    pipelines: int = 3
    now: datetime | None = None
    days: int = 120
    arrivals_per_hour: float = 0.0
    steps: int | None = None
    has_incidents: bool = False

    def build(self, clock: Clock | None = None) -> World:
        """A new world with this history, told up to what ``clock`` shows; deterministic by seed."""
        clock = clock or Clock(self.now)
        now = clock.now_ms() if self.now is None else to_ms(self.now)
        world = World(clock, seed=self.seed)
        states = self._states(world, now)
        story = {"has_incidents": self.has_incidents}
        history = HistoryGenerator(world.registry, f"{self.seed}/history", now, self.days, **story)
        for state, runs in zip(states, self._runs_per_state(states), strict=True):
            history.write(state, runs)
        arrivals = HistoryGenerator(
            world.registry, f"{self.seed}/arrivals", now, self.days, **story
        )
        world.set_arrivals(Arrivals(arrivals, states, self, now))
        return world

    def _states(self, world: World, now: int) -> list[PipelineState]:
        start, states = now - self.days * DAY_MS, list[PipelineState]()
        # A config that was written for this seed works whenever the service starts.
        ids = world.registry.ids
        application = ids.new(_FIRST_ID_MS)
        for index in range(self.pipelines):
            profile, service = PROFILES[index % len(PROFILES)], _service(index // len(PROFILES))
            incidents = _incidents(profile, now) if self.has_incidents else []
            step_source = ProfileSteps(profile, start, max(1, now - start), self.steps, incidents)
            pipeline = world.add_pipeline(
                service + profile.name,
                application,
                id=ids.new(_FIRST_ID_MS),
                pipeline_name=profile.pipeline_name,
                created_at=from_ms(start),
                step_source=step_source,
            )
            states.append(
                PipelineState(pipeline, step_source, states[-1] if profile is DEPLOY else None)
            )
        return states

    def _runs_per_state(self, states: Sequence[PipelineState]) -> Sequence[int]:
        if not isinstance(self.runs, int):
            if len(self.runs) != self.pipelines:
                raise ValueError(f"runs: {len(self.runs)} numbers for {self.pipelines} pipelines")
            return self.runs
        return share_out(self.runs, [state.step_source.profile.share for state in states])


def _incidents(profile: PipelineProfile, now: int) -> list[Incident]:
    """What has gone wrong with such a pipeline."""
    if profile is BUILD:
        return [Incident("unit tests", now - 43 * DAY_MS, failing=0.35)]
    if profile is DEPLOY:
        return [Incident("roll out", now - 24 * DAY_MS, slower=1.7)]
    return []


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to ``weights`` that add up to ``total``."""
    whole, edges = sum(weights) or 1.0, [0]
    for index in range(len(weights)):
        edges.append(round(total * sum(weights[: index + 1]) / whole))
    return [after - before for before, after in pairwise(edges)]


def _service(group: int) -> str:
    if group == 0:
        return ""
    name = SERVICES[(group - 1) % len(SERVICES)]
    return f"{name}-" if group <= len(SERVICES) else f"{name}{group}-"


class Arrivals:
    """The runs that are still to come, in order, as the clock reaches them."""

    def __init__(
        self, history: HistoryGenerator, states: Sequence[PipelineState], plan: Scenario, now: int
    ) -> None:
        self._history = history
        self._states = states
        self._rng = seeded(f"{plan.seed}/arrival times")
        self._times = self._draw_times(plan.arrivals_per_hour, now)
        self._next = next(self._times, None)

    def _draw_times(self, per_hour: float, now: int) -> Iterator[int]:
        when = float(now)
        for _ in count() if per_hour > 0 and self._states else ():
            when += self._rng.expovariate(per_hour / 3_600_000)
            yield round(when)

    def catch_up(self, now: int) -> None:
        """Let everything arrive that was due by ``now`` (ms)."""
        while self._next is not None and self._next <= now:
            weights = [state.step_source.profile.share for state in self._states]
            self._history.add(self._rng.choices(self._states, weights)[0], self._next)
            self._next = next(self._times, None)

    def arrive(self, pipeline_id: str, now: int) -> str:
        """Let one run of this pipeline arrive at once; its id. KeyError if it has no profiles."""
        for state in self._states:
            if state.pipeline.id == pipeline_id:
                return self._history.add(state, now).id
        raise KeyError(pipeline_id)

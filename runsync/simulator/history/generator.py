"""Draws a team's runs from a seed: what was pushed, how it went, and who did it."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from runsync.simulator.history.incidents import Incident, failing_step
from runsync.simulator.history.profiles import (
    BUILD,
    DEPLOY,
    MESSAGES,
    NIGHTLY,
    ProfileSteps,
)
from runsync.simulator.history.schedule import (
    Branch,
    BranchHistory,
    activity,
    night_times,
    office_times,
)
from runsync.simulator.world.clock import DAY_MS, HOUR_MS
from runsync.simulator.world.people import BOT, PEOPLE
from runsync.simulator.world.plans import NEVER, Person, Pipeline, RunPlan, set_times
from runsync.simulator.world.registry import Registry
from runsync.simulator.world.rng import new_commit, seeded

REST_MS = 20 * 60_000
"""Nothing drawn by schedule is younger than this; what is under way is placed on purpose."""
JUST_NOW_MS = 15_000
"""How long ago the last abort was: too short for it to have come through."""
LONG_ENOUGH = 20
"""A pipeline with at least this many runs ends with some that are under way."""
UNDER_WAY = {
    BUILD: ((205, "aborted"), (150, "passed"), (60, "failed"), (1, "passed")),
    DEPLOY: ((11_000, "pending"), (40, "passed")),
    NIGHTLY: ((600, "passed"),),
}
"""Age in seconds and fate of each kind of pipeline's last runs."""


@dataclass(slots=True)
class PipelineState:
    """One pipeline as its history is being drawn."""

    pipeline: Pipeline
    step_source: ProfileSteps
    upstream: PipelineState | None = None
    passed_runs: list[RunPlan] = field(default_factory=list)
    retry: RunPlan | None = None
    """A run that failed by a flaky step; somebody will try it again."""

    def passed_at(self, when: int) -> RunPlan | None:
        """The newest run on master that had passed by ``when``."""
        index = bisect_right(self.passed_runs, when, key=lambda plan: plan.finished)
        return self.passed_runs[index - 1] if index else None


def _broken_master(times: list[int]) -> Incident:
    """The unit tests fail on master from one of the last few pushes on."""
    return Incident("unit tests", times[-min(len(times), 8)], failing=1.0, branch="master")


class HistoryGenerator:
    """Draws runs into a registry, pipeline by pipeline, up to ``now`` (ms)."""

    def __init__(
        self, registry: Registry, seed: str, now: int, days: int, *, has_incidents: bool = False
    ) -> None:
        self._registry = registry
        self._rng = seeded(seed)
        self._now = now
        self._start = now - days * DAY_MS
        self._branches = BranchHistory(self._rng, self._start, now)
        bad = self._start + (now - self._start) * 58 // 100
        self._bad_week = range(0) if has_incidents else range(bad, bad + 7 * DAY_MS)
        self._breaks_master = has_incidents

    def write(self, state: PipelineState, count: int) -> None:
        """Draw ``count`` runs of ``state`` into the registry."""
        tail = self._tail(state, count)
        times = self._times(state, count - len(tail))
        if self._breaks_master and state.step_source.profile is BUILD and times:
            state.step_source.incidents.append(_broken_master(times))
        for created in times:
            self.add(state, self._retry_time(state, created))
        for age, fate in tail:
            self._add_under_way(state, age, fate)

    def add(self, state: PipelineState, created: int) -> RunPlan:
        """Draw one run of ``state`` that was created at ``created``."""
        retry_of, state.retry = state.retry, None
        if retry_of is not None and retry_of.finished < created:
            plan, fate = self._retry(state, retry_of, created), "passed"
        else:
            plan, fate = self._draft(state, created), self._draw_fate(state, created)
        self._finalize(state, plan, fate, self._queue_ms(created))
        return plan

    def _tail(self, state: PipelineState, count: int) -> tuple[tuple[int, str], ...]:
        return UNDER_WAY[state.step_source.profile] if count >= LONG_ENOUGH else ()

    def _times(self, state: PipelineState, count: int) -> list[int]:
        end = max(self._start, self._now - REST_MS)
        if state.step_source.profile is NIGHTLY:
            return night_times(self._rng, count, self._start, end)
        if state.upstream is None:
            return office_times(self._rng, count, self._start, end)
        passed = state.upstream.passed_runs
        starts = [plan.finished + 2_000 for plan in passed if plan.finished < end]
        chosen = self._rng.sample(starts, min(count, len(starts)))
        rest = office_times(self._rng, count - len(chosen), self._start, end)
        return sorted(chosen + rest)

    def _retry_time(self, state: PipelineState, created: int) -> int:
        if state.retry is None:
            return created
        return min(created, state.retry.finished + self._rng.randrange(90_000, 600_000))

    def _add_under_way(self, state: PipelineState, age: int, fate: str) -> None:
        plan = self._draft(state, self._now - age * 1000)
        plan.pending_until = NEVER if fate == "pending" else 0
        self._finalize(state, plan, fate, 1_500)
        if fate == "aborted":
            plan.aborted = self._now - JUST_NOW_MS

    def _draft(self, state: PipelineState, created: int) -> RunPlan:
        if state.upstream is not None:
            return self._follow_up(state, state.upstream, created)
        if state.step_source.profile is NIGHTLY:
            return self._plan(state, created, self._branches.master, BOT)
        branch = self._branches.pick(created)
        branch.commit = new_commit(self._rng)
        return self._plan(state, created, branch, branch.owner or self._rng.choice(PEOPLE))

    def _plan(self, state: PipelineState, created: int, branch: Branch, person: Person) -> RunPlan:
        return self._registry.new_plan(
            state.pipeline,
            created=created,
            branch=branch.name,
            commit=branch.commit,
            message=self._rng.choice(MESSAGES),
            person=person,
            step_source=state.step_source,
            shows_unreached=state.step_source.count is not None or self._rng.random() < 0.5,
        )

    def _follow_up(self, state: PipelineState, upstream: PipelineState, created: int) -> RunPlan:
        plan = self._plan(state, created, self._branches.master, BOT)
        source = upstream.passed_at(created)
        if source is not None:
            plan.source_run_id = source.id
            plan.commit, plan.message, plan.person = source.commit, source.message, source.person
        plan.env_vars = (("STAGE", "production"), ("ROLLOUT", self._rng.choice(("25", "100"))))
        if self._rng.random() < state.step_source.profile.approval_rate:
            plan.pending_until = created + self._rng.randrange(2 * 60_000, 5 * HOUR_MS)
        return plan

    def _retry(self, state: PipelineState, first: RunPlan, created: int) -> RunPlan:
        plan = self._plan(state, created, self._branches.master, first.person)
        plan.branch, plan.commit, plan.message = first.branch, first.commit, first.message
        plan.source_run_id = first.source_run_id
        return plan

    def _queue_ms(self, created: int) -> int:
        """A few seconds, and up to some minutes when everybody pushes at once."""
        return round(3_000 * self._rng.lognormvariate(0, 0.6) * (1 + 24 * activity(created) ** 2))

    def _draw_fate(self, state: PipelineState, created: int) -> str:
        profile, drawn = state.step_source.profile, self._rng.random()
        pass_rate = profile.pass_rate * (0.45 if created in self._bad_week else 1)
        if drawn < profile.abort_rate:
            return "aborted"
        if drawn < profile.abort_rate + profile.flaky_rate:
            return "flaky"
        return "passed" if self._rng.random() < pass_rate else "failed"

    def _finalize(self, state: PipelineState, plan: RunPlan, fate: str, queue: int) -> None:
        """Fix how the run goes, put it into the registry, and remember what follows from it."""
        steps = state.step_source
        broken = self._broken_step(state, plan) if fate in ("passed", "failed", "flaky") else None
        if broken is not None:
            fate = "failed"
        flaky = fate == "flaky"
        if fate in ("failed", "flaky"):
            plan.result = "failed"
            plan.failing = steps.profile.flaky_step if flaky else steps.pick_failing(self._rng)
            plan.failing = plan.failing if broken is None else broken
            plan.failing = min(plan.failing, len(steps.step_profiles()) - 1)
        set_times(plan, max(plan.created, plan.pending_until) + queue)
        if fate == "aborted":
            plan.aborted = self._abort_time(plan)
        if fate == "passed" and plan.branch == "master":
            insort(state.passed_runs, plan, key=lambda passed: passed.finished)
        state.retry = plan if flaky else None
        self._registry.insert(plan)

    def _broken_step(self, state: PipelineState, plan: RunPlan) -> int | None:
        """The place of the step in which an incident makes the run fail."""
        steps = state.step_source
        step = failing_step(steps.incidents, plan.created, plan.branch, self._rng)
        names = [profile.name for profile in steps.step_profiles()]
        return names.index(step) if step in names else None

    def _abort_time(self, plan: RunPlan) -> int:
        """A quarter of the aborts come before the run has started."""
        if self._rng.random() < 0.25:
            return self._rng.randrange(plan.created, plan.started)
        return self._rng.randrange(plan.started, plan.finished)

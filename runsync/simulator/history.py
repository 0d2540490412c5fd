"""Draws a team's runs from a seed: what was pushed, how it went, and who did it."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from runsync.simulator.chance import new_commit, seeded
from runsync.simulator.habits import (
    BOT,
    BUILD,
    DAY_MS,
    DEPLOY,
    MESSAGES,
    NIGHTLY,
    PEOPLE,
    HabitRecipe,
)
from runsync.simulator.plans import NEVER, Person, Pipeline, RunPlan, schedule
from runsync.simulator.registry import Registry
from runsync.simulator.rhythm import (
    HOUR_MS,
    Branch,
    Branches,
    busyness,
    night_times,
    office_times,
)

REST_MS = 20 * 60_000
"""Nothing drawn by rhythm is younger than this; what is under way is placed on purpose."""
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
class Line:
    """One pipeline as its history is being drawn."""

    pipeline: Pipeline
    recipe: HabitRecipe
    upstream: Line | None = None
    greens: list[RunPlan] = field(default_factory=list)
    retry: RunPlan | None = None
    """A run that failed by a flaky step; somebody will try it again."""

    def green_at(self, when: int) -> RunPlan | None:
        """The newest run on master that had passed by ``when``."""
        index = bisect_right(self.greens, when, key=lambda plan: plan.finished)
        return self.greens[index - 1] if index else None


class History:
    """Draws runs into a registry, pipeline by pipeline, up to ``now`` (ms)."""

    def __init__(self, registry: Registry, seed: str, now: int, days: int) -> None:
        self._registry = registry
        self._rng = seeded(seed)
        self._now = now
        self._start = now - days * DAY_MS
        self._branches = Branches(self._rng, self._start, now)
        bad = self._start + (now - self._start) * 58 // 100
        self._bad_week = range(bad, bad + 7 * DAY_MS)

    def write(self, line: Line, count: int) -> None:
        """Draw ``count`` runs of ``line`` into the registry."""
        tail = self._tail(line, count)
        for created in self._times(line, count - len(tail)):
            self.add(line, self._retry_time(line, created))
        for age, fate in tail:
            self._add_under_way(line, age, fate)

    def add(self, line: Line, created: int) -> RunPlan:
        """Draw one run of ``line`` that was created at ``created``."""
        retry_of, line.retry = line.retry, None
        if retry_of is not None and retry_of.finished < created:
            plan, fate = self._retry(line, retry_of, created), "passed"
        else:
            plan, fate = self._draft(line, created), self._fate(line, created)
        self._settle(line, plan, fate, self._queue_ms(created))
        return plan

    def _tail(self, line: Line, count: int) -> tuple[tuple[int, str], ...]:
        return UNDER_WAY[line.recipe.habit] if count >= LONG_ENOUGH else ()

    def _times(self, line: Line, count: int) -> list[int]:
        end = max(self._start, self._now - REST_MS)
        if line.recipe.habit is NIGHTLY:
            return night_times(self._rng, count, self._start, end)
        if line.upstream is None:
            return office_times(self._rng, count, self._start, end)
        greens = [plan.finished + 2_000 for plan in line.upstream.greens if plan.finished < end]
        chosen = self._rng.sample(greens, min(count, len(greens)))
        rest = office_times(self._rng, count - len(chosen), self._start, end)
        return sorted(chosen + rest)

    def _retry_time(self, line: Line, created: int) -> int:
        if line.retry is None:
            return created
        return min(created, line.retry.finished + self._rng.randrange(90_000, 600_000))

    def _add_under_way(self, line: Line, age: int, fate: str) -> None:
        plan = self._draft(line, self._now - age * 1000)
        plan.pending_until = NEVER if fate == "pending" else 0
        self._settle(line, plan, fate, 1_500)
        if fate == "aborted":
            plan.aborted = self._now - JUST_NOW_MS

    def _draft(self, line: Line, created: int) -> RunPlan:
        if line.upstream is not None:
            return self._follow_up(line, line.upstream, created)
        if line.recipe.habit is NIGHTLY:
            return self._plan(line, created, self._branches.master, BOT)
        branch = self._branches.pick(created)
        branch.commit = new_commit(self._rng)
        return self._plan(line, created, branch, branch.owner or self._rng.choice(PEOPLE))

    def _plan(self, line: Line, created: int, branch: Branch, person: Person) -> RunPlan:
        return self._registry.new_plan(
            line.pipeline,
            created=created,
            branch=branch.name,
            commit=branch.commit,
            message=self._rng.choice(MESSAGES),
            person=person,
            recipe=line.recipe,
            shows_unreached=line.recipe.count is not None or self._rng.random() < 0.5,
        )

    def _follow_up(self, line: Line, upstream: Line, created: int) -> RunPlan:
        plan = self._plan(line, created, self._branches.master, BOT)
        green = upstream.green_at(created)
        if green is not None:
            plan.source_run_id = green.id
            plan.commit, plan.message, plan.person = green.commit, green.message, green.person
        plan.env_vars = (("STAGE", "production"), ("ROLLOUT", self._rng.choice(("25", "100"))))
        if self._rng.random() < line.recipe.habit.approval_rate:
            plan.pending_until = created + self._rng.randrange(2 * 60_000, 5 * HOUR_MS)
        return plan

    def _retry(self, line: Line, first: RunPlan, created: int) -> RunPlan:
        plan = self._plan(line, created, self._branches.master, first.person)
        plan.branch, plan.commit, plan.message = first.branch, first.commit, first.message
        plan.source_run_id = first.source_run_id
        return plan

    def _queue_ms(self, created: int) -> int:
        """A few seconds, and up to some minutes when everybody pushes at once."""
        return round(3_000 * self._rng.lognormvariate(0, 0.6) * (1 + 24 * busyness(created) ** 2))

    def _fate(self, line: Line, created: int) -> str:
        habit, drawn = line.recipe.habit, self._rng.random()
        pass_rate = habit.pass_rate * (0.45 if created in self._bad_week else 1)
        if drawn < habit.abort_rate:
            return "aborted"
        if drawn < habit.abort_rate + habit.flaky_rate:
            return "flaky"
        return "passed" if self._rng.random() < pass_rate else "failed"

    def _settle(self, line: Line, plan: RunPlan, fate: str, queue: int) -> None:
        """Fix how the run goes, put it into the registry, and remember what follows from it."""
        habit, recipe = line.recipe.habit, line.recipe
        if fate in ("failed", "flaky"):
            plan.result = "failed"
            plan.failing = habit.flaky_step if fate == "flaky" else recipe.pick_failing(self._rng)
            plan.failing = min(plan.failing, len(recipe.step_habits()) - 1)
        schedule(plan, max(plan.created, plan.pending_until) + queue)
        if fate == "aborted":
            plan.aborted = self._abort_time(plan)
        if fate == "passed" and plan.branch == "master":
            insort(line.greens, plan, key=lambda green: green.finished)
        line.retry = plan if fate == "flaky" else None
        self._registry.insert(plan)

    def _abort_time(self, plan: RunPlan) -> int:
        """A quarter of the aborts come before the run has started."""
        if self._rng.random() < 0.25:
            return self._rng.randrange(plan.created, plan.started)
        return self._rng.randrange(plan.started, plan.finished)

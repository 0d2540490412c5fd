"""What is planned for a run, and what of the plan is true at a moment.

A plan never ticks: status, progress and steps are computed from the plan and the time that is asked
for, so a world of 100,000 runs costs nothing to keep moving. All times are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

NEVER = 1 << 62
WARM_UP_MS = 1_500
"""How long a run is `started` before it is `running`."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who starts runs; without ``username`` there is only a name."""

    name: str
    username: str | None
    user_id: str | None
    gravatar: str
    employee: bool = False


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline; ``name`` is its own, ``pipeline_name`` the one in wercker.yml."""

    id: str
    name: str
    pipeline_name: str
    application_id: str
    created: int


class StepPlan(NamedTuple):
    """One step: how long it takes (ms), how it ends, and whether the run gets to it at all.

    ``pause`` is the time (ms) between the end of the step before it and its own start.
    """

    name: str
    ms: int
    result: str = "passed"
    phase: str | None = None
    reached: bool = True
    pause: int = 150


class StepSource(Protocol):
    """Where a run's steps come from when they are not spelled out in its plan."""

    def steps(self, seed: int, created: int, failing: int) -> Sequence[StepPlan]:
        """The steps of the run with this ``seed``; ``failing`` is an index, or -1."""


@dataclass(slots=True)
class RunPlan:
    """All that will ever be true of a run, if nobody interferes."""

    id: str
    serial: int
    pipeline: Pipeline
    created: int
    branch: str | None
    commit: str | None
    message: str | None
    person: Person
    started: int = NEVER
    running: int = NEVER
    finished: int = NEVER
    aborted: int = NEVER
    pending_until: int = 0
    result: str = "passed"
    failing: int = -1
    step_source: StepSource | None = None
    explicit_steps: Sequence[StepPlan] | None = None
    shows_unreached: bool = False
    source_run_id: str | None = None
    env_vars: tuple[tuple[str, str], ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)
    step_overrides: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int]:
        """Where the run stands in a listing: by creation, ties in no order that an id shows."""
        return self.created, self.serial * 2_654_435_761 & 0xFFFFFFFF

    @property
    def settle_ms(self) -> int:
        """How long an abort takes to come through: 20 seconds to just under five minutes."""
        return 20_000 + self.serial * 7_919_000 % 270_000

    def steps(self) -> Sequence[StepPlan]:
        """The planned steps, made anew at each call unless they were spelled out."""
        if self.explicit_steps is not None:
            return self.explicit_steps
        return (
            self.step_source.steps(self.id_seed, self.created, self.failing)
            if self.step_source
            else ()
        )

    @property
    def id_seed(self) -> int:
        """A number of this run's own, from which its steps are drawn."""
        return int(self.id[8:], 16) ^ self.created


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it stands at a moment; times are None where they do not apply yet."""

    status: str
    result: str
    progress: int | None
    started: int | None
    finished: int | None


@dataclass(frozen=True, slots=True)
class StepState:
    """A step as it stands at a moment; ``order`` counts from 1."""

    order: int
    plan: StepPlan
    status: str
    result: str
    started: int | None
    finished: int | None


def set_times(plan: RunPlan, started: int) -> None:
    """Let ``plan`` start at ``started`` and take as long as its reached steps do."""
    plan.started = started
    plan.running = started + WARM_UP_MS
    plan.finished = plan.running + span_ms(plan.steps())


def span_ms(steps: Sequence[StepPlan], *, unreached: bool = False) -> int:
    """How long the steps take in all, with or without those that are not reached."""
    return sum(step.pause + step.ms for step in steps if step.reached or unreached)


def status_of(plan: RunPlan, now: int) -> tuple[str, str]:
    """The run's status and result at ``now``, without what costs time to work out."""
    if plan.aborted <= now and plan.aborted < plan.finished:
        return "finished", "aborted"
    if now < plan.pending_until:
        return "pendingapproval", "unknown"
    if plan.finished <= now:
        return "finished", plan.result
    if plan.running <= now:
        return "running", "unknown"
    return ("started" if plan.started <= now else "notstarted"), "unknown"


def settled_at(plan: RunPlan) -> int:
    """The moment after which nothing about the run changes by itself."""
    if plan.aborted < plan.finished:
        return plan.aborted + (plan.settle_ms if plan.started < plan.aborted else 0)
    return max(plan.finished, plan.started, plan.running)


def run_state(plan: RunPlan, now: int) -> RunState:
    """The run as it stands at ``now``."""
    status, result = status_of(plan, now)
    began = plan.started <= now and plan.started < plan.aborted
    return RunState(
        status,
        result,
        _progress(plan, status, result, now),
        plan.started if began else None,
        min(plan.finished, plan.aborted) if status == "finished" else None,
    )


def _progress(plan: RunPlan, status: str, result: str, now: int) -> int | None:
    if result == "passed":
        return 100
    if status in ("notstarted", "pendingapproval"):
        return 0
    if status == "started" or (result == "aborted" and plan.started >= plan.aborted):
        return None
    until = min(now, settled_at(plan))
    whole = span_ms(plan.steps(), unreached=True) or 1
    return max(0, min(99, 100 * (until - plan.running) // whole))


class StepSpan(NamedTuple):
    """A step and when it would run, were the run left alone."""

    order: int
    plan: StepPlan
    start: int
    end: int


def step_spans(plan: RunPlan) -> Iterator[StepSpan]:
    """When each planned step would run, were the run left alone; the last may be endless."""
    end, steps = plan.running, plan.steps()
    for order, step in enumerate(steps, 1):
        start = end + step.pause
        endless = plan.finished == NEVER and order == len(steps)
        yield StepSpan(order, step, start, NEVER if endless else start + step.ms)
        end = start + step.ms if step.reached else end


def step_states(plan: RunPlan, now: int) -> list[StepState]:
    """The steps that the service would list at ``now``, in order."""
    states = [_step_state(plan, span, now) for span in step_spans(plan)]
    return [state for state in states if state.started is not None or plan.shows_unreached]


def _step_state(plan: RunPlan, span: StepSpan, now: int) -> StepState:
    order, step, start, end = span
    result = step.result
    if not step.reached or start > now or start >= plan.aborted:
        return StepState(order, step, "notstarted", "unknown", None, None)
    if plan.aborted < end:
        end, result = min(end, settled_at(plan)), "aborted"
    if now < end:
        return StepState(order, step, "running", "unknown", start, None)
    return StepState(order, step, "finished", result, start, end)

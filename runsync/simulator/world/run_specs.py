"""Runs made to order: turns what a test wants to see into a plan, and cuts plans short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runsync.simulator.world.plans import (
    NEVER,
    RunPlan,
    StepPlan,
    StepSpan,
    set_times,
    span_ms,
    step_spans,
)

StepSpec = str | Mapping[str, Any] | StepPlan
"""A name, or a mapping: ``name`` and perhaps ``seconds``, ``result``, ``phase``, ``reached``."""

USUAL_QUEUE_MS = 2_000
PLAIN_STEPS = (
    StepPlan("get code", 1_000),
    StepPlan("setup environment", 4_000),
    StepPlan("unit tests", 20_000, phase="mainSteps"),
)


class PlainSteps:
    """Three steps that always take as long; for pipelines that nobody described."""

    def steps(self, seed: int, created: int, failing: int) -> Sequence[StepPlan]:
        """The steps, up to the failing one; ``seed`` and ``created`` make no difference."""
        return fail_at(PLAIN_STEPS, failing) if failing >= 0 else PLAIN_STEPS


@dataclass(frozen=True, slots=True)
class RunSpec:
    """How a run shall stand; times in ms. ``status`` None: it moves by the clock.

    A ``status`` other than finished holds the run there until somebody finishes or aborts it.
    """

    status: str | None = None
    result: str = "passed"
    started: int | None = None
    finished: int | None = None
    never_started: bool = False
    steps: int | Sequence[StepSpec] | None = None


def apply_spec(plan: RunPlan, spec: RunSpec, now: int) -> None:
    """Fill in ``plan`` so that it stands as wished; ValueError for an unknown status."""
    plan.result = spec.result
    if spec.steps is not None:
        plan.explicit_steps = make_steps(spec.steps)
    if spec.result == "failed":
        _let_fail(plan)
    set_times(plan, plan.created + USUAL_QUEUE_MS if spec.started is None else spec.started)
    if spec.status not in (None, "finished"):
        hold(plan, spec.status or "", now)
        return
    if spec.finished is not None:
        _fit(plan, spec.finished)
    elif spec.status == "finished":
        _fit(plan, max(plan.created, min(plan.finished, now)))
    if spec.result == "aborted":
        plan.aborted, plan.finished = plan.finished, NEVER
    if spec.never_started:
        plan.started = plan.running = NEVER


def make_steps(specs: int | Sequence[StepSpec]) -> tuple[StepPlan, ...]:
    """Step plans from a number of them, or from names and mappings."""
    if isinstance(specs, int):
        names = ("get code", "setup environment", *(f"step {n}" for n in range(3, specs + 1)))
        specs = names[:specs]
    return tuple(_make_step(spec) for spec in specs)


def _make_step(spec: StepSpec) -> StepPlan:
    if isinstance(spec, StepPlan):
        return spec
    if isinstance(spec, str):
        return StepPlan(spec, 5_000)
    rest = {key: value for key, value in spec.items() if key != "seconds"}
    return StepPlan(ms=round(1000 * spec.get("seconds", 5)), **rest)


def _let_fail(plan: RunPlan) -> None:
    steps = plan.steps()
    if steps and all(step.result == "passed" for step in steps):
        plan.explicit_steps = fail_at(steps, len(steps) - 1)


def fail_at(steps: Sequence[StepPlan], failing: int) -> tuple[StepPlan, ...]:
    """The same steps, the one at index ``failing`` failed and those behind it not reached."""
    failing %= len(steps)
    failed = steps[failing]._replace(result="failed")
    rest = (step._replace(reached=False) for step in steps[failing + 1 :])
    return (*steps[:failing], failed, *rest)


def _fit(plan: RunPlan, finished: int) -> None:
    """Let the run end at ``finished``, its steps stretched or squeezed to fill the time."""
    steps, room = plan.steps(), max(0, finished - plan.started)
    plan.running = min(plan.running, plan.started + room // 10)
    scale = max(0, finished - plan.running) / max(1, span_ms(steps))
    plan.explicit_steps = tuple(
        step._replace(ms=int(step.ms * scale), pause=int(step.pause * scale)) for step in steps
    )
    plan.finished = finished


def hold(plan: RunPlan, status: str, now: int) -> None:
    """Keep the run in ``status``, from now at the latest, for ever."""
    if status not in ("notstarted", "pendingapproval", "started", "running"):
        raise ValueError(f"a run cannot be held in status {status!r}")
    plan.started, plan.running = min(plan.started, now), min(plan.running, now)
    plan.finished = NEVER
    if status != "running":
        plan.running = NEVER
    if status in ("notstarted", "pendingapproval"):
        plan.started = NEVER
    if status == "pendingapproval":
        plan.pending_until = NEVER


def release(plan: RunPlan, now: int) -> None:
    """Approve or free a run that is held: it goes on by the clock, or ends now if it is overdue."""
    plan.pending_until = min(plan.pending_until, now)
    set_times(plan, plan.started if plan.started <= now else now + USUAL_QUEUE_MS)
    if plan.finished <= now:
        cut_short(plan, now, plan.result)


def cut_short(plan: RunPlan, now: int, result: str) -> None:
    """End the run at ``now`` with ``result``: what ran is over, what was to come is instant."""
    plan.pending_until = 0
    plan.started = min(plan.started, now)
    plan.running = min(plan.running, now)
    spans = list(step_spans(plan))
    steps = tuple(_cut(span, now) for span in spans)
    if result == "failed" and steps:
        steps = fail_at(steps, next((i for i, span in enumerate(spans) if now < span.end), -1))
    plan.explicit_steps = steps
    plan.finished, plan.result = now, result


def _cut(span: StepSpan, now: int) -> StepPlan:
    left = max(0, now - span.start)
    return span.plan._replace(
        ms=min(left, span.end - span.start), pause=span.plan.pause if span.start <= now else 0
    )

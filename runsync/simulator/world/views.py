"""What the simulated service would say at any moment: reading, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from runsync.simulator.world import payloads
from runsync.simulator.world.clock import Clock
from runsync.simulator.world.payloads import Json
from runsync.simulator.world.plans import Pipeline, RunPlan, settled_at, step_states
from runsync.simulator.world.registry import Page, Registry, UnknownIdError, checked_id
from runsync.simulator.world.rng import seeded
from runsync.simulator.world.truth import truth_of

CACHE_SIZE = 30_000
"""Serialized answers cached; some 75 MB at most."""

Method = TypeVar("Method", bound=Callable[..., Any])


class ArrivalSource(Protocol):
    """Where runs come from that nobody asked for."""

    def catch_up(self, now: int) -> None:
        """Let everything arrive that was due by ``now`` (ms)."""

    def arrive(self, pipeline_id: str, now: int) -> str:
        """Let one run of this pipeline arrive at once; its id."""


def locked(method: Method) -> Method:
    """Nobody else is in the world while this runs, and what was due has arrived."""

    @wraps(method)
    def alone(self: WorldView, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            if self._arrivals is not None:
                self._arrivals.catch_up(self.clock.now_ms())
            return method(self, *args, **kwargs)

    return cast(Method, alone)


class WorldView:
    """Everything that exists, and the answers of the service about it, as the clock stands."""

    def __init__(self, clock: Clock | None = None, *, seed: int = 0) -> None:
        self.clock = clock or Clock()
        self.registry = Registry(seeded(f"{seed}/ids"))
        self._rng = seeded(f"{seed}/world")
        self._lock = threading.RLock()
        self._cache: dict[tuple[str, str], bytes] = {}
        self._arrivals: ArrivalSource | None = None

    def set_arrivals(self, arrivals: ArrivalSource) -> None:
        """Let ``arrivals`` bring the runs that arrive by themselves."""
        self._arrivals = arrivals

    @property
    @locked
    def applications(self) -> list[str]:
        """The ids of all applications."""
        return self.registry.applications()

    @property
    def application_id(self) -> str:
        """The id of the first application; UnknownIdError if there is none yet."""
        if not self.applications:
            raise UnknownIdError("there is no application yet")
        return self.applications[0]

    @property
    @locked
    def pipelines(self) -> list[Pipeline]:
        """All pipelines, in the order in which they were added."""
        return list(self.registry.pipelines.values())

    @locked
    def list_body(self, wanted: Page) -> bytes:
        """A page of a listing as JSON."""
        now = self.now_ms()
        return b"[%s]" % b",".join(
            self._cached("item", plan, now, payloads.list_item)
            for plan in self.registry.page(wanted, now)
        )

    @locked
    def steps_body(self, run_id: str) -> bytes:
        """A run's steps as JSON."""
        return self._cached("steps", self.registry.run(run_id), self.now_ms(), payloads.step_list)

    @locked
    def run_payload(self, run_id: str) -> Json:
        """A run in detail."""
        plan = self.registry.run(run_id)
        return payloads.detail(plan, self.now_ms(), self.registry.find_run(plan.source_run_id))

    @locked
    def trigger_payload(self, run_id: str) -> Json:
        """What the request that triggered this run is answered."""
        return payloads.trigger_answer(self.registry.run(run_id), self.now_ms())

    @locked
    def step_payloads(self, run_id: str) -> list[Json]:
        """A run's steps."""
        return payloads.step_list(self.registry.run(run_id), self.now_ms())

    @locked
    def step_log(self, step_id: str) -> str:
        """What a step has printed so far."""
        plan, order = self.registry.step(step_id)
        for state in step_states(plan, self.now_ms()):
            if state.order == order:
                return payloads.step_log(plan, state)
        raise UnknownIdError(f"there is no step {step_id}")

    @locked
    def truth(self, pipeline_id: str) -> list[dict[str, Any]]:
        """What an exact copy of a pipeline's runs holds now, newest first; see ``truth_of``."""
        runs = self.registry.listing(("pipelineId", pipeline_id))
        return [
            truth_of(self.run_payload(plan.id), self.step_payloads(plan.id))
            for plan in reversed(runs)
        ]

    @locked
    def run_ids(self, pipeline_id: str) -> list[str]:
        """The ids of a pipeline's runs, newest first, as the listing orders them."""
        return [plan.id for plan in reversed(self.registry.listing(("pipelineId", pipeline_id)))]

    @locked
    def pipeline_of(self, id: str) -> str | None:
        """The id of the pipeline that a run or step belongs to; None if there is no such thing."""
        try:
            plan = self.registry.find_run(id) or self.registry.step(checked_id(id))[0]
        except (LookupError, ValueError):
            return None
        return plan.pipeline.id

    def now_ms(self) -> int:
        """What the clock shows, in milliseconds since 1970."""
        return self.clock.now_ms()

    def _cached(
        self, kind: str, plan: RunPlan, now: int, make: Callable[[RunPlan, int], object]
    ) -> bytes:
        """The JSON of ``make(plan, now)``, cached once nothing about the run changes any more."""
        if now < settled_at(plan):
            return to_json(make(plan, now))
        cached = self._cache.get((kind, plan.id))
        if cached is None:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            cached = self._cache[kind, plan.id] = to_json(make(plan, now))
        return cached

    def _drop_cached(self, plan: RunPlan) -> None:
        self._cache.pop(("item", plan.id), None)
        self._cache.pop(("steps", plan.id), None)


def to_json(value: object) -> bytes:
    """JSON as the service sends it: compact, UTF-8, nothing escaped that need not be."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")

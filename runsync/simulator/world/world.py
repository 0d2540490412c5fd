"""What exists in the simulated service, and everything that can happen to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from runsync.simulator.world.clock import HOUR_MS, to_ms
from runsync.simulator.world.payloads import Absent
from runsync.simulator.world.people import PEOPLE, person_named
from runsync.simulator.world.plans import (
    Person,
    Pipeline,
    RunPlan,
    StepSource,
    set_times,
    status_of,
)
from runsync.simulator.world.registry import UnknownIdError, checked_id
from runsync.simulator.world.rng import new_commit
from runsync.simulator.world.run_specs import RunSpec, StepSpec, apply_spec, cut_short, release
from runsync.simulator.world.views import WorldView, locked

QUEUE_MS = 3_000
"""How long a triggered run waits before it starts."""


class AlreadyFinishedError(ValueError):
    """A run that is over cannot be aborted, finished or released."""


class World(WorldView):
    """Applications, pipelines and runs, as they stand at what ``clock`` shows. Thread-safe.

    Unknown ids raise UnknownIdError, malformed ones ValueError.
    """

    # -- applications and pipelines

    @locked
    def add_pipeline(
        self,
        name: str = "build-and-test",
        application_id: str | None = None,
        *,
        id: str | None = None,
        pipeline_name: str = "build",
        created_at: datetime | None = None,
        step_source: StepSource | None = None,
    ) -> Pipeline:
        """Add a pipeline, to the first application unless another (or a new one) is named."""
        created = self._ms(created_at)
        if application_id is None:
            application_id = next(iter(self.applications), None) or self._new_id(created)
        pipeline = Pipeline(
            checked_id(id or self._new_id(created)),
            name,
            pipeline_name,
            checked_id(application_id),
            created,
        )
        self.registry.add_pipeline(pipeline, step_source)
        return pipeline

    # -- runs come, change and go

    @locked
    def add_run(
        self,
        pipeline_id: str,
        *,
        id: str | None = None,
        created_at: datetime | None = None,
        started_at: datetime | Absent | None = None,
        finished_at: datetime | None = None,
        status: str | None = None,
        result: str = "passed",
        branch: str | None = "master",
        commit: str | None = None,
        message: str | None = "A message",
        author: str | Person = PEOPLE[0],
        steps: int | Sequence[StepSpec] | None = None,
        shows_unreached: bool = False,
        source_run_id: str | None = None,
        env_vars: Iterable[tuple[str, str]] = (),
        **raw: Any,
    ) -> str:
        """Add a run that stands as told; its id. Other keywords override keys of its payloads.

        Without ``status`` the run moves by the clock from ``created_at`` (default: now) until it
        ends with ``result``. ``status="finished"`` has it over already (default: an hour ago). Any
        other status holds it there until ``finish``, ``abort`` or ``release``.
        ``started_at=ABSENT`` with an aborted run says that it never started.
        """
        now = self.now_ms()
        plan = self.registry.new_plan(
            self.registry.pipeline(pipeline_id),
            created=self._ms(created_at, now - HOUR_MS if status == "finished" else now),
            id=id,
            branch=branch,
            commit=commit or new_commit(self._rng),
            message=message,
            person=author if isinstance(author, Person) else person_named(author),
            shows_unreached=shows_unreached,
            source_run_id=source_run_id,
            env_vars=tuple(env_vars),
            overrides=raw,
        )
        never = isinstance(started_at, Absent)
        started = None if isinstance(started_at, Absent) else _optional_ms(started_at)
        apply_spec(
            plan, RunSpec(status, result, started, _optional_ms(finished_at), never, steps), now
        )
        return self.registry.insert(plan).id

    @locked
    def trigger(
        self,
        pipeline_id: str,
        *,
        branch: str | None = None,
        commit: str | None = None,
        message: str | None = None,
        env_vars: Iterable[tuple[str, str]] = (),
        source_run_id: str | None = None,
    ) -> str:
        """Start a run as the API would; its id. It waits a few seconds, then runs by the clock."""
        if source_run_id is not None:
            self.registry.run(source_run_id)
        plan = self.registry.new_plan(
            self.registry.pipeline(pipeline_id),
            created=self.now_ms(),
            branch=branch or "master",
            commit=commit or new_commit(self._rng),
            message=message or "The newest commit's message",
            person=PEOPLE[0],
            source_run_id=source_run_id,
            env_vars=tuple(env_vars),
        )
        set_times(plan, plan.created + QUEUE_MS)
        return self.registry.insert(plan).id

    @locked
    def arrive(self, pipeline_id: str, count: int = 1) -> list[str]:
        """Let believable new runs of a scenario's pipeline appear now; their ids."""
        if self._arrivals is None:
            raise UnknownIdError("this world was not built from a scenario")
        return [self._arrivals.arrive(pipeline_id, self.now_ms()) for _ in range(count)]

    @locked
    def abort(self, run_id: str) -> None:
        """Abort a run now; AlreadyFinishedError if it is over."""
        plan = self._unfinished(run_id)
        plan.aborted = self.now_ms()
        self._drop_cached(plan)

    @locked
    def finish(self, run_id: str, result: str = "passed") -> None:
        """Let a run end now; AlreadyFinishedError if it is over."""
        if result == "aborted":
            self.abort(run_id)
            return
        plan = self._unfinished(run_id)
        cut_short(plan, self.now_ms(), result)
        self._drop_cached(plan)

    @locked
    def release(self, run_id: str) -> None:
        """Let a run that is held (or waits for approval) go on by the clock."""
        plan = self._unfinished(run_id)
        release(plan, self.now_ms())
        self._drop_cached(plan)

    @locked
    def delete_run(self, run_id: str) -> None:
        """Forget a run: from now on it is 404 and in no listing."""
        plan = self.registry.run(run_id)
        self.registry.remove(plan)
        self._drop_cached(plan)

    @locked
    def delete_before(self, when: datetime) -> int:
        """Forget every run created before ``when``; how many."""
        old = [plan.id for plan in self.registry.runs() if plan.created < to_ms(when)]
        for run_id in old:
            self.delete_run(run_id)
        return len(old)

    @locked
    def set_fields(self, run_id: str, **fields: Any) -> None:
        """Override keys of a run's payloads as they are sent; ABSENT leaves a key out."""
        plan = self.registry.run(run_id)
        plan.overrides.update(fields)
        self._drop_cached(plan)

    @locked
    def set_step_fields(self, run_id: str, order: int, **fields: Any) -> None:
        """Override keys of the step at ``order`` (from 1); ABSENT leaves a key out."""
        plan = self.registry.run(run_id)
        plan.step_overrides.setdefault(order, {}).update(fields)
        self._drop_cached(plan)

    # -- how it is done

    def _new_id(self, ms: int) -> str:
        return self.registry.ids.new(ms)

    def _ms(self, when: datetime | None, default: int | None = None) -> int:
        if when is not None:
            return to_ms(when)
        return self.now_ms() if default is None else default

    def _unfinished(self, run_id: str) -> RunPlan:
        plan = self.registry.run(run_id)
        if status_of(plan, self.now_ms())[0] == "finished":
            raise AlreadyFinishedError(f"run {run_id} is finished already")
        return plan


def _optional_ms(when: datetime | None) -> int | None:
    return None if when is None else to_ms(when)

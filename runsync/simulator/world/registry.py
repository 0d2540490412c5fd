"""Everything that exists, found by id and in listing order. Its owner sees to the locking."""

from __future__ import annotations

import random
import re
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from runsync.simulator.world.payloads import serial_of_step, step_id
from runsync.simulator.world.plans import Pipeline, RunPlan, StepSource, status_of
from runsync.simulator.world.run_specs import PlainSteps

Owner = tuple[str, str]
"""Whose runs are listed: ``("pipelineId", id)`` or ``("applicationId", id)``."""

_ID = re.compile(r"[0-9a-f]{24}")


class UnknownIdError(LookupError):
    """There is no such application, pipeline, run or step."""


def checked_id(text: str) -> str:
    """``text`` if it is 24 hex digits in lower case, else ValueError."""
    if not _ID.fullmatch(text):
        raise ValueError(f"an id is 24 hex digits, not {text!r}")
    return text


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing: whose runs, which of them, in what order, from where, how many."""

    owner: Owner
    where: Mapping[str, str] = field(default_factory=dict)
    ascending: bool = False
    skip: int = 0
    limit: int = 10


class IdGenerator:
    """Makes ids whose first eight digits are a second, as MongoDB does; none comes twice."""

    def __init__(self, rng: random.Random) -> None:
        self._machine = rng.getrandbits(38)
        self._counter = rng.getrandbits(22)

    def new(self, ms: int) -> str:
        """An id that says it was made at ``ms``."""
        self._counter += 1
        machine = self._machine + (self._counter >> 24)
        return f"{ms // 1000 & 0xFFFFFFFF:08x}{machine:010x}{self._counter & 0xFFFFFF:06x}"


class Registry:
    """Pipelines and runs by id, and each pipeline's and application's runs by creation time."""

    def __init__(self, rng: random.Random) -> None:
        self.ids = IdGenerator(rng)
        self.pipelines: dict[str, Pipeline] = {}
        self.step_sources: dict[str, StepSource] = {}
        self._runs: dict[str, RunPlan] = {}
        self._by_serial: dict[int, RunPlan] = {}
        self._listings: dict[Owner, list[RunPlan]] = {}
        self._serial = 0

    def applications(self) -> list[str]:
        """The ids of all applications, the oldest first."""
        return list(dict.fromkeys(p.application_id for p in self.pipelines.values()))

    def add_pipeline(self, pipeline: Pipeline, step_source: StepSource | None) -> None:
        """Add a pipeline, and its application if that is new."""
        self.pipelines[pipeline.id] = pipeline
        self.step_sources[pipeline.id] = step_source or PlainSteps()
        for owner in owners(pipeline):
            self._listings.setdefault(owner, [])

    def pipeline(self, pipeline_id: str) -> Pipeline:
        """The pipeline with this id, else UnknownIdError."""
        if pipeline_id not in self.pipelines:
            raise UnknownIdError(f"there is no pipeline {pipeline_id}")
        return self.pipelines[pipeline_id]

    def new_plan(
        self, pipeline: Pipeline, *, created: int, id: str | None = None, **fields: Any
    ) -> RunPlan:
        """A plan with an id and a serial of its own, not yet inserted."""
        self._serial += 1
        run_id = checked_id(id or self.ids.new(created))
        fields.setdefault("step_source", self.step_sources[pipeline.id])
        return RunPlan(run_id, self._serial, pipeline, created, **fields)

    def insert(self, plan: RunPlan) -> RunPlan:
        """Put a run where its creation time says; ValueError if its id is taken."""
        if plan.id in self._runs:
            raise ValueError(f"there is a run {plan.id} already")
        self._runs[plan.id] = self._by_serial[plan.serial] = plan
        for owner in owners(plan.pipeline):
            insort(self._listings[owner], plan, key=_order)
        return plan

    def remove(self, plan: RunPlan) -> None:
        """Forget a run."""
        del self._runs[plan.id], self._by_serial[plan.serial]
        for owner in owners(plan.pipeline):
            listing = self._listings[owner]
            del listing[bisect_left(listing, plan.order, key=_order)]

    def run(self, run_id: str) -> RunPlan:
        """The run with this id, else UnknownIdError."""
        if run_id not in self._runs:
            raise UnknownIdError(f"there is no run {run_id}")
        return self._runs[run_id]

    def find_run(self, run_id: str | None) -> RunPlan | None:
        """The run with this id, if there is one."""
        return self._runs.get(run_id) if run_id else None

    def runs(self) -> list[RunPlan]:
        """All runs, in no order that means anything."""
        return list(self._runs.values())

    def step(self, wanted: str) -> tuple[RunPlan, int]:
        """The run and order (from 1) of the step with this id, else UnknownIdError."""
        plan = self._by_serial.get(serial_of_step(wanted))
        order = int(wanted[18:], 16)
        if plan is None or step_id(plan, order) != wanted or not 1 <= order <= len(plan.steps()):
            raise UnknownIdError(f"there is no step {wanted}")
        return plan, order

    def listing(self, owner: Owner) -> list[RunPlan]:
        """All runs of a pipeline or application, oldest first, else UnknownIdError."""
        if owner not in self._listings:
            raise UnknownIdError(f"there is no {owner[0].removesuffix('Id')} {owner[1]}")
        return self._listings[owner]

    def page(self, wanted: Page, now: int) -> list[RunPlan]:
        """The runs on a page of a listing."""
        runs = self.listing(wanted.owner)
        if not wanted.where:
            return _slice(runs, wanted)
        ordered = iter(runs) if wanted.ascending else reversed(runs)
        matching = (plan for plan in ordered if matches(plan, wanted.where, now))
        return list(islice(matching, wanted.skip, wanted.skip + wanted.limit))


def owners(pipeline: Pipeline) -> tuple[Owner, Owner]:
    """The two listings that a pipeline's runs are in."""
    return ("pipelineId", pipeline.id), ("applicationId", pipeline.application_id)


def _slice(runs: list[RunPlan], wanted: Page) -> list[RunPlan]:
    if wanted.ascending:
        return runs[wanted.skip : wanted.skip + wanted.limit]
    end = max(0, len(runs) - wanted.skip)
    return runs[max(0, end - wanted.limit) : end][::-1]


def _order(plan: RunPlan) -> tuple[int, int]:
    return plan.order


def matches(plan: RunPlan, where: Mapping[str, str], now: int) -> bool:
    """Whether a run passes all filters of a listing, named as in its query."""
    return all(_FACTS[name](plan, now) == wanted for name, wanted in where.items())


def _fact(key: str, plan: RunPlan, own: str | None) -> Any:
    return plan.overrides.get(key, own)


_FACTS: dict[str, Callable[[RunPlan, int], Any]] = {
    "status": lambda plan, now: _fact("status", plan, status_of(plan, now)[0]),
    "result": lambda plan, now: _fact("result", plan, status_of(plan, now)[1]),
    "branch": lambda plan, now: _fact("branch", plan, plan.branch),
    "commit": lambda plan, now: _fact("commitHash", plan, plan.commit),
    "sourceRun": lambda plan, now: plan.source_run_id,
    "author": lambda plan, now: plan.person.username,
}
FILTERS = tuple(_FACTS)
"""The names of a listing's filters."""

"""JSON as real answers are: what does not apply is absent, each kind of answer has its own keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from runsync.simulator.world.plans import (
    Person,
    Pipeline,
    RunPlan,
    RunState,
    StepState,
    run_state,
    step_states,
)

Json = dict[str, Any]

SERVICE = "https://app.wercker.com"
"""Where the addresses inside answers point to, whatever the simulator's own address is."""


class Absent:
    """The type of ABSENT."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""As the value of an override: leave the key out."""

_STEP_MARK = 0x8F2A6C0000


def iso_time(ms: int) -> str:
    """The usual form of a time: ``2016-07-04T11:51:24.851Z``."""
    whole = datetime.fromtimestamp(ms // 1000, UTC).isoformat()
    return f"{whole[:19]}.{ms % 1000:03d}Z"


def go_time(ms: int) -> str:
    """The form in answers to a POST: ``2017-07-04 15:27:10.149242293 +0000 UTC``."""
    whole = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{whole}.{ms % 1000:03d}{ms // 1000 * 7919 % 1_000_000:06d} +0000 UTC"


def with_overrides(payload: Json, overrides: Mapping[str, Any]) -> Json:
    """``payload`` with some keys replaced, or dropped where the value is ABSENT."""
    merged = {**payload, **overrides}
    return {key: value for key, value in merged.items() if value is not ABSENT}


def list_item(plan: RunPlan, now: int) -> Json:
    """A run as an item of the listing."""
    return with_overrides(_run(plan, now), plan.overrides)


def detail(plan: RunPlan, now: int, source: RunPlan | None) -> Json:
    """A run asked for by id; ``source`` is the run it was chained from, if that still exists."""
    payload = {**_run(plan, now), "envVars": _env_vars(plan), "commits": []}
    if plan.source_run_id is not None:
        payload["sourceRun"] = _source_run(plan.source_run_id, source, now)
    return with_overrides(payload, plan.overrides)


def trigger_answer(plan: RunPlan, now: int) -> Json:
    """The answer to a POST: times in the other form, no commits."""
    payload = {**_run(plan, now), "createdAt": go_time(plan.created), "envVars": _env_vars(plan)}
    payload["pipeline"] = _pipeline(plan.pipeline, go_time(plan.pipeline.created))
    return payload


def _run(plan: RunPlan, now: int) -> Json:
    state = run_state(plan, now)
    optional = {"branch": plan.branch, "commitHash": plan.commit, "message": plan.message}
    return {
        "id": plan.id,
        "url": f"{SERVICE}/api/v3/runs/{plan.id}",
        "createdAt": iso_time(plan.created),
        **{key: value for key, value in optional.items() if value is not None},
        **_times(state),
        "progress": state.progress,
        "result": state.result,
        "status": state.status,
        "user": _user(plan.person),
        "pipeline": _pipeline(plan.pipeline, iso_time(plan.pipeline.created)),
    }


def _times(state: RunState | StepState) -> Json:
    times = {"startedAt": state.started, "finishedAt": state.finished}
    return {key: iso_time(ms) for key, ms in times.items() if ms is not None}


def _user(person: Person) -> Json:
    meta: Json = {"werckerEmployee": person.employee}
    if person.username is not None:
        meta["username"] = person.username
    return {
        "meta": meta,
        "userId": person.user_id,
        "avatar": {"gravatar": person.gravatar},
        "name": person.name,
        "type": "wercker",
    }


def _pipeline(pipeline: Pipeline, created: str) -> Json:
    return {
        "id": pipeline.id,
        "url": f"{SERVICE}/api/v3/pipelines/{pipeline.id}",
        "createdAt": created,
        "name": pipeline.name,
        "permissions": "public",
        "pipelineName": pipeline.pipeline_name,
        "setScmProviderStatus": True,
        "type": "git",
    }


def _env_vars(plan: RunPlan) -> list[Json]:
    return [{"key": key, "value": value} for key, value in plan.env_vars]


def _source_run(source_id: str, source: RunPlan | None, now: int) -> Json:
    if source is None:
        return {"id": source_id, "url": f"{SERVICE}/api/v3/runs/{source_id}"}
    payload = list_item(source, now)
    return {key: value for key, value in payload.items() if key not in ("user", "pipeline")}


def step_id(plan: RunPlan, order: int) -> str:
    """The id of a run's step; it tells the run's serial, see ``serial_of_step``."""
    return f"{plan.id[:8]}{plan.serial ^ _STEP_MARK:010x}{order:06x}"


def serial_of_step(step: str) -> int:
    """The serial of the run that a step's id belongs to, if it belongs to any."""
    return int(step[8:18], 16) ^ _STEP_MARK


def step_list(plan: RunPlan, now: int) -> list[Json]:
    """The steps of a run, as its steps' address gives them."""
    return [
        with_overrides(_step(plan, state), plan.step_overrides.get(state.order, {}))
        for state in step_states(plan, now)
    ]


def _step(plan: RunPlan, state: StepState) -> Json:
    url = f"{SERVICE}/api/v3/runsteps/{step_id(plan, state.order)}"
    return {
        "id": step_id(plan, state.order),
        "url": url,
        "artifactsUrl": None,
        "createdAt": iso_time(plan.created + 2 + state.order),
        "logUrl": f"{url}/log",
        "order": state.order,
        **_times(state),
        "result": state.result,
        "status": state.status,
        **_step_name(state),
    }


def _step_name(state: StepState) -> Json:
    if state.order <= 2:
        return {"step": state.plan.name}
    return {"displayName": state.plan.name, "phase": state.plan.phase or "mainSteps"}


def step_log(plan: RunPlan, state: StepState) -> str:
    """What a step has printed so far; empty before it starts."""
    if state.started is None:
        return ""
    lines = [
        f"Running step: {state.plan.name}",
        f"export WERCKER_GIT_BRANCH={plan.branch}",
        f"export WERCKER_GIT_COMMIT={plan.commit}",
        *(f"[{percent:3d}%] \x1b[32m{state.plan.name}\x1b[0m …" for percent in range(0, 101, 20)),
    ]
    if state.finished is not None:
        seconds = (state.finished - state.started) / 1000
        lines.append(f"Step {state.result} after {seconds:.3f} s")
    return "\n".join(lines) + "\n"

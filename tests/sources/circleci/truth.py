"""What a database must hold of a simulated CircleCI: an own reading of its words and times."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from tests.sources.circleci.world import CiJob, CiPipeline, CiWorkflow, World

Row = dict[str, Any]
WORDS = {
    "running": ("running", "unknown", None),
    "failing": ("running", "unknown", None),
    "success": ("finished", "passed", "success"),
    "failed": ("finished", "failed", "failure"),
    "error": ("finished", "failed", "error"),
    "canceled": ("finished", "aborted", "cancellation"),
    "unauthorized": ("finished", "failed", "failure"),
    "not_run": ("finished", "skipped", "skip"),
    "infrastructure_fail": ("finished", "failed", "error"),
    "timedout": ("finished", "failed", "timeout"),
    "terminated-unknown": ("finished", "failed", "error"),
}
EVENTS = {"webhook": "push", "api": "api", "explicit": "manual", "scheduled_pipeline": "schedule"}
RUN_COLUMNS = (
    "id attempt status result outcome raw_status raw_result branch commit_hash message author "
    "author_id created_at started_at finished_at queued_ms duration_ms number event"
).split()
STEP_COLUMNS = (
    "id position name status result outcome raw_status raw_result started_at finished_at "
    "duration_ms runner"
).split()


def truth(world: World, *, details: bool = False) -> dict[str, Row]:
    """Every workflow by its id, with its jobs as ``steps``."""
    return {
        str(workflow.id): _run(world, pipeline, workflow, details)
        for pipeline, workflow in world.workflows()
        if workflow.id not in world.forgotten
    }


def stored(database: Database) -> dict[str, Row]:
    """What the database holds, in the same form."""
    with database.read() as connection:
        names = dict(connection.execute(select(PipelineRow.id, PipelineRow.external_id)).all())
        runs = connection.execute(select(RunRow.__table__)).mappings().all()
        steps = connection.execute(select(StepRow.__table__).order_by(StepRow.position)).mappings()
        found: dict[str, Row] = {
            row["id"]: {name: row[name] for name in RUN_COLUMNS}
            | {"pipeline": names[row["pipeline_id"]], "steps": []}
            for row in runs
        }
        for step in steps:
            found[step["run_id"]]["steps"].append({name: step[name] for name in STEP_COLUMNS})
    return found


def _run(world: World, of: CiPipeline, one: CiWorkflow, details: bool) -> Row:
    status, result, outcome = WORDS.get(one.status, ("notstarted", "unknown", None))
    over = status == "finished"
    created = one.created_at.replace(microsecond=0)
    ended = _second(one.stopped_at) if over else None
    begins = [j.started_at.replace(microsecond=0) for j in one.jobs if j.started_at]
    started = min((at for at in begins if at >= created), default=None)
    bad = {WORDS[j.status][2] for j in one.jobs if WORDS.get(j.status, ("",) * 3)[1] == "failed"}
    if one.status == "failed" and bad and "failure" not in bad:
        outcome = "error" if "error" in bad else "timeout"
    same = [w for w in of.workflows if w.name == one.name and w.tag == one.tag]
    # Of those that began in the same second nobody knows the order.
    same.sort(key=lambda w: (w.created_at.replace(microsecond=0), str(w.id)))
    starter = same[0].started_by
    return {
        "id": one.id,
        "pipeline": f"{world.slug}/{one.name}",
        "attempt": same.index(one) + 1,
        "status": status,
        "result": result,
        "outcome": outcome,
        "raw_status": one.status if one.status != status else None,
        "raw_result": one.status if over and one.status != result else None,
        "branch": of.branch,
        "commit_hash": of.revision,
        "message": of.subject,
        "author": of.login if one.started_by == starter else None,
        "author_id": one.started_by,
        "created_at": created,
        "started_at": started,
        "finished_at": ended,
        "queued_ms": _between(created, started),
        "duration_ms": _between(started, ended),
        "number": str(of.number),
        "event": EVENTS[of.trigger],
        "steps": [_step(job, n, details) for n, job in enumerate(_ordered(one.jobs), 1)],
    }


def _ordered(jobs: list[CiJob]) -> list[CiJob]:
    """Those that began, in that order; then the others by name."""
    begun = [job for job in jobs if job.started_at]
    begun.sort(key=lambda job: (str(_second(job.started_at)), job.number or 0))
    return begun + sorted((j for j in jobs if not j.started_at), key=lambda j: (j.name, j.id))


def _step(job: CiJob, place: int, details: bool) -> Row:
    status, result, outcome = WORDS.get(job.status, ("notstarted", "unknown", None))
    over = status == "finished"
    started, ended = _second(job.started_at), _second(job.stopped_at) if over else None
    return {
        "id": job.id,
        "position": place,
        "name": job.name,
        "status": status,
        "result": result,
        "outcome": outcome,
        "raw_status": job.status if job.status != status else None,
        "raw_result": job.status if over and job.status != result else None,
        "started_at": started,
        "finished_at": ended,
        "duration_ms": _between(started, ended),
        "runner": f"docker/{job.resource_class}" if details and started else None,
    }


def _second(when: datetime | None) -> datetime | None:
    return when and when.replace(microsecond=0)


def _between(begin: datetime | None, end: datetime | None) -> int | None:
    return round((end - begin).total_seconds() * 1000) if begin and end else None

"""What a database must hold of a simulated GitLab: an own reading of its words and times."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from tests.sources.gitlab.simulator import OVER, CiPipeline, Job, World

Row = dict[str, Any]
OUTCOMES = {"success": "success", "failed": "failure", "canceled": "cancellation"}
FAULTS = {"runner_system_failure": "error", "job_execution_timeout": "timeout"}
EVENTS = {
    "web": "manual", "trigger": "api", "pipeline": "upstream", "merge_request_event": "pull_request"
}  # fmt: skip
ENDS = {"success": "passed", "failed": "failed", "canceled": "aborted", "skipped": "skipped"}
STATES = {"running": "running", "canceling": "running"} | dict.fromkeys(OVER, "finished")
RUN_COLUMNS = (
    "id status result raw_status raw_result branch commit_hash message author author_id "
    "created_at started_at finished_at queued_ms duration_ms url number event outcome"
).split()
STEP_COLUMNS = (
    "id position job name status result raw_status raw_result created_at started_at finished_at "
    "duration_ms runner outcome"
).split()


def truth(world: World) -> dict[str, Row]:
    """Every pipeline of the project itself, by id, with its jobs as ``steps``."""
    rows = [p for p in world.pipelines.values() if p.source != "parent_pipeline"]
    return {str(pipeline.id): _run(world, pipeline) for pipeline in rows}


def stored(database: Database) -> dict[str, Row]:
    """What the database holds, in the same form."""
    with database.read() as connection:
        runs = connection.execute(select(RunRow.__table__)).mappings().all()
        steps = connection.execute(select(StepRow.__table__).order_by(StepRow.position)).mappings()
        found: dict[str, Row] = {
            row["id"]: {name: row[name] for name in RUN_COLUMNS} | {"steps": []} for row in runs
        }
        for step in steps:
            row = {name: step[name] for name in STEP_COLUMNS}
            row["told"] = {k: v for k, v in (step["extra"] or {}).items() if k in _TOLD}
            found[step["run_id"]]["steps"].append(row)
    return found


def pipelines(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(PipelineRow.external_id)).scalars())


_TOLD = {"allow_failure", "retried", "coverage", "failure_reason"}


def _run(world: World, pipeline: CiPipeline) -> Row:
    over = pipeline.status in OVER
    created, started = _ms(pipeline.created_at), _ms(pipeline.started_at)
    ended = _ms(pipeline.finished_at) if over else None
    jobs = [job for job in pipeline.jobs if not job.bridge]
    return _words(pipeline.status) | {
        "id": str(pipeline.id),
        "branch": pipeline.ref,
        "commit_hash": pipeline.sha,
        "message": f"Change {pipeline.id}\n" if jobs else None,
        "author": pipeline.user,
        "author_id": "11" if pipeline.user else None,
        "created_at": created,
        "started_at": started,
        "finished_at": ended,
        "queued_ms": _between(created, started),
        "duration_ms": _between(started, ended),
        "url": f"https://gitlab.example/{world.path}/-/pipelines/{pipeline.id}",
        "number": str(pipeline.iid),
        "event": EVENTS.get(pipeline.source, pipeline.source),
        "outcome": _outcome(pipeline),
        "steps": [_step(world, job, place) for place, job in enumerate(jobs, 1)],
    }


def _outcome(pipeline: CiPipeline) -> str | None:
    """The worst that its jobs have done to it: what is the code's fault is not the CI's."""
    if pipeline.status != "failed":
        return OUTCOMES.get(pipeline.status) or ("skip" if pipeline.status == "skipped" else None)
    if pipeline.yaml_errors:
        return "error"
    bad = [j for j in pipeline.jobs if j.status == "failed"]
    faults = {_fault(j) for j in bad if not j.retried and not j.allow_failure}
    return next((word for word in ("failure", "error", "timeout") if word in faults), "failure")


def _fault(job: Job) -> str:
    return FAULTS.get(job.failure_reason or "", "failure")


def _step(world: World, job: Job, place: int) -> Row:
    started, ended = _ms(job.started_at), _ms(job.finished_at)
    told = {
        "allow_failure": job.allow_failure,
        "retried": job.retried,
        "failure_reason": job.failure_reason if job.status == "failed" else None,
        "coverage": 91.5 if job.name == "build" and _is_old(world, job.finished_at) else None,
    }
    return _words(job.status) | {
        "id": str(job.id),
        "position": place,
        "job": job.stage,
        "name": job.name,
        "runner": "big one",
        "outcome": _fault(job) if job.status == "failed" else OUTCOMES.get(job.status),
        "created_at": _ms(job.created_at),
        "started_at": started,
        "finished_at": ended,
        "duration_ms": _between(started, ended),
        "told": {key: value for key, value in told.items() if value},
    }


def _words(word: str) -> Row:
    status, result = STATES.get(word, "notstarted"), ENDS.get(word, "unknown")
    return {
        "status": status,
        "result": result,
        "raw_status": word if word != status else None,
        "raw_result": word if word in OVER and word != result else None,
    }


def _is_old(world: World, ended: datetime | None) -> bool:
    return ended is not None and (world.now - ended).total_seconds() >= 20


def _ms(when: datetime | None) -> datetime | None:
    return when and when.replace(microsecond=when.microsecond // 1000 * 1000)


def _between(begin: datetime | None, end: datetime | None) -> int | None:
    return round((end - begin).total_seconds() * 1000) if begin and end else None

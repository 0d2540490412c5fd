"""What a database must hold of a simulated Buildkite: an own reading of its words and times."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from runsync.storage.database import Database
from runsync.storage.models import RunRow, StepRow
from tests.sources.buildkite.world import Build, Job, World

Row = dict[str, Any]
RUN_COLUMNS = (
    "id status result raw_status raw_result outcome branch commit_hash message author event number "
    "created_at started_at finished_at source_run_id web_url"
).split()
STEP_COLUMNS = (
    "id position job name status result raw_status raw_result outcome runner created_at "
    "started_at finished_at"
).split()
OVER = {"passed", "failed", "canceled", "skipped", "not_run"}
RESULTS = {"passed": "passed", "failed": "failed", "canceled": "aborted"} | dict.fromkeys(
    ("skipped", "not_run"), "skipped"
)
JOB_RESULTS = RESULTS | {"timed_out": "failed", "expired": "failed"}
JOB_RESULTS |= dict.fromkeys(("broken", "waiting_failed", "blocked_failed"), "skipped")
OUTCOMES = {
    "passed": "success", "failed": "failure", "aborted": "cancellation", "skipped": "skip"
}  # fmt: skip
EVENTS = {"webhook": "push", "ui": "manual", "trigger_job": "upstream"}


def truth(world: World) -> dict[str, Row]:
    """Every build by its number, with its jobs as ``steps``."""
    return {str(build.number): _run(world, build) for build in world.builds}


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
            row["retried"] = (step["extra"] or {}).get("retried", False)
            found[step["run_id"]]["steps"].append(row)
    return found


def _run(world: World, build: Build) -> Row:
    blocked = build.blocked and build.state in ("passed", "failed")
    over = build.state in OVER and not blocked
    running = "running" if build.state in ("running", "failing", "canceling") else "notstarted"
    status = "finished" if over else "running" if blocked else running
    result = RESULTS[build.state] if over else "unknown"
    jobs = [job for job in build.jobs if job.type in ("script", "trigger")]
    steps = [_step(job, place) for place, job in enumerate(jobs, 1)]
    return {
        "id": str(build.number),
        "status": status,
        "result": result,
        "raw_status": "blocked" if blocked else None if build.state == status else build.state,
        "raw_result": build.state if (over or blocked) and build.state != result else None,
        "outcome": _outcome(build, steps) if over else None,
        "branch": build.branch,
        "commit_hash": None if build.commit == "HEAD" else build.commit,
        "message": f"Change {build.number}",
        "author": build.creator or "Grace H",
        "event": "pull_request" if build.pull_request else EVENTS.get(build.source, build.source),
        "number": str(build.number),
        "created_at": _ms(build.created_at),
        "started_at": _ms(build.started_at),
        "finished_at": _ms(build.finished_at) if over else None,
        "source_run_id": None if build.rebuilt_from is None else str(build.rebuilt_from),
        "web_url": None,
        "steps": steps,
    }


def _outcome(build: Build, steps: list[Row]) -> str:
    if build.state == "failed":
        jobs = {job.id: job for job in build.jobs}
        bad = {
            step["outcome"]
            for step in steps
            if step["result"] == "failed" and not step["retried"]
            if not jobs[step["id"]].soft_failed
        }
        return next((word for word in ("failure", "error", "timeout") if word in bad), "failure")
    return OUTCOMES[RESULTS[build.state]]


def _step(job: Job, place: int) -> Row:
    over = job.state in JOB_RESULTS
    result = JOB_RESULTS.get(job.state, "unknown")
    status = "finished" if over else "running" if job.state == "running" else "notstarted"
    outcome = OUTCOMES.get(result) if over else None
    if job.state == "timed_out":
        outcome = "timeout"
    elif job.state == "expired" or (
        job.state == "failed" and (job.signal_reason or job.exit_status == -1)
    ):
        outcome = "error"
    agent = "linux-big" if job.type == "script" else None
    return {
        "id": job.id,
        "position": place,
        "job": job.group,
        "name": job.name,
        "status": status,
        "result": result,
        "raw_status": None if job.state == status else job.state,
        "raw_result": job.state if over and job.state != result else None,
        "outcome": outcome,
        "runner": "agent-7" if job.started_at and job.type == "script" else agent,
        "created_at": _ms(job.created_at),
        "started_at": _ms(job.started_at),
        "finished_at": _ms(job.finished_at),
        "retried": job.retried_in is not None,
    }


def _ms(when: datetime | None) -> datetime | None:
    return when and when.replace(microsecond=when.microsecond // 1000 * 1000)

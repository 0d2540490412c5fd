"""What an exact sync holds of the simulated GitHub, and what a sync has stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select

from runsync.sources.base import Listing
from runsync.sources.github.source import GitHub
from runsync.storage.database import Database
from runsync.storage.models import RunRow, StepRow
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from tests.sources.github.rig import workflow
from tests.sources.github.world import Attempt, Job, Run, World

STATUSES = {
    "completed": "finished",
    "in_progress": "running",
    **dict.fromkeys(("queued", "waiting", "pending", "requested"), "notstarted"),
}
OUTCOMES = {"success": "success", "failure": "failure", "cancelled": "cancellation"}
EVENTS = {"workflow_dispatch": "manual", "workflow_run": "upstream"}
RESULTS = {"success": "passed", "failure": "failed", "cancelled": "aborted", None: "unknown"}


def run_sync(
    database: Database, source: GitHub, listing: Listing | None = None, **options: Any
) -> SyncOutcome:
    task = Task(source, listing or workflow(source))
    (outcome,) = sync(database, [task], Options(concurrency=4, **options))
    return outcome


def stored(database: Database, *columns: str) -> dict[str, Any]:
    """The runs by id: the columns asked for, or all that the truth tells."""
    with database.read() as connection:
        runs = connection.execute(select(RunRow.__table__)).mappings().all()
        steps = connection.execute(select(StepRow.__table__)).mappings().all()
    if columns:
        return {row["id"]: tuple(row[name] for name in columns) for row in runs}
    return {
        row["id"]: {
            **{key: row[key] for key in TOLD},
            "steps": sorted(
                tuple(s[key] for key in STEP_TOLD) for s in steps if s["run_id"] == row["id"]
            ),
        }
        for row in runs
    }


TOLD = (
    "attempt branch commit_hash message author number event status result outcome created_at "
    "started_at finished_at"
).split()
STEP_TOLD = "id job name status result outcome runner started_at finished_at".split()


def truth(world: World) -> dict[str, Any]:
    """What an exact sync holds of the runs that are there; our own reading of the world."""
    return {_id(run, a): _run(run, a) for run, a in world.attempts()}


def _id(run: Run, attempt: Attempt) -> str:
    return str(run.id) + (f".{attempt.number}" if attempt.number > 1 else "")


def _run(run: Run, attempt: Attempt) -> dict[str, Any]:
    own = [job for job in attempt.jobs if job.status == "completed" and _is_own(job, attempt)]
    ended = attempt.status == "completed"
    return {
        "attempt": attempt.number,
        "branch": run.branch,
        "commit_hash": run.sha,
        "message": run.message,
        "author": attempt.actor,
        "number": str(run.number),
        "event": EVENTS.get(run.event, run.event),
        "status": STATUSES[attempt.status],
        "result": RESULTS[attempt.conclusion],
        "outcome": OUTCOMES.get(attempt.conclusion or ""),
        "created_at": _whole(attempt.started if attempt.number > 1 else run.created),
        "started_at": min((_whole(job.started) for job in own), default=None),
        "finished_at": max((_whole(job.completed) for job in own), default=None) if ended else None,
        "steps": sorted(step for job in own for step in _steps(job)),
    }


def _is_own(job: Job, attempt: Attempt) -> bool:
    return job.completed is not None and job.completed >= attempt.started


def _steps(job: Job) -> Iterator[tuple[Any, ...]]:
    for step in job.steps:
        times = (datetime.fromisoformat(step[key]) for key in ("started_at", "completed_at"))
        ended = RESULTS[step["conclusion"]], OUTCOMES.get(step["conclusion"] or "")
        words = (f"{job.id}.{step['number']}", job.name, step["name"], "finished", *ended)
        yield *words, "ubuntu-latest", *times


def _whole(at: datetime | None) -> datetime:
    assert at is not None
    return at.replace(microsecond=0)

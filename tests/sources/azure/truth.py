"""What a database must hold of a simulated Azure DevOps: an own reading of its words and times."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from tests.sources.azure.world import Build, Record, World

Row = dict[str, Any]
STATES = {
    "notStarted": "notstarted", "postponed": "notstarted", "pending": "notstarted",
    "inProgress": "running", "cancelling": "running", "completed": "finished",
}  # fmt: skip
ENDS = {
    "succeeded": ("passed", "success"),
    "partiallySucceeded": ("passed", "success"),
    "succeededWithIssues": ("passed", "success"),
    "failed": ("failed", "failure"),
    "canceled": ("aborted", "cancellation"),
    "skipped": ("skipped", "skip"),
    "abandoned": ("failed", "error"),
}
EVENTS = {
    "individualCI": "push", "batchedCI": "push", "pullRequest": "pull_request",
    "resourceTrigger": "upstream", "buildCompletion": "upstream",
}  # fmt: skip
RUN_COLUMNS = (
    "id status result raw_status raw_result branch commit_hash message author author_id "
    "created_at started_at finished_at queued_ms duration_ms web_url number event outcome "
    "source_run_id attempt"
).split()
STEP_COLUMNS = (
    "position job name phase status result raw_status raw_result started_at finished_at "
    "duration_ms runner outcome"
).split()
TOLD = {"stage", "retried", "attempt", "log"}


def truth(world: World, definition: int | None = World.definition) -> dict[str, Row]:
    """Every build that was not deleted, by id, with its steps; of one definition or of all."""
    return {str(build.id): _run(world, build) for build in world.present(definition)}


def stored(database: Database) -> dict[str, Row]:
    """What the database holds of runs that are still there, in the same form."""
    with database.read() as connection:
        runs = connection.execute(select(RunRow.__table__)).mappings().all()
        steps = connection.execute(select(StepRow.__table__).order_by(StepRow.position)).mappings()
        found: dict[str, Row] = {
            row["id"]: {name: row[name] for name in RUN_COLUMNS} | {"steps": []}
            for row in runs
            if row["vanished_at"] is None
        }
        for row in found.values():
            row["web_url"] = row["web_url"].partition("/fabrikam/")[2]
        for step in steps:
            row = {name: step[name] for name in STEP_COLUMNS}
            row["told"] = {k: v for k, v in (step["extra"] or {}).items() if k in TOLD}
            if step["run_id"] in found:
                found[step["run_id"]]["steps"].append(row)
    return found


def pipelines(database: Database) -> list[Row]:
    with database.read() as connection:
        rows = connection.execute(select(PipelineRow.__table__)).mappings()
        return [dict(row) for row in rows]


def _run(world: World, build: Build) -> Row:
    over = build.status == "completed"
    page = f"{quote(world.project.lower())}/_build/results?buildId={build.id}"
    branch = build.trigger.get("pr.sourceBranch") or build.branch
    status = STATES[build.status]
    result, outcome = ENDS[build.result] if over and build.result else ("unknown", None)
    return {
        "id": str(build.id),
        "status": status,
        "result": result,
        "outcome": "error" if build.invalid else outcome,
        "raw_status": build.status if build.status != status else None,
        "raw_result": build.result if over and build.result != result else None,
        "branch": branch.removeprefix("refs/heads/"),
        "commit_hash": build.sha,
        "message": build.trigger.get("ci.message"),
        "author": build.who["displayName"],
        "author_id": build.who["id"],
        "created_at": build.queued,
        "started_at": build.started,
        "finished_at": build.finished if over else None,
        "queued_ms": _between(build.queued, build.started),
        "duration_ms": _between(build.started, build.finished if over else None),
        "web_url": page,
        "number": build.number,
        "event": EVENTS.get(build.reason, build.reason),
        "source_run_id": str(build.upstream) if build.upstream else None,
        "attempt": 1,
        "steps": _steps(build),
    }


def _steps(build: Build) -> list[Row]:
    """In the order of the plan; of what was run again, the earlier tries come first."""
    retried = [(r, True) for rows in build.earlier.values() for r in rows]
    records = [*retried, *((r, False) for r in build.records)]
    by_id = {record.id: record for record, _ in records}
    parents = {record.parent for record, _ in records}
    rows = []
    for record, again in records:
        leaf = record.id not in parents
        if record.kind != "Task" and not (leaf and record.state == "completed"):
            continue
        chain = [record]
        while chain[0].parent:
            chain.insert(0, by_id[chain[0].parent])
        place = [(one.order, one.attempt, one.name) for one in chain]
        rows.append((place, record.id, _step(chain, record, again)))
    ordered = [row for _, _, row in sorted(rows, key=lambda row: row[:2])]
    return [row | {"position": place} for place, row in enumerate(ordered, 1)]


def _step(chain: list[Record], record: Record, again: bool) -> Row:
    names = {one.kind: one.name for one in chain}
    status = STATES[record.state]
    result, outcome = ENDS[record.result] if record.result else ("unknown", None)
    jobs = [one for one in chain if one.kind == "Job"]
    attempt = (jobs or [record])[0].attempt
    told = {
        "stage": names.get("Stage"),
        "retried": again,
        "attempt": attempt if attempt > 1 else None,
        "log": record.log,
    }
    return {
        "job": names.get("Job"),
        "name": record.name,
        "phase": None if record.kind == "Task" else record.kind.lower(),
        "status": status,
        "result": result,
        "outcome": outcome,
        "raw_status": record.state if record.state != status else None,
        "raw_result": record.result if record.result and record.result != result else None,
        "started_at": record.start,
        "finished_at": record.finish,
        "duration_ms": _between(record.start, record.finish),
        "runner": record.worker,
        "told": {key: value for key, value in told.items() if value},
    }


def _between(begin: datetime | None, end: datetime | None) -> int | None:
    return (end - begin) // (datetime.resolution * 1000) if begin and end else None

"""What a database must hold of a simulated Jenkins: an own reading of its words and times."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from tests.sources.jenkins.world import FREESTYLE, Build, Item, Stage, World

Row = dict[str, Any]
Key = tuple[str, str]
ENDS = {
    "SUCCESS": ("passed", "success"),
    "FAILURE": ("failed", "failure"),
    "FAILED": ("failed", "failure"),
    "UNSTABLE": ("failed", "failure"),
    "ABORTED": ("aborted", "cancellation"),
    "NOT_BUILT": ("skipped", "skip"),
    "NOT_EXECUTED": ("skipped", "skip"),
}
RUN_COLUMNS = (
    "status result outcome raw_status raw_result number event branch commit_hash message author "
    "author_id created_at started_at finished_at queued_ms duration_ms web_url"
).split()
STEP_COLUMNS = (
    "id position job name runner status result outcome raw_status raw_result started_at "
    "finished_at duration_ms"
).split()


def truth(world: World, within: str = "") -> dict[Key, Row]:
    """Every build of every job in a folder, by its job's full name and its number."""
    return {
        (name, str(build.number)): _run(name, job, build)
        for name, job in world.jobs()
        if f"{name}/".startswith(f"{within}/" if within else "")
        for build in job.builds.values()
    }


def stored(database: Database) -> dict[Key, Row]:
    """What the database holds, in the same form."""
    with database.read() as connection:
        names = dict(connection.execute(select(PipelineRow.id, PipelineRow.external_id)).all())
        runs = connection.execute(select(RunRow.__table__)).mappings().all()
        steps = connection.execute(select(StepRow.__table__).order_by(StepRow.position)).mappings()
        found = {
            (names[row["pipeline_id"]], row["id"]): {name: row[name] for name in RUN_COLUMNS}
            | {"steps": []}
            for row in runs
        }
        for step in steps:
            row = {name: step[name] for name in STEP_COLUMNS}
            found[names[step["pipeline_id"]], step["run_id"]]["steps"].append(row)
    return found


def _run(name: str, job: Item, build: Build) -> Row:
    over = not build.building and not build.in_progress
    created = _time(build.timestamp)
    row = {
        **_words(build.result if over else None, over),
        "number": str(build.number),
        "event": "manual",
        "branch": None,
        "commit_hash": None,
        "message": None,
        "author": "ada",
        "author_id": "ada",
        "created_at": created,
        "started_at": created,
        "finished_at": _time(build.timestamp + build.duration) if over else None,
        "queued_ms": _queued(build),
        "duration_ms": build.duration if over else None,
        "web_url": "",
    }
    if job.kind == FREESTYLE:
        times = ("started_at", "finished_at", "duration_ms")
        words = ("status", "result", "outcome", "raw_status", "raw_result")
        step = {"id": "build", "position": 1, "job": None, "name": "build", "runner": "linux-7"}
        return row | {"steps": [step | {key: row[key] for key in (*words, *times)}]}
    stages = [_step(stage, place) for place, stage in enumerate(build.stages, 1)]
    return row | {"steps": stages}


def _step(stage: Stage, place: int) -> Row:
    over, ran = stage.status not in ("IN_PROGRESS", "PAUSED_PENDING_INPUT"), stage.started > 0
    return _words(stage.status if over else None, over) | {
        "id": str(stage.id),
        "position": place,
        "job": None,
        "name": stage.name,
        "runner": None,
        "raw_status": None if over else stage.status,
        "started_at": _time(stage.started) if ran else None,
        "finished_at": _time(stage.started + stage.duration) if ran and over else None,
        "duration_ms": stage.duration if ran and over else None,
    }


def _words(word: str | None, over: bool) -> Row:
    result, outcome = ENDS[word] if word else ("unknown", None)
    return {
        "status": "finished" if over else "running",
        "result": result,
        "outcome": outcome,
        "raw_status": None,
        "raw_result": word,
    }


def _queued(build: Build) -> int | None:
    """Sums what the metrics plugin tells."""
    for action in build.actions:
        if str(action.get("_class")).endswith("TimeInQueueAction"):
            return sum(int(v) for k, v in action.items() if k.endswith("DurationMillis"))
    return None


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def without_pages(rows: dict[Key, Row]) -> dict[Key, Row]:
    """The rows without the addresses of their pages."""
    return {key: row | {"web_url": ""} for key, row in rows.items()}

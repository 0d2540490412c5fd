"""Rows that a test puts into a database by hand."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import insert

from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow

DAY = timedelta(days=1)


def add_pipeline(database: Database, external_id: str, name: str, source: str = "wercker") -> int:
    """A pipeline; its number."""
    values = {"source": source, "external_id": external_id, "name": name}
    with database.write() as connection:
        made = connection.execute(insert(PipelineRow).values(values))
        return int(made.inserted_primary_key[0])  # type: ignore[index]


def add_runs(
    database: Database,
    pipeline: int,
    times: Iterable[datetime],
    *,
    steps: int = 2,
    message: str = "A message",
    prefix: str = "r",
) -> list[str]:
    """Finished runs that were created at these times, each with its steps; their ids."""
    runs, step_rows = [], []
    for number, at in enumerate(times):
        run = {
            "pipeline_id": pipeline,
            "id": f"{prefix}{number}",
            "attempt": 1,
            "status": "finished",
            "result": "passed",
            "message": message,
            "created_at": at,
            "started_at": at + timedelta(seconds=1),
            "duration_ms": 1500,
            "extra": {"a": [1, "ü"]},
            "settled": True,
            "first_seen_at": at + DAY,
            "last_seen_at": at + DAY,
            "steps_synced_at": at + DAY,
        }
        runs.append(run)
        step_rows += [
            {
                "pipeline_id": pipeline,
                "run_id": run["id"],
                "id": f"{run['id']}-{place}",
                "position": place,
                "name": f"step {place}",
                "status": "finished",
                "result": "passed",
                "started_at": at + timedelta(seconds=place),
                "duration_ms": 500,
            }
            for place in range(1, steps + 1)
        ]
    with database.write() as connection:
        connection.execute(insert(RunRow), runs)
        if step_rows:
            connection.execute(insert(StepRow), step_rows)
    return [str(run["id"]) for run in runs]

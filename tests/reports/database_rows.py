"""Puts small histories into a database, row by row, as the models are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa

from runsync.storage.database import Database
from runsync.storage.models import (
    CoverageRow,
    ListingPipelineRow,
    PipelineRow,
    RunRow,
    StepRow,
    SyncRow,
)

DAY = datetime(2024, 3, 4, tzinfo=UTC)
"""A Monday."""

OUTCOMES = {"passed": "success", "failed": "failure", "aborted": "cancellation", "skipped": "skip"}

Row = dict[str, Any]


def at(days: float = 0, *, hours: float = 0, seconds: float = 0) -> datetime:
    """So long after :data:`DAY`."""
    return DAY + timedelta(days=days, hours=hours, seconds=seconds)


def seconds(value: float) -> pd.Timedelta:
    """A duration as frames hold it."""
    return pd.Timedelta(seconds=value)


def pipeline(id: int, name: str = "build", *, source: str = "wercker") -> Row:
    return {"id": id, "source": source, "external_id": f"{id:08x}{'0' * 16}", "name": name}


def run(
    id: str,
    created: datetime,
    result: str = "passed",
    *,
    pipeline: int = 1,
    queued: float | None = 1.0,
    took: float | None = 10.0,
    **more: Any,
) -> Row:
    """A finished run; ``queued`` and ``took`` in seconds, None for what never happened."""
    started = None if queued is None else created + timedelta(seconds=queued)
    ended = None if started is None or took is None else started + timedelta(seconds=took)
    return {
        "pipeline_id": pipeline,
        "id": id,
        "attempt": 1,
        "branch": "main",
        "commit_hash": f"c-{id}",
        "message": None,
        "author": "ann",
        "author_id": None,
        "status": "finished",
        "result": result,
        "raw_status": None,
        "raw_result": None,
        "progress": None,
        "created_at": created,
        "started_at": started,
        "finished_at": ended or created,
        "queued_ms": None if queued is None else round(queued * 1000),
        "duration_ms": None if ended is None or took is None else round(took * 1000),
        "source_run_id": None,
        "number": None,
        "event": "push",
        "outcome": OUTCOMES.get(result),
        "web_url": f"https://ci.example.org/{id}",
        "url": None,
        "extra": None,
        "steps_synced_at": ended or created,
        "settled": True,
        "first_seen_at": created,
        "last_seen_at": created,
        "vanished_at": None,
    } | more


def step(
    of: Row, position: int, name: str, took: float | None = 1.0, result: str = "passed", **more: Any
) -> Row:
    """A finished step of a run; ``took`` in seconds, None where it never started."""
    return {
        "pipeline_id": of["pipeline_id"],
        "run_id": of["id"],
        "id": f"s{position}",
        "position": position,
        "job": None,
        "name": name,
        "phase": None,
        "runner": None,
        "outcome": OUTCOMES.get(result),
        "status": "finished",
        "result": result,
        "raw_status": None,
        "raw_result": None,
        "created_at": of["created_at"],
        "started_at": None if took is None else of["created_at"],
        "finished_at": None if took is None else of["created_at"] + timedelta(seconds=took),
        "duration_ms": None if took is None else round(took * 1000),
        "log_url": None,
        "artifacts_url": None,
        "extra": None,
    } | more


def fill(
    database: Database,
    runs: Sequence[Row] = (),
    steps: Sequence[Row] = (),
    *,
    pipelines: Iterable[Row] = (),
) -> None:
    """Inserts them; a pipeline ``build`` of id 1 where none is given."""
    with database.write() as connection:
        connection.execute(sa.insert(PipelineRow), list(pipelines) or [pipeline(1)])
        if runs:
            connection.execute(sa.insert(RunRow), list(runs))
        if steps:
            connection.execute(sa.insert(StepRow), list(steps))


def add_runs(database: Database, runs: Sequence[Row], steps: Sequence[Row] = ()) -> None:
    """Inserts runs of pipelines that are there."""
    with database.write() as connection:
        connection.execute(sa.insert(RunRow), list(runs))
        if steps:
            connection.execute(sa.insert(StepRow), list(steps))


def empty(database: Database) -> None:
    """Takes everything out again."""
    tables = (SyncRow, CoverageRow, StepRow, RunRow, ListingPipelineRow, PipelineRow)
    with database.write() as connection:
        for table in tables:
            connection.execute(sa.delete(table))


def cover(
    database: Database,
    *intervals: tuple[datetime, datetime],
    pipelines: Iterable[int] = (1,),
    listing: str = "wercker/pipeline/1",
    reaches_start: bool = False,
    synced: datetime | None = None,
    outcome: str = "ok",
) -> None:
    """Says that these stretches of a listing are complete, and when it was last synced."""
    with database.write() as connection:
        connection.execute(
            sa.insert(ListingPipelineRow),
            [{"listing": listing, "pipeline_id": p} for p in pipelines],
        )
        for number, (oldest, newest) in enumerate(sorted(intervals)):
            interval = {
                "listing": listing,
                "newest_created_at": newest,
                "newest_run_id": f"n{number}",
                "oldest_created_at": oldest,
                "oldest_run_id": f"o{number}",
                "reaches_start": reaches_start and number == 0,
            }
            connection.execute(sa.insert(CoverageRow), [interval])
        if synced is not None:
            counts = dict.fromkeys(("requests", "runs_new", "runs_updated", "steps_written"), 0)
            good = {"listing": listing, "started_at": synced, "outcome": outcome}
            connection.execute(sa.insert(SyncRow), [good | counts])


def records(frame: Any) -> list[Mapping[str, Any]]:
    """A frame's rows, with None for whatever is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return list(plain.to_dict("records"))

"""Runs and steps as rows, with the column names of the documentation."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from runsync.cli.output import Format, emit
from runsync.records import Run, Step

COLUMNS = (
    "source pipeline external_id id attempt branch commit_hash message author author_id number "
    "event status result outcome raw_status raw_result progress created_at started_at "
    "finished_at queued_ms duration_ms source_run_id url web_url extra env"
).split()
BRIEF = ("id", "branch", "status", "result", "created_at", "duration", "author", "subject")
SPARE = ("author", "branch", "subject", "created_at")
STEP_COLUMNS = (
    "run_id id position job name phase runner status result outcome raw_status raw_result "
    "created_at started_at finished_at duration_ms log_url artifacts_url extra"
).split()
STEP_BRIEF = ("position", "job", "name", "status", "result", "started_at", "duration")
STEP_SPARE = ("started_at", "job")


def emit_run(
    run: Run, source: str, format: Format | None, *, show_env: bool, output: Path | None
) -> None:
    row = run_row(run, source) | {"env": _env(run, show_env=show_env)}
    emit([row], columns=COLUMNS, format=format, output=output, single=True)


def run_row(run: Run, source: str) -> dict[str, Any]:
    row: dict[str, Any] = {c: getattr(run, c) for c in COLUMNS if hasattr(run, c)}
    milliseconds = run.duration_ms
    return row | {
        "source": source,
        "pipeline": run.pipeline.name,
        "external_id": run.pipeline.external_id,
        "extra": dict(run.extra) or None,
        "env": None,
        "subject": (run.message or "").partition("\n")[0],
        "duration": None if milliseconds is None else timedelta(milliseconds=milliseconds),
    }


def _env(run: Run, *, show_env: bool) -> list[str] | None:
    """The variables in their order; values are secrets as often as not."""
    return [f"{key}={value if show_env else '***'}" for key, value in run.env] or None


def step_row(run_id: str, step: Step) -> dict[str, Any]:
    row: dict[str, Any] = {c: getattr(step, c) for c in STEP_COLUMNS if hasattr(step, c)}
    milliseconds = step.duration_ms
    return row | {
        "run_id": run_id,
        "extra": dict(step.extra) or None,
        "duration": None if milliseconds is None else timedelta(milliseconds=milliseconds),
    }

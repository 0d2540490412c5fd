"""What an exact copy of the service's runs must hold, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

_MILLISECOND = timedelta(milliseconds=1)


def truth_of(run: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One run and its ``steps`` from their payloads (``run`` is a detail, not a list item).

    Times are aware datetimes in UTC or None, ``queued_ms`` and ``duration_ms`` None where there is
    no end or it lies before the beginning.
    """
    user = run.get("user") or {}
    times = _times(run)
    return {
        "id": run["id"],
        "url": run.get("url"),
        "branch": run.get("branch"),
        "commit_hash": run.get("commitHash"),
        "message": run.get("message"),
        "author": (user.get("meta") or {}).get("username") or user.get("name"),
        "author_id": user.get("userId"),
        "status": _status(run["status"]),
        "raw_status": run["status"],
        "result": run["result"],
        "progress": run.get("progress"),
        **times,
        "queued_ms": _ms_between(times["created_at"], times["started_at"]),
        "duration_ms": _ms_between(times["started_at"], times["finished_at"]),
        "source_run_id": (run.get("sourceRun") or {}).get("id"),
        "steps": [_step(step) for step in steps],
    }


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    times = _times(step)
    return {
        "id": step["id"],
        "position": step.get("order"),
        "name": step.get("step") or step.get("displayName"),
        "phase": step.get("phase"),
        "status": _status(step["status"]),
        "result": step["result"],
        **times,
        "duration_ms": _ms_between(times["started_at"], times["finished_at"]),
        "log_url": step.get("logUrl"),
        "artifacts_url": step.get("artifactsUrl"),
    }


def _status(word: str) -> str:
    return "notstarted" if word == "pendingapproval" else word


def _times(payload: Mapping[str, Any]) -> dict[str, datetime | None]:
    keys = {"created_at": "createdAt", "started_at": "startedAt", "finished_at": "finishedAt"}
    return {ours: _time(payload.get(theirs)) for ours, theirs in keys.items()}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _ms_between(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None or end < start:
        return None
    return (end - start) // _MILLISECOND

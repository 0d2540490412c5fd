"""What must be stored of a builder's runs, by the master's own tables, and what is stored."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from tests.sources.buildbot.farm import Farm

COLUMNS = (
    "id attempt status result raw_result branch commit_hash message author created_at started_at "
    "finished_at url number event outcome web_url"
).split()
STEP_COLUMNS = (
    "id position name status result raw_result started_at finished_at runner outcome"
).split()
OUTCOMES = "success success failure skip error error cancellation".split()
WORDS = "success warnings failure skipped exception retry cancelled".split()
OURS = "passed passed failed skipped failed aborted aborted".split()

# An attempt begins to wait when it is submitted, or when the attempt before it is over.
BUILT = """
SELECT b.*, r.id AS request, r.submitted_at, r.waited_for,
  row_number() OVER attempts AS attempt,
  ifnull(lag(b.complete_at) OVER attempts, r.submitted_at) AS created_at
FROM buildrequests r JOIN builds b ON b.buildrequestid = r.id WHERE r.builderid = ?
WINDOW attempts AS (PARTITION BY r.id ORDER BY b.id)
"""
# A request waits, or was given up, if it has no build or was to have another.
UNBUILT = """
SELECT r.*, count(b.id) + 1 AS attempt, ifnull(max(b.complete_at), r.submitted_at) AS created_at,
  branch, revision
FROM buildrequests r LEFT JOIN builds b ON b.buildrequestid = r.id
JOIN buildset_sourcestamps USING (buildsetid) JOIN sourcestamps s ON s.id = sourcestampid
WHERE r.builderid = ? GROUP BY r.id
HAVING count(b.id) = 0 OR max(CASE WHEN b.results = 5 THEN b.id END) = max(b.id)
"""


def truth(farm: Farm, builder: str) -> dict[str, dict[str, Any]]:
    """The rows that are due, by run."""
    number = farm.builder(builder)
    rows = [_built(farm, row) for row in farm.rows(BUILT, number)]
    rows += [_unbuilt(farm, row) for row in farm.rows(UNBUILT, number)]
    return {row["id"]: row for row in rows}


def stored(database: Database, builder: str) -> dict[str, dict[str, Any]]:
    """The rows that are there, by run."""
    here = PipelineRow.external_id == builder
    with database.read() as connection:
        runs = connection.execute(select(RunRow.__table__).join(PipelineRow).where(here))
        found = {r["id"]: {k: r[k] for k in COLUMNS} | {"steps": []} for r in runs.mappings()}
        of_steps = select(StepRow.__table__).join(
            PipelineRow, PipelineRow.id == StepRow.pipeline_id
        )
        for step in connection.execute(of_steps.where(here).order_by(StepRow.position)).mappings():
            found[step["run_id"]]["steps"].append({k: step[k] for k in STEP_COLUMNS})
    return found


def _built(farm: Farm, row: dict[str, Any]) -> dict[str, Any]:
    query = "SELECT name, value FROM build_properties WHERE buildid = ?"
    properties = {p["name"]: json.loads(p["value"]) for p in farm.rows(query, row["id"])}
    return {
        "id": _run_id(row["request"], row["attempt"]),
        **_common(row),
        "status": "finished" if row["complete_at"] else "running",
        "branch": properties.get("branch") or None,
        "commit_hash": properties.get("revision") or properties.get("got_revision"),
        "message": properties.get("reason") or None,
        "author": properties.get("owner") or None,
        "started_at": _time(row["started_at"]),
        **_pages(
            f"http://127.0.0.1:{farm.port}/#/builders/{row['builderid']}/builds/{row['number']}"
        ),
        "number": str(row["number"]),
        "event": _event(row, properties),
        "steps": _steps(farm, row["id"], properties.get("workername")),
    }


def _unbuilt(farm: Farm, row: dict[str, Any]) -> dict[str, Any]:
    query = "SELECT * FROM buildset_properties WHERE buildsetid = ?"
    found = farm.rows(query, row["buildsetid"])
    properties = {p["property_name"]: json.loads(p["property_value"])[0] for p in found}
    return {
        "id": _run_id(row["id"], row["attempt"]),
        **_common(row),
        "status": "finished" if row["complete_at"] else "notstarted",
        "branch": row["branch"] or None,
        "commit_hash": row["revision"] or None,
        "message": properties.get("reason") or None,
        "author": properties.get("owner") or None,
        "started_at": None,
        **_pages(f"http://127.0.0.1:{farm.port}/#/buildrequests/{row['id']}"),
        "number": None,
        "event": _event(row, properties),
        "steps": [],
    }


def _pages(url: str) -> dict[str, str]:
    return {"url": url, "web_url": url}


def _event(row: dict[str, Any], properties: dict[str, Any]) -> str | None:
    if row["waited_for"]:
        return "upstream"
    forced = properties.get("reason") is not None
    return "manual" if forced else properties.get("scheduler")


def _common(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempt": row["attempt"],
        **_result(row["results"]),
        "outcome": _outcome(row),
        "created_at": _time(row["created_at"]),
        "finished_at": _time(row["complete_at"]),
    }


def _steps(farm: Farm, build: int, worker: str | None) -> list[dict[str, Any]]:
    query = "SELECT * FROM steps WHERE buildid = ? ORDER BY number"
    return [
        {
            "id": str(row["id"]),
            "position": row["number"],
            "name": row["name"],
            "status": "finished" if row["complete_at"] else "running",
            **_result(row["results"]),
            "outcome": _outcome(row),
            "runner": worker,
            "started_at": _time(row["started_at"]),
            "finished_at": _time(row["complete_at"]),
        }
        for row in farm.rows(query, build)
    ]


def _result(number: Any) -> dict[str, str | None]:
    if number in (None, -1):
        return {"result": "unknown", "raw_result": None}
    return {
        "result": OURS[number],
        "raw_result": None if OURS[number] == WORDS[number] else WORDS[number],
    }


def _outcome(row: dict[str, Any]) -> str | None:
    return OUTCOMES[row["results"]] if row["complete_at"] else None


def _run_id(request: int, attempt: int) -> str:
    return f"{request}" if attempt == 1 else f"{request}.{attempt}"


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

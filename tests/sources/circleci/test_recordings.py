"""Answers that a real CircleCI gave are read, item by item and field by field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runsync.records import parse_time
from runsync.sources.circleci.payloads import (
    Origin,
    Project,
    read_origin,
    read_run,
    read_step,
    siblings,
)
from runsync.sources.fields import BadRowError

FOLDER = Path(__file__).parents[3].parent / "shared/recordings"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the folder of recordings is not beside the project"
)
PROJECT = Project("gh", "coldgust", "coldgust.github.io")


def items(what: str) -> Iterator[dict[str, Any]]:
    for line in (FOLDER / f"circleci_{what}.jsonl").read_text().splitlines():
        yield json.loads(line)["data"]


def told(text: str | None) -> Any:
    return parse_time(text) if text else None


def test_pipelines() -> None:
    for raw in items("pipelines"):
        origin, vcs = read_origin(raw), raw.get("vcs", {})
        assert (origin.id, origin.number) == (raw["id"], raw["number"])
        assert origin.at == parse_time(raw["created_at"])
        assert origin.told["branch"] == vcs.get("branch")
        sha = vcs.get("revision") or raw["trigger_parameters"]["git"]["checkout_sha"]
        assert origin.told["commit_hash"] == sha
        assert origin.told["author"] == (raw["trigger"]["actor"]["login"] or None)
        assert origin.told["message"] == (vcs.get("commit", {}).get("subject") or None)
        word = raw["trigger"]["type"]
        assert origin.told["event"] == {"webhook": "push"}.get(word, word)


def test_workflows() -> None:
    unreadable = 0
    for raw in items("workflows"):
        known, bad = siblings([raw], raw["pipeline_id"])
        if not raw["created_at"]:
            # Edited by hand: a run without a creation is a hole, and named.
            assert "`created_at` is missing" in bad[0][1]
            unreadable += 1
            continue
        origin = Origin(raw["pipeline_id"], raw["pipeline_number"], told(raw["created_at"]), {}, {})
        run = read_run(origin, PROJECT, known[raw["id"]], "https://circleci.com")
        assert (run.id, run.author_id) == (raw["id"], raw["started_by"])
        assert run.pipeline.external_id == f"{raw['project_slug']}/{raw['name']}"
        assert (run.created_at, run.finished_at) == (
            told(raw["created_at"]),
            told(raw["stopped_at"]),
        )
        assert run.raw_result == {"success": "success", "failed": None}[raw["status"]]
        assert run.result == {"success": "passed", "failed": "failed"}[raw["status"]]
        assert run.web_url == (
            "https://app.circleci.com/pipelines/github/coldgust/coldgust.github.io/"
            f"{raw['pipeline_number']}/workflows/{raw['id']}"
        )
        assert run.extra == {"pipeline_id": raw["pipeline_id"]}
    assert unreadable == 1


def test_jobs() -> None:
    for raw in items("jobs"):
        step = read_step(raw)
        assert (step.id, step.name) == (raw["id"], raw["name"])
        assert (step.started_at, step.finished_at) == (
            told(raw["started_at"]),
            told(raw["stopped_at"]),
        )
        assert step.result == {"success": "passed", "failed": "failed"}[raw["status"]]
        assert step.extra == {"job_number": raw["job_number"], "type": raw["type"]}
        with pytest.raises(BadRowError, match="`id` must be a UUID"):
            read_step(raw | {"id": "../x"})

"""What answers look like: which keys there are, which are not, and what is null."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsync.simulator import ABSENT, Scenario, World

ITEM = {
    "id", "url", "branch", "commitHash", "createdAt", "finishedAt", "message", "progress",
    "result", "startedAt", "status", "user", "pipeline",
}  # fmt: skip


def test_an_item_of_the_listing(client: Any, world: World, pipeline: str) -> None:
    source = world.add_run(pipeline)
    world.add_run(pipeline, status="finished", source_run_id=source)
    (item,) = (run for run in client.runs(pipelineId=pipeline).json() if "finishedAt" in run)
    assert item.keys() == ITEM
    assert item["url"] == f"https://app.wercker.com/api/v3/runs/{item['id']}"
    assert item["pipeline"]["name"] != item["pipeline"]["pipelineName"]
    assert item["pipeline"].keys() == {
        "id", "url", "createdAt", "name", "permissions", "pipelineName", "setScmProviderStatus",
        "type",
    }  # fmt: skip
    assert item["user"].keys() == {"meta", "userId", "avatar", "name", "type"}


def test_a_run_in_detail(client: Any, world: World, pipeline: str) -> None:
    source = world.add_run(pipeline, status="finished")
    run = world.add_run(
        pipeline, status="finished", source_run_id=source, env_vars=[("KEY", "value")]
    )
    detail = client.get(f"/api/v3/runs/{run}").json()
    assert detail.keys() == ITEM | {"envVars", "commits", "sourceRun"}
    assert detail["envVars"] == [{"key": "KEY", "value": "value"}]
    assert detail["sourceRun"]["id"] == source
    assert client.get(f"/api/v3/runs/{source}").json().keys() == ITEM | {"envVars", "commits"}


def test_the_source_of_a_chain_may_be_gone(world: World, pipeline: str) -> None:
    source = world.add_run(pipeline)
    run = world.add_run(pipeline, source_run_id=source)
    world.delete_run(source)
    assert world.run_payload(run)["sourceRun"].keys() == {"id", "url"}


def test_keys_that_do_not_apply_are_absent(world: World, pipeline: str) -> None:
    run = world.run_payload(world.add_run(pipeline, branch=None, message=None))
    assert run.keys() & {"startedAt", "finishedAt", "branch", "message"} == set()
    assert None not in run.values()


def test_steps(client: Any, world: World, pipeline: str) -> None:
    spec: list[Any] = [
        "get code",
        "setup environment",
        "test",
        {"name": "notify", "phase": "finalSteps"},
    ]
    run = world.add_run(pipeline, status="finished", steps=spec)
    steps = client.get(f"/api/v3/runs/{run}/steps").json()
    common = {
        "id", "url", "artifactsUrl", "createdAt", "finishedAt", "logUrl", "order", "result",
        "startedAt", "status",
    }  # fmt: skip
    assert [step["order"] for step in steps] == [1, 2, 3, 4]
    for step in steps[:2]:
        assert step.keys() == common | {"step"}
    for step in steps[2:]:
        assert step.keys() == common | {"displayName", "phase"}
    assert [step["phase"] for step in steps[2:]] == ["mainSteps", "finalSteps"]
    assert all(step["artifactsUrl"] is None for step in steps)
    assert len({step["id"] for step in steps}) == 4
    assert all(run not in str(step) for step in steps), "steps carry no run id"


def test_a_steps_log(client: Any, world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="finished", branch="topic", steps=["get code"])
    (step,) = world.step_payloads(run)
    answer = client.get(step["logUrl"].removeprefix("https://app.wercker.com"))
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "topic" in answer.body.decode()


@pytest.mark.parametrize(("shown", "count"), [(True, 4), (False, 2)])
def test_steps_never_reached(world: World, pipeline: str, shown: bool, count: int) -> None:
    steps: list[Any] = ["a", {"name": "b", "result": "failed"}] + [
        {"name": name, "reached": False} for name in "cd"
    ]
    run = world.add_run(
        pipeline, status="finished", result="failed", steps=steps, shows_unreached=shown
    )
    listed = world.step_payloads(run)
    assert len(listed) == count
    for step in listed[2:]:
        assert (step["status"], step["result"]) == ("notstarted", "unknown")
        assert step.keys() & {"startedAt", "finishedAt"} == set()


def test_a_failed_run_stops_below_100(world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="finished", result="failed")
    assert world.run_payload(run)["progress"] < 100
    assert [step["result"] for step in world.step_payloads(run)] == ["passed", "passed", "failed"]


def test_an_aborted_run_may_never_have_started(world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="finished", result="aborted", started_at=ABSENT)
    payload = world.run_payload(run)
    assert "startedAt" not in payload
    assert "finishedAt" in payload
    assert payload["progress"] is None
    assert world.step_payloads(run) == []


def test_people_without_an_id_or_a_user_name(world: World, pipeline: str) -> None:
    bot = world.run_payload(world.add_run(pipeline, author="release-bot"))["user"]
    assert bot["userId"] is None
    nameless = world.run_payload(world.add_run(pipeline, author="Ana Kovač"))["user"]
    assert "username" not in nameless["meta"]
    assert nameless["name"] == "Ana Kovač"
    stranger = world.run_payload(world.add_run(pipeline, author="stranger"))["user"]
    assert stranger["meta"]["username"] == "stranger"


def test_overrides_reach_the_wire(client: Any, world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="finished", color="red")
    assert client.runs(pipelineId=pipeline).json()[0]["color"] == "red"
    world.set_fields(run, progress=None, status="paused", branch=ABSENT)
    (item,) = client.runs(pipelineId=pipeline).json()
    assert item["progress"] is None
    assert item["status"] == "paused"
    assert "branch" not in item
    client.get(f"/api/v3/runs/{run}/steps")
    world.set_step_fields(run, 2, displayName="renamed", finishedAt=ABSENT)
    step = client.get(f"/api/v3/runs/{run}/steps").json()[1]
    assert step["displayName"] == "renamed"
    assert "finishedAt" not in step


def test_times_are_as_told(world: World, pipeline: str) -> None:
    created = datetime(2020, 1, 1, 12, 0, 0, 5000, tzinfo=UTC)
    run = world.add_run(
        pipeline,
        created_at=created,
        started_at=created + timedelta(seconds=10),
        finished_at=created + timedelta(seconds=70),
    )
    payload = world.run_payload(run)
    assert payload["createdAt"] == "2020-01-01T12:00:00.005Z"
    assert payload["startedAt"] == "2020-01-01T12:00:10.005Z"
    assert payload["finishedAt"] == "2020-01-01T12:01:10.005Z"
    assert run.startswith(f"{int(created.timestamp()):08x}")
    steps = world.step_payloads(run)
    assert all(step["finishedAt"] <= payload["finishedAt"] for step in steps)


def test_a_clock_that_ran_backwards(client: Any, world: World, pipeline: str) -> None:
    now = world.clock.now()
    run = world.add_run(
        pipeline,
        created_at=now - timedelta(minutes=1),
        started_at=now + timedelta(minutes=5),
        finished_at=now - timedelta(seconds=30),
    )
    assert "startedAt" not in client.runs(pipelineId=pipeline).json()[0]
    assert client.get(f"/api/v3/runs/{run}/steps").json() == []
    world.clock.advance(600)
    (item,) = client.runs(pipelineId=pipeline).json()
    assert item["startedAt"] > item["finishedAt"]
    assert len(client.get(f"/api/v3/runs/{run}/steps").json()) == 3


def test_truth_says_what_the_payloads_say() -> None:
    world = Scenario(runs=90, now=datetime(2024, 5, 15, 14, tzinfo=UTC)).build()
    for pipeline in world.pipelines:
        for run in world.truth(pipeline.id):
            payload = world.run_payload(run["id"])
            assert run["commit_hash"] == payload["commitHash"]
            assert run["created_at"] == datetime.fromisoformat(payload["createdAt"])
            assert run["author"] in (
                payload["user"]["meta"].get("username"), payload["user"]["name"]
            )  # fmt: skip
            names = [s.get("step", s.get("displayName")) for s in world.step_payloads(run["id"])]
            assert [step["name"] for step in run["steps"]] == names


def test_truth_of_one_run(world: World, pipeline: str) -> None:
    created = datetime(2024, 5, 1, tzinfo=UTC)
    run = world.add_run(
        pipeline,
        created_at=created,
        started_at=created + timedelta(seconds=4),
        finished_at=created + timedelta(seconds=64),
        author="Ana Kovač",
        source_run_id="b" * 24,
    )
    (truth,) = world.truth(pipeline)
    assert (truth["id"], truth["queued_ms"], truth["duration_ms"]) == (run, 4_000, 60_000)
    assert (truth["author"], truth["source_run_id"]) == ("Ana Kovač", "b" * 24)
    assert truth["finished_at"] == created + timedelta(seconds=64)
    assert [step["position"] for step in truth["steps"]] == [1, 2, 3]
    world.set_fields(run, status="pendingapproval", startedAt="2024-05-02T00:00:00.000Z")
    (truth,) = world.truth(pipeline)
    assert (truth["status"], truth["raw_status"]) == ("notstarted", "pendingapproval")
    assert truth["duration_ms"] is None, "it ends before it starts"

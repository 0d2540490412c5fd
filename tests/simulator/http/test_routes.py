"""Each rule of the contract: what is accepted, what is refused, and with what words."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from runsync.simulator import Simulator, World

NOBODY = "0" * 24


def fill(world: World, pipeline: str, count: int) -> list[str]:
    """Add runs a minute apart; their ids, newest first."""
    now = world.clock.now()
    times = [now - timedelta(hours=2, minutes=minute) for minute in range(count)]
    return [world.add_run(pipeline, created_at=when, steps=2) for when in times]


# -- listing


def test_without_limit_a_page_holds_ten(client: Any, world: World, pipeline: str) -> None:
    ids = fill(world, pipeline, 25)
    assert [run["id"] for run in client.runs(pipelineId=pipeline).json()] == ids[:10]


def test_limit_and_skip(client: Any, world: World, pipeline: str) -> None:
    ids = fill(world, pipeline, 25)
    page = client.runs(pipelineId=pipeline, limit=20, skip=3).json()
    assert [run["id"] for run in page] == ids[3:23]
    assert client.runs(pipelineId=pipeline, skip=25).json() == []


def test_oldest_first(client: Any, world: World, pipeline: str) -> None:
    ids = fill(world, pipeline, 25)
    page = client.runs(pipelineId=pipeline, sort="creationDateAsc", skip=1, limit=3).json()
    assert [run["id"] for run in page] == ids[::-1][1:4]


def test_an_application_lists_the_runs_of_all_its_pipelines(client: Any, world: World) -> None:
    first, second = world.pipelines[0], world.add_pipeline("deploy")
    other = world.add_pipeline("elsewhere", "a" * 24)
    runs = [world.add_run(pipeline.id) for pipeline in (first, second)]
    world.add_run(other.id)
    page = client.runs(applicationId=world.application_id).json()
    assert {run["id"] for run in page} == set(runs)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=21",
        "limit=ten",
        "limit=-1",
        "limit=1.5",
        "limit=%2B5",
        "limit=",
        "limit=5&limit=5",
        "limit=%D9%A3",
        "skip=0",
        "skip=-1",
        "skip=x",
        "skip=99999999999999999999",
        "sort=creationDate",
        "status=pendingapproval",
        "status=Finished",
        "result=success",
        "branch=",
        "sourceRun=abc",
        "page=2",
        "applicationId=000000000000000000000000",
        "branch=%ff",
    ],
)
def test_refuses_what_the_contract_does_not_allow(client: Any, pipeline: str, query: str) -> None:
    answer = client.ask("GET", f"/api/v3/runs?pipelineId={pipeline}&{query}")
    assert answer.status == 400
    error = answer.json()
    assert error["statusCode"] == 400
    assert error["error"] == "Bad Request"
    assert error["message"]


def test_wants_a_pipeline_or_an_application(client: Any) -> None:
    assert client.runs().status == 400
    assert client.runs(limit=5).status == 400


@pytest.mark.parametrize("key", ["pipelineId", "applicationId"])
def test_ids_are_checked(client: Any, key: str) -> None:
    assert client.runs(**{key: "5751377e"}).status == 400
    assert client.runs(**{key: "g" * 24}).status == 400
    assert client.runs(**{key: NOBODY}).status == 404


def test_a_pipeline_is_no_application(client: Any, world: World, pipeline: str) -> None:
    assert client.runs(applicationId=pipeline).status == 404
    assert client.runs(pipelineId=world.application_id).status == 404


def test_filters(client: Any, world: World, pipeline: str) -> None:
    plain = world.add_run(pipeline, status="finished", author="release-bot")
    other = world.add_run(
        pipeline,
        status="running",
        branch="a/b c&d",
        commit="c" * 40,
        author="tonnu",
        source_run_id=plain,
    )
    renamed = world.add_run(pipeline, status="finished", author="Ana Kovač")
    world.set_fields(renamed, result="failed", branch="set later")

    def found(**where: str) -> list[str]:
        return [run["id"] for run in client.runs(pipelineId=pipeline, **where).json()]

    assert found(author="tonnu") == found(branch="a/b c&d") == found(commit="c" * 40) == [other]
    assert found(sourceRun=plain) == found(status="running") == [other]
    assert found(result="failed") == found(branch="set later") == [renamed]
    assert found(result="passed", status="finished") == [plain]
    assert found(author="Ana Kovač") == found(author="Toon") == [], "these are no user names"
    assert found(author="tonnu", branch="master") == []


# -- one run, its steps, a log


def test_unknown_and_malformed_ids(client: Any) -> None:
    for path in ("runs/{}", "runs/{}/steps", "runsteps/{}/log"):
        assert client.get("/api/v3/" + path.format(NOBODY)).status == 404
        assert client.get("/api/v3/" + path.format("xyz")).status == 400
    assert client.ask("PUT", f"/api/v3/runs/{NOBODY}/abort").status == 404


def test_the_steps_are_not_where_the_contract_says(
    client: Any, world: World, pipeline: str
) -> None:
    run = world.add_run(pipeline, status="finished")
    assert client.get(f"/api/v3/{run}/steps").status == 404
    assert len(client.get(f"/api/v3/runs/{run}/steps").json()) == 3


def test_nothing_but_the_listing_takes_a_query(client: Any, world: World, pipeline: str) -> None:
    run = world.add_run(pipeline)
    assert client.get(f"/api/v3/runs/{run}", limit=5).status == 400
    assert client.get(f"/api/v3/runs/{run}/steps", limit=5).status == 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v3/runs", "GET, POST"),
        ("HEAD", "/api/v3/runs", "GET, POST"),
        ("GET", "/api/v3/runs/", "POST"),
        ("POST", f"/api/v3/runs/{NOBODY}", "GET"),
        ("GET", f"/api/v3/runs/{NOBODY}/abort", "PUT"),
        ("PUT", f"/api/v3/runs/{NOBODY}/steps", "GET"),
    ],
)
def test_wrong_methods(client: Any, method: str, path: str, allowed: str) -> None:
    answer = client.ask(method, path)
    assert answer.status == 405
    assert answer.headers["Allow"] == allowed


def test_a_deleted_run_is_gone_everywhere(client: Any, world: World, pipeline: str) -> None:
    run, other = fill(world, pipeline, 2)
    step = client.get(f"/api/v3/runs/{run}/steps").json()[0]["id"]
    world.delete_run(run)
    assert client.get(f"/api/v3/runs/{run}").status == 404
    assert client.get(f"/api/v3/runs/{run}/steps").status == 404
    assert client.get(f"/api/v3/runsteps/{step}/log").status == 404
    assert [left["id"] for left in client.runs(pipelineId=pipeline).json()] == [other]


# -- triggering


def test_a_triggered_run_waits_then_runs(client: Any, world: World, pipeline: str) -> None:
    source = world.add_run(pipeline, status="finished")
    env = [{"key": "B", "value": "1"}, {"key": "A", "value": ""}]
    spec = {
        "pipelineId": pipeline,
        "sourceRunId": source,
        "branch": "fix",
        "commitHash": "c" * 40,
        "message": "ünï",
        "envVars": env,
    }
    answer = client.post(spec)
    assert answer.status == 200
    made = answer.json()
    assert (made["status"], made["result"], made["progress"]) == ("notstarted", "unknown", 0)
    assert made["envVars"] == env
    assert made["createdAt"].startswith("2024-05-15 14:00:00.000")
    assert made["createdAt"].endswith(" +0000 UTC")
    assert "commits" not in made
    detail = client.get(f"/api/v3/runs/{made['id']}").json()
    assert (detail["branch"], detail["commitHash"]) == ("fix", "c" * 40)
    assert detail["message"] == "ünï"
    assert detail["envVars"] == env
    assert detail["sourceRun"]["id"] == source
    world.clock.advance(10)
    assert client.get(f"/api/v3/runs/{made['id']}").json()["status"] == "running"


def test_both_addresses_of_trigger(client: Any, pipeline: str) -> None:
    assert client.post({"pipelineId": pipeline}, "/api/v3/runs").status == 200


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"pipelineId": 5}, 400),
        ({"pipelineId": "x"}, 400),
        ({"pipelineId": NOBODY}, 404),
        ({"commitHash": "c" * 40}, 400),
        ({"branch": ""}, 400),
        ({"branch": None}, 400),
        ({"branch": 1}, 400),
        ({"branch": "x", "commitHash": True}, 400),
        ({"message": ["x"]}, 400),
        ({"message": "\ud800"}, 400),
        ({"sourceRunId": "abc"}, 400),
        ({"sourceRunId": NOBODY}, 404),
        ({"color": "red"}, 400),
        ({"envVars": {"A": "1"}}, 400),
        ({"envVars": [{"key": "A"}]}, 400),
        ({"envVars": [{"key": "A", "value": 1}]}, 400),
        ({"envVars": [{"key": "", "value": "1"}]}, 400),
        ({"envVars": [{"key": "A", "value": "1", "secret": True}]}, 400),
        ({"envVars": [None]}, 400),
    ],
)
def test_trigger_refuses(client: Any, world: World, pipeline: str, spec: Any, status: int) -> None:
    if isinstance(spec, dict) and spec:
        spec = {"pipelineId": pipeline, **spec}
    answer = client.post(spec)
    assert (answer.status, answer.json()["statusCode"]) == (status, status)
    assert world.run_ids(pipeline) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"pipelineId": NaN}', b"[" * 100_000])
def test_trigger_wants_json(client: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.ask("POST", "/api/v3/runs/", body, headers).status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_trigger_wants_the_content_type_of_json(client: Any, pipeline: str, kind: str) -> None:
    body = json.dumps({"pipelineId": pipeline}).encode()
    assert client.ask("POST", "/api/v3/runs/", body, {"Content-Type": kind}).status == 415


def test_too_big_a_body(client: Any, sim: Simulator, pipeline: str) -> None:
    answer = client.post({"pipelineId": pipeline, "message": "x" * 3_000_000})
    assert answer.status == 413
    assert sim.requests[-1].status == 413


# -- aborting


def test_abort(client: Any, world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, steps=[{"name": "get code", "seconds": 600}])
    world.clock.advance(60)
    answer = client.ask("PUT", f"/api/v3/runs/{run}/abort")
    assert answer.status == 200
    aborted = answer.json()
    assert (aborted["status"], aborted["result"]) == ("finished", "aborted")
    assert aborted["finishedAt"] == "2024-05-15T14:01:00.000Z"
    assert "envVars" in aborted


def test_aborting_a_finished_run_is_a_conflict(client: Any, world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="finished")
    assert client.ask("PUT", f"/api/v3/runs/{run}/abort").status == 409
    assert world.run_payload(run)["result"] == "passed"


# -- the token


def test_a_token_is_wanted_where_there_is_one(client: Any, sim: Simulator, pipeline: str) -> None:
    sim.token = "s3cret"
    path = f"/api/v3/runs?pipelineId={pipeline}"
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "s3cret"}):
        answer = client.ask("GET", path, headers=headers)
        assert answer.status == 401
        assert answer.json() == {
            "message": "Unauthorized",
            "error": "Unauthorized",
            "statusCode": 401,
        }
    assert client.ask("GET", path, headers={"Authorization": "Bearer s3cret"}).status == 200

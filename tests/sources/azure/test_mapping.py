"""What becomes of a build and a timeline, field by field; and what real services have told."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runsync.records import Outcome, Result, Run, Status, Step
from runsync.sources.azure.payloads import Project, read_run
from runsync.sources.azure.timeline import read_details, read_timeline
from runsync.sources.fields import BadRowError
from tests.sources.azure.rig import NOW
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.world import ADA, MAIL, SECRET, World

PROJECT = Project("https://dev.azure.com/fabrikam", "fiber git")
RECORDINGS = Path(__file__).parents[3].parent / "shared/recordings"


@pytest.fixture
def raw(world: World) -> dict[str, Any]:
    build = world.end(world.start(world.queue()))
    simulator = AzureSimulator(world)
    simulator._server.server_close()
    return simulator.shown(build)


def guid(number: int) -> str:
    return f"{number:08}-0000-0000-0000-000000000000"


def record(number: int, kind: str, parent: int | None = None, **more: Any) -> dict[str, Any]:
    usual = {
        "id": guid(number),
        "type": kind,
        "name": f"{kind} {number}",
        "parentId": None if parent is None else guid(parent),
        "order": number,
        "state": "completed",
        "result": "succeeded",
        "startTime": "2024-05-06T12:00:00Z",
        "finishTime": "2024-05-06T12:00:01.5Z",
    }
    return usual | more


def steps_of(raw: dict[str, Any], *records: Any) -> tuple[Run, tuple[Step, ...]]:
    timeline = read_timeline({"records": list(records)}, "401")
    found = read_details(read_run(raw, PROJECT), timeline, (), PROJECT, NOW)
    assert found.problems == ()
    return found.run, found.steps


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("none", "notstarted"),
        ("notStarted", "notstarted"),
        ("postponed", "notstarted"),
        ("inProgress", "running"),
        ("cancelling", "running"),
        ("completed", "finished"),
    ],
)
def test_the_status_of_a_build(raw: dict[str, Any], status: str, ours: str) -> None:
    run = read_run(raw | {"status": status}, PROJECT)
    assert (run.status, run.raw_status) == (ours, status)
    assert (run.finished_at is not None, run.outcome is not None) == (ours == "finished",) * 2


@pytest.mark.parametrize(
    ("word", "result", "outcome", "raw_result"),
    [
        ("succeeded", "passed", "success", "succeeded"),
        ("partiallySucceeded", "passed", "success", "partiallySucceeded"),
        ("failed", "failed", "failure", None),
        ("canceled", "aborted", "cancellation", "canceled"),
        ("none", "unknown", None, "none"),
        ("exploded", "unknown", None, "exploded"),
    ],
)
def test_the_result_of_a_build(
    raw: dict[str, Any], word: str, result: str, outcome: str | None, raw_result: str | None
) -> None:
    run = read_run(raw | {"result": word}, PROJECT)
    assert (run.result, run.outcome, run.raw_result) == (result, outcome, raw_result)


@pytest.mark.parametrize(
    ("word", "result", "outcome"),
    [
        ("succeeded", "passed", "success"),
        ("succeededWithIssues", "passed", "success"),
        ("failed", "failed", "failure"),
        ("canceled", "aborted", "cancellation"),
        ("skipped", "skipped", "skip"),
        ("abandoned", "failed", "error"),
    ],
)
def test_the_result_of_a_task(raw: dict[str, Any], word: str, result: str, outcome: str) -> None:
    _, (step,) = steps_of(raw, record(1, "Task", result=word))
    assert (step.result, step.outcome) == (result, outcome)


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("individualCI", "push"), ("batchedCI", "push"), ("manual", "manual"),
        ("schedule", "schedule"), ("scheduleForced", "schedule"), ("userCreated", "manual"),
        ("pullRequest", "pull_request"), ("buildCompletion", "upstream"),
        ("resourceTrigger", "upstream"), ("checkInShelveset", "checkInShelveset"), (None, None),
    ],
)  # fmt: skip
def test_what_started_it(raw: dict[str, Any], reason: str | None, event: str | None) -> None:
    assert read_run(raw | {"reason": reason}, PROJECT).event == event


@pytest.mark.parametrize(
    ("ref", "trigger", "branch"),
    [
        ("refs/heads/main", {}, "main"),
        ("refs/heads/a/b", {}, "a/b"),
        ("refs/tags/v1", {}, "refs/tags/v1"),
        ("refs/pull/7/merge", {}, "refs/pull/7/merge"),
        ("refs/pull/7/merge", {"pr.sourceBranch": "refs/heads/mine"}, "mine"),
        ("refs/pull/7/merge", {"pr.sourceBranch": "mine"}, "mine"),
        (None, {}, None),
    ],
)
def test_the_branch(
    raw: dict[str, Any], ref: str | None, trigger: dict[str, str], branch: str | None
) -> None:
    run = read_run(raw | {"sourceBranch": ref, "triggerInfo": trigger}, PROJECT)
    assert run.branch == branch


def test_values_and_addresses_are_left_out(raw: dict[str, Any]) -> None:
    run = read_run(raw | {"properties": {"x": SECRET}, "demands": [SECRET]}, PROJECT)
    assert SECRET not in repr(run)
    assert MAIL not in repr(run)
    assert "elsewhere" not in repr(run)
    assert (run.author, run.author_id) == (ADA["displayName"], ADA["id"])
    _, (step,) = steps_of(
        raw,
        record(
            1, "Task", result="failed",
            issues=[{"type": "error", "message": "broke", "data": {"value": SECRET}}],
            details={"url": "https://elsewhere.example"},
        ),
    )  # fmt: skip
    assert step.extra == {"issues": [{"type": "error", "message": "broke"}]}


def test_the_pages_for_people_are_made_here(raw: dict[str, Any]) -> None:
    run, (step,) = steps_of(
        raw, record(1, "Job"), record(2, "Task", 1, log={"id": 5, "url": "https://elsewhere"})
    )
    page = "https://dev.azure.com/fabrikam/fiber%20git/_build"
    assert run.pipeline.url == f"{page}?definitionId=12"
    assert run.web_url == f"{page}/results?buildId=401"
    assert step.log_url == f"{page}/results?buildId=401&view=logs&j={guid(1)}&t={guid(2)}"
    assert step.extra["log"] == 5


def test_a_build_that_its_file_stopped_failed_by_the_cis_fault(raw: dict[str, Any]) -> None:
    told = [{"result": "error", "message": "bad file"}, {"result": "ok", "message": "fine"}]
    run = read_run(raw | {"result": "failed", "validationResults": told}, PROJECT)
    assert (run.outcome, run.extra["errors"]) == (Outcome.ERROR, ["bad file"])


# Timelines.


def test_tasks_are_steps_of_their_jobs(raw: dict[str, Any]) -> None:
    _, steps = steps_of(
        raw,
        record(5, "Task", 3, order=2),
        record(4, "Task", 3, order=1, workerName="Agent 1"),
        record(3, "Job", 2),
        record(2, "Phase", 1),
        record(1, "Stage"),
    )
    assert [(s.name, s.job, s.phase, s.position) for s in steps] == [
        ("Task 4", "Job 3", None, 1),
        ("Task 5", "Job 3", None, 2),
    ]
    assert (steps[0].runner, steps[0].extra) == ("Agent 1", {"stage": "Stage 1"})


def test_what_ended_without_any_task_has_a_row(raw: dict[str, Any]) -> None:
    _, steps = steps_of(
        raw,
        record(1, "Stage", name="__default"),
        record(2, "Phase", 1),
        record(3, "Job", 2, result="canceled"),
        record(4, "Stage", result="skipped"),
        record(5, "Stage"),
        record(6, "Phase", 5, result="skipped"),
        record(7, "Checkpoint", 5),
        record(8, "Stage", state="pending", result=None, startTime=None, finishTime=None),
    )
    assert [(s.name, s.job, s.phase, s.result, s.extra.get("stage")) for s in steps] == [
        ("Job 3", "Job 3", "job", Result.ABORTED, None),
        ("Stage 4", None, "stage", Result.SKIPPED, "Stage 4"),
        ("Phase 6", None, "phase", Result.SKIPPED, "Stage 5"),
        ("Checkpoint 7", None, "checkpoint", Result.PASSED, "Stage 5"),
    ]


def test_a_job_of_which_a_record_cannot_be_read_has_no_row(raw: dict[str, Any]) -> None:
    """It may have tasks: a row for now would stay behind for ever."""
    timeline = read_timeline({"records": [record(1, "Job"), record(2, "Task"), None]}, "401")
    found = read_details(read_run(raw, PROJECT), timeline, (), PROJECT, NOW)
    assert [s.name for s in found.steps] == ["Task 2"]
    assert len(found.problems) == 1


def test_an_approval_that_is_waited_for_has_a_row(raw: dict[str, Any]) -> None:
    raw |= {"status": "inProgress", "result": None}
    approval = record(2, "Checkpoint.Approval", 1, state="inProgress", result=None)
    _, steps = steps_of(raw, record(1, "Checkpoint", state="inProgress", result=None), approval)
    assert [(s.name, s.status) for s in steps] == [("Checkpoint.Approval 2", Status.RUNNING)]


@pytest.mark.parametrize(
    ("said", "result", "outcome"),
    [
        ("The job running on agent X ran longer than the maximum time of 60 minutes.", "canceled",
         Outcome.TIMEOUT),
        ("We stopped hearing from agent X.", "failed", Outcome.ERROR),
    ],
)  # fmt: skip
def test_a_job_that_the_ci_ended_has_a_row_and_says_whose_fault_it_was(
    raw: dict[str, Any], said: str, result: str, outcome: Outcome
) -> None:
    run, steps = steps_of(
        raw | {"result": result},
        record(1, "Job", result=result, issues=[{"type": "error", "message": said}]),
        record(2, "Task", 1, result="canceled"),
    )
    assert [(s.name, s.outcome) for s in steps] == [
        ("Job 1", outcome),
        ("Task 2", Outcome.CANCELLATION),
    ]
    assert run.outcome is outcome


def test_a_job_whose_task_explains_its_failure_has_no_row(raw: dict[str, Any]) -> None:
    run, steps = steps_of(
        raw | {"result": "failed"},
        record(1, "Job", result="failed"),
        record(2, "Task", 1, result="failed"),
    )
    assert [s.name for s in steps] == ["Task 2"]
    assert run.outcome is Outcome.FAILURE


def test_an_earlier_try_that_goes_by_the_same_id_is_kept_too(raw: dict[str, Any]) -> None:
    now = [record(1, "Job", attempt=2, startTime="2024-05-06T13:00:00Z", finishTime=None),
           record(2, "Task", 1, startTime="2024-05-06T13:00:00Z", finishTime=None)]  # fmt: skip
    before = [record(1, "Job", attempt=1), record(2, "Task", 1), record(3, "Task", 1)]
    latest = read_timeline({"records": now}, "401")
    earlier = read_timeline({"records": before}, "401")
    found = read_details(read_run(raw, PROJECT), latest, [(1, earlier)], PROJECT, NOW)
    assert [(s.id, s.extra.get("retried")) for s in found.steps] == [
        (f"{guid(2)}.1", True),
        (guid(3), True),
        (guid(2), None),
    ]


def test_records_in_a_circle_end(raw: dict[str, Any]) -> None:
    _, steps = steps_of(raw, record(1, "Job", 2), record(2, "Phase", 1), record(3, "Task", 1))
    assert [s.name for s in steps] == ["Task 3"]


def test_records_that_cannot_be_read_are_named(raw: dict[str, Any]) -> None:
    odd: list[Any] = [
        None,
        7,
        record(1, "Task", id=""),
        record(8, "Task", id="x42"),
        record(2, "Task", startTime="noon"),
    ]
    odd += [record(3, "Task", state=None), record(4, ""), record(5, "Task", order="x")]
    odd += [record(6, "Task", previousAttempts=[{"attempt": 1}]), record(7, "Task")]
    found = read_timeline({"records": odd}, "401")
    assert len(found.problems) == 9
    assert all(problem.what.startswith("run 401: record ") for problem in found.problems)
    assert list(found.records) == [guid(7)]


@pytest.mark.parametrize("data", [[], "x", {"records": {}}, 5])
def test_what_is_no_timeline_is_refused(data: object) -> None:
    with pytest.raises(BadRowError, match="run 401"):
        read_timeline(data, "401")


@pytest.mark.parametrize("data", [None, {}, {"records": None}, {"records": []}])
def test_a_build_that_never_began_has_no_steps(data: object) -> None:
    assert read_timeline(data, "401").records == {}


@pytest.mark.parametrize(
    "change",
    [
        {"id": None}, {"id": 0}, {"id": "x"}, {"id": True}, {"definition": None},
        {"definition": {}}, {"definition": {"id": -1}}, {"queueTime": None}, {"status": ""},
        {"queueTime": "0001-01-01T00:00:00"}, {"sourceBranch": 5}, {"requestedFor": []},
        {"validationResults": {}}, {"triggerInfo": "x"}, {"triggeredByBuild": {}},
    ],
)  # fmt: skip
def test_an_odd_build_says_where(raw: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(BadRowError, match=r"^run"):
        read_run(raw | change, PROJECT)


# What a real service has told.


def recorded(name: str) -> list[dict[str, Any]]:
    path = RECORDINGS / name
    if not path.is_file():
        pytest.skip(f"there are no recordings beside the project ({name})")
    return [json.loads(line)["data"] for line in path.read_text().splitlines()]


def when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def test_recorded_builds_are_read_field_by_field() -> None:
    rows = recorded("azure_builds.jsonl")
    assert rows
    ends = {"succeeded": "passed", "canceled": "aborted", "failed": "failed", None: "unknown"}
    states = {"completed": "finished", "inProgress": "running", "notStarted": "notstarted"}
    for raw in rows:
        run = read_run(raw, PROJECT)
        over = raw["status"] == "completed"
        assert run.id == str(raw["id"])
        assert run.number == raw["buildNumber"]
        assert run.status == states[raw["status"]]
        assert run.result == ends[raw.get("result") if over else None]
        assert run.created_at == when(raw["queueTime"])
        assert run.started_at == when(raw.get("startTime"))
        assert run.finished_at == when(raw.get("finishTime") if over else None)
        assert f"refs/heads/{run.branch}" == raw["sourceBranch"]
        assert run.commit_hash == raw["sourceVersion"]
        assert run.event == raw["reason"] == "manual"
        assert run.author == raw["requestedFor"]["displayName"]
        assert run.author_id == raw["requestedFor"]["id"]
        assert run.pipeline.name == raw["definition"]["name"]
        assert run.pipeline.external_id == f"fiber git/{raw['definition']['id']}"
        told = dict(run.extra)
        assert told.pop("revision") == raw["definition"]["revision"]
        assert told == {
            "queue": raw["queue"],
            "priority": raw["priority"],
            "repository": raw["repository"],
            "appendCommitMessageToRunName": True,
        }
        assert "@" not in repr(run)


def test_recorded_records_are_read_field_by_field() -> None:
    rows = recorded("azure_timeline_records.jsonl")
    found = read_timeline({"records": rows}, "12")
    assert found.problems == ()
    assert set(found.records) == {raw["id"] for raw in rows}
    for raw in rows:
        one = found.records[raw["id"]]
        assert (one.kind, one.parent, one.order) == (
            raw["type"],
            raw["parentId"],
            raw.get("order", 0),
        )
        assert (one.attempt, one.previous) == (1, ())
        assert one.step.name == raw["name"]
        assert one.step.status == {"completed": "finished", "pending": "notstarted"}[raw["state"]]
        assert one.step.result == {"succeeded": "passed", None: "unknown"}[raw["result"]]
        assert one.step.started_at == when(raw["startTime"])
        assert one.step.finished_at == when(raw["finishTime"])
        assert one.step.runner == raw["workerName"]
        log = raw.get("log") or {}
        told = {"log": log.get("id"), "queueId": raw.get("queueId")}
        assert one.step.extra == {k: v for k, v in told.items() if v is not None}

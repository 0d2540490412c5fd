"""What becomes of a build and a job, field by field. The rows are those of the documents."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runsync.records import Outcome, Pipeline, Result, Run, Status, Step
from runsync.sources.buildkite.payloads import read_build, web_host
from runsync.sources.fields import BadRowError

AS_OF = datetime(2024, 5, 6, tzinfo=UTC)
API = "https://api.buildkite.com"
JOB: dict[str, Any] = {
    "id": "b63254c0-3271-4a98-8270-7cfbd6c2f14e",
    "graphql_id": "Sm9iLS0t",
    "type": "script",
    "name": ":rspec: RSpec",
    "step_key": "rspec",
    "group_key": "tests",
    "step": {"id": "018c0f56", "signature": {"value": "eyJ", "signed_fields": ["env"]}},
    "priority": {"number": 1},
    "agent_query_rules": ["queue=big"],
    "state": "passed",
    "build_url": "https://api.buildkite.com/x",
    "web_url": "https://buildkite.com/my-great-org/my-pipeline/builds/1#b6",
    "log_url": "https://api.buildkite.com/v2/x/log",
    "raw_log_url": "https://api.buildkite.com/v2/x/log.txt",
    "artifacts_url": "",
    "command": "bundle exec rspec",
    "soft_failed": False,
    "exit_status": 0,
    "signal": None,
    "signal_reason": None,
    "artifact_paths": "",
    "agent": {"id": "0b46", "name": "my-agent-123", "hostname": "box", "ip_address": "1.2.3.4"},
    "created_at": "2015-05-09T21:05:59.874Z",
    "scheduled_at": "2015-05-09T21:05:59.874Z",
    "runnable_at": "2015-05-09T21:06:59.874Z",
    "started_at": "2015-05-09T21:07:59.874Z",
    "finished_at": "2015-05-09T21:08:59.874Z",
    "retried": False,
    "retried_in_job_id": None,
    "retries_count": None,
    "retry_type": None,
    "parallel_group_index": 0,
    "parallel_group_total": 4,
    "matrix": None,
    "cluster_id": None,
}
BUILD: dict[str, Any] = {
    "id": "f62a1b4d-10f9-4790-bc1c-e2c3a0c80983",
    "graphql_id": "QnVp",
    "url": "https://api.buildkite.com/v2/organizations/my-great-org/pipelines/my-pipeline/builds/1",
    "web_url": "https://evil.example/1",
    "number": 1,
    "state": "passed",
    "cancel_reason": None,
    "blocked": False,
    "message": "Bumping to version 0.2-beta.6",
    "commit": "abcd0b72a1e580e90712cdd9eb26d3fb41cd09c8",
    "branch": "main",
    "env": {"A": 1},
    "source": "webhook",
    "author": {"username": "keithpitt", "name": "Keith", "email": "k@example.org"},
    "creator": {"id": "3d3c", "name": "Keith Pitt", "email": "keith@buildkite.com"},
    "jobs": [JOB],
    "created_at": "2015-05-09T21:05:59.874Z",
    "scheduled_at": "2015-05-09T21:05:59.874Z",
    "started_at": "2015-05-09T21:06:01.000Z",
    "failing_at": None,
    "finished_at": "2015-05-09T21:09:00.001Z",
    "meta_data": {"a": "b"},
    "pull_request": {},
    "rebuilt_from": None,
    "pipeline": {
        "id": "849411f9",
        "name": "Great Pipeline",
        "slug": "my-pipeline",
        "default_branch": "trunk",
        "created_at": "2013-09-03 13:24:38 UTC",
        "provider": {"webhook_url": "https://webhook.buildkite.com/deliver/xxx"},
    },
}


def build(**changed: Any) -> Run:
    return read_build({**BUILD, **changed}, None, "my-great-org", API, AS_OF).run


def job(**changed: Any) -> Step:
    (step,) = read_build({**BUILD, "jobs": [{**JOB, **changed}]}, None, "o", API, AS_OF).steps
    return step


def test_a_build_of_the_documents() -> None:
    run = build()
    assert run == Run(
        pipeline=Pipeline(
            "my-great-org/my-pipeline",
            name="Great Pipeline",
            url="https://buildkite.com/my-great-org/my-pipeline",
            created_at=datetime(2013, 9, 3, 13, 24, 38, tzinfo=UTC),
            default_branch="trunk",
        ),
        id="1",
        number="1",
        event="push",
        created_at=datetime(2015, 5, 9, 21, 5, 59, 874000, tzinfo=UTC),
        started_at=datetime(2015, 5, 9, 21, 6, 1, tzinfo=UTC),
        finished_at=datetime(2015, 5, 9, 21, 9, 0, 1000, tzinfo=UTC),
        status=Status.FINISHED,
        result=Result.PASSED,
        outcome=Outcome.SUCCESS,
        raw_status="passed",
        branch="main",
        commit_hash="abcd0b72a1e580e90712cdd9eb26d3fb41cd09c8",
        message="Bumping to version 0.2-beta.6",
        author="Keith Pitt",
        author_id="3d3c",
        url=BUILD["url"],
        web_url="https://buildkite.com/my-great-org/my-pipeline/builds/1",
        extra={"scheduled_at": "2015-05-09T21:05:59.874Z"},
        version="2015-05-09T21:09:00.001006+00:00",
    )
    assert run.queued_ms == 1126
    assert run.env == (("A", "1"),)


def test_a_job_of_the_documents() -> None:
    assert job() == Step(
        id=JOB["id"],
        position=1,
        job="tests",
        name=":rspec: RSpec",
        runner="my-agent-123",
        status=Status.FINISHED,
        result=Result.PASSED,
        outcome=Outcome.SUCCESS,
        raw_status="passed",
        created_at=datetime(2015, 5, 9, 21, 5, 59, 874000, tzinfo=UTC),
        started_at=datetime(2015, 5, 9, 21, 7, 59, 874000, tzinfo=UTC),
        finished_at=datetime(2015, 5, 9, 21, 8, 59, 874000, tzinfo=UTC),
        log_url="https://api.buildkite.com/v2/x/log",
        extra={
            "step_key": "rspec",
            "priority": {"number": 1},
            "agent_query_rules": ["queue=big"],
            "scheduled_at": "2015-05-09T21:05:59.874Z",
            "runnable_at": "2015-05-09T21:06:59.874Z",
            "exit_status": 0,
            "parallel_group_index": 0,
            "parallel_group_total": 4,
        },
    )


@pytest.mark.parametrize(
    ("state", "blocked", "status", "result", "outcome", "raws"),
    [
        ("creating", False, "notstarted", "unknown", None, ("creating", None)),
        ("scheduled", False, "notstarted", "unknown", None, ("scheduled", None)),
        ("running", False, "running", "unknown", None, (None, None)),
        ("running", True, "running", "unknown", None, (None, None)),
        ("failing", False, "running", "unknown", None, ("failing", None)),
        ("canceling", False, "running", "unknown", None, ("canceling", None)),
        ("passed", False, "finished", "passed", "success", ("passed", None)),
        ("failed", False, "finished", "failed", "failure", ("failed", None)),
        ("canceled", False, "finished", "aborted", "cancellation", ("canceled", "canceled")),
        ("canceled", True, "finished", "aborted", "cancellation", ("canceled", "canceled")),
        ("skipped", False, "finished", "skipped", "skip", ("skipped", None)),
        ("not_run", False, "finished", "skipped", "skip", ("not_run", "not_run")),
        ("waiting", False, "notstarted", "unknown", None, ("waiting", None)),
        ("waiting_failed", False, "finished", "failed", "failure", ("waiting_failed",) * 2),
        # It shows an end, and is none.
        ("passed", True, "running", "unknown", None, ("blocked", "passed")),
        ("failed", True, "running", "unknown", None, ("blocked", "failed")),
        ("blocked", True, "running", "unknown", None, ("blocked", None)),
        ("blocked", False, "running", "unknown", None, ("blocked", None)),
        # Nobody has seen it before.
        ("exploded", False, "finished", "unknown", None, ("exploded", "exploded")),
    ],
)
def test_the_states_of_a_build(
    state: str, blocked: bool, status: str, result: str, outcome: str | None, raws: Any
) -> None:
    run = build(state=state, blocked=blocked)
    assert (run.status, run.result, run.outcome) == (status, result, outcome)
    assert (run.raw_status, run.raw_result) == raws
    assert (run.finished_at is not None) == (status == "finished")


@pytest.mark.parametrize(
    ("state", "status", "result", "outcome"),
    [
        *((word, "notstarted", "unknown", None) for word in "pending waiting blocked".split()),
        *((word, "notstarted", "unknown", None) for word in "limiting limited scheduled".split()),
        *((f"platform_{word}", "notstarted", "unknown", None) for word in ("limiting", "limited")),
        ("assigned", "started", "unknown", None),
        ("accepted", "started", "unknown", None),
        ("running", "running", "unknown", None),
        ("canceling", "running", "unknown", None),
        ("timing_out", "running", "unknown", None),
        ("passed", "finished", "passed", "success"),
        ("failed", "finished", "failed", "failure"),
        ("finished", "finished", "passed", "success"),
        ("canceled", "finished", "aborted", "cancellation"),
        ("timed_out", "finished", "failed", "timeout"),
        ("expired", "finished", "failed", "error"),
        ("skipped", "finished", "skipped", "skip"),
        ("broken", "finished", "skipped", "skip"),
        ("waiting_failed", "finished", "skipped", "skip"),
        ("blocked_failed", "finished", "skipped", "skip"),
    ],
)
def test_the_states_of_a_job(state: str, status: str, result: str, outcome: str | None) -> None:
    step = job(state=state)
    assert (step.status, step.result, step.outcome) == (status, result, outcome)
    assert step.raw_status == (None if state == status else state)
    over = status == "finished"
    assert step.raw_result == (state if over and state != result else None)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"exit_status": 1}, "failure"),
        ({"exit_status": -1}, "error"),
        ({"exit_status": 255, "signal_reason": "agent_stop"}, "error"),
        ({"exit_status": 1, "signal_reason": "process_run_error"}, "error"),
        ({"exit_status": 1, "signal_reason": "cancel"}, "failure"),
        ({"state": "finished", "exit_status": 3}, "failure"),
        ({"state": "finished", "exit_status": None}, "failure"),
    ],
)
def test_whose_fault_a_failed_job_is(changed: dict[str, Any], outcome: str) -> None:
    assert job(**{"state": "failed", **changed}).outcome == outcome


FAILED = {"state": "failed", "exit_status": 1}
LOST = {"state": "failed", "exit_status": -1}


@pytest.mark.parametrize(
    ("jobs", "outcome"),
    [
        ([], "failure"),
        ([FAILED, LOST], "failure"),
        ([LOST, {"state": "passed"}], "error"),
        ([{"state": "timed_out"}], "timeout"),
        ([{"state": "timed_out"}, LOST], "error"),
        ([{**FAILED, "soft_failed": True}, LOST], "error"),
        ([{**FAILED, "retried": True}, LOST], "error"),
    ],
)
def test_whose_fault_a_failed_build_is(jobs: list[dict[str, Any]], outcome: str) -> None:
    rows = [{**JOB, "id": f"job-{n}", **changed} for n, changed in enumerate(jobs)]
    assert build(state="failed", jobs=rows).outcome == outcome


@pytest.mark.parametrize(
    ("changed", "event"),
    [
        ({"source": "webhook"}, "push"),
        ({"source": "webhook", "pull_request": {"id": "42", "base": "main"}}, "pull_request"),
        ({"source": "webhook", "pull_request": None}, "push"),
        ({"source": "api", "pull_request": {"id": "42"}}, "api"),
        ({"source": "ui"}, "manual"),
        ({"source": "schedule"}, "schedule"),
        ({"source": "trigger_job"}, "upstream"),
        ({"source": "moon"}, "moon"),
        ({"source": None}, None),
    ],
)
def test_what_started_a_build(changed: dict[str, Any], event: str | None) -> None:
    assert build(**changed).event == event


@pytest.mark.parametrize(
    ("changed", "author"),
    [
        ({}, "Keith Pitt"),
        ({"creator": None}, "keithpitt"),
        ({"creator": {}}, "keithpitt"),
        ({"creator": {"id": "1", "name": "k@example.org"}}, "keithpitt"),
        ({"creator": None, "author": {"name": "Keith <k@example.org>"}}, "Keith"),
        ({"creator": None, "author": {"name": "k@example.org"}}, None),
        ({"creator": None, "author": None}, None),
    ],
)
def test_who_an_author_is_but_for_the_address(changed: dict[str, Any], author: str | None) -> None:
    assert build(**changed).author == author


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"type": "waiter"}, []),
        ({"type": "manual", "label": "Deploy?"}, []),
        ({"type": "trigger", "name": "deploy"}, ["deploy"]),
        ({"type": "something new"}, [":rspec: RSpec"]),
        ({"name": None}, ["rspec"]),
        ({"name": "", "step_key": None}, ["bundle exec rspec"]),
        ({"name": None, "step_key": None, "command": "\nmake a\nmake b"}, ["make a"]),
        ({"name": None, "step_key": None, "command": None}, ["(unnamed)"]),
    ],
)
def test_which_jobs_are_steps_and_their_names(changed: dict[str, Any], names: list[str]) -> None:
    steps = read_build({**BUILD, "jobs": [{**JOB, **changed}]}, None, "o", API, AS_OF).steps
    assert [step.name for step in steps] == names


def test_a_retried_job_and_its_successor() -> None:
    first = {**JOB, **FAILED, "retried": True, "retried_in_job_id": "b", "retry_type": "automatic"}
    source = {"job_id": JOB["id"], "retry_type": "automatic"}
    again = {**JOB, "id": "b", "retries_count": 1, "retry_source": source}
    one, two = read_build({**BUILD, "jobs": [first, again]}, None, "o", API, AS_OF).steps
    told = {"retried": True, "retried_in_job_id": "b", "retry_type": "automatic"}
    assert told.items() <= one.extra.items()
    assert "retried" not in two.extra
    assert (two.extra["retries_count"], two.extra["retry_source"]) == (1, source)


def test_what_waits_for_an_agent_shows_its_queue() -> None:
    assert job(agent=None).runner == "big"
    assert job(agent=None, agent_query_rules=["os=linux"]).runner is None
    assert job(agent=None, agent_query_rules=None).runner is None


def test_a_rebuilt_build_and_one_of_a_ref() -> None:
    run = build(rebuilt_from={"id": "x", "number": 7, "url": "y"}, commit="HEAD")
    assert (run.source_run_id, run.commit_hash) == ("7", None)


def test_versions_grow_with_a_life() -> None:
    waits = {**JOB, "type": "manual", "unblocked_at": None}
    born = build(state="scheduled", started_at=None, finished_at=None, jobs=[])
    runs = build(state="running", finished_at=None, jobs=[])
    goes = build(state="running", finished_at=None, jobs=[JOB, waits])
    blocked = build(state="passed", blocked=True, finished_at=None, jobs=[JOB, waits])
    canceled = build(state="canceled", finished_at=None, jobs=[JOB, waits])
    later = {**waits, "unblocked_at": "2015-05-09T21:20:00.000Z"}
    goes_on = build(state="running", finished_at=None, jobs=[JOB, later])
    over = build(state="passed", finished_at="2015-05-09T21:20:00.000Z", jobs=[JOB, later])
    versions = [run.version for run in (born, runs, goes, blocked, canceled, goes_on, over)]
    assert None not in versions
    assert versions == sorted(set(map(str, versions)))


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (None, r"build \(no id\): an object is due, null came"),
        ({**BUILD, "number": None}, "`number` is missing"),
        ({**BUILD, "number": 0}, "`number` must be 1 or more, not 0"),
        ({**BUILD, "created_at": None}, "build 1: `created_at` is missing"),
        ({**BUILD, "state": ""}, "build 1: `state` is missing"),
        ({**BUILD, "pipeline": None}, "build 1: `pipeline` is missing"),
        ({**BUILD, "pipeline": {"slug": "../x"}}, "`slug` is none"),
    ],
)
def test_what_cannot_be_read_is_named(raw: Any, what: str) -> None:
    with pytest.raises(BadRowError, match=what):
        read_build(raw, None, "my-great-org", API, AS_OF)


@pytest.mark.parametrize(
    ("api", "web"),
    [
        ("https://api.buildkite.com", "https://buildkite.com"),
        ("https://api.buildkite.com/", "https://buildkite.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_where_people_look(api: str, web: str) -> None:
    assert web_host(api) == web

"""What becomes of GitHub's JSON: runs by attempt, steps by job, words, addresses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runsync.records import Cursor, Outcome, Result, Run, Status
from runsync.sources.github.payloads import site_of
from runsync.sources.github.source import GitHub
from tests.sources.github.rig import (
    github_at,
    listed,
    problems,
    repository,
    run_ids,
    walked,
    workflow,
)
from tests.sources.github.server import Service
from tests.sources.github.world import NOW, SECOND, World

AT = NOW - timedelta(days=2)


def only_run(github: GitHub) -> Run:
    (item,) = listed(walked(github))
    return item.run


def test_a_run_as_it_is_listed(github: GitHub, world: World) -> None:
    world.add_run(AT, "failure", branch="topic", message="Mend it\n\nAt last", actor="mona")
    run = only_run(github)
    assert run == Run(
        pipeline=run.pipeline,
        id="5001",
        attempt=1,
        created_at=AT,
        status=Status.FINISHED,
        result=Result.FAILED,
        outcome=Outcome.FAILURE,
        number="1",
        event="push",
        raw_status="completed",
        raw_result="failure",
        branch="topic",
        commit_hash="f" * 40,
        message="Mend it\n\nAt last",
        author="mona",
        author_id=str(sum(b"mona")),
        url=f"{github.client.base_url}/octo-org/hello.world/actions/runs/5001/attempts/1",
        web_url=f"{github.client.base_url}/octo-org/hello.world/actions/runs/5001/attempts/1",
        version="2024-05-30T12:01:00+00:00",
        extra={
            "name": "CI",
            "check_suite_id": 45001,
            "path": ".github/workflows/ci.yml",
            "run_number": 1,
            "event": "push",
            "display_title": "Mend it",
            "commit_timestamp": "2024-05-30T11:59:30Z",
        },
    )


def test_the_pipeline_is_the_workflow(github: GitHub, world: World) -> None:
    world.add_run(AT)
    pipeline = only_run(github).pipeline
    assert pipeline.external_id == "octo-org/hello.world/101"
    assert pipeline.name == "CI"
    assert pipeline.default_branch == "main"
    assert pipeline.url is not None
    assert pipeline.url.endswith("/octo-org/hello.world/actions/workflows/ci.yml")
    assert pipeline.extra == {"path": ".github/workflows/ci.yml"}


def test_one_workflow_reached_in_three_ways_is_one_pipeline(github: GitHub, world: World) -> None:
    world.add_run(AT)
    listings = [workflow(github), workflow(github, "101"), repository(github)]
    first, *others = (
        item.run.pipeline for each in listings for item in listed(walked(github, each))
    )
    assert others == [first, first]
    assert [[p.external_id for p in each.pipelines] for each in listings] == [
        [],
        [first.external_id],
        [],
    ]


def test_a_workflow_keeps_its_newest_name(github: GitHub, world: World) -> None:
    old = world.add_run(AT - timedelta(days=9))
    old.name = "Build"
    world.add_run(AT)
    memory: dict[str, Any] = {}
    names = {item.run.pipeline.name for item in listed(walked(github, memory=memory))}
    assert names == {"CI"}
    resume_point = walked(github, resume_point=Cursor(AT - timedelta(days=1), ""), memory=memory)
    assert [item.run.pipeline.name for item in listed(resume_point)] == ["CI"]
    assert listed(resume_point)[0].run.extra["name"] == "Build"


def test_attempts_are_runs_of_their_own(github: GitHub, world: World) -> None:
    run = world.add_run(AT, "failure")
    world.rerun(run, AT + timedelta(days=1), "cancelled")
    world.rerun(run, AT + timedelta(days=1, hours=1), actor="mona")
    items = listed(walked(github))
    assert [item.run.id for item in items] == ["5001.3", "5001.2", "5001"]
    assert [item.run.attempt for item in items] == [3, 2, 1]
    assert {item.cursor for item in items} == {Cursor(AT, "0000000000000005001")}
    whole = [github.complete(item.run) for item in items]
    assert [d.run.result for d in whole] == [Result.PASSED, Result.ABORTED, Result.FAILED]
    assert [d.run.author for d in whole] == ["mona", "hubot", "octocat"]
    assert [d.run.created_at for d in whole] == [
        AT + timedelta(days=1, hours=1),
        AT + timedelta(days=1),
        AT,
    ]
    assert [(d.run.started_at, d.run.finished_at) for d in whole] == [
        (d.run.created_at + 5 * SECOND, d.run.created_at + 60 * SECOND) for d in whole
    ]
    assert {d.run.url.rpartition("/")[2] for d in whole if d.run.url} == {"1", "2", "3"}
    assert whole[0].run.extra["actor"] == "octocat"
    assert all(len(d.steps) == 6 for d in whole)
    assert len({step.id for d in whole for step in d.steps}) == 18


def test_requests_are_one_for_a_run_and_two_for_an_earlier_attempt(
    github: GitHub, service: Service, world: World
) -> None:
    run = world.add_run(AT, "failure")
    world.rerun(run, AT + SECOND)
    newest, first = listed(walked(github))
    service.asked.clear()
    github.complete(newest.run)
    assert [a.path.partition("/actions")[2] for a in service.asked] == [
        "/runs/5001/attempts/2/jobs"
    ]
    service.asked.clear()
    github.complete(first.run)
    assert [a.path.partition("/actions")[2] for a in service.asked] == [
        "/runs/5001/attempts/1",
        "/runs/5001/attempts/1/jobs",
    ]


def test_an_attempt_read_by_id_is_the_one_that_was_listed(github: GitHub, world: World) -> None:
    run = world.add_run(AT, "failure")
    world.rerun(run, AT + timedelta(hours=1))
    for item in listed(walked(github)):
        again = github.reread(item.run.pipeline, item.run.id)
        assert again == replace(github.complete(item.run), as_of=again.as_of)


def test_jobs_of_an_earlier_attempt_are_not_counted_twice(github: GitHub, world: World) -> None:
    run = world.add_run(AT, "failure")
    world.rerun(run, AT + timedelta(hours=1), failed_only=True)
    second, first = (github.complete(item.run) for item in listed(walked(github)))
    assert {step.job for step in first.steps} == {"build", "test"}
    assert {step.job for step in second.steps} == {"test"}
    assert second.run.started_at == AT + timedelta(hours=1, seconds=9)


def test_steps_of_a_job(github: GitHub, world: World) -> None:
    world.add_run(AT, "failure")
    details = github.complete(only_run(github))
    assert details.as_of == NOW
    assert [(s.position, s.job, s.name) for s in details.steps] == [
        (1, "build", "Set up job"),
        (2, "build", "Run make build"),
        (3, "build", "Complete job"),
        (4, "test", "Set up job"),
        (5, "test", "Run make test"),
        (6, "test", "Complete job"),
    ]
    step = details.steps[5]
    assert step.id == "900002.17"
    assert (step.status, step.result) == (Status.FINISHED, Result.FAILED)
    assert (step.raw_status, step.raw_result) == ("completed", "failure")
    assert (step.created_at, step.started_at) == (AT, AT + 11 * SECOND)
    assert step.duration_ms == 1000
    assert step.log_url is not None
    assert step.log_url.endswith("/actions/runs/5001/job/900002#step:17:1")
    assert step.phase is None
    assert "job" not in step.extra
    assert details.steps[3].extra["job"]["runner_name"] == "GitHub Actions 7"
    assert details.steps[3].extra["job"]["conclusion"] == "failure"


def test_a_job_without_steps_is_a_row_of_its_own(github: GitHub, world: World) -> None:
    skipped = world.job("deploy", 1, AT, AT, AT, "skipped", runner=None)
    lost = world.job("test", 1, AT, AT + 3 * SECOND, AT + 9 * SECOND, steps=[])
    waiting = world.job("late", 1, AT, AT, None, None, status="queued", runner=None)
    running = world.job("now", 1, AT, AT + SECOND, None, None, status="in_progress")
    world.add_run(AT, status="in_progress", jobs=[skipped, lost, waiting, running])
    details = github.complete(only_run(github))
    rows = [(s.id, s.name, s.job, s.phase, s.result, s.duration_ms) for s in details.steps]
    assert rows == [
        (str(skipped.id), "deploy", "deploy", "job", Result.SKIPPED, None),
        (str(lost.id), "test", "test", "job", Result.PASSED, 6000),
    ]
    assert details.run.started_at == AT + SECOND
    assert details.run.finished_at is None


def test_a_queued_or_skipped_job_is_no_start(github: GitHub, world: World) -> None:
    queued = world.job("late", 1, AT, AT, None, None, status="queued", runner=None)
    world.add_run(AT, status="queued", jobs=[queued])
    assert github.complete(only_run(github)).run.started_at is None


def test_what_is_under_way_has_no_result_and_no_end(github: GitHub, world: World) -> None:
    job = world.job("build", 1, AT, AT + SECOND, AT + 2 * SECOND, "failure")
    job.status = "in_progress"
    job.steps[0]["status"] = "in_progress"
    run = world.add_run(AT, status="in_progress", jobs=[job])
    run.newest.conclusion = "failure"
    details = github.complete(only_run(github))
    assert (details.run.result, details.run.finished_at) == (Result.UNKNOWN, None)
    assert (details.run.raw_status, details.run.raw_result) == ("in_progress", "failure")
    step = details.steps[0]
    assert (step.status, step.result, step.finished_at) == (Status.RUNNING, Result.UNKNOWN, None)


def test_a_run_without_jobs_ends_when_it_was_last_touched(github: GitHub, world: World) -> None:
    world.add_run(AT, "startup_failure", jobs=[])
    details = github.complete(only_run(github))
    assert details.run.result is Result.FAILED
    assert (details.run.started_at, details.run.finished_at) == (None, AT + 60 * SECOND)


def test_a_run_that_is_touched_later_ends_with_its_last_job(github: GitHub, world: World) -> None:
    world.add_run(AT).newest.updated = NOW
    assert github.complete(only_run(github)).run.finished_at == AT + 60 * SECOND


def test_more_than_a_page_of_jobs(github: GitHub, world: World) -> None:
    jobs = [world.job(f"j{n}", 1, AT, AT, AT + SECOND, steps=[]) for n in range(250)]
    world.add_run(AT, jobs=jobs)
    steps = github.complete(only_run(github)).steps
    assert [step.name for step in steps] == [f"j{n}" for n in range(250)]
    assert [step.position for step in steps] == list(range(1, 251))


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("queued", Status.NOTSTARTED),
        ("requested", Status.NOTSTARTED),
        ("waiting", Status.NOTSTARTED),
        ("pending", Status.NOTSTARTED),
        ("in_progress", Status.RUNNING),
        ("dreaming", Status.NOTSTARTED),
    ],
)
def test_words_for_a_run_under_way(github: GitHub, world: World, status: str, ours: Status) -> None:
    world.add_run(AT, status=status)
    run = only_run(github)
    assert (run.status, run.result) == (ours, Result.UNKNOWN)
    assert (run.raw_status, run.raw_result) == (status, None)


@pytest.mark.parametrize(
    ("conclusion", "ours", "raw"),
    [
        ("success", Result.PASSED, "success"),
        ("neutral", Result.PASSED, "neutral"),
        ("failure", Result.FAILED, "failure"),
        ("timed_out", Result.FAILED, "timed_out"),
        ("startup_failure", Result.FAILED, "startup_failure"),
        ("cancelled", Result.ABORTED, "cancelled"),
        ("stale", Result.ABORTED, "stale"),
        ("skipped", Result.SKIPPED, None),
        ("action_required", Result.UNKNOWN, "action_required"),
        ("never_heard_of", Result.UNKNOWN, "never_heard_of"),
    ],
)
def test_words_for_an_end(
    github: GitHub, world: World, conclusion: str, ours: Result, raw: str | None
) -> None:
    world.add_run(AT, conclusion)
    run = only_run(github)
    assert (run.status, run.result) == (Status.FINISHED, ours)
    assert (run.raw_status, run.raw_result) == ("completed", raw)


def test_a_fork_is_named(github: GitHub, world: World) -> None:
    world.add_run(AT, head_repository="mona/hello")
    assert only_run(github).extra["head_repository"] == "mona/hello"


def test_a_row_that_cannot_be_read_is_set_aside(github: GitHub, service: Service) -> None:
    for n in range(3):
        service.world.add_run(AT + n * SECOND)

    def spoil(path: str, body: Any) -> Any:
        if path.endswith("/runs"):
            body["workflow_runs"][1]["created_at"] = "yesterday"
        return body

    service.mangle = spoil
    pages = walked(github)
    assert run_ids(pages) == ["5003", "5001"]
    (problem,) = problems(pages)
    assert problem.lost
    assert problem.what == "run 5002: `created_at` must be a time with its zone, not 'yesterday'"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run_attempt", 10**9),
        ("run_attempt", -1),
        ("workflow_id", None),
        ("id", "5002"),
        ("actor", "mona"),
        ("head_branch", 7),
        ("updated_at", "soon"),
    ],
)
def test_each_field_is_checked(github: GitHub, service: Service, key: str, value: object) -> None:
    service.world.add_run(AT)
    service.world.add_run(AT + SECOND)

    def spoil(path: str, body: Any) -> Any:
        body["workflow_runs"][0][key] = value
        return body

    service.mangle = spoil
    pages = walked(github)
    assert run_ids(pages) == ["5001"]
    assert f"`{key}`" in problems(pages)[0].what


def test_a_job_or_step_that_cannot_be_read_is_named(github: GitHub, service: Service) -> None:
    service.world.add_run(AT)

    def spoil(path: str, body: Any) -> Any:
        if path.endswith("/jobs"):
            body["jobs"][0]["steps"][1]["number"] = None
        return body

    service.mangle = spoil
    details = github.complete(only_run(github))
    assert {step.job for step in details.steps} == {"test"}
    (problem,) = details.problems
    assert problem.what.startswith("run 5001: job 900001: an entry of `steps`: `number`")


@pytest.mark.parametrize(
    ("base", "site"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://api.octo.ghe.com", "https://octo.ghe.com"),
        ("https://ghe.example/api/v3", "https://ghe.example"),
        ("https://api.example:8443/api/v3", "https://api.example:8443"),
    ],
)
def test_where_people_see_it(base: str, site: str) -> None:
    assert site_of(base) == site


@pytest.mark.usefixtures("github")
def test_an_enterprise_server_answers_below_a_path(service: Service, world: World) -> None:
    service.prefix = "/api/v3"
    world.add_run(AT)
    enterprise = github_at(f"{service.base}/api/v3")
    assert (
        only_run(enterprise).url
        == f"{service.base}/octo-org/hello.world/actions/runs/5001/attempts/1"
    )
    assert len(enterprise.complete(only_run(enterprise)).steps) == 6
    enterprise.close()

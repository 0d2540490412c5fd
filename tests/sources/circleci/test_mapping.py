"""What becomes of a CircleCI workflow and its jobs."""

from typing import Any

import pytest
from sqlalchemy import text

from runsync.config import PipelineConfig
from runsync.records import Outcome, Result, Run, Status
from runsync.sources.base import Listed, Listing
from runsync.sources.circleci.payloads import Project
from runsync.sources.circleci.source import CircleCI
from runsync.storage.database import Database
from tests.sources.circleci.rig import opened, run
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.world import SECRET, World

HELD, RAN, BROKE = Status.NOTSTARTED, Status.RUNNING, Result.FAILED
OVER, UNKNOWN = Status.FINISHED, Result.UNKNOWN


def listed(source: CircleCI, listing: Listing) -> Run:
    found = [i for p in source.pages(listing, None, {}) for i in p.items if isinstance(i, Listed)]
    return found[0].run


def test_a_run_field_by_field(
    world: World, source: CircleCI, listing: Listing, simulator: CircleSimulator
) -> None:
    (workflow,) = world.history(1)
    world.pipelines[0].body = "Why and how."
    found = source.complete(listed(source, listing))
    made, pipeline = found.run, world.pipelines[0]
    assert made.pipeline.external_id == "gh/acme/shop/build-and-test"
    assert made.pipeline.name == "build-and-test"
    assert made.pipeline.default_branch == "main"
    site = simulator.url.replace("http://", "http://app.")
    assert made.pipeline.url == f"{site}/pipelines/github/acme/shop"
    assert made.web_url == f"{site}/pipelines/github/acme/shop/1/workflows/{workflow.id}"
    assert (made.id, made.attempt, made.number) == (workflow.id, 1, "1")
    assert (made.event, made.branch, made.commit_hash) == ("push", "main", pipeline.revision)
    assert made.message == "Change\n\nWhy and how."
    assert (made.author, made.author_id) == ("ada", "user-1")
    assert made.created_at == workflow.created_at.replace(microsecond=0)
    assert made.started_at == made.created_at
    assert made.duration_ms == 60_000
    assert made.extra == {"pipeline_id": pipeline.id, "trigger": "webhook"}
    assert found.as_of == world.now.replace(microsecond=0)
    assert (found.problems, made.version) == ((), None)


def test_a_run_read_by_its_id_is_the_same(world: World, source: CircleCI, listing: Listing) -> None:
    world.history(1)
    run = listed(source, listing)
    assert source.reread(run.pipeline, run.id) == source.complete(run)
    assert source.find_run(run.pipeline, run.id.upper()) == source.complete(run)


def test_a_job_field_by_field(world: World, source: CircleCI, listing: Listing) -> None:
    (workflow,) = world.history(1)
    first, second = source.complete(listed(source, listing)).steps
    job = workflow.jobs[0]
    assert (first.id, first.position, first.name) == (job.id, 1, "build")
    assert (first.job, first.phase, first.runner) == (None, None, None)
    assert first.duration_ms == 30_000
    assert first.extra == {"type": "build", "job_number": 1}
    assert second.extra["dependencies"] == [job.id]


def test_details(world: World, simulator: CircleSimulator) -> None:
    world.history(1)
    with opened(simulator, details=True) as source:
        listing = source.listing(PipelineConfig("circle", repository=World.slug))
        first = source.complete(listed(source, listing)).steps[0]
    assert first.runner == "docker/medium"
    assert first.extra["parallelism"] == 1
    assert first.extra["queued_at"].startswith("2024-05-06T")
    assert "contexts" not in first.extra


@pytest.mark.parametrize(
    ("word", "status", "result", "outcome"),
    [
        ("running", RAN, UNKNOWN, None),
        ("failing", RAN, UNKNOWN, None),
        ("on_hold", HELD, UNKNOWN, None),
        ("queued", HELD, UNKNOWN, None),
        ("success", OVER, Result.PASSED, Outcome.SUCCESS),
        ("failed", OVER, BROKE, Outcome.FAILURE),
        ("error", OVER, BROKE, Outcome.ERROR),
        ("unauthorized", OVER, BROKE, Outcome.FAILURE),
        ("canceled", OVER, Result.ABORTED, Outcome.CANCELLATION),
        ("not_run", OVER, Result.SKIPPED, Outcome.SKIP),
        ("dreaming", HELD, UNKNOWN, None),
    ],
)
def test_words_of_workflows(
    world: World,
    source: CircleCI,
    listing: Listing,
    word: str,
    status: Status,
    result: Result,
    outcome: Outcome | None,
) -> None:
    world.push("build-and-test").workflows[0].status = word
    run = listed(source, listing)
    assert (run.status, run.result, run.outcome) == (status, result, outcome)
    assert run.raw_status == (None if word == status.value else word)
    assert run.raw_result == (word if status is OVER and word != result.value else None)


@pytest.mark.parametrize(
    ("word", "status", "result", "outcome"),
    [
        ("blocked", HELD, UNKNOWN, None),
        ("not_running", HELD, UNKNOWN, None),
        ("on_hold", HELD, UNKNOWN, None),
        ("infrastructure_fail", OVER, BROKE, Outcome.ERROR),
        ("terminated-unknown", OVER, BROKE, Outcome.ERROR),
        ("timedout", OVER, BROKE, Outcome.TIMEOUT),
        ("retried", OVER, UNKNOWN, None),
        ("unauthorized", OVER, BROKE, Outcome.FAILURE),
        ("dreaming", RAN, UNKNOWN, None),
    ],
)
def test_words_of_jobs(
    world: World,
    source: CircleCI,
    listing: Listing,
    word: str,
    status: Status,
    result: Result,
    outcome: Outcome | None,
) -> None:
    world.push("build-and-test").workflows[0].jobs[0].status = word
    step = source.complete(listed(source, listing)).steps[0]
    assert (step.status, step.result, step.outcome) == (status, result, outcome)


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("success infrastructure_fail", Outcome.ERROR),
        ("success timedout", Outcome.TIMEOUT),
        ("timedout infrastructure_fail", Outcome.ERROR),
        ("failed infrastructure_fail", Outcome.FAILURE),
        ("success success", Outcome.FAILURE),
    ],
)
def test_a_workflow_failed_as_its_jobs_did(
    world: World, source: CircleCI, listing: Listing, words: str, outcome: Outcome
) -> None:
    (workflow,) = world.history(1)
    workflow.status = "failed"
    for job, word in zip(workflow.jobs, words.split(), strict=True):
        job.status = word
    assert source.complete(listed(source, listing)).run.outcome is outcome


@pytest.mark.parametrize(
    ("more", "event"),
    [
        ({"trigger": "api"}, "api"),
        ({"trigger": "explicit"}, "manual"),
        ({"trigger": "scheduled_pipeline"}, "schedule"),
        ({"branch": "pull/12"}, "pull_request"),
        ({"branch": "pull/12/head"}, "push"),
        ({"trigger": "moon phase"}, "moon phase"),
    ],
)
def test_events(
    world: World, source: CircleCI, listing: Listing, more: dict[str, Any], event: str
) -> None:
    world.push("build-and-test", **more)
    assert listed(source, listing).event == event


def test_what_comes_through_an_app(world: World, source: CircleCI, listing: Listing) -> None:
    git = {"branch": "dev", "checkout_sha": "abc", "tag": "v1", "commit_message": "Fix"}
    given = {"git": git, "circleci": {"event_type": "pull_request"}}
    given |= {"github_app": {"user_username": "bob"}, "webhook": {"body": SECRET}}
    world.push("build", trigger="Decoupled Ingestion System", login="", trigger_parameters=given)
    run = listed(source, listing)
    assert (run.branch, run.commit_hash, run.message) == ("dev", "abc", "Fix")
    assert (run.author, run.event) == ("bob", "pull_request")
    assert run.extra["tag"] == "v1"
    assert SECRET not in repr(run)


def test_a_setup_workflow_of_the_same_name_is_no_earlier_attempt(
    world: World, source: CircleCI, listing: Listing
) -> None:
    pipeline = world.push("build-and-test")
    pipeline.workflows[0].tag = "setup"
    world.end(pipeline.workflows[0])
    world.begin(pipeline, "build-and-test")
    world.end(pipeline.workflows[1])
    world.rerun(pipeline, pipeline.workflows[1])
    (page,) = source.pages(listing, None, {})
    attempts = {i.run.id: i.run.attempt for i in page.items if isinstance(i, Listed)}
    assert [attempts[str(w.id)] for w in pipeline.workflows] == [1, 1, 2]


def test_secrets_are_stored_nowhere(
    world: World, source: CircleCI, simulator: CircleSimulator, sqlite: Database
) -> None:
    made = world.history(2)
    for pipeline in world.pipelines:
        pipeline.trigger_parameters = {"webhook": {"body": SECRET}, "key": SECRET}
        world.spoilt[pipeline.id] = lambda raw: raw | {"parameters": {"key": SECRET}}
    for workflow in made:
        hidden = {"parameters": {"key": SECRET}, "pipeline_parameters": {"key": SECRET}}
        world.spoilt[str(workflow.id)] = lambda raw, hidden=hidden: raw | hidden  # type: ignore[misc]
        for job in workflow.jobs:
            world.spoilt[job.id] = lambda raw, hidden=hidden: raw | hidden  # type: ignore[misc]
    run(sqlite, source)
    with sqlite.read() as connection:
        for table in ("pipelines", "runs", "steps", "syncs"):
            held = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert held != "[]"
            assert SECRET not in held
            assert simulator.token not in held


@pytest.mark.parametrize(
    ("slug", "kept"),
    [
        ("github/acme/shop", "gh/acme/shop"),
        ("bitbucket/acme/shop.js", "bb/acme/shop.js"),
        ("circleci/UVbC7/aB_c-9", "circleci/UVbC7/aB_c-9"),
    ],
)
def test_slugs(source: CircleCI, slug: str, kept: str) -> None:
    listing = source.listing(PipelineConfig("circle", repository=slug))
    assert (listing.key, listing.ref) == (f"circle/project/{kept}", kept)
    listing = source.listing(PipelineConfig("circle", id=f"{slug}/Build & test", name="b"))
    assert (listing.ref, listing.label) == (f"{kept}/Build & test", "b")


def test_any_name_of_a_workflow_is_taken_from_the_project(
    world: World, source: CircleCI, sqlite: Database
) -> None:
    odd = ["a/b?c#d", "..", "ünïcode ☃", "line\nbreak", "x" * 300]
    for name in odd:
        world.begin(world.push(), name)
    world.pass_time(days=1)
    assert run(sqlite, source).outcome == "ok"
    world.pass_time(hours=3)
    # They are under way, and are read again by their ids.
    assert run(sqlite, source).outcome == "ok"
    assert Project.parse(f"{World.slug}/{odd[0]}") == Project("gh", "acme", "shop", odd[0])

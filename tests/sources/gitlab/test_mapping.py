"""What becomes of a GitLab pipeline and its jobs."""

from datetime import timedelta
from typing import Any

import pytest

from runsync.config import PipelineConfig
from runsync.errors import ConfigError, NotFoundError, SourceError
from runsync.records import Pipeline, Result, Run, RunWithSteps, Status, Step
from runsync.sources.base import Listed, Listing
from runsync.sources.gitlab.source import GitLab
from tests.sources.gitlab.simulator import Asked, CiPipeline, GitLabSimulator, World

PROJECT = Pipeline(World.path)


def listed(source: GitLab, listing: Listing) -> list[Listed]:
    items = [item for page in source.pages(listing, None, {}) for item in page.items]
    assert all(isinstance(item, Listed) for item in items)
    return [item for item in items if isinstance(item, Listed)]


def read(source: GitLab, pipeline: CiPipeline, project: Pipeline = PROJECT) -> RunWithSteps:
    return source.reread(project, str(pipeline.id))


def by_name(details: RunWithSteps) -> dict[str, Step]:
    return {step.name: step for step in details.steps}


def cut(when: Any) -> Any:
    return when and when.replace(microsecond=when.microsecond // 1000 * 1000)


def test_a_passed_pipeline_field_by_field(world: World, source: GitLab) -> None:
    (pipeline,) = world.history(1)
    world.pass_time(minutes=2)
    details = read(source, pipeline)
    run = details.run
    assert (run.id, run.pipeline, run.attempt) == (str(pipeline.id), PROJECT, 1)
    assert (run.status, run.raw_status) == (Status.FINISHED, "success")
    assert (run.result, run.raw_result) == (Result.PASSED, "success")
    assert (run.branch, run.commit_hash) == ("main", pipeline.sha)
    assert run.message == f"Change {pipeline.id}\n"
    assert (run.author, run.author_id) == ("ada", "11")
    assert run.created_at == cut(pipeline.created_at)
    assert run.started_at == cut(pipeline.started_at)
    assert run.finished_at == cut(pipeline.finished_at)
    assert run.url == f"https://gitlab.example/{world.path}/-/pipelines/{pipeline.id}"
    assert run.version is not None
    assert run.version == f"{cut(pipeline.updated_at):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    assert details.as_of == world.now.replace(microsecond=0)
    assert details.problems == ()
    assert run.extra["iid"] == 1
    assert run.extra["project_id"] == world.number
    assert run.extra["source"] == "push"
    assert isinstance(run.extra["duration"], int)
    assert not {"user", "detailed_status", "updated_at", "yaml_errors", "tag"} & set(run.extra)


def test_a_job_field_by_field(world: World, source: GitLab) -> None:
    pipeline = world.create("build", "deploy")
    world.start(pipeline)
    world.pass_time(seconds=61.5)
    world.end(pipeline)
    world.pass_time(minutes=2)
    build, deploy = pipeline.jobs
    build.artifacts = True
    first, second = read(source, pipeline).steps
    assert (first.id, first.position, first.name, first.job) == (str(build.id), 1, "build", "test")
    assert (second.id, second.position, second.job) == (str(deploy.id), 2, "deploy")
    assert (first.status, first.raw_status) == (Status.FINISHED, "success")
    assert (first.result, first.raw_result) == (Result.PASSED, "success")
    assert first.created_at == cut(build.created_at)
    assert (first.started_at, first.finished_at) == (cut(build.started_at), cut(build.finished_at))
    assert first.duration_ms == 61500
    assert first.log_url == f"https://gitlab.example/{world.path}/-/jobs/{build.id}/raw"
    assert first.artifacts_url is not None
    assert first.artifacts_url.endswith(f"/-/jobs/{build.id}/artifacts/download")
    assert second.artifacts_url is None
    assert first.extra == {"coverage": 91.5, "queued_duration": 0.5, "runner": "big one"}


@pytest.mark.parametrize(
    ("word", "status", "result"),
    [
        ("created", Status.NOTSTARTED, Result.UNKNOWN),
        ("waiting_for_resource", Status.NOTSTARTED, Result.UNKNOWN),
        ("waiting_for_callback", Status.NOTSTARTED, Result.UNKNOWN),
        ("preparing", Status.NOTSTARTED, Result.UNKNOWN),
        ("pending", Status.NOTSTARTED, Result.UNKNOWN),
        ("scheduled", Status.NOTSTARTED, Result.UNKNOWN),
        ("manual", Status.NOTSTARTED, Result.UNKNOWN),
        ("running", Status.RUNNING, Result.UNKNOWN),
        ("canceling", Status.RUNNING, Result.UNKNOWN),
        ("success", Status.FINISHED, Result.PASSED),
        ("failed", Status.FINISHED, Result.FAILED),
        ("canceled", Status.FINISHED, Result.ABORTED),
        ("skipped", Status.FINISHED, Result.SKIPPED),
        ("dreaming", Status.NOTSTARTED, Result.UNKNOWN),
    ],
)
def test_words(world: World, source: GitLab, word: str, status: Status, result: Result) -> None:
    pipeline = world.create("build", status=word)
    pipeline.jobs[0].status = word
    details = read(source, pipeline)
    both: tuple[Run | Step, ...] = (details.run, *details.steps)
    for one in both:
        assert (one.status, one.result) == (status, result)
        assert one.raw_status == (None if word == status.value else word)
        over = status is Status.FINISHED
        assert one.raw_result == (word if over and word != result.value else None)


def test_an_unknown_word_is_judged_by_the_times(world: World, source: GitLab) -> None:
    pipeline = world.create("build")
    world.start(pipeline)
    pipeline.status = "dreaming"
    assert read(source, pipeline).run.status is Status.RUNNING
    pipeline.finished_at = world.now
    run = read(source, pipeline).run
    assert (run.status, run.result, run.raw_result) == (Status.FINISHED, Result.UNKNOWN, "dreaming")


def test_a_job_that_may_fail(world: World, source: GitLab) -> None:
    pipeline = world.create("build", "lint?")
    world.start(pipeline)
    world.end(pipeline, lint="failed")
    details = read(source, pipeline)
    lint = by_name(details)["lint"]
    assert details.run.result is Result.PASSED
    assert (lint.result, lint.extra["allow_failure"]) == (Result.FAILED, True)
    assert lint.extra["failure_reason"] == "script_failure"
    assert "allow_failure" not in by_name(details)["build"].extra


def test_each_attempt_of_a_job_is_a_step(world: World, source: GitLab) -> None:
    pipeline = world.create("build", "unit")
    world.start(pipeline)
    world.end(pipeline, unit="failed")
    old = pipeline.jobs[1]
    world.pass_time(days=400)
    new = world.retry(pipeline, old)
    world.pass_time(minutes=1)
    world.end(pipeline)
    details = read(source, pipeline)
    assert [(s.id, s.position) for s in details.steps] == [
        (str(pipeline.jobs[0].id), 1),
        (str(old.id), 2),
        (str(new.id), 3),
    ]
    assert [s.result.value for s in details.steps] == ["passed", "failed", "passed"]
    assert [s.extra.get("retried") for s in details.steps] == [None, True, None]
    assert details.run.result is Result.PASSED


def test_a_pipeline_that_is_run_again_has_no_end_yet(world: World, source: GitLab) -> None:
    pipeline = world.create("unit")
    world.start(pipeline)
    world.end(pipeline, unit="failed")
    world.pass_time(minutes=5)
    world.retry(pipeline, pipeline.jobs[0])
    assert pipeline.finished_at is not None
    run = read(source, pipeline).run
    assert (run.status, run.finished_at, run.duration_ms) == (Status.RUNNING, None, None)


def test_a_list_item_is_a_stub_with_its_state_and_version(
    world: World, source: GitLab, listing: Listing
) -> None:
    pipeline = world.create("build")
    world.start(pipeline)
    world.pass_time(seconds=3)
    world.end(pipeline, build="failed")
    world.pass_time(minutes=2)
    (item,) = listed(source, listing)
    assert (item.run.status, item.run.result) == (Status.FINISHED, Result.FAILED)
    assert (item.run.started_at, item.run.author) == (None, None)
    assert item.run.version == read(source, pipeline).run.version
    assert item.cursor.at == cut(pipeline.updated_at)
    assert (len(item.cursor.id), int(item.cursor.id)) == (20, pipeline.id)
    assert source.complete(item.run) == read(source, pipeline, item.run.pipeline)


def test_what_changed_just_now_claims_less_than_its_version_so_it_is_read_again(
    world: World, source: GitLab, listing: Listing
) -> None:
    pipeline = world.create("build")
    world.start(pipeline)
    world.pass_time(seconds=61)
    before = read(source, pipeline).run.version
    world.end(pipeline)
    (item,) = listed(source, listing)
    first = read(source, pipeline)
    assert before is not None
    assert item.run.version is not None
    assert first.run.version is not None
    assert before < first.run.version < item.run.version
    assert "coverage" not in first.steps[0].extra
    world.pass_time(seconds=61)
    second = read(source, pipeline)
    assert second.run.version == item.run.version
    assert second.steps[0].extra["coverage"] == 91.5


def test_versions_grow_as_text_whatever_zone_the_server_keeps(
    world: World, source: GitLab, listing: Listing
) -> None:
    pipeline = world.create("build")
    world.spoilt[pipeline.id] = lambda raw: raw | {"updated_at": "2024-05-06T14:00:00.123+02:00"}
    (item,) = listed(source, listing)
    assert item.run.version == "2024-05-06T12:00:00.123Z"


def test_jobs_beyond_a_page(world: World, source: GitLab) -> None:
    pipeline = world.create(*(f"job {n}" for n in range(205)))
    details = read(source, pipeline)
    assert [step.name for step in details.steps] == [f"job {n}" for n in range(205)]
    assert [step.position for step in details.steps] == list(range(1, 206))


def test_jobs_that_arrive_while_they_are_read(
    world: World, source: GitLab, simulator: GitLabSimulator
) -> None:
    pipeline = world.create(*(f"job {n}" for n in range(150)))

    def retry(asked: Asked) -> None:
        if asked.query.get("page") == "2":
            world.retry(pipeline, pipeline.jobs[3])

    simulator.before = retry
    steps = read(source, pipeline).steps
    assert {step.name for step in steps} == {f"job {n}" for n in range(150)}
    assert len({step.id for step in steps}) == len(steps)


def test_a_run_takes_two_requests(world: World, source: GitLab, simulator: GitLabSimulator) -> None:
    (pipeline,) = world.history(1)
    read(source, pipeline)
    assert simulator.paths() == [f"pipelines/{pipeline.id}", f"pipelines/{pipeline.id}/jobs"]


class TestBridges:
    @pytest.fixture
    def pipeline(self, world: World) -> CiPipeline:
        pipeline = world.create("build", "trigger>")
        child = world.create("inner", source="parent_pipeline")
        pipeline.jobs[1].downstream = child.id
        return pipeline

    def test_are_left_out_where_a_request_more_would_be_due(
        self, pipeline: CiPipeline, source: GitLab, simulator: GitLabSimulator
    ) -> None:
        assert list(by_name(read(source, pipeline))) == ["build"]
        assert len(simulator.asked) == 2

    def test_are_steps_where_they_are_wanted(self, pipeline: CiPipeline, source: GitLab) -> None:
        wanted = Pipeline(f"{World.path}?bridges=true")
        details = read(source, pipeline, wanted)
        step = by_name(details)["trigger"]
        assert details.run.pipeline == wanted
        assert (step.position, step.log_url, step.extra["bridge"]) == (2, None, True)
        assert step.extra["downstream_pipeline"]["id"] == pipeline.jobs[1].downstream
        assert "bridge" not in by_name(details)["build"].extra

    def test_are_asked_for_where_there_is_nothing_else(self, world: World, source: GitLab) -> None:
        details = read(source, world.create("trigger>"))
        assert list(by_name(details)) == ["trigger"]
        assert details.run.message is not None

    @pytest.mark.parametrize("why", [{"status": "skipped"}, {"yaml_errors": "no"}])
    def test_are_not_asked_for_where_nothing_ran(
        self, world: World, source: GitLab, simulator: GitLabSimulator, why: dict[str, str]
    ) -> None:
        read(source, world.create(**why))
        assert len(simulator.asked) == 2


def test_child_pipelines_are_a_listing_of_their_own(world: World, source: GitLab) -> None:
    parent, child = world.create("build"), world.create("inner", source="parent_pipeline")
    above = source.listing(PipelineConfig("hub", id=World.path))
    resume_point = source.listing(PipelineConfig("hub", id=f"{World.path}?source=parent_pipeline"))
    assert [item.run.id for item in listed(source, above)] == [str(parent.id)]
    (item,) = listed(source, resume_point)
    assert item.run.id == str(child.id)
    assert source.complete(item.run).run.pipeline.external_id.endswith("?source=parent_pipeline")


@pytest.mark.parametrize("name", [World.path, str(World.number), f"{World.path}?bridges=true"])
def test_a_project_is_named_by_path_or_number(world: World, source: GitLab, name: str) -> None:
    world.create("build")
    listing = source.listing(PipelineConfig("hub", id=name, name="label"))
    assert (listing.key, listing.label) == (f"hub/project/{name}", "label")
    assert [p.external_id for p in listing.pipelines] == [name]
    assert len(listed(source, listing)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "project",
        "https://gitlab.com/group/project",
        "group%2Fproject",
        "group/project/",
        "group/../../x?",
        "group/project?ref=main",
        "group/project&bridges=true",
        "grüppe/project",
        "",
    ],
)
def test_what_is_no_project_is_refused_before_anything_is_asked(source: GitLab, name: str) -> None:
    with pytest.raises(ConfigError, match="is no GitLab project"):
        source.listing(PipelineConfig("hub", id=name))


@pytest.mark.parametrize("kind", ["application_id", "repository"])
def test_the_other_ways_to_name_a_listing_are_not_gitlabs(source: GitLab, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"has no `{kind}`.*write `id`"):
        source.listing(PipelineConfig("hub", **{kind: World.path}))


def test_values_of_variables_are_nowhere(
    world: World, source: GitLab, simulator: GitLabSimulator
) -> None:
    secret = {"variables": [{"key": "A", "value": "hunter2"}], "inputs": {"B": "hunter2"}}
    pipeline = world.create("build", variables=secret["variables"])
    world.spoilt[-pipeline.id] = lambda raw: raw | secret
    assert "hunter2" not in repr(read(source, pipeline))
    assert not any("variables" in asked.path for asked in simulator.asked)


def test_a_deleted_pipeline_is_not_found(world: World, source: GitLab, listing: Listing) -> None:
    pipeline = world.create("build")
    (item,) = listed(source, listing)
    del world.pipelines[pipeline.id]
    with pytest.raises(NotFoundError):
        read(source, pipeline)
    with pytest.raises(NotFoundError) as caught:
        source.complete(item.run)
    assert caught.value.as_of == world.now.replace(microsecond=0)


@pytest.mark.parametrize(
    ("field", "value"), [("id", None), ("name", None), ("status", 7), ("started_at", "yesterday")]
)
def test_a_bad_job_is_set_aside_and_named(
    world: World, source: GitLab, field: str, value: object
) -> None:
    pipeline = world.create("build", "unit")
    bad = pipeline.jobs[1]
    world.spoilt[bad.id] = lambda raw: raw | {field: value}
    details = read(source, pipeline)
    assert [step.name for step in details.steps] == ["build"]
    (problem,) = details.problems
    shown = "(no id)" if field == "id" else str(bad.id)
    assert problem.what.startswith(f"run {pipeline.id}: job {shown}: `{field}`")


def test_a_bad_detail_is_an_error_that_names_it(world: World, source: GitLab) -> None:
    pipeline = world.create("build")
    world.spoilt[-pipeline.id] = lambda raw: raw | {"created_at": None}
    with pytest.raises(SourceError, match=f"hub: run {pipeline.id}: `created_at` is missing"):
        read(source, pipeline)


def test_a_lost_connection_costs_nothing(
    world: World, source: GitLab, simulator: GitLabSimulator
) -> None:
    (pipeline,) = world.history(1)
    expected = read(source, pipeline)
    simulator.refusals = [(502, {}, "<html>"), (200, {}, "[{")]
    assert read(source, pipeline) == expected


def test_times_are_cut_to_the_provider_s_own(world: World, source: GitLab) -> None:
    pipeline = world.create("build")
    world.pass_time(microseconds=1)
    world.start(pipeline)
    assert pipeline.started_at == pipeline.created_at + timedelta(microseconds=1)
    assert read(source, pipeline).run.queued_ms == 0

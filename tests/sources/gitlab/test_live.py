"""The live API for people, and what a GitLab says when it refuses."""

import time
from typing import Any

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import (
    ConfigError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    TokenRefusedError,
)
from runsync.http.client import Limits
from runsync.records import Pipeline, Problem, Result, Run, Status
from runsync.sources import open_source
from runsync.sources.base import Discovered, Listing, RunFilter, TriggerRequest
from runsync.sources.gitlab.source import GitLab
from tests.sources.gitlab.rig import opened
from tests.sources.gitlab.simulator import Asked, GitLabSimulator, World

PROJECT = Pipeline(World.path)


def found(source: GitLab, **wanted: Any) -> list[int]:
    return [int(run.id) for run in source.find_runs(RunFilter(pipeline=World.path, **wanted))]


class TestFindRuns:
    @pytest.fixture
    def ids(self, world: World) -> list[int]:
        made = world.history(24, seed=3)
        made += [world.create("build", ref="feature", user="bob", status="running")]
        made += [world.create("build", status="skipped"), world.create("build", status="manual")]
        world.move(made[0], "running")
        return [pipeline.id for pipeline in reversed(made)]

    def test_newest_first(self, source: GitLab, ids: list[int]) -> None:
        assert found(source) == ids[:20]
        assert found(source, sort="creationDateDesc", limit=3) == ids[:3]
        assert found(source, sort="creationDateAsc", limit=3) == ids[:-4:-1]

    def test_pages(self, source: GitLab, ids: list[int], simulator: GitLabSimulator) -> None:
        assert found(source, limit=10, skip=20) == ids[20:30]
        assert found(source, limit=500) == ids
        # A page has a hundred at most, so that is the second.
        assert found(source, limit=500, skip=100) == []
        assert len(simulator.asked) == 3

    def test_filters(self, source: GitLab, ids: list[int], world: World) -> None:
        assert found(source, branch="feature") == [ids[2]]
        assert found(source, author="bob") == [ids[2]]
        assert found(source, commit=world.pipelines[ids[7]].sha) == [ids[7]]
        assert found(source, status="manual") == [ids[0]]
        assert found(source, status="running") == [ids[2], ids[-1]]
        assert found(source, result="skipped") == [ids[1]]
        failed = [i for i in ids if world.pipelines[i].status == "failed"]
        assert found(source, result="failed") == found(source, status="failed") == failed[:20]
        assert found(source, result="failed", status="finished") == failed[:20]
        assert found(source, result="passed", branch="feature") == []

    @pytest.mark.parametrize(
        "wanted",
        [
            {"application": "x"},
            {"source_run": "1"},
            {"status": "finished"},
            {"status": "notstarted"},
            {"result": "unknown"},
            {"status": "running", "result": "failed"},
            {"sort": "authorAsc"},
            {"skip": 7},
        ],
    )
    def test_what_gitlab_cannot_is_refused_by_name(
        self, source: GitLab, simulator: GitLabSimulator, wanted: dict[str, Any]
    ) -> None:
        name, value = next(iter(wanted.items()))
        with pytest.raises(RefusedError, match=rf"GitLab cannot list runs by {name} \('?{value}"):
            found(source, **wanted)
        assert simulator.asked == []

    def test_of_no_project(self, source: GitLab) -> None:
        with pytest.raises(RefusedError, match="finds runs only by project"):
            source.find_runs(RunFilter())
        with pytest.raises(ConfigError, match="is no GitLab project"):
            source.find_runs(RunFilter(pipeline="nothing"))

    def test_a_run_is_a_whole_stub(self, source: GitLab, ids: list[int]) -> None:
        (run,) = source.find_runs(RunFilter(pipeline=World.path, status="manual"))
        assert (run.pipeline, run.status, run.branch) == (PROJECT, Status.NOTSTARTED, "main")


class TestTrigger:
    def test_with_variables_in_their_order(
        self, world: World, source: GitLab, simulator: GitLabSimulator
    ) -> None:
        simulator.scopes = ["api"]
        run = source.trigger(
            TriggerRequest(World.path, branch="feature", env=(("B", "zwei"), ("A", "eins")))
        )
        pipeline = world.pipelines[int(run.id)]
        assert (pipeline.ref, pipeline.source) == ("feature", "api")
        assert pipeline.variables == [{"key": "B", "value": "zwei"}, {"key": "A", "value": "eins"}]
        assert (run.status, run.author, run.branch) == (Status.NOTSTARTED, "ada", "feature")
        assert run.pipeline == PROJECT
        assert "eins" not in repr(run)

    def test_on_the_default_branch(
        self, world: World, source: GitLab, simulator: GitLabSimulator
    ) -> None:
        simulator.scopes = ["api"]
        run = source.trigger(TriggerRequest(f"{World.path}?bridges=true"))
        assert world.pipelines[int(run.id)].ref == "main"

    @pytest.mark.parametrize("name", ["commit", "message", "source_run"])
    def test_what_gitlab_cannot_is_refused_by_name(
        self, source: GitLab, simulator: GitLabSimulator, name: str
    ) -> None:
        wanted: dict[str, Any] = {name: "x"}
        with pytest.raises(RefusedError, match=rf"cannot trigger runs by {name} \('x'\)"):
            source.trigger(TriggerRequest(World.path, **wanted))
        assert simulator.asked == []

    def test_on_a_branch_that_is_not(self, source: GitLab, simulator: GitLabSimulator) -> None:
        simulator.scopes = ["api"]
        with pytest.raises(RefusedError, match="answered 400"):
            source.trigger(TriggerRequest(World.path, branch="nowhere"))

    def test_is_never_sent_twice(self, source: GitLab, simulator: GitLabSimulator) -> None:
        simulator.refusals = [(502, {}, "")]
        with pytest.raises(Exception, match="sent once"):
            source.trigger(TriggerRequest(World.path, branch="main"))
        assert len(simulator.asked) == 1

    def test_takes_more_than_read_api(self, source: GitLab) -> None:
        with pytest.raises(TokenRefusedError, match="403"):
            source.trigger(TriggerRequest(World.path, branch="main"))


def test_abort(world: World, source: GitLab, simulator: GitLabSimulator) -> None:
    simulator.scopes = ["api"]
    pipeline = world.create("build", "unit")
    world.start(pipeline)
    world.pass_time(minutes=2)
    run = source.abort(PROJECT, str(pipeline.id))
    assert (run.status, run.result, run.raw_result) == (Status.FINISHED, Result.ABORTED, "canceled")
    assert source.reread(PROJECT, run.id).steps[0].result is Result.ABORTED
    assert simulator.paths()[0] == f"pipelines/{pipeline.id}/cancel"


@pytest.mark.parametrize("pipeline", [None, Pipeline("")])
def test_a_run_of_no_project_cannot_be_found(source: GitLab, pipeline: Pipeline | None) -> None:
    with pytest.raises((RefusedError, ConfigError), match="project"):
        source.abort(pipeline, "1")


class TestLog:
    @pytest.fixture
    def run(self, world: World, source: GitLab) -> Run:
        pipeline = world.create("build", "unit", "trigger>")
        world.start(pipeline)
        world.end(pipeline)
        return source.reread(Pipeline(f"{World.path}?bridges=true"), str(pipeline.id)).run

    def log(self, source: GitLab, run: Run, number: int) -> str:
        return source.log(run.pipeline, run.id, source.complete(run).steps[number])

    def test_of_a_job(self, world: World, source: GitLab, run: Run) -> None:
        job = world.pipelines[int(run.id)].jobs[1]
        job.trace = "\x1b[32mfine\x1b[0m é\n"
        assert self.log(source, run, 1) == job.trace

    def test_that_was_erased(self, world: World, source: GitLab, run: Run) -> None:
        world.pipelines[int(run.id)].jobs[0].erased_at = world.now
        with pytest.raises(NotFoundError, match="has no log, or it was erased"):
            self.log(source, run, 0)

    def test_of_a_bridge(self, source: GitLab, run: Run) -> None:
        with pytest.raises(NotFoundError, match="404"):
            self.log(source, run, 2)


class TestAccess:
    def test_of_a_good_token(self, world: World, source: GitLab) -> None:
        access = source.access()
        assert (access.account, access.scopes, access.missing_scopes) == ("ada", ("read_api",), ())
        assert (access.limit_left, access.limit) == (1987, 2000)
        assert access.clock == world.now.replace(microsecond=0)

    def test_api_is_enough(self, source: GitLab, simulator: GitLabSimulator) -> None:
        simulator.scopes = ["api", "read_repository"]
        assert source.access().missing_scopes == ()

    def test_of_a_token_for_other_things(self, source: GitLab, simulator: GitLabSimulator) -> None:
        simulator.scopes = ["read_repository"]
        access = source.access()
        assert (access.account, access.missing_scopes) == (None, ("read_api",))

    def test_of_a_wrong_token(self, simulator: GitLabSimulator) -> None:
        simulator.token = "glpat-another"
        with opened(simulator) as source:
            simulator.token = "glpat-right"
            with pytest.raises(TokenRefusedError) as caught:
                source.access()
        assert "glpat-another" not in str(caught.value)


def test_a_public_project_needs_no_token(world: World, simulator: GitLabSimulator) -> None:
    simulator.token = None  # type: ignore[assignment]
    source = GitLab(SourceConfig("hub", "gitlab", simulator.url))
    pipeline = world.create("build")
    assert source.reread(PROJECT, str(pipeline.id)).run.id == str(pipeline.id)
    source.close()


def test_a_moved_project_is_followed(
    world: World, source: GitLab, simulator: GitLabSimulator
) -> None:
    simulator.old_path = "group/old"
    world.create("build")
    listing = source.listing(PipelineConfig("hub", id="group/old"))
    (page,) = source.pages(listing, None, {})
    assert len(page.items) == 1
    # The list, and the project for its default branch, each at its new place.
    assert [asked.path.split("/")[4] for asked in simulator.asked] == ["group%2Fold", "278964"] * 2


class TestRateLimit:
    def test_is_waited_for(
        self, source: GitLab, listing: Listing, simulator: GitLabSimulator
    ) -> None:
        simulator.refusals = [(429, {"Retry-After": "1"}, "Retry later\n")]
        began = time.monotonic()
        list(source.pages(listing, None, {}))
        assert 0.9 < time.monotonic() - began < 5
        assert len(simulator.asked) == 2

    def test_by_its_reset_where_it_says_no_more(
        self, world: World, source: GitLab, listing: Listing, simulator: GitLabSimulator
    ) -> None:
        reset = str(int(world.now.timestamp()) + 1)
        headers = {"RateLimit-Remaining": "0", "RateLimit-Reset": reset}
        simulator.refusals = [(429, headers, "Retry later\n")]
        began = time.monotonic()
        list(source.pages(listing, None, {}))
        assert 0.9 < time.monotonic() - began < 5

    def test_that_takes_too_long_is_an_error(
        self, simulator: GitLabSimulator, source: GitLab, listing: Listing
    ) -> None:
        simulator.refusals = [(429, {"Retry-After": "3600"}, "Retry later\n")] * 4
        with pytest.raises(RateLimitedError, match="3600 s"):
            list(source.pages(listing, None, {}))


def test_below_a_path_of_its_own(simulator: GitLabSimulator, world: World) -> None:
    simulator.token = None  # type: ignore[assignment]
    config = SourceConfig("hub", "gitlab", f"{simulator.url}/ci")
    seen: list[Asked] = []
    simulator.before = seen.append
    with pytest.raises(NotFoundError):
        GitLab(config).reread(PROJECT, "1")
    assert seen[0].path.startswith("/ci/api/v4/projects/group%2Fsub%2Fproject/")


def test_it_is_opened_by_its_type() -> None:
    config = SourceConfig("gitlab", "gitlab", "https://gitlab.com")
    source = open_source(config, concurrency=2)
    assert isinstance(source, GitLab)
    assert source.headers("t") == {"PRIVATE-TOKEN": "t"}
    assert source.headers(None) == {}


def test_it_gives_up_no_sooner_than_told(simulator: GitLabSimulator) -> None:
    quick = Limits(tries=2, first_pause=0.01)
    simulator.refusals = [(503, {}, "")] * 9
    with opened(simulator, quick) as source, pytest.raises(Exception, match="2 times"):
        source.reread(PROJECT, "1")


def test_a_project_that_cannot_be_read_is_named_and_hides_no_other(
    source: GitLab, simulator: GitLabSimulator
) -> None:
    honest = simulator._projects
    simulator._projects = lambda query: [{"id": 1}, *honest(query)]  # type: ignore[method-assign]
    problem, *found = source.discover()
    assert problem == Problem("an entry of the projects: `path_with_namespace` is missing")
    assert len(found) == 3


def test_a_token_sees_the_projects_of_its_user(source: GitLab, world: World) -> None:
    world.projects = 230
    found = [one for one in source.discover() if isinstance(one, Discovered)]
    assert len({one.value for one in found}) == len(found) == 230
    assert found[0] == Discovered("id", f"{world.path}278964", "Group / Sub / Project 278964")
    source.listing(PipelineConfig("hub", id=found[0].value))

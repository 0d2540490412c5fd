"""The live API for people, and what CircleCI says when it refuses."""

import json
import time
from typing import Any

import pytest

from runsync.config import SourceConfig
from runsync.errors import (
    ConfigError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SourceError,
)
from runsync.errors import TokenRefusedError as Refused
from runsync.records import Pipeline, Problem
from runsync.sources import open_source
from runsync.sources.base import Discovered, Listing, RunFilter, TriggerRequest
from runsync.sources.circleci.source import CircleCI
from tests.sources.circleci.rig import opened
from tests.sources.circleci.simulator import CircleSimulator
from tests.sources.circleci.world import World

PIPELINE = Pipeline(f"{World.slug}/build-and-test")


def found(source: CircleCI, pipeline: str = World.slug, **wanted: Any) -> list[str]:
    return [run.id for run in source.find_runs(RunFilter(pipeline=pipeline, **wanted))]


class TestFindRuns:
    @pytest.fixture
    def ids(self, world: World) -> list[str]:
        made = world.history(24, "build-and-test", "nightly", seed=3)
        made += world.push("build-and-test", branch="dev").workflows
        every = [(w.created_at, str(w.id)) for w in made]
        return [run_id for _, run_id in sorted(every, reverse=True)]

    def test_newest_first(self, source: CircleCI, ids: list[str]) -> None:
        assert found(source) == ids[:20]
        assert found(source, limit=3, sort="creationDateDesc") == ids[:3]
        assert found(source, limit=4, skip=30) == ids[30:34]
        assert found(source, limit=100) == ids

    def test_of_one_workflow_and_branch(self, source: CircleCI, ids: list[str]) -> None:
        assert len(found(source, f"{World.slug}/nightly", limit=99)) == 24
        assert found(source, branch="dev") == ids[:1]
        assert found(source, branch="nowhere") == []

    @pytest.mark.parametrize("name", ["status", "result", "commit", "author", "source_run", "sort"])
    def test_what_circleci_cannot_is_refused_by_name(
        self, source: CircleCI, simulator: CircleSimulator, name: str
    ) -> None:
        wanted: dict[str, Any] = {name: "x"}
        with pytest.raises(RefusedError, match=rf"CircleCI cannot list runs by {name} \('x'\)"):
            found(source, **wanted)
        assert simulator.asked == []

    def test_of_no_project(self, source: CircleCI, simulator: CircleSimulator) -> None:
        with pytest.raises(ConfigError, match="no project of CircleCI's"):
            source.find_runs(RunFilter(pipeline="../x"))
        with pytest.raises(ConfigError, match="no project of CircleCI's"):
            source.find_runs(RunFilter())
        assert simulator.asked == []


class TestTrigger:
    def test_with_parameters_in_their_order(
        self, source: CircleCI, simulator: CircleSimulator
    ) -> None:
        env = (("B", "zwei"), ("A", "eins"))
        # CircleCI only says that it will come.
        source.trigger(TriggerRequest(World.slug, branch="dev", env=env))
        (sent,) = simulator.sent
        assert sent == {"branch": "dev", "parameters": {"B": "zwei", "A": "eins"}}
        assert list(sent["parameters"]) == ["B", "A"]

    def test_on_the_default_branch(self, source: CircleCI, simulator: CircleSimulator) -> None:
        source.trigger(TriggerRequest(PIPELINE.external_id))
        assert simulator.sent == [{}]

    @pytest.mark.parametrize("name", ["commit", "message", "source_run"])
    def test_what_circleci_cannot_is_refused_by_name(
        self, source: CircleCI, simulator: CircleSimulator, name: str
    ) -> None:
        wanted: dict[str, Any] = {name: "x"}
        with pytest.raises(RefusedError, match=rf"cannot trigger runs by {name} \('x'\)"):
            source.trigger(TriggerRequest(World.slug, **wanted))
        with pytest.raises(RefusedError, match="no OAuth app"):
            source.trigger(TriggerRequest("circleci/a/b"))
        assert simulator.asked == []

    def test_is_never_sent_twice(self, source: CircleCI, simulator: CircleSimulator) -> None:
        simulator.refusals = [(502, {}, "")]
        with pytest.raises(Exception, match="sent once"):
            source.trigger(TriggerRequest(World.slug))
        assert len(simulator.asked) == 1


def test_abort(world: World, source: CircleCI) -> None:
    workflow = world.push("build-and-test").workflows[0]
    source.abort(None, str(workflow.id))
    run = source.find_run(PIPELINE, str(workflow.id)).run
    assert (run.result, run.extra["canceled_by"]) == ("aborted", "user-2")


class TestLog:
    def log(self, world: World, source: CircleCI, number: int = 0) -> str:
        (_, workflow) = next(world.workflows())
        steps = source.reread(PIPELINE, str(workflow.id)).steps
        return source.log(PIPELINE, str(workflow.id), steps[number])

    def test_of_a_job(self, world: World, source: CircleCI, simulator: CircleSimulator) -> None:
        world.history(1)
        simulator.logs[1] = {(99, 0): "one\n", (101, 0): "two é\x1b[0m", (101, 1): "three\n"}
        assert self.log(world, source) == "one\ntwo é\x1b[0m\nthree\n"
        asked = [one.path for one in simulator.asked[-4:]]
        home = "/api/v1.1/project/github/acme/shop/1"
        assert asked == [home, *(f"{home}/output/{n}" for n in ("99/0", "101/0", "101/1"))]

    def test_that_is_not(self, world: World, source: CircleCI) -> None:
        world.history(1)
        with pytest.raises(NotFoundError, match="job 1 has no log, or none any more"):
            self.log(world, source)

    def test_of_a_job_that_never_ran(self, world: World, source: CircleCI) -> None:
        world.cancel(world.push("build-and-test").workflows[0])
        with pytest.raises(NotFoundError, match="'unit' never ran"):
            self.log(world, source, 1)

    def test_of_a_run_whose_pipeline_nobody_knows(
        self, world: World, source: CircleCI, simulator: CircleSimulator
    ) -> None:
        (workflow,) = world.history(1)
        simulator.logs[1] = {(99, 0): "one\n"}
        found = source.find_run(Pipeline(""), str(workflow.id))
        assert found.steps == source.find_run(PIPELINE, str(workflow.id)).steps
        assert found.run.pipeline.external_id == PIPELINE.external_id
        assert source.log(None, str(workflow.id), found.steps[0]) == "one\n"


class TestAccess:
    def test_of_a_good_token(self, world: World, source: CircleCI) -> None:
        access = source.access()
        assert (access.account, access.scopes, access.missing_scopes) == ("ada", None, ())
        assert (access.limit_left, access.limit) == (None, None)
        assert access.clock == world.now.replace(microsecond=0)

    def test_of_a_wrong_token(self, simulator: CircleSimulator) -> None:
        with opened(simulator) as source:
            assert source.client is not None
            simulator.token = "CCIPAT_right"
            with pytest.raises(Refused) as caught:
                source.access()
        assert "s3cret" not in str(caught.value)


def test_discover(source: CircleCI) -> None:
    app = "circleci/00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002"
    assert list(source.discover()) == [
        Discovered("repository", "gh/acme/shop", title="shop", within="acme"),
        Discovered("repository", app, title="app", within="acme"),
    ]


def test_what_is_no_project_is_named(source: CircleCI, simulator: CircleSimulator) -> None:
    own = {"vcs_type": "github", "username": "acme", "reponame": "shop"}
    bad: list[Any] = [
        None,
        own | {"reponame": None},
        own | {"reponame": 5},
        own | {"username": ".."},
    ]
    simulator.refusals = [(200, {}, json.dumps([*bad, own, own]))]
    found = list(source.discover())
    assert [isinstance(one, Problem) for one in found] == [True] * 4 + [False]


class TestRateLimit:
    def test_is_waited_for(
        self, source: CircleCI, listing: Listing, simulator: CircleSimulator
    ) -> None:
        simulator.refusals = [(429, {"Retry-After": "1"}, '{"message": "Too many requests"}')]
        began = time.monotonic()
        list(source.pages(listing, None, {}))
        assert 0.9 < time.monotonic() - began < 10
        assert len(simulator.asked) == 2

    def test_that_takes_too_long_is_an_error(
        self, simulator: CircleSimulator, source: CircleCI, listing: Listing
    ) -> None:
        simulator.refusals = [(429, {"Retry-After": "3600"}, "{}")] * 4
        with pytest.raises(RateLimitedError, match="3600 s"):
            list(source.pages(listing, None, {}))


def test_it_is_opened_by_its_type() -> None:
    config = SourceConfig("circleci", "circleci", "https://circleci.com")
    source = open_source(config, concurrency=2)
    assert isinstance(source, CircleCI)
    assert source.headers("t") == {"Circle-Token": "t"}
    assert source.headers(None) == {}


def test_what_cannot_be_read_is_the_source_s_error(
    world: World, source: CircleCI, simulator: CircleSimulator
) -> None:
    (workflow,) = world.history(1)
    step = source.reread(PIPELINE, str(workflow.id)).steps[0]
    world.spoilt[str(workflow.id)] = lambda raw: raw | {"status": None}
    with pytest.raises(SourceError, match="`status` is missing"):
        found(source)
    with pytest.raises(SourceError, match="`status` is missing"):
        source.find_run(PIPELINE, str(workflow.id))
    simulator.answer = lambda *_: (200, {"steps": [7], "login": 7})  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="an object is due"):
        source.log(PIPELINE, str(workflow.id), step)
    with pytest.raises(SourceError, match="`login` must be text"):
        source.access()
    with pytest.raises(SourceError, match="the projects: a list is due"):
        list(source.discover())

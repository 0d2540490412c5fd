"""The live API for people, and what Azure DevOps says when it refuses."""

import json
from dataclasses import astuple
from typing import Any

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import ConfigError, NotFoundError, RefusedError, SourceError
from runsync.records import Pipeline, Problem
from runsync.sources.azure.source import Azure
from runsync.sources.base import Discovered, RunFilter, TriggerRequest
from tests.sources.azure.rig import ID, opened
from tests.sources.azure.simulator import AzureSimulator
from tests.sources.azure.world import World

PIPELINE = Pipeline(ID)


def found(source: Azure, **wanted: Any) -> list[int]:
    return [int(run.id) for run in source.find_runs(RunFilter(**({"pipeline": ID} | wanted)))]


class TestFindRuns:
    @pytest.fixture
    def ids(self, world: World) -> list[int]:
        made = world.history(22, seed=3)
        made += [world.queue(branch="refs/heads/feature"), world.start(world.queue())]
        return [build.id for build in reversed(made)]

    def test_newest_first(self, source: Azure, ids: list[int]) -> None:
        assert sorted(found(source)[:2]) == sorted(ids[:2])
        assert found(source)[2:] == ids[2:20]
        assert found(source, sort="creationDateAsc", limit=3) == ids[:-4:-1]
        assert found(source, limit=5, skip=10) == ids[10:15]

    def test_filters(self, source: Azure, ids: list[int], world: World) -> None:
        failed = [i for i in ids if world.builds[i].result == "failed"]
        assert found(source, result="failed") == failed
        assert found(source, result="failed", status="finished") == failed
        assert found(source, status="running") == [ids[0]]
        assert found(source, status="notstarted") == [ids[1]]
        assert found(source, branch="feature") == [ids[1]]
        assert found(source, branch="refs/heads/feature") == [ids[1]]
        assert found(source, author="Ada Lovelace", limit=2, skip=2) == ids[2:4]
        assert found(source, author="nobody") == []
        assert found(source, pipeline=None, application="Fiber Git", limit=1, skip=2) == [ids[2]]

    @pytest.mark.parametrize(
        "wanted",
        [
            {"commit": "abc"},
            {"source_run": "1"},
            {"status": "started"},
            {"result": "unknown"},
            {"sort": "authorAsc"},
            {"skip": 5000},
            {"pipeline": None},
        ],
    )
    def test_what_azure_cannot_is_refused_unasked(
        self, source: Azure, simulator: AzureSimulator, wanted: dict[str, Any]
    ) -> None:
        with pytest.raises(RefusedError):
            found(source, **wanted)
        assert simulator.asked == []


@pytest.mark.parametrize("text", ["../../etc", "", "12x", "-1", "1/../2", "\u0661"])
def test_what_is_no_id_is_refused_unasked(
    simulator: AzureSimulator, source: Azure, text: str
) -> None:
    for ask in (source.find_run, source.abort):
        with pytest.raises(RefusedError, match="no id of a build"):
            ask(PIPELINE, text)
    assert simulator.asked == []


def test_a_run_by_its_id(world: World, source: Azure) -> None:
    build = world.end(world.start(world.queue()), "test")
    assert len(source.find_run(PIPELINE, str(build.id)).steps) == 7
    with pytest.raises(NotFoundError):
        source.find_run(PIPELINE, "99999")
    with pytest.raises(NotFoundError, match="is of fiber git/12, not of fiber git/13"):
        source.find_run(Pipeline("fiber git/13"), str(build.id))


def test_another_run_than_was_asked_for_is_refused(world: World, source: Azure) -> None:
    one, two = world.history(2)
    world.spoilt[-one.id] = lambda raw: {**raw, "id": two.id}
    with pytest.raises(SourceError, match=f"run {one.id} was asked for, and run {two.id} came"):
        source.find_run(PIPELINE, str(one.id))


def test_a_log(world: World, simulator: AzureSimulator, source: Azure) -> None:
    build = world.end(world.start(world.queue()))
    steps = source.find_run(PIPELINE, str(build.id)).steps
    step = next(s for s in steps if s.name == "test")
    log = step.extra["log"]
    assert source.log(PIPELINE, str(build.id), step) == f"log {log} of {build.id}\ndone\n"
    simulator.refusals = [(200, {"Content-Type": "text/plain"}, '{"value": ["plain"]}\n')]
    assert source.log(PIPELINE, str(build.id), step) == '{"value": ["plain"]}\n'
    for odd in ("[]", "{}", '{"value": 5}', "null", "[" * 9000):
        simulator.refusals = [(200, {}, odd)]
        with pytest.raises(SourceError, match="has no lines"):
            source.log(PIPELINE, str(build.id), step)
    simulator.refusals = [(302, {"Location": "https://elsewhere.example/log"}, "")]
    with pytest.raises(SourceError, match="not followed"):
        source.log(PIPELINE, str(build.id), step)
    checkpoint = next(s for s in steps if s.phase == "checkpoint")
    with pytest.raises(NotFoundError, match="has no log"):
        source.log(PIPELINE, str(build.id), checkpoint)
    with pytest.raises(RefusedError):
        source.log(None, str(build.id), step)


def test_a_run_is_queued_once(world: World, simulator: AzureSimulator, source: Azure) -> None:
    run = source.trigger(TriggerRequest(ID, branch="main", commit="c0ffee", env=(("A", "1"),)))
    assert run is not None
    assert (run.status, run.commit_hash, run.branch) == ("notstarted", "c0ffee", "main")
    (body,) = simulator.bodies
    assert body == {
        "definition": {"id": 12},
        "sourceBranch": "refs/heads/main",
        "sourceVersion": "c0ffee",
        "parameters": json.dumps({"A": "1"}),
    }
    simulator.refusals = [(503, {}, "")] * 3
    with pytest.raises(SourceError, match="may have been carried out"):
        source.trigger(TriggerRequest(ID))
    assert len(simulator.refusals) == 2
    for wanted in (TriggerRequest(ID, message="x"), TriggerRequest(ID, source_run="1")):
        with pytest.raises(RefusedError):
            source.trigger(wanted)


def test_a_run_is_aborted(world: World, simulator: AzureSimulator, source: Azure) -> None:
    build = world.start(world.queue())
    run = source.abort(PIPELINE, str(build.id))
    assert run is not None
    assert (run.status, run.raw_status) == ("running", "cancelling")
    world.cancel(build)
    with pytest.raises(RefusedError, match="completed already"):
        source.abort(PIPELINE, str(build.id))
    with pytest.raises(RefusedError, match="name it as well"):
        source.abort(None, str(build.id))


def test_what_a_token_may_do(simulator: AzureSimulator) -> None:
    simulator.extra_headers = {"X-RateLimit-Remaining": "150", "X-RateLimit-Limit": "200"}
    with opened(simulator) as source:
        access = source.access()
    assert (access.account, access.scopes, access.missing_scopes) == ("Ada Lovelace", None, ())
    assert (access.limit_left, access.limit) == (150, 200)
    assert access.clock == simulator.world.now.replace(microsecond=0)
    simulator.scopes = set()
    with opened(simulator) as source:
        assert source.access().missing_scopes == ("vso.build",)


def test_what_a_token_can_see(world: World, source: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runsync.sources.azure.live._MOST_LISTED", 1)
    seen = [astuple(one) for one in source.discover()]
    assert seen == [
        ("application_id", "Fiber Git", "Fiber Git", None),
        ("id", "Fiber Git/12", "team\\fiber-ci", "Fiber Git"),
        ("id", "Fiber Git/13", "team\\nightly", "Fiber Git"),
    ]
    for key, value, _, _ in seen:
        source.listing(PipelineConfig("hub", **{key: value}))


def test_a_list_that_repeats_itself_is_refused(simulator: AzureSimulator, source: Azure) -> None:
    row = {"id": "p", "name": "Fiber Git"}
    simulator.refusals = [
        (200, {"x-ms-continuationtoken": "1"}, json.dumps({"count": 1, "value": value}))
        for value in ([row], [{"id": 12, "name": "a"}], [{"id": 12, "name": "a"}])
    ]
    with pytest.raises(SourceError, match="pages without an end"):
        list(source.discover())


def test_what_cannot_be_read_is_named_and_the_rest_is_listed(
    simulator: AzureSimulator, source: Azure
) -> None:
    good = {"id": "p", "name": "Fiber Git"}
    bad: list[Any] = [None, {"name": ""}, {}, {"name": "a/b"}]
    rows = [None, {"id": 1, "name": None}, {"id": 12, "name": "a"}]
    simulator.refusals = [
        (200, {}, json.dumps({"count": len(value), "value": value}))
        for value in ([*bad, good], rows)
    ]
    seen = list(source.discover())
    assert sum(isinstance(one, Problem) for one in seen) == 4 + 2
    assert [one.value for one in seen if isinstance(one, Discovered)] == [
        "Fiber Git",
        "Fiber Git/12",
    ]


@pytest.mark.parametrize("status", [403, 404])
def test_a_project_whose_definitions_may_not_be_seen_hides_no_other(
    simulator: AzureSimulator, source: Azure, status: int
) -> None:
    told = [{"name": "closed"}, {"name": "Fiber Git"}]
    simulator.refusals = [
        (200, {}, json.dumps({"count": 2, "value": told})),
        (status, {}, "{}"),
    ]
    seen = list(source.discover())
    assert [one.value for one in seen if isinstance(one, Discovered)] == [
        "closed",
        "Fiber Git",
        "Fiber Git/12",
        "Fiber Git/13",
    ]
    (problem,) = [one for one in seen if isinstance(one, Problem)]
    assert f"/closed/_apis/build/definitions answered {status}" in problem.what


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://dev.azure.com/fabrikam", True),
        ("https://dev.azure.com", False),
        ("https://dev.azure.com/fabrikam/project", False),
        ("https://fabrikam.visualstudio.com", True),
        ("https://tfs.example.org/tfs/DefaultCollection", True),
    ],
)
def test_base_url_names_the_organisation(url: str, fine: bool) -> None:
    source = Azure(SourceConfig("hub", "azure", url))
    if fine:
        assert source.listing(PipelineConfig("hub", id="P/1")).key == "hub/definition/p/1"
    else:
        with pytest.raises(ConfigError, match="names no organisation"):
            source.listing(PipelineConfig("hub", id="P/1"))


@pytest.mark.parametrize("name", ["R&D", "A (old)", "it's", "Über uns", "a.b_c-d", "x"])
def test_a_project_may_be_called_so(source: Azure, name: str) -> None:
    listing = source.listing(PipelineConfig("hub", application_id=name))
    assert listing.key == f"hub/application/{name.lower()}"


def test_the_token_goes_as_a_password_and_is_never_shown(simulator: AzureSimulator) -> None:
    assert Azure.headers(None) == {"X-TFS-FedAuthRedirect": "Suppress"}
    simulator.refusals = [(400, {}, json.dumps({"message": f"odd: {simulator.token}"}))]
    with opened(simulator) as source, pytest.raises(RefusedError) as raised:
        source.access()
    assert simulator.token not in str(raised.value)
    assert "odd: ***" in str(raised.value)

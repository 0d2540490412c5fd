"""The live API for people, and what a Buildkite says when it refuses."""

from typing import Any

import pytest

from runsync.errors import (
    ConfigError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import Limits
from runsync.records import Pipeline, Status
from runsync.sources.base import Access, Discovered, RunFilter, TriggerRequest
from runsync.sources.buildkite.source import Buildkite
from tests.sources.buildkite.rig import opened
from tests.sources.buildkite.simulator import Asked, BuildkiteSimulator, RefusalError
from tests.sources.buildkite.world import World, creator_id

WEB = Pipeline("acme-inc/web")


def found(source: Buildkite, **wanted: Any) -> list[int]:
    wanted = {"pipeline": "acme-inc/web", **wanted}
    return [int(run.id) for run in source.find_runs(RunFilter(**wanted))]


class TestFindRuns:
    @pytest.fixture
    def ids(self, world: World) -> list[int]:
        world.history(24)
        world.create("unit", branch="feature", creator="Bob", state="running")
        world.pass_time(minutes=1)
        world.create("unit", state="skipped")
        world.pass_time(minutes=1)
        world.start(world.create("unit", "!Go?"))
        world.end(world.builds[-1])
        return [build.number for build in reversed(world.builds)]

    def test_newest_first_and_paged(
        self, source: Buildkite, ids: list[int], simulator: BuildkiteSimulator
    ) -> None:
        assert found(source) == ids[:20]
        assert found(source, sort="creationDateDesc", limit=3) == ids[:3]
        assert found(source, limit=10, skip=20) == ids[20:30]
        assert found(source, limit=500) == ids
        assert len(simulator.asked) == 4

    def test_filters(self, source: Buildkite, ids: list[int], world: World) -> None:
        states = {build.number: build.state for build in world.builds}
        assert found(source, branch="feature") == [25]
        assert found(source, author=creator_id("Bob")) == [25]
        assert found(source, commit=f"{7:040x}") == [7]
        assert found(source, status="running") == [25]
        assert found(source, status="blocked") == [27]
        assert found(source, result="skipped") == [26]
        failed = [number for number in ids if states[number] == "failed"]
        assert found(source, result="failed") == found(source, status="failed") == failed[:20]
        assert found(source, result="failed", status="finished") == failed[:20]
        assert found(source, result="passed", branch="feature") == []

    def test_of_an_organisation(self, source: Buildkite, world: World) -> None:
        world.pipelines["api"] = "main"
        world.history(2, pipeline="api")
        world.history(1)
        runs = source.find_runs(RunFilter(application="acme-inc"))
        assert [run.pipeline.external_id for run in runs] == [
            "acme-inc/web",
            "acme-inc/api",
            "acme-inc/api",
        ]

    @pytest.mark.parametrize(
        "wanted",
        [
            {"source_run": "1"},
            {"status": "started"},
            {"result": "unknown"},
            {"status": "running", "result": "failed"},
            {"sort": "authorAsc"},
            {"skip": 7},
            {"author": "Bob"},
        ],
    )
    def test_what_buildkite_cannot_is_refused_by_name(
        self, source: Buildkite, simulator: BuildkiteSimulator, wanted: dict[str, Any]
    ) -> None:
        name, value = next(iter(wanted.items()))
        with pytest.raises(RefusedError, match=rf"cannot list runs by {name} \('?{value}"):
            found(source, **wanted)
        assert simulator.asked == []

    def test_of_nothing(self, source: Buildkite, simulator: BuildkiteSimulator) -> None:
        with pytest.raises(RefusedError, match="finds builds by pipeline"):
            source.find_runs(RunFilter())
        with pytest.raises(ConfigError, match="is no Buildkite pipeline"):
            source.find_runs(RunFilter(pipeline="web"))
        with pytest.raises(ConfigError, match="is no Buildkite organisation"):
            source.find_runs(RunFilter(application="../x"))
        assert simulator.asked == []


def test_one_build(world: World, source: Buildkite) -> None:
    build = world.history(2)[1]
    details = source.find_run(WEB, "2")
    assert details.run.web_url == f"{source.client.base_url}/acme-inc/web/builds/2"
    assert [step.id for step in details.steps] == [j.id for j in build.jobs if j.type == "script"]
    assert details.as_of == world.now.replace(microsecond=0)


def test_the_log_of_a_step(world: World, simulator: BuildkiteSimulator, source: Buildkite) -> None:
    world.history(1)
    step = source.find_run(WEB, "1").steps[0]
    assert source.log(WEB, "1", step) == f"log of {step.id}\n"
    world.builds[0].jobs[0].log = ""
    with pytest.raises(NotFoundError, match="has no log, or it was deleted"):
        source.log(WEB, "1", step)
    with pytest.raises(RefusedError, match="name it as well"):
        source.log(None, "1", step)


def test_a_build_is_started_once(
    world: World, simulator: BuildkiteSimulator, source: Buildkite
) -> None:
    wanted = TriggerRequest("acme-inc/web", "main", "a" * 40, "try", env=(("K", "v"),))
    run = source.trigger(wanted)
    assert (run.id, run.event, run.commit_hash, run.branch) == ("1", "api", "a" * 40, "main")
    assert world.builds[0].env == {"K": "v"}
    assert source.trigger(TriggerRequest("acme-inc/web", "main")).commit_hash is None
    assert world.builds[1].commit == "HEAD"
    with pytest.raises(RefusedError, match="name the branch"):
        source.trigger(TriggerRequest("acme-inc/web"))
    with pytest.raises(RefusedError, match="cannot trigger runs by source_run"):
        source.trigger(TriggerRequest("acme-inc/web", "main", source_run="1"))
    assert len(simulator.asked) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_changes_something_is_never_sent_twice(
    world: World, simulator: BuildkiteSimulator, source: Buildkite, status: int
) -> None:
    def refuse(asked: Asked, body: Any, token: str) -> Any:
        raise RefusalError(status, "no")

    simulator.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="look before you send it again"):
        source.trigger(TriggerRequest("acme-inc/web", "main"))
    with pytest.raises(SourceError, match="look before you send it again"):
        source.abort(WEB, "1")
    assert [asked.method for asked in simulator.asked] == ["POST", "PUT"]


def test_a_build_is_canceled(world: World, source: Buildkite) -> None:
    world.start(world.create("unit"))
    run = source.abort(WEB, "1")
    assert (run.status, run.raw_result) == (Status.FINISHED, "canceled")
    with pytest.raises(RefusedError, match="already finished"):
        source.abort(WEB, "1")
    with pytest.raises(RefusedError, match="name it as well"):
        source.abort(None, "1")


def test_what_a_token_can_see(
    world: World, simulator: BuildkiteSimulator, source: Buildkite
) -> None:
    world.pipelines |= {f"p-{n}": "main" for n in range(120)}
    seen = [one for one in source.discover() if isinstance(one, Discovered)]
    assert seen[:2] == [
        Discovered("application_id", "acme-inc", "Acme, Inc."),
        Discovered("id", "acme-inc/web", "Web", within="acme-inc"),
    ]
    assert len(seen) == len({one.value for one in seen}) == 122
    assert len(simulator.asked) == 3
    for one in seen:
        assert (
            source.find_runs(
                RunFilter(application=one.value)
                if one.key == "application_id"
                else RunFilter(pipeline=one.value)
            )
            == []
        )
    simulator.scopes = "read_builds"
    with pytest.raises(ForbiddenError):
        list(source.discover())


def test_access(world: World, simulator: BuildkiteSimulator, source: Buildkite) -> None:
    simulator.quota = 20
    assert source.access() == Access(
        account="Ada L",
        scopes=tuple(simulator.scopes.split()),
        missing_scopes=(),
        limit_left=19,
        limit=20,
        clock=world.now.replace(microsecond=0),
    )
    simulator.scopes = "read_user"
    assert source.access().missing_scopes == ("read_builds",)


def test_a_refused_token(simulator: BuildkiteSimulator, source: Buildkite) -> None:
    simulator.token = "another"
    with pytest.raises(TokenRefusedError, match="Authentication required"):
        source.access()


def test_a_limit_longer_than_a_sync_may_wait(simulator: BuildkiteSimulator) -> None:
    simulator.quota, simulator.window = 1, 400
    with opened(simulator, Limits(tries=3, first_pause=0.01)) as source:
        source.access()
        with pytest.raises(RateLimitedError, match="asks to wait 400 s"):
            source.access()
    assert len(simulator.asked) == 2


def test_a_429_that_names_no_time_is_a_limit() -> None:
    assert Buildkite.is_limit(429, {}, "")
    assert not Buildkite.is_limit(403, {}, "rate limit")

"""The live API for people, and what a Jenkins says when it refuses."""

from base64 import b64encode
from typing import Any

import pytest

from runsync.config import SourceConfig
from runsync.errors import (
    ConfigError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.records import Pipeline, Problem, Result, Status, Step
from runsync.sources import open_source
from runsync.sources.base import Discovered, RunFilter, TriggerRequest
from runsync.sources.jenkins.source import Jenkins
from tests.sources.jenkins.rig import JOB, opened
from tests.sources.jenkins.simulator import Asked, JenkinsSimulator
from tests.sources.jenkins.world import FREESTYLE, MULTIBRANCH, Item, World

APP = Pipeline(JOB)


def found(source: Jenkins, **wanted: Any) -> list[str]:
    return [run.id for run in source.find_runs(RunFilter(pipeline=JOB, **wanted))]


def orders(simulator: JenkinsSimulator) -> list[Asked]:
    return [asked for asked in simulator.asked if asked.method == "POST"]


def of(step: str) -> Step:
    return Step(id=step, position=1, name="Test", status=Status.FINISHED)


class TestFindRuns:
    def test_newest_first_and_in_pages(self, world: World, source: Jenkins, job: Item) -> None:
        world.history(job, 25)
        assert found(source) == [str(n) for n in range(25, 5, -1)]
        assert found(source, limit=3, skip=2, sort="creationDateDesc") == ["23", "22", "21"]
        assert found(source, limit=500, skip=20) == ["5", "4", "3", "2", "1"]

    @pytest.mark.parametrize(
        "wanted", ["application", "status", "result", "branch", "commit", "source_run", "author"]
    )
    def test_what_jenkins_cannot_is_refused_by_name(
        self, source: Jenkins, simulator: JenkinsSimulator, wanted: str
    ) -> None:
        words = f"Jenkins cannot list runs by {wanted}"
        with pytest.raises(RefusedError, match=words):
            found(source, **{wanted: "x"})
        assert simulator.asked == []

    def test_of_no_job(self, source: Jenkins) -> None:
        with pytest.raises(RefusedError, match="of one job"):
            source.find_runs(RunFilter())
        with pytest.raises(RefusedError, match="by sort"):
            found(source, sort="creationDateAsc")
        with pytest.raises(ConfigError, match="no name of a Jenkins job"):
            source.find_runs(RunFilter(pipeline="../x"))

    def test_a_bad_row_is_an_error(self, world: World, source: Jenkins, job: Item) -> None:
        world.history(job, 2)
        world.spoilt[JOB, 1] = lambda raw: raw | {"timestamp": "then"}
        with pytest.raises(SourceError, match="build 1 of team/app: `timestamp` must be"):
            found(source)


class TestTrigger:
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Jenkins, "queue_patience", 5.0)

    def start_when_asked_again(self, world: World, simulator: JenkinsSimulator) -> None:
        """Lets what is queued become a build when its place in the queue is looked at again."""
        looked: list[str] = []

        def before(asked: Asked) -> None:
            if "/queue/item/" in asked.path:
                looked.append(asked.path)
                if len(looked) == 2:
                    world.dequeue(int(asked.path.split("/")[4]))

        simulator.before = before

    def test_waits_for_the_number(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        world.history(job, 3)
        self.start_when_asked_again(world, simulator)
        run = source.trigger(TriggerRequest(JOB))
        assert run is not None
        assert (run.id, run.status, run.author) == ("4", Status.RUNNING, "ada")
        assert [asked.path for asked in orders(simulator)] == ["/jenkins/job/team/job/app/build"]

    def test_with_parameters_in_a_form(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        job.parameterized = True
        self.start_when_asked_again(world, simulator)
        run = source.trigger(TriggerRequest(JOB, env=(("B", "zwei & drei"), ("A", "é"))))
        assert run is not None
        assert run.extra["parameters"] == ["B", "A"]
        (order,) = orders(simulator)
        assert order.path.endswith("/buildWithParameters")
        assert (order.query, order.form) == ({}, {"B": "zwei & drei", "A": "é"})
        assert "zwei" not in repr(run)

    def test_with_the_defaults_of_its_parameters(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        job.parameterized = True
        self.start_when_asked_again(world, simulator)
        assert source.trigger(TriggerRequest(JOB)) is not None

    def test_of_a_branch(self, world: World, source: Jenkins, simulator: JenkinsSimulator) -> None:
        world.add("site", MULTIBRANCH)
        world.add("site/fix%2F1")
        self.start_when_asked_again(world, simulator)
        run = source.trigger(TriggerRequest("site/fix%2F1"))
        assert run is not None
        assert run.branch == "fix/1"
        assert orders(simulator)[0].path == "/jenkins/job/site/job/fix%252F1/build"

    def test_what_waits_too_long_has_no_number_yet(
        self, source: Jenkins, job: Item, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Jenkins, "queue_patience", 0.3)
        assert source.trigger(TriggerRequest(JOB)) is None

    def test_what_is_cancelled_in_the_queue(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        def cancel(asked: Asked) -> None:
            for entry in world.queue.values():
                entry["cancelled"] = True

        simulator.before = cancel
        with pytest.raises(SourceError, match="cancelled in the queue"):
            source.trigger(TriggerRequest(JOB))

    @pytest.mark.parametrize("name", ["branch", "commit", "message", "source_run"])
    def test_what_jenkins_cannot_is_refused_by_name(
        self, source: Jenkins, simulator: JenkinsSimulator, name: str
    ) -> None:
        wanted: dict[str, Any] = {name: "x"}
        with pytest.raises(RefusedError, match=f"cannot trigger runs by {name}"):
            source.trigger(TriggerRequest(JOB, **wanted))
        assert simulator.asked == []

    def test_a_job_without_parameters_takes_none(
        self, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        with pytest.raises(RefusedError, match="takes no parameters"):
            source.trigger(TriggerRequest(JOB, env=(("A", "x"),)))
        assert orders(simulator) == []

    def test_a_job_that_is_switched_off(self, source: Jenkins, job: Item) -> None:
        job.buildable = False
        with pytest.raises(RefusedError, match="409"):
            source.trigger(TriggerRequest(JOB))

    @pytest.mark.parametrize("status", [502, 503, 429])
    def test_is_never_sent_twice(
        self, source: Jenkins, simulator: JenkinsSimulator, job: Item, status: int
    ) -> None:
        simulator.override = lambda asked: (status, "") if asked.method == "POST" else None
        with pytest.raises(SourceError, match="sent once"):
            source.trigger(TriggerRequest(JOB))
        assert len(orders(simulator)) == 1

    def test_a_crumb_and_its_session_go_with_an_order(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        simulator.crumbs = True
        self.start_when_asked_again(world, simulator)
        assert source.trigger(TriggerRequest(JOB)) is not None
        (order,) = orders(simulator)
        assert order.headers["jenkins-crumb"] == "c0ffee"
        assert order.headers["cookie"] == "JSESSIONID=node0abc"

    def test_a_crumb_that_is_none_is_not_sent(
        self, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        simulator.crumbs = True
        odd = {"crumb": "a\r\nX: y", "crumbRequestField": "Authorization: x"}
        simulator.override = lambda asked: (200, odd) if "crumbIssuer" in asked.path else None
        with pytest.raises(ForbiddenError, match="403"):
            source.trigger(TriggerRequest(JOB))
        assert "x" not in orders(simulator)[0].headers


class TestAbort:
    def test_a_running_build(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        world.start(job, "Build")
        source.abort(APP, "1")
        assert source.find_run(APP, "1").run.result is Result.ABORTED
        assert [asked.path for asked in orders(simulator)] == ["/jenkins/job/team/job/app/1/stop"]

    def test_one_that_is_over(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        world.history(job, 1)
        with pytest.raises(RefusedError, match="run 1 is over"):
            source.abort(APP, "1")
        assert orders(simulator) == []

    def test_a_redirect_elsewhere_is_no_answer(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        world.start(job, "Build")
        honest = simulator._post

        def elsewhere(asked: Asked, parts: list[str]) -> Any:
            return 302, "", {"Location": "https://sso.example/login"}

        simulator._post = elsewhere  # type: ignore[method-assign]
        with pytest.raises(SourceError, match="leads elsewhere"):
            source.abort(APP, "1")
        assert honest is not None

    @pytest.mark.parametrize("pipeline", [None, Pipeline("")])
    def test_of_no_job(self, source: Jenkins, pipeline: Pipeline | None) -> None:
        with pytest.raises(RefusedError, match="finds runs only by job"):
            source.abort(pipeline, "1")
        with pytest.raises(RefusedError, match="finds runs only by job"):
            source.log(pipeline, "1", of("build"))


class TestLog:
    def test_of_a_build_without_stages(self, world: World, source: Jenkins) -> None:
        world.history(world.add(JOB, FREESTYLE), 1)
        (step,) = source.find_run(APP, "1").steps
        assert source.log(APP, "1", step).startswith("log of 1\nFinished: ")

    def test_of_a_pipeline_of_which_no_stage_is_told(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        simulator.plugins = set()
        world.history(job, 1)
        (step,) = source.find_run(APP, "1").steps
        assert source.log(APP, "1", step).startswith("log of 1\nFinished: ")

    def test_of_a_stage_by_the_stage_view(self, world: World, source: Jenkins, job: Item) -> None:
        (build,) = world.history(job, 1, seed=3)
        first = build.stages[0]
        first.logs = ["<span class='x'>one</span> &lt;1&gt;\n", "two\n"]
        assert source.log(APP, "1", of(str(first.id))) == "one <1>\ntwo\n"

    def test_of_a_stage_by_the_graph_view(
        self, world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
    ) -> None:
        simulator.plugins = {"graph", "wfapi"}
        (build,) = world.history(job, 1)
        build.stages[0].logs = ["plain\n", "text <b>\n"]
        assert source.log(APP, "1", of(str(build.stages[0].id))) == "plain\ntext <b>\n"

    def test_that_is_not_there(self, world: World, source: Jenkins, job: Item) -> None:
        (build,) = world.history(job, 1)
        build.stages[0].logs = []
        with pytest.raises(NotFoundError, match="wrote no log"):
            source.log(APP, "1", of(str(build.stages[0].id)))
        with pytest.raises(NotFoundError, match="404"):
            source.log(APP, "1", of("999"))
        with pytest.raises(NotFoundError, match="404"):
            source.log(APP, "2", of("build"))


class TestAccess:
    def test_of_a_good_token(self, world: World, source: Jenkins) -> None:
        access = source.access()
        assert (access.account, access.scopes, access.missing_scopes) == ("ada", None, ())
        assert access.clock == world.now

    def test_without_a_token(self, simulator: JenkinsSimulator, world: World, job: Item) -> None:
        source = Jenkins(SourceConfig("ci", "jenkins", simulator.url))
        with pytest.raises(ForbiddenError):
            source.access()
        simulator.is_open = True
        assert source.access().account is None
        source.close()

    def test_of_a_wrong_token(self, simulator: JenkinsSimulator) -> None:
        with opened(simulator) as source:
            secret, simulator.token = simulator.token, "another"
            with pytest.raises(TokenRefusedError) as caught:
                source.access()
        assert secret not in str(caught.value)


def test_what_a_token_can_see(world: World, source: Jenkins, simulator: JenkinsSimulator) -> None:
    world.add("solo", FREESTYLE)
    world.add("team/site", MULTIBRANCH)
    world.add("team/site/fix%2F1")
    world.add("team/a/b/c/d/deep")
    seen = [one for one in source.discover() if isinstance(one, Discovered)]
    assert [(one.key, one.value, one.within) for one in seen if one.key == "id"] == [
        ("id", "solo", None),
        ("id", "team/site/fix%2F1", "team/site"),
        ("id", "team/a/b/c/d/deep", "team/a/b/c/d"),
    ]
    places = {one.value: place for place, one in enumerate(seen)}
    assert all(places[one.within] < places[one.value] for one in seen if one.within)
    assert Discovered("application_id", "team/site", "team/site", "team") in seen
    assert all("allBuilds" not in asked.query["tree"] for asked in simulator.asked)


def test_what_cannot_be_read_of_the_whole_list_is_named(
    source: Jenkins, simulator: JenkinsSimulator
) -> None:
    rows = [{"name": "a/b"}, {"name": "x", "nextBuildNumber": 1}, None]
    simulator.override = lambda asked: (200, {"jobs": rows})
    found = list(source.discover())
    assert [isinstance(one, Problem) for one in found] == [True, True, False]


def test_a_user_and_token_make_a_basic_header() -> None:
    source = open_source(SourceConfig("ci", "jenkins", "https://ci.example.org"))
    assert isinstance(source, Jenkins)
    encoded = b64encode(b"ada:s3cret").decode()
    assert source.headers("ada:s3cret") == {"Authorization": f"Basic {encoded}"}
    assert source.headers("jwt") == {"Authorization": "Bearer jwt"}
    assert source.headers(None) == {}

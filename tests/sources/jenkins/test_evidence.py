"""What an answer of Jenkins' proves, and what it leaves open."""

import re
from typing import Any

import pytest

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, RefusedError, SourceError, TokenRefusedError
from runsync.records import Pipeline
from runsync.sources.jenkins.source import Jenkins
from runsync.storage.database import Database
from tests.sources.jenkins.rig import FOLDER, JOB, opened, run
from tests.sources.jenkins.simulator import Asked, JenkinsSimulator
from tests.sources.jenkins.test_sync import assert_exact
from tests.sources.jenkins.truth import stored
from tests.sources.jenkins.world import Item, World

Answer = tuple[int, Any] | None


def override(
    simulator: JenkinsSimulator, pattern: str, answer: Answer, times: int = 1000
) -> list[str]:
    """Answers requests for a path like this in another way; those that were."""
    hits: list[str] = []

    def other(asked: Asked) -> Answer:
        if len(hits) < times and re.search(pattern, asked.path):
            hits.append(asked.path)
            return answer
        return None

    simulator.override = other
    return hits


def test_a_passing_404_for_stages_settles_nothing(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)
    world.pass_time(minutes=20)
    source.reread(Pipeline(JOB), "1")
    override(simulator, "/2/wfapi", (404, ""), 1)
    outcome = run(sqlite, source)
    what = "run 2: its stages are not found, though the run is there"
    assert (outcome.outcome, outcome.problems) == ("partial", (what,))
    assert run(sqlite, source).outcome == "ok"
    assert_exact(sqlite, world)


@pytest.mark.parametrize("view", ["wfapi", "graph"])
def test_a_passing_404_for_the_first_stages_does_not_make_a_server_without_any(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    view: str,
) -> None:
    simulator.plugins = {view}
    world.history(job, 3)
    world.pass_time(minutes=20)
    override(simulator, "/\\d+/(wfapi|stages)", (404, ""), 6)
    assert run(sqlite, source).outcome == "partial"
    assert run(sqlite, source).outcome == "ok"
    assert [len(row["steps"]) for row in stored(sqlite).values()] == [3, 3, 3]


def test_a_build_that_is_gone_when_its_stages_are_asked_for(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)

    def forget(asked: Asked) -> None:
        if "/2/wfapi" in asked.path:
            job.builds.pop(2, None)

    simulator.before = forget
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert [p.partition(":")[0] for p in outcome.problems] == ["run 2"]
    world.pass_time(minutes=20)
    run(sqlite, source)
    world.pass_time(minutes=20)
    assert run(sqlite, source).outcome == "ok"


def test_a_server_without_any_view_of_stages_has_builds_without_steps(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    simulator.plugins = set()
    world.history(job, 30)
    world.pass_time(minutes=20)
    # The lists, each build once, and what it takes to know: both views, the job's own places.
    assert run(sqlite, source).requests <= 2 + 30 + 6 * 4
    world.pass_time(minutes=11)
    # An answer without steps is believed when it comes again.
    outcome = run(sqlite, source)
    assert (outcome.outcome, outcome.requests <= 2 + 2 * 30 + 6 * 4) == ("ok", True)
    assert [row["steps"] for row in stored(sqlite).values()] == [[]] * 30
    assert run(sqlite, source).requests == 1


def test_a_job_that_is_away_for_each_question_for_a_view_gives_its_builds_no_step_for_ever(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)
    world.pass_time(minutes=20)
    override(simulator, "/wfapi/|/stages/|/multi-pipeline-graph/", (404, ""))
    run(sqlite, source)
    simulator.override = lambda asked: None
    world.pass_time(minutes=11)
    assert run(sqlite, source).outcome == "ok"
    assert_exact(sqlite, world)
    assert run(sqlite, source).requests == 1


def test_the_graph_view_is_asked_where_there_is_no_stage_view(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    simulator.plugins = {"graph"}
    world.history(job, 30)
    world.pass_time(minutes=20)
    assert run(sqlite, source).outcome == "ok"
    # The stage view is asked for until the first answer shows that there is none.
    assert sum("wfapi" in path for path in simulator.paths()) <= 4
    assert sum(path.endswith("/stages/tree") for path in simulator.paths()) == 30


def test_a_403_for_one_builds_stages_is_a_problem_of_that_run(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 12)
    world.pass_time(minutes=20)
    override(simulator, "/5/wfapi", (403, "<html>ada is missing the Job/Read permission</html>"))
    outcome = run(sqlite, source)
    assert (outcome.outcome, len(outcome.problems)) == ("partial", 1)
    assert len(stored(sqlite)) == 12


def test_stages_of_another_build_are_not_taken(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)
    world.spoilt[JOB, -2] = lambda raw: raw | {"id": "3"}
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert stored(sqlite)[JOB, "2"]["steps"] == []


def told_early(view: str, told: dict[str, Any]) -> dict[str, Any]:
    if view == "graph":
        return told | {"data": told["data"] | {"complete": False}}
    return told | {"status": "IN_PROGRESS"}


def without_an_end(view: str, told: dict[str, Any]) -> dict[str, Any]:
    if view == "graph":
        stages = [one | {"state": "running"} for one in told["data"]["stages"]]
        return told | {"data": told["data"] | {"stages": stages}}
    return told | {"stages": [one | {"status": "IN_PROGRESS"} for one in told["stages"]]}


@pytest.mark.parametrize("view", ["wfapi", "graph"])
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (told_early, "its stages were told before its end"),
        (without_an_end, "it has ended, and no stage is shown that did so"),
    ],
)
def test_stages_that_belie_their_build_are_asked_for_again(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    view: str,
    spoil: Any,
    what: str,
) -> None:
    simulator.plugins = {view}
    for build in world.history(job, 3):
        build.result = "SUCCESS"
    world.pass_time(minutes=20)
    world.spoilt[JOB, -2] = lambda told: spoil(view, told)
    outcome = run(sqlite, source)
    assert (outcome.outcome, outcome.problems) == ("partial", (f"run 2: {what}",))
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert [len(row["steps"]) for row in stored(sqlite).values()] == [3, 3, 3]


def test_another_build_than_asked_for_is_refused(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item
) -> None:
    world.history(job, 2)
    world.spoilt[JOB, 2] = lambda raw: raw | {"number": 1}
    with pytest.raises(SourceError, match="run 2 was asked for, and run 1 came"):
        source.reread(Pipeline(JOB), "2")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>Sign in</html>"), (203, "<html>Sign in</html>"), (200, []), (200, None),
        (200, {}), (200, {"jobs": None}), (200, {"nextBuildNumber": 3, "allBuilds": {}}),
        (200, {"nextBuildNumber": "x"}), (200, {"_class": "hudson.model.Hudson"}), (500, ""),
        (503, "<html>Please wait while Jenkins is getting ready to work</html>"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", [None, FOLDER])
def test_other_answers_than_a_list_end_the_sync_and_nothing_is_lost(
    world: World,
    source: Jenkins,
    simulator: JenkinsSimulator,
    job: Item,
    sqlite: Database,
    status: int,
    body: Any,
    folder: str | None,
) -> None:
    world.history(job, 30)
    world.pass_time(minutes=20)
    run(sqlite, source, folder=folder)
    before = stored(sqlite)
    world.history(job, 2)
    override(simulator, r"/job/team(/job/app)?/api/json", (status, body))
    outcome = run(sqlite, source, folder=folder)
    assert outcome.outcome == "failed"
    assert stored(sqlite) == before
    simulator.override = lambda asked: None
    world.pass_time(minutes=20)
    assert run(sqlite, source, folder=folder).outcome == "ok"
    assert_exact(sqlite, world)


@pytest.mark.parametrize("folder", [None, FOLDER])
def test_a_list_that_is_suddenly_empty_takes_nothing_away(
    world: World, source: Jenkins, job: Item, sqlite: Database, folder: str | None
) -> None:
    world.history(job, 3)
    world.pass_time(minutes=20)
    run(sqlite, source, folder=folder)
    before = stored(sqlite)
    hidden, job.builds = job.builds, {}
    run(sqlite, source, folder=folder)
    assert stored(sqlite) == before
    job.builds = hidden
    world.history(job, 1)
    world.pass_time(minutes=20)
    run(sqlite, source, folder=folder)
    assert_exact(sqlite, world)


def test_a_job_of_a_folder_that_cannot_be_read_is_named(
    world: World, source: Jenkins, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)
    world.pass_time(minutes=20)
    honest = simulator._item

    def with_bad_ones(item: Item, path: str) -> Any:
        told = honest(item, path)
        bad: list[Any] = [
            None,
            {"name": "a/b"},
            {"name": ".."},
            {"name": "x", "nextBuildNumber": "1"},
        ]
        return told | {"jobs": [*bad, *told["jobs"], *told["jobs"]]} if "jobs" in told else told

    simulator._item = with_bad_ones  # type: ignore[method-assign]
    outcome = run(sqlite, source, folder=FOLDER)
    assert outcome.outcome == "partial"
    assert len(outcome.problems) == 4
    assert_exact(sqlite, world)


def test_folders_are_read_however_deep(
    world: World, source: Jenkins, simulator: JenkinsSimulator, sqlite: Database
) -> None:
    for depth in range(1, 9):
        world.history(world.add("/".join(["team", *"abcdefgh"[:depth]]) + "/app"), 1)
    world.pass_time(hours=1)
    assert run(sqlite, source, folder=FOLDER).outcome == "ok"
    assert_exact(sqlite, world, FOLDER)
    assert run(sqlite, source, folder=FOLDER).requests == 3


def wanted_wrongly() -> dict[str, tuple[PipelineConfig, str]]:
    return {
        "a folder as a job": (PipelineConfig("ci", id=FOLDER), 'write `application_id = "team"`'),
        "a job as a folder": (PipelineConfig("ci", application_id=JOB), 'write `id = "team/app"`'),
    }


@pytest.mark.parametrize("kind", wanted_wrongly())
def test_the_wrong_key_is_an_error_that_names_the_right_one(
    source: Jenkins, job: Item, kind: str
) -> None:
    wanted, words = wanted_wrongly()[kind]
    with pytest.raises(RefusedError, match=re.escape(words)):
        list(source.pages(source.listing(wanted), None, {}))


@pytest.mark.parametrize("text", ["../../etc", "", "12x", "-1", "0", "1.2", "٣", "lastBuild"])
def test_what_is_no_number_is_refused_unasked(
    source: Jenkins, simulator: JenkinsSimulator, text: str
) -> None:
    for ask in (source.find_run, source.reread, source.abort):
        with pytest.raises(RefusedError, match="no number of a Jenkins build"):
            ask(Pipeline(JOB), text)
    assert simulator.asked == []


def test_without_a_token_jenkins_says_so(
    world: World, simulator: JenkinsSimulator, job: Item, sqlite: Database
) -> None:
    with opened(simulator) as source:
        simulator.token = "another"
        outcome = run(sqlite, source)
    assert isinstance(outcome.cause, TokenRefusedError)


def test_a_job_that_is_deleted_is_an_error_with_its_name(
    world: World, source: Jenkins, job: Item, sqlite: Database
) -> None:
    world.history(job, 3)
    run(sqlite, source)
    world.remove(JOB)
    outcome = run(sqlite, source)
    assert isinstance(outcome.cause, NotFoundError)
    assert "/job/team/job/app/api/json" in str(outcome.cause)
    assert len(stored(sqlite)) == 3

"""What Jenkins says becomes the columns that the documentation promises."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from runsync.records import Outcome, Pipeline, Result, Run, RunWithSteps, Status
from runsync.sources.fields import BadRowError
from runsync.sources.jenkins.payloads import (
    read_build,
    read_stages,
)
from runsync.sources.jenkins.source import Jenkins
from runsync.storage import tables
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore, RunToWrite
from tests.sources.jenkins.rig import JOB, NOW
from tests.sources.jenkins.simulator import JenkinsSimulator
from tests.sources.jenkins.truth import RUN_COLUMNS, STEP_COLUMNS, stored
from tests.sources.jenkins.world import (
    FREESTYLE,
    MULTIBRANCH,
    Item,
    Stage,
    World,
    change_set,
    git,
    scm_revision,
    time_in_queue,
)

RECORDINGS = Path(__file__).parents[3].parent / "shared/recordings"
BASE = "https://ci.example.org"
SHA = ["a" * 40, "b" * 40, "c" * 40]


def read(raw: Any) -> RunWithSteps:
    return read_build(raw, JOB, BASE, NOW, is_branch=False)


def build(raw: dict[str, Any], name: str = JOB, *, is_branch: bool = False) -> Run:
    return read_build(whole(raw), name, BASE, NOW, is_branch=is_branch).run


def whole(raw: dict[str, Any]) -> dict[str, Any]:
    """A build as Jenkins tells it, but for what is given."""
    usual = {"_class": "x.WorkflowRun", "number": 7, "timestamp": 1_700_000_000_123}
    return usual | {"building": False, "duration": 5432, "result": "SUCCESS"} | raw


def causes(*found: dict[str, Any]) -> dict[str, Any]:
    return {"_class": "hudson.model.CauseAction", "causes": list(found)}


def test_times_and_names() -> None:
    run = build({})
    assert run.created_at == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
    assert run.started_at == run.created_at
    assert (run.duration_ms, run.queued_ms) == (5432, None)
    assert (run.id, run.number, run.attempt) == ("7", "7", 1)
    assert run.url == run.web_url == f"{BASE}/job/team/job/app/7/"
    assert run.extra == {}


@pytest.mark.parametrize(
    ("word", "result", "outcome", "raw"),
    [
        ("SUCCESS", Result.PASSED, Outcome.SUCCESS, "SUCCESS"),
        ("UNSTABLE", Result.FAILED, Outcome.FAILURE, "UNSTABLE"),
        ("FAILURE", Result.FAILED, Outcome.FAILURE, "FAILURE"),
        ("NOT_BUILT", Result.SKIPPED, Outcome.SKIP, "NOT_BUILT"),
        ("ABORTED", Result.ABORTED, Outcome.CANCELLATION, "ABORTED"),
        ("ODD", Result.UNKNOWN, None, "ODD"),
        (None, Result.UNKNOWN, None, None),
    ],
)
def test_results(word: str | None, result: Result, outcome: Outcome | None, raw: str) -> None:
    run = build({"result": word})
    assert (run.status, run.result, run.outcome) == (Status.FINISHED, result, outcome)
    assert run.raw_result == raw


@pytest.mark.parametrize(
    "raw", [{"building": True}, {"inProgress": True}, {"building": None, "duration": 0}]
)
def test_a_result_before_the_end_is_none(raw: dict[str, Any]) -> None:
    run = build({"result": "FAILURE", **raw})
    assert (run.status, run.result, run.outcome) == (Status.RUNNING, Result.UNKNOWN, None)
    assert (run.finished_at, run.raw_result, run.duration_ms) == (None, None, None)


def test_what_was_stopped_because_its_time_was_up() -> None:
    exceeded = "org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution$ExceededTimeout"
    action = {"_class": "jenkins.model.InterruptedBuildAction", "causes": [{"_class": exceeded}]}
    run = build({"result": "ABORTED", "actions": [action]})
    assert (run.result, run.outcome, run.event) == (Result.ABORTED, Outcome.TIMEOUT, None)
    assert build({"result": "FAILURE", "actions": [action]}).outcome is Outcome.FAILURE


@pytest.mark.parametrize(
    ("cause", "event"),
    [
        ("hudson.model.Cause$UserIdCause", "manual"),
        ("hudson.triggers.TimerTrigger$TimerTriggerCause", "schedule"),
        ("hudson.triggers.SCMTrigger$SCMTriggerCause", "push"),
        ("com.cloudbees.jenkins.GitHubPushCause", "push"),
        ("jenkins.branch.BranchEventCause", "push"),
        ("jenkins.branch.BranchIndexingCause", "push"),
        ("hudson.model.Cause$UpstreamCause", "upstream"),
        ("hudson.model.Cause$RemoteCause", "api"),
        ("org.example.OddCause", "OddCause"),
    ],
)
def test_events(cause: str, event: str) -> None:
    assert build({"actions": [{}, causes({"_class": cause}, {"_class": "x.Other"})]}).event == event


def test_actions_that_tell_nothing_are_passed_over() -> None:
    user = causes({"_class": "hudson.model.Cause$UserIdCause", "userId": "ada"})
    assert build({"actions": [{}, user, {}]}).author == "ada"


def test_branches_of_a_multibranch_project() -> None:
    push = {"actions": [causes({"_class": "jenkins.branch.BranchEventCause"}), git(SHA[1], "x")]}
    run = build(push, "site/feature%2Fa%20b", is_branch=True)
    assert (run.branch, run.event) == ("feature/a b", "push")
    assert run.web_url == f"{BASE}/job/site/job/feature%252Fa%2520b/7/"
    pull = build(push, "site/PR-12", is_branch=True)
    assert (pull.branch, pull.event) == ("PR-12", "pull_request")
    assert build(push, "site/PR-12").event == "push"


def test_commits_of_one_project() -> None:
    run = build({"actions": [git(SHA[0], "refs/remotes/origin/main"), git(SHA[0], "origin/main")]})
    assert (run.commit_hash, run.branch) == (SHA[0], "main")
    assert build({"actions": [git(SHA[0], "detached")]}).branch is None


def test_a_library_is_not_the_project() -> None:
    library = git(SHA[2], "develop")
    both = build({"actions": [library, git(SHA[0], "main")]})
    assert (both.commit_hash, both.branch) == (None, None)
    told = build({"actions": [library, git(SHA[0], "main"), scm_revision(SHA[0])]})
    assert told.commit_hash == SHA[0]
    pull = {"actions": [{"revision": {"pullHash": SHA[1], "hash": SHA[0]}}]}
    assert build(pull).commit_hash == SHA[1]


def test_authors_and_messages() -> None:
    changes = change_set((SHA[1], "Bob", "older"), (SHA[0], "Cy", "newer"))
    run = build(
        {"actions": [git(SHA[0], "main")], "changeSets": [change_set(("d", "D", "lib")), changes]}
    )
    assert (run.message, run.author, run.author_id) == ("newer", "Cy", None)
    alone = build({"changeSet": changes})
    assert (alone.commit_hash, alone.message, alone.author) == (SHA[0], "newer", "Cy")
    several = build({"changeSets": [changes, change_set(("d", "D", "lib"))]})
    assert (several.commit_hash, several.message, several.author) == (None, None, None)
    user = causes({"_class": "hudson.model.Cause$UserIdCause", "userId": "ada", "userName": "Ada"})
    run = build({"actions": [user], "changeSet": changes})
    assert (run.author, run.author_id, run.message) == ("ada", "ada", "newer")


def test_the_queue_is_told_by_a_plugin_alone() -> None:
    assert build({"actions": [time_in_queue(4001)]}).queued_ms == 4001
    newer = time_in_queue(4001) | {"queuingDurationMillis": 5000}
    assert build({"actions": [newer]}).queued_ms == 5000


def test_what_has_no_column() -> None:
    upstream = {"_class": "x$UpstreamCause", "upstreamProject": "lib/x", "upstreamBuild": 12}
    parameters = {"parameters": [{"name": "A"}, {"name": "B"}, {}]}
    run = build({"displayName": "1.2.3", "actions": [causes(upstream), parameters]})
    assert run.extra == {"displayName": "1.2.3", "parameters": ["A", "B"], "upstream": "lib/x#12"}


def test_a_build_on_one_machine_is_one_step() -> None:
    raw = {"_class": "hudson.model.FreeStyleBuild", "builtOn": "linux-7", "result": "UNSTABLE"}
    run, (step,) = build(raw), read(whole(raw)).steps
    assert (step.name, step.runner, step.result) == ("build", "linux-7", Result.FAILED)
    assert (step.started_at, step.finished_at) == (run.started_at, run.finished_at)
    assert read(whole(raw | {"builtOn": ""})).steps[0].runner is None


@pytest.mark.parametrize(
    "raw",
    [
        None, [], "x", {"number": "7"}, {"number": True}, {"number": 0}, {"timestamp": None},
        {"timestamp": "x"}, {"timestamp": 2**60}, {"timestamp": 0}, {"duration": "long"},
        {"result": 3}, {"actions": {}}, {"actions": [3]}, {"actions": [{"causes": 3}]},
        {"changeSets": [{"items": "x"}]}, {"displayName": 3}, {"duration": 2**60},
    ],
)  # fmt: skip
def test_what_is_no_build_is_named(raw: Any) -> None:
    with pytest.raises(BadRowError, match=r"^build (7|\(no number\)) of team/app: "):
        build(raw) if isinstance(raw, dict) else read(raw)


def described(*stages: Any, **run: Any) -> RunWithSteps:
    return read_stages("wfapi", build(run), {"id": "7", "stages": list(stages)}, NOW)


def stage(**more: Any) -> dict[str, Any]:
    return {
        "_links": {"self": {"href": "/x"}}, "id": "6", "name": "Hello", "execNode": "",
        "status": "SUCCESS", "startTimeMillis": 1_700_000_001_000, "durationMillis": 79,
        "pauseDurationMillis": 0,
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("word", "status", "result"),
    [
        ("SUCCESS", Status.FINISHED, Result.PASSED),
        ("UNSTABLE", Status.FINISHED, Result.FAILED),
        ("FAILED", Status.FINISHED, Result.FAILED),
        ("ABORTED", Status.FINISHED, Result.ABORTED),
        ("NOT_EXECUTED", Status.FINISHED, Result.SKIPPED),
        ("SKIPPED", Status.FINISHED, Result.SKIPPED),
        ("IN_PROGRESS", Status.RUNNING, Result.UNKNOWN),
        ("PAUSED_PENDING_INPUT", Status.RUNNING, Result.UNKNOWN),
        ("ODD", Status.FINISHED, Result.UNKNOWN),
    ],
)
def test_stages_of_the_stage_view(word: str, status: Status, result: Result) -> None:
    (step,) = described(stage(status=word, pauseDurationMillis=5)).steps
    assert (step.id, step.name, step.position, step.status, step.result) == (
        "6", "Hello", 1, status, result,
    )  # fmt: skip
    ran = result is not Result.SKIPPED
    assert (step.started_at is not None) is ran
    assert step.duration_ms == (79 if ran and status is Status.FINISHED else None)
    assert step.extra == {"pauseDurationMillis": 5}
    assert word in (step.raw_status, step.raw_result)


def test_an_error_is_told_by_its_class_alone() -> None:
    (step,) = described(stage(error={"message": "no branch s3cret", "type": "x.Abort"})).steps
    assert step.extra == {"error": "x.Abort"}


def test_a_stage_without_a_word_is_as_far_as_its_build() -> None:
    assert described(stage(status=None)).steps[0].status is Status.FINISHED
    assert described(stage(status=None), building=True).steps[0].status is Status.RUNNING


def test_two_stages_of_one_id_and_bad_ones_are_named() -> None:
    details = described(stage(), stage(name="Other"), None, stage(id=""), stage(id="9"))
    assert [step.id for step in details.steps] == ["6", "9"]
    assert [problem.what for problem in details.problems] == [
        "run 7: stage (no id): an object is due, null came",
        "run 7: stage (no id): `id` is missing",
        "run 7: different steps have the same id",
    ]


@pytest.mark.parametrize("data", [None, [], {}, {"id": "7"}, {"id": "8", "stages": []}])
def test_other_answers_than_stages_are_refused(data: Any) -> None:
    for view in ("wfapi", "graph"):
        with pytest.raises(BadRowError):
            read_stages(view, build({}), data, NOW)


def test_stages_of_the_graph_view(
    world: World, simulator: JenkinsSimulator, source: Jenkins, job: Item
) -> None:
    simulator.plugins = {"graph"}
    run = world.start(job, "Build", "Test")
    world.pass_time(seconds=9)
    world.end(run)
    at = run.stages[1].started
    run.stages[1].children = [
        Stage(70, "unit", "SUCCESS", at, 500, agent="linux-1"),
        Stage(71, "e2e", "UNSTABLE", at, 900, agent="linux-2"),
    ]
    steps = source.reread(Pipeline(JOB), "1").steps
    assert [(s.id, s.job, s.name, s.runner, s.result) for s in steps] == [
        (str(run.stages[0].id), None, "Build", None, "passed"),
        ("70", "Test", "unit", "linux-1", "passed"),
        ("71", "Test", "e2e", "linux-2", "failed"),
    ]
    assert [step.position for step in steps] == [1, 2, 3]
    assert simulator.paths()[-1].endswith("/1/stages/tree")


def test_stages_nested_beyond_reason_are_read_or_named() -> None:
    raw = stage()
    for _ in range(20_000):
        raw = stage(children=[raw])
    assert len(read_stages("graph", build({}), {"data": {"stages": [raw]}}, NOW).steps) == 1


def test_a_branch_is_known_for_one_also_by_its_number(
    world: World, source: Jenkins, simulator: JenkinsSimulator
) -> None:
    world.add("site", MULTIBRANCH)
    world.start(world.add("site/fix%2F1", FREESTYLE))
    for _ in range(2):
        run = source.reread(Pipeline("site/fix%2F1"), "1").run
        assert run.branch == "fix/1"
    assert len(simulator.asked) == 3


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = (
    "number timestamp duration building result actions changeSets changeSet _class builtOn".split()
)


@given(raw=st.dictionaries(st.sampled_from(KEYS), Json), stages=Json)
def test_nothing_but_a_named_row_comes_of_odd_answers(raw: dict[str, Any], stages: Any) -> None:
    try:
        run = build(raw)
        read_stages("wfapi", run, {"id": run.id, "stages": stages}, NOW)
        read_stages("graph", run, {"data": {"stages": stages}}, NOW)
    except BadRowError:
        pass


# What a real Jenkins has answered.


def recorded(name: str) -> list[Any]:
    if not RECORDINGS.is_dir():
        pytest.skip(f"the recordings are not here: {RECORDINGS}")
    lines = (RECORDINGS / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def store(database: Database, details: RunWithSteps) -> dict[str, Any]:
    """Writes a run into a table of its own, and reads it again."""
    with database.write() as connection:
        for table in reversed(tables.METADATA.sorted_tables):
            connection.execute(delete(table))
    ListingStore(database, "ci", "ci/job/x", None).save(
        Batch(runs=[RunToWrite(details, settled=True, with_steps=True)])
    )
    (row,) = stored(database).values()
    return row


def test_recorded_builds(sqlite: Database) -> None:
    rows = [row["data"] for row in recorded("jenkins_builds.jsonl")]
    assert len(rows) == 14
    for raw in rows:
        found = read({"building": False} | raw)
        run = found.run
        over = raw.get("building", False) is False
        assert run.number == run.id == str(raw["number"])
        assert round(run.created_at.timestamp() * 1000) == raw["timestamp"]
        assert run.status == ("finished" if over else "running")
        assert run.duration_ms == (raw["duration"] if over else None)
        assert run.raw_result == (raw["result"] if over else None)
        assert (run.event, run.author, run.author_id) == ("manual", "merico", "merico")
        revisions = [a["lastBuiltRevision"] for a in raw["actions"] if "lastBuiltRevision" in a]
        assert run.commit_hash == (revisions[0]["SHA1"] if revisions else None)
        assert run.branch == ("main" if revisions else None)
        assert found.steps_read is not raw["_class"].endswith("WorkflowRun")
        assert run.queued_ms is None
        assert dict(run.extra) == {}
        row = store(sqlite, found)
        assert {name: row[name] for name in RUN_COLUMNS} == {
            name: getattr(run, name) for name in RUN_COLUMNS
        }


def test_recorded_stages(sqlite: Database) -> None:
    rows = [row["data"] for row in recorded("jenkins_stages.jsonl")]
    assert len(rows) == 24
    ends = {"SUCCESS": "passed", "FAILED": "failed", "FAILURE": "failed", "UNSTABLE": "failed",
            "ABORTED": "aborted"}  # fmt: skip
    for raw in rows:
        (step,) = described(raw).steps
        assert (step.id, step.name, step.status) == (raw["id"], raw["name"], "finished")
        assert step.result == ends.get(raw["status"] or "", "unknown")
        assert step.raw_result == raw["status"]
        assert step.started_at is not None
        assert round(step.started_at.timestamp() * 1000) == raw["startTimeMillis"]
        assert step.duration_ms == raw["durationMillis"]
        error = raw.get("error") or {}
        paused = raw["pauseDurationMillis"]
        told = {"pauseDurationMillis": paused or None, "error": error.get("type")}
        assert step.extra == {key: value for key, value in told.items() if value}
        (row,) = store(sqlite, described(raw))["steps"]
        assert row == {name: getattr(step, name) for name in STEP_COLUMNS}

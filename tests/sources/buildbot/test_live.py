"""The live API: lists, logs, orders, and what is refused."""

import base64
from datetime import UTC, datetime

import pytest

from runsync.config import PipelineConfig
from runsync.errors import NotFoundError, RefusedError, SourceError
from runsync.http.client import Response
from runsync.records import Pipeline, Step
from runsync.sources.base import Discovered, RunFilter, TriggerRequest
from runsync.sources.buildbot.source import Buildbot
from tests.sources.buildbot.farm import AWKWARD, RETRY, Farm


def steps(source: Buildbot, request: int) -> dict[str, Step]:
    return {step.name: step for step in source.reread(Pipeline(AWKWARD), str(request)).steps}


def test_a_log_is_all_that_a_step_wrote(farm: Farm, source: Buildbot) -> None:
    request = farm.built(AWKWARD)
    found = steps(source, request)
    assert "hällo" in source.log(None, str(request), found["say hello"])
    assert source.log(None, str(request), found["outcome"]).endswith("first\nended in success\n")
    with pytest.raises(NotFoundError, match="'worker_preparation' has no log: it wrote none"):
        source.log(None, str(request), found["worker_preparation"])
    # What a janitor does to logs that are too old for it.
    farm.execute("UPDATE logs SET type = 'd' WHERE stepid = ?", int(found["say hello"].id))
    with pytest.raises(NotFoundError, match="the master has deleted it"):
        source.log(None, str(request), found["say hello"])


def test_a_run_is_triggered(farm: Farm, source: Buildbot) -> None:
    wanted = TriggerRequest(
        AWKWARD, "main", "c0ffee", "a try", env=(("outcome", "failure"), ("clean", "true"))
    )
    run = source.trigger(wanted)
    assert int(run.id) == farm.requests(AWKWARD)[0]
    farm.wait(int(run.id))
    done = source.reread(run.pipeline, run.id).run
    assert (done.branch, done.commit_hash, done.message) == ("main", "c0ffee", "a try")
    assert (done.result, done.raw_result) == ("failed", "failure")
    query = "SELECT value FROM build_properties WHERE buildid = ? AND name = 'clean'"
    assert farm.rows(query, done.extra["buildid"]) == [{"value": "true"}]


@pytest.mark.parametrize("name", ["UNKNOWN", "fixed"])
def test_a_property_that_the_scheduler_would_drop_is_refused(
    farm: Farm, source: Buildbot, name: str
) -> None:
    before = farm.requests(AWKWARD)
    with pytest.raises(RefusedError, match=f"no field, or several, called '{name}'.*PASSWORD"):
        source.trigger(TriggerRequest(AWKWARD, env=((name, "1"),)))
    assert farm.requests(AWKWARD) == before


def test_what_cannot_be_triggered_says_why(farm: Farm, source: Buildbot) -> None:
    with pytest.raises(RefusedError, match="builder 'idle' has no force scheduler"):
        source.trigger(TriggerRequest("idle"))
    with pytest.raises(RefusedError, match="cannot start a run from another run"):
        source.trigger(TriggerRequest(AWKWARD, source_run="1"))
    with pytest.raises(RefusedError, match="no field, or several, called 'branch'"):
        source.trigger(TriggerRequest("codebases", branch="main"))


def test_a_field_of_one_codebase_goes_by_its_full_name(farm: Farm, source: Buildbot) -> None:
    run = source.trigger(TriggerRequest("codebases", env=(("one_branch", "topic"),)))
    stamps = farm.rows(
        "SELECT codebase, branch FROM sourcestamps s JOIN buildset_sourcestamps "
        "ON s.id = sourcestampid WHERE buildsetid = ? ORDER BY codebase",
        run.extra["buildsetid"],
    )
    assert [(row["codebase"], row["branch"]) for row in stamps] == [("one", "topic"), ("other", "")]
    assert source.reread(run.pipeline, run.id).run.branch is None


def test_runs_are_aborted_where_they_are(farm: Farm, source: Buildbot) -> None:
    running = farm.force("slow")
    farm.wait_for_step(running)
    queued = farm.force("slow")
    for request in (queued, running):
        source.abort(None, str(request))
        farm.wait(request)
    ends = [source.reread(Pipeline("slow"), str(n)).run for n in (queued, running)]
    assert [(run.result, run.started_at is None) for run in ends] == [
        ("aborted", True),
        ("aborted", False),
    ]
    with pytest.raises(RefusedError, match=f"run {queued} is over"):
        source.abort(None, str(queued))


def test_runs_are_listed_live(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    one, two, three, four, five = farm.history(name, (0,), (RETRY, 1), (2,), (), (RETRY, None))
    queued = farm.force(name)

    def found(**wanted: object) -> list[str]:
        return [run.id for run in source.find_runs(RunFilter(pipeline=name, **wanted))]  # type: ignore[arg-type]

    done = [f"{four}", f"{three}", f"{two}.2", f"{two}", f"{one}"]
    assert found() == [f"{queued}", f"{five}.2", f"{five}", *done]
    assert found(limit=2, skip=2) == done[:2]
    assert found(sort="creationDateAsc", limit=2) == [f"{one}", f"{two}.2", f"{two}"]
    assert found(status="notstarted") == [f"{queued}"]
    assert found(status="running") == [f"{five}.2"]
    assert found(status="finished") == done
    assert found(result="passed") == [f"{two}.2", f"{one}"]
    assert found(result="failed") == [f"{three}"]
    assert found(result="aborted") == [f"{four}"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (RunFilter(AWKWARD, branch="main"), "list runs by branch"),
        (RunFilter(AWKWARD, source_run="1"), "list runs by source run"),
        (RunFilter(AWKWARD, sort="sideways"), r"list runs so \(sideways\)"),
        (RunFilter(AWKWARD, status="started", result="lost"), r"list runs so \(started, lost\)"),
        (RunFilter(), "list the runs of all builders; name one"),
    ],
)
def test_what_cannot_be_filtered_is_refused(source: Buildbot, wanted: RunFilter, said: str) -> None:
    with pytest.raises(RefusedError, match=f"Buildbot cannot {said}"):
        source.find_runs(wanted)


@pytest.mark.parametrize("run_id", ["999999", "999999.2", "no-number", "../builders"])
def test_a_run_that_is_not_there(source: Buildbot, run_id: str) -> None:
    with pytest.raises(NotFoundError):
        source.reread(Pipeline(AWKWARD), run_id)


def test_an_attempt_that_is_not_there(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    (request,) = farm.history(name, (0,))
    with pytest.raises(NotFoundError, match=f"has no run {request}.2") as caught:
        source.reread(Pipeline(name), f"{request}.2")
    # That it is gone is so by the master's clock, not by this machine's.
    assert caught.value.as_of is not None


def test_a_run_of_another_builder_is_not_mistaken(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    (request,) = farm.history(name, (0,))
    with pytest.raises(NotFoundError, match="not of 'slow'") as caught:
        source.reread(Pipeline("slow"), str(request))
    assert caught.value.as_of is not None
    for owner in ("", name, str(farm.builder(name))):
        assert source.reread(Pipeline(owner), str(request)).run.id == str(request)


def test_access_needs_no_token(source: Buildbot) -> None:
    access = source.access()
    assert (access.account, access.scopes, access.limit) == (None, None, None)
    assert access.clock.utcoffset() is not None


@pytest.mark.parametrize("said", [{"message": "welcome"}, [1], None, {"masters": {}}])
def test_another_service_is_told_from_buildbot(
    source: Buildbot, monkeypatch: pytest.MonkeyPatch, said: object
) -> None:
    answer = Response(200, {}, said, datetime.now(UTC))
    monkeypatch.setattr(source.client, "get", lambda path, params: answer)
    with pytest.raises(SourceError, match="check that base_url is Buildbot's"):
        source.access()


def test_a_token_is_a_password_or_a_bearers() -> None:
    basic = "Basic " + base64.b64encode(b"ada:s3cret").decode()
    assert Buildbot.headers("ada:s3cret") == {"Authorization": basic}
    assert Buildbot.headers("s3cret") == {"Authorization": "Bearer s3cret"}
    assert Buildbot.headers(None) == {}


def test_a_token_sees_every_builder(source: Buildbot) -> None:
    found = [one.value for one in source.discover() if isinstance(one, Discovered)]
    assert AWKWARD in found
    assert found == sorted(set(found))
    for name in found:
        source.listing(PipelineConfig("bb", id=name))

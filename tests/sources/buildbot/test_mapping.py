"""What each kind of run and step becomes, held against the master's own tables."""

from typing import Any

import pytest

from runsync.records import Pipeline, Result, RunWithSteps, Status
from runsync.sources.base import Listed
from runsync.sources.buildbot.payloads import read_attempts
from runsync.sources.buildbot.source import Buildbot
from runsync.sources.fields import Fields
from tests.sources.buildbot.farm import AWKWARD, RETRY, Farm, listing
from tests.sources.buildbot.truth import COLUMNS, STEP_COLUMNS, truth
from tests.sources.settling import is_settled


def read(source: Buildbot, builder: str) -> dict[str, RunWithSteps]:
    """All runs of a builder as the engine gets them, by id."""
    runs = [
        item.run
        for page in source.pages(listing(source, builder), None, {})
        for item in page.items
        if isinstance(item, Listed)
    ]
    return {run.id: source.complete(run) for run in runs}


def rows(found: dict[str, RunWithSteps]) -> dict[str, dict[str, Any]]:
    return {
        run_id: {name: getattr(details.run, name) for name in COLUMNS}
        | {"steps": [{n: getattr(step, n) for n in STEP_COLUMNS} for step in details.steps]}
        for run_id, details in found.items()
    }


@pytest.fixture(scope="module")
def outcomes(farm: Farm) -> dict[str, str]:
    """A run for each way to end, as the master's words, by id."""
    words = ("success", "warnings", "failure")
    made = {
        str(farm.force(AWKWARD, outcome=word, reason=f"<{word}>", PASSWORD="s3cret")): word
        for word in words
    }
    for request in made:
        farm.wait(int(request))
    return made


def test_real_builds(farm: Farm, source: Buildbot, outcomes: dict[str, str]) -> None:
    found = read(source, AWKWARD)
    assert rows(found) == truth(farm, AWKWARD)
    ends = {word: (found[i].run.result, found[i].run.raw_result) for i, word in outcomes.items()}
    assert ends == {
        "success": ("passed", "success"),
        "warnings": ("passed", "warnings"),
        "failure": ("failed", "failure"),
    }


def test_every_way_to_end(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    requests = farm.history(name, (0,), (1,), (2,), (3,), (4,), (5, 6), (7,), ())
    found = read(source, name)
    one, two, three, four, five, six, seven, eight = map(str, requests)
    assert {k: (d.run.result, d.run.raw_result) for k, d in found.items()} == {
        one: ("passed", "success"),
        two: ("passed", "warnings"),
        three: ("failed", "failure"),
        four: ("skipped", None),
        five: ("failed", "exception"),
        six: ("aborted", "retry"),
        f"{six}.2": ("aborted", "cancelled"),
        seven: ("unknown", "7"),
        eight: ("aborted", "cancelled"),
    }
    assert {d.run.status for d in found.values()} == {Status.FINISHED}
    for run_id, details in found.items():
        again = source.reread(details.run.pipeline, run_id)
        assert (again.run, again.steps) == (details.run, details.steps)


def test_an_exception_is_a_failure(farm: Farm, source: Buildbot) -> None:
    run_id = str(farm.built("fragile", outcome="exception"))
    found = read(source, "fragile")
    assert rows(found) == truth(farm, "fragile")
    assert (found[run_id].run.result, found[run_id].run.raw_result) == ("failed", "exception")


def test_no_property_but_the_known_ones_is_kept(
    farm: Farm, source: Buildbot, outcomes: dict[str, str]
) -> None:
    values = farm.rows("SELECT value FROM build_properties WHERE name = 'PASSWORD'")
    assert {row["value"] for row in values} >= {'"s3cret"'}
    assert "s3cret" not in repr(read(source, AWKWARD))


def test_what_has_no_column_stands_in_extra(
    farm: Farm, source: Buildbot, outcomes: dict[str, str]
) -> None:
    run_id = next(run_id for run_id, word in outcomes.items() if word == "success")
    details = read(source, AWKWARD)[run_id]
    (row,) = farm.rows("SELECT * FROM builds WHERE buildrequestid = ?", int(run_id))
    request = farm.rows("SELECT buildsetid FROM buildrequests WHERE id = ?", int(run_id))[0]
    assert details.run.extra == {
        "builderid": row["builderid"],
        "buildid": row["id"],
        "buildrequestid": int(run_id),
        "buildsetid": request["buildsetid"],
        "masterid": 1,
        "number": row["number"],
        "scheduler": "force",
        "state_string": "build successful",
        "workerid": row["workerid"],
        "workername": "steady",
    }
    hidden = details.steps[-1]
    assert hidden.extra["hidden"] is True
    assert hidden.extra["urls"] == [{"name": "report", "url": "https://example.org/report"}]


def test_a_finished_run_settles_at_once(
    farm: Farm, source: Buildbot, outcomes: dict[str, str]
) -> None:
    assert all(source.settles(details) for details in read(source, AWKWARD).values())


def test_a_builder_is_a_pipeline_by_its_name(farm: Farm, source: Buildbot) -> None:
    farm.history("2", (0,))
    pipeline = next(iter(read(source, "2").values())).run.pipeline
    number = farm.builder("2")
    assert (pipeline.external_id, pipeline.name) == ("2", "2")
    assert pipeline.url == f"http://127.0.0.1:{farm.port}/#/builders/{number}"
    assert pipeline.extra["builderid"] == number
    assert sorted(pipeline.extra["tags"]) == ["größe", "nightly"]


def test_a_queued_run_becomes_a_build_of_the_same_id(farm: Farm, source: Buildbot) -> None:
    first, second = farm.force("slow"), farm.force("slow", branch="topic", revision="c0ffee")
    farm.wait_for_step(first)
    queued = read(source, "slow")[str(second)]
    assert (queued.run.status, queued.run.started_at) == (Status.NOTSTARTED, None)
    assert (queued.run.branch, queued.run.commit_hash) == ("topic", "c0ffee")
    assert not is_settled(queued, source.grace)
    running = source.reread(queued.run.pipeline, str(first))
    assert running.run.status is Status.RUNNING
    assert [step.status for step in running.steps] == [Status.FINISHED, Status.RUNNING]
    assert rows(read(source, "slow")) == truth(farm, "slow")
    farm.stop(first)
    farm.wait_for_step(second)
    built = source.reread(queued.run.pipeline, str(second))
    assert built.run.status is Status.RUNNING
    assert built.run.created_at == queued.run.created_at
    assert (built.run.branch, built.run.commit_hash) == ("topic", "c0ffee")
    stopped = source.reread(queued.run.pipeline, str(first))
    assert (stopped.run.result, stopped.run.raw_result) == (Result.ABORTED, "cancelled")
    farm.stop(second)
    assert rows(read(source, "slow")) == truth(farm, "slow")


def test_runs_that_end_in_the_queue_never_start(farm: Farm, source: Buildbot) -> None:
    cancelled = farm.force("merging", branch="a", reason="first")
    farm.cancel(cancelled)
    merged, last = farm.force("merging", branch="b"), farm.force("merging", branch="b")
    farm.wait(merged)
    found = read(source, "merging")
    assert rows(found) == truth(farm, "merging")
    ends = {run_id: (d.run.status, d.run.result, d.run.raw_result) for run_id, d in found.items()}
    assert ends == {
        str(cancelled): ("finished", "aborted", "cancelled"),
        str(merged): ("finished", "skipped", None),
        str(last): ("notstarted", "unknown", None),
    }
    assert [d.run.started_at for d in found.values()] == [None] * 3
    assert source.settles(found[str(cancelled)])
    assert "/#/buildrequests/" in str(found[str(merged)].run.url)


def test_a_retry_given_up_in_the_queue(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    (request,) = farm.history(name, (RETRY,))
    found = read(source, name)
    assert rows(found) == truth(farm, name)
    assert set(found) == {f"{request}", f"{request}.2"}
    farm.history(name, (RETRY, RETRY, 0), (2,), ())
    assert rows(read(source, name)) == truth(farm, name)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, (None, None, None)),
        ({"owner": "ada", "owners": ["ada", "grace"]}, (None, None, "ada")),
        ({"owner": "", "owners": ["grace"]}, (None, None, "grace")),
        ({"owners": ["ada", "grace"], "branch": ""}, (None, None, None)),
        (
            {"branch": "main", "revision": "c0ffee", "got_revision": "0ff1ce"},
            ("main", "c0ffee", None),
        ),
        ({"revision": "", "got_revision": "0ff1ce"}, (None, "0ff1ce", None)),
        ({"got_revision": {"one": "a", "other": "b"}, "branch": 7}, (None, None, None)),
        ({"branch": "a\x00\ud800b"}, ("a\ufffd\ufffdb", None, None)),
    ],
)
def test_what_properties_tell(properties: dict[str, object], expected: tuple[object, ...]) -> None:
    request = {"buildrequestid": 1, "builderid": 2, "buildsetid": 3, "submitted_at": 0}
    sourced = {name: [value, "Build"] for name, value in properties.items()}
    build = {"buildid": 4, "number": 5, "started_at": 1, "properties": sourced}
    (run,) = read_attempts(Fields(request, "it"), [build], Pipeline("b"), "http://here/#")
    assert (run.branch, run.commit_hash, run.author) == expected

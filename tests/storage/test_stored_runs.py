"""Stored runs and steps are found by every filter, and come back as the source gave them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runsync.cli.resolve import stored_applications
from runsync.config import Config
from runsync.records import Outcome, Pipeline, Result, Run, Status
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore
from runsync.storage.stored_runs import (
    StoredRun,
    StoredRunFilter,
    branches_of,
    default_branches_of,
    find_runs,
    steps_of,
)
from tests.storage.run_histories import EPOCH
from tests.storage.test_store import a_run, a_step, answer

BUILD, DEPLOY = Pipeline("1", "build", default_branch="dev"), Pipeline("2", "deploy")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def stored(database: Database) -> list[Run]:
    """Runs of two pipelines, the oldest first, two of which have one id; the second has steps."""
    runs = [
        a_run(BUILD, id="7", branch="main", extra={"a": 1}, version="v1"),
        a_run(DEPLOY, id="7", branch=None, outcome=Outcome.SUCCESS),
        a_run(BUILD, id="7.2", attempt=2, branch="dev", queued_before_ms=1500),
        a_run(BUILD, id="70", branch="dev", queued_before_ms=None),
        a_run(BUILD, id="7_2", branch="x", status=Status.NOTSTARTED, result=Result.UNKNOWN,
              started_at=None, finished_at=None),
        a_run(BUILD, id="7x2.1"),
    ]  # fmt: skip
    runs = [replace(one, created_at=EPOCH - n * MINUTE) for n, one in enumerate(runs[::-1])][::-1]
    steps = (a_step("z"), a_step("b", position=2), a_step("a", position=2))
    for number, one in enumerate(runs):
        listing = "ci/application/mine" if one.pipeline is BUILD else "ci/application/other"
        own = steps if number == 1 else (a_step("of another"),)
        ListingStore(database, "ci", listing).save(Batch([answer(one, *own)]))
    return runs


def ids(database: Database, **wanted: Any) -> list[str]:
    return [one.run.id for one in find_runs(database, StoredRunFilter(**wanted))]


def test_runs_come_back_as_the_source_gave_them(database: Database, stored: list[Run]) -> None:
    found = find_runs(database, StoredRunFilter(), oldest_first=True)
    # A run that has not started tells nothing of what it waited before.
    expected = [replace(one, pipeline=replace(one.pipeline, default_branch=None)) for one in stored]
    expected[4] = replace(expected[4], queued_before_ms=None)
    assert [one.run for one in found] == expected
    assert [one.run for one in find_runs(database, StoredRunFilter())] == expected[::-1]
    assert [one.queued_ms for one in expected] == [one.run.queued_ms for one in found]


def test_steps_come_in_their_order_and_of_no_other_pipeline(
    database: Database, stored: list[Run]
) -> None:
    (run,) = find_runs(database, StoredRunFilter(pipeline="2"))
    assert [step.id for step in steps_of(database, run)] == ["z", "a", "b"]
    other = StoredRun(run.source, run.pipeline_id + 99, run.run)
    assert steps_of(database, other) == []


def test_runs_are_found_by_branch_and_by_any_attempt(database: Database, stored: list[Run]) -> None:
    assert ids(database, run_id="7", pipeline="1") == ["7.2", "7"]
    assert ids(database, run_id="7_2") == ["7_2"]  # and not 7x2.1
    assert ids(database, branch="") == ["7x2.1", "7"]
    of_defaults = default_branches_of(database, StoredRunFilter())
    assert list(of_defaults.values()) == ["dev"]
    assert ids(database, branch="main", default_branches=of_defaults) == ["70", "7.2", "7"]
    assert ids(database, branch="main", default_branches={}) == ["7"]
    assert branches_of(database, StoredRunFilter()) == {"main", "dev", "x", ""}


def test_runs_are_found_by_what_owns_their_pipelines(database: Database, stored: list[Run]) -> None:
    """Whatever a provider calls it; some of them do not mind its case, and keep it small."""
    for kind in ("application", "repository", "organization", "project"):
        store = ListingStore(database, "ci", f"ci/{kind}/acme/{kind}")
        store.save(Batch([answer(a_run(Pipeline(kind), id=kind), a_step("a"))]))
        assert ids(database, application=f"acme/{kind}") == [kind]
        assert ids(database, application=f"Acme/{kind}") == [kind]
    assert ids(database, application="acme") == []
    assert ids(database, application="other") == ["7"]
    settings = Config(None, "")
    assert {one.external_id for one in stored_applications(settings, database)} == {
        *("mine", "other", "acme/application", "acme/repository"),
        *("acme/organization", "acme/project"),
    }

"""What an answer of Buildkite's proves, and what it leaves open; and what is never kept."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runsync.errors import ForbiddenError, NotFoundError, RefusedError, SourceError
from runsync.records import Pipeline, Status
from runsync.sources.base import Listing
from runsync.sources.buildkite.source import Buildkite
from runsync.storage.database import Database
from runsync.storage.models import RunRow, StepRow
from tests.sources.buildkite.rig import run
from tests.sources.buildkite.simulator import BuildkiteSimulator
from tests.sources.buildkite.truth import stored
from tests.sources.buildkite.world import World

WEB = Pipeline("acme-inc/web")


def settled(database: Database) -> dict[str, bool]:
    with database.read() as connection:
        return dict(connection.execute(select(RunRow.id, RunRow.settled)).all())


def test_a_build_settles_ten_minutes_after_its_end(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    world.history(1, gap=1)
    run(sqlite, source)
    assert settled(sqlite) == {"1": False}
    world.pass_time(minutes=11)
    run(sqlite, source)
    assert settled(sqlite) == {"1": True}


@pytest.mark.parametrize("stamps", [True, False])
def test_a_blocked_build_rests_once_nothing_runs_in_it(
    world: World, source: Buildkite, sqlite: Database, stamps: bool
) -> None:
    world.stamps_blocks = stamps
    build = world.create("unit", "!Go?", "deploy")
    world.start(build)
    world.end(build)
    run(sqlite, source)
    assert settled(sqlite) == {"1": False}
    world.pass_time(minutes=11)
    run(sqlite, source)
    assert settled(sqlite) == {"1": True}
    build.jobs[0].state = "running"
    found = source.reread(WEB, "1")
    assert found.run.status is Status.RUNNING
    assert not source.settles(found)


def test_a_build_without_jobs_in_the_answer_is_incomplete(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    made = world.history(3)
    world.pass_time(minutes=20)
    world.spoilt[made[1].id] = lambda raw: {k: v for k, v in raw.items() if k != "jobs"}
    outcome = run(sqlite, source)
    assert (outcome.outcome, outcome.problems) == ("partial", ("build 2: its jobs are missing",))
    assert settled(sqlite) == {"1": True, "2": False, "3": True}
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert len(stored(sqlite)["2"]["steps"]) > 2


def test_bad_rows_are_named_and_the_rest_is_stored(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    made = world.history(6)
    world.pass_time(minutes=11)
    world.spoilt[made[1].id] = lambda raw: raw | {"created_at": "today"}
    world.spoilt[made[4].jobs[0].id] = lambda raw: raw | {"state": None}
    outcome = run(sqlite, source)
    assert outcome.outcome == "partial"
    assert sorted(outcome.problems) == [
        "build 2: `created_at` must be a time with its zone, not 'today'",
        f"build 5: job {made[4].jobs[0].id}: `state` is missing",
    ]
    assert set(stored(sqlite)) == {"1", "3", "4", "5", "6"}
    world.spoilt.clear()
    assert run(sqlite, source).outcome == "ok"
    assert set(stored(sqlite)) == {"1", "2", "3", "4", "5", "6"}


def test_a_403_for_the_listing_is_a_refused_token(
    world: World, simulator: BuildkiteSimulator, source: Buildkite, sqlite: Database
) -> None:
    world.history(2)
    simulator.scopes = "read_user"
    outcome = run(sqlite, source)
    assert isinstance(outcome.cause, ForbiddenError)
    assert outcome.cause.exit_code == 3
    assert "read_builds" in str(outcome.cause)


def test_another_build_than_the_one_asked_for_is_an_error(world: World, source: Buildkite) -> None:
    world.history(1)
    world.spoilt[world.builds[0].id] = lambda raw: raw | {"number": 9}
    with pytest.raises(SourceError, match="run 1 was asked for, and run 9 came"):
        source.reread(WEB, "1")
    with pytest.raises(NotFoundError):
        source.reread(WEB, "2")


@pytest.mark.parametrize("data", [{}, "x", None, 3, {"message": "hello"}])
def test_what_is_no_list_is_an_error(
    simulator: BuildkiteSimulator, source: Buildkite, listing: Listing, data: Any
) -> None:
    simulator.answer = lambda *_: (200, data, {})  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="a list is due and"):
        list(source.pages(listing, None, {}))


@pytest.mark.parametrize("text", ["../../etc", "", "12x", "-1", "0", "²", "1/2", "%2e"])
def test_what_is_no_number_is_refused_unasked(
    simulator: BuildkiteSimulator, source: Buildkite, text: str
) -> None:
    for ask in (source.find_run, source.abort):
        with pytest.raises(RefusedError, match="is no number of a Buildkite build"):
            ask(WEB, text)
    assert simulator.asked == []


def test_a_clock_that_is_ahead_here_changes_nothing(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    """The provider's clock stands years before this machine's, and decides."""
    build = world.create("unit")
    world.start(build)
    world.pass_time(minutes=1)
    world.end(build)
    world.pass_time(minutes=9)
    run(sqlite, source)
    assert settled(sqlite) == {"1": False}
    world.now += timedelta(minutes=2)
    run(sqlite, source)
    assert settled(sqlite) == {"1": True}


def test_values_and_addresses_are_never_stored(
    world: World, source: Buildkite, sqlite: Database
) -> None:
    secret = "canary-value"
    build = world.create("unit", "!Go?", env={"TOKEN": secret}, meta_data={"release": secret})
    world.start(build)
    world.end(build)
    world.unblock(build)
    world.end(build)
    world.spoilt[build.jobs[0].id] = lambda raw: (
        raw
        | {"command": f"deploy --token {secret}", "env": {"A": secret}}
        | {"retried_by": {"name": "Ada L", "email": "ada@example.org"}}
        | {"unheard_of": {"by": {"email": "ada@example.org", "name": "Ada L"}}}
    )
    world.spoilt[build.id] = lambda raw: raw | {"creator": None, "author": {"name": "a@b.org"}}
    world.pass_time(minutes=20)
    run(sqlite, source)
    with sqlite.read() as connection:
        rows = [
            *connection.execute(select(RunRow.__table__)),
            *connection.execute(select(StepRow.__table__)),
        ]
    told = " ".join(map(str, rows))
    for hidden in (secret, "example.org", "@", "192.0.2.7", "gravatar", "webhook.example"):
        assert hidden not in told.replace("git@", "")
    assert "Ada L" in told
    assert source.find_run(WEB, "1").run.env == (("TOKEN", secret),)
    assert secret not in repr(source.find_run(WEB, "1").run)

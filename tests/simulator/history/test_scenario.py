"""The invented history: the same from the same seed, and much like a real one."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsync.simulator import Scenario, World
from runsync.simulator.world.registry import Page

NOW = datetime(2024, 5, 15, 14, tzinfo=UTC)
Run = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> World:
    return Scenario(seed=1, runs=4000, now=NOW).build()


@pytest.fixture(scope="module")
def history(world: World) -> dict[str, list[Run]]:
    return {pipeline.name: world.truth(pipeline.id) for pipeline in world.pipelines}


@pytest.fixture(scope="module")
def builds(history: dict[str, list[Run]]) -> list[Run]:
    return history["build-and-test"]


def seconds(runs: list[Run], step: str) -> list[float]:
    steps = itertools.chain.from_iterable(run["steps"] for run in runs)
    return [s["duration_ms"] / 1000 for s in steps if s["name"] == step and s["result"] == "passed"]


def pass_rate(runs: list[Run]) -> float:
    ended = Counter(run["result"] for run in runs)
    return ended["passed"] / (ended["passed"] + ended["failed"])


def bytes_of(world: World) -> list[bytes]:
    page = Page(("applicationId", world.application_id), limit=10**6)
    runs = [run for pipeline in world.pipelines for run in world.run_ids(pipeline.id)]
    return [world.list_body(page), *(world.steps_body(run) for run in runs)]


# -- the same from the same seed


def test_pipelines_keep_their_ids_whenever_the_service_starts() -> None:
    def ids(now: datetime, seed: int = 3) -> list[str]:
        world = Scenario(seed=seed, runs=5, now=now).build()
        return [world.application_id, *(pipeline.id for pipeline in world.pipelines)]

    first = ids(NOW)
    assert ids(NOW + timedelta(days=400)) == first
    assert len({*first, *ids(NOW, seed=4)}) == 8


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, other = (Scenario(seed=7, runs=150, now=NOW).build() for _ in range(2))
    assert bytes_of(one) == bytes_of(other)


def test_another_seed_gives_another_history() -> None:
    one, other = (Scenario(seed=seed, runs=150, now=NOW).build() for seed in (1, 2))
    assert bytes_of(one) != bytes_of(other)


@pytest.mark.parametrize(
    ("runs", "pipelines"), [(0, 3), (1, 1), (7, 3), (400, 3), (400, 5), (100, 7), (0, 0)]
)
def test_there_are_as_many_runs_as_asked_for(runs: int, pipelines: int) -> None:
    world = Scenario(runs=runs, pipelines=pipelines, now=NOW).build()
    assert len(world.pipelines) == pipelines
    assert sum(len(world.run_ids(pipeline.id)) for pipeline in world.pipelines) == runs
    assert len({pipeline.name for pipeline in world.pipelines}) == pipelines


def test_runs_per_pipeline() -> None:
    world = Scenario(runs=[30, 0, 5], now=NOW).build()
    assert [len(world.run_ids(pipeline.id)) for pipeline in world.pipelines] == [30, 0, 5]
    with pytest.raises(ValueError, match="2 numbers for 3"):
        Scenario(runs=[1, 2]).build()


@pytest.mark.parametrize("steps", [0, 1, 8, 25])
def test_exactly_so_many_steps(steps: int) -> None:
    world = Scenario(runs=120, steps=steps, now=NOW).build()
    for pipeline in world.pipelines:
        assert {len(run["steps"]) for run in world.truth(pipeline.id)} == {steps}


def test_without_now_it_ends_today() -> None:
    world = Scenario(runs=30).build()
    newest = world.truth(world.pipelines[0].id)[0]["created_at"]
    assert timedelta(0) <= datetime.now(UTC) - newest < timedelta(minutes=1)


# -- much like a real one


def test_ids_are_unique_and_tell_their_second(history: dict[str, list[Run]]) -> None:
    runs = list(itertools.chain.from_iterable(history.values()))
    ids = [run["id"] for run in runs] + [step["id"] for run in runs for step in run["steps"]]
    assert len(set(ids)) == len(ids)
    for run in runs:
        assert int(run["id"][:8], 16) == int(run["created_at"].timestamp())
        assert len(run["id"]) == 24


def test_listings_are_in_order_and_within_the_days(builds: list[Run]) -> None:
    created = [run["created_at"] for run in builds]
    assert created == sorted(created, reverse=True)
    assert created[0] <= NOW
    assert created[-1] >= NOW - timedelta(days=120)


def test_runs_of_one_moment_are_in_no_order_of_ids(world: World) -> None:
    other = World(world.clock)
    pipeline = other.add_pipeline().id
    for _ in range(20):
        other.add_run(pipeline, created_at=NOW)
    ids = other.run_ids(pipeline)
    assert ids not in (sorted(ids), sorted(ids, reverse=True))
    assert ids == other.run_ids(pipeline)


def test_pipelines_have_profiles_of_their_own(history: dict[str, list[Run]]) -> None:
    steps = {
        name: {s["name"] for run in runs for s in run["steps"]} for name, runs in history.items()
    }
    assert "browser tests" in steps["build-and-test"]
    assert "roll out" in steps["deploy-production"] - steps["build-and-test"]
    assert pass_rate(history["deploy-production"]) > pass_rate(history["build-and-test"]) + 0.05
    assert pass_rate(history["build-and-test"]) > pass_rate(history["nightly-checks"])
    assert {run["created_at"].hour for run in history["nightly-checks"][1:]} <= {2, 3}


def test_people_work_in_the_week_by_day(builds: list[Run]) -> None:
    weekend = sum(run["created_at"].weekday() >= 5 for run in builds)
    assert weekend / len(builds) < 0.1
    office = sum(8 <= run["created_at"].hour < 18 for run in builds)
    assert office / len(builds) > 0.8


def test_branches_come_and_go(builds: list[Run]) -> None:
    branches = Counter(run["branch"] for run in builds)
    assert branches.most_common(1)[0][0] == "master"
    assert len(branches) > 15
    del branches["master"]
    busiest = branches.most_common(1)[0][0]
    times = [run["created_at"] for run in builds if run["branch"] == busiest]
    assert max(times) - min(times) < timedelta(days=15)


def test_people(builds: list[Run]) -> None:
    authors = Counter(run["author"] for run in builds)
    assert 4 <= len(authors) <= 8
    assert "Ana Kovač" in authors, "known by name only"
    assert {run["author_id"] for run in builds if run["author"] == "release-bot"} == {None}


def test_queues_grow_in_busy_hours(builds: list[Run]) -> None:
    started = [run for run in builds if run["queued_ms"] is not None]
    busy = [run["queued_ms"] for run in started if run["created_at"].hour in (10, 14)]
    calm = [run["queued_ms"] for run in started if run["created_at"].hour >= 18]
    assert statistics.median(busy) > 3 * statistics.median(calm)


def test_one_step_drifts(builds: list[Run]) -> None:
    half = len(builds) // 2
    late, early = builds[:half], builds[half:]
    drift = statistics.median(seconds(late, "unit tests")) / statistics.median(
        seconds(early, "unit tests")
    )
    steady = statistics.median(seconds(late, "lint")) / statistics.median(seconds(early, "lint"))
    assert drift > 1.2
    assert 0.9 < steady < 1.1


def test_one_step_is_flaky(builds: list[Run]) -> None:
    results: dict[tuple[str, str], set[str]] = {}
    for run in builds:
        for step in run["steps"]:
            results.setdefault((step["name"], run["commit_hash"]), set()).add(step["result"])
    flaky = Counter(name for (name, _), seen in results.items() if {"passed", "failed"} <= seen)
    assert set(flaky) == {"browser tests"}
    assert flaky["browser tests"] > 50


def test_one_week_was_bad(builds: list[Run]) -> None:
    weeks: dict[int, list[Run]] = {}
    for run in builds:
        weeks.setdefault((NOW - run["created_at"]).days // 7, []).append(run)
    rates = sorted(pass_rate(runs) for runs in weeks.values() if len(runs) > 50)
    assert rates[0] < 0.6
    assert rates[2] > 0.7, "the bad week touches two of ours at most"


def test_some_runs_are_aborted_and_some_of_them_never_started(builds: list[Run]) -> None:
    aborted = [run for run in builds if run["result"] == "aborted"]
    assert 0.03 < len(aborted) / len(builds) < 0.12
    never = [run for run in aborted if run["started_at"] is None]
    assert 0.1 < len(never) / len(aborted) < 0.5


def test_steps_never_reached_are_both_listed_and_left_out(builds: list[Run]) -> None:
    failed = [run for run in builds if run["result"] == "failed"]
    listed = Counter(any(s["status"] == "notstarted" for s in run["steps"]) for run in failed)
    assert min(listed[True], listed[False]) > 50
    assert all(run["progress"] < 100 for run in failed)


def test_deploys_follow_builds_that_passed_on_master(
    history: dict[str, list[Run]], builds: list[Run]
) -> None:
    by_id = {run["id"]: run for run in builds}
    chained = [run for run in history["deploy-production"] if run["source_run_id"]]
    assert len(chained) > 900
    for run in chained:
        source = by_id[run["source_run_id"]]
        assert (source["result"], source["branch"]) == ("passed", "master")
        assert source["finished_at"] <= run["created_at"]
        assert source["commit_hash"] == run["commit_hash"]


def test_some_things_are_under_way(history: dict[str, list[Run]], builds: list[Run]) -> None:
    newest = {(run["raw_status"], run["result"]) for run in builds[:4]}
    assert newest == {
        ("notstarted", "unknown"),
        ("running", "unknown"),
        ("finished", "aborted"),
    }
    (aborted,) = (run for run in builds[:4] if run["result"] == "aborted")
    assert any(step["status"] == "running" for step in aborted["steps"]), "not come through yet"
    for runs in history.values():
        assert any(run["status"] != "finished" for run in runs)


def test_some_runs_wait_for_approval(history: dict[str, list[Run]]) -> None:
    deploys = history["deploy-production"]
    assert Counter(run["raw_status"] for run in deploys)["pendingapproval"] == 1
    waited = [run for run in deploys if (run["queued_ms"] or 0) > 1_800_000]
    assert len(waited) > 50


@pytest.fixture(scope="module")
def story() -> dict[str, list[Run]]:
    world = Scenario(seed=1, runs=2000, now=NOW, has_incidents=True).build()
    return {pipeline.name: world.truth(pipeline.id) for pipeline in world.pipelines}


@pytest.mark.parametrize("seed", range(5))
def test_in_a_story_master_is_broken_at_the_end_by_one_step(seed: int) -> None:
    world = Scenario(seed=seed, runs=300, now=NOW, has_incidents=True, arrivals_per_hour=20).build()
    world.clock.advance(timedelta(hours=1))
    runs = sorted(world.truth(world.pipelines[0].id), key=lambda run: run["created_at"])
    master = [run for run in runs if run["branch"] == "master"]
    verdicts = [run for run in master if run["result"] in ("passed", "failed")]
    assert [run["result"] for run in verdicts[-2:]] == ["failed", "failed"]
    assert {s["name"] for s in verdicts[-1]["steps"] if s["result"] == "failed"} == {"unit tests"}


def test_in_a_story_tests_fail_more_and_deployments_take_longer(
    story: dict[str, list[Run]],
) -> None:
    def parts(name: str, days: int) -> tuple[list[Run], list[Run]]:
        change = NOW - timedelta(days=days)
        runs = [run for run in story[name] if run["result"] in ("passed", "failed")]
        return [r for r in runs if r["created_at"] < change], [
            r for r in runs if r["created_at"] >= change
        ]

    before, after = parts("build-and-test", 43)
    assert pass_rate(before) - pass_rate(after) > 0.1
    before, after = parts("deploy-production", 24)
    took = [statistics.median(seconds(runs, "roll out")) for runs in (before, after)]
    assert 1.4 < took[1] / took[0] < 2

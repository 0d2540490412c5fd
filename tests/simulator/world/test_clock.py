"""Time passes, and the world moves with it: runs, steps, aborts, arrivals."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsync.simulator import AlreadyFinishedError, Clock, Scenario, UnknownIdError, World

STEPS = [{"name": name, "seconds": 100} for name in ("a", "b", "c")]


def look(world: World, run: str) -> tuple[str, str, int | None]:
    payload = world.run_payload(run)
    return payload["status"], payload["result"], payload["progress"]


# -- the clock itself


def test_a_manual_clock_stands_still_until_advanced() -> None:
    clock = Clock(datetime(2024, 1, 1, tzinfo=UTC))
    assert clock.now() == datetime(2024, 1, 1, tzinfo=UTC)
    assert clock.advance(1.5) == datetime(2024, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    clock.advance(timedelta(days=-1))
    assert clock.now().day == 31


def test_a_naive_time_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        clock = Clock(datetime(2024, 1, 1))  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()
    assert clock.now() == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_real_clock_shows_the_real_time() -> None:
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_running_clock_starts_where_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((5_000_000_000, 7_000_000_000))
    monkeypatch.setattr("runsync.simulator.world.clock.time.time_ns", lambda: next(ticks))
    start = datetime(2020, 1, 1, tzinfo=UTC)
    assert Clock.running(start).now() == start + timedelta(seconds=2)


def test_the_date_header_is_the_worlds_clock(client: Any, world: World) -> None:
    assert client.runs().headers["Date"] == "Wed, 15 May 2024 14:00:00 GMT"
    world.clock.advance(61)
    assert client.runs().headers["Date"] == "Wed, 15 May 2024 14:01:01 GMT"


# -- a run's life


def test_a_run_from_its_creation_to_its_end(world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, steps=STEPS)
    seen = []
    for _ in range(400):
        seen.append(look(world, run))
        world.clock.advance(1)
    assert list(dict.fromkeys(status for status, _, _ in seen)) == [
        "notstarted",
        "started",
        "running",
        "finished",
    ]
    progress = [percent for _, _, percent in seen if percent is not None]
    assert progress == sorted(progress)
    assert len(set(progress)) > 50
    assert {result for status, result, _ in seen if status != "finished"} == {"unknown"}
    assert seen[-1] == ("finished", "passed", 100)


def test_steps_move_on(world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, steps=STEPS, shows_unreached=True)
    seen = []
    for _ in range(5):
        seen.append([step["status"] for step in world.step_payloads(run)])
        world.clock.advance(80)
    assert seen[0] == ["notstarted", "notstarted", "notstarted"]
    assert seen[1] == ["running", "notstarted", "notstarted"]
    assert seen[2] == ["finished", "running", "notstarted"]
    assert seen[4] == ["finished", "finished", "finished"]
    assert [step["result"] for step in world.step_payloads(run)] == ["passed"] * 3


def test_the_wire_shows_the_movement(client: Any, world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, steps=STEPS)
    seen = []
    for seconds in (0, 60, 3600):
        world.clock.advance(seconds)
        (item,) = client.runs(pipelineId=pipeline).json()
        steps = client.get(f"/api/v3/runs/{run}/steps").json()
        seen.append((item["status"], item["result"], [step["status"] for step in steps]))
    assert seen == [
        ("notstarted", "unknown", []),
        ("running", "unknown", ["running"]),
        ("finished", "passed", ["finished"] * 3),
    ]


@pytest.mark.parametrize("status", ["notstarted", "pendingapproval", "started", "running"])
def test_a_run_can_be_held(world: World, pipeline: str, status: str) -> None:
    run = world.add_run(pipeline, status=status, steps=STEPS)
    assert look(world, run)[:2] == (status, "unknown")
    world.clock.advance(timedelta(days=30))
    assert look(world, run)[:2] == (status, "unknown")
    if status == "running":
        assert world.step_payloads(run)[-1]["status"] == "running"
    world.release(run)
    world.clock.advance(timedelta(hours=1))
    assert look(world, run) == ("finished", "passed", 100)
    assert world.run_payload(run)["finishedAt"] >= "2024-06-14", "not while it was held"


def test_no_other_status_can_be_held(world: World, pipeline: str) -> None:
    with pytest.raises(ValueError, match="paused"):
        world.add_run(pipeline, status="paused")


@pytest.mark.parametrize("status", ["notstarted", "running"])
@pytest.mark.parametrize("result", ["passed", "failed"])
def test_finish(world: World, pipeline: str, status: str, result: str) -> None:
    run = world.add_run(pipeline, status=status, steps=STEPS)
    world.clock.advance(150)
    world.finish(run, result)
    payload = world.run_payload(run)
    assert (payload["status"], payload["result"]) == ("finished", result)
    assert payload["finishedAt"] == "2024-05-15T14:02:30.000Z"
    steps = world.step_payloads(run)
    assert {step["status"] for step in steps} == {"finished"}
    assert max(step["finishedAt"] for step in steps) <= payload["finishedAt"]
    assert steps[-1]["result"] == result
    with pytest.raises(AlreadyFinishedError):
        world.finish(run)


# -- aborts


def test_an_abort_takes_minutes_to_come_through(world: World, pipeline: str) -> None:
    lengths = {"a": 5, "b": 900, "c": 1}
    run = world.add_run(
        pipeline, steps=[{"name": name, "seconds": length} for name, length in lengths.items()]
    )
    world.clock.advance(60)
    world.abort(run)
    finished = world.run_payload(run)["finishedAt"]
    at_once = look(world, run), world.step_payloads(run)
    assert at_once[0][:2] == ("finished", "aborted")
    assert at_once[1][-1]["status"] == "running"
    world.clock.advance(300)
    later = look(world, run), world.step_payloads(run)
    assert later[0][2] != at_once[0][2], "its progress has changed"
    assert [(step["status"], step["result"]) for step in later[1]] == [
        ("finished", "passed"),
        ("finished", "aborted"),
    ]
    assert world.run_payload(run)["finishedAt"] == finished
    world.clock.advance(timedelta(days=1))
    assert (look(world, run), world.step_payloads(run)) == later, "settled within five minutes"


def test_finishing_as_aborted_is_an_abort(world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="running")
    world.clock.advance(5)
    world.finish(run, "aborted")
    assert world.run_payload(run)["result"] == "aborted"
    assert world.step_payloads(run)[-1]["status"] == "running"


def test_an_abort_before_the_start(world: World, pipeline: str) -> None:
    run = world.add_run(pipeline, status="pendingapproval")
    world.clock.advance(60)
    world.abort(run)
    payload = world.run_payload(run)
    assert (payload["status"], payload["result"]) == ("finished", "aborted")
    assert "startedAt" not in payload
    assert world.step_payloads(run) == []
    with pytest.raises(AlreadyFinishedError):
        world.abort(run)


# -- arrivals


def arrivals(advances: list[float]) -> tuple[World, list[str]]:
    now = datetime(2024, 5, 15, 14, tzinfo=UTC)
    world = Scenario(seed=3, runs=50, now=now, arrivals_per_hour=30).build()
    before = {run for pipeline in world.pipelines for run in world.run_ids(pipeline.id)}
    for seconds in advances:
        world.clock.advance(seconds)
        world.run_ids(world.pipelines[0].id)
    after = [run for pipeline in world.pipelines for run in world.run_ids(pipeline.id)]
    return world, [run for run in after if run not in before]


def test_runs_arrive_as_time_passes() -> None:
    world, new = arrivals([36_000])
    assert 200 < len(new) < 400, "30 an hour for 10 hours"
    created = [world.run_payload(run)["createdAt"] for run in new]
    assert all("2024-05-15T14" <= when <= "2024-05-16T00:00:00.000Z" for when in created)


def test_arrivals_do_not_depend_on_who_looks_when() -> None:
    world, new = arrivals([36_000])
    again, same = arrivals([600] * 60)
    assert new == same
    assert world.truth(world.pipelines[0].id) == again.truth(again.pipelines[0].id)


def test_nothing_arrives_unasked() -> None:
    world = Scenario(runs=30, now=datetime(2024, 5, 15, tzinfo=UTC)).build()
    world.clock.advance(timedelta(days=9))
    assert sum(len(world.run_ids(pipeline.id)) for pipeline in world.pipelines) == 30


def test_arrivals_on_order() -> None:
    world = Scenario(runs=30, now=datetime(2024, 5, 15, tzinfo=UTC)).build()
    pipeline = world.pipelines[0].id
    new = world.arrive(pipeline, 4)
    assert set(world.run_ids(pipeline)[:4]) == set(new)
    with pytest.raises(UnknownIdError):
        World().arrive(pipeline)


# -- deletions


def test_delete_before(world: World, pipeline: str) -> None:
    now = world.clock.now()
    runs = [world.add_run(pipeline, created_at=now - timedelta(days=days)) for days in range(6)]
    assert world.delete_before(now - timedelta(days=2)) == 3
    assert world.run_ids(pipeline) == runs[:3]


def test_an_id_is_taken_once(world: World, pipeline: str) -> None:
    world.add_run(pipeline, id="a" * 24)
    with pytest.raises(ValueError, match="already"):
        world.add_run(pipeline, id="a" * 24)
    with pytest.raises(ValueError, match="24 hex"):
        world.add_run(pipeline, id="run-1")
    with pytest.raises(UnknownIdError):
        world.add_run("b" * 24)

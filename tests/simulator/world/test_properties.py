"""What holds for any world: paging loses nothing, filters are what they say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runsync.simulator import Clock, Simulator, World

BRANCHES = ("master", "fix", "ä b&c")
AUTHORS = ("tonnu", "liwei", "Ana Kovač", "release-bot")
STATUSES = (None, "notstarted", "pendingapproval", "started", "running", "finished")
RESULTS = ("passed", "failed", "aborted")

runs = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.integers(0, 40),
            "branch": st.sampled_from((*BRANCHES, None)),
            "author": st.sampled_from(AUTHORS),
            "commit": st.sampled_from(("a" * 40, "b" * 40)),
            "status": st.sampled_from(STATUSES),
            "result": st.sampled_from(RESULTS),
            "chained": st.booleans(),
            "second": st.booleans(),
        }
    ),
    max_size=60,
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(("notstarted", "started", "running", "finished")),
        "result": st.sampled_from((*RESULTS, "unknown")),
        "branch": st.sampled_from(BRANCHES),
        "author": st.sampled_from(AUTHORS),
        "commit": st.sampled_from(("a" * 40, "c" * 40)),
        "sourceRun": st.just("f" * 24),
    },
)
few = settings(max_examples=40, deadline=None)


def build(specs: list[dict[str, Any]]) -> World:
    world = World(Clock(Clock().now()))
    one, other = world.add_pipeline("one"), world.add_pipeline("other")
    for spec in specs:
        source = "f" * 24 if spec["chained"] else None
        rest = {key: spec[key] for key in ("branch", "author", "commit", "status", "result")}
        world.add_run(
            (other if spec["second"] else one).id,
            created_at=world.clock.now() - timedelta(seconds=spec["age"]),
            source_run_id=source,
            **rest,
        )
    return world


def everything(client: Any, **query: object) -> list[str]:
    """The ids on all pages, asked for one after the other."""
    found: list[str] = []
    while page := client.runs(**query, **({"skip": len(found)} if found else {})).json():
        assert len(page) <= int(str(query["limit"]))
        found += [run["id"] for run in page]
    return found


@few
@given(runs, st.integers(1, 20), st.sampled_from(("creationDateAsc", "creationDateDesc")))
def test_pages_cover_all_runs_in_order(
    make_client: Any, specs: list[dict[str, Any]], limit: int, sort: str
) -> None:
    world = build(specs)
    for key, owner in (
        ("pipelineId", world.pipelines[0].id),
        ("applicationId", world.application_id),
    ):
        with Simulator(world) as sim:
            found = everything(make_client(sim), **{key: owner}, limit=limit, sort=sort)
        wanted = [
            run
            for pipeline in world.pipelines
            if owner in (pipeline.id, pipeline.application_id)
            for run in world.truth(pipeline.id)
        ]
        assert len(found) == len(wanted)
        assert set(found) == {run["id"] for run in wanted}
        created = {run["id"]: run["created_at"] for run in wanted}
        times = [created[run] for run in found]
        assert times == sorted(times, reverse=sort == "creationDateDesc")


@few
@given(runs, filters)
def test_filters_are_what_they_say(
    make_client: Any, specs: list[dict[str, Any]], where: dict[str, str]
) -> None:
    world = build(specs)
    pipeline = world.pipelines[0].id
    usernames = {
        run["id"]: world.run_payload(run["id"])["user"]["meta"].get("username")
        for run in world.truth(pipeline)
    }

    def passes(run: dict[str, Any]) -> bool:
        says = {
            "status": run["raw_status"],
            "result": run["result"],
            "branch": run["branch"],
            "author": usernames[run["id"]],
            "commit": run["commit_hash"],
            "sourceRun": run["source_run_id"],
        }
        return all(says[key] == value for key, value in where.items())

    with Simulator(world) as sim:
        found = everything(make_client(sim), pipelineId=pipeline, limit=20, **where)
    assert found == [run["id"] for run in world.truth(pipeline) if passes(run)]


@few
@given(runs, st.lists(st.integers(1, 200), max_size=6))
def test_a_run_only_ever_moves_on(specs: list[dict[str, Any]], steps: list[int]) -> None:
    order = {"pendingapproval": 0, "notstarted": 1, "started": 2, "running": 3, "finished": 4}
    world = build(specs)
    ids = [run for pipeline in world.pipelines for run in world.run_ids(pipeline.id)]
    before = {run: world.run_payload(run) for run in ids}
    for seconds in steps:
        world.clock.advance(seconds)
        for run in ids:
            now, then = world.run_payload(run), before[run]
            assert order[now["status"]] >= order[then["status"]]
            if then["status"] == "finished":
                assert now["finishedAt"] == then["finishedAt"]
                assert (now["progress"] or 0) >= (then["progress"] or 0)
            before[run] = now

"""The simulator starts, answers and stops."""

import requests

from runsync.simulator import Scenario, Simulator


def test_serves_a_listing() -> None:
    world = Scenario(runs=60).build()
    with Simulator(world) as sim:
        url = f"{sim.url}/api/v3/runs"
        answer = requests.get(url, params={"pipelineId": world.pipelines[0].id}, timeout=5)
    assert answer.status_code == 200
    assert [run["id"] for run in answer.json()] == world.run_ids(world.pipelines[0].id)[:10]

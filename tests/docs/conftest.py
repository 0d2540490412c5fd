"""A small history that was synced from the simulated service, for whoever reads a database."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runsync import cli
from runsync.simulator import Scenario, Simulator

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONFIG = """
database_url = "sqlite:///runsync.db"

[sources.wercker]
base_url = "{url}"

[[pipelines]]
application_id = "{application}"
"""


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and a database; the service is gone."""
    folder = tmp_path_factory.mktemp("synced")
    with Simulator(Scenario(seed=3, runs=60, days=40, now=NOW).build()) as simulator:
        application = simulator.world.application_id
        config = folder / "runsync.toml"
        config.write_text(CONFIG.format(url=simulator.url, application=application))
        assert cli.run(["sync", "--config", str(config), "-q"]) == 0
    return folder

"""``runsync export``: where it writes to, and what it says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runsync.storage.database import Database
from tests.cli.conftest import Shell, process
from tests.cli.rows_by_hand import add_pipeline, add_runs

MARCH = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def filled(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    add_runs(sqlite, add_pipeline(sqlite, "p1", "build"), [MARCH, MARCH])
    url = sqlite.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", url)
    return sqlite


@pytest.mark.usefixtures("filled")
def test_the_command(shell: Shell, folder: Path) -> None:
    ended = shell("export", "out")
    assert (ended.code, ended.out) == (0, "")
    assert "out: wrote 1 months (2 runs, 4 steps); 0 months are as they were" in ended.err
    assert "wrote 0 months" in shell("export", "out").err
    assert shell("export", "out", "--format", "csv").code == 2
    assert shell("export", "out", "--format", "parkuet").code == 2
    (folder / "file").write_text("x")
    refused = shell("export", "file")
    assert refused.code == 2
    assert "cannot write to" in refused.err


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("option", [[], ["--format", "csv"]])
def test_a_variable_that_is_not_set_fills_no_folder(
    shell: Shell, folder: Path, option: list[str]
) -> None:
    refused = shell("export", "", *option)
    assert refused.code == 2
    assert "the archive's folder has an empty name" in refused.err
    assert not (folder / "_runsync.json").exists()


@pytest.mark.usefixtures("filled")
def test_a_server_that_does_not_answer_is_said_without_the_password(shell: Shell) -> None:
    refused = shell("export", "ftp://us:s3cr3t@127.0.0.1:1/ci")
    assert refused.code == 5
    assert "cannot read the archive ftp://us:***@127.0.0.1:1/ci: Connection refused" in refused.err


SMALL_FILES = """
import resource, signal, sys
from runsync.cli import run

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.exit(run(["export", "out", "--format", "csv"]))
"""


@pytest.mark.usefixtures("folder")
def test_a_write_that_fails_half_way_is_one_sentence(filled: Database) -> None:
    add_runs(filled, add_pipeline(filled, "p2", "deploy"), [MARCH] * 500, steps=0)
    add_runs(filled, add_pipeline(filled, "p3", "docs"), [MARCH])
    with process(program=["-c", SMALL_FILES]) as exporting:
        _, err = exporting.communicate(timeout=60)
    assert exporting.returncode == 2
    assert b"runsync: cannot write to out: File too large" in err
    assert err.count(b"\n") == 1


@pytest.mark.usefixtures("filled")
def test_without_a_folder_that_of_the_config_is_taken(shell: Shell, folder: Path) -> None:
    refused = shell("export")
    assert refused.code == 2
    assert "name the archive's folder, or write [archive] path into" in refused.err
    (folder / "etc").mkdir()
    config = folder / "etc" / "runsync.toml"
    config.write_text('[archive]\npath = "history/"\n')
    assert shell("export", "--config", config).code == 0
    assert (folder / "etc" / "history" / "_runsync.json").exists()

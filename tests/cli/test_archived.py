"""What commands do with an archive: compare it, prune by it, report on it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from runsync.storage.database import Database
from runsync.storage.models import StepRow
from tests.cli.conftest import Shell
from tests.reports.database_rows import cover, fill, pipeline, run, step

JANUARY = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def filled(sqlite: Database, folder: Path) -> Database:
    """A run a day for 100 days, in a database that the config of the folder names."""
    runs = [run(f"r{n}", JANUARY + timedelta(days=n)) for n in range(100)]
    fill(sqlite, runs, [step(r, 1, "build") for r in runs], pipelines=[pipeline(1)])
    end = JANUARY + timedelta(days=100)
    cover(sqlite, (JANUARY, end), synced=end, reaches_start=True)
    url = sqlite.engine.url.render_as_string(hide_password=False)
    (folder / "runsync.toml").write_text(
        f'database_url = "{url}"\n[archive]\npath = "history"\n', encoding="utf-8"
    )
    return sqlite


@pytest.mark.usefixtures("filled")
def test_rows_leave_the_database_and_reports_go_on_seeing_them(shell: Shell) -> None:
    before = shell("report", "pass-rates", "--every", "month", "--json").data
    assert [row["finished"] for row in before] == [31, 29, 31, 9]
    assert shell("export").code == 0
    tried = shell("db", "prune", "--before", "2024-03-01", "--archived", "--dry-run", "--json")
    assert [(row["month"], row["runs"], row["kept"]) for row in tried.data] == [
        ("2024-01", 31, None),
        ("2024-02", 29, None),
    ]
    assert "nothing was deleted" in tried.err
    refused = shell("db", "prune", "--before", "2024-03-01", "--archived")
    assert refused.code == 2
    assert "add --yes to delete 60 runs" in refused.err
    done = shell("db", "prune", "--before", "2024-03-01", "--archived", "--yes")
    assert done.code == 0
    assert "2 months (60 runs) are in" in done.err
    assert "deleted 2 months" in done.err
    assert shell("report", "pass-rates", "--every", "month", "--json").data == before
    alone = shell("report", "pass-rates", "--every", "month", "--archive", "history", "--json")
    assert alone.data == before
    assert shell("verify", "--archived").code == 0
    assert "compared 4 months (100 runs, 100 steps)" in shell("verify", "--archived").err


def test_what_differs_makes_the_exit_code_4(shell: Shell, filled: Database) -> None:
    shell("export")
    with filled.write() as connection:
        connection.execute(update(StepRow).where(StepRow.run_id == "r3").values(result="aborted"))
    ended = shell("verify", "--archive", "history", "--json")
    assert ended.code == 4
    assert ended.data == [
        {"pipeline": "build", "month": "2024-01", "kind": "different", "runs": 1, "why": "r3"}
    ]
    assert "build: 2024-01 is different: r3" in ended.err
    kept = shell("db", "prune", "--before", "2024-03-01", "--archived", "--yes", "--json")
    assert kept.code == 4
    assert [row["kept"] is None for row in kept.data] == [False, True]


@pytest.mark.usefixtures("filled")
def test_what_cannot_be_meant_is_said(shell: Shell) -> None:
    for words, said in (
        (["db", "prune", "--before", "2024-03-01"], "add --archived"),
        (["db", "prune", "--before", "yore", "--archived"], "is not a time"),
        (["verify", "--archived", "--repair"], "leave everything else away"),
        (["report", "aborts", "--archive", "nowhere"], "/nowhere; `runsync export"),
        (["verify", "--archived"], "there is no archive at"),
    ):
        ended = shell(*words)
        assert ended.code in (2, 5)
        assert said in ended.err

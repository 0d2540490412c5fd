"""Sealed months from the archive, the rest from the database: the figures of the whole."""

import itertools
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from runsync import reports
from runsync.archive.export import export
from runsync.archive.mixed import bounds, needed_columns, open_mixed
from runsync.archive.prune import months_to_prune, prune
from runsync.errors import ArchiveError
from runsync.reports.computed import RUN_CREATED_AT
from runsync.reports.definitions import REPORTS
from runsync.storage.database import Database
from runsync.storage.models import RunRow
from runsync.storage.tables import v_runs, v_steps
from tests.archive.test_reading import assert_same, histories
from tests.effort import effort
from tests.reports.database_rows import add_runs, at, cover, empty, fill, pipeline, run, step

ASKED: tuple[dict[str, Any], ...] = (
    {"by": ("branch",)},
    {"since": at(20), "until": at(65), "every": "week", "tz": "Asia/Kathmandu"},
)


def url(database: Database, place: Path) -> str:
    found = database.engine.url.render_as_string(hide_password=False)
    return f"{found}+archive:{place}"


def copied(database: Database, path: Path) -> Database:
    path.unlink(missing_ok=True)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(f"VACUUM INTO '{path}'")
        connection.exec_driver_sql("BEGIN")
    return Database(f"sqlite:///{path}")


def fresh(database: Database, place: Path) -> set[tuple[int, str]]:
    """The months that are read from the database."""
    with database.read() as connection, open_mixed(connection, place) as mixed:
        assert mixed is not None
        return set(mixed._fresh)


@effort(4)
@given(history=histories(), changed=st.sets(st.integers(0, 30)), pruned=st.booleans())
def test_any_split_has_the_same_figures(
    sqlite: Database,
    tmp_path_factory: pytest.TempPathFactory,
    history: Any,
    changed: set[int],
    pruned: bool,
) -> None:
    empty(sqlite)
    with sqlite.write() as connection:
        connection.execute(sa.text("DELETE FROM months"))
    fill(sqlite, *history, pipelines=[pipeline(1), pipeline(2, "o'x\\y", source="other")])
    cover(sqlite, (at(0), at(70)), pipelines=[1], synced=at(73), reaches_start=True)
    cover(sqlite, (at(28), at(70)), pipelines=[2], listing="other", synced=at(80))
    place = tmp_path_factory.mktemp("archive")
    export(sqlite, place)
    again = [one["id"] for number, one in enumerate(history[0]) if number in changed]
    with sqlite.write() as connection:
        change = sa.update(RunRow).where(RunRow.id.in_(again))
        connection.execute(change.values(result="failed", branch="changed"))
    with closing(copied(sqlite, place / "whole.db")) as whole:
        if pruned:
            prune(sqlite, place, months_to_prune(sqlite, place, at(60)))
        for name, asked in itertools.product(REPORTS, ASKED):
            assert_same(name, whole, url(sqlite, place), asked)
        assert reports.lacking(whole) == reports.lacking(url(sqlite, place))


@pytest.fixture
def filled(sqlite: Database) -> Database:
    """A run a day for 130 days, covered to the end of June, with steps."""
    runs = [run(f"r{n}", at(n), "failed" if n % 3 else "passed") for n in range(130)]
    fill(sqlite, runs, [step(r, k, "build") for r in runs for k in range(2)])
    cover(sqlite, (at(0), at(119)), synced=at(119), reaches_start=True)
    return sqlite


def test_only_what_is_sealed_and_unchanged_comes_from_the_archive(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    assert fresh(filled, tmp_path) == {(1, "2024-07")}
    with filled.write() as connection:
        connection.execute(sa.update(RunRow).where(RunRow.id == "r40").values(result="aborted"))
    add_runs(filled, [run("new", at(59))])
    assert fresh(filled, tmp_path) == {(1, "2024-04"), (1, "2024-05"), (1, "2024-07")}
    found = reports.pass_rates(url(filled, tmp_path), by=())
    assert found[["finished", "aborted"]].to_numpy().tolist() == [[131, 1]]


def test_rows_of_sealed_months_are_not_read_from_the_database(
    filled: Database, tmp_path: Path
) -> None:
    """The archive's own rows are counted: what the database holds of them is not looked at."""
    export(filled, tmp_path)
    prune(filled, tmp_path, months_to_prune(filled, tmp_path, datetime(2024, 5, 1, tzinfo=UTC)))
    assert fresh(filled, tmp_path) == {(1, "2024-07")}
    assert reports.step_durations(url(filled, tmp_path), by=("step",))["count"].tolist() == [260]
    assert reports.step_durations(filled, by=("step",))["count"].tolist() == [2 * (130 - 58)]


def test_a_pruned_month_that_was_written_to_waits_for_an_export(
    filled: Database, tmp_path: Path
) -> None:
    export(filled, tmp_path)
    prune(filled, tmp_path, months_to_prune(filled, tmp_path, datetime(2024, 5, 1, tzinfo=UTC)))
    add_runs(filled, [run("late", at(40))])
    with pytest.raises(ArchiveError, match=r"2024-04 was pruned .* `runsync export .*` brings"):
        reports.pass_rates(url(filled, tmp_path))
    export(filled, tmp_path)
    assert reports.pass_rates(url(filled, tmp_path), by=())["finished"].tolist() == [131]


def test_without_an_archive_the_database_is_enough_unless_rows_were_pruned(
    filled: Database, tmp_path: Path
) -> None:
    assert_same("pass_rates", filled, url(filled, tmp_path / "none"), {})
    export(filled, tmp_path / "archive")
    before = datetime(2024, 5, 1, tzinfo=UTC)
    prune(filled, tmp_path / "archive", months_to_prune(filled, tmp_path / "archive", before))
    with pytest.raises(ArchiveError, match="there is no archive at"):
        reports.pass_rates(url(filled, tmp_path / "none"))


def test_an_archive_of_another_database_is_refused(filled: Database, tmp_path: Path) -> None:
    export(filled, tmp_path)
    empty(filled)
    fill(filled, [run("x", at(0))], pipelines=[pipeline(1) | {"external_id": "another"}])
    with pytest.raises(ArchiveError, match="is of another database"):
        reports.pass_rates(url(filled, tmp_path))


@pytest.fixture
def window() -> tuple[datetime, datetime]:
    return at(3), at(9)


def test_only_the_columns_that_are_needed_are_read(window: tuple[datetime, datetime]) -> None:
    select = sa.select(v_steps.c.name, v_steps.c.duration_ms).where(
        v_steps.c.run_created_at >= window[0],
        v_steps.c.run_created_at < window[1],
        v_steps.c.ran == 1,
    )
    assert needed_columns(select) == {
        "runs": frozenset(),
        "steps": {"pipeline_id", "name", "duration_ms", "run_created_at", "status", "result"},
    }
    assert bounds(select) == window
    created_at = RUN_CREATED_AT[v_runs]
    runs = sa.select(v_runs.c.id).where(created_at >= window[0], created_at < window[1])
    assert bounds(runs) == window


def test_a_window_counts_only_where_nothing_else_is_looked_at(
    window: tuple[datetime, datetime],
) -> None:
    inner = sa.select(v_steps.c.run_id).where(v_steps.c.run_created_at >= window[0])
    both = sa.select(v_runs.c.id).where(v_runs.c.created_at >= window[0], v_runs.c.id.in_(inner))
    for select in (both, sa.union_all(inner, inner), sa.select(v_runs.c.id)):
        since, until = bounds(select)
        assert (since.year, until.year) == (1, 9999)

"""``runsync status``, and how pipelines are named on the command line."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runsync.simulator import Simulator, World
from runsync.text import visible
from tests.cli.conftest import Shell

BUILD, DEPLOY, APPLICATION = "b" * 24, "d" * 24, "a" * 24


@pytest.fixture
def synced(shell: Shell, home: Path, world: World) -> Path:
    """A database with two runs of `build` and one of `deploy`, which was discovered."""
    for pipeline in (BUILD, BUILD, DEPLOY):
        world.add_run(pipeline, status="finished")
    assert shell("sync").code == 0
    return home


def shown(shell: Shell, *names: str) -> set[tuple[str, str]]:
    """The pipelines that `status` shows, each with the kind of its listing."""
    rows = shell("status", *names, "--json").data
    return {(row["external_id"][0], row["listing"].split("/")[1]) for row in rows}


def test_a_listing_holds_a_pipeline_whose_runs_another_listing_brought(
    shell: Shell, home: Path, world: World
) -> None:
    world.add_run(BUILD, status="finished")
    assert shell("sync", "our-build").code == 0
    assert shell("sync", APPLICATION).code == 0
    assert shown(shell) == {("b", "pipeline"), ("b", "application")}


ALL_OF_THEM = {("b", "pipeline"), ("b", "application"), ("d", "application")}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("our-build", {("b", "pipeline"), ("b", "application")}),  # its label
        ("our-b", {("b", "pipeline"), ("b", "application")}),
        (BUILD, {("b", "pipeline"), ("b", "application")}),
        ("bbb", {("b", "pipeline"), ("b", "application")}),
        ("deploy", {("d", "application")}),  # discovered
        ("dep", {("d", "application")}),
        ("ddd", {("d", "application")}),
        (APPLICATION, {("b", "application"), ("d", "application")}),
        ("aaa", {("b", "application"), ("d", "application")}),
    ],
)
def test_status_of_a_pipeline_by_any_of_its_names(
    shell: Shell, synced: Path, name: str, found: set[tuple[str, str]]
) -> None:
    assert shown(shell) == ALL_OF_THEM
    assert shown(shell, name) == found


@pytest.mark.parametrize("command", [["status"], ["sync"], ["verify"], ["sync", "--dry-run"]])
def test_an_unknown_pipeline_is_an_error_that_lists_what_is_known(
    shell: Shell, synced: Path, simulator: Simulator, command: list[str]
) -> None:
    simulator.reset_log()
    ended = shell(*command, "nosuch")
    assert ended.code == 2
    assert "there is no pipeline 'nosuch'" in ended.err
    assert "our-build" in ended.err
    assert "deploy" in ended.err
    assert simulator.requests == []


@pytest.mark.parametrize("command", ["sync", "verify"])
@pytest.mark.parametrize("name", ["deploy", "dep", "ddd", "aaa"])
def test_a_discovered_pipeline_means_the_listing_that_brought_it(
    shell: Shell, synced: Path, command: str, name: str
) -> None:
    (row,) = shell(command, name, "--json").data
    assert row["listing"] == f"wercker/application/{APPLICATION}"


def test_a_pipeline_that_two_listings_hold_is_synced_as_itself(shell: Shell, synced: Path) -> None:
    for name in ("our-build", "our", BUILD, "bb"):
        (row,) = shell("sync", name, "--json").data
        assert row["listing"] == f"wercker/pipeline/{BUILD}"


def test_without_a_config_the_database_says_all(
    shell: Shell, synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", f"sqlite:///{synced / 'runsync.db'}")
    (synced / "runsync.toml").unlink()
    assert shown(shell) == ALL_OF_THEM
    assert shown(shell, "deploy") == {("d", "application")}
    assert shell("query", "SELECT count(*) AS n FROM runs", "--json").data == [{"n": 3}]
    assert shell("report", "pass-rates", "--by", "all", "--json").data[0]["finished"] == 3
    assert shell("sync").code == 2


def test_status_needs_no_token_nor_network(
    shell: Shell, synced: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WERCKER_TOKEN")
    simulator.reset_log()
    assert shell("status").code == 0
    assert simulator.requests == []


def test_status_fits_a_terminal(shell: Shell, synced: Path) -> None:
    ended = shell("status")
    assert max(map(len, ended.out.splitlines())) <= 80
    assert len(ended.out.splitlines()) == 2 + len(ALL_OF_THEM)


def test_what_was_never_synced_has_a_row(shell: Shell, home: Path) -> None:
    assert shell("db", "upgrade").code == 0
    assert [row["last_good_sync"] for row in shell("status", "--json").data] == [None, None]
    (row,) = shell("status", "our-build", "--json").data
    assert (row["pipeline"], row["runs"]) == ("our-build", 0)


# Completeness.


@pytest.fixture
def without_steps(shell: Shell, home: Path, world: World) -> str:
    """A run of `build` whose steps are not in; the other run's are."""
    world.add_run(BUILD, status="finished", created_at=world.clock.now() - timedelta(days=1))
    run = world.add_run(BUILD, status="finished")
    assert shell("sync", "our-build").code == 0
    change(home, "UPDATE runs SET steps_synced_at = NULL, settled = 0 WHERE id = ?", run)
    return run


def change(home: Path, statement: str, *values: object) -> None:
    """Changes the database behind runsync's back."""
    with closing(sqlite3.connect(home / "runsync.db")) as raw, raw:
        raw.execute(statement, values)


def test_runs_without_steps_are_counted_and_named(
    shell: Shell, home: Path, without_steps: str
) -> None:
    ended = shell("status", "our-build", "--json")
    (row,) = [row for row in ended.data if row["listing"] == f"wercker/pipeline/{BUILD}"]
    assert (row["runs"], row["incomplete"]) == (2, 1)
    assert "status --incomplete" in ended.err
    (run,) = shell("status", "our-build", "--incomplete", "--json").data
    assert list(run) == [
        "pipeline", "source", "id", "created_at", "status", "result",
        "set_aside_at", "reason", "url",
    ]  # fmt: skip
    assert (run["set_aside_at"], run["reason"]) == (None, None)
    assert (run["source"], run["id"]) == ("wercker", without_steps)
    assert shell("sync", "our-build").code == 0
    assert shell("status", "--incomplete", "--json").data == []
    assert {row["incomplete"] for row in shell("status", "--json").data} == {0}


def test_a_vanished_run_is_not_incomplete(shell: Shell, home: Path, without_steps: str) -> None:
    change(home, "UPDATE runs SET vanished_at = last_seen_at WHERE id = ?", without_steps)
    assert {row["incomplete"] for row in shell("status", "--json").data} == {0}
    assert shell("status", "--incomplete", "--json").data == []


def test_a_run_that_is_set_aside_is_named_until_it_can_be_read(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    run = world.add_run(BUILD, status="finished")
    world.clock.advance(timedelta(days=2))
    simulator.faults.add("number-for-string", "steps", run=run)
    assert shell("sync", "our-build").code == 4
    assert shell("sync", "our-build").code == 4  # the first time it may be a passing fault
    assert shell("sync", "our-build").code == 0  # it is not asked for again
    ended = shell("status", "our-build", "--max-age", "2h")
    assert ended.code == 4
    assert "1 incomplete run" in ended.err
    (row,) = shell("status", "--incomplete", "--json").data
    assert row["id"] == run
    assert "step" in row["reason"]
    assert row["set_aside_at"].endswith("Z")
    simulator.faults.clear()
    assert shell("sync", "our-build", "--full").code == 0
    assert shell("status", "--incomplete", "--json").data == []


# --max-age


def test_max_age_is_content_with_what_is_fresh_and_complete(shell: Shell, synced: Path) -> None:
    ended = shell("status", "--max-age", "2h")
    assert ended.code == 0
    assert "runsync:" not in ended.err


def aged(home: Path, hours: float) -> None:
    """Makes every sync so much older."""
    changed = "strftime('%Y-%m-%d %H:%M:%f', started_at, ?) || '000'"
    change(home, f"UPDATE syncs SET started_at = {changed}", f"-{hours * 60} minutes")


def test_max_age_fails_where_the_last_good_sync_is_older(shell: Shell, synced: Path) -> None:
    aged(synced, 3)
    assert shell("status").code == 0
    ended = shell("status", "--max-age", "2h", "--json")
    assert ended.code == 4
    assert len(ended.data) == len(ALL_OF_THEM)
    assert "build: the last good sync was 3 h ago" in ended.err
    assert shell("status", "--max-age", "4h").code == 0


def test_what_the_config_does_not_name_any_more_grows_old_without_alarm(
    shell: Shell, synced: Path
) -> None:
    config = synced / "runsync.toml"
    named = re.sub(r"\[\[pipelines\]\]\s+application_id.*\n", "", config.read_text())
    config.write_text(named + "\n[[checks]]\nreport = 'status'\nabove = { age = '2h' }\n")
    aged(synced, 3)
    assert shell("sync").code == 0
    ended = shell("status", "--max-age", "2h", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.data) == len(ALL_OF_THEM)  # what is stored is shown all the same
    assert shell("status", "our-build", "--max-age", "2h").code == 0
    assert shell("status", "deploy", "--max-age", "2h").code == 4  # which was asked for by name
    rules = shell("check", "--json").data
    assert [row["status"] for row in rows_of("status", rules)] == ["ok"]
    text = shell("status", "--format", "prometheus").out
    assert "wercker/pipeline/" in text
    assert "wercker/application/" not in text


def rows_of(report: str, rules: list[dict[str, str]]) -> list[dict[str, str]]:
    """The lines of ``runsync check`` about one report."""
    return [row for row in rules if row["report"] == report]


def test_max_age_fails_where_no_sync_went_well(shell: Shell, home: Path) -> None:
    assert shell("db", "upgrade").code == 0
    ended = shell("status", "--max-age", "2h")
    assert ended.code == 4
    assert "our-build: no sync has succeeded yet" in ended.err


def test_max_age_fails_where_runs_are_incomplete(
    shell: Shell, home: Path, without_steps: str
) -> None:
    ended = shell("status", "our-build", "--max-age", "9999d")
    assert ended.code == 4
    assert "our-build: 1 incomplete run" in ended.err


def test_max_age_fails_where_there_are_gaps(shell: Shell, synced: Path) -> None:
    change(
        synced,
        "INSERT INTO coverage SELECT listing, datetime(oldest_created_at, '-9 days') || '.000',"
        " 'x', datetime(oldest_created_at, '-10 days') || '.000', 'x', 0 FROM coverage"
        " WHERE listing LIKE '%pipeline%'",
    )
    ended = shell("status", "--max-age", "2h")
    assert ended.code == 4
    assert "build: 1 gap" in ended.err
    assert "deploy" not in ended.err


@pytest.mark.parametrize("age", ["", "0h", "soon"])
def test_a_max_age_that_is_none(shell: Shell, synced: Path, age: str) -> None:
    assert shell("status", "--max-age", age).code == 2


# --format prometheus


def samples(text: str) -> dict[tuple[str, str], float]:
    """The value of each metric of each listing and pipeline."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, f"{sample.labels['listing']} {sample.labels['pipeline']}")
            assert key not in found
            found[key] = sample.value
    return found


def test_prometheus_reads_what_status_tells(shell: Shell, synced: Path) -> None:
    rows = shell("status", "--json").data
    text = shell("status", "--format", "prometheus").out
    found = samples(text)
    for row in rows:
        key = f"{row['listing']} {row['pipeline']}"
        for metric, column in {"runs": "runs", "runs_incomplete": "incomplete"}.items():
            assert found[f"runsync_{metric}", key] == row[column]
        at = datetime.fromisoformat(row["last_good_sync"]).timestamp()
        assert found["runsync_last_good_sync_timestamp_seconds", key] == pytest.approx(at, abs=0.01)
        assert found["runsync_last_sync_success", key] == 1
    lines = text.splitlines()
    assert all(re.match(r"# (HELP|TYPE) runsync_|runsync_[a-z_]+\{", line) for line in lines)
    assert shell("status", "-o", "runsync.prom").code == 0
    assert samples((synced / "runsync.prom").read_text()).keys() == found.keys()


def test_prometheus_leaves_out_what_is_not_known(shell: Shell, home: Path) -> None:
    assert shell("db", "upgrade").code == 0
    names = {name for name, _ in samples(shell("status", "--format", "prometheus").out)}
    assert "runsync_last_good_sync_timestamp_seconds" not in names
    assert "runsync_runs" in names


def test_prometheus_takes_any_name(shell: Shell, home: Path) -> None:
    name = 'a "b" \\ {c} \x1b[2J \u202e\nd'
    config = home / "runsync.toml"
    config.write_text(config.read_text().replace('"our-build"', json.dumps(name)))
    assert shell("db", "upgrade").code == 0
    text = shell("status", "--format", "prometheus").out
    assert any(visible(name) in key for _, key in samples(text))


@pytest.mark.parametrize("flag", ["--json", "--incomplete"])
def test_prometheus_contradicts(shell: Shell, synced: Path, flag: str) -> None:
    ended = shell("status", "--format", "prometheus", flag)
    assert ended.code == 2
    assert "contradict" in ended.err


def test_max_age_works_with_prometheus(shell: Shell, synced: Path) -> None:
    aged(synced, 3)
    ended = shell("status", "--format", "prometheus", "--max-age", "2h")
    assert ended.code == 4
    assert samples(ended.out)


def test_the_reason_of_a_failed_sync_is_said_once(
    shell: Shell, synced: Path, simulator: Simulator
) -> None:
    simulator.faults.add("404", "runs")
    assert shell("sync", APPLICATION).code == 4
    ended = shell("status")
    assert ended.err.count("404") == 1
    assert "the last sync of deploy and 1 more: wercker: GET" in ended.err

"""Listings go by names of people, never by their keys."""

from pathlib import Path

import pytest

from runsync import config
from runsync.cli.resolve import listing_names, stored_pipelines
from runsync.records import Pipeline
from runsync.simulator import Simulator, World
from runsync.sources.base import Listing
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore
from tests.cli.conftest import Shell
from tests.cli.terminal import on_a_terminal

BUILD, APPLICATION = "b" * 24, "a" * 24


def name(key: str, label: str | None = None, *pipelines: str) -> str:
    listing = Listing(key, "", label, tuple(Pipeline("1", p) for p in pipelines))
    return listing_names([listing])[key]


def test_names_without_a_database() -> None:
    assert name("wercker/pipeline/57", "our-build") == "our-build"
    assert name("wercker/pipeline/57") == "57"
    assert name("wercker/application/57") == "application 57"
    assert name("github/workflow/owner/repo/ci.yml") == "owner/repo/ci.yml"
    assert name("github/repository/owner/repo") == "repository owner/repo"
    assert name("x/y/z", None, "a") == "a"
    assert name("x/y/z", None, "a", "b") == "a and b"
    assert name("x/y/z", None, "a", "b", "c") == "a and 2 more"


def test_two_of_one_name_are_told_apart() -> None:
    names = listing_names([Listing(f"wercker/pipeline/{n}", "", "build") for n in "12"])
    assert list(names.values()) == ["build (1)", "build (2)"]


def test_no_command_shows_a_listing_key(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    world.add_run(BUILD, status="finished")
    said = [shell("status").err]
    for args in (["sync", "--dry-run"], ["sync"], ["status"], ["verify"], ["pipelines"]):
        ended = shell(*args)
        said += [ended.out, ended.err]
    simulator.faults.add("404", "runs")
    for args in (["sync"], ["verify"], ["status"]):
        ended = shell(*args)
        said += [ended.out, ended.err]
    text = "\n".join(said)
    assert "wercker/pipeline/" not in text
    assert "wercker/application/" not in text


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_terminal_shows_progress_and_colours(
    shell: Shell, home: Path, world: World, no_colour: str
) -> None:
    for _ in range(3):
        world.add_run(BUILD, status="finished")
        world.clock.advance(3600)
    world.add_run(BUILD, status="finished", result="failed")
    said = on_a_terminal("sync", "our-build", NO_COLOR=no_colour)
    assert "down to 2024-05-15" in said
    assert "4 runs" in said
    assert "our-build: " in said
    listed = on_a_terminal("runs", "list", "--pipeline", "our-build", NO_COLOR=no_colour)
    assert ("\x1b[1;31mfailed" in listed, "\x1b[32mpassed" in listed) == (not no_colour,) * 2


def test_an_id_that_ends_like_another_is_another(sqlite: Database, tmp_path: Path) -> None:
    text = '[sources.jenkins]\nbase_url = "https://ci.example.org"\n'
    text += "".join(f'[[pipelines]]\nid = "{name}"\n' for name in ("app", "team/app"))
    settings = config.parse(text, tmp_path / "runsync.toml")
    store = ListingStore(sqlite, "jenkins", "jenkins/job/team/app", None)
    store.save(Batch(pipelines=[Pipeline("team/app")]))
    (known,) = stored_pipelines(settings, sqlite)
    assert known.configured is not None
    assert known.configured.id == "team/app"

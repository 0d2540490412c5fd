"""``runsync init --discover``, on a simulated GitHub."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runsync.toml_table import quoted
from tests.cli.conftest import Shell, process
from tests.sources.github.server import TOKEN, Server, Service
from tests.sources.github.world import REPO, World

HEAD = """# mine
database_url = "sqlite:///runsync.db"

[sources.gh]
type = "github"
base_url = "{url}"
token_env = "GH_TOKEN"
"""


@pytest.fixture
def service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A GitHub with three repositories, and a config that names none of them."""
    service = Service(World())
    server = Server(service)
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    (folder / "runsync.toml").write_text(HEAD.format(url=service.base))
    yield service
    server.stop()


def entries(folder: Path) -> list[dict[str, Any]]:
    found = tomllib.loads((folder / "runsync.toml").read_text())
    return list(found.get("pipelines", []))


@pytest.mark.usefixtures("service")
def test_it_lists_what_the_token_sees_and_writes_nothing(shell: Shell, folder: Path) -> None:
    before = (folder / "runsync.toml").read_text()
    ended = shell("init", "--discover", "gh", "--json")
    assert ended.code == 0
    assert ended.data[1] == {
        "number": 2,
        "key": "id",
        "value": f"{REPO}/ci.yml",
        "title": "CI",
        "within": REPO,
        "configured": False,
    }
    assert len(ended.data) == 4
    assert "--add" in ended.err
    assert (folder / "runsync.toml").read_text() == before


@pytest.mark.usefixtures("service")
def test_what_is_chosen_stands_behind_what_was_there(shell: Shell, folder: Path) -> None:
    before = (folder / "runsync.toml").read_text()
    (folder / "runsync.toml").chmod(0o640)
    assert shell("init", "--discover", "gh", "--add", "CI", "--add", "*other-1").code == 0
    text = (folder / "runsync.toml").read_text()
    assert text.startswith(before)
    assert entries(folder) == [
        {"source": "gh", "id": f"{REPO}/ci.yml"},
        {"source": "gh", "repository": "octo-org/other-1"},
    ]
    assert (folder / "runsync.toml").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in folder.iterdir()] == ["runsync.toml"]


@pytest.mark.usefixtures("service")
def test_a_second_time_adds_only_what_is_new(shell: Shell, folder: Path) -> None:
    assert shell("init", "--discover", "gh", "--add", "2").code == 0
    shown = shell("init", "--discover", "gh", "--json").data
    assert [row["configured"] for row in shown] == [False, True, False, False]
    ended = shell("init", "--discover", "gh", "--add", "2-3")
    assert "1 [[pipelines]] added, 1 were there" in ended.err
    assert [list(entry) for entry in entries(folder)] == [
        ["source", "id"],
        ["source", "repository"],
    ]


@pytest.mark.usefixtures("service")
def test_a_repository_brings_its_workflows_along(shell: Shell, folder: Path) -> None:
    assert shell("init", "--discover", "gh", "--add", "*").code == 0
    assert [entry.get("repository") for entry in entries(folder)] == [
        REPO,
        "octo-org/other-0",
        "octo-org/other-1",
    ]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--discover", "gh", "--add", "CI", "--add", "nosuch*"], "'nosuch*' is nothing"),
        (["--discover", "gh", "--add", "9-12"], "'9-12' is nothing"),
        (["--discover", "hg"], "source 'hg' is not configured; "),
        (["--discover", "gh", "--database-url", "sqlite:///x.db"], "changes no database"),
        (["--add", "x"], "belong to --discover"),
    ],
)
def test_what_is_not_understood_writes_nothing(
    shell: Shell, folder: Path, words: list[str], said: str
) -> None:
    before = (folder / "runsync.toml").read_text()
    ended = shell("init", *words)
    assert (ended.code, ended.out.count("nosuch")) == (2, 0)
    assert said in ended.err
    assert (folder / "runsync.toml").read_text() == before


@pytest.mark.usefixtures("service")
def test_what_was_chosen_can_be_told_apart_before_the_first_sync(shell: Shell) -> None:
    assert shell("init", "--discover", "gh", "--add", "*").code == 0
    shown = [row["pipeline"] for row in shell("pipelines", "--json").data]
    assert shown == [
        f"gh/repository/{one}" for one in (REPO.lower(), "octo-org/other-0", "octo-org/other-1")
    ]


@pytest.mark.usefixtures("service")
def test_a_wrong_base_url_is_said(shell: Shell, folder: Path) -> None:
    text = (folder / "runsync.toml").read_text()
    (folder / "runsync.toml").write_text(text.replace('"\ntoken_env', '/nosuch"\ntoken_env'))
    ended = shell("init", "--discover", "gh")
    assert (ended.code, ended.out) == (4, "")
    assert "check base_url" in ended.err
    assert "check its id" not in ended.err


def test_what_pages_show_twice_is_listed_once(service: Service, shell: Shell, folder: Path) -> None:
    """A list that shifts while its pages are read shows an entry on two of them."""
    service.visible = ["octo-org/other-0", "octo-org/other-1", "octo-org/other-0"]
    assert shell("init", "--discover", "gh", "--add", "*").code == 0
    assert [one["repository"] for one in entries(folder)] == [
        "octo-org/other-0",
        "octo-org/other-1",
    ]


def test_what_could_not_be_synced_is_named_and_left_out(
    service: Service, shell: Shell, folder: Path
) -> None:
    service.visible = [REPO, "octo-org/odd?name"]
    workflow = next(iter(service.world.workflows.values()))
    workflow.path = ".github/workflows/odd?name.yml"
    ended = shell("init", "--discover", "gh", "--add", "*")
    assert ended.code == 0
    assert "left out: " in ended.err
    assert "odd?name" not in ended.out
    assert [entry["repository"] for entry in entries(folder)] == [REPO]


def test_nothing_seen_is_nothing_added(service: Service, shell: Shell) -> None:
    service.visible = []
    assert shell("init", "--discover", "gh").code == 0
    ended = shell("init", "--discover", "gh", "--add", "acme/*")
    assert ended.code == 2
    assert "the token of gh sees nothing that could be added" in ended.err


def test_a_refused_token_is_exit_3(
    service: Service, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", "wrong")
    assert shell("init", "--discover", "gh").code == 3


def test_a_config_that_could_not_be_read_afterwards_stays_as_it_is(
    service: Service, shell: Shell, folder: Path
) -> None:
    text = "pipelines = []\n" + HEAD.format(url=service.base)
    (folder / "runsync.toml").write_text(text)
    ended = shell("init", "--discover", "gh", "--add", "*")
    assert ended.code == 2
    assert "stays as it is" in ended.err
    assert (folder / "runsync.toml").read_text() == text


def test_a_source_whose_service_lists_nothing_says_so(shell: Shell, home: Path) -> None:
    ended = shell("init", "--discover", "wercker")
    assert ended.code == 2
    assert "Wercker cannot list what a token can see" in ended.err


def test_hostile_titles_do_no_harm(service: Service, shell: Shell, folder: Path) -> None:
    workflow = next(iter(service.world.workflows.values()))
    workflow.name = 'evil"\n[[pipelines]]\nsource = "x"\x1b[31m'
    ended = shell("init", "--discover", "gh", "--add", "2")
    assert ended.code == 0
    assert "\x1b" not in ended.out
    assert [entry["source"] for entry in entries(folder)] == ["gh"]


@pytest.mark.usefixtures("service")
def test_a_person_at_a_terminal_is_asked(folder: Path) -> None:
    ours, theirs = os.openpty()
    asking = process("init", "--discover", "gh", stdin=theirs, stderr=theirs, cwd=folder)
    os.write(ours, b"3-4\n")
    assert asking.wait(30) == 0
    os.close(theirs)
    os.close(ours)
    asking.communicate()
    assert [entry["repository"] for entry in entries(folder)] == [
        "octo-org/other-0",
        "octo-org/other-1",
    ]


@pytest.mark.parametrize(
    "text", ['a"b\\\n', "\u202eevil", "\x7f\x00\x1b[31m", "\U000e0001", "ü 名"]
)
def test_names_are_written_so_that_they_read_back_and_hide_nothing(text: str) -> None:
    assert tomllib.loads(f"name = {quoted(text)}") == {"name": text}
    assert quoted(text).isprintable()

"""A provider's text steers no terminal, spreadsheet or browser, in any command and format."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from runsync.simulator import Simulator, World
from tests.cli.conftest import Shell
from tests.cli.every_command import BUILD, FORMATS, every_command, takes_a_format
from tests.test_text import acts

# Clears the screen, sets the title, rings; reads backwards; is a formula, a link, markup, a row.
TEXTS = (
    "\x1b[2J\x1b]0;mine\x07\x9b1m",
    "abc\u202egnp.exe\u2066\u200f",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "'\"></style></td><b onmouseover='alert(1)'>",
    "a | b |\n| c `d` [e](javascript:alert(1))",
    "runsync: all is well\nrunsync: done",
    "\u2028\u2029\ufeff\U000e0041",
    "a, b; \"c\"\r\nd",
)  # fmt: skip


@pytest.fixture
def hostile(world: World) -> dict[str, str]:
    """Runs by the text that stands wherever a provider puts text; the last one still runs."""
    runs = {}
    for number, text in enumerate(TEXTS):
        status = "running" if text == TEXTS[-1] else "finished"
        run = world.add_run(
            BUILD,
            status=status,
            result=("failed", "passed")[number % 2],
            branch=text,
            message=text,
            commit="c" * 40,
            env_vars=[("A", text)],
        )
        meta = {"username": text}
        world.set_fields(run, user={"meta": meta, "name": text, "userId": text, "avatar": text})
        for place in (1, 2):
            world.set_step_fields(run, place, displayName=text, step=text, message=text)
        runs[text] = run
    return runs


def inert(text: str) -> bool:
    """Whether nothing in it acts on a terminal; CR LF ends the lines of CSV."""
    return acts(text.replace("\r\n", "\n"), "\n\t") == []


def test_hostile_text_through_every_command(
    shell: Shell, home: Path, hostile: dict[str, str]
) -> None:
    runs = [["runs", word, run] for run in hostile.values() for word in ("show", "steps", "log")]
    for args in [["sync"], *runs, *every_command(hostile[TEXTS[-1]])]:
        ended = shell(*args)
        assert "this is a bug" not in ended.err, (args, ended.err)
        assert inert(ended.out), (args, ended.out)
        assert inert(ended.err), (args, ended.err)
        for line in ended.err.splitlines():
            assert not line.startswith(("runsync: all is well", "runsync: done")), args


def test_hostile_text_in_every_format(shell: Shell, home: Path, hostile: dict[str, str]) -> None:
    assert shell("sync").code == 0
    told: list[Any] = []
    runs = [["runs", word, run] for run in hostile.values() for word in ("show", "steps")]
    for args in [*every_command(hostile[TEXTS[-1]], changing=False), *runs]:
        if takes_a_format(args) and args[0] not in ("sync", "verify", "doctor", "db"):
            said = {f: shell(*args, "--format", f).out for f in FORMATS}
            assert all(map(inert, said.values())), args
            check_csv(said["csv"])
            check_markdown(said["markdown"])
            told += leaves(json.loads(said["json"]))
    for text in TEXTS:
        assert told.count(text) > 10, text  # JSON tells it as it was


def check_csv(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert cell[:1] not in ("=", "+", "@", "\t", "\r"), cell
        assert not cell.startswith("-") or float(cell) <= 0, cell


def check_markdown(text: str) -> None:
    assert "<" not in text.replace("\\<", "")
    bars = {line.replace("\\|", "").count("|") for line in text.splitlines()}
    assert len(bars) == 1


def leaves(value: Any) -> list[Any]:
    """All that stands in a JSON value."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


class _Tags(HTMLParser):
    """The elements and attributes of a page, as a browser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


@pytest.mark.usefixtures("hostile")
def test_hostile_text_on_the_page_and_in_files(shell: Shell, home: Path) -> None:
    assert shell("sync").code == 0
    assert shell("report", "html", "--output", "page.html").code == 0
    assert shell("export", "exported", "--format", "csv").code == 0
    page = (home / "page.html").read_text()
    assert inert(page)
    found = _Tags()
    found.feed(page)
    assert not {"img", "iframe", "object", "link", "base", "form"} & found.tags
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "javascript:" not in page.replace("[e](javascript:alert(1))", "")
    files = list((home / "exported").rglob("*.csv"))
    assert files
    for file in files:
        check_csv(file.read_bytes().decode())


def test_a_hostile_label_and_a_hostile_argument(
    shell: Shell, home: Path, world: World, simulator: Simulator
) -> None:
    world.add_run(BUILD, status="finished")
    config = home / "runsync.toml"
    for text in TEXTS:
        label = json.dumps(text, ensure_ascii=True).replace("\\udb40\\udc41", "\\U000E0041")
        config.write_text(config.read_text().replace('"our-build"', label))
        for args in (["sync"], ["status"], ["pipelines"], ["sync", f"{text}x"], ["status", text],
                     ["runs", "list", "--pipeline", f"{text}x"], ["runs", "show", text],
                     ["query", text], ["report", "pass-rates", "--pipeline", f"{text}x"],
                     ["runs", "list", "--pipeline", BUILD, "--branch", text], [text]):  # fmt: skip
            ended = shell(*args)
            assert inert(ended.out + ended.err), (args, ended)
            assert "this is a bug" not in ended.err, (args, ended.err)
        config.write_text(config.read_text().replace(label, '"our-build"'))

"""What the README names exists: commands and options, tables and columns, files, reports."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table
from typer.main import get_command

from runsync import reports
from runsync.cli import COMMANDS, app
from runsync.config import load
from runsync.reports.definitions import REPORTS
from runsync.storage.tables import METADATA, v_runs, v_steps
from tests.docs.readme import blocks, readme, section, table_rows
from tests.structure.code import ROOT

COMMON = {"--config", "--help", "--format", "--json", "--install-completion"}


def code(text: str) -> list[str]:
    """What stands between backticks, outside code blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`]+)`", prose)


def command(words: list[str]) -> Any:
    """The command that the first of these words name.

    Raises:
        KeyError: there is none.
    """
    found: Any = get_command(app)
    for word in words:
        if not hasattr(found, "commands") or word.startswith(("-", "…")):
            break
        found = found.commands[word]
    return found


def options(found: Any) -> set[str]:
    """The options of a command, or of all commands of a group."""
    inner = [found, *getattr(found, "commands", {}).values()]
    return {option for each in inner for param in each.params for option in param.opts}


def typed_commands() -> Iterator[list[str]]:
    """Each ``runsync …`` in the README, in a code block or between backticks, without its name."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    for line in [*lines, *code(readme())]:
        for part in line.split("&&"):
            words = shlex.split(part.partition("|")[0].rstrip("\\"), comments=True)
            if words and words[0].rpartition("/")[2] == "runsync" and len(words) > 1:
                yield words[1:]


def test_commands_that_can_be_typed_exist_with_their_options() -> None:
    typed = list(typed_commands())
    assert len(typed) > 20
    for words in typed:
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= options(command(words)) | COMMON, words


def test_the_table_of_commands_is_whole() -> None:
    rows = table_rows(section("Commands"))[1:]
    named = {code(row[0])[0].replace("\\|", "|").split()[1] for row in rows}
    assert named == set(COMMANDS)


def test_the_options_in_the_table_of_commands_are_real() -> None:
    for row in table_rows(section("Commands"))[1:]:
        words = code(row[0])[0].split()
        named = {word for text in code(row[1]) for word in text.split() if word[:2] == "--"}
        assert named <= options(command(words[1:2])) | COMMON, words


def test_commands_that_are_named_with_their_group_exist() -> None:
    for row in table_rows(section("Commands"))[1:]:
        _, name, *more = code(row[0])[0].replace("\\|", "|").split()
        inner = getattr(command([name]), "commands", None)
        if inner and more != ["…"]:
            assert more[0].split("|") == list(inner) or set(more[0].split("|")) == set(inner)


def test_every_report_is_named_as_a_command_and_as_a_function() -> None:
    (row,) = [row for row in table_rows(section("Commands")) if "runsync report" in row[0]]
    commands = {word for word in code(row[1]) if word[0] != "-"}
    assert commands == set(command(["report"]).commands)
    functions = set(code(section("Reports in Python")))
    assert {*REPORTS, "compare"} <= functions
    for called in re.findall(r"reports\.(\w+)\(", readme()):
        assert hasattr(reports, called), called


def test_the_tables_are_the_schema() -> None:
    rows = [row for row in table_rows(section("The tables")) if len(row) == 3][1:]
    shown = {code(row[0])[0]: code(row[2]) for row in rows}
    for table in METADATA.sorted_tables:
        keys = [column.name for column in table.primary_key]
        names = [name for name in shown[table.name] if name in table.columns]
        assert sorted(names) == sorted(table.columns.keys()), table.name
        assert set(names[: len(keys)]) == set(keys), table.name


@pytest.mark.parametrize("view", [v_runs, v_steps], ids=lambda view: view.name)
def test_the_views_add_what_is_said(view: Table) -> None:
    rows = {code(row[0])[0]: row[1] for row in table_rows(section("The tables")) if code(row[0])}
    table = METADATA.tables[view.name.removeprefix("v_")]
    assert set(code(rows[view.name])) == set(view.columns.keys()) - set(table.columns.keys())


def test_no_view_is_left_out() -> None:
    views = v_runs.metadata.tables
    assert set(views) <= set(code(section("The tables")))


def test_the_files_and_headings_that_it_names_exist() -> None:
    named = re.findall(r"\]\(([^)#]+)", readme())
    named += [
        text for text in code(readme()) if re.fullmatch(r"(tests|notebooks|runsync)/[\w/.]+", text)
    ]
    named += re.findall(r"python (tests/[\w/.]+)", readme())
    files = {name for name in named if not name.startswith("http")}
    assert len(files) > 10
    assert not {name for name in files if not (ROOT / name).exists()}


def test_the_picture_is_small() -> None:
    (name,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme())
    assert (ROOT / name).stat().st_size < 150_000


def test_the_extras_that_it_installs_are_declared() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(re.findall(r"\.\[(\w+)\]", readme()))
    assert {"postgres", "notebooks", "dev"} <= extras
    assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras)


def test_the_configs_that_it_shows_can_be_read(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, text in enumerate(blocks("toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        load(path)


def test_the_python_that_it_shows_runs(synced: Path) -> None:
    for text in blocks("python"):
        names: dict[str, Any] = {}
        exec(text.replace("runsync-demo/runsync.db", f"{synced}/runsync.db"), names)
        assert "unit tests" in set(names["failures"]["step"]) or names["failures"].empty

"""Rules of the architecture that are not about which of our modules imports which."""

import ast
import itertools
import re

import grimp
import pytest

from tests.structure.code import PACKAGE, ROOT, called, imported, modules

ENDS = ("sys.exit", "os._exit", "exit", "quit", "SystemExit", "print", "sys.stdout.write")


def test_only_the_command_line_prints_or_ends_the_process() -> None:
    guilty = {
        module: found
        for module, tree in modules()
        if not module.startswith(("runsync/cli/", "runsync/__main__", "runsync/simulator/__main__"))
        and (found := [name for name in called(tree) if name.partition("(")[0] in ENDS])
    }
    assert guilty == {}


def test_revisions_import_nothing_of_ours() -> None:
    for module, tree in modules(ROOT / "migrations" / "versions"):
        assert not [name for name in imported(tree) if name.startswith("runsync")], module


@pytest.fixture(scope="module")
def imports() -> set[tuple[str, str]]:
    """Which part of the package imports which."""
    graph = grimp.build_graph("runsync")
    found = {
        (module.split(".")[1], target.split(".")[1])
        for module in graph.modules - {"runsync"}
        for target in graph.find_modules_directly_imported_by(module) - {"runsync"}
    }
    return {(upper, lower) for upper, lower in found if upper not in (lower, "__main__")}


@pytest.fixture(scope="module")
def arrows() -> set[tuple[str, str]]:
    """The arrows of the picture in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = re.search(r"```mermaid\n(.*?)```", text, re.DOTALL)
    assert picture
    rows = (re.findall(r"\w+", line) for line in picture[1].splitlines() if "-->" in line)
    return {arrow for row in rows for arrow in itertools.pairwise(row)}


def test_every_arrow_of_the_picture_is_an_import(
    imports: set[tuple[str, str]], arrows: set[tuple[str, str]]
) -> None:
    assert arrows - imports == set()


def test_every_import_follows_the_arrows(
    imports: set[tuple[str, str]], arrows: set[tuple[str, str]]
) -> None:
    below: dict[str, set[str]] = {}

    def reached(part: str) -> set[str]:
        if part not in below:
            lower = {b for a, b in arrows if a == part}
            below[part] = lower.union(*map(reached, lower))
        return below[part]

    assert {(a, b) for a, b in imports if b not in reached(a)} == set()


def test_every_module_has_a_docstring_or_is_empty() -> None:
    bare = [m for m, tree in modules(PACKAGE) if tree.body and not ast.get_docstring(tree)]
    assert bare == []

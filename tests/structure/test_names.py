"""One word has one meaning: a public name is defined once in the package.

Three kinds of code may share names. The simulator is an independent reading of the contract, so
its words are checked by themselves. Providers fill the same roles, and so do definitions of
reports: they are not compared with each other. A command is named like the function that does its
work, and has columns of its own.
"""

from collections import defaultdict
from collections.abc import Iterable

import pytest

from tests.structure.code import modules, public_names

SAME_MEANING = {
    "main": "an entry point",
    "pipelines": "the table, and the command that lists it",
    "steps": "the table, and the command that lists it",
    "load": "reads a config; reads what a report needs",
    "walk": "goes through a listing, by number or by time",
}
# To be renamed; take a name out once it has gone, and never put one in.
TO_BE_RENAMED = frozenset("Floats Row Words".split())


def scope(module: str) -> str:
    parts = module.split("/")
    if parts[1] == "sources" and len(parts) == 4:
        return f"role {parts[2]}"
    if parts[1:3] == ["reports", "definitions"]:
        return f"role {parts[3]}"
    return parts[1] if parts[1] in ("simulator", "cli") else "rest"


def shared(names: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The names that are defined in more than one module, and where."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, module in names:
        places[name].append(module)
    return {name: sorted(found) for name, found in sorted(places.items()) if len(found) > 1}


@pytest.fixture(scope="module")
def names() -> list[tuple[str, str]]:
    """Each public name with each module that defines it."""
    found = [(name, module) for module, tree in modules() for name in set(public_names(tree))]
    return [(n, m) for n, m in found if scope(m) != "cli" or _is_class(n)]


def _is_class(name: str) -> bool:
    return name[0].isupper() and not name.isupper()


def test_the_simulator_has_one_meaning_for_a_name(names: list[tuple[str, str]]) -> None:
    assert shared((n, m) for n, m in names if scope(m) == "simulator") == {}


def test_all_else_has_one_meaning_for_a_name(names: list[tuple[str, str]]) -> None:
    ours = [(n, m) for n, m in names if scope(m) != "simulator"]
    common = {n for n, m in ours if not scope(m).startswith("role")}
    twice = shared((n, m) for n, m in ours if not scope(m).startswith("role") or n in common)
    assert {n: m for n, m in twice.items() if n not in SAME_MEANING.keys() | TO_BE_RENAMED} == {}

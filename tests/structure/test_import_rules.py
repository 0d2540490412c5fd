"""The import rules of pyproject.toml hold, and each of them fails when it is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.code import PACKAGE, ROOT

LINT = "from importlinter.cli import lint_imports_command as lint; lint()"
BROKEN = [
    ("records.py", "import runsync.errors", "Layers"),
    ("errors.py", "import runsync.records", "Layers"),
    ("storage/store.py", "import runsync.sync.engine", "Layers"),
    ("simulator/__main__.py", "import runsync.sync.engine", "Layers"),
    ("sources/base.py", "import runsync.storage.database", "Sources and HTTP know no database"),
    ("http/client.py", "import sqlite3", "Sources and HTTP know no database"),
    ("storage/store.py", "import requests", "Storage knows no HTTP"),
    ("storage/schema.py", "import typer", "Only the command line imports Typer"),
    ("reports/statistics.py", "import sqlalchemy", "A report's figures know no SQL"),
    ("simulator/__init__.py", "import runsync.records", "The simulator shares nothing"),
    ("storage/store.py", "import pandas", "A sync loads no analysis libraries"),
]
pytestmark = pytest.mark.proof


def linted(checkout: Path) -> str:
    """What import-linter says of a checkout; the lines of its summary."""
    done = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=checkout,
        env={"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package and its rules, to be broken."""
    copied = tmp_path / "checkout"
    shutil.copytree(PACKAGE, copied / "runsync", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", copied / "pyproject.toml")
    return copied


def test_the_rules_hold(checkout: Path) -> None:
    assert " 0 broken." in linted(checkout)


@pytest.mark.parametrize(("module", "statement", "rule"), BROKEN)
def test_a_rule_fails_when_it_is_broken(
    checkout: Path, module: str, statement: str, rule: str
) -> None:
    path = checkout / "runsync" / module
    path.write_text(f"{path.read_text()}\n{statement}\n")
    found = [line for line in linted(checkout).splitlines() if " BROKEN" in line]
    assert [line for line in found if line.startswith(rule)]

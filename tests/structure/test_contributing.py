"""What CONTRIBUTING.md shows works as it is written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.structure.code import PACKAGE, ROOT


def test_the_report_that_it_shows_is_one(tmp_path: Path, sqlite_url: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert shown
    copied = tmp_path / "copy" / "runsync"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "migrations", copied / "migrations")
    (copied / "reports" / "definitions" / "skips.py").write_text(shown[1], encoding="utf-8")

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "runsync", "report", *arguments],
            cwd=copied.parent,
            env=os.environ | {"PYTHONPATH": str(copied.parent), "RUNSYNC_DATABASE_URL": sqlite_url},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert "finished,skipped,skip_rate" in run("skips", "--format", "csv")
    assert "before,after,change" in run("compare", "--report", "skips", "--format", "csv")


def test_the_commands_that_it_shows_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])(?:\.ci|runsync|tests|migrations)/[\w./]*\w", text))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not missing

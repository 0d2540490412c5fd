"""Changes the code, one small change at a time, and shows the changes that no test notices.

    .venv/bin/pip install -e '.[mutation]'
    .venv/bin/python tests/mutation.py [TARGET]…

Without targets, all of them. mutmut does the work, on a copy of the checkout. Some of what is left
changes nothing that can be seen, such as another text of an error: judge each by its diff.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MUTMUT = (sys.executable, "-m", "mutmut")


class Target(NamedTuple):
    """Files whose code is changed, and the tests that should notice."""

    files: list[str]
    tests: list[str]


TARGETS = {
    "coverage": Target(["runsync/coverage.py"], ["tests/test_coverage.py"]),
    "pagination": Target(["runsync/sources/pagination.py"], ["tests/sources/test_pagination.py"]),
    "statistics": Target(
        [f"runsync/reports/{name}.py" for name in ("statistics", "comparison", "chance")],
        [f"tests/reports/test_{name}.py" for name in ("statistics", "comparison", "chance")],
    ),
    "http": Target(["runsync/http/*.py"], ["tests/http"]),
    "storage": Target(
        ["runsync/storage/upserts.py", "runsync/storage/store.py"], ["tests/storage"]
    ),
    "sync": Target(["runsync/sync/*.py"], ["tests/sync"]),
}
COPIED = ("runsync", "migrations", "tests", "pyproject.toml", "README.md", "CONTRIBUTING.md")
CONFIG = """
[tool.mutmut]
source_paths = ["runsync"]
only_mutate = {files}
also_copy = ["migrations", "README.md", "CONTRIBUTING.md"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-n0", "-k", "not postgres"]
use_git_change_detection = false
"""


def survivors(target: Target) -> Iterator[str]:
    """The diff of each change that no test of the target notices."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        for name in COPIED:
            one = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            one(ROOT / name, copy / name)
        with (copy / "pyproject.toml").open("a") as config:
            config.write(CONFIG.format(**target._asdict()))
        _mutmut(copy, "run")
        for line in _mutmut(copy, "results").splitlines():
            name, _, fate = line.strip().partition(": ")
            if fate in ("survived", "no tests"):
                yield _mutmut(copy, "show", name)


def _mutmut(copy: Path, *args: str) -> str:
    done = subprocess.run([*MUTMUT, *args], cwd=copy, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:])
    if args == ("run",):
        print(done.stdout.strip().rpartition("\r")[2].strip())
    return done.stdout


def main(names: list[str]) -> None:
    for name in names or list(TARGETS):
        print(f"== {name}")
        found = list(survivors(TARGETS[name]))
        print(*found, f"{name}: {len(found)} survived", sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])

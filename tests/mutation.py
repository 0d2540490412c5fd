"""Changes the code, one small change at a time, and shows the changes that no test notices.

    .venv/bin/pip install -e '.[mutation]'
    .venv/bin/python tests/mutation.py [PATH]…

A PATH names a file or a folder of ``TARGETS``, such as ``runsync/http``; without one, all of them.
mutmut does the work, on a copy of the checkout, with the tests that cover the file, the fastest
first; a file takes from 1 to 40 minutes. A change that reaches a limit of time is shown too: it may
be an endless loop, or a busy machine; apply it by hand and look. What is for PostgreSQL alone is
tried by hand: those tests would take hours.

Left over are changes that nobody can see. Judge each by its diff; they are of these kinds:

- another wording: of an error, a log line, the name of a thread (most are not tried at all);
- a default, or an argument that equals the default of what is called, in other clothes: ``None``
  for a default, a step of 2 in a retry whose waits are waived in tests;
- a faster or slower way to the same: a bound on tries, the size of a batch or of a first guess, a
  cache that is not used, ``<`` for ``<=`` where both branches do the same at that value;
- ``and`` for ``or`` where one side implies the other; ``cast`` and ``strict=`` on equal lengths;
- what only another database, platform or version would do.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MUTMUT = (sys.executable, "-m", "mutmut")

_HTTP = "tests/http"
_STORE = [f"tests/storage/test_{name}.py" for name in ("runs", "store", "sync_log", "months")]
_SYNC = [
    f"tests/sync/test_{name}.py"
    for name in ("engine", "evidence", "giving_up", "memory", "model", "outcomes")
]
# Each file whose code is changed, and the tests that should notice.
TARGETS = {
    "runsync/coverage.py": ["tests/test_coverage.py"],
    "runsync/sources/pagination.py": ["tests/sources/test_pagination.py"],
    "runsync/reports/statistics.py": [
        "tests/reports/test_statistics.py",
        "tests/reports/test_groups.py",
    ],
    "runsync/reports/comparison.py": [
        "tests/reports/test_comparison_figures.py",
        "tests/reports/test_comparison.py",
    ],
    "runsync/reports/chance.py": ["tests/reports/test_chance.py"],
    "runsync/reports/segments.py": ["tests/reports/test_segments.py"],
    "runsync/http/redaction.py": [f"{_HTTP}/test_redaction.py"],
    "runsync/http/redirects.py": [f"{_HTTP}/test_redirects.py"],
    "runsync/http/rate_limiter.py": [f"{_HTTP}/test_rate_limiter.py", f"{_HTTP}/test_retry.py"],
    "runsync/http/retry.py": [f"{_HTTP}/test_retry.py", f"{_HTTP}/test_client.py"],
    "runsync/http/connections.py": [f"{_HTTP}/test_connections.py"],
    "runsync/http/client.py": [_HTTP],
    "runsync/storage/upserts.py": _STORE,
    "runsync/storage/runs.py": _STORE,
    "runsync/storage/store.py": _STORE,
    "runsync/storage/database.py": ["tests/storage/test_database.py"],
    "runsync/storage/sync_log.py": _STORE,
    "runsync/storage/default_branches.py": ["tests/storage/test_default_branches.py"],
    "runsync/storage/covered_spans.py": ["tests/storage/test_covered_spans.py"],
    "runsync/storage/backup.py": [
        "tests/storage/test_backup.py",
        # It starts a runsync of its own, in another folder, which mutmut cannot follow.
        "--deselect=tests/storage/test_backup.py::test_a_full_disk_leaves_nothing",
    ],
    "runsync/storage/pipelines.py": ["tests/reports/test_pipelines.py"],
    "runsync/storage/stored_runs.py": ["tests/storage/test_stored_runs.py"],
    "runsync/storage/audit.py": ["tests/sync/test_verify.py", "tests/storage/test_store.py"],
    "runsync/sync/walk.py": ["tests/sync/test_walk.py", "tests/sync/test_model.py"],
    "runsync/sync/plan.py": ["tests/sync/test_plan.py"],
    "runsync/sync/listing.py": _SYNC,
    "runsync/sync/verify.py": ["tests/sync/test_verify_faults.py", "tests/sync/test_verify.py"],
    "runsync/sync/pipeline_audit.py": ["tests/sync/test_pipeline_audit.py"],
    "runsync/sync/engine.py": _SYNC,
    "runsync/sync/outcome.py": _SYNC,
    "runsync/sync/status.py": ["tests/sync/test_status.py", "tests/cli/test_status.py"],
    "runsync/sync/validators.py": ["tests/sources/github/test_rereads.py"],
}
COPIED = ("runsync", "migrations", "tests", "pyproject.toml", "README.md", "CONTRIBUTING.md")
CONFIG = """
[tool.mutmut]
source_paths = ["runsync"]
only_mutate = ["{file}"]
do_not_mutate_patterns = ['_log\\.', '(raise|return) \\w*Error\\(']
also_copy = ["migrations", "README.md", "CONTRIBUTING.md"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-n0", "-k", "not postgres"]
use_git_change_detection = false
timeout_multiplier = 4.0
timeout_constant = 20.0
"""


def survivors(file: str) -> Iterator[str]:
    """The diff of each change to ``file`` that no test notices, or none in time."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        for name in COPIED:
            one = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            one(ROOT / name, copy / name)
        with (copy / "pyproject.toml").open("a") as config:
            config.write(CONFIG.format(file=file, tests=TARGETS[file]))
        done = _mutmut(copy, "run")
        print(re.findall(r"\d+/\d+ .*", done)[-1], flush=True)
        for line in _mutmut(copy, "results").splitlines():
            name, _, fate = line.strip().partition(": ")
            if fate and fate != "killed":
                yield _mutmut(copy, "show", name)


def _mutmut(copy: Path, *args: str) -> str:
    # Few random examples: what only the fortieth finds is no test of its own.
    env = {"RUNSYNC_TEST_EXAMPLES": "5", **os.environ}
    done = subprocess.run([*MUTMUT, *args], cwd=copy, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:])
    return done.stdout


def main(paths: list[str]) -> None:
    for file in TARGETS:
        if not paths or any(file.startswith(path) for path in paths):
            print(f"== {file}", flush=True)
            found = list(survivors(file))
            print(*found, f"{file}: {len(found)} left", sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

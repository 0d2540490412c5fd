"""The notebooks are committed as a reader sees them: executed, small, without a machine's paths."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.notebooks import PATHS, execute, read
from tests.structure.code import ROOT

NAMES = ["cost_and_queues", "durations_and_changes", "sql_tour", "state_and_failures"]
EACH = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
LARGEST = 200_000
NEEDS_A_FIGURE = re.compile(r"^(shown|sql)\(|plt\.show\(\)", re.MULTILINE)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def parameters(notebook: Any) -> int:
    """The place of the cell that papermill puts its own after."""
    (place,) = [
        place
        for place, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", ())
    ]
    return place


def told(notebook: Any) -> list[str]:
    """What the cells put out: their tables and texts; of a picture only that there is one.

    The simulated service has another port each time.
    """
    found = []
    for output in outputs(notebook):
        data = output.get("data", {})
        assert output.get("name") != "stderr", output
        picture = "a picture" if "image/png" in data else None
        text = picture or data.get("text/html") or data.get("text/plain") or output["text"]
        found.append(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text))
    return found


def test_there_are_four() -> None:
    assert [path.stem for path in PATHS] == NAMES


@EACH
def test_was_run_from_top_to_bottom(path: Path) -> None:
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert bool(cell.outputs) >= bool(NEEDS_A_FIGURE.search(cell.source)), cell.source


@EACH
def test_is_small_and_for_people(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    assert not re.search(r"\d days \d\d:", text)
    for tables in told(read(path)):
        assert "NaN" not in tables
        assert "NaT" not in tables


@EACH
def test_holds_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(home/(?!me/)|root|tmp|var|Users|private|work)\b", text)
    assert "0x" not in re.sub(r'"image/png": "[^"]*"', "", text)
    for cell in read(path).cells:
        assert set(cell.metadata) <= {"tags"}


@EACH
def test_has_parameters_with_defaults(path: Path) -> None:
    notebook = read(path)
    cell = notebook.cells[parameters(notebook)]
    statements = [s for s in ast.parse(cell.source).body if not isinstance(s, ast.Import)]
    assert all(isinstance(statement, ast.Assign) for statement in statements)
    assert "RUNSYNC_DATABASE_URL" in cell.source


@EACH
@pytest.mark.proof
def test_gives_what_was_committed(path: Path) -> None:
    committed = told(read(path))
    again = "`python -m tests.docs.notebooks` writes the outputs again"
    assert told(execute(read(path))) == committed, again


@pytest.mark.proof
def test_takes_other_parameters(synced: Path) -> None:
    """As papermill gives them: in a cell after the one with the defaults."""
    notebook = read(ROOT / "notebooks" / "durations_and_changes.ipynb")
    given = f"database_url = 'sqlite:///{synced}/runsync.db'\npipelines = ['nightly-checks']"
    cell = nbformat.v4.new_code_cell(given)  # type: ignore[no-untyped-call]
    notebook.cells.insert(parameters(notebook) + 1, cell)
    tables = [text for text in told(execute(notebook)) if text.startswith("<table")]
    assert "nightly-checks" in tables[0]
    assert "build-and-test" not in "".join(tables)

"""The notebooks, executed. ``python -m tests.docs.notebooks`` writes their outputs again."""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.structure.code import ROOT

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
Outputs = list[dict[str, Any]]


def read(path: Path) -> Any:
    """The notebook at that path."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def execute(notebook: Any) -> Any:
    """The same notebook, run from top to bottom in its own folder; raises where a cell does."""
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(ROOT / "notebooks")}},
    )
    return client.execute()


def main() -> None:
    """Executes every notebook and writes it with its new outputs."""
    for path in PATHS:
        notebook = execute(read(path))
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()

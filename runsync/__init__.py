"""Keeps the history of your CI in a database of your own.

``runsync.reports`` holds the reports, ``runsync.Database`` opens a database that
``runsync sync`` has filled. Both are loaded when first used, so that ``runsync --help``
stays quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runsync.storage.database import Database

__version__ = "0.1.0"
__all__ = ["Database", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Database":
        from runsync.storage.database import Database

        return Database
    raise AttributeError(f"module 'runsync' has no attribute {name!r}")

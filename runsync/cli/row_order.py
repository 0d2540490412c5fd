"""``--sort`` and ``--top``: in which order the rows of a report come, and how many of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from runsync.errors import ConfigError
from runsync.text import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Largest or latest first, text from A; -COLUMN turns it round.",
    ),
]
TopOption = Annotated[
    int | None, typer.Option("--top", metavar="N", min=1, help="Only the first N rows.")
]


def ordered(frame: "pd.DataFrame", sort: str | None, top: int | None) -> "pd.DataFrame":
    """The frame's first ``top`` rows by a column, a null after all others; equal ones stay in
    their order.

    Raises:
        ConfigError: no column has that name.
    """
    if sort is not None:
        column = sort.removeprefix("-")
        if column not in frame:  # JSON and CSV name the unit of a duration
            column = column.removesuffix("_s")
        if column not in frame:
            raise ConfigError(
                f"--sort: the report has no column {column!r}"
                f"{did_you_mean(column, [*map(str, frame)])}"
            )
        largest_first = frame[column].dtype.kind in "mMfiub"
        frame = frame.sort_values(
            column, ascending=largest_first == sort.startswith("-"), kind="stable"
        )
    return frame if top is None else frame.head(top)

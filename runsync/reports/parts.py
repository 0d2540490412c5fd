"""The parts that a report is made of, each from a part of the history, and their merge.

A report reads a part of the history and reduces it to a part of its own: a tuple of frames and of
:class:`.GroupValues`. Parts are merged by putting rows below rows. In which order rows come
does not matter to the figures: counts are added, durations sorted, the first or last of something
found again. So one part and many give the same figures, to the last digit.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd

from runsync.reports.columns import TEXT
from runsync.reports.group_values import GroupSizes, GroupValues
from runsync.reports.query_spec import Query
from runsync.reports.report import Frames
from runsync.reports.statistics import Groups

Piece: TypeAlias = pd.DataFrame | GroupValues


def merged_parts(parts: Iterable[Frames]) -> Frames:
    """Several parts of one report as one; as they come, so that nobody need hold them."""
    by_piece = [list(pieces) for pieces in zip(*parts, strict=True)]
    return tuple(_let_go(by_piece.pop(0)) for _ in range(len(by_piece)))


def _let_go(pieces: list[Piece]) -> Piece:
    return together(pieces, (pieces.pop(0) for _ in range(len(pieces))))


def together(pieces: Iterable[Piece], again: Iterable[Piece]) -> Piece:
    """What stands at one place of all parts.

    Args:
        again: the same once more, as values are only then put in their places: so no more than one
            piece of values need be held, where they can be had twice.
    """
    frames: list[pd.DataFrame] = []
    sizes: list[GroupSizes] = []
    for piece in pieces:
        if isinstance(piece, GroupValues):
            sizes.append(piece.sizes)
        else:
            frames.append(piece)
    if frames:
        return stacked(frames)
    keys = stacked([one.keys for one in sizes])
    return GroupValues.together(sizes, keys, cast(Iterable[GroupValues], again))


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames; text stays sorted categories."""
    known = [frame for frame in frames if len(frame)] or list(frames[:1])
    if not len(known[0].columns):
        return pd.DataFrame(index=range(sum(map(len, known))))
    columns = {name: _column([frame[name] for frame in known]) for name in known[0]}
    return pd.DataFrame(columns, copy=False)


def below_each_other(tables: Sequence[pd.DataFrame], query: Query) -> pd.DataFrame:
    """Tables of different pipelines as the one that all of them would have made together."""
    table = stacked(tables)
    if query.every:
        return table.sort_values([*query.keys], ignore_index=True)
    order = np.argsort(Groups(table, query.outer_keys).codes, kind="stable")
    return table.iloc[order].reset_index(drop=True)


def _column(pieces: Sequence[Any]) -> "pd.Series[Any]":
    if any(map(_is_text, pieces)):
        words = [
            piece if _is_text(piece) else piece.astype(TEXT).astype("category") for piece in pieces
        ]
        return pd.Series(pd.api.types.union_categoricals(words, sort_categories=True))
    rows: pd.Series[Any] = pd.concat(pieces, ignore_index=True)
    return rows


def _is_text(piece: "pd.Series[Any]") -> bool:
    """Whether it is categories that say nothing of an order, as weekdays do."""
    return isinstance(piece.dtype, pd.CategoricalDtype) and not piece.dtype.ordered

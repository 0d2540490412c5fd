"""Tables for people: right-aligned numbers, cleaned text, and never wider than the terminal."""

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from runsync.cli.output import Row, is_missing, is_number, plain
from runsync.text import visible

_LONGEST_CELL = 500
_NARROWEST = 12
_GAP = 2
_WIDE = 10_000


def table(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    single: bool = False,
    title: str | None = None,
    wide: bool = False,
) -> str:
    """The rows as a table, or as one block each where the terminal is too narrow for that.

    Args:
        single: the row is one thing, which is written as a block.
        wide: there is no terminal; lines may be as long as they get.
    """
    width = _WIDE if wide else _terminal_width()
    head = f"{visible(title)}\n" if title else ""
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    if single or (rows and _least_width(cells, columns, rows) > width):
        return head + _blocks(cells, columns, width)
    return head + _grid(cells, columns, rows, width)


def cell(value: object) -> str:
    """A value as people read it."""
    if is_missing(value):
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, timedelta):
        return duration(value)
    shown = plain(value)
    if isinstance(shown, bool):
        return "yes" if shown else "no"
    if isinstance(shown, float):
        return f"{shown:.4g}" if abs(shown) < 1000 else f"{shown:.1f}"
    return visible(str(shown), _LONGEST_CELL)


def duration(value: timedelta) -> str:
    """``1d 02h``, ``2h 05m``, ``3m 07s``, ``12.3s``, ``0.45s``: two figures that matter."""
    seconds = value.total_seconds()
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if seconds < 9.995:
        return f"{sign}{seconds:.2f}s"
    if seconds < 59.95:
        return f"{sign}{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{sign}{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{sign}{hours}h {minutes:02d}m"
    return f"{sign}{hours // 24}d {hours % 24:02d}h"


def _grid(
    cells: Sequence[Sequence[str]], columns: Sequence[str], rows: Sequence[Row], width: int
) -> str:
    from rich.box import Box
    from rich.table import Table
    from rich.text import Text

    # A line under the heads and nothing else: narrow, and easy to copy from.
    box = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
    made = Table(box=box, show_edge=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column, least in zip(columns, _least_widths(cells, columns, rows), strict=True):
        made.add_column(
            Text(column),
            justify="right" if _is_right(column, rows) else "left",
            min_width=least,
            overflow="fold",
        )
    for row in cells:
        made.add_row(*(Text(one) for one in row))
    return _rendered(made, width)


def _rendered(thing: object, width: int) -> str:
    from rich.console import Console

    console = Console(width=width, color_system=None, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(thing)
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def _blocks(cells: Sequence[Sequence[str]], columns: Sequence[str], width: int) -> str:
    from textwrap import wrap

    margin = max(map(len, columns), default=0) + _GAP
    room = max(width - margin, _NARROWEST)
    blocks = []
    for row in cells:
        lines = []
        for column, value in zip(columns, row, strict=True):
            parts = wrap(value, room, break_on_hyphens=False) or [""]
            indents = [column.ljust(margin), *(" " * margin for _ in parts[1:])]
            lines += [f"{i}{p}".rstrip() for i, p in zip(indents, parts, strict=True)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _least_width(
    cells: Sequence[Sequence[str]], columns: Sequence[str], rows: Sequence[Row]
) -> int:
    return sum(_least_widths(cells, columns, rows)) + _GAP * (len(columns) - 1)


def _least_widths(
    cells: Sequence[Sequence[str]], columns: Sequence[str], rows: Sequence[Row]
) -> list[int]:
    """Numbers and times are kept whole; text may be folded, but not down to a strip."""
    from rich.cells import cell_len

    widths = []
    for index, column in enumerate(columns):
        longest = max((cell_len(row[index]) for row in cells), default=0)
        if not all(_is_whole(row.get(column)) for row in rows):
            longest = min(longest, _NARROWEST)
        widths.append(max(longest, len(column)))
    return widths


def _is_whole(value: object) -> bool:
    return isinstance(value, (datetime, timedelta)) or is_number(value)


def _is_right(column: str, rows: Sequence[Row]) -> bool:
    values = [row.get(column) for row in rows]
    return bool(values) and all(isinstance(v, timedelta) or _is_figure(v) for v in values)


def _is_figure(value: object) -> bool:
    return is_number(value) and not isinstance(value, bool)


def _terminal_width() -> int:
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return max(20, shutil.get_terminal_size().columns)
    return _WIDE

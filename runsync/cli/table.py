"""Tables for people: right-aligned numbers, cleaned text, and never wider than the terminal."""

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runsync.cli.output import Row, dumped, is_missing, is_number, plain
from runsync.text import visible

if TYPE_CHECKING:
    from rich.table import Table

_LONGEST_CELL = 500
_NARROWEST = 12
_WORD = 40
_GAP = 2
_WIDE = 10_000


def table(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    spare: Sequence[str] = (),
    single: bool = False,
    title: str | None = None,
    wide: bool = False,
) -> str:
    """The rows as a table, or as one block each where the terminal is too narrow for that.

    Args:
        spare: the columns that are left out first where there is no room, or nothing in them.
        single: the row is one thing, which is written as a block.
        wide: there is no terminal; lines may be as long as they get.
    """
    width = _WIDE if wide else _terminal_width()
    head = f"{visible(title)}\n" if title else ""
    if single:
        return head + _blocks(rows, columns, width)
    made = [_Column(name, rows) for name in columns]
    for name in spare:
        is_empty = not any(any(column.cells) for column in made if column.name == name)
        if is_empty or _least_width(made) > width:
            made = [column for column in made if column.name != name]
    if rows and _least_width(made) > width:
        return head + _blocks(rows, columns, width)
    return head + _grid(made, width)


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
    if isinstance(shown, list) and all(isinstance(one, str) for one in shown):
        shown = ", ".join(shown)
    if isinstance(shown, (dict, list)):
        shown = dumped(shown)
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


class _Column:
    """One column: its cells, whether it is flush right, and how narrow it may become."""

    def __init__(self, name: str, rows: Sequence[Row]) -> None:
        from rich.cells import cell_len

        values = [row.get(name) for row in rows]
        self.name = name
        self.cells = [cell(value) for value in values]
        self.right = bool(values) and all(map(_is_figure, values))
        self.wide = max([cell_len(name), *map(cell_len, self.cells)])
        # Figures, times and ids are kept whole; prose may be folded, but not down to a strip.
        whole = [cell_len(text) for text in self.cells if " " not in text and len(text) <= _WORD]
        whole += [cell_len(c) for c, v in zip(self.cells, values, strict=True) if _is_whole(v)]
        self.least = min(self.wide, max([cell_len(name), _NARROWEST, *whole]))
        self.width = self.wide


def _grid(columns: Sequence[_Column], width: int) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # A line under the heads and nothing else is narrow, and easy to copy from. The box sets the
    # columns apart by one blank, the padding by another.
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    _share_out(columns, width)
    for column in columns:
        made.add_column(
            Text(column.name),
            justify="right" if column.right else "left",
            width=column.width,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*map(Text, row))
    return _rendered(made, width)


def _share_out(columns: Sequence[_Column], width: int) -> None:
    """Narrows the widest columns, one by one, until all of them fit."""
    over = sum(column.width for column in columns) + _GAP * (len(columns) - 1) - width
    for _ in range(over):
        able = [column for column in columns if column.width > column.least]
        if not able:
            return
        max(able, key=lambda column: column.width).width -= 1


def _rendered(made: "Table", width: int) -> str:
    import io

    from rich.console import Console

    # Its own file: Rich would write to stdout even while it captures.
    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None, highlight=False)
    console.print(made)
    head, rule, *body = file.getvalue().splitlines()
    lines = [head, rule if _has_lines() else rule.replace("─", "-"), *body]
    return "".join(line.rstrip() + "\n" for line in lines)


def _has_lines() -> bool:
    """Whether the terminal's encoding knows the line that stands under the heads."""
    try:
        "─".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _blocks(rows: Sequence[Row], columns: Sequence[str], width: int) -> str:
    from rich.console import Console
    from rich.text import Text

    margin = max(map(len, columns), default=0) + _GAP
    room = max(width - margin, _NARROWEST)
    console = Console(width=room)
    blocks = []
    for row in rows:
        lines = []
        for column in columns:
            text = Text(cell(row.get(column)))
            # By cells, not characters: some take two.
            parts = [line.plain.rstrip() for line in text.wrap(console, room)] or [""]
            indents = [column.ljust(margin), *(" " * margin for _ in parts[1:])]
            lines += [f"{i}{p}".rstrip() for i, p in zip(indents, parts, strict=True)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _least_width(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + _GAP * (len(columns) - 1)


def _is_whole(value: object) -> bool:
    return isinstance(value, (datetime, timedelta)) or is_number(value)


def _is_figure(value: object) -> bool:
    if isinstance(value, timedelta):
        return True
    return is_number(value) and not isinstance(value, bool)


def _terminal_width() -> int:
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return max(20, shutil.get_terminal_size().columns)
    return _WIDE

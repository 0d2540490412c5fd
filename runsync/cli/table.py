"""Tables for people: numbers to the right, cleaned text, and never wider than the terminal."""

import os
import shutil
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO

from runsync.cli.values import Row, dumped, is_missing, is_number, plain
from runsync.text import visible

UNLIMITED = 10_000
_LONGEST_CELL = 500
_NARROWEST = 12
_LONGEST_ID = 40
_GAP = 2


def table(
    rows: Sequence[Row],
    columns: Sequence[str],
    width: int,
    *,
    spare: Sequence[str] = (),
    right: Collection[str] = (),
) -> tuple[str, list[str]]:
    """The rows as a table of at most ``width`` columns of text, and the names that did not fit.

    Columns of ``spare`` are dropped first, then those at the end; those of ``spare`` that hold
    nothing are left out without a word. The first column always stays.
    """
    made = [_Column(name, rows, name in right) for name in columns]
    empty = {name for entry in spare for name in entry.split()}
    made = [column for column in made if column.name not in empty or any(column.cells)]
    dropped: list[str] = []
    for names in [*(entry.split() for entry in spare), *([name] for name in reversed(columns))]:
        if _least_width(made) <= width:
            break
        dropped += [column.name for column in made[1:] if column.name in names]
        made = [made[0], *(column for column in made[1:] if column.name not in names)]
    return _rendered(made, width), [name for name in columns if name in dropped]


def record(row: Row, columns: Sequence[str], width: int) -> str:
    """One thing as a block, a line for each column."""
    from rich.console import Console
    from rich.text import Text

    margin = max(map(len, columns), default=0) + _GAP
    room = max(width - margin, _NARROWEST)
    console = Console(width=room)
    lines = []
    for column in columns:
        # Measured in cells, not characters: some characters take two.
        folded = Text(cell(row.get(column))).wrap(console, room)
        parts = [line.plain.rstrip() for line in folded] or [""]
        indents = [column.ljust(margin), *(" " * margin for _ in parts[1:])]
        lines += [f"{i}{p}".rstrip() for i, p in zip(indents, parts, strict=True)]
    return "\n".join(lines) + "\n"


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
    """``1d 02h``, ``2h 05m``, ``3m 07s``, ``12.3s``, ``0.45s``: two units at most."""
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


def terminal_width() -> int:
    """How wide the terminal is; a pipe has no limit."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return max(20, shutil.get_terminal_size().columns)
    return UNLIMITED


class _Column:
    """One column: its cells, whether it is flush right, and whether its cells may be folded."""

    def __init__(self, name: str, rows: Sequence[Row], right: bool) -> None:
        from rich.cells import cell_len

        values = [row.get(name) for row in rows]
        self.name = name
        self.cells = [cell(value) for value in values]
        self.right = right or (bool(values) and all(map(_is_figure, values)))
        widest = max([cell_len(name), *map(cell_len, self.cells)])
        # Numbers, times and ids are kept whole; prose may be folded, but not down to a strip.
        self.whole = self.right or all(map(_is_whole, values, self.cells))
        self.least = widest if self.whole else min(widest, max(cell_len(name), _NARROWEST))


def _rendered(columns: Sequence[_Column], width: int) -> str:
    from rich.box import SIMPLE_HEAD, Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A line under the headers and nothing else is narrow, and easy to copy from. The box sets the
    # columns apart by one blank, the padding by another.
    box = SIMPLE_HEAD if _has_lines() else Box(str(SIMPLE_HEAD).replace("─", "-"), ascii=True)
    made = Table(box=box, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    fits = _least_width(columns) <= width
    for column in columns:
        made.add_column(
            Text(column.name),
            justify="right" if column.right else "left",
            no_wrap=column.whole and fits,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*map(Text, row))
    # Its own file: Rich would write to stdout even while it captures.
    file = StringIO()
    Console(file=file, width=width, color_system=None, highlight=False).print(made)
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def _has_lines() -> bool:
    """Whether the terminal's encoding knows the line that stands under the headers."""
    try:
        "─".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _least_width(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + _GAP * (len(columns) - 1)


def _is_whole(value: object, shown: str) -> bool:
    if isinstance(value, (datetime, timedelta)) or is_number(value):
        return True
    return " " not in shown and len(shown) <= _LONGEST_ID


def _is_figure(value: object) -> bool:
    if isinstance(value, timedelta):
        return True
    return is_number(value) and not isinstance(value, bool)

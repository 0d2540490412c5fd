"""Tables for people: a line a row, numbers to the right, and never wider than the terminal."""

import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING

from runsync.cli import colour
from runsync.cli.values import Row, dumped, is_missing, is_number, plain
from runsync.text import visible

if TYPE_CHECKING:
    from rich.text import Text

UNLIMITED = 10_000
_LONGEST_CELL = 500
_NARROWEST = 12
_ID = re.compile(r"[0-9a-fA-F.:-]{0,40}")
_SHORTEST_NAME = 20
_GAP = 2


def table(
    rows: Sequence[Row],
    columns: Sequence[str],
    width: int,
    *,
    spare: Sequence[str] = (),
    right: Collection[str] = (),
    prose: Collection[str] = (),
    colours: bool = False,
) -> tuple[str, list[str]]:
    """The rows as a table of at most ``width`` columns of text, and the names that did not fit.

    Columns of ``spare`` are dropped first, then those that say the same in every row, then those
    at the end; those of ``spare`` that hold nothing are left out without a word. The first column
    stays, unless nothing is ranked and it says the same in every row. Each row is one line: long
    names end in ``…``, and only ``prose`` is folded.
    """
    made = [_Column(name, rows, right=name in right, folds=name in prose) for name in columns]
    empty = {name for entry in spare for name in entry.split()}
    made = [column for column in made if column.name not in empty or any(column.cells)]
    dropped: list[str] = []
    for names in _least_telling_first(made, spare):
        if _least_width(made) <= width:
            break
        # What nobody has ranked may begin with a column that says nothing.
        first = 0 if not spare and made[0].is_constant and len(made) > 1 else 1
        dropped += [column.name for column in made[first:] if column.name in names]
        made = [*made[:first], *(c for c in made[first:] if c.name not in names)]
    return _rendered(made, width, colours), [name for name in columns if name in dropped]


def _least_telling_first(
    columns: Sequence["_Column"], spare: Sequence[str]
) -> Iterable[Collection[str]]:
    """The names of columns that a narrow table drops, those that go together in one."""
    yield from (entry.split() for entry in spare)
    backwards = [*reversed(columns)]
    yield from ([column.name] for column in backwards if not any(column.cells))
    yield from ([column.name] for column in backwards if column.is_constant)
    yield from ([column.name] for column in backwards)


def record(row: Row, columns: Sequence[str], width: int, *, colours: bool = False) -> str:
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
        if colours and column in colour.COLUMNS:
            parts = [colour.coloured(part) for part in parts]
        indents = [column.ljust(margin), *(" " * margin for _ in parts[1:])]
        lines += [f"{i}{p}".rstrip() for i, p in zip(indents, parts, strict=True)]
    return "\n".join(lines) + "\n"


def cell(value: object) -> str:
    """A value as people read it."""
    if is_missing(value):
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, Age):
        return ago(value)
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


class Age(timedelta):
    """How long ago something happened."""

    @classmethod
    def since(cls, when: datetime, now: datetime | None = None) -> "Age":
        """The age of a moment, which has a zone."""
        passed = (now or datetime.now(UTC)) - when
        return cls(passed.days, passed.seconds, passed.microseconds)


def ago(age: timedelta) -> str:
    """``27 min ago``, ``3 h ago``, ``5 days ago``; ``in 3 h`` for what is to come."""
    seconds = round(abs(age.total_seconds()))
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            break
    else:
        size, unit = 1, "s"
    length = f"{seconds // size} {unit}"
    return f"in {length}" if age < timedelta(0) and seconds else f"{length} ago"


def terminal_width() -> int:
    """How wide the terminal is; a pipe has no limit."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return max(20, shutil.get_terminal_size().columns)
    return UNLIMITED


class _Column:
    """One column: its cells, whether it is flush right, and how its cells may be narrowed."""

    def __init__(self, name: str, rows: Sequence[Row], *, right: bool, folds: bool) -> None:
        from rich.cells import cell_len

        values = [row.get(name) for row in rows]
        self.name = name
        self.cells = [cell(value) for value in values]
        self.folds = folds
        self.right = right or (bool(values) and all(map(_is_figure, values)))
        self.is_constant = len(self.cells) > 1 and len({*self.cells}) == 1
        self.widest = max([cell_len(name), *map(cell_len, self.cells)])
        # Numbers, times and ids are kept whole; prose may be folded, but not down to a strip.
        whole = self.right or (not folds and all(map(_is_whole, values, self.cells)))
        narrowest = max(cell_len(name), _NARROWEST if folds else _SHORTEST_NAME)
        self.least = self.widest if whole else min(self.widest, narrowest)


def _rendered(columns: Sequence[_Column], width: int, colours: bool) -> str:
    from rich.box import SIMPLE_HEAD, Box
    from rich.console import Console
    from rich.table import Table

    # A line under the headers and nothing else is narrow, and easy to copy from. The box sets the
    # columns apart by one blank, the padding by another.
    box = SIMPLE_HEAD if _has_lines() else Box(str(SIMPLE_HEAD).replace("─", "-"), ascii=True)
    made = Table(box=box, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for column, room in zip(columns, _widths(columns, width), strict=True):
        # What cannot be shortened to fit, a lone id, is folded: nothing of it may be lost.
        folds = column.folds or room < column.least
        made.add_column(
            column.name,
            justify="right" if column.right else "left",
            width=room,
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*map(_text, columns, row))
    # Its own file: Rich would write to stdout even while it captures.
    file = StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(made)
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def _text(column: _Column, shown: str) -> "Text":
    from rich.text import Text

    hue = colour.colour_of(shown) if column.name in colour.COLUMNS else None
    return Text(shown, style=f"bold {hue}" if hue == "red" else hue or "")


def _widths(columns: Sequence[_Column], width: int) -> list[int]:
    """The width of each column: what it needs at least, and its part of the room that is left."""
    widths = [column.least for column in columns]
    room = width - _GAP * (len(columns) - 1)
    if sum(widths) > room:
        return [room]  # one column is left, and it is wider than all there is
    left = room - sum(widths)
    while left and (lacking := [i for i, c in enumerate(columns) if widths[i] < c.widest]):
        each = max(left // len(lacking), 1)
        for i in lacking[:left]:
            more = min(each, columns[i].widest - widths[i])
            widths[i] += more
            left -= more
    return widths


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
    return _ID.fullmatch(shown) is not None


def _is_figure(value: object) -> bool:
    if isinstance(value, timedelta):
        return True
    return is_number(value) and not isinstance(value, bool)

"""Output: a table for people, JSON, CSV or Markdown for everything else.

JSON and CSV hold whole values under the documented column names: times in ISO 8601 and UTC,
durations in seconds, and what is missing as null or an empty cell. A table is for reading: it fits
the terminal, drops the least telling columns where there is no room, and says which.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO

import typer

from runsync.cli.colour import has_colours
from runsync.cli.logs import is_quiet
from runsync.cli.values import Row, dumped, is_number, plain
from runsync.errors import ConfigError
from runsync.text import csv_cell, visible


class Format(StrEnum):
    """The ways to write data."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


_SUFFIXES = {
    ".json": Format.JSON,
    ".csv": Format.CSV,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".xlsx": Format.CSV,  # the same columns and values, in a workbook
    ".txt": Format.TABLE,
    ".log": Format.TABLE,
    "": Format.TABLE,
}
_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of stdout; what it leads to may be a file that is appended to, and must not be replaced."""
_NAMES_SHOWN = 8
_LONG_AGO = timedelta(days=60)
_MOST_IN_A_CELL = 32_767


def note(text: str) -> None:
    """Says on stderr what is neither data nor an error; nothing with ``--quiet``."""
    if not is_quiet():
        typer.echo(visible(text, lines=True), err=True)


def warn(text: str) -> None:
    """Says on stderr what is wrong, though the command goes on."""
    typer.echo(f"runsync: {visible(text)}", err=True)


def chosen_format(format: Format | None, output: Path | None) -> Format:
    """The format that was chosen, or else the one that the file's name says, or else a table.

    Raises:
        ConfigError: the end of the name says none that is known.
    """
    if format is not None or output is None:
        return format or Format.TABLE
    ending = output.suffix.lower()
    if ending in (".html", ".htm"):
        raise ConfigError(
            f"{output}: only all reports together make a page: "
            "`runsync report html --output report.html`"
        )
    if ending not in _SUFFIXES:
        known = ", ".join(filter(None, _SUFFIXES))
        raise ConfigError(f"{output}: {ending} says no format; known are {known}, or use --format")
    return _SUFFIXES[ending]


def emit(
    rows: Iterable[Row],
    *,
    columns: Sequence[str],
    format: Format | None = None,
    output: Path | None = None,
    single: bool = False,
    title: str | None = None,
    brief: Sequence[str] | None = None,
    spare: Sequence[str] = (),
    right: Collection[str] = (),
    prose: Collection[str] = (),
) -> None:
    """Writes rows to stdout, or to the file ``output`` as a whole.

    Args:
        columns: the keys to write, in order; they are JSON's keys and the other formats' headers.
        format: None takes the format that the name of ``output`` says, else a table.
        single: there is one row, which is one thing: JSON writes an object, not an array.
        title: a heading for tables and Markdown.
        brief: the columns of a table, where all would be too many; they may be others.
        spare: the columns that a narrow table drops first, the least telling first; names in one
            entry, separated by blanks, go together. Those that hold nothing are always dropped.
        right: columns of text to align to the right, as numbers are.
        prose: columns of sentences, which a narrow table folds; it shortens any other text.

    Raises:
        ConfigError: ``output`` cannot be written.
    """
    is_workbook = format is None and output is not None and output.suffix.lower() == ".xlsx"
    rows, format = [*rows], chosen_format(format, output)
    if is_workbook and output is not None:
        _write_workbook(rows, columns, output)
        return
    dropped: list[str] = []
    if format is Format.TABLE:
        shown = columns if single else brief or columns
        if brief and not single:
            rows = [_aged(row) for row in rows]
        text, dropped = _table(rows, shown, spare, right, prose, single, title, output)
    elif format is Format.JSON:
        text = _json(rows, columns, single)
    elif format is Format.CSV:
        text = _csv(rows, columns)
    else:
        text = _markdown(rows, columns, title, right)
    write(text, output, for_programs=format is not Format.TABLE)
    if dropped:
        note(f"not shown, since the terminal is narrow: {_listed(dropped)}; --json shows all")


def _aged(row: Row) -> Row:
    """A row for people, who ask how long ago a run was created, or when if that is long ago."""
    from runsync.cli.table import Age

    when = row.get("created_at")
    if not isinstance(when, datetime):
        return row
    age = Age.since(when)
    return {**row, "created_at": age if age < _LONG_AGO else f"{when:%Y-%m-%d}"}


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def write(text: str, output: Path | None = None, *, for_programs: bool = False) -> None:
    """Writes text to stdout, or as the whole of the file ``output``; ``-`` is stdout.

    Args:
        for_programs: in UTF-8 to stdout too, whatever the locale; a file always is.

    Raises:
        ConfigError: it cannot be written.
        BrokenPipeError: the reader of stdout has gone.
    """
    if output is not None and not is_stdout(output):
        write_file(output, text)
        return
    if for_programs and (reconfigure := getattr(sys.stdout, "reconfigure", None)):
        reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write the output: {error.strerror}") from None


def is_stdout(output: Path) -> bool:
    """Whether the name means stdout."""
    return str(output) in _STDOUT


def write_file(path: Path, text: str | bytes) -> None:
    """Writes a file so that a reader sees the old one or the new one, never a part.

    Raises:
        ConfigError: it cannot be written.
    """
    content = text.encode("utf-8") if isinstance(text, str) else text
    try:
        if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
            path.write_bytes(content)
            return
        replace_file(path.resolve(), lambda file: file.write(content))
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}; name a file in a folder that you may write to"
        ) from None


def replace_file(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Puts a new file in the place of ``path``, once ``fill`` has written all of it.

    Raises:
        OSError: it cannot be written; ``path`` is as it was.
    """
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        Path(made).chmod(mode)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _table(
    rows: Sequence[Row],
    columns: Sequence[str],
    spare: Sequence[str],
    right: Collection[str],
    prose: Collection[str],
    single: bool,
    title: str | None,
    output: Path | None,
) -> tuple[str, list[str]]:
    """The text, and the names of the columns for which there was no room."""
    from runsync.cli.table import UNLIMITED, record, table, terminal_width

    width = terminal_width() if output is None else UNLIMITED
    colours = output is None and has_colours()
    head = f"{visible(title)}\n" if title else ""
    if single:
        text = "\n".join(record(row, columns, width, colours=colours) for row in rows)
        return head + text, []
    text, dropped = table(
        rows, columns, width, spare=spare, right=right, prose=prose, colours=colours
    )
    return head + text, dropped


def _json(rows: Sequence[Row], columns: Sequence[str], single: bool) -> str:
    things = [{column: plain(row.get(column)) for column in columns} for row in rows]
    if single:
        return dumped(things[0] if things else None, indent=2) + "\n"
    if not things:
        return "[]\n"
    return "[\n" + ",\n".join(f"  {dumped(thing)}" for thing in things) + "\n]\n"


def _csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """RFC 4180: lines end in CR LF, quotes are doubled."""
    import csv
    import io

    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([_csv_cell(column) for column in columns])
    writer.writerows([_csv_cell(row.get(column)) for column in columns] for row in rows)
    return file.getvalue()


def _csv_cell(value: object) -> object:
    value = plain(value)
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, (dict, list)):
        return dumped(value)
    return csv_cell(value) if isinstance(value, str) else value


def _write_workbook(rows: Sequence[Row], columns: Sequence[str], output: Path) -> None:
    """A workbook with one sheet: text that begins like a formula is guarded, as in CSV."""
    import io

    try:
        from openpyxl import Workbook
    except ImportError:
        raise ConfigError(
            f"{output} needs openpyxl: pip install 'runsync[excel]', or name a .csv file"
        ) from None
    book = Workbook(write_only=True)
    sheet = book.create_sheet("runsync")
    sheet.append([csv_cell(column) for column in columns])
    for row in rows:
        sheet.append([_workbook_cell(row.get(column)) for column in columns])
    file = io.BytesIO()
    book.save(file)
    write_file(output, file.getvalue())


def _workbook_cell(value: object) -> object:
    """A cell: numbers stay numbers; a number that Excel would round stands as text."""
    value = plain(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**15:
        return str(value)
    made = value if value is None or isinstance(value, bool) else _csv_cell(value)
    return made[:_MOST_IN_A_CELL] if isinstance(made, str) else made


def _markdown(
    rows: Sequence[Row], columns: Sequence[str], title: str | None, right: Collection[str]
) -> str:
    heads = "| " + " | ".join(_markdown_cell(column) for column in columns) + " |"
    numeric = {c for c in columns if rows and all(is_number(row.get(c)) for row in rows)}
    numeric |= {*right}
    rule = "|" + "|".join("---:" if c in numeric else "---" for c in columns) + "|"
    body = ["| " + " | ".join(_markdown_cell(row.get(c)) for c in columns) + " |" for row in rows]
    head = [f"### {visible(title)}", ""] if title else []
    return "\n".join([*head, heads, rule, *body]) + "\n"


def _markdown_cell(value: object) -> str:
    value = plain(value)
    if value is None:
        return ""
    return markdown_text(value if isinstance(value, str) else dumped(value))


def markdown_text(text: str) -> str:
    """The text in a line of Markdown, with nothing of it taken for markup."""
    shown = visible(text.replace("\n", " "))
    for character in "\\|`*[]<>":
        shown = shown.replace(character, f"\\{character}")
    return shown


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

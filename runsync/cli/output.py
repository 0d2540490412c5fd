"""How data leaves: as a table for people, as JSON, CSV or Markdown for everything else.

JSON and CSV hold whole values under the column names of the documentation: times in ISO 8601 and
UTC, durations in seconds, and what is missing as null or an empty cell. A table is for reading: it
fits the terminal, and turns into one block per row where the columns would not.
"""

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import IO, Any

from runsync.errors import ConfigError
from runsync.text import csv_cell, escaped_json, visible

Row = Mapping[str, object]


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
}


def emit(
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    format: Format | None = None,
    output: Path | None = None,
    single: bool = False,
    title: str | None = None,
    brief: Sequence[str] | None = None,
    spare: Sequence[str] = (),
) -> None:
    """Writes rows to stdout, or whole to the file ``output``.

    Args:
        columns: the keys to write, in order; they are JSON's keys and the other formats' heads.
        format: None writes what the name of ``output`` says, else a table.
        single: there is one row, which is one thing: JSON writes an object, not an array.
        title: a heading for tables and Markdown.
        brief: the columns of a table for people, where all would be too many; they may be others.
        spare: of these, the ones that a narrow terminal is spared, the most dispensable first;
            one that holds nothing is left out everywhere.

    Raises:
        ConfigError: ``output`` cannot be written.
    """
    if format is None:
        format = _SUFFIXES.get(output.suffix.lower(), Format.TABLE) if output else Format.TABLE
    if format is Format.TABLE:
        from runsync.cli.table import table

        shown = columns if single else brief or columns
        wide = output is not None
        text = table(rows, shown, spare=spare, single=single, title=title, wide=wide)
    elif format is Format.JSON:
        text = _json(rows, columns, single)
    elif format is Format.CSV:
        text = _csv(rows, columns)
    else:
        text = _markdown(rows, columns, title)
    write(text, output)


def write(text: str, output: Path | None = None) -> None:
    """Writes text to stdout, or as the whole of the file ``output``; ``-`` is stdout.

    Raises:
        ConfigError: it cannot be written.
        BrokenPipeError: whoever read stdout has gone.
    """
    if output is not None and str(output) != "-":
        write_file(output, text)
        return
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write the output: {error.strerror}") from None


def write_file(path: Path, text: str) -> None:
    """Writes a file so that a reader sees the old one or the new one, never a part.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
            path.write_text(text, encoding="utf-8", newline="")
            return
        replace_file(path.resolve(), lambda file: file.write(text.encode("utf-8")))
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


def iso(when: datetime) -> str:
    """``2016-07-04T11:51:24.851Z``: milliseconds, unless there are microseconds to tell."""
    when = when.astimezone(UTC) if when.tzinfo else when
    digits = "microseconds" if when.microsecond % 1000 else "milliseconds"
    return when.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def is_missing(value: object) -> bool:
    """Whether it is one of the many nothings: None, NaN, NaT, NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float) and math.isnan(value)


def plain(value: object) -> Any:
    """A value as JSON can hold it."""
    if is_missing(value):
        return None
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if callable(item := getattr(value, "item", None)):  # numpy's scalars
        return plain(item())
    return str(value)


def _json(rows: Sequence[Row], columns: Sequence[str], single: bool) -> str:
    things = [{column: plain(row.get(column)) for column in columns} for row in rows]
    if single:
        return dumped(things[0] if things else None, indent=2) + "\n"
    if not things:
        return "[]\n"
    return "[\n" + ",\n".join(f"  {dumped(thing)}" for thing in things) + "\n]\n"


def dumped(value: object, indent: int | None = None) -> str:
    """JSON, readable in any script, and inert on a terminal."""
    return escaped_json(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent))


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


def _markdown(rows: Sequence[Row], columns: Sequence[str], title: str | None) -> str:
    heads = "| " + " | ".join(_markdown_cell(column) for column in columns) + " |"
    numeric = [all(is_number(row.get(c)) for row in rows) and bool(rows) for c in columns]
    rule = "|" + "|".join("---:" if right else "---" for right in numeric) + "|"
    body = ["| " + " | ".join(_markdown_cell(row.get(c)) for c in columns) + " |" for row in rows]
    head = [f"### {visible(title)}", ""] if title else []
    return "\n".join([*head, heads, rule, *body]) + "\n"


def _markdown_cell(value: object) -> str:
    value = plain(value)
    if value is None:
        return ""
    text = value if isinstance(value, str) else dumped(value)
    shown = visible(text.replace("\n", " "))
    for character in "\\|`*[]<>":
        shown = shown.replace(character, f"\\{character}")
    return shown


def is_number(value: object) -> bool:
    """Whether a column of such values stands to the right; what is missing does not matter."""
    return is_missing(value) or isinstance(plain(value), (int, float))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


__all__ = ["Format", "Row", "emit", "is_missing", "is_number", "iso", "plain", "replace_file"]

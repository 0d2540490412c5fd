"""A TOML table whose values are checked as they are read, with errors that name their place."""

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from math import inf
from pathlib import Path
from typing import Any

from runsync.errors import ConfigError


def quoted(text: str) -> str:
    """The text as a TOML string, nothing in it invisible; JSON strings are a subset of those."""
    shown = json.dumps(text, ensure_ascii=False)
    # Lone surrogates, bytes that were no text, are in no TOML: who writes them is told.
    return "".join(
        one if one.isprintable() or "\ud800" <= one <= "\udfff" else f"\\U{ord(one):08x}"
        for one in shown
    )


class TomlTable:
    """A TOML table and its place in the file."""

    def __init__(self, raw: Mapping[str, Any], place: str, path: Path) -> None:
        self._raw, self.place, self.path = raw, place, path

    def only(self, *known: str) -> None:
        """Refuses any other key, before what is missing for it is complained about."""
        for key in self._raw:
            if key not in known:
                raise self.error(f"`{key}` is not known; {nearest(key, known)}")

    def error(self, what: str) -> ConfigError:
        place = f"{self.place}: " if self.place else ""
        return ConfigError(f"{self.path}: {place}{what}")

    def _take(self, key: str, kind: type | tuple[type, ...], wanted: str) -> Any:
        value = self._raw.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.error(f"`{key}` must be {wanted}, not {value!r}")
        return value

    def text(self, key: str) -> str | None:
        value: str | None = self._take(key, str, "text")
        if value is not None and not value.strip():
            raise self.error(f"`{key}` is empty; fill it in or take the line out")
        if value is not None and "\0" in value:
            raise self.error(f"`{key}` holds a NUL character; take it out")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, list, "a list of texts") or []
        if not all(isinstance(part, str) for part in value):
            raise self.error(f"`{key}` must be a list of texts, not {value!r}")
        if self.has(key) and not value:
            raise self.error(f"`{key}` is empty; fill it in or take the line out")
        return tuple(value)

    def flag(self, key: str) -> bool:
        return bool(self._take(key, bool, "true or false"))

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = self._take(key, int, f"a whole number from {least} to {most}")
        if value is None:
            return default
        if not least <= value <= most:
            raise self.error(f"`{key}` must be from {least} to {most}, not {value}")
        return int(value)

    def prices(self) -> dict[str, float]:
        """Every key with its value, a price."""
        found = {key: self._take(key, (int, float), "a price such as 0.008") for key in self._raw}
        for key, price in found.items():
            if isinstance(price, bool) or not 0 <= price < inf:
                raise self.error(f"`{key}` must be a price such as 0.008, not {price!r}")
        return {key: float(price) for key, price in found.items()}

    def when(self, key: str) -> datetime | None:
        value = self._take(key, (str, date), 'a date such as "2024-01-01"')
        try:
            return None if value is None else as_time(value)
        except (ValueError, OverflowError):
            raise self.error(
                f'`{key}` must be a date such as "2024-01-01", not {value!r}'
            ) from None

    def table(self, key: str) -> "TomlTable":
        value = self._take(key, dict, f"a table, written [{key}]") or {}
        return TomlTable(value, f"[{key}]", self.path)

    def tables(self) -> Iterable[tuple[str, "TomlTable"]]:
        for key in self._raw:
            value = self._take(key, dict, f"a table, written {self.place[:-1]}.{key}]")
            yield key, TomlTable(value, f"{self.place[:-1]}.{key}]", self.path)

    def values(self, key: str) -> Iterable[tuple[str, object]]:
        """The entries of an inline table."""
        value = self._take(key, dict, f"a table, such as {key} = {{ pass_rate = 0.8 }}") or {}
        if self.has(key) and not value:
            raise self.error(f"`{key}` is empty; fill it in or take the line out")
        return tuple(value.items())

    def array(self, key: str) -> Iterable["TomlTable"]:
        for index, value in enumerate(self._take(key, list, f"tables, each [[{key}]]") or [], 1):
            if not isinstance(value, dict):
                raise self.error(f"`{key}` must be tables, each headed [[{key}]]")
            yield TomlTable(value, f"[[{key}]] number {index}", self.path)

    def has(self, key: str) -> bool:
        return key in self._raw


def nearest(word: str, known: Iterable[str]) -> str:
    """A clause that offers the nearest known word, or lists them all."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else "known are: " + ", ".join(words)


def as_time(value: str | date) -> datetime:
    """A UTC time from a date, a time or ISO text; without a zone, UTC is meant.

    Raises:
        ValueError: the text is neither a date nor a time.
        OverflowError: it is one that lies outside of the calendar in UTC.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)

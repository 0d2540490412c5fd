"""Reads a provider's JSON field by field, and says exactly which field is not what is due.

Text is made storable on the way: PostgreSQL takes no NUL and neither database a lone surrogate,
so each becomes U+FFFD. So are numbers: JSON has no infinity, and a column ends somewhere.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from runsync.errors import SourceError
from runsync.records import UNEXPLAINED, Ending, Problem, Status, Step, parse_time

_Read = TypeVar("_Read")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
_LONGEST_TEXT_IN_ERROR = 60
_LARGEST = 2**63 - 1
_LONGEST_ID = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a key and a path can hold; an id is never `.` or `..`, which would climb out of its path.
_ID = re.compile(r"(?!\.{1,2}$)[!-~]{1,200}")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BLANKS: tuple[Any, ...] = ("", [], {})


class BadRowError(ValueError):
    """A row that cannot be read; the text names it and the field."""


class Fields:
    """One JSON object, called ``what`` in errors.

    Raises:
        BadRowError: ``raw`` is no object; so do the methods where a field is not what is due.
    """

    __slots__ = ("raw", "what")

    def __init__(self, raw: object, what: str) -> None:
        self.what = what
        if not isinstance(raw, dict):
            raise BadRowError(f"{what}: an object is due, {describe(raw)} came")
        self.raw: Mapping[str, Any] = raw

    def text(self, key: str) -> str | None:
        """Text; None where the key is absent or null."""
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(key, "text", value)
        return storable(value)

    def needed_text(self, key: str) -> str:
        """Text that must be there."""
        value = self.text(key)
        if not value:
            raise BadRowError(f"{self.what}: `{key}` is missing")
        return value

    def needed_id(self, key: str) -> str:
        """An id that must be there: up to 200 characters, none of them a space."""
        value = self.needed_text(key)
        if not _ID.fullmatch(value):
            raise self._wrong(key, "an id", value)
        return value

    def integer(self, key: str, largest: int = _LARGEST) -> int | None:
        """A whole number from -largest to largest; None where the key is absent or null."""
        value = self.raw.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a whole number", value)
        if not math.isfinite(value) or value != int(value) or abs(value) > largest:
            raise self._wrong(key, "a whole number", value)
        return int(value)

    def needed_number(self, key: str, least: int = 1) -> int:
        """A whole number that must be there, such as an id: ``least`` or more."""
        value = self.integer(key)
        if value is None:
            raise BadRowError(f"{self.what}: `{key}` is missing")
        if value < least:
            raise self._wrong(key, f"{least} or more", value)
        return value

    def needed_uuid(self, key: str) -> str:
        """A UUID that must be there, in lower case."""
        value = self.needed_text(key)
        if not UUID.fullmatch(value):
            raise self._wrong(key, "a UUID", value)
        return value.lower()

    def time(self, key: str) -> datetime | None:
        """An ISO 8601 time, in UTC; None where the key is absent or null."""
        value = self.text(key)
        if not value:
            return None
        try:
            return parse_time(value)
        except (ValueError, OverflowError):
            raise self._wrong(key, "a time with its zone", value) from None

    def epoch_time(self, key: str, unit: timedelta) -> datetime | None:
        """A time in units since 1970; None where the key is absent or null."""
        value = self.integer(key)
        try:
            return None if value is None else EPOCH + value * unit
        except OverflowError:
            raise self._wrong(key, "a time", value) from None

    def needed_time(self, key: str) -> datetime:
        """A time that must be there."""
        when = self.time(key)
        if when is None:
            raise BadRowError(f"{self.what}: `{key}` is missing")
        return when

    def child(self, key: str) -> "Fields | None":
        """An object; None where the key is absent or null."""
        value = self.raw.get(key)
        return None if value is None else Fields(value, f"{self.what}: `{key}`")

    def first_text(self, *places: str) -> str | None:
        """The first text at one of these places, such as ``user/name`` for ``name`` in the object
        ``user``; None where all of them are absent, null or empty."""
        for place in places:
            *above, key = place.split("/")
            within: Fields | None = self
            for name in above:
                within = within and within.child(name)
            if within and (text := within.text(key)):
                return text
        return None

    def objects(self, key: str) -> Iterator["Fields"]:
        """The objects of a list; nothing where the key is absent or null."""
        value = self.raw.get(key)
        if value is not None and not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        for item in value or ():
            yield Fields(item, f"{self.what}: an entry of `{key}`")

    def rest(self, taken: Collection[str]) -> dict[str, Any]:
        """What stands under other keys than ``taken`` and is not null, made storable."""
        try:
            return {
                storable(key): storable_json(value)
                for key, value in self.raw.items()
                if key not in taken and value is not None
            }
        except RecursionError:
            raise BadRowError(f"{self.what}: it is nested too deep") from None

    def nonblank_rest(self, taken: Collection[str]) -> dict[str, Any]:
        """Like :meth:`rest`, without what is empty or false, and so says nothing."""
        return nonblank(self.rest(taken))

    def _wrong(self, key: str, due: str, value: object) -> BadRowError:
        return BadRowError(f"{self.what}: `{key}` must be {due}, not {describe(value)}")


def nonblank(values: Mapping[str, Any]) -> dict[str, Any]:
    """What says anything: what is neither null, false nor empty."""
    told = ((key, value) for key, value in values.items() if value is not None)
    return {key: value for key, value in told if value is not False and value not in _BLANKS}


def row_name(kind: str, raw: object) -> str:
    """How an error names a row: ``run 5a…`` by its id, or ``run (no id)``."""
    found = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        return f"{kind} (no id)"
    return f"{kind} {storable(str(found))[:_LONGEST_ID]}"


def describe(value: object) -> str:
    """A value for an error: its kind, or its beginning."""
    if isinstance(value, dict | list) or value is None:
        return _KINDS[type(value)]
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT_IN_ERROR else f"{text[:_LONGEST_TEXT_IN_ERROR]}…"


def storable(text: str) -> str:
    """Text that both databases take."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: Any) -> Any:
    """JSON whose every text both databases take."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable_json(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def map_status(
    word: str, words: Mapping[str, Status], started: datetime | None, finished: datetime | None
) -> Status:
    """Our word for the provider's. One that nobody has seen before is judged by the times."""
    if word in words:
        return words[word]
    if finished is not None:
        return Status.FINISHED
    return Status.RUNNING if started is not None else Status.NOTSTARTED


def map_ending(word: str | None, words: Mapping[str, Ending], status: Status) -> Ending:
    """Our words for the provider's; one that nobody has seen before explains nothing.

    There is no outcome before the end.
    """
    ending = words.get(word, UNEXPLAINED) if word else UNEXPLAINED
    return ending if status is Status.FINISHED else ending._replace(outcome=None)


def raw_word(word: str | None, ours: StrEnum) -> str | None:
    """The provider's word where it is another one than ours."""
    return None if not word or word == ours.value else word


def read_progress(
    fields: Fields,
    word: str,
    end: str | None,
    statuses: Mapping[str, Status],
    endings: Mapping[str, Ending],
    times: tuple[str, str] = ("started_at", "finished_at"),
) -> dict[str, Any]:
    """How far a run or step has come: keywords of ``Run`` and of ``Step``.

    Args:
        word: the provider's for how far it is.
        end: its word for how it ended, often the same; it counts once that is over.
        times: the keys of its start and its end. What is under way again may show its former end.
    """
    started, finished = (fields.time(key) for key in times)
    status = map_status(word, statuses, started, finished)
    ended_at = finished if status is Status.FINISHED else None
    state = state_of(status, word, end, endings)
    return {**state, "started_at": started, "finished_at": ended_at}


def state_of(
    status: Status, word: str | None, end: str | None, endings: Mapping[str, Ending]
) -> dict[str, Any]:
    """A status and what came of it: keywords of ``Run`` and of ``Step``.

    Args:
        word: the provider's for the status; None where that is no word.
        end: its word for how it ended; it counts once that is over.
    """
    over = status is Status.FINISHED
    result, outcome = map_ending(end if over else None, endings, status)
    return {
        "status": status,
        "result": result,
        "outcome": outcome,
        "raw_status": raw_word(word, status),
        "raw_result": raw_word(end, result) if over else None,
    }


def read_steps(
    rows: Iterable[object], read: Callable[[object, int], Step | None], what: str
) -> tuple[tuple[Step, ...], tuple[Problem, ...]]:
    """The steps that can be read, in their order, and a problem for each other row.

    Args:
        read: reads a row, by its place among the steps from 1 on; None for what is no step.
        what: what the steps are of, for the problems.
    """
    steps: list[Step] = []
    problems: list[Problem] = []
    for raw in rows:
        try:
            step = read(raw, len(steps) + len(problems) + 1)
            steps += [step] if step else []
        except BadRowError as error:
            problems.append(Problem(f"{what}: {error}"))
    unique = {step.id: step for step in steps}
    if any(step != unique[step.id] for step in steps):
        problems.append(Problem(f"{what}: different steps have the same id"))
    return tuple(unique.values()), tuple(problems)


def or_problem(read: Callable[[], _Read]) -> _Read | Problem:
    """What is read, or what is wrong with the row that it is read from."""
    try:
        return read()
    except BadRowError as error:
        return Problem(str(error))


def rows_in(data: object, what: str, key: str | None = None) -> list[Any]:
    """The rows of an answer: the answer itself, or what it has under ``key``.

    Raises:
        SourceError: it is no list.
    """
    found = data.get(key) if key and isinstance(data, dict) else data
    if not isinstance(found, list):
        due = f"`{key}`, a list," if key else "a list"
        raise SourceError(f"{what}: {due} is due and {describe(found)} came; check base_url")
    return found


def check_any_read(items: Sequence[object], what: str, many: int = 1) -> None:
    """Gives up where of many rows none can be read: then it is not the rows' fault.

    Raises:
        SourceError: there are so ``many`` or more, and each is a problem.
    """
    problems = [item for item in items if isinstance(item, Problem)]
    if len(problems) == len(items) >= many:
        raise SourceError(
            f"{what}: not one of {len(items)} rows can be read; check base_url, then sync again; "
            f"the last: {problems[-1].what}"
        )


def object_in(data: object, what: str) -> dict[str, Any]:
    """The object that an answer is.

    Raises:
        SourceError: it is none.
    """
    if not isinstance(data, dict):
        raise SourceError(f"{what}: an object is due and {describe(data)} came; check base_url")
    return data


def distinct(rows: Iterable[object], *path: str) -> set[str]:
    """The different values that rows have under a key, or under keys within each other, as text."""
    found: set[str] = set()
    for row in rows:
        value = row
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        found |= set() if value is None else {str(value)}
    return found


def check_one(found: Collection[str], what: str) -> None:
    """Refuses rows that belong to several owners: what is foreign may be any of them.

    Args:
        found: the owners.
        what: what is wrong then.

    Raises:
        SourceError: there are several.
    """
    if len(found) > 1:
        raise SourceError(f"{what} ({', '.join(sorted(found))}); check base_url")


def unique_by_id(rows: Iterable[Any]) -> tuple[Any, ...]:
    """The rows without repeats of an id; the last of each wins, in the place of the first."""
    return tuple({row.id: row for row in rows}.values())

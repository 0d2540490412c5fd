"""An archive and its database as one history: sealed months from files, the rest from rows.

A month comes from the archive only where the database's own mark says that nothing was written to
it since it was exported, or where the archive alone still has it. Of the other months only the
columns that a SELECT needs are read from the database, once.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import ge, lt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, Column, Connection, Select, Table, TextClause
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.visitors import iterate

from runsync.archive.bookkeeping import month_versions, pruned_months, small_tables
from runsync.archive.duck import DuckArchive, opened_with
from runsync.archive.export import check_same_database
from runsync.archive.location import errors_in_sentences, located
from runsync.archive.manifest import FILE, Manifest, MonthKey, read_manifest
from runsync.archive.rows import Month, file_schema, fresh_rows
from runsync.archive.views import VIEW_EXPRESSIONS
from runsync.errors import ArchiveError
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    import pyarrow as pa

_BEGINNING, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_VIEWS = {"v_runs": "runs", "v_steps": "steps", "runs": "runs", "steps": "steps"}
_CREATED = {v_runs.c.created_at, v_steps.c.run_created_at}


@dataclass(slots=True)
class _Loaded:
    """What of the database's rows of a table is here already."""

    columns: frozenset[str] = frozenset()
    since: datetime = _END
    until: datetime = _BEGINNING


class MixedArchive:
    """Executes SELECTs over both; as :class:`.DuckArchive` does."""

    def __init__(
        self, archive: DuckArchive, connection: Connection, fresh: Collection[MonthKey]
    ) -> None:
        self._archive, self._connection = archive, connection
        self._fresh = sorted(fresh, key=lambda key: key[::-1])
        self._loaded = {"runs": _Loaded(), "steps": _Loaded()}
        self.location = archive.location

    def batches(self, select: Any) -> Iterator["pa.RecordBatch"]:
        """The rows of a SELECT, some thousands at a time."""
        self._load(select)
        return self._archive.batches(select)

    def rows(self, select: Any) -> Sequence[Any]:
        """The rows of a small answer."""
        self._load(select)
        return self._archive.rows(select)

    def _load(self, select: Any) -> None:
        """Brings what a SELECT needs of the database's own months."""
        since, until = bounds(select)
        for table, columns in needed_columns(select).items():
            known = self._loaded[table]
            is_here = columns <= known.columns and known.since <= since and until <= known.until
            if is_here or not columns:
                continue
            wanted = _Loaded(
                columns | known.columns, min(since, known.since), max(until, known.until)
            )
            rows = fresh_rows(self._connection, table, sorted(wanted.columns), self._spans(wanted))
            with self._archive.errors_in_sentences():
                self._archive.add_fresh(table, rows)
            self._loaded[table] = wanted

    def _spans(self, wanted: _Loaded) -> list[tuple[datetime, datetime, list[int]]]:
        """The months to be read, those together that are neighbours and of the same pipelines."""
        by_month: dict[str, list[int]] = {}
        for number, name in self._fresh:
            by_month.setdefault(name, []).append(number)
        spans: list[tuple[datetime, datetime, list[int]]] = []
        for name, numbers in by_month.items():
            month = Month.named(name)
            low, high = max(month.first, wanted.since), min(month.end, wanted.until)
            if low >= high:
                continue
            if spans and spans[-1][1] == low and spans[-1][2] == numbers:
                spans[-1] = (spans[-1][0], high, numbers)
            else:
                spans.append((low, high, numbers))
        return spans


@contextmanager
def open_mixed(connection: Connection, place: str | Path) -> Iterator[MixedArchive | None]:
    """Both as one; None where the archive has nothing that the database need not be asked for.

    Args:
        connection: to the database, in one state of it.

    Raises:
        ArchiveError: there is no archive, it is of another database, or not all of it is there; or
            a month that was pruned has been written to since.
    """
    location = located(place)
    versions, pruned = month_versions(connection), pruned_months(connection)
    with errors_in_sentences(location):
        is_there = location.size(FILE) is not None
    if not is_there and not pruned:
        yield None
        return
    manifest, told = read_manifest(location), small_tables(connection)
    check_same_database(location, manifest, told)
    archived = _archived(manifest, versions, pruned, location.name)
    if not archived:
        yield None
        return
    with opened_with(location, manifest, told=told, only=archived) as archive:
        yield MixedArchive(archive, connection, versions.keys() - archived)


def _archived(
    manifest: Manifest, versions: dict[MonthKey, str], pruned: set[MonthKey], name: str
) -> set[MonthKey]:
    """The months that come from the archive."""
    found = {
        key
        for key, one in manifest.months.items()
        if one.sealed and versions.get(key, one.version) == one.version
    }
    if lost := pruned - manifest.months.keys():
        raise ArchiveError(
            f"the archive {name} lacks {min(lost)[1]}, which was pruned from the database; name "
            "the archive that has it"
        )
    for key in pruned - found:
        if versions[key] != manifest.months[key].version:
            raise ArchiveError(
                f"{key[1]} was pruned from the database and written to since; `runsync export "
                f"{name}` brings both together"
            )
    return found | pruned


def needed_columns(select: Any) -> dict[str, frozenset[str]]:
    """The columns of ``runs`` and ``steps`` that a SELECT needs, by their names in files."""
    found: dict[str, set[str]] = {"runs": set(), "steps": set()}
    for part in iterate(select):
        if isinstance(part, TextClause):
            found["runs"] |= set(file_schema("runs").names)
        if isinstance(part, Table) and part.name in _VIEWS:
            found[_VIEWS[part.name]].add("pipeline_id")
        if isinstance(part, Column) and part.table is not None:
            view = getattr(part.table, "element", part.table)
            table = _VIEWS.get(getattr(view, "name", ""))
            if table is not None:
                found[table] |= _base_columns(view.name, table, part.name)
    return {table: frozenset(names) for table, names in found.items()}


def _base_columns(view: str, table: str, name: str) -> set[str]:
    """What a column is made of."""
    names = set(file_schema(table).names)
    expression = VIEW_EXPRESSIONS.get(view, {}).get(name)
    return {name} & names if expression is None else set(re.findall(r"\w+", expression)) & names


def bounds(select: Any) -> tuple[datetime, datetime]:
    """Between which times of creation all rows lie that a SELECT looks at, as far as it says so."""
    since, until = _BEGINNING, _END
    tables = {id(part) for part in iterate(select) if isinstance(part, Table)}
    is_plain = isinstance(select, Select) and len(tables) == 1 and len(_froms(select)) == 1
    for condition in select._where_criteria if is_plain else ():
        if isinstance(condition, BinaryExpression) and _is_creation(condition.left):
            value = condition.right.value if isinstance(condition.right, BindParameter) else None
            if isinstance(value, datetime) and condition.operator is ge:
                since = max(since, value)
            if isinstance(value, datetime) and condition.operator is lt:
                until = min(until, value)
    return since, until


def _is_creation(column: Any) -> bool:
    """Whether it is a view's time of creation, under whatever name."""
    return getattr(column, "element", column) in _CREATED


def _froms(select: Select[Any]) -> list[Any]:
    return list(select.get_final_froms())

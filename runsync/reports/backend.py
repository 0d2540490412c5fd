"""What executes the SELECTs of reports and turns their columns into frames: a backend.

A backend answers for one history: a SQLite or PostgreSQL database here, an archive elsewhere. It
must

- execute any SELECT over the tables and views that :mod:`runsync.storage.tables` declares, as
  :mod:`runsync.reports.load` builds them for its ``dialect_name``;
- answer all of them from one state of the history, for as long as it is open;
- give ``fetch`` back as a frame with a column for each of ``columns``, in this order, whatever
  the SELECT itself calls them: text as sorted categories, times as ``datetime64[us, UTC]``,
  ``BigInteger`` (milliseconds) as floats with NaN for null, other integers as ``int64``,
  ``UnlikeText`` as objects, ``NumberLists`` and arrays as tuples of arrays;
- give ``rows`` back as Python values, times as aware ``datetime`` in UTC;
- raise :class:`.DatabaseError` where it cannot.

Times come in the quickest form that the dialect has: ISO text of one form from SQLite,
microseconds since 1970 from PostgreSQL; in other dialects the column stands as it is.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from runsync.archive.views import VIEW_EXPRESSIONS
from runsync.errors import DatabaseError
from runsync.reports.columns import categorical
from runsync.reports.report import AnyDatabase
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.tables import UTCDateTime, runs, steps, v_runs, v_steps

# Few rows at once stay in the processor's cache: half the time of 50,000. PostgreSQL is asked for
# more of them, as each asking is a round trip.
_AT_ONCE = 500
_FETCHED = 20_000
_TIMES_AT_ONCE = 20_000  # Each parsing has a cost of its own, of some milliseconds.
_NO_TIME = np.iinfo(np.int64).min
_FLAGS = frozenset(
    ("is_finished", "is_passed", "is_failed", "is_aborted", "is_skipped", "in_rate", "is_error")
) | {"never_started", "ran"}

ARCHIVE = "archive:"
"""What stands before an archive's folder or URL where a database's URL may stand."""
Columns: TypeAlias = Mapping[str, sa.ColumnElement[Any]]
"""What is read, by the name that it has in the frame."""
AnySelect: TypeAlias = "sa.CompoundSelect[Any] | sa.Select[Any]"


class NumberLists(sa.Text):
    """Lists of integers as text, with a comma behind each but the last.

    Args:
        fields: how many integers stand together for one row.
    """

    def __init__(self, fields: int = 1) -> None:
        super().__init__()
        self.fields = fields


class UnlikeText(sa.Text):
    """Text that hardly two rows share: it stands in a frame as it is."""


class Backend(Protocol):
    """Executes SELECTs on one state of a history; the module says what it must do.

    Attributes:
        name: of the history, for people: no password is in it.
        url: what another process opens the same history by; None where none can.
        dialect_name: SQLAlchemy's name of its dialect, such as ``sqlite``.
    """

    name: str
    dialect_name: str

    @property
    def url(self) -> str | None: ...

    def fetch(self, select: AnySelect, columns: Columns) -> pd.DataFrame:
        """The rows as a frame; many may come."""
        ...

    def rows(self, select: AnySelect) -> Sequence[Any]:
        """The rows of a small answer, as named tuples."""
        ...


@contextmanager
def open_backend(db: AnyDatabase) -> Iterator[Backend]:
    """The backend of a database whose schema is this version's.

    Raises:
        DatabaseError: it cannot be opened, or its schema does not fit.
    """
    if isinstance(db, str) and ARCHIVE in db:
        with _archive_backend(*db.split(ARCHIVE, 1)) as backend:
            yield backend
        return
    is_ours = isinstance(db, str | sa.URL)
    if isinstance(db, str | sa.URL):
        _must_exist(db)
    database = db if isinstance(db, Database) else Database(db)
    try:
        schema.check(database)
        with database.read() as connection:
            yield SqlBackend(connection, database)
    finally:
        if is_ours:
            database.close()


@contextmanager
def _archive_backend(before: str, place: str) -> Iterator[Backend]:
    """An archive alone, or where a database's URL and a plus stand before it, with that."""
    from runsync.archive.duck import open_archive
    from runsync.archive.mixed import open_mixed
    from runsync.reports.archive_backend import ArchiveBackend

    if "://" not in place:
        place = str(Path(place).expanduser().absolute())  # a worker has another folder
    if not before:
        with open_archive(place) as archive:
            yield ArchiveBackend(archive, f"{ARCHIVE}{place}", f"{ARCHIVE}{place}")
        return
    url = before.removesuffix("+")
    _must_exist(url)
    with closing(Database(url)) as database:
        schema.check(database)
        with database.read() as connection, open_mixed(connection, place) as mixed:
            if mixed is None:
                yield SqlBackend(connection, database)
            else:
                yield ArchiveBackend(mixed, database.name, f"{before}{ARCHIVE}{place}")


class SqlBackend:
    """A SQLite or PostgreSQL database, over one connection."""

    def __init__(self, connection: sa.Connection, database: Database) -> None:
        self.name = database.name
        self.dialect_name = connection.dialect.name
        self._database, self._connection = database, connection

    @property
    def url(self) -> str | None:
        """With its password, and with the whole path of a file."""
        url = self._database.engine.url
        if self._database.is_sqlite:
            if self._database.path is None:
                return None
            url = url.set(database=str(self._database.path.absolute()))
        return url.render_as_string(hide_password=False)

    def fetch(self, select: AnySelect, columns: Columns) -> pd.DataFrame:
        """The rows as a frame, read in chunks."""
        builders = [_builder_of(column.type) for column in columns.values()]
        for rows in self._chunks(select):
            for builder, values in zip(builders, zip(*rows, strict=True), strict=True):
                builder.add(values)
        built = (builder.built() for builder in builders)
        return pd.DataFrame(dict(zip(columns, built, strict=True)), copy=False)

    def rows(self, select: AnySelect) -> Sequence[Any]:
        """The rows of a small answer, as named tuples."""
        return self._connection.execute(select).all()

    def _chunks(self, select: AnySelect) -> Iterator[Sequence[Any]]:
        """Rows, few at once; from SQLite the driver's own, as SQLAlchemy's would cost half as much
        again as the reading."""
        if self.dialect_name != "sqlite":
            result = self._connection.execute(select.execution_options(yield_per=_FETCHED))
            for rows in result.partitions():
                yield from (rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE))
            return
        cursor = self._connection.execute(without_joins(select)).cursor
        assert cursor is not None  # noqa: S101 - a SELECT has one
        try:
            while chunk := cursor.fetchmany(_AT_ONCE):
                yield chunk
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance("", None, error, sqlite3.Error) from error


def _own(view: sa.Table, table: sa.FromClause) -> dict[str, sa.ColumnElement[Any]]:
    """What the view tells of its own table's rows."""
    own: dict[str, sa.ColumnElement[Any]] = {c.name: c for c in table.c if c.name in view.c}
    for name, sql in VIEW_EXPRESSIONS[view.name].items():
        if name in _FLAGS:
            own[name] = sa.literal_column(sql, sa.Integer).label(name)
    return own


OWN = {v_runs: _own(v_runs, runs.alias("r")), v_steps: _own(v_steps, steps.alias("s"))}
"""The columns of each view that its own table's rows tell, without a join."""


def without_joins(select: AnySelect) -> AnySelect:
    """The same select; a view that it reads once, and of which it names columns of its own table
    alone, joins nothing.

    SQLite leaves a join out where nothing of it is needed, but not where it adds rows up: there
    two look-ups more for each step take half of the time.
    """
    elements = list(visitors.iterate(select))
    for view, own in OWN.items():
        named = {e.name for e in elements if isinstance(e, sa.Column) and e.table is view}
        # What stands twice would be read whole, and kept, before any condition.
        if sum(e is view for e in elements) == 1 and named <= own.keys():
            # The key, so that there is always a column of the table to select from.
            columns = [own[name] for name in sorted({*named, "pipeline_id"})]
            select = select.add_cte(sa.select(*columns).cte(view.name))
    return select


class ColumnBuilder(Protocol):
    """Takes the values of one column in chunks and gives them back as one small array."""

    def add(self, values: Sequence[Any]) -> None: ...

    def built(self) -> Any: ...


def _builder_of(type_: sa.types.TypeEngine[Any]) -> ColumnBuilder:
    if isinstance(type_, UTCDateTime):
        return Times()
    if isinstance(type_, UnlikeText):
        return Texts()
    if isinstance(type_, NumberLists):
        return Lists(type_.fields)
    if isinstance(type_, sa.Text):
        return Words()
    # Milliseconds may be missing; flags and numbers never are.
    return Numbers(np.float64 if isinstance(type_, sa.BigInteger) else np.int64)


class Numbers:
    """Integers; as floats, where None becomes NaN."""

    def __init__(self, dtype: type[np.float64 | np.int64]) -> None:
        self._chunks: list[npt.NDArray[Any]] = [np.empty(0, dtype)]

    def add(self, values: Sequence[int | None]) -> None:
        self._chunks.append(np.array(values, dtype=self._chunks[0].dtype))

    def built(self) -> npt.NDArray[Any]:
        return np.concatenate(self._chunks)


class Lists:
    """Lists of integers, as text: for each list its arrays, one for each field."""

    def __init__(self, fields: int) -> None:
        self._fields = fields
        self._lists: list[tuple[npt.NDArray[Any], ...]] = []

    def add(self, values: Sequence[str]) -> None:
        for text in values:
            self._lists.append(tuple(numbers_in(text).reshape(-1, self._fields).T))

    def built(self) -> "pd.Series[Any]":
        return pd.Series(self._lists, dtype=object)


def numbers_in(text: str) -> npt.NDArray[np.int64]:
    """The integers in a text, with a comma behind each but the last; of others what is whole."""
    if "." in text or "e" in text:  # which SQLite takes where a column should hold integers
        return np.array([float(one) for one in text.split(",")]).astype(np.int64)
    return np.fromstring(text, np.int64, sep=",") if text else np.empty(0, np.int64)


class Texts:
    """Text, as it is."""

    def __init__(self) -> None:
        self._texts: list[str | None] = []

    def add(self, values: Sequence[str | None]) -> None:
        self._texts.extend(values)

    def built(self) -> "pd.Series[Any]":
        return pd.Series(self._texts, dtype=object)


class Words:
    """Text, as sorted categories: each word is kept once, however many rows hold it."""

    def __init__(self) -> None:
        self._codes = _Codes({None: -1})
        self._chunks = [np.empty(0, np.int32)]

    def add(self, values: Sequence[str | None]) -> None:
        codes = map(self._codes.__getitem__, values)
        self._chunks.append(np.fromiter(codes, np.int32, len(values)))

    def built(self) -> "pd.Categorical[str]":
        words = [word for word in self._codes if word is not None]
        order = sorted(range(len(words)), key=words.__getitem__)
        place = np.empty(len(words) + 1, np.int32)
        place[order] = np.arange(len(words))
        place[-1] = -1  # what None's code, -1, points at
        return categorical(place[np.concatenate(self._chunks)], [words[i] for i in order])


class _Codes(dict[str | None, int]):
    """Numbers words in the order in which they are first met; None is -1."""

    def __missing__(self, word: str | None) -> int:
        self[word] = code = len(self) - 1
        return code


class Times:
    """Times: ISO text of one form (SQLite), or microseconds since 1970 (PostgreSQL)."""

    def __init__(self) -> None:
        self._chunks = [np.empty(0, np.int64)]
        self._waiting: list[str | int | None] = []

    def add(self, values: Sequence[str | int | None]) -> None:
        self._waiting.extend(values)
        if len(self._waiting) >= _TIMES_AT_ONCE:
            self._parse()

    def built(self) -> pd.DatetimeIndex:
        self._parse()
        micros = np.concatenate(self._chunks)
        return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")

    def _parse(self) -> None:
        waiting, self._waiting = self._waiting, []
        if isinstance(next((v for v in waiting if v is not None), 0), int):
            known = [_NO_TIME if v is None else v for v in waiting]
            self._chunks.append(np.array(known, dtype=np.int64))
            return
        texts = np.array(waiting, dtype=object)
        times = pd.to_datetime(texts, format="ISO8601", utc=True, cache=False).as_unit("us")
        self._chunks.append(times.asi8)


def _must_exist(url: str | sa.URL) -> None:
    """Opening a SQLite file makes it; a report of a mistyped name should not."""
    try:
        url = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        return  # Database says it better.
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return
    if not Path(name).exists():
        raise DatabaseError(f"there is no database {name}; `runsync sync` makes it")

"""The tables and views of the database, declared once.

Each ``…Columns`` class declares the columns of one table in SQLAlchemy's typed form. The
:class:`~sqlalchemy.Table` objects made from them are what runsync itself uses, because loading the
ORM and the PostgreSQL dialect would double the time of a sync that finds nothing. The ORM models in
:mod:`runsync.storage.models` are mapped onto the same tables.

The schema itself is made by the revisions in ``migrations/`` alone; a test compares the two.
Times are UTC everywhere.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypedColumns,
    TypeDecorator,
    false,
    text,
)
from sqlalchemy.types import TypeEngine

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapped, mapped_column
else:  # the same declarations, read by Core
    from sqlalchemy import Column as mapped_column  # noqa: N813
    from sqlalchemy import Named as Mapped


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time: ``timestamptz`` in PostgreSQL, ISO 8601 text in SQLite.

    The text has one width (``2016-07-04T11:51:24.851000Z``), so it sorts as the time does, and
    SQLite's ``date()`` and ``strftime()`` understand it.

    Raises:
        ValueError: a naive time is to be stored.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        return _to_text if dialect.name == "sqlite" else _checked

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None]:
        return _from_text if dialect.name == "sqlite" else _to_utc

    def literal_processor(self, dialect: Dialect) -> Callable[[datetime], str]:
        return lambda when: f"'{_to_text(when)}'"


def _checked(when: datetime | None) -> datetime | None:
    if when is not None and when.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be stored: {when!r}")
    return when


def _to_text(when: datetime | None) -> str | None:
    if when is None:
        return None
    if when.tzinfo is not UTC:
        _checked(when)
        when = when.astimezone(UTC)
    return when.isoformat(timespec="microseconds")[:26] + "Z"


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _to_utc(when: datetime | None) -> datetime | None:
    return None if when is None else when.astimezone(UTC)


class JsonObject(TypeDecorator[dict[str, Any]]):
    """A JSON object: ``jsonb`` in PostgreSQL, text in SQLite."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return dialect.type_descriptor(JSON(none_as_null=True))
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB(none_as_null=True))


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# The column types of Python types, where SQLAlchemy's own choice is another one.
_TYPES: dict[type[TypeEngine[Any]], TypeEngine[Any]] = {
    String: Text(),
    DateTime: UTCDateTime(),
    JSON: JsonObject(),
}


def _table(name: str, declared: type, *constraints: Any, **options: Any) -> Table:
    columns = type(name, (declared, TypedColumns), {})
    table: Table = Table(name, METADATA, columns, *constraints, **options)
    for column in table.columns:
        column.type = _TYPES.get(type(column.type), column.type)
    return table


class PipelineColumns:
    """A pipeline: what a source calls by one id."""

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    source: Mapped[str]
    external_id: Mapped[str]
    name: Mapped[str]
    default_branch: Mapped[str | None]
    url: Mapped[str | None]
    created_at: Mapped[datetime | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class ListingColumns:
    """What a source keeps of a listing until the next sync (an ETag, say)."""

    listing: Mapped[str] = mapped_column(primary_key=True)
    memory: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=False)


class ListingPipelineColumns:
    """Which pipelines' runs a listing holds: one, or all those of an application.

    ``label`` is the config's own name for the pipeline, where this listing gives it one.
    """

    listing: Mapped[str] = mapped_column(primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    label: Mapped[str | None]


class RunColumns:
    """One attempt of one run."""

    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    branch: Mapped[str | None]
    commit_hash: Mapped[str | None]
    message: Mapped[str | None]
    author: Mapped[str | None]
    author_id: Mapped[str | None]
    number: Mapped[str | None]
    event: Mapped[str | None]
    status: Mapped[str]
    result: Mapped[str]
    outcome: Mapped[str | None]
    raw_status: Mapped[str | None]
    raw_result: Mapped[str | None]
    progress: Mapped[int | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    queued_ms: Mapped[int | None] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    source_run_id: Mapped[str | None]
    url: Mapped[str | None]
    web_url: Mapped[str | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    steps_synced_at: Mapped[datetime | None]
    settled: Mapped[bool] = mapped_column(server_default=false())
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    vanished_at: Mapped[datetime | None]


class StepColumns:
    """One step of a run. Its key begins with the pipeline, so step reports need no join."""

    pipeline_id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    job: Mapped[str | None]
    name: Mapped[str]
    phase: Mapped[str | None]
    runner: Mapped[str | None]
    status: Mapped[str]
    result: Mapped[str]
    outcome: Mapped[str | None]
    raw_status: Mapped[str | None]
    raw_result: Mapped[str | None]
    created_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    log_url: Mapped[str | None]
    artifacts_url: Mapped[str | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class CoverageColumns:
    """An interval of a listing's history that was walked without a gap, newest end first."""

    listing: Mapped[str] = mapped_column(primary_key=True)
    newest_created_at: Mapped[datetime] = mapped_column(primary_key=True)
    newest_run_id: Mapped[str] = mapped_column(primary_key=True)
    oldest_created_at: Mapped[datetime]
    oldest_run_id: Mapped[str]
    reaches_start: Mapped[bool]


class SyncColumns:
    """One sync of one listing. ``outcome`` is running, ok, partial, failed or interrupted."""

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    listing: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str]
    requests: Mapped[int]
    runs_new: Mapped[int]
    runs_updated: Mapped[int]
    steps_written: Mapped[int]
    error: Mapped[str | None]


class SetAsideColumns:
    """A run whose steps cannot be read, or that counts as gone: it is asked for once a day."""

    listing: Mapped[str] = mapped_column(primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime]


class MonthColumns:
    """A month of a pipeline's runs. ``version`` is another random text whenever one of them was
    written: triggers see to that. ``pruned_at``: when its rows were left to an archive alone."""

    pipeline_id: Mapped[int] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    pruned_at: Mapped[datetime | None]
    pruned_runs: Mapped[int | None]


pipelines = _table("pipelines", PipelineColumns)
listings = _table("listings", ListingColumns)
listing_pipelines = _table("listing_pipelines", ListingPipelineColumns)
runs = _table("runs", RunColumns)
steps = _table(
    "steps",
    StepColumns,
    ForeignKeyConstraint(["pipeline_id", "run_id"], ["runs.pipeline_id", "runs.id"]),
    sqlite_with_rowid=False,
)
coverage = _table("coverage", CoverageColumns)
syncs = _table("syncs", SyncColumns)
set_aside = _table("set_aside", SetAsideColumns)
months = _table("months", MonthColumns, sqlite_with_rowid=False)

lacks_steps = runs.c.steps_synced_at.is_(None) & runs.c.vanished_at.is_(None)
"""Whether a run is incomplete: the provider knows it, and its steps were never read whole."""

is_unsettled = text("NOT runs.settled")
"""Whether a run may still change, in the words of the partial index: in others SQLite reads all
runs. It does so too where the query sorts by another indexed column."""

# Views have metadata of their own, so that nobody takes them for tables to be made.
_VIEWS = MetaData()


def _view_of(table: Table, name: str, *computed: Column[Any]) -> Table:
    copied = [Column(c.name, c.type) for c in table.columns]
    named: list[Column[Any]] = [Column("source", Text), Column("pipeline", Text)]
    return Table(name, _VIEWS, *named, *copied, *computed)


v_runs = _view_of(
    runs,
    "v_runs",
    Column("queued_s", Float),
    Column("duration_s", Float),
    Column("is_finished", Integer),
    Column("is_passed", Integer),
    Column("is_failed", Integer),
    Column("is_aborted", Integer),
    Column("is_skipped", Integer),
    Column("in_rate", Integer),
    Column("never_started", Integer),
    Column("is_error", Integer),
)
"""Every run with its pipeline's name and source. The flags are 0 or 1 and hold what counts as
what: ``in_rate`` is finished and passed or failed; ``never_started`` is aborted before a start;
``is_error`` is finished by a fault of the CI system's own."""

v_steps = _view_of(
    steps,
    "v_steps",
    Column("branch", Text),
    Column("commit_hash", Text),
    Column("author", Text),
    Column("run_created_at", UTCDateTime),
    Column("run_result", Text),
    Column("run_is_aborted", Integer),
    Column("queued_s", Float),
    Column("duration_s", Float),
    Column("is_finished", Integer),
    Column("is_passed", Integer),
    Column("is_failed", Integer),
    Column("in_rate", Integer),
    Column("ran", Integer),
    Column("event", Text),
    Column("number", Text),
    Column("web_url", Text),
    Column("run_outcome", Text),
    Column("is_error", Integer),
)
"""Every step with its pipeline's name and source and what its run is grouped by. ``queued_s`` is
its own wait, from creation to start; ``number`` and ``web_url`` are its run's. ``ran`` is 1 for a
finished step that has a duration and was not skipped."""

v_daily_pass_rates = Table(
    "v_daily_pass_rates",
    _VIEWS,
    Column("source", Text),
    Column("pipeline", Text),
    Column("pipeline_id", Integer),
    Column("day", Date),
    *(Column(n, Integer) for n in ("finished", "passed", "failed", "aborted", "skipped")),
    Column("unknown", Integer),
    Column("pass_rate", Float),
)

v_step_durations = Table(
    "v_step_durations",
    _VIEWS,
    Column("source", Text),
    Column("pipeline", Text),
    Column("pipeline_id", Integer),
    Column("job", Text),
    Column("step", Text),
    Column("count", Integer),
    *(Column(n, Float) for n in ("mean_s", "p50_s", "p90_s", "p95_s", "max_s", "total_s")),
)

v_daily_aborts = Table(
    "v_daily_aborts",
    _VIEWS,
    Column("source", Text),
    Column("pipeline", Text),
    Column("pipeline_id", Integer),
    Column("day", Date),
    *(Column(n, Integer) for n in ("finished", "aborted", "never_started")),
    Column("abort_rate", Float),
)

"""The tables, as SQLAlchemy models, and the views, as selectable tables.

The schema itself is made by the revisions in ``migrations/`` alone; a test holds the two
against each other. Times are UTC everywhere.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
    not_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


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


def _aware(when: datetime) -> datetime:
    if when.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be stored: {when!r}")
    return when


def _checked(when: datetime | None) -> datetime | None:
    return None if when is None else _aware(when)


def _to_text(when: datetime | None) -> str | None:
    if when is None:
        return None
    if when.tzinfo is not UTC:
        when = _aware(when).astimezone(UTC)
    return when.isoformat(timespec="microseconds")[:26] + "Z"


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _to_utc(when: datetime | None) -> datetime | None:
    return None if when is None else when.astimezone(UTC)


JsonObject = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Base(DeclarativeBase):
    """Names every constraint, so that a later revision can speak of it."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        str: Text,
        datetime: UTCDateTime,
        dict[str, Any]: JsonObject,
    }


class PipelineRow(Base):
    """A pipeline: what a source calls by one id."""

    __tablename__ = "pipelines"
    __table_args__ = (
        Index("uq_pipelines_source_external_id", "source", "external_id", unique=True),
    )

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    source: Mapped[str]
    external_id: Mapped[str]
    name: Mapped[str]
    url: Mapped[str | None]
    created_at: Mapped[datetime | None]
    extra: Mapped[dict[str, Any] | None]


class ListingRow(Base):
    """What a source wants to remember of a listing until the next sync (an ETag, say)."""

    __tablename__ = "listings"

    listing: Mapped[str] = mapped_column(primary_key=True)
    memory: Mapped[dict[str, Any]]


class ListingPipelineRow(Base):
    """Which pipelines' runs a listing holds: one, or all those of an application."""

    __tablename__ = "listing_pipelines"

    listing: Mapped[str] = mapped_column(primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)


class RunRow(Base):
    """One attempt of one run."""

    __tablename__ = "runs"

    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    branch: Mapped[str | None]
    commit_hash: Mapped[str | None]
    message: Mapped[str | None]
    author: Mapped[str | None]
    author_id: Mapped[str | None]
    status: Mapped[str]
    result: Mapped[str]
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
    extra: Mapped[dict[str, Any] | None]
    steps_synced_at: Mapped[datetime | None]
    settled: Mapped[bool] = mapped_column(Boolean, server_default=false())
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    vanished_at: Mapped[datetime | None]


# A report's window starts here; and the few runs that every sync reads again.
Index("ix_runs_created_at", RunRow.created_at)
Index(
    "ix_runs_unsettled",
    RunRow.pipeline_id,
    RunRow.id,
    sqlite_where=not_(RunRow.settled),
    postgresql_where=not_(RunRow.settled),
)


class StepRow(Base):
    """One step of a run. Its key begins with the pipeline, so step reports need no join."""

    __tablename__ = "steps"
    __table_args__ = (
        ForeignKeyConstraint(["pipeline_id", "run_id"], ["runs.pipeline_id", "runs.id"]),
        {"sqlite_with_rowid": False},
    )

    pipeline_id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    job: Mapped[str | None]
    name: Mapped[str]
    phase: Mapped[str | None]
    status: Mapped[str]
    result: Mapped[str]
    raw_status: Mapped[str | None]
    raw_result: Mapped[str | None]
    created_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    log_url: Mapped[str | None]
    artifacts_url: Mapped[str | None]
    extra: Mapped[dict[str, Any] | None]


class CoverageRow(Base):
    """A stretch of a listing's history that was walked without a gap, newest end first."""

    __tablename__ = "coverage"

    listing: Mapped[str] = mapped_column(primary_key=True)
    newest_created_at: Mapped[datetime] = mapped_column(primary_key=True)
    newest_run_id: Mapped[str] = mapped_column(primary_key=True)
    oldest_created_at: Mapped[datetime]
    oldest_run_id: Mapped[str]
    reaches_start: Mapped[bool] = mapped_column(Boolean)


class SyncRow(Base):
    """One sync of one listing. ``outcome`` is running, ok, partial, failed or interrupted."""

    __tablename__ = "syncs"
    __table_args__ = (Index("ix_syncs_listing_started_at", "listing", "started_at"),)

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


# Views have metadata of their own, so that nobody takes them for tables to be made.
_VIEWS = MetaData()


def _view_of(row: type[Base], name: str, *computed: Column[Any]) -> Table:
    copied = [Column(c.name, c.type) for c in row.__table__.columns]
    named: list[Column[Any]] = [Column("source", Text), Column("pipeline", Text)]
    return Table(name, _VIEWS, *named, *copied, *computed)


v_runs = _view_of(
    RunRow,
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
)
"""Every run with its pipeline's name and source. The flags are 0 or 1 and hold what counts as
what: ``in_rate`` is finished and passed or failed; ``never_started`` is aborted before a start."""

v_steps = _view_of(
    StepRow,
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
)
"""Every step with its pipeline's name and source and what its run is grouped by. ``queued_s`` is
its own wait, from creation to start. ``ran`` is 1 for a finished step that has a duration and was
not skipped."""

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

"""The tables as typed SQLAlchemy models, for those who query with the ORM.

Their columns stand in :mod:`runsync.storage.tables`; what only the ORM or a comparison of schemas
needs is here, so that a sync loads neither the ORM nor the PostgreSQL dialect.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Index, Table, and_, func, not_
from sqlalchemy.orm import registry

from runsync.storage import tables

REGISTRY = registry(metadata=tables.METADATA)
_Model = TypeVar("_Model", bound=type)


def _mapped_to(table: Table) -> Callable[[_Model], _Model]:
    def decorate(model: _Model) -> _Model:
        REGISTRY.map_imperatively(model, table)
        return model

    return decorate


class _Row:
    if TYPE_CHECKING:
        __table__: Table

        def __init__(self, **values: object) -> None: ...


@_mapped_to(tables.pipelines)
class PipelineRow(tables.PipelineColumns, _Row):
    """A pipeline: what a source calls by one id."""


@_mapped_to(tables.listings)
class ListingRow(tables.ListingColumns, _Row):
    """What a source keeps of a listing until the next sync."""


@_mapped_to(tables.listing_pipelines)
class ListingPipelineRow(tables.ListingPipelineColumns, _Row):
    """Which pipelines' runs a listing holds."""


@_mapped_to(tables.runs)
class RunRow(tables.RunColumns, _Row):
    """One attempt of one run."""


@_mapped_to(tables.steps)
class StepRow(tables.StepColumns, _Row):
    """One step of a run."""


@_mapped_to(tables.coverage)
class CoverageRow(tables.CoverageColumns, _Row):
    """An interval of a listing's history that was walked without a gap."""


@_mapped_to(tables.syncs)
class SyncRow(tables.SyncColumns, _Row):
    """One sync of one listing."""


@_mapped_to(tables.set_aside)
class SetAsideRow(tables.SetAsideColumns, _Row):
    """A run whose steps cannot be read, or that counts as gone."""


@_mapped_to(tables.months)
class MonthRow(tables.MonthColumns, _Row):
    """A month of a pipeline's runs, and whether it has changed."""


# The indexes: a pipeline's key, what a report's window begins at, the few runs that every sync
# reads again, the verdicts of each branch by when they came, and a listing's last syncs.
Index(
    "uq_pipelines_source_external_id",
    tables.pipelines.c.source,
    tables.pipelines.c.external_id,
    unique=True,
)
Index("ix_runs_created_at", tables.runs.c.created_at)
Index(
    "ix_runs_unsettled",
    tables.runs.c.pipeline_id,
    tables.runs.c.id,
    sqlite_where=not_(tables.runs.c.settled),
    postgresql_where=not_(tables.runs.c.settled),
)
_HAS_VERDICT = and_(
    tables.runs.c.status == "finished", tables.runs.c.result.in_(["passed", "failed"])
)
Index(
    "ix_runs_verdicts",
    tables.runs.c.pipeline_id,
    tables.runs.c.branch,
    tables.runs.c.result,
    func.coalesce(tables.runs.c.finished_at, tables.runs.c.created_at),
    sqlite_where=_HAS_VERDICT,
    postgresql_where=_HAS_VERDICT,
)
Index("ix_syncs_listing_started_at", tables.syncs.c.listing, tables.syncs.c.started_at)
Index(
    "ix_syncs_listing_outcome_started_at",
    tables.syncs.c.listing,
    tables.syncs.c.outcome,
    tables.syncs.c.started_at,
)

"""From a run's id to the source and the pipeline to ask for it; works without a database too."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runsync.cli.app_context import database_if_readable, open_sources
from runsync.cli.resolve import KnownPipeline, chosen_source, pipeline_named
from runsync.config import Config
from runsync.errors import ConfigError
from runsync.records import Pipeline, RunWithSteps

if TYPE_CHECKING:
    from runsync.sources.base import Source
# Every provider's ids are of this form; anything else could change the path that is asked for.
_RUN_ID = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z_:.-]{0,198}[0-9A-Za-z])?", re.ASCII)
_ATTEMPT = re.compile(r"\.[0-9]+$")


@dataclass(frozen=True, slots=True)
class Target:
    """A run to ask for. ``pipeline`` is None where it is not known, and need not be."""

    source: "Source"
    pipeline: Pipeline | None
    run_id: str

    @property
    def owner(self) -> Pipeline:
        """The pipeline for sources that need one in every case."""
        return self.pipeline or Pipeline("")

    def find(self) -> RunWithSteps:
        """The run as the service tells it now; an id without an attempt means the newest one."""
        return self.source.find_run(self.owner, self.run_id)


def check_run_id(text: str) -> None:
    """Raises ConfigError where no provider has such an id, before anything is sent."""
    if not _RUN_ID.fullmatch(text):
        raise ConfigError(f"{text!r} is not the id of a run; `runsync runs list` shows ids")


@contextmanager
def target(
    config: Config, run_id: str, source: str | None = None, pipeline: str | None = None
) -> Iterator[Target]:
    """The run that was named, with an open source.

    Raises:
        ConfigError: it is not clear whose run it is, and the source has to know.
    """
    check_run_id(run_id)
    known = pipeline_named(config, pipeline, source) if pipeline else None
    known = known or _holder_of(config, run_id, source)
    name = known.source if known else chosen_source(config, source)
    with open_sources(config, [name]) as sources:
        opened = sources[name]
        own = Pipeline(known.external_id, known.name) if known else _only_pipeline(config, opened)
        if own is None and not opened.run_ids_are_unique:
            raise ConfigError(
                f"run {run_id!r} is not stored, and {opened.title} needs to know its pipeline; "
                "name it with --pipeline"
            )
        yield Target(opened, own, run_id)


def _only_pipeline(config: Config, source: "Source") -> Pipeline | None:
    """The pipeline that is configured of this source, if it is only one."""
    mine = [p for p in config.pipelines if p.source == source.name]
    listings = [source.listing(p) for p in mine]
    pipelines = [pipeline for listing in listings for pipeline in listing.pipelines]
    return pipelines[0] if len(listings) == 1 and len(pipelines) == 1 else None


def _holder_of(config: Config, run_id: str, source: str | None) -> KnownPipeline | None:
    """The pipeline that a stored run belongs to."""
    from sqlalchemy import select

    from runsync.storage.models import PipelineRow, RunRow

    ids = {run_id, _ATTEMPT.sub("", run_id)}
    # From the few pipelines to the key of the runs; the other way round reads them all.
    query = (
        select(PipelineRow.source, PipelineRow.external_id, PipelineRow.name)
        .join(RunRow, (RunRow.pipeline_id == PipelineRow.id) & RunRow.id.in_(ids))
        .distinct()
        .order_by(PipelineRow.source, PipelineRow.external_id)
    )
    with database_if_readable(config) as database:
        if database is None:
            return None
        with database.read() as connection:
            rows = [KnownPipeline(*row) for row in connection.execute(query)]
    found = [one for one in rows if one.source in ({source} if source else config.sources)]
    if len(found) > 1:
        names = ", ".join(f"{known.name} ({known.external_id})" for known in found)
        raise ConfigError(f"run {run_id!r} is one of several: {names}; add --source or --pipeline")
    return found[0] if found else None

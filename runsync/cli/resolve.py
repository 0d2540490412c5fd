"""Whom to ask live: from what people type to a source, a pipeline and a run.

The config is asked first, then the database, which knows the pipelines that were discovered and
where each stored run belongs. The live commands work without a database too.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runsync.cli.app_context import open_database, open_sources, source_config
from runsync.cli.output import warn
from runsync.config import Config, PipelineConfig, nearest
from runsync.errors import ConfigError, DatabaseError
from runsync.records import Pipeline

if TYPE_CHECKING:
    from runsync.sources.base import Source


@dataclass(frozen=True, slots=True)
class KnownPipeline:
    """A pipeline, or what owns several, that the config or the database names."""

    source: str
    external_id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A run to be asked for. ``pipeline`` is None where nobody knows it, and need not."""

    source: "Source"
    pipeline: Pipeline | None
    run_id: str

    @property
    def owner(self) -> Pipeline:
        """The pipeline for sources that need one in every case."""
        return self.pipeline or Pipeline("")


@contextmanager
def target(
    config: Config, run_id: str, source: str | None = None, pipeline: str | None = None
) -> Iterator[Target]:
    """The run that was named, with an open source.

    Raises:
        ConfigError: it is not clear whose run it is, and the source has to know.
    """
    if not run_id.strip():
        raise ConfigError("the run's id is empty; `runsync runs list` shows ids")
    known = pipeline_named(config, pipeline, source) if pipeline else None
    known = known or _holder_of(config, run_id, source)
    name = known.source if known else chosen_source(config, source)
    with open_sources(config, [name]) as sources:
        opened = sources[name]
        own = Pipeline(known.external_id, known.name) if known else _only_one(config, opened)
        if own is None and not opened.run_ids_are_unique:
            raise ConfigError(
                f"run {run_id!r} is not stored, and {opened.title} has to be told whose it is; "
                "name its pipeline with --pipeline"
            )
        yield Target(opened, own, run_id)


def chosen_source(config: Config, name: str | None) -> str:
    """The source that was named, or the only one.

    Raises:
        ConfigError: there is none of that name, or several to choose from.
    """
    if name is not None:
        return source_config(config, name).name
    if len(config.sources) == 1:
        return next(iter(config.sources))
    if not config.sources:
        raise ConfigError(f"{config.path or 'the config'} has no [sources.NAME]; add one")
    raise ConfigError(f"name one of the sources with --source: {', '.join(config.sources)}")


def pipeline_named(config: Config, text: str, source: str | None = None) -> KnownPipeline:
    """The pipeline of that name or id, or the only one that begins so.

    Where nobody knows it, the text is taken for an id, if it has the form of one.

    Raises:
        ConfigError: it fits several, or none and is no id.
    """
    return _resolved(config, text, source, ("id",))


def application_named(config: Config, text: str, source: str | None = None) -> KnownPipeline:
    """The application, or repository, of that name or id, as :func:`pipeline_named` finds it."""
    return _resolved(config, text, source, ("application_id", "repository"))


def stored_pipelines(config: Config) -> list[KnownPipeline]:
    """The pipelines in the database; none where there is no database."""
    from sqlalchemy import select

    from runsync.storage.tables import pipelines

    query = select(pipelines.c.source, pipelines.c.external_id, pipelines.c.name)
    return [KnownPipeline(*row) for row in _rows(config, query.order_by(pipelines.c.id))]


def _resolved(config: Config, text: str, source: str | None, kinds: Sequence[str]) -> KnownPipeline:
    known = [_known(pipeline) for pipeline in config.pipelines if pipeline.key[0] in kinds]
    found = _fitting(known, text, source)
    if not found and "id" in kinds:
        stored = stored_pipelines(config)
        found = _fitting(stored, text, source)
        known += [one for one in stored if one not in known]
    if len(found) > 1:
        names = ", ".join(f"{one.name or '?'} ({one.external_id})" for one in found[:5])
        raise ConfigError(f"{text!r} fits several: {names}; write more of the id")
    return found[0] if found else _taken_for_an_id(config, text, source, known, kinds)


def _fitting(known: Iterable[KnownPipeline], text: str, source: str | None) -> list[KnownPipeline]:
    mine = [one for one in known if source in (None, one.source)]
    for fits in (_is_called, _begins):
        if found := [one for one in mine if fits(one, text)]:
            return list({(one.source, one.external_id): one for one in found}.values())
    return []


def _is_called(known: KnownPipeline, text: str) -> bool:
    return text in (known.external_id, known.name)


def _begins(known: KnownPipeline, text: str) -> bool:
    return known.external_id.startswith(text) or (known.name or "").startswith(text)


def _taken_for_an_id(
    config: Config,
    text: str,
    source: str | None,
    known: Sequence[KnownPipeline],
    kinds: Sequence[str],
) -> KnownPipeline:
    name = chosen_source(config, source)
    if any(_is_id(config, name, text, kind) for kind in kinds):
        return KnownPipeline(name, text)
    words = [word for one in known for word in (one.name, one.external_id) if word]
    what = "pipeline" if "id" in kinds else "application"
    near = f"; {nearest(text, words)}" if words else ""
    raise ConfigError(f"there is no {what} {text!r} in source {name!r}, and it is no id{near}")


def _is_id(config: Config, source: str, text: str, kind: str) -> bool:
    """Whether the source would take it for an id; it knows best, and need not be asked over the
    network, nor with a token."""
    try:
        with tokenless(config, source) as opened:
            opened.listing(PipelineConfig(source, **{kind: text}))
    except ConfigError:
        return False
    return True


@contextmanager
def tokenless(config: Config, name: str) -> Iterator["Source"]:
    """A source that is to be asked nothing over the network, and needs no token for that."""
    from dataclasses import replace

    from runsync.sources import open_source

    settings = source_config(config, name)
    bare = replace(settings, token_env=None, token_file=None, token_command=())
    with closing(open_source(bare)) as source:
        yield source


def _known(pipeline: PipelineConfig) -> KnownPipeline:
    return KnownPipeline(pipeline.source, pipeline.key[1], pipeline.name)


def _only_one(config: Config, source: "Source") -> Pipeline | None:
    """The only pipeline that is configured of this source, if so it is."""
    mine = [p for p in config.pipelines if p.source == source.name]
    listings = [source.listing(p) for p in mine]
    pipelines = [pipeline for listing in listings for pipeline in listing.pipelines]
    return pipelines[0] if len(listings) == 1 and len(pipelines) == 1 else None


def _holder_of(config: Config, run_id: str, source: str | None) -> KnownPipeline | None:
    """The pipeline that a stored run belongs to."""
    from sqlalchemy import select

    from runsync.storage.tables import pipelines, runs

    # From the few pipelines to the key of the runs; the other way round reads them all.
    query = (
        select(pipelines.c.source, pipelines.c.external_id, pipelines.c.name)
        .join(
            runs,
            (runs.c.pipeline_id == pipelines.c.id) & (runs.c.id == run_id),
        )
        .order_by(pipelines.c.id)
    )
    found = [
        known
        for row in _rows(config, query)
        if (known := KnownPipeline(*row)).source in ({source} if source else config.sources)
    ]
    if len(found) > 1:
        names = ", ".join(f"{known.name} ({known.source})" for known in found)
        raise ConfigError(f"run {run_id!r} is one of several: {names}; add --source or --pipeline")
    return found[0] if found else None


def _rows(config: Config, query: Any) -> list[Any]:
    from runsync.cli.app_context import existing

    try:
        existing(config.database_url)
    except DatabaseError:
        return []
    try:
        with closing(open_database(config)) as database, database.read() as connection:
            return list(connection.execute(query))
    except DatabaseError as error:
        warn(f"going on without the database: {error}")
        return []

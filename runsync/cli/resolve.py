"""From what people type to pipelines, sources and listings.

A pipeline goes by its label, its name, its id, or a unique beginning of any of these. The config
knows the configured ones; the database knows those that syncs have discovered. A listing goes by
its label, or by its pipelines; its key is for programs alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runsync.cli.app_context import database_if_readable, source_config
from runsync.config import Config, PipelineConfig, nearest
from runsync.errors import ConfigError

if TYPE_CHECKING:
    from runsync.sources.base import Listing, Source
    from runsync.storage.database import Database
    from runsync.sync.engine import Task

_MOST_WORDS = 20
_NAMES_SHOWN = 2
_APPLICATION_KEYS = ("application_id", "repository")
_KINDS = {"application": "application", "repository": "repository"}


@dataclass(frozen=True, slots=True)
class KnownPipeline:
    """A pipeline, or what owns several, that the config or the database names.

    ``label`` tells a stored pipeline from others of its name.
    ``configured`` is the ``[[pipelines]]`` that brings it, where there is one.
    """

    source: str
    external_id: str
    name: str | None = None
    configured: PipelineConfig | None = field(default=None, compare=False, repr=False)
    label: str | None = field(default=None, compare=False)


def chosen_pipelines(
    config: Config, names: Sequence[str], database: "Database | None" = None
) -> list[PipelineConfig]:
    """The ``[[pipelines]]`` that these names mean; all of them where nothing is named.

    A discovered pipeline means the ``[[pipelines]]`` that brought it.

    Raises:
        ConfigError: none is configured, or a name fits none or several.
    """
    if not config.pipelines:
        where = config.path or "the config"
        raise ConfigError(f"{where} names no [[pipelines]]; add those whose history matters")
    if not names:
        return list(config.pipelines)
    known = configured_pipelines(config)
    known += stored_pipelines(config, database) if database else []
    known = [one for one in known if one.configured]
    chosen = [only_one(known, name).configured for name in names]
    return [one for one in dict.fromkeys(chosen) if one]


def tasks(
    sources: Mapping[str, "Source"],
    pipelines: Sequence[PipelineConfig],
    database: "Database | None" = None,
) -> list["Task"]:
    """What is to be synced or verified, each called by what the database knows of it.

    Raises:
        ConfigError: an id is not of its provider's form.
    """
    from runsync.sync.engine import Task

    found = [(sources[p.source], sources[p.source].listing(p)) for p in pipelines]
    names = listing_names([listing for _, listing in found], database)
    return [Task(source, listing, names[listing.key]) for source, listing in found]


def pipeline_named(config: Config, text: str, source: str | None = None) -> KnownPipeline:
    """The pipeline of that name or id, or the only one that begins so.

    Where it is not known, the text is taken for an id, if it has the form of one.

    Raises:
        ConfigError: it fits several, or none and is not an id.
    """
    known = [one for one in configured_pipelines(config) if _is_of(one, ("id",))]
    with database_if_readable(config) as database:
        known += stored_pipelines(config, database) if database else []
    return _named(config, text, source, known, ("id",))


def application_named(config: Config, text: str, source: str | None = None) -> KnownPipeline:
    """The application, or repository, of that name or id, as :func:`pipeline_named` finds it."""
    return _named(config, text, source, configured_applications(config), _APPLICATION_KEYS)


def configured_pipelines(config: Config) -> list[KnownPipeline]:
    """What the ``[[pipelines]]`` name."""
    return [KnownPipeline(p.source, p.key[1], p.name, p) for p in config.pipelines]


def configured_applications(config: Config) -> list[KnownPipeline]:
    """The applications and repositories that the ``[[pipelines]]`` name."""
    return [one for one in configured_pipelines(config) if _is_of(one, _APPLICATION_KEYS)]


def stored_pipelines(config: Config, database: "Database") -> list[KnownPipeline]:
    """The pipelines in the database, each once for every listing that holds it."""
    from sqlalchemy import select

    from runsync.storage.default_branches import reads_over
    from runsync.storage.models import ListingPipelineRow, PipelineRow
    from runsync.storage.pipelines import labels_by_id

    query = (
        select(
            PipelineRow.id,
            PipelineRow.source,
            PipelineRow.external_id,
            PipelineRow.name,
            ListingPipelineRow.listing,
        )
        .outerjoin(ListingPipelineRow, ListingPipelineRow.pipeline_id == PipelineRow.id)
        .order_by(PipelineRow.id, ListingPipelineRow.listing.desc())
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
        labels = labels_by_id(reads_over(connection))
    return [
        KnownPipeline(source, external_id, name, _holding(config, listing or ""), labels[number])
        for number, source, external_id, name, listing in rows
    ]


def stored_applications(config: Config, database: "Database") -> list[KnownPipeline]:
    """The applications, repositories and the like whose pipelines are in the database."""
    from sqlalchemy import select

    from runsync.storage.stored_runs import APPLICATION_KINDS
    from runsync.storage.tables import listing_pipelines

    with database.read() as connection:
        listings = connection.scalars(select(listing_pipelines.c.listing).distinct()).all()
    parts = [(listing, *listing.split("/", 2)) for listing in listings]
    found = [(source, name, _holding(config, key)) for key, source, kind, name in parts
             if kind in APPLICATION_KINDS]  # fmt: skip
    return [KnownPipeline(source, id, own.name if own else None, own) for source, id, own in found]


def known_source(config: Config, name: str, stored: Iterable[KnownPipeline]) -> str:
    """The source of that name, which the config or the database knows.

    Raises:
        ConfigError: neither does.
    """
    known = {*config.sources, *(one.source for one in stored)}
    if name not in known:
        raise ConfigError(f"there is no source {name!r}; {offered(name, known)}")
    return name


def only_one(
    known: Iterable[KnownPipeline], text: str, source: str | None = None, what: str = "pipeline"
) -> KnownPipeline:
    """The pipeline of that name or id, or the only one that begins so.

    Raises:
        ConfigError: there is none, or there are several.
    """
    mine = [one for one in known if source in (None, one.source)]
    if found := _fitting(mine, text):
        return found
    raise ConfigError(f"there is no {what} {text!r}; {offered(text, _words(mine))}")


def offered(text: str, words: Iterable[str]) -> str:
    """A clause that offers the nearest known word, and lists those that are known."""
    known = sorted(set(words))
    listed = ", ".join(known[:_MOST_WORDS]) + (", …" if len(known) > _MOST_WORDS else "")
    near = nearest(text, known)
    return near if near.startswith("known") else f"{near} Known are: {listed}"


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


@contextmanager
def tokenless(config: Config, name: str) -> Iterator["Source"]:
    """A source that is asked nothing over the network, and needs no token for that."""
    from runsync.sources import open_source

    settings = source_config(config, name)
    bare = replace(settings, token_env=None, token_file=None, token_command=())
    with closing(open_source(bare)) as source:
        yield source


def _named(
    config: Config,
    text: str,
    source: str | None,
    known: Sequence[KnownPipeline],
    kinds: Sequence[str],
) -> KnownPipeline:
    mine = [one for one in known if source in (None, one.source)]
    if found := _fitting(mine, text):
        return found
    name = chosen_source(config, source)
    if any(_is_id(config, name, text, kind) for kind in kinds):
        return KnownPipeline(name, text)
    what = "pipeline" if "id" in kinds else "application"
    words = _words(mine)
    near = f"; {offered(text, words)}" if words else ""
    raise ConfigError(f"there is no {what} {text!r}, and it is not an id of source {name!r}{near}")


def _fitting(known: Iterable[KnownPipeline], text: str) -> KnownPipeline | None:
    """The one that is called so, else the one that begins so; the first of equal ones."""
    if not text:
        return None  # everything begins so
    for fits in (_is_called, _begins):
        found: dict[tuple[str, str], KnownPipeline] = {}
        for one in known:
            if fits(one, text):
                found.setdefault((one.source, one.external_id), one)
        if len(found) > 1:
            names = ", ".join(f"{o.name or '?'} ({o.external_id})" for o in [*found.values()][:5])
            raise ConfigError(f"{text!r} fits several pipelines: {names}; write more of the id")
        if found:
            return next(iter(found.values()))
    return None


def _is_called(known: KnownPipeline, text: str) -> bool:
    return text in (known.external_id, known.name, known.label)


def _begins(known: KnownPipeline, text: str) -> bool:
    names = (known.external_id, known.name or "", known.label or "")
    return any(name.startswith(text) for name in names)


def _words(known: Iterable[KnownPipeline]) -> list[str]:
    return [one.label or one.name or one.external_id for one in known]


def _is_of(known: KnownPipeline, kinds: Sequence[str]) -> bool:
    return known.configured is not None and known.configured.key[0] in kinds


def _holding(config: Config, listing: str) -> PipelineConfig | None:
    """The ``[[pipelines]]`` whose listing has that key."""
    for one in config.pipelines:
        # What follows the source is the kind of the listing; an id may hold slashes too.
        rest = listing.removeprefix(f"{one.source}/")
        if rest != listing and rest.partition("/")[2] == one.key[1]:
            return one
    return None


def _is_id(config: Config, source: str, text: str, kind: str) -> bool:
    """Whether the source takes it for an id; that needs neither the network nor a token."""
    try:
        with tokenless(config, source) as opened:
            opened.listing(PipelineConfig(source, **{kind: text}))
    except ConfigError:
        return False
    return True


# What a listing is called.


def listing_names(
    listings: Iterable["Listing"], database: "Database | None" = None
) -> dict[str, str]:
    """The names of listings by their keys; no two have the same one.

    Args:
        database: knows the pipelines that syncs have found in a listing; None where there is none.
    """
    wanted = {one.key: one for one in listings}
    found = _pipelines_by_listing(database) if database is not None else {}
    names = {key: _listing_name(one, found.get(key, ())) for key, one in wanted.items()}
    times = Counter(names.values())
    return {
        key: name if times[name] == 1 else f"{name} ({_listing_id(key)})"
        for key, name in names.items()
    }


def _listing_name(listing: "Listing", pipelines: Sequence[str]) -> str:
    if listing.label:
        return listing.label
    names = list(pipelines) or [p.name for p in listing.pipelines if p.name]
    if not names:
        kind = _KINDS.get(listing.key.split("/")[1])
        return f"{kind} {_listing_id(listing.key)}" if kind else _listing_id(listing.key)
    shown = names if len(names) <= _NAMES_SHOWN else names[: _NAMES_SHOWN - 1]
    more = len(names) - len(shown)
    return " and ".join([*shown, *([f"{more} more"] if more else [])])


def _listing_id(key: str) -> str:
    """``owner/repo/ci.yml`` of ``github/workflow/owner/repo/ci.yml``."""
    return key.split("/", 2)[-1]


def _pipelines_by_listing(database: "Database") -> Mapping[str, Sequence[str]]:
    """The names of the pipelines of each listing, sorted."""
    from sqlalchemy import select

    from runsync.storage.tables import listing_pipelines as listed
    from runsync.storage.tables import pipelines

    query = (
        select(listed.c.listing, pipelines.c.name)
        .join(pipelines, pipelines.c.id == listed.c.pipeline_id)
        .where(pipelines.c.name.is_not(None))
        .order_by(listed.c.listing, pipelines.c.name)
    )
    names: dict[str, list[str]] = defaultdict(list)
    with database.read() as connection:
        for listing, name in connection.execute(query):
            names[listing].append(name)
    return names

"""From what the config names, and what was typed, to the listings that a command is about."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runsync.config import Config, PipelineConfig, nearest
from runsync.errors import ConfigError

if TYPE_CHECKING:
    from runsync.sources.base import Source
    from runsync.storage.database import Database
    from runsync.sync.engine import Task


def chosen_pipelines(
    config: Config, names: Sequence[str], database: "Database | None" = None
) -> list[PipelineConfig]:
    """The ``[[pipelines]]`` that these names mean; all of them where nothing is named.

    A name is the user's own, an id, or a prefix of an id. Where a database is given, the name or
    id of a discovered pipeline means the listing that it came with.

    Raises:
        ConfigError: none is configured, or a name fits none or several.
    """
    if not config.pipelines:
        where = config.path or "the config"
        raise ConfigError(f"{where} names no [[pipelines]]; add those whose history matters")
    if not names:
        return list(config.pipelines)
    chosen = [_one(config, name, database) for name in names]
    return list(dict.fromkeys(chosen))


def tasks(sources: Mapping[str, "Source"], pipelines: Sequence[PipelineConfig]) -> list["Task"]:
    """What is to be synced or verified.

    Raises:
        ConfigError: an id is not of its provider's form.
    """
    from runsync.sync.engine import Task

    return [Task(sources[p.source], sources[p.source].listing(p)) for p in pipelines]


def _one(config: Config, name: str, database: "Database | None") -> PipelineConfig:
    exact = [p for p in config.pipelines if name in (p.name, p.key[1])]
    found = exact or [p for p in config.pipelines if p.key[1].startswith(name)]
    if not found and database is not None:
        found = _of_discovered(config, name, database)
    if len(found) == 1:
        return found[0]
    known = [p.name or p.key[1] for p in found or config.pipelines]
    if found:
        raise ConfigError(f"{name!r} fits several pipelines: {', '.join(known)}; write more of it")
    raise ConfigError(f"no pipeline {name!r} is configured; {nearest(name, known)}")


def _of_discovered(config: Config, name: str, database: "Database") -> list[PipelineConfig]:
    """The listings that discovered pipelines of that name came with."""
    from runsync.sync.status import status

    rows = status(database)
    listings = {row["listing"] for row in rows if name in (row["pipeline"], row["external_id"])}
    return [p for p in config.pipelines if any(key.endswith(f"/{p.key[1]}") for key in listings)]

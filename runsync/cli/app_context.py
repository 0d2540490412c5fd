"""What a command needs before it can begin: the config, the database, the sources."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runsync import config as settings
from runsync.cli.output import warn
from runsync.config import Config, nearest
from runsync.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from runsync.sources.base import Source
    from runsync.storage.database import Database


def load_config(path: Path | None = None, *, needed: bool = True) -> Config:
    """The settings; see :func:`runsync.config.load`.

    Args:
        needed: whether a config file is needed even where ``RUNSYNC_DATABASE_URL`` is set.

    Raises:
        ConfigError: there is no config, or something in it is not understood.
    """
    return settings.load(path, needed=needed or not os.environ.get("RUNSYNC_DATABASE_URL"))


def open_database(
    config: Config | Path | None = None, *, make: bool = False, upgrade: bool = False
) -> "Database":
    """The database of a config, or of the config file at that path, with its schema checked.

    ``RUNSYNC_DATABASE_URL`` needs no config file.

    Args:
        make: whether a database that is not there yet is made, with its schema.
        upgrade: whether an older schema is upgraded.

    Raises:
        ConfigError: there is no config.
        DatabaseError: there is no such database, or its schema is not this version's.
    """
    from runsync.storage import schema
    from runsync.storage.database import Database

    url = database_url(config)
    database = Database(lasting(url) if make else existing(url))
    try:
        if make or upgrade:
            schema.ready(database, upgrade_old=upgrade)
        else:
            schema.check(database)
    except BaseException:
        database.close()
        raise
    return database


def database_url(config: Config | Path | None = None) -> str:
    """Where the database is; ``RUNSYNC_DATABASE_URL`` needs no config file.

    Raises:
        ConfigError: there is no config.
    """
    config = config if isinstance(config, Config) else load_config(config, needed=False)
    return config.database_url


def archive_place(config: Config, given: str | None = None) -> str:
    """The archive's folder or URL: the one that was typed, or that of ``[archive]``.

    Raises:
        ConfigError: there is none.
    """
    if given is not None:
        return given
    if config.archive is None:
        where = config.path or "the config"
        raise ConfigError(f"name the archive's folder, or write [archive] path into {where}")
    return config.archive


@contextmanager
def database_if_readable(config: Config) -> Iterator["Database | None"]:
    """The database, or None with a warning where it cannot be read, or is not there yet."""
    try:
        existing(config.database_url)
    except DatabaseError:
        yield None
        return
    with ExitStack() as stack:
        database = None
        try:
            database = stack.enter_context(closing(open_database(config)))
        except DatabaseError as error:
            warn(f"going on without the database: {error}")
        yield database


@contextmanager
def open_sources(
    config: Config, names: Iterable[str] | None = None
) -> Iterator[Mapping[str, "Source"]]:
    """The configured sources by name, ready to be asked; closed at the end of the block.

    Raises:
        ConfigError: one of ``names`` is not configured, or its token is not where it should be.
    """
    from runsync.sources import open_source

    with ExitStack() as stack:
        opened = {}
        for name in config.sources if names is None else dict.fromkeys(names):
            source = open_source(source_config(config, name), concurrency=config.concurrency)
            stack.callback(source.close)
            opened[name] = source
        yield opened


def source_config(config: Config, name: str) -> settings.SourceConfig:
    """The ``[sources.NAME]`` of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in config.sources:
        known = nearest(name, config.sources) if config.sources else "none is configured"
        raise ConfigError(f"source {name!r} is not configured; {known}")
    return config.sources[name]


def existing(url: str) -> str:
    """The same URL, once it is sure that its database is there: reading makes none.

    Raises:
        DatabaseError: it names a SQLite file that is not there, or none.
    """
    file = _sqlite_file(url)
    if file is not None and not file.exists():
        raise DatabaseError(f"there is no database {file} yet; `runsync sync` makes it")
    return url


def lasting(url: str) -> str:
    """The same URL, once it is sure that its database outlives the command.

    Raises:
        DatabaseError: it is one in memory.
    """
    _sqlite_file(url)
    return url


def _sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None where the URL is another one, or none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None  # Database says it better
    name = parsed.database or ""
    if parsed.get_backend_name() != "sqlite" or name.startswith("file:"):
        return None
    if name in ("", ":memory:"):
        raise DatabaseError(
            f"the database {url} is in memory and would be gone at the end of the command; name a "
            "file, such as sqlite:///runsync.db"
        )
    return Path(name)

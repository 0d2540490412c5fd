"""``runsync init``: writes a config to fill in, and creates its database."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from runsync import config as settings
from runsync.cli.app_context import lasting
from runsync.cli.completion import offer_sources
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, chosen
from runsync.cli.output import Format, note
from runsync.errors import ConfigError
from runsync.providers import provider_types
from runsync.toml_table import quoted

TEMPLATE = """\
# What runsync keeps, and where. `runsync doctor` says whether all of it works.

# Any SQLAlchemy URL of SQLite or PostgreSQL; a relative file is relative to this one.
# The environment variable RUNSYNC_DATABASE_URL wins over it.
database_url = {database_url}

[sync]
concurrency = 8                # requests in flight per source
# since = "2024-01-01"         # how far back history is wanted; absent: all of it

[sources.wercker]              # a name of your choosing
type = "wercker"               # {types}; default: the name itself
base_url = "https://app.wercker.com"
token_env = "WERCKER_TOKEN"    # or token_file, or token_command = ["pass", "show", "ci"]

# The pipelines whose history is to be kept: take out the # of one of these, and put in your id.

# [[pipelines]]
# source = "wercker"
# id = "5751377e7e1bd5f17f050bc4"
# name = "initial-build"       # optional label

# [[pipelines]]
# source = "wercker"
# application_id = "5751377e7e1bd5f17f050bc0"   # every pipeline of an application, new ones too
"""


def init(
    config: ConfigOption = None,
    path: Annotated[
        Path | None, typer.Option("--path", metavar="FILE", help="The same as --config.")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", metavar="URL", help="SQLite or PostgreSQL, as a URL."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--discover",
            metavar="SOURCE",
            autocompletion=offer_sources,
            help="List what the token of this [sources.NAME] can see, and add what is chosen.",
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add",
            metavar="PATTERN",
            help="With --discover: add what is called so, such as 'acme/*'; several are possible.",
        ),
    ] = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a commented runsync.toml, never over an existing one, and create the database.

    With --discover, write the chosen ones of the pipelines that a token can see into the config
    that is there.

    Example: runsync init --discover github --add 'acme/*'
    """
    style = chosen(format, as_json)
    if source is not None:
        _discover(_named(config, path), source, add or [], style, database_url)
        return
    if add or style:
        raise ConfigError("--add, --format and --json belong to --discover SOURCE; name one")
    target = _target(_named(config, path))
    text = TEMPLATE.format(
        database_url=quoted(database_url or settings.DEFAULT_DATABASE),
        types=" | ".join(provider_types()),
    )
    made = _make_database(settings.parse(text, target).database_url)
    write_new(target, text)
    note(f"the database is {made}")
    note(f"wrote {target}; add your [[pipelines]] to it, and set the token that it names")
    note("next: runsync doctor, then runsync sync")


def write_new(path: Path, text: str) -> None:
    """Writes a new file that only its owner may read (0600).

    Raises:
        ConfigError: there is such a file, or it cannot be written.
    """
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise _is_there(path) from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _discover(
    config: Path | None,
    source: str,
    patterns: list[str],
    style: Format | None,
    database_url: str | None,
) -> None:
    from runsync.cli.discover import discover

    if database_url is not None:
        raise ConfigError("--discover changes no database; leave --database-url away")
    discover(config, source, patterns, style)


def _named(config: Path | None, path: Path | None) -> Path | None:
    if config is not None and path is not None and config != path:
        raise ConfigError("--config and --path name two files; keep one")
    return path or config


def _target(given: Path | None) -> Path:
    named = os.environ.get("RUNSYNC_CONFIG")
    target = given or (Path(named) if named else Path(settings.FILE_NAME))
    if target.exists() or target.is_symlink():
        raise _is_there(target)
    if not target.parent.is_dir():
        raise ConfigError(f"the folder {target.parent} does not exist; make it first")
    return target


def _is_there(path: Path) -> ConfigError:
    return ConfigError(f"{path} is there already and stays as it is; name another with --config")


def _make_database(url: str) -> str:
    from runsync.storage import schema
    from runsync.storage.database import Database

    with closing(Database(lasting(url))) as database:
        schema.ready(database)
        return database.name

"""``runsync doctor``: what is wrong and how to mend it, one line each."""

import stat
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runsync.cli.app_context import existing, load_config
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, OutputOption, chosen
from runsync.cli.output import emit
from runsync.cli.table import duration
from runsync.config import Config, SourceConfig
from runsync.errors import (
    ConfigError,
    DatabaseError,
    RefusedError,
    RunsyncError,
    SourceError,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from runsync.sources.base import Access, Listing, Page, Source
    from runsync.storage.database import Database

COLUMNS = ("check", "status", "detail", "mend")
_SKEW = timedelta(seconds=30)
_OLDEST_POSTGRES = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``status`` is ok, warn (works, but look) or fail; ``code`` is fail's exit code."""

    check: str
    status: str
    detail: str
    mend: str | None = None
    code: int = 0


def doctor(
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Check config, tokens, services, clock, database and schema, and say how to mend what fails.

    Ends with 0 if nothing fails, else with the exit code that `sync` would end with.

    Example: runsync doctor
    """
    style = chosen(format, as_json)
    findings = list(_examine(config))
    rows = [asdict(finding) for finding in findings]
    emit(rows, columns=COLUMNS, format=style, output=output, prose=("detail", "mend"))
    codes = [finding.code for finding in findings if finding.status == "fail"]
    if codes:
        raise typer.Exit(codes[0])


def _examine(path: Path | None) -> Iterator[Finding]:
    try:
        config = load_config(path)
    except ConfigError as error:
        yield _failed("config", error, "correct the config; `runsync init` writes a new one")
        return
    yield from _config(config)
    for source in config.sources.values():
        yield from _source(config, source)
    yield from _database(config)


def _failed(check: str, error: RunsyncError, mend: str) -> Finding:
    """The whole sentence, as every other command would end with it."""
    return Finding(check, "fail", str(error), mend, error.exit_code)


def _config(config: Config) -> Iterator[Finding]:
    sources = "1 source" if len(config.sources) == 1 else f"{len(config.sources)} sources"
    what = f"{config.path}: {sources}, {len(config.pipelines)} [[pipelines]]"
    if not config.pipelines:
        yield Finding("config", "warn", what, "add the [[pipelines]] whose history matters")
    else:
        yield Finding("config", "ok", what)
    if config.path and _tells_a_password(config):
        mend = f"chmod 600 {config.path}, or use RUNSYNC_DATABASE_URL"
        yield Finding("config", "warn", "it holds a password, and others may read it", mend)


def _tells_a_password(config: Config) -> bool:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if config.path is None or not config.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return False
    try:
        password = make_url(config.database_url).password
    except (ArgumentError, ValueError):
        return False
    return password is not None and str(password) in config.path.read_text(encoding="utf-8")


# A source.


def _source(config: Config, settings: SourceConfig) -> Iterator[Finding]:
    from runsync.http.client import Limits
    from runsync.sources import open_source

    name = settings.name
    try:
        source = open_source(settings, limits=Limits(connect=5, read=10, whole=15, tries=2))
    except ConfigError as error:
        yield _failed(f"{name}: token", error, _set_token(settings))
        return
    with closing(source):
        try:
            access = source.access()
        except RunsyncError as error:
            yield from _unanswered(settings, error)
            return
        yield Finding(f"{name}: reachable", "ok", settings.base_url)
        yield _token(settings, access)
        clock = yield from _listings(config, source)
        yield _clock(name, clock or access.clock)
        yield _rate_limit(name, access)


def _unanswered(settings: SourceConfig, error: RunsyncError) -> Iterator[Finding]:
    name = settings.name
    if isinstance(error, TokenRefusedError):
        yield Finding(f"{name}: reachable", "ok", settings.base_url)
        mend = f"create a token at {settings.base_url} and {_set_token(settings, 'it')}"
        yield _failed(f"{name}: token", error, mend)
    elif isinstance(error, SourceError) and not isinstance(error, RefusedError):
        mend = "check base_url, the network, and the proxy that the environment names"
        yield _failed(f"{name}: reachable", error, mend)
    else:
        yield _failed(f"{name}: token", error, _set_token(settings))


def _token(settings: SourceConfig, access: "Access") -> Finding:
    check, place = f"{settings.name}: token", _token_place(settings)
    if access.missing_scopes:
        what = f"accepted, but it lacks {', '.join(access.missing_scopes)}"
        mend = f"give it these scopes, or put another into {place}"
        return Finding(check, "fail", what, mend, TokenRefusedError.exit_code)
    if place == "no token":
        return Finding(check, "ok", "none is configured, and the service answers without")
    whose = f" as {access.account}" if access.account else ""
    scopes = f", scopes {', '.join(access.scopes) or 'none'}" if access.scopes is not None else ""
    return Finding(check, "ok", f"accepted{whose}, from {place}{scopes}")


def _set_token(settings: SourceConfig, what: str = "a token") -> str:
    if settings.token_env or settings.token_file or settings.token_command:
        return f"put {what} into {_token_place(settings)}"
    return f"name {what} in [sources.{settings.name}]: token_env, token_file or token_command"


def _token_place(settings: SourceConfig) -> str:
    if settings.token_env:
        return f"${settings.token_env}"
    if settings.token_file:
        return str(settings.token_file)
    return f"`{settings.token_command[0]}`" if settings.token_command else "no token"


def _clock(name: str, theirs: datetime) -> Finding:
    skew = datetime.now(UTC) - theirs
    if abs(skew) <= _SKEW:
        return Finding(f"{name}: clock", "ok", "this machine's and the service's agree")
    side = "ahead of" if skew > timedelta(0) else "behind"
    detail = f"this machine is {duration(abs(skew))} {side} the service"
    return Finding(f"{name}: clock", "warn", detail, "let NTP set this machine's clock")


def _rate_limit(name: str, access: "Access") -> Finding:
    check = f"{name}: rate limit"
    if access.limit_left is None:
        return Finding(check, "ok", "the service states none")
    of = f" of {access.limit}" if access.limit is not None else ""
    detail = f"{access.limit_left} requests left{of}"
    if access.limit_left < (access.limit or 100) // 10:
        return Finding(check, "warn", detail, "sync less often, or lower `concurrency`")
    return Finding(check, "ok", detail)


def _listings(config: Config, source: "Source") -> Generator[Finding, None, datetime | None]:
    """Reads one page of each [[pipelines]]; returns the service's clock, where it was seen."""
    check, clock, count = f"{source.name}: pipelines", None, 0
    for pipeline in config.pipelines:
        if pipeline.source != source.name:
            continue
        try:
            with closing(_pages(source, source.listing(pipeline))) as pages:
                clock = next(pages).as_of
        except RunsyncError as error:
            yield _failed(check, error, "correct its id in the config")
        except StopIteration:
            count += 1
        else:
            count += 1
    if count:
        yield Finding(check, "ok", f"{count} of the [[pipelines]] can be read")
    return clock


def _pages(source: "Source", listing: "Listing") -> Generator["Page", None, None]:
    yield from source.pages(listing, None, {})


# The database.


def _database(config: Config) -> Iterator[Finding]:
    from runsync.storage.database import Database

    try:
        existing(config.database_url)
    except DatabaseError:
        yield Finding("database", "warn", "it is not there yet", "`runsync sync` makes it")
        return
    try:
        with closing(Database(config.database_url)) as database:
            yield _reached(database)
            yield _schema(database)
    except RunsyncError as error:
        yield _failed("database", error, "correct database_url, or start its server")


def _reached(database: "Database") -> Finding:
    from sqlalchemy import text

    with database.read() as connection:
        if database.path is not None:
            connection.execute(text("SELECT 1 FROM sqlite_master LIMIT 1"))
            return _file(database.name, database.path)
        major = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10000
    if major < _OLDEST_POSTGRES:
        what = f"{database.name} is PostgreSQL {major}"
        mend = f"runsync needs {_OLDEST_POSTGRES} or newer"
        return Finding("database", "fail", what, mend, DatabaseError.exit_code)
    return Finding("database", "ok", f"{database.name}, PostgreSQL {major}")


def _file(name: str, path: Path) -> Finding:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        mend = f"chmod 600 {path}, unless that is meant"
        return Finding("database", "warn", f"{name}: others may open it", mend)
    return Finding("database", "ok", f"{name}, {path.stat().st_size / 1e6:.1f} MB")


def _schema(database: "Database") -> Finding:
    from runsync.storage import schema

    try:
        schema.check(database)
    except DatabaseError as error:
        return _failed("schema", error, "`runsync db upgrade`; for a newer schema, a newer runsync")
    return Finding("schema", "ok", f"revision {schema.HEAD}, as this version needs")

"""The settings: one TOML file and a few environment variables, read once and checked whole.

A key that is not known is an error that names it and the nearest known one. Tokens never stand
in the file: it says where each is to be had, and :meth:`SourceConfig.token` fetches it.
"""

import ipaddress
import os
import re
import stat
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from runsync.check_rules import CheckRule, check_rule
from runsync.errors import ConfigError
from runsync.providers import provider, provider_types
from runsync.toml_table import TomlTable, nearest

FILE_NAME = "runsync.toml"
DEFAULT_DATABASE = "sqlite:///runsync.db"
_TOKEN_KEYS = ("token_env", "token_file", "token_command")
_SOURCE_KEYS = ("type", "base_url", "details", *_TOKEN_KEYS)
_PIPELINE_IDS = ("id", "application_id", "repository")
_URL = re.compile(
    r"https?://(?:[\w-]+(?:\.[\w-]+)*\.?|\[(?P<v6>[^]]*)\])(?::\d{1,5})?(?:/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_TOKEN_COMMAND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One ``[sources.NAME]``: which service, where, and where its token is to be had.

    ``details``: also ask for what only a run's detail tells, at one request more a run.
    """

    name: str
    type: str
    base_url: str
    token_env: str | None = None
    token_file: Path | None = None
    token_command: tuple[str, ...] = ()
    details: bool = False

    def token(self) -> str | None:
        """The token; None where none is configured.

        Raises:
            ConfigError: the place that the config names holds none, or others may read it.
        """
        if self.token_env:
            found = os.environ.get(self.token_env, "")
            place = f"the environment variable {self.token_env}"
        elif self.token_file:
            found, place = _token_in_file(self.token_file), f"the file {self.token_file}"
        elif self.token_command:
            found, place = _token_of_command(self.token_command), f"`{self.token_command[0]}`"
        else:
            return None
        return _checked_token(found.strip(), place, self.name)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """One ``[[pipelines]]``: a listing of a source, by exactly one of the three ways to name it.

    ``id`` names one pipeline; ``application_id`` (Wercker) and ``repository`` (GitHub) all the
    pipelines of one owner, new ones too.
    """

    source: str
    id: str | None = None
    application_id: str | None = None
    repository: str | None = None
    name: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Which of the three ways was taken, and its value."""
        for kind in ("id", "application_id", "repository"):
            value = getattr(self, kind)
            if value is not None:
                return kind, value
        raise ConfigError(f"a [[pipelines]] of source {self.source!r} names no id")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. ``path``: the file, where there is one. ``cost``: prices of a minute.
    ``archive``: the folder or URL of the archive."""

    path: Path | None
    database_url: str
    concurrency: int = 8
    since: datetime | None = None
    sources: Mapping[str, SourceConfig] = field(default_factory=dict)
    pipelines: tuple[PipelineConfig, ...] = ()
    checks: tuple[CheckRule, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)
    archive: str | None = None


def find(given: Path | None = None) -> Path | None:
    """The config file: ``given``, ``RUNSYNC_CONFIG``, ``./runsync.toml``, or the user's own.

    Raises:
        ConfigError: one was named that does not exist.
    """
    named = given or (Path(env) if (env := os.environ.get("RUNSYNC_CONFIG")) else None)
    if named is not None:
        if not _exists(named):
            raise ConfigError(f"there is no config file {named}; `runsync init` writes one")
        return named
    here = Path(FILE_NAME)
    if _exists(here):
        return here.resolve()
    own = user_file()
    return own if _exists(own) else None


def user_file() -> Path:
    """The path of the user's own config, for folders that have none."""
    from platformdirs import user_config_path

    return user_config_path("runsync") / FILE_NAME


def load(given: Path | None = None, *, needed: bool = True) -> Config:
    """Finds, reads and checks the settings.

    Args:
        given: the file that the user named.
        needed: whether a missing file is an error; otherwise the defaults are returned.

    Raises:
        ConfigError: there is no file, it cannot be read, or something in it is not understood.
    """
    path = find(given)
    if path is None:
        if needed:
            raise ConfigError(
                f"there is no {FILE_NAME} here, nor {user_file()}; `runsync init` writes one"
            )
        return Config(None, _database_url(None, None))
    return parse(_read(path), path)


def parse(text: str, path: Path) -> Config:
    """Checks the text of the config file at ``path``.

    Raises:
        ConfigError: the text is no TOML, or something in it is not understood.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not TOML that can be read: it is nested too deep") from None
    top = TomlTable(raw, "", path)
    top.only("database_url", "sync", "sources", "pipelines", "checks", "cost", "archive")
    database_url = _database_url(top.text("database_url"), path)
    sync = top.table("sync")
    sync.only("concurrency", "since")
    concurrency = sync.number("concurrency", 8, 1, 64)
    since = sync.when("since")
    sources = {name: _source(name, t) for name, t in top.table("sources").tables()}
    pipelines = tuple(_pipeline(t, sources) for t in top.array("pipelines"))
    _check_unique(pipelines, path)
    checks = tuple(map(check_rule, top.array("checks")))
    cost = top.table("cost").prices()
    archive = _archive(top.table("archive"), path)
    return Config(path, database_url, concurrency, since, sources, pipelines, checks, cost, archive)


def _archive(table: TomlTable, path: Path) -> str | None:
    """The folder, relative to the config's, or the URL."""
    table.only("path")
    written = table.text("path")
    if written is None or "://" in written:
        return written
    return str(path.parent.resolve() / Path(written).expanduser())


def _source(name: str, table: TomlTable) -> SourceConfig:
    if table.has("token"):
        raise table.error(
            "`token` is refused: a token in a file leaks; put it into an environment variable "
            "and name that in `token_env`, or use `token_file` or `token_command`"
        )
    table.only(*_SOURCE_KEYS)
    kind = table.text("type") or name
    if kind not in provider_types():
        raise table.error(f"`type` {kind!r} is not known; {nearest(kind, provider_types())}")
    base_url = _base_url(table, table.text("base_url") or provider(kind).default_url)
    token_file = table.text("token_file")
    source = SourceConfig(
        name=name,
        type=kind,
        base_url=base_url,
        token_env=table.text("token_env"),
        token_file=table.path.parent / Path(token_file).expanduser() if token_file else None,
        token_command=table.texts("token_command"),
        details=table.flag("details"),
    )
    if table.has("details") and not provider(kind).has_details:
        raise table.error(f"`details` changes nothing for {provider(kind).title}; take it out")
    if sum(table.has(key) for key in _TOKEN_KEYS) > 1:
        raise table.error("more than one of token_env, token_file, token_command; keep one")
    return source


def _base_url(table: TomlTable, url: str | None) -> str:
    if url is None:
        raise table.error("`base_url` is missing; write where the service answers")
    if "@" in _host(url):
        raise table.error("`base_url` holds a password; take it out and use `token_env`")
    if not url.lower().startswith(("http://", "https://")) or not _host(url):
        raise table.error(f"`base_url` must begin with https:// or http://, not {url!r}")
    if "?" in url or "#" in url:
        raise table.error("`base_url` must end before any ? or #")
    if not _is_url(url):
        raise table.error(f"`base_url` is no URL that can be asked: {url!r}")
    return url.rstrip("/")


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _is_url(url: str) -> bool:
    """Whether it is made of what can stand in a request as it is."""
    found = _URL.fullmatch(url)
    try:
        if found and found["v6"] is not None:
            ipaddress.IPv6Address(found["v6"])
        return found is not None and urlsplit(url).port != 0
    except ValueError:  # an address or a port that is none
        return False


def _pipeline(table: TomlTable, sources: Mapping[str, SourceConfig]) -> PipelineConfig:
    table.only("source", "name", *_PIPELINE_IDS)
    keys = {key: table.text(key) for key in _PIPELINE_IDS}
    named = [key for key, value in keys.items() if value is not None]
    if len(named) != 1:
        found = " and ".join(named) or "none"
        raise table.error(f"needs exactly one of {', '.join(_PIPELINE_IDS)}; found {found}")
    return PipelineConfig(source=_source_of(table, sources), name=table.text("name"), **keys)


def _source_of(table: TomlTable, sources: Mapping[str, SourceConfig]) -> str:
    source = table.text("source")
    if source is None:
        if len(sources) != 1:
            raise table.error("`source` is missing; name one of the [sources.NAME]")
        return next(iter(sources))
    if source not in sources:
        mend = nearest(source, sources) if sources else f"write a [sources.{source}]"
        raise table.error(f"`source` {source!r} is not configured; {mend}")
    return source


def _check_unique(pipelines: tuple[PipelineConfig, ...], path: Path) -> None:
    seen: set[tuple[str, tuple[str, str]]] = set()
    for pipeline in pipelines:
        if (pipeline.source, pipeline.key) in seen:
            kind, value = pipeline.key
            raise ConfigError(f"{path}: two [[pipelines]] name {kind} {value!r}; keep one")
        seen.add((pipeline.source, pipeline.key))


def _database_url(written: str | None, path: Path | None) -> str:
    """``RUNSYNC_DATABASE_URL`` wins; a relative SQLite file is relative to the config's folder."""
    from_env = os.environ.get("RUNSYNC_DATABASE_URL")
    if from_env:
        return from_env
    url = written or DEFAULT_DATABASE
    scheme, _, name = url.partition(":///")
    if not scheme.startswith("sqlite") or not name or name.startswith((":memory:", "file:")):
        return url
    file = Path(name).expanduser()
    if file.is_absolute():
        return f"{scheme}:///{file}"
    folder = path.parent if path else Path.cwd()
    # What was written is part of a URL already; the folder may hold a % or a ? of its own.
    return f"{scheme}:///{quote(str(folder.resolve()))}/{file}"


def _exists(path: Path) -> bool:
    """Whether it is there, as far as we may know: a file in a closed folder is not."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder is closed


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except IsADirectoryError:
        raise ConfigError(f"the config {path} is a folder; name the file in it") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the config {path} is not UTF-8 text: {error}") from None
    except OSError as error:
        raise ConfigError(f"the config {path} cannot be read: {error.strerror}") from None


def _token_in_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"others may read the token file {path}; keep it to yourself: chmod 600 {path}"
            )
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path
        raise ConfigError(f"the token file {path} cannot be read: {error}") from None


def _token_of_command(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, from the user's own config
            command, capture_output=True, text=True, timeout=_TOKEN_COMMAND_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        raise ConfigError(
            f"token_command `{command[0]}` ended with exit code {error.returncode}; "
            "run it by hand to see why"
        ) from None
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"token_command `{command[0]}` did not work: no answer in {error.timeout:g} s; "
            "run it by hand to see why"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: it writes no text, or has a NUL in it
        raise ConfigError(f"token_command `{command[0]}` did not work: {error}") from None
    return done.stdout.partition("\n")[0]


def _checked_token(token: str, place: str, source: str) -> str:
    if not token:
        raise ConfigError(f"{place} holds no token for source {source!r}; set it")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{place} holds something that is no token (a space, a line break or an accent in it)"
        )
    return token


__all__ = [
    "DEFAULT_DATABASE",
    "FILE_NAME",
    "Config",
    "PipelineConfig",
    "SourceConfig",
    "find",
    "load",
    "nearest",
    "parse",
    "user_file",
]

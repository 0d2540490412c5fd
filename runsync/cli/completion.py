"""What the shell offers for what is being typed. It reads the config and the database, sends
nothing, and offers nothing where something is wrong: an error would stand in the command line."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from runsync.errors import RunsyncError

if TYPE_CHECKING:
    from runsync.config import Config
    from runsync.storage.database import Database

Offer = Callable[[Any, str], list[str]]


def _offering(words: Callable[[Any], Iterable[str | None]]) -> Offer:
    """The words that begin as what is typed, each once."""

    def offer(ctx: Any, incomplete: str) -> list[str]:
        try:
            found = dict.fromkeys(word for word in words(ctx) if word)
        except (RunsyncError, OSError):
            return []
        return [word for word in found if word.startswith(incomplete)]

    return offer


def _config(ctx: Any) -> "Config":
    from runsync.config import load

    given = ctx.params.get("config") or ctx.find_root().params.get("config")
    return load(given, needed=False)


def _pipelines(ctx: Any) -> Iterable[str | None]:
    from runsync.cli.resolve import configured_pipelines, stored_pipelines

    config = _config(ctx)
    known = configured_pipelines(config)
    database = _database(config)
    if database is not None:
        try:
            known += stored_pipelines(config, database)
        finally:
            database.close()
    return [one.name or one.external_id for one in known]


def _database(config: "Config") -> "Database | None":
    from runsync.cli.app_context import open_database

    try:
        return open_database(config)
    except RunsyncError:
        return None  # the config alone knows some


def _sources(ctx: Any) -> Iterable[str]:
    return _config(ctx).sources


def _reports(_ctx: Any) -> Iterable[str]:
    from runsync.reports.definitions import REPORTS

    return [report.command for report in REPORTS.values()]


def _keys(ctx: Any) -> Iterable[str]:
    from runsync.reports.definitions import REPORTS
    from runsync.reports.query_spec import BY

    name = ctx.params.get("report") or ctx.info_name
    of_report = [one.keys for one in REPORTS.values() if name in (one.command, one.name)]
    return [*(of_report[0] if of_report else BY), "all"]


def _periods(_ctx: Any) -> Iterable[str]:
    from runsync.reports.query_spec import EVERY

    return EVERY


def _results(_ctx: Any) -> Iterable[str]:
    from runsync.records import Result

    return [result.value for result in Result]


offer_pipelines = _offering(_pipelines)
offer_sources = _offering(_sources)
offer_reports = _offering(_reports)
offer_keys = _offering(_keys)
offer_periods = _offering(_periods)
offer_results = _offering(_results)


def offer_words(*words: str) -> Offer:
    """Offers these words."""
    return _offering(lambda _ctx: words)

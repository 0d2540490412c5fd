"""``runsync status``: what is stored of each pipeline, and how complete it is."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from runsync.cli.app_context import load_config, open_database
from runsync.cli.options import (
    ConfigOption,
    FormatOption,
    JsonOption,
    OutputOption,
    PipelinesArgument,
    chosen,
)
from runsync.cli.output import emit
from runsync.cli.resolve import KnownPipeline, configured_pipelines, only_one, tokenless
from runsync.config import Config

if TYPE_CHECKING:
    from runsync.sync.status import Wanted

BRIEF = (
    "pipeline",
    "runs",
    "unfinished",
    "gaps",
    "covered_from",
    "covered_to",
    "age_s",
    "last_error",
)
SPARE = ("covered_to", "last_error", "covered_from")


def status(
    pipelines: PipelinesArgument = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show per pipeline what is stored, what is covered, and when a sync last succeeded.

    Example: runsync status --json
    """
    from runsync.sync.status import COLUMNS
    from runsync.sync.status import status as read_status

    style = chosen(format, as_json)
    settings = load_config(config, needed=False)
    with closing(open_database(settings)) as database:
        rows = read_status(database, list(_configured(settings)))
    if pipelines:
        rows = _named(settings, rows, pipelines)
    emit(rows, columns=COLUMNS, format=style, output=output, brief=BRIEF, spare=SPARE)


def _configured(config: Config) -> Iterator["Wanted"]:
    """The listings that the config names; they are shown even where nothing was synced yet."""
    from runsync.sync.status import Wanted

    for pipeline in config.pipelines:
        with tokenless(config, pipeline.source) as source:
            listing = source.listing(pipeline)
        yield Wanted(pipeline.source, listing.key, listing.label)


def _named(
    config: Config, rows: Sequence[dict[str, Any]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of these pipelines; the name of a listing means all of its pipelines."""
    known = [KnownPipeline(row["source"], _id(row), row["pipeline"]) for row in rows]
    known += configured_pipelines(config)
    ids = {only_one(known, name).external_id for name in names}
    return [row for row in rows if {_id(row), _listed_id(row)} & ids]


def _id(row: dict[str, Any]) -> str:
    return row["external_id"] or _listed_id(row)


def _listed_id(row: dict[str, Any]) -> str:
    """The id that the config gives of the listing; one that was never synced has no other."""
    return str(row["listing"]).rpartition("/")[2]

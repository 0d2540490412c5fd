"""``runsync status``: what is stored of each pipeline, and how complete it is."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import load_config, open_database
from runsync.cli.options import (
    ConfigOption,
    JsonOption,
    OutputOption,
    PipelinesArgument,
    chosen,
    span,
)
from runsync.cli.output import Format, chosen_format, emit, note, write
from runsync.cli.prometheus import exposition
from runsync.cli.resolve import (
    KnownPipeline,
    configured_pipelines,
    only_one,
    stored_pipelines,
    tokenless,
)
from runsync.cli.table import Age, ago
from runsync.config import Config
from runsync.errors import ConfigError, PartialError
from runsync.text import visible

if TYPE_CHECKING:
    from runsync.storage.database import Database
    from runsync.sync.status import Wanted

BRIEF = (
    "pipeline",
    "runs",
    "unfinished",
    "incomplete",
    "gaps",
    "covered_from",
    "last_good_sync",
    "last_outcome",
)
SPARE = ("covered_from", "unfinished", "last_outcome")
_LONGEST_ERROR = 240


class StatusFormat(StrEnum):
    """The ways to write what ``status`` tells."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    PROMETHEUS = "prometheus"


def status(
    pipelines: PipelinesArgument = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            metavar="SPAN",
            help="End with 4 where the last good sync is older (2h), or runs are missing.",
        ),
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="List the runs whose steps are not in.")
    ] = False,
    config: ConfigOption = None,
    format: Annotated[
        StatusFormat | None,
        typer.Option(
            "--format",
            help="How to write the data; a table if not given. prometheus is for the node "
            "exporter's textfile collector.",
        ),
    ] = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show per pipeline what is stored, what is covered, and when a sync last succeeded.

    Example: runsync status --max-age 2h
    """
    from runsync.sync import status as read

    prometheus = _is_prometheus(format, as_json, incomplete, output)
    style = None if prometheus or format is None else Format(format.value)
    style = chosen(style, as_json)
    oldest = span(max_age) if max_age is not None else None
    settings = load_config(config, needed=False)
    with closing(open_database(settings)) as database:
        rows = status_rows(settings, database, pipelines or [])
        runs = read.incomplete_runs(database) if incomplete else []
    if incomplete:
        shown = {(row["source"], row["external_id"]) for row in rows}
        runs = [run for run in runs if (run["source"], run["external_id"]) in shown]
        emit(runs, columns=read.INCOMPLETE_COLUMNS, format=style, output=output)
    elif prometheus:
        write(exposition(still_synced(settings, rows)), output)
    else:
        emit_status(rows, style, output)
        if oldest is None and any(row["incomplete"] for row in rows):
            note("some runs are incomplete; `runsync status --incomplete` lists them")
    if oldest is not None:
        _check(still_synced(settings, rows), oldest)


def _is_prometheus(
    format: StatusFormat | None, as_json: bool, incomplete: bool, output: Path | None
) -> bool:
    """Whether that format was asked for, by its name or by the file's."""
    by_name = output is not None and output.suffix.lower() == ".prom"
    if format is not StatusFormat.PROMETHEUS and (format or as_json or not by_name):
        return False
    if as_json or incomplete:
        other = "--json" if as_json else "--incomplete"
        raise ConfigError(f"{other} and the format prometheus contradict each other; keep one")
    return True


def status_rows(config: Config, database: "Database", names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these pipelines, or of all where none is named.

    Raises:
        ConfigError: one of them is not known.
    """
    from runsync.sync.status import status as read

    rows = read(database, list(_configured(config)))
    return _named(config, database, rows, names) if names else rows


def still_synced(config: Config, rows: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The rows of listings that the config names, since no others are kept fresh; all of them
    where it names none of theirs."""
    listings = {one.listing for one in _configured(config)}
    return [row for row in rows if row["listing"] in listings] or rows


def emit_status(rows: Sequence[dict[str, Any]], format: Format | None, output: Path | None) -> None:
    """Writes the rows; under a table on stdout it says why the last sync of a listing failed."""
    from runsync.sync.status import STATUS_COLUMNS

    if chosen_format(format, output) is not Format.TABLE:
        emit(rows, columns=STATUS_COLUMNS, format=format, output=output)
        return
    emit(map(_readable, rows), columns=BRIEF, output=output, spare=SPARE)
    for fault in _faults_of_listings(rows):
        note(f"the last sync of {fault}")


def _faults_of_listings(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Why the last sync of each listing failed, once, however many pipelines it holds."""
    of_listing: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["last_error"]:
            of_listing.setdefault(row["listing"], []).append(row)
    for first, *others in of_listing.values():
        more = f" and {len(others)} more" if others else ""
        yield f"{first['pipeline']}{more}: {visible(first['last_error'], limit=_LONGEST_ERROR)}"


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    begin, age = row["covered_from"], _age(row)
    return row | {
        "covered_from": f"{begin:%Y-%m-%d}" if begin else None,
        "last_good_sync": None if age is None else Age(seconds=age.total_seconds()),
    }


def _age(row: dict[str, Any]) -> timedelta | None:
    return None if row["age_s"] is None else timedelta(seconds=row["age_s"])


def _check(rows: Sequence[dict[str, Any]], oldest: timedelta) -> None:
    """Raises PartialError where a pipeline's last good sync is older, or runs are missing."""
    wrong = {f"{row['pipeline']}: {what}": None for row in rows for what in _faults(row, oldest)}
    if not rows:
        wrong = {"nothing is stored and nothing is configured": None}
    if wrong:
        raise PartialError("; ".join(wrong))


def _faults(row: dict[str, Any], oldest: timedelta) -> Iterator[str]:
    age = _age(row)
    if age is None:
        yield "no sync has succeeded yet"
    elif age > oldest:
        yield f"the last good sync was {ago(age)}"
    for count, what in ((row["gaps"], "gap"), (row["incomplete"], "incomplete run")):
        if count:
            yield f"{count} {what}{'' if count == 1 else 's'}"


def _configured(config: Config) -> Iterator["Wanted"]:
    """The listings that the config names; they are shown even where nothing was synced yet."""
    from runsync.sync.status import Wanted

    for pipeline in config.pipelines:
        with tokenless(config, pipeline.source) as source:
            listing = source.listing(pipeline)
        yield Wanted(pipeline.source, listing.key, listing.label)


def _named(
    config: Config, database: "Database", rows: Sequence[dict[str, Any]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of these pipelines; the name of a listing means all of its pipelines."""
    known = stored_pipelines(config, database)
    known += [KnownPipeline(row["source"], _id(row), row["pipeline"]) for row in rows]
    known += configured_pipelines(config)
    ids = {only_one(known, name).external_id for name in names}
    return [row for row in rows if {_id(row), _listed_id(row)} & ids]


def _id(row: dict[str, Any]) -> str:
    return row["external_id"] or _listed_id(row)


def _listed_id(row: dict[str, Any]) -> str:
    """The id that the config gives of the listing; one that was never synced has no other."""
    return str(row["listing"]).rpartition("/")[2]

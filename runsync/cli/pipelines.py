"""``runsync pipelines``: configured pipelines, and those that syncs have discovered."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runsync.cli.app_context import existing, load_config, open_database
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, OutputOption, chosen
from runsync.cli.output import emit
from runsync.cli.resolve import tokenless
from runsync.config import Config
from runsync.errors import DatabaseError

if TYPE_CHECKING:
    from runsync.sources.base import Listing

COLUMNS = ("pipeline", "source", "external_id", "listing", "configured", "runs")
BRIEF = ("pipeline", "source", "external_id", "configured", "runs")
SPARE = ("source", "configured", "external_id")


def pipelines(
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """List the pipelines of the config, and those that syncs have discovered.

    Example: runsync pipelines
    """
    style = chosen(format, as_json)
    settings = load_config(config, needed=False)
    listings = dict(_configured(settings))
    found = _stored(settings)
    rows = [row | {"configured": row["listing"] in listings} for row in found]
    seen = {row["listing"] for row in rows}
    for key, (source, listing) in listings.items():
        if key not in seen:
            rows.append(_not_yet_synced(source, listing))
    emit(rows, columns=COLUMNS, format=style, output=output, brief=BRIEF, spare=SPARE)


def _configured(config: Config) -> Iterator[tuple[str, tuple[str, "Listing"]]]:
    for name in dict.fromkeys(pipeline.source for pipeline in config.pipelines):
        with tokenless(config, name) as source:
            for pipeline in config.pipelines:
                if pipeline.source == name:
                    listing = source.listing(pipeline)
                    yield listing.key, (name, listing)


def _not_yet_synced(source: str, listing: "Listing") -> dict[str, Any]:
    only = listing.pipelines[0] if len(listing.pipelines) == 1 else None
    return {
        "pipeline": listing.label or (only.name if only else None) or listing.key,
        "source": source,
        "external_id": only.external_id if only else None,
        "listing": listing.key,
        "configured": True,
        "runs": 0,
    }


def _stored(config: Config) -> list[dict[str, Any]]:
    from contextlib import closing

    from sqlalchemy import func, select

    from runsync.storage.default_branches import reads_over
    from runsync.storage.pipelines import labels_by_id
    from runsync.storage.tables import listing_pipelines, pipelines, runs

    try:
        existing(config.database_url)
    except DatabaseError:
        return []  # nothing was synced yet
    counted = select(runs.c.pipeline_id, func.count().label("runs")).group_by(runs.c.pipeline_id)
    counts = counted.subquery()
    query = (
        select(
            pipelines.c.id,
            pipelines.c.source,
            pipelines.c.external_id,
            listing_pipelines.c.listing,
            func.coalesce(counts.c.runs, 0).label("runs"),
        )
        .outerjoin(
            listing_pipelines,
            listing_pipelines.c.pipeline_id == pipelines.c.id,
        )
        .outerjoin(counts, counts.c.pipeline_id == pipelines.c.id)
        .order_by(pipelines.c.source, pipelines.c.name, pipelines.c.external_id)
    )
    with closing(open_database(config)) as database, database.read() as connection:
        labels = labels_by_id(reads_over(connection))
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [{"pipeline": labels[row.pop("id")], **row} for row in rows]

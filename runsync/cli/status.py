"""``runsync status``: what is stored of each pipeline, and how complete it is."""

from runsync.cli.app_context import load_config, open_database, open_sources
from runsync.cli.listings import chosen_pipelines, tasks
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, PipelinesArgument, chosen
from runsync.cli.output import emit

BRIEF = (
    "pipeline",
    "runs",
    "unfinished",
    "covered_from",
    "covered_to",
    "gaps",
    "age_s",
    "last_error",
)


def status(
    pipelines: PipelinesArgument = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show per pipeline what is stored, what is covered, and when a sync last succeeded.

    Example: runsync status --json
    """
    from runsync.sync.status import COLUMNS, Wanted
    from runsync.sync.status import status as read_status

    settings = load_config(config)
    style = chosen(format, as_json)
    database = open_database(settings)
    wanted = chosen_pipelines(settings, pipelines or [], database)
    with open_sources(settings, [p.source for p in wanted]) as sources:
        named = [
            Wanted(task.source.name, task.listing.key, task.listing.label)
            for task in tasks(sources, wanted)
        ]
    rows = read_status(database, named)
    if pipelines:
        keys = {one.listing for one in named}
        rows = [row for row in rows if row["listing"] in keys]
    emit(rows, columns=COLUMNS, format=style, brief=BRIEF)

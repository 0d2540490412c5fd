"""``runsync verify``: compares what is stored with the provider, and repairs it on request."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import load_config, open_database, open_sources
from runsync.cli.options import (
    ArchiveOption,
    ConfigOption,
    FormatOption,
    JsonOption,
    PipelinesArgument,
    chosen,
    when,
)
from runsync.cli.output import emit, note, warn
from runsync.cli.progress import progress
from runsync.cli.resolve import chosen_pipelines, tasks
from runsync.errors import ConfigError, PartialError, TokenRefusedError

if TYPE_CHECKING:
    from runsync.sync.verify import Difference, Verdict

COLUMNS = (
    "pipeline",
    "listing",
    "checked",
    "missing",
    "extra",
    "different",
    "unreadable",
    "new",
    "repaired",
    "requests",
    "error",
)
BRIEF = tuple(column for column in COLUMNS if column not in ("listing", "error"))
SPARE = ("requests", "new", "repaired")
_SHOWN = 20


def verify(
    pipelines: PipelinesArgument = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend runs and steps; mark what is gone as vanished."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read the listing alone, and no run's steps.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="How far back: 2024-01-31, 30d; else all."),
    ] = None,
    archived: Annotated[
        bool,
        typer.Option("--archived", help="Compare with the archive, not with the provider."),
    ] = False,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every run and every step again from the provider, and compare with what is stored.

    Example: runsync verify --since 30d --repair
    """
    from runsync.sync.verify import estimated_requests
    from runsync.sync.verify import verify as audit

    if archived or archive is not None:
        from runsync.cli.archived import verify_archive

        if pipelines or repair or quick or since is not None:
            raise ConfigError("the archive is compared whole: leave everything else away")
        verify_archive(config, archive, chosen(format, as_json))
        return
    settings = load_config(config)
    style = chosen(format, as_json)
    begin = when(since) if since is not None else settings.since
    with ExitStack() as stack:
        database = stack.enter_context(closing(open_database(settings)))
        wanted = chosen_pipelines(settings, pipelines or [], database)
        sources = stack.enter_context(open_sources(settings, [p.source for p in wanted]))
        todo = tasks(sources, wanted, database)
        requests = estimated_requests(database, todo, since=begin, quick=quick)
        note(f"this takes about {requests} requests")
        with progress(todo) as watch:
            verdicts = audit(
                database,
                todo,
                since=begin,
                repair=repair,
                quick=quick,
                concurrency=settings.concurrency,
                watch=watch,
            )
    rows = [_row(verdict) for verdict in verdicts]
    emit(rows, columns=COLUMNS, format=style, brief=BRIEF, spare=SPARE)
    _name_differences(verdicts)
    _end(verdicts)


def _row(verdict: "Verdict") -> dict[str, Any]:
    from runsync.sync.verify import KINDS

    return {
        "pipeline": verdict.label,
        "listing": verdict.listing,
        "checked": verdict.checked,
        **{kind: verdict.count(kind) for kind in KINDS},
        "repaired": sum(one.repaired for one in verdict.differences),
        "requests": verdict.requests,
        "error": str(verdict.cause) if verdict.cause else None,
    }


def _name_differences(verdicts: Sequence["Verdict"]) -> None:
    found = [one for verdict in verdicts for one in verdict.differences if one.kind != "new"]
    for one in found[:_SHOWN]:
        fields = f" ({', '.join(one.fields)})" if one.fields else ""
        mended = "; repaired" if one.repaired else ""
        warn(f"{_title(one)} is {one.kind}{fields}{mended}")
    if len(found) > _SHOWN:
        warn(f"and {len(found) - _SHOWN} more")


def _title(one: "Difference") -> str:
    if one.id:
        return f"{one.pipeline}: run {one.id}"
    return f"pipeline {one.pipeline}" if one.pipeline else f"{one.listing}: a row"


def _end(verdicts: Sequence["Verdict"]) -> None:
    causes = [verdict.cause for verdict in verdicts if verdict.cause is not None]
    if causes and all(isinstance(cause, TokenRefusedError) for cause in causes):
        raise causes[0]
    if causes:
        raise PartialError("; ".join(str(cause) for cause in causes))
    if left := sum(verdict.faults for verdict in verdicts):
        raise PartialError(
            f"{left} {'row is' if left == 1 else 'rows are'} not stored as the provider tells; "
            "`runsync verify --repair` mends what can be mended"
        )

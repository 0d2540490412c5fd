"""``runsync verify``: holds what is stored against the provider, and mends it on request."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import load_config, open_database, open_sources
from runsync.cli.listings import chosen_pipelines, tasks
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, chosen, when
from runsync.cli.output import emit, note
from runsync.errors import PartialError, TokenRefusedError

if TYPE_CHECKING:
    from runsync.sync.verify import Verdict

COLUMNS = ("listing", "checked", "missing", "extra", "different", "repaired", "requests", "error")
_SHOWN = 20


def verify(
    pipelines: Annotated[
        list[str] | None, typer.Argument(metavar="[PIPELINE]...", help="Names, ids or prefixes.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch what is missing; mark what is gone.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="How far back: 2024-01-31, 30d; else all.")
    ] = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the provider's listing again and compare each run with what is stored."""
    from runsync.sync.verify import verify as compare

    settings = load_config(config)
    style = chosen(format, as_json)
    begin = when(since) if since else settings.since
    database = open_database(settings)
    wanted = chosen_pipelines(settings, pipelines or [], database)
    with open_sources(settings, [p.source for p in wanted]) as sources:
        verdicts = compare(database, tasks(sources, wanted), since=begin, repair=repair)
    emit([_row(verdict) for verdict in verdicts], columns=COLUMNS, format=style)
    _name_differences(verdicts)
    _end(verdicts)


def _row(verdict: "Verdict") -> dict[str, Any]:
    return {
        "listing": verdict.listing,
        "checked": verdict.checked,
        "missing": verdict.count("missing"),
        "extra": verdict.count("extra"),
        "different": verdict.count("different"),
        "repaired": sum(one.repaired for one in verdict.differences),
        "requests": verdict.requests,
        "error": str(verdict.cause) if verdict.cause else None,
    }


def _name_differences(verdicts: Sequence["Verdict"]) -> None:
    found = [one for verdict in verdicts for one in verdict.differences]
    for one in found[:_SHOWN]:
        fields = f" ({', '.join(one.fields)})" if one.fields else ""
        mended = "; repaired" if one.repaired else ""
        note(f"runsync: {one.pipeline}: run {one.id} is {one.kind}{fields}{mended}")
    if len(found) > _SHOWN:
        note(f"runsync: and {len(found) - _SHOWN} more")


def _end(verdicts: Sequence["Verdict"]) -> None:
    from runsync.sync.verify import totals

    causes = [verdict.cause for verdict in verdicts if verdict.cause is not None]
    if causes and all(isinstance(cause, TokenRefusedError) for cause in causes):
        raise causes[0]
    if causes:
        raise PartialError("; ".join(str(cause) for cause in causes))
    if left := totals(verdicts):
        raise PartialError(
            f"{left} {'run is' if left == 1 else 'runs are'} not as the provider lists them; "
            "`runsync verify --repair` mends that"
        )

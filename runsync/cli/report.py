"""``runsync report``: one report, or all of them on a page."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import existing, load_config
from runsync.cli.completion import (
    offer_keys,
    offer_periods,
    offer_pipelines,
    offer_reports,
    offer_results,
)
from runsync.cli.options import (
    ArchiveOption,
    ConfigOption,
    FormatOption,
    JsonOption,
    OutputOption,
    chosen,
)
from runsync.cli.output import Format, chosen_format, emit, is_stdout, note, write
from runsync.cli.row_order import SortOption, TopOption, ordered
from runsync.errors import ConfigError
from runsync.reports.definitions import REPORTS, report_named
from runsync.reports.query_spec import NOT_FOR_ALL
from runsync.reports.report import Report

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(no_args_is_help=True, help="Pass rates, durations, aborts and more.")

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From a date, a time, or an age such as 30d."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Up to that time, exclusive.")
]
Pipelines = Annotated[
    list[str] | None,
    typer.Option(
        "--pipeline",
        metavar="NAME",
        autocompletion=offer_pipelines,
        help="A name, an id or its beginning; repeatable.",
    ),
]
Branches = Annotated[
    list[str] | None,
    typer.Option(
        "--branch",
        metavar="NAME",
        help="Repeatable; default means each pipeline's default branch, '' runs without a branch.",
    ),
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="KEY",
        autocompletion=offer_keys,
        help="Group by pipeline, source, branch, author, event, weekday or hour, steps also by "
        "step, job or runner; "
        "repeatable. `all` makes one group of all.",
    ),
]
PeriodOption = Annotated[
    str | None,
    typer.Option(
        "--every",
        metavar="PERIOD",
        autocompletion=offer_periods,
        help="A row per day, week or month.",
    ),
]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="Where days begin; default UTC.")
]
ResultOption = Annotated[
    str | None,
    typer.Option(
        "--result",
        metavar="RESULT",
        autocompletion=offer_results,
        help="Only what ended so, such as passed.",
    ),
]

Busy = Annotated[
    bool,
    typer.Option("--busy", help="Without the waits between jobs, where that is known (GitLab)."),
]

WorkersOption = Annotated[
    str,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes that read a long history side by side; by default as many as it is worth.",
        show_default=False,
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Of a Dask cluster that reads it instead, such as tcp://host:8786.",
    ),
]

_NOTES = 3
_PAGES = (".html", ".htm")


def _command_of(report: Report) -> Callable[..., None]:
    """The command of a report: all options, less those that it does not take."""

    def command(
        config: ConfigOption = None,
        archive: ArchiveOption = None,
        since: Since = None,
        until: Until = None,
        pipeline: Pipelines = None,
        branch: Branches = None,
        by: ByOption = None,
        every: PeriodOption = None,
        tz: Zone = None,
        result: ResultOption = None,
        busy: Busy = False,
        sort: SortOption = None,
        top: TopOption = None,
        output: OutputOption = None,
        format: FormatOption = None,
        json: JsonOption = False,
        workers: WorkersOption = "auto",
        scheduler: SchedulerOption = None,
    ) -> None:
        asked = _arguments(since, until, pipeline, branch, tz) | {"by": _keys(by), "every": every}
        more = {"result": result, "busy": busy}
        asked |= {name: value for name, value in more.items() if name in report.takes}
        if "prices" in report.takes:
            asked["prices"] = load_config(config, needed=False).cost
        order = partial(ordered, sort=sort, top=top)
        history = _history(config, archive)
        with _crew(workers, scheduler) as crew:
            _print(report.name, report, history, asked | crew, order, chosen(format, json), output)

    signature = inspect.signature(command)
    others = NOT_FOR_ALL.difference(report.takes)
    taken = [p for p in signature.parameters.values() if p.name not in others]
    command.__signature__ = signature.replace(parameters=taken)  # type: ignore[attr-defined]
    return command


def _help(report: Report) -> str:
    return (
        f"{report.summary}\n\n{report.about}\n\n"
        f"Example: runsync report {report.command} {report.example}"
    )


for _report in REPORTS.values():
    app.command(_report.command, help=_help(_report))(_command_of(_report))


@app.command()
def compare(
    config: ConfigOption = None,
    archive: ArchiveOption = None,
    report: Annotated[
        str,
        typer.Option(
            "--report",
            metavar="REPORT",
            autocompletion=offer_reports,
            help="Whose main figure, such as aborts.",
        ),
    ] = "pass-rates",
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Where the later window begins.")
    ] = "28d",
    until: Until = None,
    pipeline: Pipelines = None,
    branch: Branches = None,
    by: ByOption = None,
    tz: Zone = None,
    result: ResultOption = None,
    figure: Annotated[
        str | None,
        typer.Option("--figure", metavar="FIGURE", help="Of durations: p50, p90, p95 or mean."),
    ] = None,
    sort: SortOption = None,
    top: TopOption = None,
    output: OutputOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    workers: WorkersOption = "auto",
    scheduler: SchedulerOption = None,
) -> None:
    """A report's main figure against the window before, and whether chance explains the change.

    Example: runsync report compare --report step-durations --since 28d
    """
    asked = _arguments(since, until, pipeline, branch, tz)
    asked |= {"report": report, "by": _keys(by), "result": result, "figure": figure}
    order = partial(ordered, sort=sort, top=top)
    of, how, history = report_named(report), chosen(format, json), _history(config, archive)
    with _crew(workers, scheduler) as crew:
        _print("compare", of, history, asked | crew, order, how, output)


@app.command()
def html(
    config: ConfigOption = None,
    archive: ArchiveOption = None,
    since: Since = None,
    until: Until = None,
    pipeline: Pipelines = None,
    branch: Branches = None,
    every: PeriodOption = None,
    tz: Zone = None,
    output: OutputOption = None,
    workers: WorkersOption = "auto",
    scheduler: SchedulerOption = None,
) -> None:
    """All reports on one self-contained page with charts.

    Example: runsync report html --since 90d --output report.html
    """
    if output is None and sys.stdout.isatty():
        raise ConfigError("a page is not for a terminal; name a file: --output report.html")
    if output is not None and output.suffix.lower() not in _PAGES and not _is_special(output):
        raise ConfigError(f"{output} is no name of a page; name one such as --output report.html")
    from runsync import reports

    asked = _arguments(since, until, pipeline, branch, tz) | {"every": every}
    with _crew(workers, scheduler) as crew:
        write(reports.html(_history(config, archive), **asked, **crew), output)
    if output is not None and not is_stdout(output):
        note(f"wrote {output}")


@contextmanager
def _crew(workers: str, address: str | None) -> Iterator[dict[str, Any]]:
    """Who reads a long history, as arguments of a function of ``runsync.reports``."""
    if address is None:
        yield {"workers": int(workers) if workers.isdecimal() else workers}
        return
    if workers != "auto":
        raise ConfigError("--workers and --scheduler both say who reads; leave one away")
    if not address.strip():
        raise ConfigError("--scheduler is empty; name one, such as tcp://host:8786")
    from runsync.reports.gather import scheduler

    with scheduler(address) as executor:
        yield {"executor": executor}


def _is_special(output: Path) -> bool:
    """Whether it is stdout, a pipe or a device, whose names say nothing."""
    return is_stdout(output) or (output.exists() and not output.is_file())


def _arguments(
    since: str | None,
    until: str | None,
    pipelines: list[str] | None,
    branches: list[str] | None,
    tz: str | None,
) -> dict[str, Any]:
    """What the options ask of a function of ``runsync.reports``."""
    return {
        "since": since,
        "until": until,
        "tz": tz,
        "pipelines": pipelines or None,
        "branches": branches or None,
    }


def _keys(by: list[str] | None) -> Sequence[str] | None:
    return () if by == ["all"] else by or None


def _history(config: Path | None, archive: str | None) -> str:
    """What reports read: an archive that was named, or the database, with the config's archive.

    Raises:
        ConfigError: there is no config.
        DatabaseError: there is no such database.
    """
    if archive is not None:
        return f"archive:{archive}"
    settings = load_config(config, needed=False)
    mixed = f"+archive:{settings.archive}" if settings.archive else ""
    return existing(settings.database_url) + mixed


def _print(
    function: str,
    report: Report,
    history: str,
    asked: dict[str, Any],
    order: Callable[["pd.DataFrame"], "pd.DataFrame"],
    format: Format | None,
    output: Path | None,
) -> None:
    style = chosen_format(format, output)  # refused before anything is computed
    from runsync import reports
    from runsync.reports import rows

    frame = order(getattr(reports, function)(history, **asked))
    window = {name: asked[name] for name in ("since", "until", "pipelines", "tz")}
    _note_lacks(reports.lacking(history, **window, compared=function == "compare"))
    if style in (Format.JSON, Format.CSV):
        columns, made = rows.plain(frame)
        emit(made, columns=columns, format=format, output=output)
        return
    columns, made = rows.readable(frame)
    figures = [str(name) for name in frame if frame[name].dtype.kind in "mf"]
    spare = [*report.spare, "partial", "n_before n_after", "low high"]
    emit(made, columns=columns, format=format, output=output, spare=spare, right=figures)


def _note_lacks(lacks: Sequence[str]) -> None:
    """Says on stderr which part of the window the figures do not know."""
    for lack in lacks[:_NOTES]:
        note(f"note: {lack}")
    if len(lacks) > _NOTES:
        note(f"note: and {len(lacks) - _NOTES} more like these; `runsync status` lists all")

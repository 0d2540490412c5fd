"""``runsync report``: one report, or all of them on a page."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from runsync.cli.app_context import open_database
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, OutputOption, chosen
from runsync.cli.output import Format, emit, note, write
from runsync.errors import ConfigError

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
    typer.Option("--pipeline", metavar="NAME", help="A name, an id or its beginning; repeatable."),
]
Branches = Annotated[list[str] | None, typer.Option("--branch", metavar="NAME", help="Repeatable.")]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="KEY",
        help="Group by pipeline, source, branch, author, weekday or hour, steps also by job; "
        "repeatable. `all` makes one group of all.",
    ),
]
Every = Annotated[
    str | None, typer.Option("--every", metavar="PERIOD", help="A row per day, week or month.")
]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="Where days begin; default UTC.")
]
Result = Annotated[
    str | None,
    typer.Option("--result", metavar="RESULT", help="Only what ended so, such as passed."),
]

_NOTES = 3

# What a narrow table drops, the least telling first.
_SPARE = (
    "unknown",
    "skipped",
    "mean",
    "total",
    "never_started",
    "p90",
    "max",
    "median_time_to_abort",
    "pass_rate_low pass_rate_high",
    "abort_rate_low abort_rate_high",
    "partial",
    "last_step",
)


def _add(command: str, function: str, help: str) -> None:
    """Makes the command of a report about runs that are what they are."""

    @app.command(command, help=help)
    def report(
        config: ConfigOption = None,
        since: Since = None,
        until: Until = None,
        pipeline: Pipelines = None,
        branch: Branches = None,
        by: By = None,
        every: Every = None,
        tz: Zone = None,
        output: OutputOption = None,
        format: FormatOption = None,
        json: JsonOption = False,
    ) -> None:
        asked = _asked(since, until, pipeline, branch, by, tz) | {"every": every}
        _print(function, config, asked, chosen(format, json), output)


def _add_timed(command: str, function: str, help: str) -> None:
    """Makes the command of a report about how long things took, which may be of one result."""

    @app.command(command, help=help)
    def report(
        config: ConfigOption = None,
        since: Since = None,
        until: Until = None,
        pipeline: Pipelines = None,
        branch: Branches = None,
        by: By = None,
        every: Every = None,
        tz: Zone = None,
        result: Result = None,
        output: OutputOption = None,
        format: FormatOption = None,
        json: JsonOption = False,
    ) -> None:
        asked = _asked(since, until, pipeline, branch, by, tz)
        asked |= {"every": every, "result": result}
        _print(function, config, asked, chosen(format, json), output)


_add("pass-rates", "pass_rates", "How many of the runs that passed or failed have passed.")
_add_timed("step-durations", "step_durations", "How long steps took.")
_add("aborts", "abort_frequencies", "How many runs were aborted, after how long, in which step.")
_add("queue-times", "queue_times", "How long runs waited for their start.")
_add_timed("run-durations", "run_durations", "How long runs took.")
_add("recovery", "recoveries", "How often branches broke, and how long they stayed broken.")
_add("flaky", "flaky_steps", "Steps that both passed and failed on one commit.")


@app.command()
def compare(
    config: ConfigOption = None,
    report: Annotated[
        str,
        typer.Option("--report", metavar="REPORT", help="Whose main figure, such as aborts."),
    ] = "pass-rates",
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Where the later window begins.")
    ] = "30d",
    until: Until = None,
    pipeline: Pipelines = None,
    branch: Branches = None,
    by: By = None,
    tz: Zone = None,
    result: Result = None,
    output: OutputOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
) -> None:
    """A report's main figure against the window before, and whether chance explains the change."""
    asked = _asked(since, until, pipeline, branch, by, tz) | {"result": result, "report": report}
    _print("compare", config, asked, chosen(format, json), output)


@app.command()
def html(
    config: ConfigOption = None,
    since: Since = None,
    until: Until = None,
    pipeline: Pipelines = None,
    branch: Branches = None,
    every: Every = None,
    tz: Zone = None,
    output: OutputOption = None,
) -> None:
    """All reports on one self-contained page with charts."""
    if output is None and sys.stdout.isatty():
        raise ConfigError("a page is not for a terminal; name a file: --output report.html")
    from runsync import reports

    asked = _asked(since, until, pipeline, branch, None, tz) | {"every": every}
    with closing(open_database(config)) as database:
        write(reports.html(database, **asked), output)
    if output is not None and str(output) != "-":
        note(f"wrote {output}")


def _asked(
    since: str | None,
    until: str | None,
    pipelines: list[str] | None,
    branches: list[str] | None,
    by: list[str] | None,
    tz: str | None,
) -> dict[str, Any]:
    """What the options ask of a function of ``runsync.reports``."""
    asked: dict[str, Any] = {"since": since, "until": until, "tz": tz}
    asked |= {"pipelines": pipelines or None, "branches": branches or None}
    return asked | ({"by": () if by == ["all"] else by} if by else {})


def _print(
    function: str,
    config: Path | None,
    asked: dict[str, Any],
    format: Format | None,
    output: Path | None,
) -> None:
    from runsync import reports
    from runsync.reports import rows

    with closing(open_database(config)) as database:
        frame = getattr(reports, function)(database, **asked)
        about = {name: asked[name] for name in ("since", "until", "pipelines", "tz")}
        _note_lacks(reports.lacking(database, **about, compared=function == "compare"))
    by_name = output.suffix.lower() if format is None and output else ""
    if format in (Format.JSON, Format.CSV) or by_name in (".json", ".csv"):
        columns, made = rows.plain(frame)
        emit(made, columns=columns, format=format, output=output)
        return
    columns, made = rows.readable(frame)
    figures = [str(name) for name in frame if frame[name].dtype.kind in "mf"]
    emit(made, columns=columns, format=format, output=output, spare=_SPARE, right=figures)


def _note_lacks(lacks: Sequence[str]) -> None:
    """Says on stderr which part of the window the figures do not know."""
    for lack in lacks[:_NOTES]:
        note(f"note: {lack}")
    if len(lacks) > _NOTES:
        note(f"note: and {len(lacks) - _NOTES} more like these; `runsync status` lists all")

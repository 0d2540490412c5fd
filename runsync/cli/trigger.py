"""``runsync runs trigger``: starts a run, and on request waits for its end."""

import os
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from runsync.cli.app_context import load_config, open_sources
from runsync.cli.completion import offer_pipelines
from runsync.cli.exceptions import InterruptedHereError
from runsync.cli.options import (
    ConfigOption,
    FormatOption,
    JsonOption,
    OutputOption,
    ShowEnvOption,
    SourceOption,
    chosen,
)
from runsync.cli.output import note
from runsync.cli.resolve import pipeline_named
from runsync.cli.rows import emit_run
from runsync.cli.target import check_run_id
from runsync.errors import ConfigError
from runsync.records import Run, Status
from runsync.text import visible

if TYPE_CHECKING:
    from runsync.sources.base import Source

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0


def trigger(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE",
            autocompletion=offer_pipelines,
            help="A name, an id, or how one begins.",
        ),
    ],
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="The default branch if not given."),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(
            "--commit", metavar="HASH", help="Needs --branch; its latest commit if not given."
        ),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", metavar="TEXT", help="The commit's message if not given."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="KEY=VALUE",
            help="A variable for the run, repeatable, in order; KEY alone takes its value from "
            "this shell's environment.",
        ),
    ] = None,
    source_run: Annotated[
        str | None,
        typer.Option("--source-run", metavar="RUN", help="Chain it to this run and its artifacts."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has finished.")] = False,
    show_env: ShowEnvOption = False,
    source: SourceOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Start a run.

    The exit code is 0 when it was started, or with --wait when it has finished, with any result.

    Example: runsync runs trigger our-build --branch main --wait
    """
    from runsync.sources.base import TriggerRequest

    style = chosen(format, as_json)
    if commit is not None and branch is None:
        raise ConfigError("--commit needs --branch: the branch that the commit is on")
    if source_run is not None:
        check_run_id(source_run)
    variables = tuple(_variable(text) for text in env or ())
    settings = load_config(config)
    known = pipeline_named(settings, pipeline, source)
    wanted = TriggerRequest(known.external_id, branch, commit, message, source_run, variables)
    with open_sources(settings, [known.source]) as sources:
        started = sources[known.source].trigger(wanted)
        if started is None:
            note("the run was requested; the service does not say its id")
            return
        note(f"run {started.id} is {started.status}")
        finished = _waited(sources[known.source], started) if wait else started
    emit_run(finished, known.source, style, show_env=show_env, output=output)


def _variable(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or key != key.strip():
        raise ConfigError(f"--env {visible(key)!r} names no variable; write KEY=VALUE")
    if equals:
        return key, value
    if key not in os.environ:
        raise ConfigError(f"--env {key}: it is not set here; write {key}=VALUE, or export it")
    return key, os.environ[key]


def _waited(source: "Source", run: Run) -> Run:
    """The run once it has finished; reports its status on stderr.

    Raises:
        InterruptedHereError: Ctrl-C; the run goes on.
    """
    pause = FIRST_PAUSE
    try:
        while run.status is not Status.FINISHED:
            sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            before, run = run, source.find_run(run.pipeline, run.id).run
            if run.status is not before.status:
                note(f"run {run.id} is {run.status}")
    except KeyboardInterrupt:
        raise InterruptedHereError(
            f"interrupted; run {run.id} goes on: `runsync runs show {run.id}` shows how, "
            f"`runsync runs abort {run.id}` ends it"
        ) from None
    note(f"run {run.id} has {run.result}" if run.result != "unknown" else f"run {run.id} is over")
    return run

"""``runsync runs``: the live API of a source, for people."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from runsync.cli.app_context import load_config, open_sources
from runsync.cli.completion import offer_pipelines, offer_words
from runsync.cli.options import (
    ConfigOption,
    FormatOption,
    JsonOption,
    OutputOption,
    ShowEnvOption,
    SourceOption,
    chosen,
)
from runsync.cli.output import Format, chosen_format, emit, note, warn, write
from runsync.cli.resolve import application_named, pipeline_named
from runsync.cli.rows import (
    BRIEF,
    COLUMNS,
    SPARE,
    STEP_BRIEF,
    STEP_COLUMNS,
    STEP_SPARE,
    emit_run,
    run_row,
    step_row,
)
from runsync.cli.stored import StoredOption, live_branch, stored_list, stored_run, stored_steps
from runsync.cli.target import Target, target
from runsync.cli.trigger import trigger
from runsync.config import nearest
from runsync.errors import ConfigError, NotFoundError
from runsync.records import Step
from runsync.text import visible

app = typer.Typer(no_args_is_help=True, help="List, show, trigger and abort runs, live.")

LOG_COLUMNS = ("run_id", "step_id", "position", "name", "log")

SORTS = ("creationDateAsc", "creationDateDesc")
STATUSES = ("notstarted", "started", "finished", "running")
RESULTS = ("aborted", "unknown", "passed", "failed")
MOST_RUNS = 20
_MOST_STORED = 1_000_000_000

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The provider's id of a run.")]
PipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        metavar="PIPELINE",
        autocompletion=offer_pipelines,
        help="The run's pipeline, where it is not stored.",
    ),
]
app.command()(trigger)


@app.command("list")
def list_(
    application: Annotated[
        str | None, typer.Option("--application", metavar="ID", help="Of this application.")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            "--pipeline",
            metavar="PIPELINE",
            autocompletion=offer_pipelines,
            help="Of this pipeline: its name, its id, or how one begins.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="How many, 1 to 20 live; 20 if not given."),
    ] = None,
    skip: Annotated[
        int | None, typer.Option("--skip", metavar="N", help="Skip the first N, 1 or more.")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="ORDER",
            autocompletion=offer_words(*SORTS),
            help="creationDateAsc or creationDateDesc.",
        ),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="WORD",
            autocompletion=offer_words(*STATUSES),
            help="notstarted, started, running, finished.",
        ),
    ] = None,
    result: Annotated[
        str | None,
        typer.Option(
            "--result",
            metavar="WORD",
            autocompletion=offer_words(*RESULTS),
            help="passed, failed, aborted, unknown.",
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch",
            metavar="NAME",
            help="On this branch; default means the pipeline's default branch, where the database "
            "knows it.",
        ),
    ] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="HASH", help="Of this commit.")
    ] = None,
    source_run: Annotated[
        str | None, typer.Option("--source-run", metavar="RUN", help="Those chained to this run.")
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Started by this user.")
    ] = None,
    stored: StoredOption = False,
    source: SourceOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """List runs as the service lists them now: at most 20 of a pipeline or an application.

    With --stored, list those in the database, of all pipelines if none is named, and any number.

    Example: runsync runs list --pipeline our-build --result failed
    """
    from runsync.sources.base import RunFilter

    style = chosen(format, as_json)
    _check_word("--sort", sort, SORTS)
    _check_word("--status", status, STATUSES)
    _check_word("--result", result, (*RESULTS, "skipped") if stored else RESULTS)
    if stored:
        _check_counts(limit, skip)
        rows = stored_list(
            config,
            pipeline=pipeline,
            source=source,
            limit=limit,
            skip=skip,
            sort=sort,
            application=application,
            status=status,
            result=result,
            branch=branch,
            commit=commit,
            source_run=source_run,
            author=author,
        )
        brief = BRIEF if pipeline else ("id", "pipeline", *BRIEF[1:])
        emit(rows, columns=COLUMNS, format=style, output=output, brief=brief, spare=SPARE)
        return
    _check_filters(application, pipeline, limit, skip)
    settings = load_config(config)
    resolve = pipeline_named if pipeline else application_named
    known = resolve(settings, pipeline or application or "", source)
    wanted = RunFilter(
        pipeline=known.external_id if pipeline else None,
        application=known.external_id if application else None,
        limit=limit,
        skip=skip,
        sort=sort,
        status=status,
        result=result,
        branch=live_branch(settings, branch, known, "pipeline" if pipeline else "application"),
        commit=commit,
        source_run=source_run,
        author=author,
    )
    with open_sources(settings, [known.source]) as sources:
        rows = [run_row(run, known.source) for run in sources[known.source].find_runs(wanted)]
    emit(rows, columns=COLUMNS, format=style, output=output, brief=BRIEF, spare=SPARE)


@app.command()
def show(
    run: RunArgument,
    show_env: ShowEnvOption = False,
    stored: StoredOption = False,
    source: SourceOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show one run as it is now, or as it is stored.

    Example: runsync runs show 5751377e7e1bd5f17f050bc4
    """
    style = chosen(format, as_json)
    if stored:
        name, known = stored_run(config, run, source, pipeline)
        emit_run(known, name, style, show_env=show_env, output=output)
        return
    with target(load_config(config), run, source, pipeline) as wanted:
        found = wanted.find().run
    emit_run(found, wanted.source.name, style, show_env=show_env, output=output)


@app.command()
def steps(
    run: RunArgument,
    stored: StoredOption = False,
    source: SourceOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """List the steps of a run as they are now, or as they are stored.

    Example: runsync runs steps 5751377e7e1bd5f17f050bc4
    """
    style = chosen(format, as_json)
    if stored:
        rows = stored_steps(config, run, source, pipeline)
    else:
        with target(load_config(config), run, source, pipeline) as wanted:
            found = wanted.find()
        for problem in found.problems:
            warn(problem.what)
        rows = [step_row(found.run.id, step) for step in found.steps]
    emit(
        rows,
        columns=STEP_COLUMNS,
        format=style,
        output=output,
        brief=STEP_BRIEF,
        spare=STEP_SPARE,
    )


@app.command()
def log(
    run: RunArgument,
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="STEP", help="A step's name, id or position; all steps if not given."
        ),
    ] = None,
    source: SourceOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Print the logs of a run's steps, without colours and with control characters made visible.

    Example: runsync runs log 5751377e7e1bd5f17f050bc4 "unit tests"
    """
    style = chosen(format, as_json)
    with target(load_config(config), run, source, pipeline) as wanted:
        found = wanted.find()
        chosen_steps = _chosen_steps(found.steps, step, found.run.id)
        rows = list(_logs(wanted, found.run.id, chosen_steps, required=step is not None))
    if chosen_format(style, output) is Format.TABLE:
        write("".join(_log_text(row, alone=step is not None) for row in rows), output)
    else:
        emit(rows, columns=LOG_COLUMNS, format=style, output=output)


@app.command()
def abort(
    run: RunArgument,
    show_env: ShowEnvOption = False,
    source: SourceOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Abort an unfinished run.

    Example: runsync runs abort 5751377e7e1bd5f17f050bc4
    """
    style = chosen(format, as_json)
    with target(load_config(config), run, source, pipeline) as wanted:
        aborted = wanted.source.abort(wanted.pipeline, wanted.run_id)
        if aborted is None:
            aborted = wanted.find().run
    note(f"run {aborted.id} is {aborted.status}, {aborted.result}")
    emit_run(aborted, wanted.source.name, style, show_env=show_env, output=output)


# What may be asked.


def _check_filters(
    application: str | None, pipeline: str | None, limit: int | None, skip: int | None
) -> None:
    if bool(application) == bool(pipeline):
        raise ConfigError("give either --pipeline or --application, whose runs are to be listed")
    if limit is not None and not 1 <= limit <= MOST_RUNS:
        raise ConfigError(f"--limit must be from 1 to {MOST_RUNS}, not {limit}; --skip goes on")
    _check_counts(limit, skip)


def _check_counts(limit: int | None, skip: int | None) -> None:
    if limit is not None and not 1 <= limit <= _MOST_STORED:
        raise ConfigError(f"--limit must be from 1 to {_MOST_STORED}, not {limit}")
    if skip is not None and not 1 <= skip <= _MOST_STORED:
        raise ConfigError(
            f"--skip must be from 1 to {_MOST_STORED}, not {skip}; leave it out to skip none"
        )


def _check_word(option: str, word: str | None, known: Sequence[str]) -> None:
    if word is not None and word not in known:
        raise ConfigError(f"{option} {word!r} is not known; {nearest(word, known)}")


# Logs.


def _chosen_steps(steps: Sequence[Step], wanted: str | None, run_id: str) -> list[Step]:
    if wanted is None:
        return list(steps)
    for names in (lambda s: s.id, lambda s: s.name, lambda s: str(s.position)):
        if found := [step for step in steps if names(step) == wanted]:
            return found
    known = nearest(wanted, [step.name for step in steps]) if steps else "it has no steps yet"
    raise ConfigError(f"run {run_id} has no step {wanted!r}; {visible(known)}")


def _logs(
    wanted: Target, run_id: str, steps: Sequence[Step], *, required: bool
) -> Iterator[dict[str, Any]]:
    for step in steps:
        try:
            text = wanted.source.log(wanted.pipeline, run_id, step)
        except NotFoundError:
            if required:
                raise
            note(f"step {step.name!r} has no log")
            continue
        yield {
            "run_id": run_id,
            "step_id": step.id,
            "position": step.position,
            "name": step.name,
            "log": text,
        }


def _log_text(row: dict[str, Any], *, alone: bool) -> str:
    """A log for people: a carriage return ends a line too, as progress bars write it."""
    text = _COLOUR.sub("", row["log"]).replace("\r\n", "\n").replace("\r", "\n")
    head = "" if alone else f"==> {visible(row['name'])} <==\n"
    return head + visible(text, lines=True) + ("" if text.endswith("\n") or not text else "\n")

"""``runsync query``: SQL that only reads, from the shell."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from runsync.cli.app_context import database_url
from runsync.cli.options import (
    ConfigOption,
    FormatOption,
    JsonOption,
    OutputOption,
    chosen,
    seconds,
)
from runsync.cli.output import emit, warn
from runsync.errors import ConfigError


def query(
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One statement; - reads it from stdin.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the statement from FILE.")
    ] = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="SPAN", help="How long it may take: 90s, 5m.")
    ] = "60s",
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows", min=1, max=1_000_000_000, help="How many rows at most; more are cut."
        ),
    ] = 10_000,
    i_know: Annotated[
        bool,
        typer.Option("--i-know", help="Query PostgreSQL even as a role that may write."),
    ] = False,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Run one SQL query on the database; it can only read.

    Tables: pipelines, runs, steps, coverage, syncs. Views with names joined in: v_runs, v_steps,
    v_daily_pass_rates, v_step_durations, v_daily_aborts.

    Example: runsync query "SELECT * FROM v_daily_pass_rates LIMIT 7"
    """
    from runsync.query import ask

    style = chosen(format, as_json)
    statement = _statement(sql, file)
    answer = ask(
        database_url(config),
        statement,
        timeout=seconds(timeout),
        max_rows=max_rows,
        trusted=i_know,
    )
    emit(answer.rows, columns=answer.columns, format=style, output=output)
    if answer.cut:
        warn(f"cut after {max_rows} rows; --max-rows gives more")


def _statement(sql: str | None, file: Path | None) -> str:
    if (sql is None) == (file is None):
        raise ConfigError(
            'name one query: runsync query "SELECT …", runsync query - (from stdin), or --file FILE'
        )
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        return sys.stdin.read() if sql == "-" else str(sql)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the query from {file or 'stdin'}: {error}") from None

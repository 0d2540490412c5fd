"""The commands of ``runsync``, and the options that may stand before them."""

from typing import Annotated, Any

import typer

from runsync.cli.exceptions import InterruptedHereError, ReaderGoneError
from runsync.cli.lazy_group import LazyCommand, LazyGroup
from runsync.cli.logs import DebugOption, QuietOption, VerboseOption
from runsync.cli.options import ConfigOption

_SYNC, _ANALYSE, _LIVE, _OPERATE, _TRY = "Sync", "Analyse", "Live", "Operate", "Try out"

COMMANDS = {
    "init": LazyCommand(_SYNC, ".init:init", "Write a runsync.toml and create the database."),
    "sync": LazyCommand(_SYNC, ".sync:sync", "Bring new, changed and unfinished runs."),
    "status": LazyCommand(_SYNC, ".status:status", "What is stored, and how complete it is."),
    "verify": LazyCommand(_SYNC, ".verify:verify", "Compare with the provider; --repair."),
    "report": LazyCommand(_ANALYSE, ".report:app", "Pass rates, durations, aborts and more."),
    "check": LazyCommand(_ANALYSE, ".check:check", "Rules of the config against the figures."),
    "query": LazyCommand(_ANALYSE, ".query:query", "Read-only SQL."),
    "export": LazyCommand(_ANALYSE, ".export:export", "Runs and steps as Parquet or CSV files."),
    "runs": LazyCommand(_LIVE, ".runs:app", "List, show, trigger and abort runs, live."),
    "pipelines": LazyCommand(_LIVE, ".pipelines:pipelines", "Configured and discovered pipelines."),
    "db": LazyCommand(_OPERATE, ".db:app", "The database's schema."),
    "doctor": LazyCommand(_OPERATE, ".doctor:doctor", "What is wrong, and how to mend it."),
    "schedule": LazyCommand(_OPERATE, ".schedule:app", "A unit for cron, systemd or Kubernetes."),
    "demo": LazyCommand(_TRY, ".demo:demo", "All of it, against a simulated service."),
    "simulate": LazyCommand(_TRY, ".simulate:simulate", "Serve a simulated Wercker."),
}

EXIT_CODES = (
    "Exit codes: 0 done; 1 a bug; 2 usage or config; 3 the source refused the token; 4 done in "
    "part; 5 the database or its schema; 6 a check failed; 75 another sync holds the lock; "
    "130 interrupted."
)


class Root(LazyGroup):
    """All commands. Tells an interruption from a command that itself ends with 130."""

    lazy = COMMANDS

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; Typer would turn both of these into a bare exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedHereError from None
        except BrokenPipeError:
            raise ReaderGoneError from None


app = typer.Typer(
    cls=Root,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from runsync import __version__

        typer.echo(f"runsync {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    config: ConfigOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    debug: DebugOption = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Keeps the history of your CI: every run and every step, in a database of your own.

    Example: runsync demo
    """

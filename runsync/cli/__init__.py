"""The command line. ``main`` is the one place where errors become sentences and exit codes."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from runsync.cli.exceptions import BrokenOffError, InterruptedHereError
from runsync.cli.lazy_group import Lazy, LazyGroup
from runsync.cli.options import ConfigOption
from runsync.errors import RunsyncError
from runsync.text import visible

_KEEP, _ASK, _LIVE, _CARE, _TRY = "Keep", "Ask", "Live", "Care", "Try"
_GRACE_SECONDS = 0.95

COMMANDS = {
    "init": Lazy(_KEEP, "runsync.cli.init:init", "Write a runsync.toml and create the database."),
    "sync": Lazy(_KEEP, "runsync.cli.sync:sync", "Bring new, changed and unfinished runs."),
    "status": Lazy(_KEEP, "runsync.cli.status:status", "What is stored, and how complete it is."),
    "verify": Lazy(_KEEP, "runsync.cli.verify:verify", "Compare with the provider; --repair."),
    "report": Lazy(_ASK, "runsync.cli.report:app", "Pass rates, durations, aborts and more."),
    "query": Lazy(_ASK, "runsync.cli.query:query", "Read-only SQL."),
    "export": Lazy(_ASK, "runsync.cli.export:export", "Runs and steps as Parquet or CSV files."),
    "runs": Lazy(_LIVE, "runsync.cli.runs:app", "List, show, trigger and abort runs, live."),
    "pipelines": Lazy(_LIVE, "runsync.cli.pipelines:pipelines", "The pipelines that are known."),
    "db": Lazy(_CARE, "runsync.cli.db:app", "The database's schema."),
    "doctor": Lazy(_CARE, "runsync.cli.doctor:doctor", "What is wrong, and how to mend it."),
    "schedule": Lazy(_CARE, "runsync.cli.schedule:app", "A unit for cron, systemd or Kubernetes."),
    "demo": Lazy(_TRY, "runsync.cli.demo:demo", "The whole of it, against a simulated service."),
    "simulate": Lazy(_TRY, "runsync.cli.simulate:simulate", "Serve a simulated Wercker."),
}

EXIT_CODES = (
    "Exit codes: 0 done; 1 a bug; 2 usage or config; 3 the source refused the token; 4 done in "
    "part; 5 the database or its schema; 75 another sync holds the lock; 130 interrupted."
)


@dataclass
class Settings:
    """What was said before the subcommand."""

    debug: bool = False


class Root(LazyGroup):
    """All commands. Tells an interruption from a command that ends with 130 by itself."""

    lazy = COMMANDS

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; Typer would turn both of these into a bare exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedHereError from None
        except BrokenPipeError:
            raise BrokenOffError from None


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
    ctx: typer.Context,
    config: ConfigOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="Tell of each request on stderr; -vv of SQL too."
        ),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Keeps the history of your CI: every run and every step, in a database of your own."""
    ctx.ensure_object(Settings).debug = debug
    if verbose:
        _log_to_stderr(verbose)


def main() -> NoReturn:
    """The ``runsync`` command: runs it, and ends the process with its exit code."""
    _end_soon_after_ctrl_c()
    try:
        code = _flushed(run())
    except KeyboardInterrupt:
        code = _say(InterruptedHereError())
    if code == InterruptedHereError.exit_code:
        # Threads may still wait for an answer; nobody waits for them.
        os._exit(code)
    sys.exit(code)


def run(args: Sequence[str] | None = None) -> int:
    """Runs the command line ``args`` (default: the process's); every error becomes a sentence.

    Returns:
        The exit code.
    """
    settings = Settings()
    _make_streams_tolerant()
    try:
        command = get_command(app)
        ended = command.main(args, prog_name="runsync", standalone_mode=False, obj=settings)
    except Exception as error:  # noqa: BLE001 - the one place that catches everything
        return _failed(error, debug=settings.debug)
    return ended if type(ended) is int else 0


def _failed(error: Exception, *, debug: bool) -> int:
    # Typer's own errors have been Click's, or Typer's copy of Click's, from version to version.
    if hasattr(error, "format_message"):
        return _misused(error)
    if debug:
        import traceback

        _write_error(visible("".join(traceback.format_exception(error)), lines=True))
    if isinstance(error, typer.Abort):
        return _say(InterruptedHereError())
    if isinstance(error, BrokenPipeError):
        return _say(BrokenOffError())
    return _say(error) if isinstance(error, RunsyncError) else _bug(error)


def _say(error: RunsyncError) -> int:
    """One line: what a provider wrote must not be able to begin another."""
    if said := " ".join(str(error).split("\n")):
        _write_error(f"runsync: {visible(said)}\n")
    return error.exit_code


def _misused(error: Any) -> int:
    """A usage error, in one sentence; Click's own text takes four lines."""
    ctx = getattr(error, "ctx", None)
    said = error.format_message().strip()
    if said.startswith("Usage:"):
        _write_error(f"{said}\n")
    else:
        where = f"; see `{ctx.command_path} --help`" if ctx else ""
        said = " ".join(visible(said, lines=True).replace("Value error, ", "").split()).rstrip(".")
        _write_error(f"runsync: {said[:1].lower()}{said[1:]}{where}\n")
    return int(error.exit_code)


def _bug(error: Exception) -> int:
    said = visible(" ".join(str(error).split()), limit=200)
    what = type(error).__name__ + (f": {said}" if said else "")
    _write_error(
        f"runsync: this is a bug in runsync ({what}); "
        "`runsync --debug …` shows where, please report that\n"
    )
    return 1


def _flushed(code: int) -> int:
    """Writes out what is still held back; at the end of the process it could not be said."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Else the interpreter would try once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return code or _say(BrokenOffError())
        _write_error(f"runsync: cannot write the output: {error.strerror}\n")
        return code or 2
    return code


def _write_error(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        return  # nobody is left to be told


def _make_streams_tolerant() -> None:
    """A character that the terminal's encoding lacks is shown escaped, and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _log_to_stderr(verbosity: int) -> None:
    """Once: each request. Twice: each statement to the database as well."""
    import logging

    class Visible(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return visible(super().format(record), lines=True)

    handler = logging.StreamHandler()
    handler.setFormatter(Visible("%(asctime)s %(name)s: %(message)s"))
    levels = {"runsync": logging.DEBUG, "urllib3.connectionpool": logging.DEBUG}
    if verbosity > 1:
        levels["sqlalchemy.engine"] = logging.INFO
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)


def _end_soon_after_ctrl_c() -> None:
    """Ends the process a second after Ctrl-C at the latest, whatever still waits for an answer.

    A Python signal handler has to wait for the main thread to come back from C; the wake-up
    descriptor is written to at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch_for_ctrl_c, args=(reader,), daemon=True).start()


def _watch_for_ctrl_c(reader: int) -> None:
    # Without a handler SIGTERM ends the process by itself; `sync` has one.
    while os.read(reader, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
        pass
    time.sleep(_GRACE_SECONDS)
    os.write(2, f"runsync: {InterruptedHereError()}\n".encode())
    os._exit(InterruptedHereError.exit_code)


__all__ = ["COMMANDS", "app", "main", "run"]

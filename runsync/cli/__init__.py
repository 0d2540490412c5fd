"""The command line. ``main`` is the one place where errors become sentences and exit codes."""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.main import get_command

from runsync.cli.app import COMMANDS, app
from runsync.cli.exceptions import InterruptedHereError, ReaderGoneError
from runsync.cli.logs import Verbosity, start_logging
from runsync.errors import ConfigError, RunsyncError
from runsync.text import visible

_GRACE_SECONDS = 0.95
_COLLECT_AFTER = 50_000
"""New objects until garbage is looked for; Python's own 700 take a tenth of a short command."""


def main() -> NoReturn:
    """The ``runsync`` command: runs it, and ends the process with its exit code."""
    gc.set_threshold(_COLLECT_AFTER)
    _open_closed_streams()
    _end_soon_after_ctrl_c()
    try:
        code = _flushed(run())
    except KeyboardInterrupt:
        code = _say(InterruptedHereError())
    if code == InterruptedHereError.exit_code:
        # Threads may still wait for an answer; the process does not wait for them.
        os._exit(code)
    sys.exit(code)


def run(args: Sequence[str] | None = None) -> int:
    """Runs the command line ``args`` (default: the process's); every error becomes a sentence.

    Returns:
        The exit code.
    """
    verbosity = Verbosity()
    start_logging()
    _make_streams_tolerant()
    try:
        command = get_command(app)
        ended = command.main(args, prog_name="runsync", standalone_mode=False, obj=verbosity)
    except Exception as error:  # noqa: BLE001 - the one place that catches everything
        return _failed(error, sys.argv[1:] if args is None else args, debug=verbosity.debug)
    return ended if type(ended) is int else 0


def _failed(error: Exception, args: Sequence[str], *, debug: bool) -> int:
    # Typer's own errors have been Click's, or Typer's copy of Click's, from version to version.
    if hasattr(error, "format_message"):
        return _misused(error)
    if debug:
        import traceback

        _write_error(visible("".join(traceback.format_exception(error)), lines=True))
    if isinstance(error, typer.Abort):
        return _say(InterruptedHereError())
    if isinstance(error, BrokenPipeError):
        return _say(ReaderGoneError())
    if isinstance(error, UnicodeEncodeError) and (number := _first_that_is_no_text(args)):
        return _say(ConfigError(f"argument {number} holds bytes that are no text; write it anew"))
    return _say(error) if isinstance(error, RunsyncError) else _bug(error)


def _first_that_is_no_text(args: Sequence[str]) -> int | None:
    """The place of the first argument with bytes in it that Python could not decode."""
    for number, one in enumerate(args, start=1):
        if any("\udc80" <= char <= "\udcff" for char in one):
            return number
    return None


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
    """Writes out what is still buffered; when the process has ended, no error could be shown."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise the interpreter would try once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return code or _say(ReaderGoneError())
        _write_error(f"runsync: cannot write the output: {error.strerror}\n")
        return code or 2
    return code


def _write_error(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        return  # there is nobody to tell


def _open_closed_streams() -> None:
    """Leads what was closed to nowhere, so that no other file gets its number and our words."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _make_streams_tolerant() -> None:
    """A character that the terminal's encoding lacks is shown escaped, and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _end_soon_after_ctrl_c() -> None:
    """Ends the process a second after Ctrl-C at the latest, even if threads wait for answers.

    A Python signal handler runs only when the main thread comes back from C; the wake-up
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

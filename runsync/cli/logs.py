"""How much a command says on stderr: ``-v``, ``-vv``, ``-q`` and ``--debug``.

They work before the command's name and after it. What was said last wins.
"""

import logging
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.main import get_command

from runsync.text import visible


@dataclass
class Verbosity:
    """What the options have asked for; the root context's object."""

    debug: bool = False


def _set_debug(ctx: typer.Context, debug: bool) -> None:
    if debug:
        ctx.ensure_object(Verbosity).debug = True


def _set_verbose(count: int) -> None:
    if count:
        _log(logging.DEBUG, sql=count > 1)


def _set_quiet(quiet: bool) -> None:
    if quiet:
        _log(logging.ERROR)


VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, show_default=False,
        expose_value=False, callback=_set_verbose,
        help="Log requests and retries on stderr; -vv logs SQL too.",
    ),
]  # fmt: skip
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", expose_value=False, callback=_set_quiet,
        help="Say nothing on stderr but errors.",
    ),
]  # fmt: skip
DebugOption = Annotated[
    bool,
    typer.Option("--debug", expose_value=False, callback=_set_debug, help="Show tracebacks."),
]


def shared_options() -> list[Any]:
    """The options of this module, to be added to a command."""
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)

    @holder.command()
    def shared(
        verbose: VerboseOption = 0, quiet: QuietOption = False, debug: DebugOption = False
    ) -> None: ...

    return list(get_command(holder).params)


def start_logging() -> None:
    """Logs warnings of runsync on stderr, as long as no option says otherwise."""
    _log(logging.WARNING)


def is_quiet() -> bool:
    """Whether ``-q`` was given."""
    return not logging.getLogger("runsync").isEnabledFor(logging.WARNING)


def _log(level: int, *, sql: bool = False) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    levels = {
        "runsync": level,
        "sqlalchemy.engine": logging.INFO if sql else 0,
    }
    for name, own in levels.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler] if own else []
        logger.setLevel(own)


class _Visible(logging.Formatter):
    """A log line cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record), lines=True)

"""Colours for results on a terminal: what failed must not look like what passed.

The word itself is always there, so that nothing depends on the colour. ``NO_COLOR`` and a
``TERM`` of ``dumb`` turn colours off; a pipe or a file never gets any.
"""

import os
import sys

COLUMNS = frozenset({"result", "status", "outcome", "last_outcome"})
"""The columns whose words are coloured."""

_WORDS = {
    "red": "failed failure fail error timeout",
    "yellow": "aborted cancellation partial interrupted warn locked",
    "green": "passed success ok",
    "cyan": "started running",
    "bright_black": "skipped skip notstarted unknown",
}
_COLOURS = {word: colour for colour, words in _WORDS.items() for word in words.split()}


def colour_of(word: str) -> str | None:
    """The colour of a result, a status or an outcome; None for any other word."""
    return _COLOURS.get(word)


def has_colours() -> bool:
    """Whether stdout is a terminal on which colours are wanted."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def coloured(word: str) -> str:
    """The word as stdout is to show it."""
    import typer

    colour = colour_of(word)
    if colour is None or not has_colours():
        return word
    return typer.style(word, fg=colour, bold=colour == "red" or None)

"""Text from strangers, made fit to be shown: what would steer a terminal becomes visible.

A commit message may hold escapes that clear the screen, retitle the window or write to the
clipboard, and bidi controls that make text read as what it is not. Each such character is shown
as what Python would write for it (``\\x1b``, ``\\u202e``), so nothing is lost and nothing acts.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches

# Controls (C0, DEL, C1), bidi controls, what has no width, line separators, lone surrogates and
# tag characters. The joiners U+200C and U+200D stay: scripts and emoji need them.
_UNSAFE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_IN_A_LINE = re.compile(f"[{_UNSAFE}\t\n]")
_IN_LINES = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str, limit: int | None = None, *, lines: bool = False) -> str:
    """The text with everything that acts on a terminal made visible.

    Args:
        limit: how many characters may be given back; a longer text ends in ``…``.
        lines: whether line breaks and tabs are kept, as in a log.
    """
    if lines:
        shown = _IN_LINES.sub(_escaped, text.replace("\r\n", "\n"))
    else:
        shown = _IN_A_LINE.sub(_escaped, text)
    if limit is not None and len(shown) > limit:
        return shown[: max(0, limit - 1)] + "…"
    return shown


def csv_cell(text: str) -> str:
    """The text as a CSV cell that a spreadsheet neither runs as a formula nor chokes on."""
    guard = "'" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else ""
    return guard + visible(text, lines=True)


def escaped_json(text: str) -> str:
    """JSON text whose unsafe characters stand as JSON's own escapes: the same value, but inert.

    In JSON such characters occur within strings alone; line breaks of the layout are kept.
    """
    return _IN_LINES.sub(lambda found: _json_escape(found[0]), text)


def did_you_mean(word: object, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, or a short list."""
    folded = {name.casefold(): name for name in known}
    if near := get_close_matches(str(word).casefold(), list(folded), n=1, cutoff=0.5):
        return f"; did you mean {folded[near[0]]!r}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _json_escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"

"""SVG that can stand in a page under a strict policy: no styles, no links, no ids, no script.

Colours are classes, which the page's style sheet fills in for a light and for a dark screen.
"""

from markupsafe import Markup, escape

from runsync.text import visible

_LONGEST = 160


class Svg:
    """A drawing of this size, in pixels at its natural scale; elements in the order of adding."""

    def __init__(self, width: float, height: float) -> None:
        self._size = f"0 0 {number(width)} {number(height)}"
        self._parts: list[Markup] = []

    def add(self, tag: str, kind: str, text: str | None = None, **attributes: float | str) -> None:
        """Adds an element.

        Args:
            kind: its class.
            text: what a ``text`` element says; for others what a reader who points at it is told.
        """
        named = "".join(
            f' {name.replace("_", "-")}="{number(v) if isinstance(v, float | int) else escape(v)}"'
            for name, v in attributes.items()
        )
        said = Markup("") if text is None else escape(_line(text))
        if text is not None and tag != "text":
            said = Markup("<title>{}</title>").format(said)
        # Tags, classes and names are words of ours, values are escaped.
        self._parts.append(Markup(f'<{tag} class="{kind}"{named}>{said}</{tag}>'))  # noqa: S704

    def drawn(self, title: str, kind: str = "chart") -> Markup:
        """The ``<svg>`` element; ``title`` says what it shows to those who cannot see it."""
        begin = Markup('<svg class="{}" viewBox="{}" role="img"><title>{}</title>').format(
            kind, self._size, _line(title)
        )
        return begin + Markup("").join(self._parts) + Markup("</svg>")


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _line(text: str) -> str:
    return visible(text[: 4 * _LONGEST], _LONGEST)

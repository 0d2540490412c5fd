"""HTML in which text cannot become markup: what is not :class:`Markup` is escaped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from runsync.text import visible

_LONGEST = 100


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head: what it says, what it counts, and whether figures stand under it."""

    text: str
    meaning: str | None = None
    figure: bool = False


def shown(text: str, longest: int = _LONGEST) -> Markup:
    """Text of unknown origin: harmless, shortened, and free to run from right to left."""
    return tag("bdi", visible(text[: longest * 4], longest))


def tag(name: str, *content: object, **attributes: object) -> Markup:
    """An element. An attribute's last ``_`` is dropped (``class_``); None leaves it away."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{said}>{joined(*content)}</{name}>")


def joined(*content: object) -> Markup:
    """Pieces one after the other; None is nothing."""
    return Markup("".join(_html(piece) for piece in content if piece is not None))


def each(name: str, contents: Iterable[object], **attributes: object) -> Markup:
    """One element for each piece."""
    return joined(*(tag(name, content, **attributes) for content in contents))


def table(heads: Mapping[str, Head], rows: Iterable[Mapping[str, Any]]) -> Markup:
    """A table that scrolls sideways where it is too wide; ``heads`` by column, in order."""
    side = {name: "n" if head.figure else None for name, head in heads.items()}
    head = joined(
        *(
            tag("th", head.text, scope="col", class_=side[name], title=head.meaning)
            for name, head in heads.items()
        )
    )
    body = (
        joined(*(tag("td", _cell(row.get(name)), class_=side[name]) for name in heads))
        for row in rows
    )
    made = tag("table", tag("thead", tag("tr", head)), tag("tbody", each("tr", body)))
    return tag("div", made, class_="wide", tabindex="0", role="region", aria_label="table")


def _cell(value: object) -> object:
    if value is None:
        return tag("span", "–", class_="none", title="not enough data")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, Markup) else shown(str(value))


def _html(piece: object) -> str:
    return piece if isinstance(piece, Markup) else escape(str(piece))

"""Figures as SVG that can stand in a page under a strict policy: no styles, no links, no script."""

import io
import re
import warnings
from itertools import count
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from markupsafe import Markup

from runsync.text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#(.+?)\)")
# The page's own style says these for all charts.
_LEFT_TO_THE_PAGE = ("font-family", "font")
_LONGEST = 160


def svg_of(figure: "Figure", title: str, name: str) -> Markup:
    """The figure as an ``<svg>`` element, the same for the same figure.

    Args:
        title: what it shows, for those who cannot see it.
        name: what its inner ids begin with; unique in the page.
    """
    file = io.StringIO()
    with warnings.catch_warnings():
        # A character that the measuring font lacks; the reader's browser has other fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    root = ET.fromstring(file.getvalue())  # noqa: S314 - matplotlib wrote it
    _without_metadata(root)
    _with_own_ids(root, name)
    for element in root.iter():
        _without_style(element)
    _introduced(root, title)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    text = re.sub(r"\s*\n\s*", " ", ET.tostring(root, encoding="unicode"))
    return Markup(text)  # noqa: S704 - ElementTree has escaped all text in it


def _without_metadata(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)


def _with_own_ids(root: ET.Element, name: str) -> None:
    """Renames the ids that something refers to, and drops all others."""
    used = {e.get(_HREF, "#")[1:] for e in root.iter()}
    used |= {found for e in root.iter() for found in _REFERENCE.findall(e.get("clip-path", ""))}
    numbers = count(1)
    names = {old: f"{name}-{next(numbers)}" for old in _ids(root) if old in used}
    for element in root.iter():
        if new := names.get(element.attrib.pop("id", "")):
            element.set("id", new)
        if link := element.get(_HREF):
            element.set(_HREF, f"#{names[link[1:]]}")
        if clip := element.get("clip-path"):
            element.set("clip-path", _REFERENCE.sub(lambda m: f"url(#{names[m[1]]})", clip))


def _ids(root: ET.Element) -> list[str]:
    return list(dict.fromkeys(i for e in root.iter() if (i := e.get("id"))))


def _without_style(element: ET.Element) -> None:
    """Says in attributes what was said in a style, which the page's policy forbids."""
    for part in element.attrib.pop("style", "").split(";"):
        prop, _, value = part.partition(":")
        if value and prop.strip() not in _LEFT_TO_THE_PAGE:
            element.set(prop.strip(), value.strip())
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _introduced(root: ET.Element, title: str) -> None:
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    label = ET.Element(f"{{{_SVG}}}title")
    label.text = visible(title[: 4 * _LONGEST], _LONGEST)
    root.insert(0, label)

"""What strangers wrote, shown without acting."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from runsync.text import csv_cell, escaped_json, visible

anything = st.text(st.characters(codec=None, exclude_categories=()))

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")


def acts(text: str, allowed: str = "") -> list[str]:
    """The characters of a text that steer a terminal or hide what it says."""
    return [
        c for c in text if (unicodedata.category(c) in _CONTROLS or c in _BIDI) and c not in allowed
    ]


@given(anything)
def test_nothing_that_acts_is_left_in_a_line(text: str) -> None:
    assert acts(visible(text)) == []


@given(anything)
def test_line_breaks_and_tabs_alone_are_left_in_lines(text: str) -> None:
    assert acts(visible(text, lines=True), "\n\t") == []


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_each_is_shown_as_what_it_is() -> None:
    text = "a\x1b[2Jb\x9bc\u202ed\te\nf\rg\ud800h\U000e0041\x7f"
    assert visible(text) == ("a\\x1b[2Jb\\x9bc\\u202ed\\te\\nf\\rg\\ud800h\\U000e0041\\x7f")


def test_scripts_and_emoji_that_need_joiners_keep_them() -> None:
    family = "👩\u200d💻 می\u200cخواهم"
    assert visible(family) == family


@given(anything, st.integers(1, 30))
def test_shortened_text_is_no_longer_than_was_asked(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert shown.endswith("…") or shown == visible(text)


@given(anything)
def test_escaped_json_is_inert_and_means_the_same(text: str) -> None:
    written = json.dumps({"x": text}, ensure_ascii=False)
    safe = escaped_json(written)
    assert acts(safe) == []
    assert json.loads(safe) == {"x": text}


@given(anything)
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    assert csv_cell(text)[:1] not in {"=", "+", "-", "@", "\t", "\r"}


def test_a_cell_that_is_no_formula_gets_no_quote() -> None:
    assert csv_cell("1 - 2 = -1") == "1 - 2 = -1"

"""The README as text: its sections, code blocks and tables."""

import re
from functools import cache

from tests.structure.code import ROOT


@cache
def readme() -> str:
    """The whole text."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading, up to the next one of that level.

    Raises:
        KeyError: there is no such heading.
    """
    level = r"^(?P<hashes>##+) " + re.escape(title) + r"\n(?P<body>.*?)(?=^(?P=hashes) |\Z)"
    found = re.search(level, readme(), re.DOTALL | re.MULTILINE)
    if found is None:
        raise KeyError(title)
    return found["body"]


def blocks(language: str, text: str | None = None) -> list[str]:
    """The code blocks of a language, in their order; of the whole README by default."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", text or readme(), flags=re.DOTALL | re.MULTILINE
    )


def table_rows(text: str) -> list[list[str]]:
    """The cells of every table row in a text, without the rulers."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line[:1] == "|"]
    stripped = [[cell.strip() for cell in row] for row in rows]
    return [row for row in stripped if not all(set(cell) <= set("-: ") for cell in row)]


def questions() -> dict[int, str]:
    """The SQL of each numbered question."""
    found = re.findall(
        r"^\*\*(\d+)\. .*?^```sql\n(.*?)^```",
        section("Ten questions and their SQL"),
        flags=re.DOTALL | re.MULTILINE,
    )
    return {int(number): sql for number, sql in found}

"""What a report's section of the HTML page shows, as a declaration; ``page/`` draws it.

Captions may hold ``{every}``, the period of the page, and ``{hollow}``, what hollow points mean.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Band:
    """A figure and the ends of what is drawn around it, by the names of their columns."""

    value: str
    low: str
    high: str


P50_TO_P95 = Band("p50", "p50", "p95")


@dataclass(frozen=True, slots=True)
class Trends:
    """A figure over time: a panel for each of the busiest pipelines, or one for all together.

    Attributes:
        sum: the words before the whole window's figure, above the panel.
        near_one: whether the axis begins just below the lowest value and ends at 100%.
    """

    band: Band
    sum: str = ""
    most: int = 6
    near_one: bool = False
    per_pipeline: bool = True


@dataclass(frozen=True, slots=True)
class Ranking:
    """The greatest rows, one below the other, each with a bar or an interval and a note.

    Attributes:
        band: None: the report's rate with its Wilson interval.
        shape: bars from 0 to the value with a line to ``high``, or points in their interval.
        greatest: the columns by which the greatest are chosen.
        note: the column whose value stands at each row, ``note_unit`` what follows it.
        name: of the panel; None: a panel for each of the busiest pipelines, under its name.
        sum: what the notes are, above the panel.
    """

    title: str
    greatest: tuple[str, ...]
    note: str
    sum: str
    band: Band | None = None
    shape: Literal["bars", "intervals"] = "bars"
    name: str | None = None
    note_unit: str = ""
    most: int = 8


@dataclass(frozen=True, slots=True)
class WeekdayHours:
    """A duration by weekday and hour, for each of the busiest pipelines: the darker, the longer."""

    column: str
    title: str
    most: int = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of the section's table.

    Attributes:
        by: what they are grouped by.
        greatest: the columns by which the greatest come first; () keeps the report's order.
        earliest: the column by which the earliest comes first among equals.
        positive: a column; rows without a positive value in it are left out.
        trend: a column that is followed over time in each row.
        link: the column whose words lead to the row's ``web_url``.
    """

    by: tuple[str, ...] = ("pipeline",)
    greatest: tuple[str, ...] = ()
    earliest: str | None = None
    positive: str | None = None
    trend: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One figure at the top of the page.

    Attributes:
        figure: ``main`` is the main figure with its interval or its 95th percentile; ``sum`` adds
            the column up; ``known`` counts the rows in which it is not missing.
    """

    title: str
    about: str
    figure: Literal["main", "sum", "known"] = "main"
    column: str = ""
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """How the page tells that the main figure has changed.

    Attributes:
        name: what the figure is called.
        more: what is said of a pipeline whose figure has become greater, such as "takes longer".
        less: the same where it has become less.
        worse: which of the two is bad news.
        as_complement: whether sentences tell 1 - figure: failures for a pass rate.
    """

    name: str
    more: str
    less: str
    worse: Literal["more", "less"] = "more"
    as_complement: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A report's part of the page.

    Attributes:
        caption: below the panels.
        change: how a change of the main figure is told; None: it is not.
    """

    panels: tuple[Trends | Ranking | WeekdayHours, ...]
    caption: str
    rows: Rows = Rows()
    cards: tuple[Card, ...] = ()
    change: Change | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys by which the section wants its report grouped."""
        asked = [self.rows.by, *(card.by for card in self.cards), ("pipeline",)]
        if any(isinstance(panel, WeekdayHours) for panel in self.panels):
            asked.append(("weekday", "hour"))
        return tuple(dict.fromkeys(key for keys in asked for key in keys))

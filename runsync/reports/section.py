"""What a report's section of the HTML page shows, as a declaration; ``page/`` draws it.

Captions may hold ``{every}``, the period of the page, and ``{hollow}``, what hollow points mean.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias


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
        positive: a column; rows without a positive value in it are left out.
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
    positive: str | None = None


@dataclass(frozen=True, slots=True)
class WeekdayHours:
    """A duration by weekday and hour, for each of the busiest pipelines: the darker, the longer."""

    column: str
    title: str
    most: int = 3


@dataclass(frozen=True, slots=True)
class StateNow:
    """Of each pipeline whether its default branch is broken, and by what. It makes its section the
    first of the page, and the table below it tells of the other branches."""


@dataclass(frozen=True, slots=True)
class ChangePoints:
    """The report's changes are told among what has changed, in sentences with a chart each."""


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
        only_alive: whether branches without a run in the last thirty days are left out.
    """

    by: tuple[str, ...] = ("pipeline",)
    greatest: tuple[str, ...] = ()
    earliest: str | None = None
    positive: str | None = None
    trend: str | None = None
    link: str | None = None
    only_alive: bool = False


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
        complement: what 1 - figure is called, which sentences and their charts tell in its place.
        is_share: whether the figure is a share of 1; else it is a duration.
        by_step: the report that tells the same by step, and ``most_in`` its column that tells in
            which step most of a change is.
    """

    name: str
    more: str
    less: str
    worse: Literal["more", "less"] = "more"
    complement: str = ""
    is_share: bool = True
    by_step: str | None = None
    most_in: str | None = None


Panels: TypeAlias = Trends | Ranking | WeekdayHours | StateNow | ChangePoints


@dataclass(frozen=True, slots=True)
class Section:
    """A report's part of the page.

    Attributes:
        caption: below the panels.
        change: how a change of the main figure is told; None: it is not.
    """

    panels: tuple[Panels, ...]
    caption: str
    rows: Rows = Rows()
    cards: tuple[Card, ...] = ()
    change: Change | None = None

    @property
    def is_state(self) -> bool:
        """Whether the section tells what is so now."""
        return any(isinstance(panel, StateNow) for panel in self.panels)

    @property
    def has_change_points(self) -> bool:
        """Whether the page tells the report's rows as changes."""
        return any(isinstance(panel, ChangePoints) for panel in self.panels)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys by which the section wants its report grouped."""
        asked = [self.rows.by, *(card.by for card in self.cards), ("pipeline",)]
        if any(isinstance(panel, WeekdayHours) for panel in self.panels):
            asked.append(("weekday", "hour"))
        return tuple(dict.fromkeys(key for keys in asked for key in keys))

    def problems(
        self, columns: Collection[str], *, is_rate: bool, is_compared: bool, has_own_keys: bool
    ) -> Iterator[str]:
        """What the page could not show of a report, in sentences.

        Args:
            columns: of the report.
            is_rate: whether its main figure is a rate; ``is_compared``: whether it has one.
            has_own_keys: whether its rows have keys beside those that they are grouped by.
        """
        for name in self._shown:
            if name not in columns:
                yield f"the section shows {name!r}, which is no column of the report"
        for panel in self.panels:
            if isinstance(panel, Trends) and has_own_keys:
                yield "Trends needs one row per pipeline and period; there are implied keys"
            if isinstance(panel, Ranking) and panel.band is None and not is_rate:
                yield "a Ranking without a band needs a rate as the main figure"
        if not is_compared and any(card.figure == "main" for card in self.cards):
            yield "a Card of the main figure needs one"
        if self.change and (has_own_keys or not is_compared):
            yield "a change needs a main figure, and rows without implied keys"

    @property
    def _shown(self) -> Iterator[str]:
        """The names of all columns that the section shows."""
        bands = [p.band for p in self.panels if isinstance(p, Trends | Ranking) and p.band]
        yield from (name for b in bands for name in (b.value, b.low, b.high))
        yield from (p.column for p in self.panels if isinstance(p, WeekdayHours))
        rankings = [p for p in self.panels if isinstance(p, Ranking)]
        yield from (name for p in rankings for name in (*p.greatest, p.note))
        yield from (p.positive for p in rankings if p.positive)
        rows = self.rows
        yield from rows.greatest
        yield from filter(None, (rows.earliest, rows.positive, rows.trend, rows.link))
        yield from (card.column for card in self.cards if card.figure != "main")

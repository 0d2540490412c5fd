"""One page with all reports, that needs nothing but a browser, and no network.

Everything from outside is escaped and made visible. The page's own policy lets it load nothing,
take its looks from its one style sheet and run its one script, which only sorts and filters.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runsync import __version__
from runsync.reports import rows
from runsync.reports.coverage_notes import PipelineCoverage, minute
from runsync.reports.definitions import REPORTS
from runsync.reports.load import Reader
from runsync.reports.page.changes import changes_view
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.panels import section_view
from runsync.reports.page.state import state_view
from runsync.reports.page.tables import Cell, Head, Table, TableRow, meanings
from runsync.reports.query_spec import Query
from runsync.reports.report import Rate, Report
from runsync.reports.section import Card
from runsync.text import visible

_LONGEST = 100
_NAMED = 4
_NOTES = 10


@dataclass(frozen=True, slots=True)
class CardView:
    """One figure at the top of the page, as the template draws it."""

    title: str
    figure: str
    about: str


def render_page(reader: Reader, query: Query) -> str:
    """All reports as one self-contained HTML page.

    Args:
        query: without keys; its ``every`` is the period in which figures are followed over time.
    """
    with Dataset(reader, query) as dataset:
        style, script = _file("page.css"), _file("page.js")
        shown_runs = {} if dataset.span is None else _sections(dataset)
        return environment().get_template("page.html").render(
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            style_hash=_hash(style),
            script_hash=_hash(script),
            version=__version__,
            now=minute(dataset.moment),
            window=_window(dataset),
            pipelines=[p.label for p in query.pipelines],
            branches=query.branches,
            named=_NAMED,
            notes=[note for one in dataset.coverage for note in one.notes()][:_NOTES],
            has_runs=dataset.span is not None,
            **shown_runs,
        )  # fmt: skip


def _file(name: str) -> str:
    return files("runsync.reports.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def environment() -> Environment:
    """Templates in which no text from outside becomes markup or acts on a reader's screen."""
    made = Environment(
        loader=PackageLoader("runsync.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_controls,
    )
    made.filters |= {"shown": shown, "attribute": _attribute, "cell": _cell, "linked": linked}
    return made


def shown(text: str, longest: int = _LONGEST) -> Markup:
    """Text of unknown origin: harmless, shortened, and free to run from right to left."""
    return Markup("<bdi>{}</bdi>").format(visible(text[: longest * 4], longest))


def _attribute(text: str, longest: int = 2 * _LONGEST) -> str:
    """Text of unknown origin as an attribute, by which the script tells rows apart."""
    return visible(text[: longest * 4], longest)


def _without_controls(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def _cell(cell: Cell, head: Head) -> Markup:
    """A table's cell; what it says under which head stands for narrow screens."""
    is_blank = cell.text is None and cell.chart is None
    kinds = [
        "n" if head.is_figure else "",
        "key-cell" if head.is_key else "",
        "spare" if head.is_spare else "",
        "blank" if is_blank else "",
        cell.kind,
    ]
    kind = " ".join(filter(None, kinds))
    order = Markup(' data-order="{}"').format(cell.order) if cell.order is not None else ""
    begin = Markup('<td class="{}" data-label="{}"{}>').format(kind, head.text, order)
    return begin + _inner(cell) + Markup("</td>")


def _inner(cell: Cell) -> Markup:
    if cell.chart is not None:
        return cell.chart
    if cell.text is None:
        return Markup('<span class="none" title="not enough data">–</span>')
    return linked(shown(cell.text), cell.link)


def linked(text: Markup, url: str | None) -> Markup:
    """The text as a link that tells the other site nothing about the page; without one as it is."""
    if url is None:
        return text
    return Markup('<a href="{}" rel="noreferrer noopener">{}</a>').format(visible(url), text)


def _sections(dataset: Dataset) -> dict[str, object]:
    reports = list(REPORTS.values())
    shared, own = meanings(reports)
    states = [state_view(dataset, report) for report in reports if report.section.is_state]
    return {
        "states": states,
        "cards": [_card(dataset, r, card) for r in reports for card in r.section.cards],
        "changes": changes_view(dataset, reports),
        "sections": [section_view(dataset, r) for r in reports if not r.section.is_state],
        "shared": shared,
        "meanings": own,
        "coverage": _coverage(dataset),
    }


def _window(dataset: Dataset) -> str:
    window, span = dataset.query.window, dataset.span
    if span is None and (window.since is None or window.until is None):
        return f"up to {_day(dataset, window.end)}"
    begin = window.since or (span[0] if span else window.end)
    end = window.until or (span[1] if span else window.end)
    return f"{_day(dataset, begin)} to {_day(dataset, end)}"


def _day(dataset: Dataset, when: datetime) -> str:
    return f"{when.astimezone(dataset.query.window.zone):%Y-%m-%d}"


def _card(dataset: Dataset, report: Report, card: Card) -> CardView:
    frame = dataset.table(report, *card.by)
    about = card.about.format(pipelines=f"{len(dataset.query.pipelines):,}")
    if card.figure == "sum":
        return CardView(card.title, f"{frame[card.column].sum():,}", about)
    if card.figure == "known":
        return CardView(card.title, f"{frame[card.column].notna().sum():,}", about)
    return CardView(card.title, *_main_figure(report, frame, about))


def _main_figure(report: Report, frame: pd.DataFrame, about: str) -> tuple[str, str]:
    """The figure of all runs together, and what stands under it."""
    column = report.main.column
    known = frame.dropna(subset=[column])
    if known.empty:
        return "–", about
    row = known.iloc[0]
    if isinstance(report.main, Rate):
        low, high = (rows.percent(row[f"{column}_{end}"]) for end in ("low", "high"))
        return rows.percent(row[column]), f"{about}; 95% interval {low.rstrip('%')}–{high}"
    return rows.duration(row[column]), f"{about}; p95 {rows.duration(row['p95'])}"


def _coverage(dataset: Dataset) -> Table:
    heads = {
        "pipeline": Head("pipeline", is_key=True),
        "source": Head("source"),
        "since": Head("complete from"),
        "until": Head("to its last sync at"),
        "gaps": Head("gaps in between", None, True),
        "without_steps": Head("runs without their steps", None, True),
    }
    return Table(heads, [_covered(one) for one in dataset.coverage], len(dataset.coverage))


def _covered(one: PipelineCoverage) -> TableRow:
    said = {
        "pipeline": one.pipeline.label,
        "source": one.pipeline.source,
        "since": minute(one.since) if one.since else "the window's beginning",
        "until": minute(one.until) if one.until else "never synced in this window",
        "gaps": f"{len(one.gaps):,}",
        "without_steps": f"{len(one.without_steps):,}",
    }
    return TableRow({name: Cell(text) for name, text in said.items()}, one.pipeline.label)

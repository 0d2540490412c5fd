"""One page with all reports, that needs nothing but a browser: no network, no script.

Everything from outside is escaped and made visible, and the page's own policy lets it load
nothing and take its looks from its one style sheet alone.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runsync import __version__
from runsync.reports import rows
from runsync.reports.coverage_notes import minute
from runsync.reports.definitions import REPORTS
from runsync.reports.load import Reader
from runsync.reports.page.changes import changes_view
from runsync.reports.page.components import Head, Table, section_view
from runsync.reports.page.dataset import Dataset
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
    dataset = Dataset(reader, query)
    style = files("runsync.reports.page").joinpath("page.css").read_text(encoding="utf-8")
    shown = {} if dataset.span is None else _sections(dataset)
    return environment().get_template("page.html").render(
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=__version__,
        database=reader.name,
        now=minute(query.window.now),
        window=_window(dataset),
        pipelines=[p.label for p in query.pipelines],
        branches=query.branches,
        named=_NAMED,
        notes=[note for one in dataset.coverage for note in one.notes()][:_NOTES],
        has_runs=dataset.span is not None,
        **shown,
    )  # fmt: skip


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
    made.filters |= {"shown": shown, "cell": _cell}
    return made


def shown(text: str, longest: int = _LONGEST) -> Markup:
    """Text of unknown origin: harmless, shortened, and free to run from right to left."""
    return Markup("<bdi>{}</bdi>").format(visible(text[: longest * 4], longest))


def _without_controls(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def _cell(value: object) -> Markup:
    if value is None:
        return Markup('<span class="none" title="not enough data">–</span>')
    if isinstance(value, int) and not isinstance(value, bool):
        return escape(f"{value:,}")
    return shown(str(value))


def _sections(dataset: Dataset) -> dict[str, object]:
    reports = list(REPORTS.values())
    return {
        "cards": [_card(dataset, r, card) for r in reports for card in r.section.cards],
        "changes": changes_view(dataset, reports),
        "sections": [section_view(dataset, report) for report in reports],
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
    return rows.duration(row[column]), f"{about}; 19 of 20 within {rows.duration(row['p95'])}"


def _coverage(dataset: Dataset) -> Table:
    heads = {
        "pipeline": Head("pipeline"),
        "source": Head("source"),
        "since": Head("complete from"),
        "until": Head("to its last sync at"),
        "gaps": Head("gaps in between", None, True),
        "without_steps": Head("runs without their steps", None, True),
    }
    made: list[dict[str, object]] = [
        {
            "pipeline": one.pipeline.label,
            "source": one.pipeline.source,
            "since": minute(one.since) if one.since else "the window's beginning",
            "until": minute(one.until) if one.until else "never synced in this window",
            "gaps": len(one.gaps),
            "without_steps": len(one.without_steps),
        }
        for one in dataset.coverage
    ]
    return Table(heads, made)

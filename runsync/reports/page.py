"""One page with all reports, that needs nothing but a browser: no network, no script.

Everything from outside is escaped and made visible, and the page's own policy lets it load
nothing and take its looks from its one style sheet alone.
"""

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime, tzinfo
from importlib.resources import files

import pandas as pd

from runsync import __version__
from runsync.reports import rows
from runsync.reports.ask import Wanted, Words, asking
from runsync.reports.changes import changes
from runsync.reports.frames import AnyDatabase, reading
from runsync.reports.markup import Head, Markup, each, joined, shown, table, tag
from runsync.reports.notes import minute
from runsync.reports.sections import sections
from runsync.reports.study import Study, suited_period
from runsync.reports.window import Moment, Window

_NAMED = 4


def html(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    every: str | None = None,
    tz: str | tzinfo | None = None,
) -> str:
    """All reports as one self-contained HTML page; the keywords are those of any report.

    ``every`` is the period in which figures are followed over time; None suits it to the window.
    Where ``since`` is None all history is told, and the last thirty days are compared with the
    thirty before.
    """
    with reading(db) as reader:
        ask = asking(
            reader, "pass_rates", since=since, until=until, pipelines=pipelines,
            branches=branches, every=every, tz=tz,
        )  # fmt: skip
        study = Study(reader, ask.scope, ask.pipelines, ask.every or "")
        if study.span is not None and not ask.every:
            study.every = suited_period(study.span[1] - study.span[0])
        return _document(study)


def _document(study: Study) -> str:
    style = files("runsync.reports").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = joined(
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="referrer" content="no-referrer">'),
        tag("title", f"CI history, {_window(study)}"),
        tag("style", Markup(style)),
    )
    body = tag("body", _header(study), tag("main", *_main(study)), _footer(study))
    return f'<!DOCTYPE html>\n<html lang="en">{tag("head", head)}{body}</html>\n'


def _header(study: Study) -> Markup:
    return tag(
        "header",
        tag("h1", "CI history"),
        tag("p", _scope(study), class_="scope"),
        tag(
            "p", "Told by ", shown(study.reader.name, 200), f" on {minute(study.scope.window.now)}"
        ),
    )


def _main(study: Study) -> Iterator[Markup]:
    yield _coverage_notes(study)
    if study.span is None:
        yield tag("p", "No runs in this window.", class_="nothing")
        return
    made = list(sections(study))
    links = [
        ("changes", "Changes"),
        *((r.name, r.title) for r, _ in made),
        ("coverage", "Coverage"),
    ]
    yield _cards(study)
    yield tag("nav", *(tag("a", title, href=f"#{id}") for id, title in links))
    yield changes(study)
    yield from (section for _, section in made)
    yield _coverage(study)


def _scope(study: Study) -> Markup:
    names = [p.label for p in study.pipelines]
    listed = [joined(", " if i else "", shown(name, 40)) for i, name in enumerate(names[:_NAMED])]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    branches = study.scope.branches
    on = "" if branches is None else joined(" on ", *(shown(b, 40) for b in branches[:_NAMED]))
    created = tag("span", _window(study), class_="when")
    return joined("Runs of ", *listed, more, on, ", created ", created)


def _window(study: Study) -> str:
    window = study.scope.window
    if study.span is None and (window.since is None or window.until is None):
        return f"up to {_day(window, window.end)}"
    begin = window.since or (study.span[0] if study.span else window.end)
    end = window.until or (study.span[1] if study.span else window.end)
    return f"{_day(window, begin)} to {_day(window, end)}"


def _day(window: Window, when: datetime) -> str:
    return f"{when.astimezone(window.zone):%Y-%m-%d}"


def _cards(study: Study) -> Markup:
    finished = study.table("pass_rates")["finished"].sum()
    cards = (
        ("Finished runs", f"{finished:,}", f"of {len(study.pipelines):,} pipelines"),
        _rate_card(
            "Pass rate", study.table("pass_rates"), "pass_rate", "passed / (passed + failed)"
        ),
        _rate_card("Aborted", study.table("abort_frequencies"), "abort_rate", "of finished runs"),
        _time_card("Median run", study.table("run_durations"), "start to end"),
        _time_card("Median wait", study.table("queue_times"), "creation to start"),
        _broken_card(study.table("recoveries", "pipeline", "branch")),
    )
    return tag("div", *(_card(*card) for card in cards), class_="cards")


def _card(name: str, figure: str, more: str) -> Markup:
    said = joined(tag("dt", name), tag("dd", figure), tag("dd", more, class_="more"))
    return tag("dl", said, class_="card")


def _rate_card(name: str, frame: pd.DataFrame, column: str, what: str) -> tuple[str, str, str]:
    known = frame.dropna(subset=[column])
    if known.empty:
        return name, "–", what
    low, high = (rows.percent(known[f"{column}_{end}"].iloc[0]) for end in ("low", "high"))
    said = f"{what}; 95% interval {low.rstrip('%')}–{high}"
    return name, rows.percent(known[column].iloc[0]), said


def _time_card(name: str, frame: pd.DataFrame, what: str) -> tuple[str, str, str]:
    if frame.empty:
        return name, "–", what
    row = frame.iloc[0]
    return name, rows.duration(row["p50"]), f"{what}; 19 of 20 within {rows.duration(row['p95'])}"


def _broken_card(frame: pd.DataFrame) -> tuple[str, str, str]:
    broken = int(frame["open_since"].notna().sum())
    return "Broken now", f"{broken:,}", "branches whose last verdict is a failure after a pass"


def _coverage_notes(study: Study) -> Markup:
    notes = [note for held in study.held for note in held.notes()]
    if not notes:
        return joined()
    head = tag("b", "These reports do not know all of the window:")
    return tag(
        "div", head, tag("ul", each("li", (shown(n, 200) for n in notes[:10]))), class_="notes"
    )


def _coverage(study: Study) -> Markup:
    heads = {
        "pipeline": Head("pipeline"),
        "source": Head("source"),
        "since": Head("complete from"),
        "until": Head("to its last sync at"),
        "gaps": Head("gaps in between", None, True),
    }
    made = [
        {
            "pipeline": held.pipeline.label,
            "source": held.pipeline.source,
            "since": minute(held.since) if held.since else "the window's beginning",
            "until": minute(held.until) if held.until else "never synced in this window",
            "gaps": len(held.gaps),
        }
        for held in study.held
    ]
    about = "Of which part of the window every run is known to be in the database."
    head = joined(tag("h2", "Coverage"), tag("p", about, class_="about"))
    return tag("section", head, table(heads, made), id="coverage")


def _footer(study: Study) -> Markup:
    return tag(
        "footer",
        tag("p", "Durations, rates and counts are defined under each table. A run belongs to the "
            "period in which it was created. Quantiles are linear between ranks; intervals of "
            "rates are Wilson's, of their differences Newcombe's, of medians' differences made "
            "of ranks. A dash means that there is not enough to say."),
        tag("p", f"Made by runsync {__version__} at {minute(study.scope.window.now)}."),
    )  # fmt: skip

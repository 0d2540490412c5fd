"""The page's section on what has changed: main figures against the window before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from runsync.reports import charts, rows
from runsync.reports.charts import Unit
from runsync.reports.markup import Head, Markup, joined, table, tag
from runsync.reports.notes import minute
from runsync.reports.parts import chart_rows, panel, panels
from runsync.reports.study import Study

_FIGURES = {
    "pass_rates": "pass rate",
    "abort_frequencies": "abort rate",
    "run_durations": "median run",
    "queue_times": "median wait",
}
_CHARTED, _ROWS, _BARS = ("pass_rates", "run_durations"), 24, 10
_HEADS = {
    "what": Head("figure"),
    "pipeline": Head("pipeline"),
    "before": Head("before", "in the window before", True),
    "after": Head("after", "in this window", True),
    "change": Head("change", "after - before", True),
    "interval": Head("95% interval", "of the change", True),
    "verdict": Head("verdict", "whether chance alone explains it"),
}


def changes(study: Study) -> Markup:
    """What has changed beyond chance, and what has not."""
    frames = {name: study.comparison(name, "pipeline") for name in _FIGURES}
    known = {name: frame.dropna(subset=["change"]) for name, frame in frames.items()}
    told = [row for name, frame in known.items() for row in _told(_FIGURES[name], frame)]
    head = joined(tag("h2", "Changes"), tag("p", _about(study), class_="about"))
    if not told:
        head = joined(head, tag("p", "No runs in both windows.", class_="nothing"))
        return tag("section", head, id="changes")
    told.sort(key=lambda row: not isinstance(row["verdict"], Markup))
    drawn = [_chart(name, known[name]) for name in _CHARTED if len(known[name])]
    caption = "Changes with their 95% intervals; those beyond chance are orange."
    body = panels(drawn, caption), _count(told), table(_HEADS, told[:_ROWS])
    return tag("section", head, *body, id="changes")


def _about(study: Study) -> str:
    window = study.compared
    if window.since is None:
        return "The main figures against those of the window before."
    return (
        f"The main figures from {minute(window.since)} to {minute(window.end)} against those of "
        "the window of the same length before. A change is beyond chance where its 95% interval "
        "leaves out no change at all; runs are taken for independent of each other."
    )


def _told(what: str, frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of the table; the verdict is markup where it is beyond chance."""
    _, readable = rows.readable(frame)
    for row, change, beyond in zip(readable, frame["change"], frame["beyond_chance"], strict=True):
        interval = None if pd.isna(beyond) else f"{row['low'].removesuffix(' pp')} to {row['high']}"
        yield row | {"what": what, "interval": interval, "verdict": _verdict(change, beyond)}


def _verdict(change: Any, beyond: Any) -> str:
    if pd.isna(beyond):
        return "too few runs to say"
    if not beyond:
        return "within chance"
    word = "higher" if change > type(change)(0) else "lower"
    return tag("span", f"{word}, beyond chance", class_="beyond")


def _chart(name: str, frame: pd.DataFrame) -> Markup:
    unit: Unit = "s" if frame["change"].dtype.kind == "m" else "points"
    widest = frame.loc[frame["change"].abs().nlargest(_BARS).index].sort_index()
    worded = rows.readable(widest)[1]
    dots = [
        replace(dot, strong=bool(beyond) and not pd.isna(beyond))
        for dot, beyond in zip(
            chart_rows(
                widest,
                widest["pipeline"],
                ("change", "low", "high"),
                (row["change"] for row in worded),
            ),
            widest["beyond_chance"],
            strict=True,
        )
    ]
    title = f"Change of the {_FIGURES[name]} by pipeline"
    chart = charts.intervals(dots, title, f"changes-{name}", unit=unit, around_zero=True)
    return panel(chart, f"change of the {_FIGURES[name]}")


def _count(told: list[dict[str, Any]]) -> Markup:
    beyond = sum(isinstance(row["verdict"], Markup) for row in told)
    said = (
        f"{beyond} of {len(told)} changes are beyond chance. If nothing had really changed, "
        f"about {max(1, round(len(told) / 20))} would still look so."
    )
    return tag("p", said)

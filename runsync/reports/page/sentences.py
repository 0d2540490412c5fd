"""Changes in sentences, with a chart of each: "fails more since 12 Oct: 12% → 31%"."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from markupsafe import Markup

from runsync.reports import rows
from runsync.reports.definitions import REPORTS
from runsync.reports.page import charts
from runsync.reports.page.dataset import Dataset
from runsync.reports.page.panels import trend_of, unit_of
from runsync.reports.page.scales import above
from runsync.reports.report import Rate, Report
from runsync.reports.section import P50_TO_P95, Band, Change

_RECENT = timedelta(days=90)
_TOGETHER = timedelta(days=7)
_MOST = 12


@dataclass(frozen=True, slots=True)
class Sentence:
    """A change that chance does not explain, in words and as a chart.

    Attributes:
        says: such as "fails more".
        when: since when, or against which window.
        where: in which step most of it is; ``step``: the one that all of it is about.
        runs: how many the figures are made of.
    """

    pipeline: str
    figure: str
    says: str
    when: str
    before: str
    after: str
    is_worse: bool
    chart: Markup | None = None
    where: str | None = None
    step: str | None = None
    runs: int | None = None


def sentences_of_comparison(
    dataset: Dataset, report: Report, change: Change, frame: pd.DataFrame
) -> Iterator[Sentence]:
    """A sentence for each row of a comparison that is beyond chance."""
    since = dataset.compared.since
    assert since is not None  # noqa: S101 - only windows that begin somewhere are compared
    for row in frame[frame["beyond_chance"].fillna(False)].to_dict("records"):
        pipeline = str(row["pipeline"])
        yield _sentence(
            change,
            row,
            pipeline=pipeline,
            when=f"than before {day_in_words(dataset, since)}",
            chart=_chart(dataset, report, change, since, pipeline),
            runs=int(row["n_after"]),
            where=_commonest_step(dataset, change, pipeline, since),
        )


def sentences_of_change_points(dataset: Dataset, report: Report) -> Iterator[Sentence]:
    """A sentence for each recent change, the newest first.

    Changes of a step about the time at which its whole pipeline changed are told with that.
    """
    frame = dataset.table(report, "pipeline")
    recent = frame[frame["at"] >= dataset.query.window.end - _RECENT]
    whole, of_steps = recent[recent["step"].isna()], recent[recent["step"].notna()]
    for row in whole.head(_MOST).to_dict("records"):
        near = of_steps[_belongs(of_steps, row)]
        yield from _dated(dataset, row, where=None if near.empty else str(near["step"].iloc[0]))
    for row in of_steps.head(_MOST).to_dict("records"):
        if not _belongs(whole, row).any():
            yield from _dated(dataset, row, step=str(row["step"]))


def day_in_words(dataset: Dataset, when: datetime) -> str:
    """``12 Oct``, with the year where it is not the page's."""
    local = when.astimezone(dataset.query.window.zone)
    year = "" if local.year == dataset.moment.year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


def _belongs(frame: pd.DataFrame, row: dict[Any, Any]) -> "pd.Series[bool]":
    """Which rows are of the same pipeline and figure, and of about the same time."""
    same = (frame["pipeline"] == row["pipeline"]) & (frame["figure"] == row["figure"])
    found: pd.Series[bool] = same & ((frame["at"] - row["at"]).abs() <= _TOGETHER)
    return found


def _dated(
    dataset: Dataset, row: dict[Any, Any], *, where: str | None = None, step: str | None = None
) -> Iterator[Sentence]:
    """The sentence of a change point, where a report tells of changes of that figure."""
    found = (r for r in REPORTS.values() if r.section.change and r.main.column == row["figure"])
    report = next(found, None)
    if report is None or report.section.change is None:
        return
    change, at, pipeline = report.section.change, row["at"], str(row["pipeline"])
    if step is None and where is None:
        where = _commonest_step(dataset, change, pipeline, at)
    shown = REPORTS[change.by_step] if step is not None and change.by_step else report
    yield _sentence(
        change,
        row,
        pipeline=pipeline,
        when=f"since {day_in_words(dataset, at)}",
        chart=_chart(dataset, shown, change, at, pipeline, step),
        runs=int(row["runs"]),
        where=where,
        step=step,
    )


def _sentence(change: Change, row: dict[Any, Any], **more: Any) -> Sentence:
    is_more = row["after"] > row["before"]
    return Sentence(
        figure=change.name,
        says=change.more if is_more else change.less,
        before=_figure(row["before"], change),
        after=_figure(row["after"], change),
        is_worse=is_more == (change.worse == "more"),
        **more,
    )


def _commonest_step(dataset: Dataset, change: Change, pipeline: str, since: datetime) -> str | None:
    """The step that ``most_in`` counts most often in the periods that began since then."""
    if change.by_step is None or change.most_in is None:
        return None
    over = dataset.table(REPORTS[change.by_step], "pipeline", over_time=True)
    begin = pd.Timestamp(since.astimezone(dataset.query.window.zone).date())
    late = over[(over["pipeline"] == pipeline) & (over["period"] >= begin)]
    counts = late.groupby("step", observed=True)[change.most_in].sum()
    return str(counts.idxmax()) if counts.sum() > 0 else None


def _chart(
    dataset: Dataset,
    report: Report,
    change: Change,
    at: datetime,
    pipeline: str,
    step: str | None = None,
) -> Markup | None:
    """What the sentence tells of the pipeline or step, over time, with a line at the change."""
    over = dataset.table(report, "pipeline", over_time=True)
    over = over[over["pipeline"] == pipeline]
    if step is not None:
        over = over[over["step"] == step].drop_duplicates("period")
    if over.empty:
        return None
    column = report.main.column
    is_rate = isinstance(report.main, Rate)
    band = Band(column, f"{column}_low", f"{column}_high") if is_rate else P50_TO_P95
    drawn, unit, name = trend_of(over, band, dataset.every), unit_of(over[column]), change.name
    if change.complement:
        name = change.complement
        drawn = drawn.complement() if report.section.change == change else drawn
    bounds = (0.0, above(drawn.high, 0.01 if unit == "share" else 1.0))
    marked = [at.astimezone(dataset.query.window.zone).date()]
    title = f"{name} of {step or pipeline} per {dataset.every}"
    return charts.trend_chart(drawn, title, unit=unit, bounds=bounds, marked=marked)


def _figure(value: Any, change: Change) -> str:
    """A share, a duration, or a duration's seconds in words."""
    if isinstance(value, pd.Timedelta):
        return rows.duration(value)
    if not change.is_share:
        return rows.duration(pd.Timedelta(seconds=value))
    return rows.percent(1 - value if change.complement else value)

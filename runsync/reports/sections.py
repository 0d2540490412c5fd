"""The sections of the page: of each report what it counts, a few charts, and a table."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from runsync.reports import charts, rows
from runsync.reports.columns import (
    ABORT_FREQUENCIES,
    FLAKY_STEPS,
    PASS_RATES,
    QUEUE_TIMES,
    RECOVERIES,
    RUN_DURATIONS,
    STEP_DURATIONS,
    Report,
)
from runsync.reports.groups import WEEKDAYS
from runsync.reports.intervals import wilson
from runsync.reports.markup import Markup, joined, tag
from runsync.reports.parts import (
    chart_rows,
    numbers,
    panel,
    panels,
    report_table,
    step_labels,
    trend_panel,
)
from runsync.reports.study import Study

_PANELS, _STEP_PANELS, _BARS = 6, 3, 8
_TOP = 1.012
_ALL = "all pipelines"
_PASS = ("pass_rate", "pass_rate_low", "pass_rate_high")
_ABORT = ("abort_rate", "abort_rate_low", "abort_rate_high")
_TIMES = ("p50", "p50", "p95")


def sections(study: Study) -> Iterator[tuple[Report, Markup]]:
    """Every report with its section."""
    for report, make in _MAKERS:
        head = joined(tag("h2", report.title), tag("p", report.about, class_="about"))
        yield report, tag("section", head, make(study), id=report.name)


def _pass_rates(study: Study) -> Markup:
    frame = study.table("pass_rates", "pipeline")
    over = study.table("pass_rates", "pipeline", over_time=True)
    bounds = (_floor(over["pass_rate_low"]), _TOP)
    made = [
        trend_panel(
            study, part, _PASS, name, rows.percent(whole["pass_rate"]), id=id, bounds=bounds
        )
        for id, name, whole, part in _busiest(study, frame, over, "pass")
        if not pd.isna(whole["pass_rate"])
    ]
    caption = f"Pass rate per {study.every} with its 95% interval. {_hollow(study)}"
    return joined(panels(made, caption), report_table(PASS_RATES, frame))


def _run_durations(study: Study) -> Markup:
    frame = study.table("run_durations", "pipeline")
    over = study.table("run_durations", "pipeline", over_time=True)
    made = [
        trend_panel(study, part, _TIMES, name, f"median {rows.duration(whole['p50'])}", id=id)
        for id, name, whole, part in _busiest(study, frame, over, "runs")
    ]
    caption = f"Median per {study.every}, shaded up to the 95th percentile. {_hollow(study)}"
    return joined(panels(made, caption), report_table(RUN_DURATIONS, frame))


def _step_durations(study: Study) -> Markup:
    frame = study.table("step_durations", "pipeline")
    made = []
    for id, name, _, steps in _busiest(study, frame, frame, "steps", _STEP_PANELS):
        top = steps.head(_BARS)
        bars = chart_rows(top, step_labels(top), _TIMES, map(rows.percent, top["share"]))
        title = f"Median and 95th percentile of the durations of {name}'s steps"
        made.append(panel(charts.bars(bars, title, id), name, "share of step time"))
    caption = "Bars reach to the median, lines to the 95th percentile."
    by_total = frame.sort_values("total", ascending=False, kind="stable")
    return joined(panels(made, caption), report_table(STEP_DURATIONS, by_total))


def _queue_times(study: Study) -> Markup:
    frame = study.table("queue_times", "pipeline")
    over = study.table("queue_times", "pipeline", over_time=True)
    made = [
        trend_panel(study, part, _TIMES, name, f"median {rows.duration(whole['p50'])}", id=id)
        for id, name, whole, part in _busiest(study, frame, over, "queue", _PANELS - 1)
    ]
    if made:
        made.append(_by_hour(study))
    caption = (
        f"Median wait per {study.every}, shaded up to the 95th percentile. {_hollow(study)} "
        "Last: median wait by the weekday and hour in which the run was created."
    )
    return joined(panels(made, caption), report_table(QUEUE_TIMES, frame))


def _by_hour(study: Study) -> Markup:
    frame = study.table("queue_times", "weekday", "hour")
    known = frame.assign(seconds=numbers(frame["p50"]))
    grid = known.pivot(index="weekday", columns="hour", values="seconds")
    values = grid.reindex(index=list(WEEKDAYS), columns=range(24)).to_numpy(np.float64)
    days = [day[:3] for day in WEEKDAYS]
    chart = charts.heat(values, days, "Median wait by weekday and hour", "queue-when")
    return panel(chart, "all pipelines, by hour", f"darkest: {rows.duration(frame['p50'].max())}")


def _aborts(study: Study) -> Markup:
    frame = study.table("abort_frequencies", "pipeline")
    made = []
    if len(frame):
        over = study.table("abort_frequencies", over_time=True)
        rate = rows.percent(study.table("abort_frequencies")["abort_rate"].iloc[0])
        made.append(trend_panel(study, over, _ABORT, _ALL, rate, id="aborts-0"))
        often = frame.nlargest(_BARS, "abort_rate")
        dots = chart_rows(often, often["pipeline"], _ABORT, (f"{n:,}" for n in often["aborted"]))
        chart = charts.intervals(dots, "Abort rate by pipeline", "aborts-1", unit="share")
        made.append(panel(chart, "by pipeline", "aborted runs"))
    caption = f"Aborted as a share of finished runs, with 95% intervals. {_hollow(study)}"
    return joined(panels(made, caption), report_table(ABORT_FREQUENCIES, frame))


def _recoveries(study: Study) -> Markup:
    frame = study.table("recoveries", "pipeline").nlargest(_BARS, "failures")
    times = (f"{n:,}×" for n in frame["failures"])
    bars = chart_rows(frame, frame["pipeline"], ("p50", "p50", "p90"), times)
    made = []
    if bars:
        chart = charts.bars(bars, "Time to recovery by pipeline", "recoveries-0")
        made.append(panel(chart, "time to recovery", "times broken"))
    caption = "Bars reach to the median, lines to the time within which nine of ten were mended."
    branches = study.table("recoveries", "pipeline", "branch")
    worst = branches.sort_values(
        ["failures", "open_since"], ascending=[False, True], kind="stable", na_position="last"
    )
    return joined(panels(made, caption), report_table(RECOVERIES, worst))


def _flaky_steps(study: Study) -> Markup:
    every = study.table("flaky_steps", "pipeline")
    frame = every[every["flaky_commits"] > 0].sort_values(
        ["flake_rate", "flaky_commits"], ascending=False, kind="stable"
    )
    top = frame.head(_BARS)
    low, high = wilson(top["flaky_commits"], top["commits"])
    dots = chart_rows(
        top.assign(low=low, high=high),
        step_labels(top, pipeline=True),
        ("flake_rate", "low", "high"),
        (f"{n:,}" for n in top["flaky_commits"]),
    )
    made = []
    if dots:
        chart = charts.intervals(dots, "Flake rate of the flakiest steps", "flaky-0", unit="share")
        made.append(panel(chart, "the flakiest steps", "flaky commits"))
    caption = (
        f"With 95% intervals. {len(every) - len(frame):,} of {len(every):,} steps showed none."
    )
    return joined(panels(made, caption), report_table(FLAKY_STEPS, frame))


def _busiest(
    study: Study, frame: pd.DataFrame, over: pd.DataFrame, id: str, most: int = _PANELS
) -> Iterator[tuple[str, str, pd.Series, pd.DataFrame]]:
    """Of the pipelines with the most finished runs: an id, the name, its row, and its rows over."""
    runs = study.table("pass_rates", "pipeline").nlargest(most, "finished")["pipeline"]
    for number, name in enumerate(runs):
        rows_of, whole = over[over["pipeline"] == name], frame[frame["pipeline"] == name]
        if len(rows_of) and len(whole):
            yield f"{id}-{number}", name, whole.iloc[0], rows_of


def _hollow(study: Study) -> str:
    return (
        f"Hollow points: a {study.every} that is not over, cut by the window, or not wholly synced."
    )


def _floor(lows: pd.Series) -> float:
    """A round share below all of these, so that small differences near 100% can be seen."""
    least = lows.min()
    return 0.0 if pd.isna(least) else float(np.floor(least * 10) / 10) - 0.012


_MAKERS: tuple[tuple[Report, Callable[[Study], Markup]], ...] = (
    (PASS_RATES, _pass_rates),
    (RUN_DURATIONS, _run_durations),
    (STEP_DURATIONS, _step_durations),
    (QUEUE_TIMES, _queue_times),
    (ABORT_FREQUENCIES, _aborts),
    (RECOVERIES, _recoveries),
    (FLAKY_STEPS, _flaky_steps),
)

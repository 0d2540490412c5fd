"""What each report gives: its columns, what each counts, and in which dtype."""

from dataclasses import dataclass
from enum import Enum

import pandas as pd

from runsync.reports.categories import TEXT
from runsync.reports.groups import RUN_KEYS, STEP_KEYS, WEEKDAYS


class Kind(Enum):
    """What a column holds, and its dtype in a frame."""

    COUNT = "int64"
    RATE = "float64"
    DURATION = "timedelta64[us]"
    TIME = "datetime64[us, UTC]"
    DAY = "datetime64[us]"
    FLAG = "bool"
    MAYBE = "boolean"
    TEXT = "text"
    WEEKDAY = "weekday"


def as_kind(values: object, kind: Kind) -> pd.Series:
    """A column in its kind's dtype; durations come as milliseconds."""
    series = pd.Series(values)
    if kind is Kind.DURATION:
        return pd.to_timedelta((series.astype("float64") * 1000).round(), unit="us").astype(
            kind.value
        )
    if kind is Kind.TIME:
        return pd.to_datetime(series, utc=True).astype(kind.value)
    if kind is Kind.TEXT:
        return pd.Series(series.astype(object).to_numpy(), dtype=TEXT)
    if kind is Kind.WEEKDAY:
        return series.astype(pd.CategoricalDtype(list(WEEKDAYS), ordered=True))
    return series.astype(kind.value)


KEY_KINDS = {
    "pipeline": Kind.TEXT,
    "source": Kind.TEXT,
    "branch": Kind.TEXT,
    "author": Kind.TEXT,
    "weekday": Kind.WEEKDAY,
    "hour": Kind.COUNT,
    "step": Kind.TEXT,
    "job": Kind.TEXT,
    "period": Kind.DAY,
    "partial": Kind.FLAG,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One figure: its name, what it holds, and what it counts, in words."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    Attributes:
        name: of its function; ``command`` of its command.
        main: the figure that a comparison compares.
        keys: what it can be grouped by; ``by`` what it is grouped by if nobody says.
        implied: keys that are always there, behind those that were asked for.
    """

    name: str
    command: str
    title: str
    about: str
    main: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...] = RUN_KEYS
    by: tuple[str, ...] = ("pipeline",)
    implied: tuple[str, ...] = ()


def _counts(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.COUNT, meaning) for name, meaning in meanings.items())


def _interval(rate: str) -> tuple[Column, ...]:
    return (
        Column(f"{rate}_low", Kind.RATE, "lower end of its 95% interval (Wilson)"),
        Column(f"{rate}_high", Kind.RATE, "upper end of its 95% interval (Wilson)"),
    )


def _durations(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.DURATION, meaning) for name, meaning in meanings.items())


_SPREAD = _durations(
    mean="their mean",
    p50="their median",
    p90="nine of ten took no longer than this",
    p95="nineteen of twenty took no longer than this",
    max="the longest",
)

PASS_RATES = Report(
    "pass_rates",
    "pass-rates",
    "Pass rates",
    "How many of the runs that passed or failed have passed. Aborted, skipped and unknown runs "
    "are counted beside, and are not in the rate.",
    "pass_rate",
    (
        *_counts(
            finished="runs that have finished, however",
            passed="finished runs that passed",
            failed="finished runs that failed",
            aborted="finished runs that were aborted",
            skipped="finished runs that were skipped",
            unknown="finished runs whose result the provider does not tell",
        ),
        Column("pass_rate", Kind.RATE, "passed / (passed + failed)"),
        *_interval("pass_rate"),
    ),
)

STEP_DURATIONS = Report(
    "step_durations",
    "step-durations",
    "Step durations",
    "How long steps took: finished steps that ran, whatever their result. Skipped steps and steps "
    "without a start or an end are left out.",
    "p50",
    (
        *_counts(count="finished steps that ran"),
        *_SPREAD,
        *_durations(total="the time of all of them together"),
        Column("share", Kind.RATE, "of the time of all steps of its group"),
    ),
    keys=STEP_KEYS,
    implied=("step",),
)

ABORT_FREQUENCIES = Report(
    "abort_frequencies",
    "aborts",
    "Aborts",
    "How many of the finished runs were aborted, how long they had run, and in which step.",
    "abort_rate",
    (
        *_counts(
            finished="runs that have finished, however",
            aborted="finished runs that were aborted",
        ),
        Column("abort_rate", Kind.RATE, "aborted / finished"),
        *_interval("abort_rate"),
        *_counts(never_started="aborted runs that were aborted before they started"),
        *_durations(
            median_time_to_abort="median time from start to abort of the aborted runs that started"
        ),
        Column(
            "last_step",
            Kind.TEXT,
            "the step most of them were in: the last, by position, that had started",
        ),
    ),
)

QUEUE_TIMES = Report(
    "queue_times",
    "queue-times",
    "Queue times",
    "How long runs waited from their creation to their start: every run that has started.",
    "p50",
    (*_counts(count="runs that have started"), *_SPREAD),
)

RUN_DURATIONS = Report(
    "run_durations",
    "run-durations",
    "Run durations",
    "How long runs took from their start to their end: every finished run that started, whatever "
    "its result.",
    "p50",
    (*_counts(count="finished runs that had started"), *_SPREAD),
)

RECOVERIES = Report(
    "recoveries",
    "recovery",
    "Recoveries",
    "How long a branch of a pipeline stayed broken: from the end of the first failure after a "
    "pass to the end of the next pass. Aborted, skipped and unknown runs are ignored. Listed are "
    "those that broke in the window, or were still broken at its end.",
    "p50",
    (
        *_counts(failures="times it broke in the window: first failures after a pass"),
        Column("open_since", Kind.TIME, "since when it is broken, where it still is"),
        *_durations(
            mean_time_to_recovery="mean time to the next pass; a break still open is not in it",
            p50="its median",
            p90="nine of ten were mended within this",
        ),
    ),
    by=("pipeline", "branch"),
)

FLAKY_STEPS = Report(
    "flaky_steps",
    "flaky",
    "Flaky steps",
    "Steps that both passed and failed on one commit of a pipeline. The rate is a lower bound: "
    "a commit that was tried once cannot show it.",
    "flake_rate",
    (
        *_counts(
            commits="commits on which the step passed or failed",
            flaky_commits="commits on which it did both",
        ),
        Column("flake_rate", Kind.RATE, "flaky_commits / commits"),
    ),
    keys=STEP_KEYS,
    implied=("step",),
)

REPORTS = {
    report.name: report
    for report in (
        PASS_RATES,
        STEP_DURATIONS,
        ABORT_FREQUENCIES,
        QUEUE_TIMES,
        RUN_DURATIONS,
        RECOVERIES,
        FLAKY_STEPS,
    )
}


def shaped(table: pd.DataFrame, keys: tuple[str, ...], columns: tuple[Column, ...]) -> pd.DataFrame:
    """The table with exactly these columns, in this order and in their dtypes."""
    kinds = {key: KEY_KINDS[key] for key in keys} | {c.name: c.kind for c in columns}
    return pd.DataFrame(
        {name: as_kind(table[name].to_numpy(), kind) for name, kind in kinds.items()}
    )

"""Reports on the history in the database, as tidy frames.

Every function takes the database first (a URL, an engine or a :class:`runsync.Database`), then
only keywords, the same for all:

``since``, ``until``
    which runs: those created in ``[since, until)``. A ``datetime`` or ``date``, ISO 8601 text, or
    an age such as ``"30d"``, ``"12h"``, ``"8w"``. A date means its midnight. None: no limit.
``pipelines``
    names, ids, or unique beginnings of ids. None: all.
``branches``
    names. None: all.
``by``
    what to group by, of ``pipeline source branch author weekday hour``, for steps ``step job``
    as well. ``()`` makes one row of all.
``every``
    ``day``, ``week`` (ISO, from Monday) or ``month``: one row for each, with ``period``, its
    first day, and ``partial``: whether the period is not over, is cut by the window, or is not
    wholly covered by what was synced. A run belongs to the period in which it was created, a
    break of :func:`recoveries` to that of the run that broke it. A period without any runs has
    no row.
``tz``
    the zone in which days, weekdays and hours are told and times without a zone are read; UTC.

The frames hold the group columns, ``period`` and ``partial`` where asked for, and then the
figures of the report, always in the same order and dtypes, however little there is: counts are
``int64``, rates ``float64`` as shares of 1, durations ``timedelta64``. A figure with nothing
behind it is missing (NaN, NaT), never 0. Quantiles are linear between ranks; intervals are at
95%. Every function raises :class:`runsync.errors.ConfigError` for what it cannot understand and
:class:`runsync.errors.DatabaseError` for a database that it cannot read.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import tzinfo

import pandas as pd

from runsync.reports import comparing
from runsync.reports.ask import Wanted, Words, asking
from runsync.reports.build import build
from runsync.reports.columns import REPORTS
from runsync.reports.frames import AnyDatabase, reading
from runsync.reports.groups import By
from runsync.reports.notes import held
from runsync.reports.page import html
from runsync.reports.window import Every, Moment

Keys = By | Iterable[By]

__all__ = [
    "REPORTS",
    "abort_frequencies",
    "compare",
    "flaky_steps",
    "html",
    "lacking",
    "pass_rates",
    "queue_times",
    "recoveries",
    "run_durations",
    "step_durations",
]


def pass_rates(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline",),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
) -> pd.DataFrame:
    """How many of the runs that passed or failed have passed.

    Figures: ``finished passed failed aborted skipped unknown``; ``pass_rate``, which is
    passed / (passed + failed); ``pass_rate_low pass_rate_high``, its Wilson interval. Aborted,
    skipped and unknown runs are counted, and are not in the rate.
    """
    return build("pass_rates", db, **_given(locals()))


def step_durations(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline",),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
    result: str | None = None,
) -> pd.DataFrame:
    """How long steps took: finished steps that ran (neither skipped nor without a duration).

    Figures: ``step``, then ``count mean p50 p90 p95 max total`` and ``share``, the part that
    the step has in the total of its group. ``job`` stands behind ``step`` where any of the
    steps has one. The steps that took most in total come first in their group.

    Args:
        result: counts only steps that ended so, such as ``"passed"``.
    """
    return build("step_durations", db, **_given(locals()))


def abort_frequencies(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline",),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
) -> pd.DataFrame:
    """How many of the finished runs were aborted, after how long, and in which step.

    Figures: ``finished aborted``; ``abort_rate``, which is aborted / finished;
    ``abort_rate_low abort_rate_high``, its Wilson interval; ``never_started``, those aborted
    before they started; ``median_time_to_abort``, from start to abort, of those that started;
    ``last_step``, the step that most of them were in. A run was in the last of its steps, by
    position, that had started; of steps equally common the first by name is given.
    """
    return build("abort_frequencies", db, **_given(locals()))


def queue_times(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline",),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
) -> pd.DataFrame:
    """How long runs waited from creation to start: every run that has started.

    Figures: ``count mean p50 p90 p95 max``.
    """
    return build("queue_times", db, **_given(locals()))


def run_durations(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline",),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
    result: str | None = None,
) -> pd.DataFrame:
    """How long runs took from start to end: every finished run that started.

    Figures: ``count mean p50 p90 p95 max``.

    Args:
        result: counts only runs that ended so, such as ``"passed"``.
    """
    return build("run_durations", db, **_given(locals()))


def recoveries(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline", "branch"),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
) -> pd.DataFrame:
    """How long branches stayed broken.

    A branch of a pipeline breaks when a run fails after one that passed, and is mended by the
    next that passes; runs are taken in the order in which they finished, and those that were
    aborted or skipped are ignored. Runs before the window tell whether its first failure broke
    the branch or found it broken. Runs after it are not looked at.

    Figures: ``failures``, the times it broke in the window; ``open_since``, when the oldest
    break that is still open began, be it before the window; ``mean_time_to_recovery p50 p90``,
    from the end of the failure to the end of the pass, of those that began in the window and
    are mended. Groups without any break have no row.
    """
    return build("recoveries", db, **_given(locals()))


def flaky_steps(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys = ("pipeline",),
    every: Every | None = None,
    tz: str | tzinfo | None = None,
) -> pd.DataFrame:
    """Steps that both passed and failed on one commit of a pipeline.

    Figures: ``step`` (and ``job``, as in :func:`step_durations`), ``commits`` on which it passed
    or failed, ``flaky_commits`` on which it did both, ``flake_rate``, their quotient: a lower
    bound, as a commit that was tried once cannot show it. With ``every`` (and by weekday or hour)
    a commit counts where its first run in the window is.
    """
    return build("flaky_steps", db, **_given(locals()))


def compare(
    db: AnyDatabase,
    report: str = "pass_rates",
    *,
    since: Moment | None = "30d",
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    branches: Words | None = None,
    by: Keys | None = None,
    every: None = None,
    tz: str | tzinfo | None = None,
    result: str | None = None,
) -> pd.DataFrame:
    """A report's main figure in the window and in the one of the same length before it.

    Compared are ``pass_rate``, ``abort_rate``, ``flake_rate``, and of times the median (``p50``).

    Figures: ``before after``; ``change``, which is after - before; ``low high``, its 95%
    interval; ``beyond_chance``, whether that leaves out 0, and missing where there is too little
    to say (a median needs six values on either side). For rates it is Newcombe's interval, made
    of the two Wilson intervals; for medians the same is made of two intervals between ranks,
    which holds for durations however they are spread. Of many rows without any real change about
    one in twenty will be called beyond chance all the same.

    Args:
        report: the name of one of the other functions, or of its command.
        since: where the window begins; it must begin somewhere.
        by: as in that function, which also says the default.
        every: must be None; the two windows are the periods.
        result: as in :func:`step_durations`.
    """
    return comparing.compare(db, report, **_given(locals()))


def lacking(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: Wanted | None = None,
    tz: str | tzinfo | None = None,
    compared: bool = False,
) -> list[str]:
    """What reports on this window do not know, in sentences; empty where it is wholly covered.

    A pipeline's history is known as far as it was synced without a gap. What came after the
    last sync is not held against it.

    Args:
        compared: whether the window before is needed as well.
    """
    with reading(db) as reader:
        asked = {"since": since, "until": until, "pipelines": pipelines, "tz": tz}
        ask = asking(reader, "pass_rates", **asked)  # type: ignore[arg-type]
        span = ask.scope.window
        if compared:
            span = replace(span, since=span.before().since)
        found = held(span, ask.pipelines, reader.intervals())
    return [sentence for one in found for sentence in one.notes()]


def _given(names: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in names.items() if name not in ("db", "report")}

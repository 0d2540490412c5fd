"""Reports on the history in the database, as tidy frames.

Every function takes the database first (a URL, an engine or a :class:`runsync.Database`), then
only keywords, the same for all: ``since until pipelines branches by every tz``. The help text of
each function, such as ``help(reports.pass_rates)``, explains them and its columns. An archive is
a history too: ``archive:history/`` or ``archive:s3://bucket/ci`` alone, or behind a database's URL,
``sqlite:///runsync.db+archive:history/``, for what is sealed in it.

The frames hold the group columns, ``period`` and ``partial`` where asked for, and then the
figures of the report, always in the same order and dtypes, however little there is: counts are
``int64``, rates ``float64`` as shares of 1, durations ``timedelta64``. A figure with nothing
behind it is missing (NaN, NaT), never 0. Quantiles are linear between ranks; intervals are at
95%. Every function raises :class:`runsync.errors.ConfigError` for what it cannot understand and
:class:`runsync.errors.DatabaseError` for a database that it cannot read.
"""

from collections.abc import Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING

from runsync.reports.definitions import REPORTS, report_named
from runsync.reports.query_spec import By, Every, Moment, PipelineWords, QuerySpec, Words
from runsync.reports.report import (
    AnyDatabase,
    ReportFunction,
    Workers,
    crew_of,
    function_of,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd

__all__ = ["compare", "html", "lacking", *REPORTS]


def compare(
    db: AnyDatabase,
    report: str = "pass_rates",
    *,
    since: Moment | None = "28d",
    until: Moment | None = None,
    pipelines: PipelineWords | None = None,
    branches: Words | None = None,
    by: By | Iterable[By] | None = None,
    every: None = None,
    tz: str | tzinfo | None = None,
    result: str | None = None,
    figure: str | None = None,
    workers: Workers = 1,
    executor: "Executor | None" = None,
) -> "pd.DataFrame":
    """A report's figure in the window and in the one of the same length before it.

    Compared are ``pass_rate``, ``abort_rate``, ``flake_rate``, and of times the median (``p50``)
    or another ``figure``.

    Figures: ``before after``; ``change``, which is after - before; ``low high``, the 95% interval
    of that row alone; ``n_before n_after``, how many each is made of; ``p_value``, how likely
    chance makes such a change in any of the rows; ``beyond_chance``, whether that is at most 0.05.
    The last two are missing where there is too little to say.

    Runs are not taken for independent: how much they vary together is measured between blocks of
    a seventh of the window (four days of 28), and counts as so much less data. What drives runs
    for longer than a window, such as a season, cannot be told from a change. Rates are compared
    by their difference, with Newcombe's interval; medians by the ranks of all values (Mann and
    Whitney), other quantiles by how many values lie above that of both windows, with intervals
    between ranks; means by their difference. P-values are corrected for the number of rows
    (Benjamini and Hochberg).

    Args:
        report: the name of one of the other functions, or of its command.
        since: where the window begins; it must begin somewhere.
        every: must be None; the two windows are the periods.
        figure: of durations ``p50``, ``p90``, ``p95`` or ``mean``; None: the median.
        workers: as of the other functions; ``executor`` too.
    """
    from runsync.reports.comparison import comparison
    from runsync.reports.load import open_reader

    definition = report_named(report)
    definition.check_comparable()
    spec = QuerySpec(
        since=since, until=until, pipelines=pipelines, branches=branches, by=by, every=every,
        tz=tz, result=result,
    )  # fmt: skip
    with open_reader(db, crew_of(workers, executor)) as reader:
        return comparison(reader, definition, reader.query(spec, definition), figure)


def html(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: PipelineWords | None = None,
    branches: Words | None = None,
    every: Every | None = None,
    tz: str | tzinfo | None = None,
    workers: Workers = 1,
    executor: "Executor | None" = None,
) -> str:
    """All reports as one self-contained HTML page.

    Where ``since`` is None all history is shown, and the last 28 days are compared with the
    28 before.

    Args:
        every: the period in which figures are followed over time; None suits it to the window.
        workers: as of the other functions; ``executor`` too.
    """
    from runsync.reports.load import open_reader
    from runsync.reports.page.render import render_page

    spec = QuerySpec(
        since=since, until=until, pipelines=pipelines, branches=branches, every=every, tz=tz
    )
    with open_reader(db, crew_of(workers, executor)) as reader:
        return render_page(reader, reader.query(spec))


def lacking(
    db: AnyDatabase,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    pipelines: PipelineWords | None = None,
    tz: str | tzinfo | None = None,
    compared: bool = False,
) -> list[str]:
    """What reports on this window do not know, in sentences; empty where it is wholly covered.

    A pipeline's history is known as far as it was synced without a gap. What came after the
    last sync is not counted as lacking.

    Args:
        compared: whether the window before is needed as well.
    """
    from runsync.reports.coverage_notes import lacking_in
    from runsync.reports.load import open_reader

    spec = QuerySpec(since=since, until=until, pipelines=pipelines, tz=tz)
    with open_reader(db) as reader:
        return lacking_in(reader, reader.query(spec), compared=compared)


def __dir__() -> list[str]:
    """What users call; the rest is reached by its module."""
    return sorted(__all__)


if TYPE_CHECKING:

    def __getattr__(name: str) -> ReportFunction: ...


globals().update({report.name: function_of(report) for report in REPORTS.values()})

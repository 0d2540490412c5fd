"""What a report is asked for: the arguments that all reports share, and the checks on them.

A window is half-open: ``since`` belongs to it, ``until`` does not, so that neighbouring windows
share no run. A date means its midnight in the report's zone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, tzinfo
from math import inf
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, available_timezones

from runsync import timespan
from runsync.errors import ConfigError
from runsync.records import Result
from runsync.storage.pipelines import StoredPipeline, chosen, listed
from runsync.text import did_you_mean

if TYPE_CHECKING:
    from runsync.reports.report import Report

Moment: TypeAlias = datetime | date | str
Every: TypeAlias = Literal["day", "week", "month"]
By: TypeAlias = Literal[
    "pipeline", "source", "branch", "author", "event", "weekday", "hour", "step", "job", "runner"
]
Words: TypeAlias = str | Iterable[str | None]
PipelineWords: TypeAlias = str | int | Iterable[str | int]

EVERY: tuple[str, ...] = get_args(Every)
BY: tuple[str, ...] = get_args(By)
DEFAULT_BRANCH = "default"
"""Among branches it means each pipeline's own default one."""

OF_STEPS = frozenset({"step", "job", "runner"})
"""The keys that whole runs have not."""
OF_TIME = frozenset({"weekday", "hour", "period"})
"""The keys that a run has by the time of its creation, in the query's zone."""


def keys_of_steps(keys: Sequence[str]) -> tuple[str, ...]:
    """The keys that only steps have."""
    return tuple(key for key in keys if key in OF_STEPS)


def keys_of_runs(keys: Sequence[str]) -> tuple[str, ...]:
    """The keys that a run has itself."""
    return tuple(key for key in keys if key not in OF_STEPS)


NOT_FOR_ALL = frozenset({"result", "busy", "prices"})
"""The arguments that a report takes only where its definition says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuerySpec:
    """The arguments that every report takes.

    Attributes:
        since: where the window begins: runs created then or later. A ``datetime`` or ``date``,
            ISO 8601 text, or an age such as ``"30d"``, ``"12h"``, ``"8w"``. None: no limit.
        until: where the window ends: runs created before that.
        pipelines: names, ids, or unique beginnings of ids. None: all.
        branches: names; ``""`` means runs without a branch, ``default`` each pipeline's default
            branch, where its provider tells which that is. None: all.
        by: what to group by, of ``pipeline source branch author event weekday hour``, where steps
            are counted ``step job runner`` as well. ``()`` makes one row of all. None: the
            report's own grouping.
        every: ``day``, ``week`` (ISO, from Monday) or ``month``: one row for each, with
            ``period``, its first day, and ``partial``: whether the period is not over, is cut by
            the window, or is not wholly covered by what was synced. A run belongs to the period
            in which it was created. A period without any runs has no row.
        tz: the zone of days, weekdays and hours, and of times without a zone. None: UTC.
        result: counts only what ended so, such as ``"passed"``; for reports on durations.
        busy: counts the time in which a run's jobs ran, without their waits, where it is known.
        prices: of a minute, by a pattern of the runner's name or labels, such as
            ``{"ubuntu-*": 0.008}``; the first that fits counts.
    """

    since: Moment | None = None
    until: Moment | None = None
    pipelines: PipelineWords | None = None
    branches: Words | None = None
    by: By | Iterable[By] | None = None
    every: Every | None = None
    tz: str | tzinfo | None = None
    result: str | None = None
    busy: bool = False
    prices: Mapping[str, float] | None = None

    def query(self, known: Sequence[StoredPipeline], report: "Report | None" = None) -> "Query":
        """The same, checked; without a report there are no keys to group by.

        Args:
            known: the pipelines in the database.

        Raises:
            ConfigError: a time, pipeline, key, period, zone or result is unknown.
        """
        picked = None if self.pipelines is None else chosen(known, self.pipelines)
        return Query(
            window=window(self.since, self.until, self.tz),
            pipelines=tuple(known) if picked is None else picked,
            pipeline_ids=None if picked is None else tuple(p.id for p in picked),
            branches=None if self.branches is None else _checked_branches(self.branches),
            by=() if report is None else _checked_by(self.by, report),
            implied=() if report is None else report.implied,
            every=checked_every(self.every),
            result=None if self.result is None else _checked_result(self.result, report),
            busy=self.busy,
            prices={} if self.prices is None else _checked_prices(self.prices),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PartBounds:
    """Some of a query's runs; an open bound is None.

    Attributes:
        since: created then or later; ``until``: created before that.
        first_id: the least id of a run, in the database's own order; ``end_id``: the one behind
            the greatest. Such a query is of one pipeline.
    """

    since: datetime | None = None
    until: datetime | None = None
    first_id: str | None = None
    end_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A checked :class:`QuerySpec`, for one report on one database.

    Attributes:
        every: the period, or ``piece``: the piece of the window, from 0.
        part: of a part of the history: which of the runs it holds; None: all of them.
        pipelines: those it is about; every pipeline where none was named.
        pipeline_ids: of those that were named; None: no limit.
        implied: keys that every row of the report has, asked for or not.
    """

    window: "Window"
    pipelines: tuple[StoredPipeline, ...]
    pipeline_ids: tuple[int, ...] | None
    branches: tuple[str, ...] | None
    by: tuple[str, ...]
    implied: tuple[str, ...]
    every: str | None
    result: str | None
    busy: bool
    prices: Mapping[str, float]
    part: PartBounds | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the report's rows, ``period`` last."""
        return (*dict.fromkeys([*self.by, *self.implied]), *("period",) * bool(self.every))

    @property
    def outer_keys(self) -> tuple[str, ...]:
        """The keys of the group whose total a step has a share of."""
        return (*(key for key in self.by if key != "step"), *("period",) * bool(self.every))


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, ``[since, until)``, in UTC; an open end is None.

    ``zone`` says where days begin, ``now`` which periods are over.
    """

    since: datetime | None
    until: datetime | None
    zone: tzinfo
    now: datetime

    @property
    def end(self) -> datetime:
        """Where the window ends: ``until``, or now where that is open or still to come."""
        return self.now if self.until is None else min(self.until, self.now)

    def before(self) -> "Window":
        """The window of the same length that ends where this one begins.

        Raises:
            ConfigError: this window has no beginning, or that one would have none.
        """
        if self.since is None:
            raise ConfigError("a comparison needs since: where the window begins")
        try:
            return replace(self, since=self.since - (self.end - self.since), until=self.since)
        except OverflowError:
            raise ConfigError(f"there is no window of that length before {self.since}") from None


def window(
    since: Moment | None = None, until: Moment | None = None, tz: str | tzinfo | None = None
) -> Window:
    """Reads what the user typed.

    Raises:
        ConfigError: a time or zone cannot be read, or the window ends before it begins.
    """
    zone, now = zone_of(tz), _now()
    made = Window(_moment("since", since, zone, now), _moment("until", until, zone, now), zone, now)
    if made.since is not None and made.since >= made.end:
        raise ConfigError(
            f"the window begins at {made.since:%Y-%m-%d %H:%M} UTC and ends at "
            f"{made.end:%Y-%m-%d %H:%M} UTC; choose a since before its until, and before now"
        )
    return made


def zone_of(tz: str | tzinfo | None) -> tzinfo:
    """The zone of that name; UTC for None.

    Raises:
        ConfigError: there is no such zone; the text names the nearest.
    """
    if tz is None or isinstance(tz, tzinfo):
        return tz or UTC
    try:
        return ZoneInfo(tz)
    except (LookupError, ValueError, OSError, TypeError, AttributeError):
        zones = sorted(available_timezones())
        raise ConfigError(f"there is no time zone {tz!r}{did_you_mean(tz, zones)}") from None


def checked_every(every: str | None) -> str | None:
    """``every``, where it is one of day, week and month.

    Raises:
        ConfigError: it is another word; the text names the nearest.
    """
    if every is None or every in EVERY:
        return every
    raise ConfigError(f"every={every!r} is no period{did_you_mean(every, EVERY)}")


def _checked_by(by: str | Iterable[str] | None, report: "Report") -> tuple[str, ...]:
    """The keys that ``by`` names, each once."""
    if by is None:
        return report.by
    keys = tuple(dict.fromkeys(listed("by", by)))
    known = ", ".join(report.keys)
    for key in keys:
        if key not in BY:
            near = did_you_mean(key, report.keys)
            near = f"{near} Known: {known}" if near.endswith("?") else f"; known: {known}"
            raise ConfigError(f"by (--by): {report.name} cannot be grouped by {key!r}{near}")
        if key not in report.keys:
            raise ConfigError(
                f"by (--by): {report.name} counts whole runs, which cannot be grouped by {key!r}; "
                f"known: {known}"
            )
    return keys


def _checked_branches(branches: Words) -> tuple[str, ...]:
    """The names, ``""`` for runs without a branch."""
    return tuple(name or "" for name in listed("branches", branches))


def _checked_result(result: str, report: "Report | None") -> str:
    known = [str(word) for word in Result]
    if result not in known:
        raise ConfigError(f"result={result!r} is no result{did_you_mean(result, known)}")
    if report is not None and "result" not in report.takes:
        raise ConfigError(f"{report.name} is about all results; leave result away")
    return result


def _checked_prices(prices: Mapping[str, float]) -> Mapping[str, float]:
    if not isinstance(prices, Mapping) or not all(map(_is_price, prices.values())):
        raise ConfigError(f"prices={prices!r} must be prices of a minute, by a runner's pattern")
    return prices


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf


def _moment(name: str, value: Moment | None, zone: tzinfo, now: datetime) -> datetime | None:
    try:
        return None if value is None else _read_moment(value, zone, now)
    except (ValueError, OverflowError, TypeError):
        raise ConfigError(f"{name}={value!r} is no time; {timespan.EXAMPLES}") from None


def _read_moment(value: Moment, zone: tzinfo, now: datetime) -> datetime:
    if isinstance(value, str):
        return timespan.moment(value, now=now, zone=zone)
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), zone).astimezone(UTC)
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def _now() -> datetime:
    return datetime.now(UTC)

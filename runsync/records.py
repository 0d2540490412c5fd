"""What a source gives: frozen pipelines, runs and steps, and the words for their state.

The words are the Wercker contract's, and ``skipped``. A source maps its provider's words to
these; where the provider's own word is another one it is kept beside, in ``raw_*``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

Extra = Mapping[str, Any]


class Status(StrEnum):
    """How far a run or step has come. The order of the members is the order of a life."""

    NOTSTARTED = "notstarted"
    STARTED = "started"
    RUNNING = "running"
    FINISHED = "finished"


class Result(StrEnum):
    """How a run or step ended; ``unknown`` as long as it has not."""

    PASSED = "passed"
    FAILED = "failed"
    ABORTED = "aborted"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How a finished run or step ended, in OpenTelemetry's words for CI/CD.

    ``error`` is the CI system's own fault, such as a lost worker, where ``failure`` is that of what
    it ran. An end that the provider does not explain has no outcome.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    ERROR = "error"
    CANCELLATION = "cancellation"
    SKIP = "skip"


class Ending(NamedTuple):
    """How something ended, as a source's table of words maps the provider's word for it."""

    result: Result
    outcome: Outcome | None


PASSED = Ending(Result.PASSED, Outcome.SUCCESS)
FAILED = Ending(Result.FAILED, Outcome.FAILURE)
ERRORED = Ending(Result.FAILED, Outcome.ERROR)
TIMED_OUT = Ending(Result.FAILED, Outcome.TIMEOUT)
ABORTED = Ending(Result.ABORTED, Outcome.CANCELLATION)
SKIPPED = Ending(Result.SKIPPED, Outcome.SKIP)
UNEXPLAINED = Ending(Result.UNKNOWN, None)


@dataclass(frozen=True, order=True, slots=True)
class Cursor:
    """A place in a listing's order. A greater cursor stands nearer to its top.

    ``at`` is the time that the provider orders the listing by: a run's creation, or its last
    change where a provider lists by that. ``id`` tells runs of the same time apart; "" stands
    below all of them.
    """

    at: datetime
    id: str


USUAL_DEFAULT_BRANCHES = ("main", "master", "trunk", "default")
"""What a default branch is called where the provider does not tell which it is."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline as its source names it. ``external_id`` is unique within the source.

    ``default_branch`` is None where the provider does not tell it.

    ``named_by_run``: the name is only what a run says of its pipeline; it never replaces another.
    """

    external_id: str
    name: str | None = None
    url: str | None = None
    created_at: datetime | None = None
    extra: Extra = field(default_factory=dict)
    named_by_run: bool = False
    default_branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt of one run. Times are aware and in UTC.

    ``number`` is what people call the run, as text, since some are called 20240501.3. ``event`` is
    what started it: push, pull_request, schedule, manual, api, upstream, or the provider's word.
    ``web_url`` is the page that a person opens, made of ``base_url`` and a checked id.
    ``queued_before_ms`` is how long it waited before ``created_at``, at a provider that creates a
    run only when it leaves the queue; None where that is not told.
    ``version`` grows whenever the provider changes a run, finished or not (ISO text of an
    ``updated_at``), where it has such a thing. ``env`` holds environment variables with their
    values, for ``runs show --show-env``; it is never stored.
    """

    pipeline: Pipeline
    id: str
    created_at: datetime
    status: Status
    result: Result = Result.UNKNOWN
    outcome: Outcome | None = None
    attempt: int = 1
    number: str | None = None
    event: str | None = None
    raw_status: str | None = None
    raw_result: str | None = None
    branch: str | None = None
    commit_hash: str | None = None
    message: str | None = None
    author: str | None = None
    author_id: str | None = None
    progress: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    queued_before_ms: int | None = 0
    source_run_id: str | None = None
    url: str | None = None
    web_url: str | None = None
    extra: Extra = field(default_factory=dict)
    version: str | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """What the run is known by within its source: its pipeline's external id, and its own."""
        return self.pipeline.external_id, self.id

    @property
    def month_key(self) -> tuple[str, str]:
        """Its pipeline, by its external id, and the month of its creation in UTC: ``2024-05``."""
        return self.pipeline.external_id, f"{self.created_at:%Y-%m}"

    @property
    def queued_ms(self) -> int | None:
        """Milliseconds in the queue, to the start; None while not started, if a clock ran back, or
        if the provider does not tell."""
        waited = _elapsed_ms(self.created_at, self.started_at)
        if waited is None or self.queued_before_ms is None:
            return None
        return self.queued_before_ms + waited

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from start to finish; None while there is no end or a clock ran back."""
        return _elapsed_ms(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run, in the provider's order by ``position``. Times are aware and in UTC.

    ``runner`` is the machine that it ran on, or the label set that chose one.
    """

    id: str
    position: int
    name: str
    status: Status
    result: Result = Result.UNKNOWN
    outcome: Outcome | None = None
    job: str | None = None
    phase: str | None = None
    runner: str | None = None
    raw_status: str | None = None
    raw_result: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    log_url: str | None = None
    artifacts_url: str | None = None
    extra: Extra = field(default_factory=dict)

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from start to finish; None while there is no end or a clock ran back."""
        return _elapsed_ms(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a source sent that could not be read: set aside, and named.

    ``what`` says it in a line, such as ``run 5a…: `createdAt` is missing``. ``lost`` is False
    where nothing of the listing is missing for it, as with a run of another pipeline.
    """

    what: str
    lost: bool = True


@dataclass(frozen=True, slots=True)
class RunWithSteps:
    """One run with its steps, as one answer gave them at ``as_of`` on the provider's clock.

    Where the steps could not be had, or not all of them, though the run is there, ``steps_read``
    is False: the run is incomplete and asked for again, and what is stored of its steps stays.
    ``validator`` is the source's own text by which the provider can be asked whether the run has
    changed since (ETags, say).
    """

    run: Run
    steps: tuple[Step, ...]
    as_of: datetime
    problems: tuple[Problem, ...] = ()
    steps_read: bool = True
    validator: str | None = field(default=None, compare=False)


_MILLISECOND = timedelta(milliseconds=1)
GRACE = timedelta(minutes=10)
"""How long after its finish a run may still change, and after a 404 turn up again."""
_PATIENCE = timedelta(days=1)


def settles_at(details: RunWithSteps, grace: timedelta = GRACE) -> datetime | None:
    """From when on, by the provider's clock, an answer like this one says that the run has settled;
    None where it never does.

    The run has to be finished, and read at least ``grace`` after the finish, with every step
    finished. A day after the last sign of life two things are no reason to wait any longer: steps
    that a failed run never reached, which stay unfinished for ever at some providers, and a finish
    whose time the provider does not tell.
    """
    run, steps = details.run, details.steps
    if run.status is not Status.FINISHED or details.problems or not details.steps_read:
        return None
    ends = [step.finished_at for step in steps if step.finished_at]
    finished_at = run.finished_at or max(ends, default=None)
    is_over = finished_at and all(step.status is Status.FINISHED for step in steps)
    try:
        return (finished_at or run.started_at or run.created_at) + (grace if is_over else _PATIENCE)
    except OverflowError:  # at the end of the calendar
        return None


def _elapsed_ms(begin: datetime | None, end: datetime | None) -> int | None:
    if begin is None or end is None or end < begin:
        return None
    return (end - begin) // _MILLISECOND


def parse_time(text: str) -> datetime:
    """The UTC time that ISO 8601 text names.

    Raises:
        ValueError: the text is no ISO 8601 time, or names no time zone.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return when.astimezone(UTC)


__all__ = [
    "Cursor",
    "Ending",
    "Extra",
    "Outcome",
    "Pipeline",
    "Problem",
    "Result",
    "Run",
    "RunWithSteps",
    "Status",
    "Step",
    "parse_time",
    "settles_at",
]

"""The builds of one job, or of all jobs of a folder, newest first and without a gap.

Jenkins lists the builds of a job by falling numbers and pages them by position. A list ends where
the job's first build is, which the same answer tells; an empty page ends nothing. The lists of a
folder's jobs are merged by time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runsync.errors import NOTHING_MORE_TO_ASK, START_APART, HistoryRestartedError, SourceError
from runsync.records import Cursor, Problem
from runsync.sources import pagination
from runsync.sources.base import Listed, Page, ResumePoint
from runsync.sources.fields import EPOCH
from runsync.sources.jenkins.payloads import MILLISECOND, build_number, build_time
from runsync.sources.merged import merged
from runsync.sources.pagination import Entry, Mark, Slice

PAGE_SIZE = 100
JOBS_KEY = "jobs"
"""Under it stands in a listing's memory each job of which the covered intervals say something, with
its newest build, though that may have gone: number and time, and a 0 behind them once they say
nothing of it any more, since the job was not there in the last sync."""
ASKED_KEY = "asked"
"""Under it stands when the last whole sync began."""
_NO_BUILD = [0, 0]


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """Some of a job's builds from a position on, the number of its first one (None where it has
    none), and the number that the next one will get."""

    rows: Sequence[object]
    first: int | None
    next: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class JobList:
    """What reads one job. ``begun`` is the answer from position 0; ``ask`` takes a position;
    ``read`` a build, at the time it was told; ``time_of`` asks for the time of a build by its
    number, None where there is none."""

    name: str
    begun: JobAnswer
    ask: Callable[[int], JobAnswer]
    read: Callable[[object, datetime], Listed | Problem]
    time_of: Callable[[int], int | None]


def place_of(job: str, number: str, at: datetime) -> Cursor:
    """Where a build stands."""
    return Cursor(at, f"{job}#{number:0>10}")


def walked(
    job: JobList, resume_point: ResumePoint | None = None, *, is_folder: bool
) -> Iterator[Page]:
    """One job's builds, from the top or from a resume point down.

    Args:
        is_folder: where a job of a folder cannot be read, its list ends with that.
    """
    begun = [job.begun]

    def fetch(position: int) -> Slice:
        answer = begun.pop() if begun and not position else job.ask(position)
        begun.clear()
        return _slice(job, answer, is_top=not position)

    # A bound that is no build's place has no number: from there on it is walked from the top.
    number = int(resume_point.cursor.id.rpartition("#")[2] or 0) if resume_point else 0
    mark = Mark(str(number), number, resume_point.rank) if resume_point and number else None
    try:
        yield from pagination.walk(fetch, mark, name=f"job {job.name}")
    except NOTHING_MORE_TO_ASK:
        raise
    except SourceError as error:
        if not is_folder:
            raise
        yield Page((Problem(str(error)),), job.begun.as_of, at_start=True)


def _slice(job: JobList, answer: JobAnswer, *, is_top: bool) -> Slice:
    """An answer as a part of a list that goes by numbers.

    Raises:
        SourceError: it does not.
    """
    numbers = [number for raw in answer.rows if (number := build_number(raw))]
    is_bare = is_top and not numbers and (answer.rows or answer.first)
    if is_bare or numbers != sorted(set(numbers), reverse=True):
        raise SourceError(
            f"job {job.name} does not list its builds by their numbers; what was read is kept: "
            "sync again, and check base_url"
        )
    entries = []
    for raw in answer.rows:
        number, item = build_number(raw), job.read(raw, answer.as_of)
        entries.append(Entry(str(number) if number else None, item, number))
    at_start = bool(numbers) and answer.first is not None and numbers[-1] <= answer.first
    return Slice(entries, answer.as_of, at_start)


def _newest_of(rows: Sequence[object]) -> list[int]:
    """Number and time of the topmost build that tells both."""
    told = ([build_number(raw) or 0, build_time(raw) or 0] for raw in rows)
    return next((one for one in told if all(one)), _NO_BUILD)


def has_restarted(job: JobList, known: list[int]) -> bool:
    """Whether a job is another one of the same name than that whose build is ``known``: it counts
    anew, or has another build of that number."""
    number, at = known[:2]
    if job.begun.next <= number:
        return True
    times = {n: build_time(raw) for raw in job.begun.rows if (n := build_number(raw))}
    is_below = number and times and number < min(times)
    time = job.time_of(number) if is_below else times.get(number)
    return time is not None and time != at


def pages(
    jobs: Sequence[JobList],
    resume_point: ResumePoint | None,
    memory: dict[str, Any],
    as_of: datetime,
    *,
    is_folder: bool,
) -> Iterator[Page]:
    """The pages of a job, or of a folder from its top, and what is to be remembered of each job.

    What is covered says nothing of a job that was not there in the last sync, perhaps with a
    history: that is read aside, whole.

    Raises:
        HistoryRestartedError: the job was made again; one of a folder's is a problem.
    """
    known: dict[str, list[int]] = dict(memory.get(JOBS_KEY) or {})
    # What is not there now stands with a 0 behind it, until it is again.
    after = {name: [*at[:2], 0] for name, at in known.items()}
    in_order: list[Iterator[Page]] = []
    shown: dict[str, list[int]] = {}
    for job in jobs:
        before = known.get(job.name, _NO_BUILD)
        if has_restarted(job, before):
            error = HistoryRestartedError(
                f"job {job.name} was deleted and made again, so the numbers of its stored builds "
                f"mean others now; {START_APART}"
            )
            if not is_folder:
                raise error
            yield Page((Problem(str(error), lost=False),), as_of, aside=True)
            continue
        was_there = JOBS_KEY not in memory or (job.name in known and len(before) == 2)
        has_holes = False
        for page in () if was_there else walked(job, is_folder=is_folder):
            yield replace(page, at_start=False, aside=True)
            has_holes |= any(isinstance(item, Problem) for item in page.items)
        if not has_holes:
            in_order.append(walked(job, None if is_folder else resume_point, is_folder=is_folder))
            shown[job.name] = _newest_of(job.begun.rows)
            after[job.name] = max(before[:2], shown[job.name])
    memory[JOBS_KEY] = after
    if resume_point is None:
        memory[ASKED_KEY] = as_of.isoformat()
    gone = [
        place_of(name, str(number), EPOCH + at * MILLISECOND)
        for name, (number, at, *_) in after.items()
        if number > shown.get(name, _NO_BUILD)[0]
    ]
    top = max(gone, default=None) if is_folder or resume_point is None else None
    yield from merged(in_order, as_of, PAGE_SIZE, top)

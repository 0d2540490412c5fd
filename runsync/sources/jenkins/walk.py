"""The builds of one job, or of all jobs of a folder, newest first and without a gap.

Jenkins lists the builds of a job by falling numbers and pages them by position. A list ends where
the job's first build is, which the same answer tells; an empty page ends nothing. The lists of a
folder's jobs are merged by time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runsync.errors import NOTHING_MORE_TO_ASK, HistoryRestartedError, SourceError
from runsync.records import Cursor, Problem
from runsync.sources import pagination
from runsync.sources.base import Listed, Page, ResumePoint
from runsync.sources.jenkins.payloads import LATEST_MOMENT, build_number, epoch_time
from runsync.sources.merged import merged
from runsync.sources.pagination import Entry, Mark, Slice

PAGE_SIZE = 100
JOBS_KEY = "jobs"
"""Under it stands in a listing's memory each job of which the covered intervals say something, with
its newest build: number and time, and a 0 behind them once they say nothing of it any more, since
the job was not there in the last sync."""
ASKED_KEY = "asked"
"""Under it stands when the last whole sync began."""
_NO_BUILD = [0, 0]
_AHEAD = ""
"""No job's name; under it stands the latest time that a build has, where that was yet to come."""
_CLOCK_SLACK = 60_000


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
    """What reads one job. ``ask`` takes a position; ``read`` a build, at the time it was told;
    ``time_of`` asks for the time of a build by its number, None where there is none."""

    name: str
    ask: Callable[[int], JobAnswer]
    read: Callable[[object, datetime], Listed | Problem]
    time_of: Callable[[int], int | None]


def place_of(job: str, number: str, at: datetime) -> Cursor:
    """Where a build stands."""
    return Cursor(at, f"{job}#{number:0>10}")


def walked(
    job: JobList, begun: JobAnswer, resume_point: ResumePoint | None = None, *, is_folder: bool
) -> Iterator[Page]:
    """One job's builds, from the top or from a resume point down.

    Args:
        begun: the answer from position 0.
        is_folder: where a job of a folder cannot be read, its list ends with that.
    """
    known = [begun]

    def fetch(position: int) -> Slice:
        answer = known.pop() if known and not position else job.ask(position)
        known[:] = []
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
        yield Page((Problem(str(error)),), begun.as_of, at_start=True)


def _slice(job: JobList, answer: JobAnswer, *, is_top: bool) -> Slice:
    """An answer as a part of a list that goes by numbers.

    Raises:
        SourceError: it does not.
    """
    numbers = [number for raw in answer.rows if (number := build_number(raw))]
    if numbers != sorted(set(numbers), reverse=True):
        raise _wrong(job, "does not list its builds by their numbers")
    if is_top and not numbers and (answer.rows or answer.first):
        raise _wrong(job, "shows no build that tells its number, though it has some")
    entries = []
    for raw in answer.rows:
        number, item = build_number(raw), job.read(raw, answer.as_of)
        entries.append(Entry(str(number) if number else None, item, number))
    at_start = bool(numbers) and answer.first is not None and numbers[-1] <= answer.first
    return Slice(entries, answer.as_of, at_start)


def _wrong(job: JobList, what: str) -> SourceError:
    return SourceError(
        f"job {job.name} {what}; what was read is kept: sync again, and check base_url"
    )


def anchor_of(rows: Sequence[object]) -> list[int] | None:
    """Number and time of the topmost build that tells both."""
    for raw in rows:
        number = build_number(raw)
        at = raw.get("timestamp") if isinstance(raw, dict) else None
        if number and type(at) is int and 0 < at < LATEST_MOMENT:
            return [number, at]
    return None


def has_restarted(job: JobList, answer: JobAnswer, known: list[int]) -> bool:
    """Whether a job is another one of the same name than that whose build is ``known``: it counts
    anew, or has another build of that number."""
    number, at = known[:2]
    if not number:
        return False
    if answer.next <= number:
        return True
    shown = {n: raw for raw in answer.rows if isinstance(raw, dict) and (n := build_number(raw))}
    if number in shown:
        told = shown[number].get("timestamp")
    else:
        told = job.time_of(number) if shown and number < min(shown) else None
    return isinstance(told, int) and told != at


def restarted(name: str) -> HistoryRestartedError:
    """What is said of it."""
    return HistoryRestartedError(
        f"job {name} was deleted and made again: its numbers have begun anew, and those of its "
        "stored builds mean others now; nothing was overwritten. Give the source another name in "
        "the config, and its runs are stored apart from the old ones"
    )


def pages(
    jobs: Sequence[tuple[JobList, JobAnswer]],
    resume_point: ResumePoint | None,
    memory: dict[str, Any],
    as_of: datetime,
    *,
    is_folder: bool,
) -> Iterator[Page]:
    """The pages of a job, or of a folder from its top, and what is to be remembered of each job.

    What is covered says nothing of a job that was not there in the last sync, perhaps with a
    history: that is read aside, whole. So is all that is new where a clock was ahead: what came
    since then lies below what is covered, too.

    Raises:
        HistoryRestartedError: the job was made again; one of a folder's is a problem.
    """
    known: dict[str, list[int]] = dict(memory.get(JOBS_KEY) or {})
    latest = max(known.pop(_AHEAD, [0]))
    is_ahead = latest > 0 and resume_point is None
    # What is not there now stands with a 0 behind it, until it is again.
    after = {name: [*at[:2], 0] for name, at in known.items()}
    in_order: list[Iterator[Page]] = []
    for job, answer in jobs:
        before = known.get(job.name, _NO_BUILD)
        if has_restarted(job, answer, before):
            if not is_folder:
                raise restarted(job.name)
            yield Page((Problem(str(restarted(job.name)), lost=False),), as_of, aside=True)
            continue
        was_there = JOBS_KEY not in memory or (job.name in known and len(before) == 2)
        has_holes = False
        for page in walked(job, answer, is_folder=is_folder) if is_ahead or not was_there else ():
            yield replace(page, at_start=False, aside=True)
            has_holes |= any(isinstance(item, Problem) for item in page.items)
            if was_there and _reaches(page, before[0]):
                break
        if was_there or not has_holes:
            resumed = None if is_folder else resume_point
            in_order.append(walked(job, answer, resumed, is_folder=is_folder))
            seen = None if has_holes else anchor_of(answer.rows)
            after[job.name] = seen or before[:2]
    latest = max([latest, *(at[1] for at in after.values())])
    is_ahead = latest > int(as_of.timestamp() * 1000) + _CLOCK_SLACK
    memory[JOBS_KEY] = after | ({_AHEAD: [latest]} if is_ahead else {})
    if resume_point is None:
        memory[ASKED_KEY] = as_of.isoformat()
    yield from merged(in_order, as_of, PAGE_SIZE, _top_of_gone(after))


def _reaches(page: Page, number: int) -> bool:
    """Whether a page comes as far down as a build."""
    return any(isinstance(item, Listed) and int(item.run.id) <= number for item in page.items)


def _top_of_gone(jobs: Mapping[str, list[int]]) -> Cursor | None:
    """Where the newest build stood of the jobs that are not there any more."""
    places = [(at[1], name, at[0]) for name, at in jobs.items() if len(at) == 3 and at[0]]
    if not places:
        return None
    at, name, number = max(places)
    return place_of(name, str(number), epoch_time(at))

"""The builds of one job, or of all jobs of a folder, newest first and without a gap.

Jenkins lists the builds of a job by falling numbers and pages them by position, which shifts: new
builds push the others down, discarded ones pull them up. So a page has to begin at a build that was
seen, or above it; otherwise it is asked for again further up, at worst from the top. Numbers grow
by one and none comes twice, so nothing stands between two pages that join so. The list ends where
the job's first build is, which the same answer tells; an empty page ends nothing.

The lists of a folder's jobs are merged by time, each in its own order.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runsync.errors import NOTHING_MORE_TO_ASK, HistoryRestartedError, SourceError
from runsync.records import Cursor, Problem
from runsync.sources.base import Listed, Page, ResumePoint
from runsync.sources.jenkins.payloads import LATEST_MOMENT, build_number, epoch_time

PAGE_SIZE = 100
JOBS_KEY = "jobs"
"""Under it stands in a listing's memory each job of which the covered intervals say something, with
its newest build: number and time, and a 0 behind them once they say nothing of it any more, since
the job was not there in the last sync."""
ASKED_KEY = "asked"
"""Under it stands when the last whole sync began."""
_MOST_TRIES = 64
_NOTHING = 2**63
"""Stands above every number."""
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


class JobWalk:
    """One job's builds, from the top or from a resume point down.

    Args:
        begun: the answer from position 0, where it has come already.
    """

    def __init__(
        self, job: JobList, begun: JobAnswer | None = None, resume_point: ResumePoint | None = None
    ) -> None:
        self.name, self._job, self._begun = job.name, job, begun
        # A bound that is no build's place has no number: from there on it is walked from the top.
        number = int(resume_point.cursor.id.rpartition("#")[2] or 0) if resume_point else 0
        self._position = max(resume_point.rank - 2, 0) if resume_point and number else 0
        self._lowest = number + 1 if number else _NOTHING
        self.ended = False
        self.has_holes = False
        self.as_of: datetime | None = None

    def is_below(self, number: int) -> bool:
        """Whether it has come as far as a build."""
        return self._lowest <= number

    def take(self) -> list[Listed | Problem]:
        """The next builds. None may come, of a page that only repeats what was seen.

        Raises:
            SourceError: the list is not one, or moves faster than it can be read.
        """
        for _ in range(_MOST_TRIES):
            answer, before = self._joining(), self._lowest
            fresh = self._fresh(answer.rows)
            if self._lowest == before and fresh and len(answer.rows) < PAGE_SIZE:
                self.ended = True  # at a row that tells no number, and is a hole
            if self._lowest < before or self.ended:
                self.as_of = answer.as_of
                items = [self._job.read(raw, answer.as_of) for raw in fresh]
                self.has_holes |= any(isinstance(item, Problem) for item in items)
                return items
        raise self._wrong("shows the same builds again and again")

    def take_or_tell(self, *, is_folder: bool) -> list[Listed | Problem]:
        """Like :meth:`take`; where a job of a folder cannot be read, its walk ends with that."""
        try:
            return self.take()
        except NOTHING_MORE_TO_ASK:
            raise
        except SourceError as error:
            if not is_folder:
                raise
            self.ended = self.has_holes = True
            return [Problem(str(error))]

    def _joining(self) -> JobAnswer:
        """The answer at the position, or at the nearest one above it that joins what was seen."""
        back = 0
        for _ in range(_MOST_TRIES):
            answer, self._begun = self._begun or self._job.ask(self._position), None
            numbers = [number for raw in answer.rows if (number := build_number(raw))]
            if numbers != sorted(set(numbers), reverse=True) or (answer.rows and not numbers):
                raise self._wrong("does not list its builds by their numbers")
            if self._position == 0 and not numbers and (self._lowest < _NOTHING or answer.first):
                raise self._wrong("shows no build, though it has some")
            if self._position == 0 or (numbers and numbers[0] >= self._lowest):
                first = answer.first
                self.ended = not numbers or (first is not None and numbers[-1] <= first)
                return answer
            back = back * 2 or PAGE_SIZE
            self._position = max(self._position - back, 0)
        raise self._wrong("moves faster than it can be read")

    def _fresh(self, rows: Sequence[object]) -> list[object]:
        """What of a page was not seen. A row without a number is a hole where it stands."""
        places = {n: place for place, raw in enumerate(rows) if (n := build_number(raw))}
        seen = [place for number, place in places.items() if number >= self._lowest]
        self._lowest = min([self._lowest, *places])
        # The next page begins at a build that is known.
        self._position += max(places.values(), default=0)
        return list(rows[max(seen, default=-1) + 1 :])

    def _wrong(self, what: str) -> SourceError:
        return SourceError(
            f"job {self.name} {what}; what was read is kept: sync again, and check base_url"
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


def merged(
    walks: Sequence[JobWalk], as_of: datetime, *, is_folder: bool = True, gone: Cursor | None = None
) -> Iterator[Page]:
    """The builds of several jobs by time, newest first, each job's in its own order.

    A page ends where a job has to be asked for more, so that what was asked for anyway is a page.
    A row that cannot be read leaves a hole down to its job's next build, and a job that cannot be
    read any further one without an end. What other jobs have in a hole is given aside: to claim
    that part of the history would be to claim what is missing in it as well.

    Args:
        gone: where the newest build stood of the jobs that are gone: above those that are there.
    """
    heads: list[tuple[float, int]] = []
    items: list[list[Listed | Problem]] = [[] for _ in walks]
    times = [float("inf")] * len(walks)
    page: list[Listed | Problem | Cursor] = []
    holes: set[int] = set()
    aside = False

    def load(place: int) -> None:
        """Has a job's next builds wait for their turn."""
        walk = walks[place]
        while not items[place] and not walk.ended:
            items[place] = walk.take_or_tell(is_folder=is_folder)[::-1]
        if items[place]:
            item = items[place][-1]
            # What tells no time stands beside the build above it.
            times[place] = item.cursor.at.timestamp() if isinstance(item, Listed) else times[place]
            heapq.heappush(heads, (-times[place], place))

    for place in range(len(walks)):
        load(place)
    page += [gone] if gone and heads else []
    while heads:
        _, place = heapq.heappop(heads)
        item = items[place].pop()
        holes -= {place} if isinstance(item, Listed) else set()
        if page and aside != bool(holes):
            yield Page(tuple(page), as_of, aside=aside)
            page = []
        aside = bool(holes)
        page.append(item)
        holes |= {place} if isinstance(item, Problem) else set()
        needs_more = not items[place] and not walks[place].ended
        if needs_more or len(page) >= PAGE_SIZE:
            yield Page(tuple(page), as_of, aside=aside)
            page = []
        load(place)
        as_of = walks[place].as_of or as_of
    yield Page(tuple(page), as_of, at_start=not holes, aside=aside)


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
    in_order: list[JobWalk] = []
    for job, answer in jobs:
        before = known.get(job.name, _NO_BUILD)
        if has_restarted(job, answer, before):
            if not is_folder:
                raise restarted(job.name)
            yield Page((Problem(str(restarted(job.name)), lost=False),), as_of, aside=True)
            continue
        was_there = JOBS_KEY not in memory or (job.name in known and len(before) == 2)
        walk = JobWalk(job, answer)
        if is_ahead or not was_there:
            while not walk.ended and not (was_there and walk.is_below(before[0])):
                items = tuple(walk.take_or_tell(is_folder=is_folder))
                yield Page(items, walk.as_of or as_of, aside=True)
        if was_there or not walk.has_holes:
            resumed = None if is_folder else resume_point
            in_order.append(JobWalk(job, None if resumed else answer, resumed))
            seen = None if walk.has_holes else anchor_of(answer.rows)
            after[job.name] = seen or before[:2]
    latest = max([latest, *(at[1] for at in after.values())])
    is_ahead = latest > int(as_of.timestamp() * 1000) + _CLOCK_SLACK
    memory[JOBS_KEY] = after | ({_AHEAD: [latest]} if is_ahead else {})
    if resume_point is None:
        memory[ASKED_KEY] = as_of.isoformat()
    yield from merged(in_order, as_of, is_folder=is_folder, gone=_top_of_gone(after))


def _top_of_gone(jobs: Mapping[str, list[int]]) -> Cursor | None:
    """Where the newest build stood of the jobs that are not there any more."""
    places = [(at[1], name, at[0]) for name, at in jobs.items() if len(at) == 3 and at[0]]
    if not places:
        return None
    at, name, number = max(places)
    return place_of(name, str(number), epoch_time(at))

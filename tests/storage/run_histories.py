"""The life of a run as a provider tells it: answers in the order of its clock, for any order of
saving, and what must be stored in the end.

A life is a few states one after the other. Each is told once or several times: as a list item
(which lacks some of the facts), as a detail, or without the steps. The last answer of a life is
settled. Where the provider has versions, a run may be opened again after that.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from runsync.records import Pipeline, Result, Run, RunWithSteps, Status, Step
from runsync.storage.store import RunToWrite
from tests.sources.settling import is_settled

EPOCH = datetime(2024, 3, 1, tzinfo=UTC)
UNFINISHED = (Status.NOTSTARTED, Status.STARTED, Status.RUNNING)
RANKS = {status: rank for rank, status in enumerate(Status)}
_numbers = itertools.count()

TEXT = st.none() | st.sampled_from(["main", "", "fix: ünïcode 🚀", "x" * 300])


def new_pipeline() -> Pipeline:
    """A pipeline that no other test has."""
    return Pipeline(f"pipeline-{next(_numbers)}", "build")


def as_fetched(details: RunWithSteps, *, with_steps: bool = True) -> RunToWrite:
    """What the engine would hand to the store."""
    if with_steps:
        return RunToWrite(details, is_settled(details))
    return RunToWrite(replace(details, steps=()), settled=False, with_steps=False)


@dataclass(frozen=True)
class Life:
    """The answers about one run, oldest first; and those of months later, which come after them."""

    answers: tuple[RunToWrite, ...]
    late: tuple[RunToWrite, ...] = ()

    @property
    def run(self) -> Run:
        return self.answers[0].details.run

    def expected_run(self) -> dict[str, Any]:
        """The columns that the row must have in the end."""
        runs = [answer.details.run for answer in self._in_order()]
        last = runs[-1]
        facts = "branch commit_hash message author author_id source_run_id url".split()
        state = "id attempt created_at status result progress started_at finished_at".split()
        extra: dict[str, Any] = {}
        for run in runs:
            extra |= run.extra
            extra |= {"updated_at": run.version} if run.version else {}
        return (
            {name: getattr(last, name) for name in state}
            | {name: _last_known(getattr(run, name) for run in runs) for name in facts}
            | {"extra": extra, "settled": True, "vanished_at": None}
            | {"queued_ms": last.queued_ms, "duration_ms": last.duration_ms}
        )

    def expected_steps(self) -> dict[str, dict[str, Any]]:
        """The steps' rows, by their ids: each as the last settled answer that has it tells it."""
        names = "position name job phase status result started_at finished_at log_url".split()
        return {
            step.id: {name: getattr(step, name) for name in names}
            for answer in self._in_order()
            if answer.settled
            for step in answer.details.steps
        }

    def _in_order(self) -> list[RunToWrite]:
        return sorted([*self.answers, *self.late], key=priority)


def priority(answer: RunToWrite) -> tuple[Any, ...]:
    """Which of two answers tells the later state."""
    run, as_of = answer.details.run, answer.details.as_of
    return run.version or "", answer.settled, RANKS[run.status], as_of


def _last_known(values: Iterable[Any]) -> Any:
    return next((value for value in reversed(list(values)) if value is not None), None)


@st.composite
def lives(draw: st.DrawFn, pipeline: Pipeline, number: int = 0) -> Life:
    """A life of one run of ``pipeline``."""
    created = EPOCH + timedelta(minutes=number, microseconds=draw(st.integers(0, 999_999)))
    facts = {
        name: draw(TEXT) for name in "branch commit_hash message author author_id url".split()
    } | {"source_run_id": draw(st.sampled_from([None, "another run"]))}
    versioned = draw(st.booleans())
    clock = created
    answers: list[RunToWrite] = []
    attempts = draw(st.integers(1, 2)) if versioned else 1
    before: list[Step] = []
    for attempt in range(attempts):
        first = Run(
            pipeline=pipeline,
            id=f"run-{number}",
            created_at=created,
            status=Status.NOTSTARTED,
            extra={"user": {"name": "Ada", "avatar": None}},
            **facts,  # type: ignore[arg-type]
        )
        for run, own, pause in draw(_states(first, attempt)):
            steps = [*before, *own]
            clock += pause
            told = replace(run, version=clock.isoformat()) if versioned else run
            for kind in draw(st.lists(KINDS, min_size=1, max_size=2)):
                clock += timedelta(seconds=1)
                answers.append(_told(told, steps, clock, kind))
        # What a run never reached stays unfinished, and steps told as finished may prove not to be.
        most = min(len(own), 2) if attempt == attempts - 1 else 0
        if unreached := draw(st.integers(0, most)):
            steps = steps[:-unreached] + [_unreached(step) for step in steps[-unreached:]]
        clock += timedelta(days=2) if unreached else timedelta(hours=2)
        settled = _told(told, steps, clock, draw(st.sampled_from(["item", "detail"])))
        assert settled.settled
        answers.append(settled)
        before = steps
    clock += timedelta(days=90)
    told = replace(told, version=clock.isoformat()) if versioned else told
    left = [step for step in steps if draw(st.booleans())]
    late = [_told(told, left, clock, "detail")] if draw(st.booleans()) else []
    return Life(tuple(answers), tuple(late))


def _unreached(step: Step) -> Step:
    return replace(
        step, status=Status.NOTSTARTED, result=Result.UNKNOWN, started_at=None, finished_at=None
    )


KINDS = st.sampled_from(["item", "detail", "stepless"])


def _told(run: Run, steps: Sequence[Step], as_of: datetime, kind: str) -> RunToWrite:
    if kind == "item":
        run = replace(run, source_run_id=None)
    else:
        run = replace(run, extra={**run.extra, "commits": [], "envVars": ["A"]})
    return as_fetched(RunWithSteps(run, tuple(steps), as_of), with_steps=kind != "stepless")


State = tuple[Run, list[Step], timedelta]


@st.composite
def _states(draw: st.DrawFn, first: Run, attempt: int) -> list[State]:
    """The states of a run, each with its steps and with how long after the one before it comes."""
    names = [f"step {attempt}.{n}" for n in range(draw(st.integers(0, 4)))]
    begin = first.created_at + timedelta(hours=3 * attempt, seconds=2)
    states: list[State] = []
    for status in UNFINISHED:
        for progress in sorted(draw(st.lists(st.integers(0, 99), max_size=1))):
            reached = draw(st.integers(0, len(names))) if status is Status.RUNNING else 0
            started = None if status is Status.NOTSTARTED else begin
            run = replace(first, status=status, progress=progress, started_at=started)
            states.append((run, _steps(names[:reached], begin, 1), timedelta(minutes=1)))
    result = draw(st.sampled_from([Result.PASSED, Result.FAILED, Result.ABORTED]))
    end = begin + timedelta(minutes=4)
    ended = replace(first, status=Status.FINISHED, result=result, started_at=begin, finished_at=end)
    late = draw(st.integers(0, 2)) if result is Result.ABORTED else 0
    for left in range(late, 0, -1):  # what was aborted still moves
        states.append(
            (replace(ended, progress=50 - left), _steps(names, begin, left), timedelta(minutes=2))
        )
    states.append((replace(ended, progress=100), _steps(names, begin, 0), timedelta(minutes=2)))
    return states


def _steps(names: list[str], begin: datetime, running: int) -> list[Step]:
    """Steps of which the last few are still running."""
    steps = []
    for place, name in enumerate(names, 1):
        over = place <= len(names) - running
        at = begin + timedelta(seconds=place)
        steps.append(
            Step(
                id=name.replace(" ", "-"),
                position=place,
                name=name,
                job="build" if place % 2 else None,
                phase="main",
                status=Status.FINISHED if over else Status.RUNNING,
                result=Result.PASSED if over else Result.UNKNOWN,
                created_at=begin,
                started_at=at,
                finished_at=at + timedelta(milliseconds=1500) if over else None,
                log_url=f"https://ci.example.org/{place}",
                extra={"machine": place},
            )
        )
    return steps

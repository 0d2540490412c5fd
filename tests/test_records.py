"""From when on an answer about a run is its last: to the microsecond."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsync.config import SourceConfig
from runsync.records import GRACE, Pipeline, Problem, Run, RunWithSteps, Status, Step, settles_at
from runsync.sources.base import Source
from runsync.sources.wercker.source import Wercker
from runsync.sync.validators import UnchangedRun, Validator

CREATED = datetime(2024, 5, 6, 12, tzinfo=UTC)
STARTED, STEP_ENDED, FINISHED = (CREATED + timedelta(minutes=m) for m in (1, 4, 5))
TEN_MINUTES, A_DAY = timedelta(minutes=10), timedelta(days=1)
DONE = Step(id="a", position=1, name="a", status=Status.FINISHED, finished_at=STEP_ENDED)
UNREACHED = Step(id="b", position=2, name="b", status=Status.NOTSTARTED)


def read(*steps: Step, as_of: datetime = CREATED, **fields: Any) -> RunWithSteps:
    """A finished run, as it was read."""
    told: dict[str, Any] = {
        "status": Status.FINISHED,
        "started_at": STARTED,
        "finished_at": FINISHED,
    }
    run = Run(pipeline=Pipeline("p"), id="1", created_at=CREATED, **told | fields)
    return RunWithSteps(run, steps, as_of)


@pytest.mark.parametrize(
    ("answer", "settled_at"),
    [
        (read(DONE), FINISHED + TEN_MINUTES),
        (read(), FINISHED + TEN_MINUTES),
        (read(DONE, UNREACHED), FINISHED + A_DAY),
        (read(DONE, finished_at=None), STEP_ENDED + TEN_MINUTES),
        (read(DONE, UNREACHED, finished_at=None), STEP_ENDED + A_DAY),
        (read(finished_at=None), STARTED + A_DAY),
        (read(finished_at=None, started_at=None), CREATED + A_DAY),
    ],
)
def test_a_finished_run_settles_ten_minutes_after_its_end_or_a_day_where_that_is_unsure(
    answer: RunWithSteps, settled_at: datetime
) -> None:
    assert settles_at(answer) == settled_at


def test_an_answer_that_is_not_whole_settles_nothing() -> None:
    run, steps = read(DONE).run, (DONE,)
    assert settles_at(read(DONE, status=Status.RUNNING)) is None
    assert settles_at(RunWithSteps(run, steps, CREATED, (Problem("bad"),))) is None
    assert settles_at(RunWithSteps(run, steps, CREATED, steps_read=False)) is None


@pytest.mark.parametrize(("late", "settled"), [(-1, False), (0, True), (1, True)])
def test_a_run_settles_at_the_end_of_the_grace_period(late: int, settled: bool) -> None:
    assert Source.grace == GRACE == TEN_MINUTES
    at = FINISHED + TEN_MINUTES + timedelta(microseconds=late)
    source = Wercker(SourceConfig("w", "wercker", "http://127.0.0.1:9"))
    assert source.settles(read(DONE, as_of=at)) is settled
    validator = Validator("etag", CREATED, FINISHED + TEN_MINUTES)
    assert UnchangedRun(Pipeline("p"), "1", validator, at).settled is settled


@pytest.mark.parametrize(("before", "queued"), [(0, 60_000), (1500, 61_500), (None, None)])
def test_the_queue_may_lie_before_a_run_is_created(before: int | None, queued: int | None) -> None:
    assert read(queued_before_ms=before).run.queued_ms == queued
    assert read(queued_before_ms=before, started_at=None).run.queued_ms is None

"""Large batches go into PostgreSQL by COPY, and change the same rows as row by row."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from runsync.records import Pipeline, Result, Run, RunWithSteps, Status, Step
from runsync.storage import copying
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore, RunToWrite
from runsync.storage.sync_log import Counts
from tests.effort import effort
from tests.storage.run_histories import lives, new_pipeline
from tests.storage.test_store import (
    assert_stored,
    opened,
    run_rows,
    save_counted,
    step_rows,
    store_of,
    until_it_waits,
)

PIPELINE = Pipeline("p", "build")
AT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
AWKWARD = ["\\N", "\\.", "a\tb\nc\rd\\e", 'it\'s "so"', "ünï 🚀", "", "{}", "%(x)s :y ;--"]


@pytest.fixture
def by_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few they are."""
    monkeypatch.setattr(copying, "MOST_ROW_BY_ROW", 0)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


def answer(number: int, steps: int, word: str = "x") -> RunToWrite:
    run = Run(
        pipeline=PIPELINE,
        id=f"run {number:04d}",
        created_at=AT + timedelta(minutes=number),
        status=Status.FINISHED,
        result=Result.PASSED,
        message=word,
        branch=word or None,
        extra={"word": word, "deep": [None, {"a": word}]},
    )
    told = tuple(
        Step(id=f"{n}{word}", position=n, name=word, status=Status.FINISHED, result=Result.PASSED)
        for n in range(steps)
    )
    return RunToWrite(RunWithSteps(run, told, AT + timedelta(days=1)), settled=True)


@pytest.mark.usefixtures("by_copy")
@effort(10)
@given(data=st.data())
def test_any_order_gives_the_same_rows_by_copy(
    request: pytest.FixtureRequest, data: st.DataObject
) -> None:
    database, pipeline = opened(request, "postgres"), new_pipeline()
    told = [data.draw(lives(pipeline, n)) for n in range(data.draw(st.integers(1, 2)))]
    store = store_of(database, pipeline)
    answers = [answer for life in told for answer in life.answers]
    late = [answer for life in told for answer in life.late]
    for one in [*data.draw(st.permutations(answers)), *late]:
        save_counted(database, store, pipeline, Batch([one]))
    assert_stored(database, pipeline, told)


def test_awkward_text_is_stored_as_row_by_row(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for most in (10**9, 0):
        monkeypatch.setattr(copying, "MOST_ROW_BY_ROW", most)
        store = ListingStore(postgres, f"source {most}", "listing")
        batch = Batch([answer(n, 3, word) for n, word in enumerate(AWKWARD)])
        assert store.save(batch) == Counts(len(AWKWARD), 0, 3 * len(AWKWARD))
        assert store.save(batch) == Counts()
        with postgres.read() as connection:
            rows = connection.execute(
                text(
                    "SELECT r.message, r.branch, r.extra, r.created_at, s.id, s.name, s.log_url "
                    "FROM runs r JOIN steps s ON s.pipeline_id = r.pipeline_id AND s.run_id = r.id "
                    "JOIN pipelines p ON p.id = r.pipeline_id WHERE p.source = :s ORDER BY r.id, 5"
                ),
                {"s": f"source {most}"},
            ).all()
        found.append(rows)
    assert found[0] == found[1]
    assert {row[0] for row in found[0]} == set(AWKWARD)


def test_a_large_batch_goes_by_copy_and_leaves_no_table(postgres: Database) -> None:
    store = ListingStore(postgres, "s", "listing")
    batch = Batch([answer(n, 1) for n in range(copying.MOST_ROW_BY_ROW + 1)])
    assert store.save(batch).runs_new == copying.MOST_ROW_BY_ROW + 1
    changed = [replace(one, details=_renamed(one.details)) for one in batch.runs]
    assert store.save(Batch(changed)) == Counts(0, len(changed), 0)
    with postgres.read() as connection:
        left = connection.execute(text("SELECT 1 FROM pg_class WHERE relname = 'runsync_staged'"))
        assert left.all() == []
    assert len(run_rows(postgres, PIPELINE)) == len(step_rows(postgres, PIPELINE)) == len(changed)


def _renamed(details: RunWithSteps) -> RunWithSteps:
    return replace(details, run=replace(details.run, result=Result.FAILED))


@pytest.mark.usefixtures("by_copy")
def test_what_fails_half_way_leaves_nothing(postgres: Database) -> None:
    store = ListingStore(postgres, "s", "listing")
    broken = answer(1, 1)
    step = replace(broken.details.steps[0], position=2**40)  # beyond its column
    broken = replace(broken, details=replace(broken.details, steps=(step,)))
    with pytest.raises(Exception, match="integer"):
        store.save(Batch([answer(0, 1), broken]))
    with postgres.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM runs")).scalar_one() == 0
    assert store.save(Batch([answer(0, 1)])) == Counts(1, 0, 1)


@pytest.mark.usefixtures("by_copy")
def test_no_copy_waits_for_another(postgres: Database, postgres_url: str) -> None:
    with closing(Database(postgres_url)) as rival:
        ours, theirs = ListingStore(postgres, "s", "l"), ListingStore(rival, "t", "m")
        late = threading.Thread(target=lambda: theirs.save(Batch([answer(0, 1)])))
        done: list[bool] = []

        def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith("DROP TABLE") and not done:
                late.start()
                until_it_waits(late, postgres)
                done.append(not late.is_alive())

        event.listen(postgres.engine, "before_cursor_execute", meanwhile)
        ours.save(Batch([answer(0, 1)]))
        late.join()
        assert done == [True]

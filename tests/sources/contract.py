"""What every source promises, as one suite that the tests of each source inherit.

A source's tests subclass :class:`Stage`, which plays the provider (a simulator, or a real server),
and :class:`SourceContract`, with a ``stage`` fixture that hands out a stage with an empty history.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import delete, select

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import ConfigError, NotFoundError
from runsync.http.client import Limits
from runsync.records import Run, RunWithSteps
from runsync.sources import open_source
from runsync.sources.base import Listed, Page, ResumePoint, Source
from runsync.storage.database import Database
from runsync.storage.models import PipelineRow, RunRow, StepRow
from runsync.sync.engine import Options, SyncOutcome, Task, sync
from runsync.sync.status import status
from runsync.sync.verify import Verdict, verify

QUICK = Limits(connect=5, read=10, whole=20, tries=3, first_pause=0.01, longest_pause=0.05)


@dataclass(frozen=True)
class Truth:
    """What must be stored of a run: our words, and how many steps at least."""

    status: str
    result: str
    steps: int


class Stage(ABC):
    """A provider to be synced from, and what can be made to happen there."""

    quiet_requests = 1
    """How many requests a sync takes at most in which nothing is new."""
    size = 30
    """How many runs a long history has here: more than two pages, or a walk that cannot tell the
    end of a page from that of the list passes for one that can."""

    @abstractmethod
    def config(self, token: str | None = None) -> SourceConfig:
        """The source; with another token than the right one where one is given."""

    @abstractmethod
    def wanted(self) -> PipelineConfig:
        """The listing under test."""

    @abstractmethod
    def unknown(self) -> PipelineConfig:
        """A listing of the right form that the provider does not know."""

    malformed: tuple[PipelineConfig, ...] = ()
    """Listings that the provider cannot have."""

    @abstractmethod
    def add_finished(self, count: int) -> list[str]:
        """Lets so many runs come and end, some passed and some failed; their ids as we name them.
        They are old enough to have settled."""

    @abstractmethod
    def start(self) -> str:
        """Lets a run come that is not over; its id."""

    @abstractmethod
    def finish(self, run_id: str) -> None:
        """Lets that run end, and enough time pass that it has settled."""

    @abstractmethod
    def forget(self, run_id: str) -> None:
        """Has the provider forget a finished run."""

    @abstractmethod
    def truth(self) -> dict[str, Truth]:
        """What an exact sync holds now, by id."""

    def wrong_token(self) -> str | None:
        """A token that the provider refuses; None where it takes any."""
        return None


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class SourceContract:
    """The promises. A subclass gives the fixture ``stage``."""

    @pytest.fixture
    def source(self, stage: Stage) -> Iterator[Source]:
        opened = open_source(stage.config(), concurrency=4, limits=QUICK)
        yield opened
        opened.close()

    def test_a_first_sync_is_exact(self, stage: Stage, source: Source, database: Database) -> None:
        stage.add_finished(6)
        stage.start()
        assert run_sync(database, source, stage).outcome == "ok"
        assert_exact(database, stage)

    def test_a_long_history_is_exact(self, stage: Stage, source: Source, sqlite: Database) -> None:
        stage.add_finished(stage.size)
        assert run_sync(sqlite, source, stage).outcome == "ok"
        assert_exact(sqlite, stage)
        (row,) = status(sqlite)[:1]
        assert row["reaches_start"]
        assert row["gaps"] == 0

    def test_nothing_new_takes_few_requests(
        self, stage: Stage, source: Source, sqlite: Database
    ) -> None:
        stage.add_finished(5)
        run_sync(sqlite, source, stage)
        run_sync(sqlite, source, stage)
        # A new process remembers nothing but what is in the database.
        renewed = open_source(stage.config(), concurrency=4, limits=QUICK)
        outcome = run_sync(sqlite, renewed, stage)
        renewed.close()
        assert outcome.requests <= stage.quiet_requests
        assert outcome.counts.runs_new == outcome.counts.runs_updated == 0
        assert outcome.counts.steps_written == 0

    def test_new_runs_are_brought(self, stage: Stage, source: Source, sqlite: Database) -> None:
        stage.add_finished(3)
        run_sync(sqlite, source, stage)
        new = stage.add_finished(2)
        assert run_sync(sqlite, source, stage).counts.runs_new == len(new)
        assert_exact(sqlite, stage)

    def test_an_unfinished_run_is_followed_to_its_end(
        self, stage: Stage, source: Source, database: Database
    ) -> None:
        run_id = stage.start()
        run_sync(database, source, stage)
        assert stored(database)[run_id].status != "finished"
        stage.add_finished(2)
        run_sync(database, source, stage)
        stage.finish(run_id)
        run_sync(database, source, stage)
        run_sync(database, source, stage)
        assert_exact(database, stage)
        with database.read() as connection:
            settled = connection.execute(select(RunRow.settled).where(RunRow.id == run_id)).scalar()
        assert settled

    def test_killed_and_run_again(self, stage: Stage, source: Source, sqlite: Database) -> None:
        stage.add_finished(8)
        with pytest.raises(Killed):
            run_sync(sqlite, dying_after(5, source), stage)
        source = open_source(stage.config(), concurrency=4, limits=QUICK)
        run_sync(sqlite, source, stage)
        source.close()
        assert_exact(sqlite, stage)

    def test_what_lies_below_a_place_is_walked(self, stage: Stage, source: Source) -> None:
        stage.add_finished(stage.size)
        listing = source.listing(stage.wanted())
        every = [
            i for p in source.pages(listing, None, {}) for i in p.items if isinstance(i, Listed)
        ]
        middle = every[len(every) // 2]
        resume_point = ResumePoint(middle.cursor, len(every) // 2)
        found = {
            item.run.id
            for page in source.pages(listing, resume_point, {})
            for item in page.items
            if isinstance(item, Listed)
        }
        assert {i.run.id for i in every if i.cursor < middle.cursor} <= found

    def test_what_the_provider_forgets_is_kept(
        self, stage: Stage, source: Source, sqlite: Database
    ) -> None:
        gone = stage.add_finished(3)[1]
        run_sync(sqlite, source, stage)
        before = stored(sqlite)
        stage.forget(gone)
        run_sync(sqlite, source, stage)
        assert stored(sqlite) == before
        (verdict,) = run_verify(sqlite, source, stage, repair=True)
        assert [(d.id, d.kind) for d in verdict.differences] == [(gone, "extra")]
        assert stored(sqlite) == before
        assert run_verify(sqlite, source, stage)[0].well

    def test_verify_finds_and_mends_what_is_missing(
        self, stage: Stage, source: Source, sqlite: Database
    ) -> None:
        lost = stage.add_finished(4)[2]
        run_sync(sqlite, source, stage)
        assert run_verify(sqlite, source, stage)[0].differences == []
        with sqlite.write() as connection:
            connection.execute(delete(StepRow).where(StepRow.run_id == lost))
            connection.execute(delete(RunRow).where(RunRow.id == lost))
        (verdict,) = run_verify(sqlite, source, stage)
        assert [(d.id, d.kind) for d in verdict.differences] == [(lost, "missing")]
        assert run_verify(sqlite, source, stage, repair=True)[0].well
        assert_exact(sqlite, stage)

    def test_times_are_aware_and_in_order(
        self, stage: Stage, source: Source, sqlite: Database
    ) -> None:
        stage.add_finished(3)
        run_sync(sqlite, source, stage)
        with sqlite.read() as connection:
            rows = connection.execute(
                select(RunRow.created_at, RunRow.started_at, RunRow.finished_at)
            ).all()
        assert rows
        for created, started, finished in rows:
            assert created.utcoffset() is not None
            assert started is not None
            assert finished is not None
            assert created <= started <= finished

    def test_an_unknown_listing_is_an_error_with_its_name(
        self, stage: Stage, source: Source, sqlite: Database
    ) -> None:
        outcome = sync(sqlite, [Task(source, source.listing(stage.unknown()))], Options())[0]
        assert outcome.outcome == "failed"
        assert isinstance(outcome.cause, NotFoundError)
        assert "404" in str(outcome.cause)

    def test_a_malformed_listing_is_refused_unasked(self, stage: Stage, source: Source) -> None:
        for wanted in stage.malformed:
            with pytest.raises(ConfigError):
                source.listing(wanted)

    def test_a_wrong_token_is_refused_and_not_shown(
        self, stage: Stage, sqlite: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = stage.wrong_token()
        if token is None:
            pytest.skip("this provider takes any token")
        source = open_source(stage.config(token), concurrency=4, limits=QUICK)
        outcome = run_sync(sqlite, source, stage)
        source.close()
        assert type(outcome.cause).__name__ == "TokenRefusedError"
        assert token not in str(outcome)


def run_sync(database: Database, source: Source, stage: Stage) -> SyncOutcome:
    (outcome,) = sync(
        database, [Task(source, source.listing(stage.wanted()))], Options(concurrency=4)
    )
    return outcome


def run_verify(
    database: Database, source: Source, stage: Stage, *, repair: bool = False
) -> list[Verdict]:
    return verify(database, [Task(source, source.listing(stage.wanted()))], repair=repair)


def stored(database: Database) -> dict[str, Truth]:
    with database.read() as connection:
        runs = connection.execute(
            select(RunRow.pipeline_id, RunRow.id, RunRow.status, RunRow.result)
        ).all()
        steps = connection.execute(select(StepRow.pipeline_id, StepRow.run_id)).all()
        pipelines = connection.execute(select(PipelineRow.id)).all()
    assert pipelines
    counts: dict[Any, int] = {}
    for key in steps:
        counts[tuple(key)] = counts.get(tuple(key), 0) + 1
    return {
        run_id: Truth(state, result, counts.get((pipeline_id, run_id), 0))
        for pipeline_id, run_id, state, result in runs
    }


def assert_exact(database: Database, stage: Stage) -> None:
    assert stored(database) == stage.truth()


def dying_after(completed: int, source: Source) -> Source:
    """The same source, which is killed when it has completed so many runs."""
    left = [completed]

    class Dying(type(source)):  # type: ignore[misc]
        def pages(self, *args: Any) -> Iterator[Page]:
            """As if no listing showed steps."""
            for page in super().pages(*args):
                items = (
                    replace(i, details=None) if isinstance(i, Listed) else i for i in page.items
                )
                yield replace(page, items=tuple(items))

        def complete(self, run: Run) -> RunWithSteps:
            left[0] -= 1
            if left[0] <= 0:
                raise Killed
            return super().complete(run)  # type: ignore[no-any-return]

    dying: Source = Dying(source._config, concurrency=4, limits=QUICK)
    return dying

"""Whatever happens, nothing is claimed that is not so, and a quiet sync makes the copy exact."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runsync.records import Cursor, Result, Run, Status
from tests.effort import effort
from tests.sync.model import STEPS, KilledError, MemoryStore, ModelRun, Provider, run_sync

FAULTS = st.sampled_from(
    ["", "", "empty", "again", "short", "one", "error", "quota", "gone", "kill"]
)
SINCE = st.none() | st.integers(1, 200)


class History(RuleBasedStateMachine):
    """A provider's life, with syncs in between."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.provider = Provider()

    @initialize(page=st.integers(2, 5), runs=st.integers(0, 30))
    def begin(self, page: int, runs: int) -> None:
        self.provider.page = page
        self.provider.arrive(runs)

    # What happens at the provider.

    @rule(count=st.integers(1, 6), same_instant=st.booleans())
    def arrive(self, count: int, same_instant: bool) -> None:
        self.provider.arrive(count, same_instant=same_instant)

    @rule(place=st.integers(0, 40))
    def delete(self, place: int) -> None:
        if self.provider.runs:
            self.provider.runs.pop(place % len(self.provider.runs))

    @rule(place=st.integers(0, 40), result=st.sampled_from(list(Result)[:3]))
    def end(self, place: int, result: Result) -> None:
        self.provider.end(place, result)

    @rule(place=st.integers(0, 40), readable=st.booleans())
    def become_unreadable_or_readable(self, place: int, readable: bool) -> None:
        if self.provider.runs:
            self.provider.runs[place % len(self.provider.runs)].readable = readable

    @rule(place=st.integers(0, 40), good=st.booleans())
    def steps_become_bad_or_good(self, place: int, good: bool) -> None:
        """Of a run that is not stored as settled: what is settled does not change."""
        if self.provider.runs:
            run = self.provider.runs[place % len(self.provider.runs)]
            row = self.store.rows.get(run.id)
            run.good_steps = good or (row is not None and row.settled)

    @rule(minutes=st.sampled_from([1, 4, 11, 2000]))
    def pass_time(self, minutes: int) -> None:
        self.provider.pass_time(60 * minutes)

    # What the user does.

    @rule(
        faults=st.lists(FAULTS, max_size=30),
        since=SINCE,
        full=st.booleans(),
        locked=st.booleans(),
        details=st.booleans(),
    )
    def sync(
        self, faults: list[str], since: int | None, full: bool, locked: bool, details: bool
    ) -> None:
        self.provider.faults = list(faults)
        self.store.database.locked = locked
        with suppress(KilledError):
            since_when = self.since(since)
            run_sync(self.store, self.provider, details=details, full=full, since=since_when)
            self.what_came_is_kept()
        self.store.database.locked = False
        self.provider.faults = []

    @rule(faults=st.lists(FAULTS, max_size=12), moves=st.lists(st.integers(0, 9), max_size=12))
    def sync_while_the_list_moves(self, faults: list[str], moves: list[int]) -> None:
        provider, pending = self.provider, list(moves)
        honest = provider.fault

        def disturbed() -> str:
            if pending and (move := pending.pop(0)) < 8:
                if move < 4:
                    provider.arrive(move)
                elif provider.runs:
                    provider.runs.pop((move * 7) % len(provider.runs))
            return honest()

        provider.faults = list(faults)
        provider.fault = disturbed  # type: ignore[method-assign]
        with suppress(KilledError):
            run_sync(self.store, provider)
        del provider.fault
        provider.faults = []

    def what_came_is_kept(self) -> None:
        """Whatever ended a sync but a kill: each run that was told whole is stored."""
        for run_id, at in self.provider.told_at.items():
            row = self.store.rows[run_id]
            assert row.settled or row.details.as_of >= at

    @rule(full=st.booleans(), details=st.booleans())
    def quiet_sync(self, full: bool, details: bool) -> None:
        """After a sync that nothing disturbs the copy is exact; what is set aside, after a full."""
        self.provider.pass_time(3600)
        outcome = run_sync(self.store, self.provider, full=full, details=details)
        if not all(run.readable for run in self.provider.runs):
            return
        assert outcome.outcome in ("ok", "partial")
        bad = {run.id for run in self.provider.runs if not run.good_steps}
        over = {run.id for run in self.provider.runs if run.status is Status.FINISHED}
        if full:
            assert self.store.aside.keys() <= bad | self.gone()
        for run in self.provider.runs:
            row = self.store.rows[run.id]
            assert run.id not in self.store.vanished
            assert self.is_told(row.details.run, run) or run.id in self.store.aside
            if full and details and run.id not in self.store.aside:
                assert row.details.run.source_run_id is not None
            if run.id not in bad | self.store.aside.keys():
                assert list(row.details.steps) == self.provider.steps(run)
                assert row.settled or run.status is not Status.FINISHED
        run_sync(self.store, self.provider)  # what cannot be read twice is set aside
        assert bad & over <= self.store.aside.keys()
        outcome = run_sync(self.store, self.provider)
        # What is set aside is asked for once a day, without a word.
        doubted = self.store.not_found_once()
        assert outcome.outcome == ("partial" if bad - over or doubted else "ok")
        assert all(run in str(outcome.problems) for run in doubted)
        requests = self.provider.requests
        unsettled = len(
            self.store.unsettled(but_set_aside_after=self.provider.now - timedelta(days=1))
        )
        run_sync(self.store, self.provider)
        ties = max(self.most_of_an_instant(), 1)
        assert self.provider.requests - requests <= unsettled + 2 + 2 * ties

    # What always holds.

    @invariant()
    def nothing_is_claimed_that_is_not_so(self) -> None:
        claimed = [
            run
            for run in self.provider.runs
            for i in self.store.intervals
            if (run.created < i.newest.at and (i.reaches_start or run.created > i.oldest.at))
            or Cursor(run.created, run.id) in (i.newest, i.oldest)
        ]
        missing = [run.id for run in claimed if run.id not in self.store.rows]
        assert missing == []

    @invariant()
    def what_is_settled_is_final(self) -> None:
        truth = {run.id: run for run in self.provider.runs}
        for key, row in self.store.rows.items():
            if row.settled and key in truth:
                assert self.is_told(row.details.run, truth[key])
                assert len(row.details.steps) == STEPS
                assert list(row.details.steps) == self.provider.steps(truth[key])

    def is_told(self, stored: Run, run: ModelRun) -> bool:
        """Whether a run is stored as it is told, with its details or without."""
        return stored in [self.provider.told(run, details=details) for details in (False, True)]

    def gone(self) -> set[str]:
        return self.store.rows.keys() - {run.id for run in self.provider.runs}

    def most_of_an_instant(self) -> int:
        times = [run.created for run in self.provider.runs]
        return max((times.count(at) for at in times), default=0)

    def since(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self.provider.now - timedelta(seconds=seconds)


def test_a_hole_that_deletions_move_to_where_another_was_stays_a_hole() -> None:
    """Found by the machine: rows that cannot be read were known by their position alone."""
    history = History()
    history.begin(page=5, runs=15)
    history.sync_while_the_list_moves(faults=["empty"], moves=[4])
    history.become_unreadable_or_readable(place=0, readable=False)
    history.sync_while_the_list_moves(faults=["", "", "", "", "", "error"], moves=[0, 4])
    for place in (0, 21, 4):
        history.become_unreadable_or_readable(place=place, readable=False)
    history.sync_while_the_list_moves(faults=[], moves=[5, 5, 7])
    history.sync_while_the_list_moves(faults=[], moves=[0, 0, 4, 4, 4, 4])
    history.nothing_is_claimed_that_is_not_so()


def test_a_run_that_is_set_aside_and_then_deleted_is_not_said_to_be_asked_for_again() -> None:
    """Found by the machine, where a list became empty and its runs were found gone one by one."""
    history = History()
    history.begin(page=2, runs=4)
    for place in range(4):
        history.end(place, Result.PASSED)
    history.steps_become_bad_or_good(place=0, good=False)
    history.quiet_sync(full=False, details=False)
    for _ in range(4):
        history.delete(0)
    history.quiet_sync(full=False, details=False)


def test_the_run_that_disproves_an_empty_listing_is_kept() -> None:
    """Found by the machine: what was read of it was thrown away."""
    history = History()
    history.begin(page=2, runs=1)
    history.quiet_sync(full=False, details=False)
    history.pass_time(minutes=1)
    history.sync(faults=["empty", "", "error"], since=None, full=False, locked=False, details=False)


TestHistory = History.TestCase
TestHistory.settings = effort(60, steps=30)


@pytest.mark.proof
class TestLongHistory(History.TestCase):  # type: ignore[misc,valid-type]
    settings = effort(2000)

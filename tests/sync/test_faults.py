"""Every fault type of the simulator, at the first, a middle and the last request of each endpoint.

Whatever goes wrong: the sync ends in time and says how, claims nothing that is not so, and after
one quiet sync the database holds what the service holds.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runsync.http.client import Limits
from runsync.simulator.http.fault_types import FAULT_TYPES
from runsync.storage.models import CoverageRow
from runsync.sync.engine import SyncOutcome
from runsync.sync.verify import verify
from tests.sync.rig import MakeRig, Rig, empty_world

QUICK = Limits(
    connect=1,
    read=0.3,
    whole=0.5,
    tries=3,
    first_pause=0.01,
    longest_pause=0.02,
    longest_wait=0.5,
)
MOST_SECONDS = 60
STATUSES = "400 401 403 404 410 418 429 500 503".split()
KINDS = [*FAULT_TYPES, *STATUSES]
LISTED = 45
UNFINISHED = 4
REQUESTS = {"runs": 3, "steps": LISTED, "run": UNFINISHED}
"""About how many there are of each endpoint."""
SECONDS = {"429": 0, "503": 0, "429-date": 0, "slow": 3, "slow-headers": 3, "drip": 3}


@dataclass(frozen=True)
class Case:
    """A fault at the n-th request of an endpoint, once or from then on."""

    kind: str
    endpoint: str
    after: int
    lasting: bool

    @property
    def is_plausible(self) -> bool:
        """Whether the answers look like those of a service that holds something else: nothing
        in them tells that steps are missing or foreign, or that each page was cut."""
        if self.endpoint == "steps":
            return self.kind in {"short-page", "empty-page", "foreign"}
        return self.endpoint == "runs" and self.kind == "short-page" and self.lasting

    @property
    def says_less(self) -> bool:
        """Whether the answer is a good one: there are no runs yet."""
        return (self.kind, self.endpoint) == ("empty-page", "runs")

    def __str__(self) -> str:
        return f"{self.kind}-{self.endpoint}-{self.after}{'-lasting' if self.lasting else ''}"


def cases() -> Iterator[Case]:
    for kind in KINDS:
        for endpoint, number in REQUESTS.items():
            for after in (0, number // 2, number - 1):
                for lasting in (False, True):
                    yield Case(kind, endpoint, after, lasting)


SOME = [
    case
    for case in cases()
    if case.kind in {"empty-page", "401", "404", "reset", "truncated-json"}
    and case.after not in (0, REQUESTS[case.endpoint] - 1)
]


def test_every_fault_type_is_tried() -> None:
    assert {case.kind for case in cases()} >= set(FAULT_TYPES)
    assert len(FAULT_TYPES) == 26


@pytest.mark.parametrize("case", SOME, ids=str)
def test_some_faults(make_rig: MakeRig, case: Case) -> None:
    play(make_rig, case)


@pytest.mark.proof
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_all_faults(make_rig: MakeRig, case: Case) -> None:
    play(make_rig, case)


def play(make_rig: MakeRig, case: Case) -> None:
    """Syncs with the fault, then without one."""
    rig = make_rig(empty_world())
    rig.limits = QUICK
    unfinished = add_runs(rig, UNFINISHED, finished=False)
    add_runs(rig, LISTED - UNFINISHED, finished=True)
    rig.world.clock.advance(timedelta(hours=1))
    if case.endpoint == "run":
        # Runs are asked for by their ids where they were unfinished and are not among the newest.
        assert outcome_of(rig) == "ok"
        for run in unfinished:
            rig.world.finish(run)
        add_runs(rig, 25, finished=True)
    rig.world.clock.advance(timedelta(hours=1))
    limit: dict[str, Any] = {} if case.lasting else {"first": 1}
    rule = rig.simulator.faults.add(
        case.kind, case.endpoint, after=case.after, seconds=SECONDS.get(case.kind), **limit
    )
    began = time.monotonic()
    outcome = outcome_of(rig)
    assert time.monotonic() - began < MOST_SECONDS
    assert rule.hits > 0
    assert outcome in ("ok", "partial", "failed")
    rig.simulator.faults.clear()
    if not case.is_plausible:
        assert_nothing_wrong_is_claimed(rig)
        if outcome == "ok" and not case.says_less:
            rig.assert_exact()
    # A run whose steps could not be read is set aside until all is read again.
    full = case.endpoint == "steps" and case.kind == "number-for-string"
    assert outcome_of(rig, full=full) == "ok"
    if case.is_plausible:
        # The audit finds it, in runs that are over.
        for run in unfinished:
            rig.world.finish(run)
        rig.world.clock.advance(timedelta(hours=1))
        assert outcome_of(rig) == "ok"
        verify(rig.database, rig.tasks(), repair=True)
    assert_nothing_wrong_is_claimed(rig)
    assert not any(rig.column("vanished_at").values())
    rig.assert_exact()


def add_runs(rig: Rig, number: int, *, finished: bool) -> list[str]:
    """So many runs, one a second; those that are over have been for two hours."""
    (pipeline,) = rig.world.pipelines
    made = []
    for _ in range(number):
        rig.world.clock.advance(1)
        status = "finished" if finished else "running"
        made.append(rig.world.add_run(pipeline.id, status=status, created_at=rig.world.clock.now()))
    return made


def outcome_of(rig: Rig, *, full: bool = False) -> str:
    outcomes: list[SyncOutcome] = rig.sync(full=full)
    return outcomes[0].outcome


def assert_nothing_wrong_is_claimed(rig: Rig) -> None:
    (pipeline,) = rig.world.pipelines
    truth = {run["id"]: run for run in rig.truth(pipeline.id)}
    stored = {run["id"]: run for run in rig.rows(pipeline.id)}
    assert stored.keys() <= truth.keys()
    settled = rig.column("settled")
    for run_id, row in stored.items():
        if settled[run_id]:
            assert row == truth[run_id]
    with rig.database.read() as connection:
        intervals = connection.execute(select(CoverageRow.__table__)).mappings().all()
    for interval in intervals:
        for run_id, run in truth.items():
            older = run["created_at"] < interval["oldest_created_at"]
            newer = run["created_at"] > interval["newest_created_at"]
            if not newer and (not older or interval["reaches_start"]):
                assert run_id in stored


@pytest.mark.parametrize(("kind", "seconds"), [("401", None), ("429", 3600)])
def test_after_a_refusal_nothing_is_asked_but_what_is_in_flight(
    make_rig: MakeRig, kind: str, seconds: float | None
) -> None:
    """Over all listings of the source."""
    rig = make_rig(pipelines=20, runs=[12] * 20)
    rig.simulator.latency = 0.01
    rig.simulator.faults.add(kind, after=40, seconds=seconds)
    outcomes = rig.sync()
    statuses = [request.status for request in rig.simulator.requests]
    assert statuses.index(int(kind)) == 40
    assert len(statuses) - 41 < rig.concurrency
    assert {outcome.outcome for outcome in outcomes} <= {"ok", "failed"}
    assert sum(outcome.outcome == "failed" for outcome in outcomes) >= 15
    rig.simulator.faults.clear()
    assert {outcome.outcome for outcome in rig.sync()} == {"ok"}
    rig.assert_exact()

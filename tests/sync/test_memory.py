"""What a source remembers of a listing: which of it is kept, by how a sync ended, and told to the
next."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runsync.records import parse_time
from runsync.sources.base import BEGUN, Listing, Page, ResumePoint
from runsync.sources.wercker.source import Wercker
from runsync.storage.store import ListingStore
from tests.sync.rig import MakeRig, Rig


class Remembering(Wercker):
    """It adds the number of the sync to each thing that it remembers, in place."""

    walk_memory = ("walk", "never")
    lasting_memory = ("lasting", "never")
    number = 0
    told: dict[str, Any] | None = None

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        if self.told is None:
            self.told = deepcopy(memory)
            for key in ("all", "walk", "lasting"):
                memory.setdefault(key, []).append(self.number)
        yield from super().pages(listing, resume_point, memory)


class Beginning(Remembering):
    """As Remembering, and it wants to know when a listing was first asked for."""

    needs_begin = True


def rig_of(make_rig: MakeRig) -> Rig:
    rig = make_rig(runs=[60], pipelines=1)
    rig.limits = replace(rig.limits, tries=1)
    clock = rig.world.clock
    clock.advance(timedelta(days=60))
    long_ago = clock.now() - timedelta(days=150)
    rig.world.add_run(rig.world.pipelines[0].id, status="running", created_at=long_ago)
    return rig


def kept(rig: Rig) -> dict[str, Any]:
    return ListingStore(rig.database, "wercker", rig.tasks()[0].listing.key).memory()


def synced(
    rig: Rig, number: int, ends: str = "ok", kind: type[Remembering] = Remembering, **options: Any
) -> dict[str, Any]:
    """Has a sync end so; what its source was told."""
    run = rig.world.add_run(rig.world.pipelines[0].id, status="running")
    rig.world.clock.advance(60)
    faults: dict[str, tuple[str, str, dict[str, Any]]] = {
        "failed": ("500", "runs", {"after": 1}),
        "failed at once": ("500", "runs", {}),
        "failed at last": ("401", "run", {}),
        "partial": ("number-for-string", "steps", {"run": run}),
    }
    if ends in faults:
        fault, endpoint, where = faults[ends]
        rig.simulator.faults.add(fault, endpoint, **where)
    source = rig.source(kind)
    assert isinstance(source, Remembering)
    source.number = number
    (outcome,) = rig.sync(source, **options)
    rig.simulator.faults.clear()
    rig.world.finish(run)
    assert outcome.outcome == ends.split()[0]
    assert source.told is not None
    return source.told


@pytest.mark.parametrize(
    ("ends", "remembered"),
    [
        ("ok", {"all": [1, 2], "walk": [1, 2], "lasting": [1, 2]}),
        ("failed at once", {"all": [1], "walk": [1], "lasting": [1]}),
        ("failed at last", {"all": [1], "walk": [1], "lasting": [1, 2]}),
        ("partial", {"all": [1], "walk": [1, 2], "lasting": [1, 2]}),
    ],
)
def test_what_is_kept_by_how_a_sync_ended(
    make_rig: MakeRig, ends: str, remembered: dict[str, list[int]]
) -> None:
    rig = rig_of(make_rig)
    synced(rig, 1)
    assert kept(rig) == {"all": [1], "walk": [1], "lasting": [1]}
    assert synced(rig, 2, ends) == {"all": [1], "walk": [1], "lasting": [1]}
    assert kept(rig) == remembered


def test_what_is_told_where_the_history_is_not_covered_yet(make_rig: MakeRig) -> None:
    rig = rig_of(make_rig)
    assert synced(rig, 1, "failed") == {}
    assert synced(rig, 2) == {"lasting": [1]}
    assert synced(rig, 3) == {"all": [2], "walk": [2], "lasting": [1, 2]}


def test_what_is_told_where_more_history_is_wanted_than_is_covered(make_rig: MakeRig) -> None:
    rig = rig_of(make_rig)
    since = sorted(run["created_at"] for run in rig.truth(rig.world.pipelines[0].id))[-30]
    synced(rig, 1, since=since)
    assert synced(rig, 2, since=since) == {"all": [1], "walk": [1], "lasting": [1]}
    assert synced(rig, 3) == {"lasting": [1, 2]}


def test_a_full_sync_is_told_nothing(make_rig: MakeRig) -> None:
    rig = rig_of(make_rig)
    synced(rig, 1, "failed", Beginning)
    assert BEGUN in kept(rig)
    assert synced(rig, 2, kind=Beginning, full=True) == {}
    assert kept(rig) == {"all": [2], "walk": [2], "lasting": [2]}


def test_when_a_listing_was_first_asked_for_is_told_until_it_was_read_whole(
    make_rig: MakeRig,
) -> None:
    rig = rig_of(make_rig)
    now = rig.world.clock.now()
    assert synced(rig, 1, "failed at once", Beginning) == {}
    assert kept(rig) == {}
    for number in (2, 3):
        synced(rig, number, "failed", Beginning)
        rig.world.clock.advance(timedelta(days=1))
    begun = parse_time(kept(rig)[BEGUN])
    assert timedelta(0) <= begun - now < timedelta(minutes=5)
    assert parse_time(synced(rig, 4, kind=Beginning)[BEGUN]) == begun

"""What a sync would ask for, told from the database alone: nothing is asked over the network."""

from collections.abc import Sequence
from typing import Any

from runsync.coverage import Interval
from runsync.storage.database import Database
from runsync.storage.store import ListingStore
from runsync.sync.outcome import Options, Task


def plan(
    database: Database | None, tasks: Sequence[Task], options: Options
) -> list[dict[str, Any]]:
    """One row for each listing: what is covered, and the fewest requests that a sync makes.

    Args:
        database: None where there is none yet.
    """
    return [_row(database, task, options) for task in tasks]


def _row(database: Database | None, task: Task, options: Options) -> dict[str, Any]:
    covered: list[Interval] = []
    unsettled = 0
    if database is not None:
        store = ListingStore(database, task.source.name, task.listing.key)
        covered, unsettled = store.coverage(), len(store.unsettled())
    whole = bool(covered) and covered[0].reaches(options.since)
    return {
        "listing": task.listing.key,
        "covered_from": covered[0].oldest.at if covered else None,
        "covered_to": covered[0].newest.at if covered else None,
        "gaps": max(len(covered) - 1, 0),
        "unsettled": unsettled,
        "requests": 1 + 2 * unsettled + (0 if whole and not options.full else 1),
        "plan": _words(covered, whole=whole, unsettled=unsettled, options=options),
    }


def _words(covered: Sequence[Interval], *, whole: bool, unsettled: int, options: Options) -> str:
    back = f"back to {options.since:%Y-%m-%d}" if options.since else "back to the first run"
    if options.full:
        walk = f"walk the whole listing {back}"
    elif not covered:
        walk = f"walk the listing {back}, and read each run's steps"
    elif whole:
        walk = "look for new runs at the top"
    else:
        walk = f"look for new runs at the top, and go on below what is covered, {back}"
    again = f"; read {unsettled} unsettled runs again" if unsettled else ""
    return walk + again

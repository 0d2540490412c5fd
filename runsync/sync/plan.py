"""What a sync would ask for, told from the database alone: nothing is asked over the network."""

import math
from collections.abc import Sequence
from typing import Any

from runsync.coverage import Interval
from runsync.sources.base import Source
from runsync.storage.audit import AuditStore
from runsync.storage.database import Database
from runsync.sync.outcome import Options, Task


def plan(
    database: Database | None, tasks: Sequence[Task], options: Options
) -> list[dict[str, Any]]:
    """One row for each listing: what is covered, and the requests of a sync that finds nothing new.

    ``requests`` is None where it depends on how long a history is that was never walked.

    Args:
        database: None where there is none yet.
    """
    return [_row(database, task, options) for task in tasks]


def _row(database: Database | None, task: Task, options: Options) -> dict[str, Any]:
    covered: list[Interval] = []
    unsettled = runs = 0
    if database is not None:
        store = AuditStore(database, task.source.name, task.listing.key)
        covered = store.coverage()
        unsettled = 0 if task.source.lists_changes else len(store.unsettled())
        runs = store.count_present(options.since)
    whole = bool(covered) and covered[0].reaches(options.since)
    # The end of a list takes one request more.
    pages = math.ceil(runs / task.source.page_runs) + 1 if options.full else 1
    return {
        "pipeline": task.title,
        "listing": task.listing.key,
        "covered_from": covered[0].oldest.at if covered else None,
        "covered_to": covered[0].newest.at if covered else None,
        "gaps": max(len(covered) - 1, 0),
        "unsettled": unsettled,
        "requests": pages + unsettled * (1 + task.source.requests_per_run) if whole else None,
        "plan": _words(covered, task.source, whole=whole, unsettled=unsettled, options=options),
    }


def _words(
    covered: Sequence[Interval], source: Source, *, whole: bool, unsettled: int, options: Options
) -> str:
    back = f"back to {options.since:%Y-%m-%d}" if options.since else "back to the first run"
    if options.full:
        walk = f"walk the whole listing {back}"
    elif not covered:
        walk = f"walk the listing {back}, and read each run"
    elif whole:
        walk = "look for new runs at the top"
    else:
        walk = f"look for new runs at the top, and go on below what is covered, {back}"
    again = f"; read {unsettled} unsettled runs again" if unsettled else ""
    return walk + again + ("" if whole else f"; {_unknown(source)}")


def _unknown(source: Source) -> str:
    hundred = math.ceil(100 / source.page_runs) + 100 * source.requests_per_run
    return f"about {hundred} requests for each 100 runs, whose number is known only to the service"

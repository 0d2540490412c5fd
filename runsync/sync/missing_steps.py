"""What an answer without a step proves of a run that ran.

Some runs have none, and some providers forget them. A passing fault looks the same, so such an
answer alone settles nothing.
"""

from dataclasses import replace
from datetime import timedelta

from runsync.records import GRACE, Problem, RunWithSteps
from runsync.storage.store import StoredState

_FORGETTING = timedelta(days=1)
"""For how long steps that are stored have to be missing, at every try, to count as forgotten."""


def lacks_proof(found: RunWithSteps, stored: StoredState | None) -> bool:
    """Whether a run that is over and ran came without a step, and may have some all the same.

    Where none is stored it takes another such answer, ten minutes after the run was first seen.
    Where some are, they may have changed since.
    """
    if found.steps or found.run.started_at is None or not found.steps_read:
        return False
    if stored is None or not stored.has_steps or stored.steps_synced_at is None:
        return not (stored and stored.finished and found.as_of >= stored.first_seen_at + GRACE)
    were_missing = stored.last_seen_at > stored.steps_synced_at
    return not (were_missing and found.as_of >= stored.steps_synced_at + _FORGETTING)


def without_known_steps(found: RunWithSteps) -> RunWithSteps:
    """A run of which steps are stored, and none came."""
    problem = Problem(
        f"run {found.run.id}: no steps came, though some are stored; they are asked for again"
    )
    return replace(found, problems=(*found.problems, problem), steps_read=False)

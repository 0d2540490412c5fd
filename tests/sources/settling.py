"""Whether a run, as it was read, has settled."""

from datetime import timedelta

from runsync.records import GRACE, RunWithSteps, settles_at


def is_settled(details: RunWithSteps, grace: timedelta = GRACE) -> bool:
    at = settles_at(details, grace)
    return at is not None and details.as_of >= at

"""CircleCI's words in ours."""

from runsync.records import (
    ABORTED,
    ERRORED,
    FAILED,
    PASSED,
    SKIPPED,
    TIMED_OUT,
    UNEXPLAINED,
    Status,
)

_OVER = "success failed error canceled unauthorized not_run".split()
_JOB_OVER = "infrastructure_fail timedout terminated-unknown retried".split()
STATUSES = {
    **dict.fromkeys("running failing".split(), Status.RUNNING),
    **dict.fromkeys("on_hold queued not_running blocked".split(), Status.NOTSTARTED),
    **dict.fromkeys([*_OVER, *_JOB_OVER], Status.FINISHED),
}
"""Of workflows and of their jobs."""
ENDINGS = {
    "success": PASSED,
    "failed": FAILED,
    # Who started it may not use a context that a job asks for.
    "unauthorized": FAILED,
    **dict.fromkeys("error infrastructure_fail terminated-unknown".split(), ERRORED),
    "timedout": TIMED_OUT,
    "canceled": ABORTED,
    "not_run": SKIPPED,
    # CircleCI ran the job again by itself; how this try ended it does not say.
    "retried": UNEXPLAINED,
}
EVENTS = {
    "webhook": "push",
    "explicit": "manual",
    "scheduled_pipeline": "schedule",
    "merge_request": "pull_request",
}
"""Ours for the type of a trigger, where it is another word than push, schedule or api."""

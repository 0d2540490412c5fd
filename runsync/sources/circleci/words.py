"""CircleCI's words in ours."""

from runsync.records import (
    ABORTED,
    FAILED,
    PASSED,
    SKIPPED,
    UNEXPLAINED,
    Ending,
    Outcome,
    Result,
    Status,
)

_OVER = "success failed error canceled unauthorized not_run"
_JOB_OVER = "infrastructure_fail timedout terminated-unknown retried"
STATUSES = {
    **dict.fromkeys("running failing".split(), Status.RUNNING),
    **dict.fromkeys("on_hold queued not_running blocked".split(), Status.NOTSTARTED),
    **dict.fromkeys([*_OVER.split(), *_JOB_OVER.split()], Status.FINISHED),
}
"""Of workflows and of their jobs."""
ENDINGS = {
    "success": PASSED,
    "failed": FAILED,
    # Who started it may not use a context that a job asks for.
    "unauthorized": FAILED,
    "error": Ending(Result.FAILED, Outcome.ERROR),
    "infrastructure_fail": Ending(Result.FAILED, Outcome.ERROR),
    "terminated-unknown": Ending(Result.FAILED, Outcome.ERROR),
    "timedout": Ending(Result.FAILED, Outcome.TIMEOUT),
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

"""GitHub's words in ours."""

from runsync.records import (
    ABORTED,
    ERRORED,
    FAILED,
    PASSED,
    SKIPPED,
    TIMED_OUT,
    UNEXPLAINED,
    Ending,
    Outcome,
    Result,
    Status,
)

STATUSES = {
    "queued": Status.NOTSTARTED,
    "requested": Status.NOTSTARTED,
    "waiting": Status.NOTSTARTED,
    "pending": Status.NOTSTARTED,
    "in_progress": Status.RUNNING,
    "completed": Status.FINISHED,
}
ENDINGS = {
    "success": PASSED,
    # GitHub lets a branch rule take "neutral" for a pass.
    "neutral": PASSED,
    "failure": FAILED,
    "timed_out": TIMED_OUT,
    "startup_failure": ERRORED,
    "cancelled": ABORTED,
    # GitHub gave up on it after too long: nobody will ever hear how it ended.
    "stale": Ending(Result.ABORTED, Outcome.TIMEOUT),
    "skipped": SKIPPED,
    # It waits for somebody's approval, and did nothing yet.
    "action_required": UNEXPLAINED,
}
EVENTS = {
    "pull_request_target": "pull_request",
    "workflow_dispatch": "manual",
    "repository_dispatch": "api",
    "workflow_run": "upstream",
}
"""Ours for GitHub's word, where it is another one than push, pull_request or schedule."""

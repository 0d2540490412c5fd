"""Buildbot's words in ours, by its numbers for how something ended."""

from runsync.records import ABORTED, ERRORED, FAILED, PASSED, SKIPPED, Ending, Outcome, Result

RETRY = 5
NAMES = {
    0: "success",
    1: "warnings",
    2: "failure",
    3: "skipped",
    4: "exception",
    RETRY: "retry",
    6: "cancelled",
}
ENDINGS = {
    "success": PASSED,
    "warnings": PASSED,
    "failure": FAILED,
    "skipped": SKIPPED,
    # A fault of Buildbot's own or of its configuration, not of what it ran.
    "exception": ERRORED,
    # The worker was lost, or never came up; the request is built again.
    "retry": Ending(Result.ABORTED, Outcome.ERROR),
    "cancelled": ABORTED,
}

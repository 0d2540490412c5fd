"""Wercker's words in ours. It tells no events, numbers or machines."""

from runsync.records import ABORTED, FAILED, PASSED, SKIPPED, UNEXPLAINED, Status

STATUSES = {
    "notstarted": Status.NOTSTARTED,
    "pendingapproval": Status.NOTSTARTED,
    "started": Status.STARTED,
    "running": Status.RUNNING,
    "finished": Status.FINISHED,
}
ENDINGS = {
    "passed": PASSED,
    "failed": FAILED,
    "aborted": ABORTED,
    "skipped": SKIPPED,
    "unknown": UNEXPLAINED,
}

"""Azure DevOps' words in ours."""

from runsync.records import ABORTED, ERRORED, FAILED, PASSED, SKIPPED, Outcome, Result, Status

STATUSES = {
    # Builds.
    **dict.fromkeys(["none", "notStarted", "postponed"], Status.NOTSTARTED),
    **dict.fromkeys(["inProgress", "cancelling"], Status.RUNNING),
    "completed": Status.FINISHED,
    # Records of a timeline.
    "pending": Status.NOTSTARTED,
}
UNFINISHED = "inProgress,cancelling,postponed,notStarted"
"""The filter for the builds that are not over."""
ENDINGS = {
    "succeeded": PASSED,
    # Something failed that was allowed to.
    "partiallySucceeded": PASSED,
    "succeededWithIssues": PASSED,
    "failed": FAILED,
    "canceled": ABORTED,
    "skipped": SKIPPED,
    # The agent was lost.
    "abandoned": ERRORED,
}
EVENTS = {
    "individualCI": "push",
    "batchedCI": "push",
    "pullRequest": "pull_request",
    "scheduleForced": "schedule",
    "userCreated": "manual",
    "buildCompletion": "upstream",
    "resourceTrigger": "upstream",
}
"""Ours for a build's ``reason``, where it is another word than manual or schedule."""
REASONS = {
    "ran longer than the maximum time": Outcome.TIMEOUT,
    "has exceeded the maximum execution time": Outcome.TIMEOUT,
    "stopped hearing from agent": Outcome.ERROR,
    "lost communication with the server": Outcome.ERROR,
    "was not able to acquire an agent": Outcome.ERROR,
}
"""What the issues of a record say where its end was not the code's fault; there is no code."""
STATUS_FILTERS = {
    Status.NOTSTARTED.value: "notStarted,postponed",
    Status.RUNNING.value: "inProgress,cancelling",
    Status.FINISHED.value: "completed",
}
RESULT_FILTERS = {
    Result.PASSED.value: "succeeded,partiallySucceeded",
    Result.FAILED.value: "failed",
    Result.ABORTED.value: "canceled",
}

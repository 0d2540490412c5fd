"""Jenkins' words in ours."""

from runsync.records import ABORTED, FAILED, PASSED, SKIPPED, Ending, Status

ENDINGS = {
    "SUCCESS": PASSED,
    # Built, but its tests failed.
    "UNSTABLE": FAILED,
    "FAILURE": FAILED,
    # Never built for a fault of an earlier part, or overtaken by a newer build.
    "NOT_BUILT": SKIPPED,
    "ABORTED": ABORTED,
}
STAGE_STATUSES = {
    "IN_PROGRESS": Status.RUNNING,
    "PAUSED_PENDING_INPUT": Status.RUNNING,
    "running": Status.RUNNING,
    "paused": Status.RUNNING,
    "queued": Status.NOTSTARTED,
}
"""Of stages that are not over: the words of the stage view in capitals, those of the graph view
not. Any other word is an end."""
STAGE_ENDINGS: dict[str, Ending] = {
    **dict.fromkeys(["SUCCESS", "success"], PASSED),
    **dict.fromkeys(["FAILED", "FAILURE", "failure", "UNSTABLE", "unstable"], FAILED),
    **dict.fromkeys(["ABORTED", "aborted"], ABORTED),
    **dict.fromkeys(["NOT_EXECUTED", "NOT_BUILT", "not_built", "SKIPPED", "skipped"], SKIPPED),
}
EVENTS = {
    "UserIdCause": "manual",
    "UserCause": "manual",
    "ReplayCause": "manual",
    "RebuildCause": "manual",
    "TimerTriggerCause": "schedule",
    "ParameterizedTimerTriggerCause": "schedule",
    "SCMTriggerCause": "push",
    "BranchEventCause": "push",
    "BranchIndexingCause": "push",
    "GitHubPushCause": "push",
    "GitHubPRCause": "pull_request",
    "GhprbCause": "pull_request",
    "GitLabWebHookCause": "push",
    "BitBucketPushCause": "push",
    "UpstreamCause": "upstream",
    "BuildUpstreamCause": "upstream",
    "RemoteCause": "api",
}
"""Ours for the class of a build's first cause, without its package."""
TIMEOUT_CAUSES = frozenset({"ExceededTimeout"})
"""Classes of what interrupted a build: its time was up."""

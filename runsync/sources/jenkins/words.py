"""Jenkins' words in ours."""

from runsync.records import ABORTED, FAILED, PASSED, SKIPPED, Status

_OF_BUILDS = {
    "SUCCESS": PASSED,
    # Built, but its tests failed.
    "UNSTABLE": FAILED,
    "FAILURE": FAILED,
    # Never built for a fault of an earlier part, or overtaken by a newer build.
    "NOT_BUILT": SKIPPED,
    "ABORTED": ABORTED,
}
STAGE_STATUSES = {
    **dict.fromkeys("IN_PROGRESS PAUSED_PENDING_INPUT running paused".split(), Status.RUNNING),
    "queued": Status.NOTSTARTED,
}
"""Of stages that are not over: the words of the stage view in capitals, those of the graph view
not. Any other word is an end."""
ENDINGS = {
    **_OF_BUILDS,
    **{word.lower(): ending for word, ending in _OF_BUILDS.items()},
    "FAILED": FAILED,
    **dict.fromkeys("NOT_EXECUTED SKIPPED skipped".split(), SKIPPED),
}
EVENTS = {
    **dict.fromkeys("UserIdCause UserCause ReplayCause RebuildCause".split(), "manual"),
    **dict.fromkeys("TimerTriggerCause ParameterizedTimerTriggerCause".split(), "schedule"),
    **dict.fromkeys("SCMTriggerCause BranchEventCause BranchIndexingCause".split(), "push"),
    **dict.fromkeys("GitHubPushCause GitLabWebHookCause BitBucketPushCause".split(), "push"),
    **dict.fromkeys("GitHubPRCause GhprbCause".split(), "pull_request"),
    **dict.fromkeys("UpstreamCause BuildUpstreamCause".split(), "upstream"),
    "RemoteCause": "api",
}
"""Ours for the class of a build's first cause, without its package."""
TIMEOUT_CAUSES = frozenset({"ExceededTimeout"})
"""Classes of what interrupted a build: its time was up."""

"""Buildkite's words in ours."""

from runsync.records import ABORTED, ERRORED, FAILED, PASSED, SKIPPED, TIMED_OUT, Status

BLOCKED = "blocked"
"""What a build is that waits for a person; its times tell how far it has come."""
SHOWN_STATES = ("passed", "failed")
"""What a blocked build may show as its state."""
ACTIVE = ("creating", "scheduled", "running", "failing", "canceling")
"""The states in which a build goes on by itself."""
BUILD_STATUSES = {
    **dict.fromkeys(("creating", "scheduled", "waiting"), Status.NOTSTARTED),
    **dict.fromkeys(("running", "failing", "canceling"), Status.RUNNING),
    **dict.fromkeys(("passed", "failed", "canceled", "waiting_failed"), Status.FINISHED),
    **dict.fromkeys(("skipped", "not_run"), Status.FINISHED),
}
BUILD_ENDINGS = {
    "passed": PASSED,
    "failed": FAILED,
    "waiting_failed": FAILED,
    "canceled": ABORTED,
    "skipped": SKIPPED,
    "not_run": SKIPPED,
}
_WAITING = "pending waiting blocked limiting limited platform_limiting platform_limited scheduled"
_OVER = "passed failed finished canceled timed_out skipped broken expired"
_UNREACHED = ("waiting_failed", "blocked_failed")
JOB_STATUSES = {
    **dict.fromkeys(_WAITING.split(), Status.NOTSTARTED),
    **dict.fromkeys(("assigned", "accepted"), Status.STARTED),
    **dict.fromkeys(("running", "canceling", "timing_out"), Status.RUNNING),
    **dict.fromkeys(_OVER.split(), Status.FINISHED),
    **dict.fromkeys(_UNREACHED, Status.FINISHED),
}
JOB_ENDINGS = {
    "passed": PASSED,
    "failed": FAILED,
    "timed_out": TIMED_OUT,
    "expired": ERRORED,
    "canceled": ABORTED,
    **dict.fromkeys(("skipped", "broken", *_UNREACHED), SKIPPED),
}
"""``expired``: no agent took it in time. ``broken``: its conditions say that it does not run."""
_STOPS = "agent_stop agent_refused agent_incompatible stack_error"
ERRORS = frozenset([*_STOPS.split(), "process_run_error", "signature_rejected"])
"""The values of ``signal_reason`` that are the CI's own fault."""
LOST_AGENT = -1
"""The exit status of a job whose agent is not heard of any more."""
EVENTS = {"webhook": "push", "ui": "manual", "frontend": "manual", "trigger_job": "upstream"}
"""Ours for a build's ``source``, where it is another word than api or schedule; a webhook's build
of a pull request is ``pull_request``."""
_OVER_BUILDS = ("passed", "failed", "canceled", "skipped", "not_run")
STATES: dict[str, tuple[str, ...]] = {
    **{state: (state,) for state in (*ACTIVE, *_OVER_BUILDS, BLOCKED)},
    "notstarted": ("creating", "scheduled"),
    "running": ("running", "failing", "canceling"),
    "finished": _OVER_BUILDS,
}
"""By which states builds are found that have a status of ours or a state of Buildkite's."""
RESULT_STATES = {
    "passed": ("passed",),
    "failed": ("failed",),
    "aborted": ("canceled",),
    "skipped": ("skipped", "not_run"),
}
"""By which states builds are found that have a result of ours."""
